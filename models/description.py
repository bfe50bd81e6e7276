"""What model.json must hold before anything of it is used.

Its types, sizes and ids must be right, and its parts must fit each other.

A model comes from anywhere: its actors become names of files, its joints stand in a BVH, its sizes ask for
memory.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models import recipes
from models.channels import statistics_of
from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.ids import check_ids
from pipeline.reading import read_json

FIX = "get the model again from where it comes, or train it again"
MOST_JOINTS, MOST_ACTORS, MOST_CHANNELS = 10_000, 100_000, 1_000_000
MOST_SIZE, MOST_BLOCKS, MOST_GIVEN, MOST_LABELS, MOST_VERTICES = 1_000_000, 1_000, 8, 10_000, 10_000_000
"""Largest number among a model's options, and most blocks."""

RUN_NAME = "[A-Za-z][A-Za-z0-9_]{0,63}"
"""Names that a run can have."""

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e30, le=1e30)]
Triple = Annotated[list[Number], Field(min_length=3, max_length=3)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Part(BaseModel):
    """A part of a JSON whose types are taken as they are: a text is no number."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Channels(Part):
    """Moments of a stream's channels."""

    mean: Annotated[list[Number], Field(max_length=MOST_CHANNELS)]
    std: Annotated[list[Annotated[Number, Field(ge=0)]], Field(max_length=MOST_CHANNELS)]


class Body(Part):
    """An actor's skeleton."""

    offsets_cm: list[Triple]
    ends_cm: dict[Annotated[str, Field(pattern="^[0-9]{1,5}$")], Triple]
    orders: list[Literal["xyz", "xzy", "yxz", "yzx", "zxy", "zyx"]]


class Encoder(Part):
    """The speech encoder that a face hears."""

    model_config = ConfigDict(strict=True, extra="allow")
    model: Annotated[str, Field(min_length=1, max_length=4096)]
    layer: Annotated[str, Field(pattern="^(last|[0-9]{1,4})$")]
    window_seconds: Annotated[Number, Field(gt=0)]
    context_seconds: Annotated[Number, Field(gt=0)]
    width: Annotated[int, Field(ge=1, le=MOST_CHANNELS)]


class LearnedEncoder(Part):
    """A speech encoder that learned along."""

    model: Annotated[str, Field(min_length=1, max_length=4096)]
    layer: Annotated[str, Field(pattern="^(last|[0-9]{1,4})$")]
    model_sha256: Digest
    standardise: bool
    config: dict[str, Any]


class Mel(Part):
    """Options of the log-mel."""

    num_mels: Annotated[int, Field(ge=1, le=10_000)]
    mel_fft: Annotated[int, Field(ge=16, le=1 << 20)]
    mel_fmax: Annotated[Number, Field(gt=0)]


class OnRigs(Part):
    """The rigs that a model learned on: models.heads."""

    num_vertices: Annotated[int, Field(ge=1, le=MOST_VERTICES)]
    faces: Digest
    shapes: Digest
    scale_cm: Annotated[Number, Field(gt=0)]


class Description(BaseModel):
    """model.json of a run."""

    model_config = ConfigDict(strict=True, extra="ignore")
    run: Annotated[str, Field(pattern=f"^{RUN_NAME}$")]
    recipe: Name
    hash: Annotated[str, Field(pattern="^[0-9a-f]{1,64}$")]
    fps: Literal[30]
    options: dict[str, Any]
    feature_names: list[Name]
    joint_names: Annotated[list[Name], Field(min_length=1, max_length=MOST_JOINTS)]
    parents: list[int]
    actors: Annotated[list[str], Field(min_length=1, max_length=MOST_ACTORS)]
    stats: dict[str, Channels]
    skeletons: dict[str, Body]
    given: dict[Name, dict[str, Any]] = {}
    labels: dict[Name, Annotated[list[Name], Field(min_length=1, max_length=MOST_LABELS)]] = {}
    text_model: Annotated[str, Field(min_length=1, max_length=4096)]
    speech_encoder: Encoder | None = None
    learned_encoder: LearnedEncoder | None = None
    features: Mel
    rigs: OnRigs | None = None


def said_of(error: ValidationError) -> str:
    """The first fault that pydantic found, in a line."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "all of it"
    return f"{where:.120} is {_short(first['input'])}: {first['msg']:.200}"


def _short(value: object) -> str:
    return (
        "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else f"{value!r:.60}"
    )


def _faults(found: Description) -> str | None:
    """How the parts do not fit each other, None where they do."""
    count = len(found.joint_names)
    if odd := next(
        (name for name in found.joint_names if not name.isprintable() or re.search(r"[{}]", name)), None
    ):
        return f"joint {odd!r:.60} is no name"
    if len(set(found.joint_names)) < count:
        return "a name stands twice in joint_names"
    if (
        len(found.parents) != count
        or found.parents[0] != -1
        or not all(0 <= parent < j for j, parent in enumerate(found.parents[1:], 1))
    ):
        return f"parents are not those of {count} joints, each after its parent and the first without"
    if set(found.skeletons) != set(found.actors):
        return "skeletons are not those of its actors"
    for actor, body in found.skeletons.items():
        as_many = len(body.offsets_cm) == len(body.orders) == count
        if not as_many or any(int(j) >= count for j in body.ends_cm):
            return f"the skeleton of actor {actor} has not {count} joints"
    widths = {"body": 3 * count, "relative_root": 4, "relation": 4, "lower_foot": 1, "closest": 1}
    widths |= {"face": len(arkit.NAMES), "mel": found.features.num_mels}
    if found.speech_encoder:
        widths["speech"] = found.speech_encoder.width
    for name, channels in found.stats.items():
        got = len(channels.mean), len(channels.std)
        if got[0] != got[1] or not got[0] or got[0] != widths.get(name, got[0]):
            return (
                f"stats of {name:.60} have {got[0]} means and {got[1]} deviations,"
                f" need {widths.get(name, 'as many')}"
            )
    return None


def _stream_faults(found: Description, options: Any) -> str | None:
    """What the streams that the model reads need and the description lacks, None where there is nothing."""
    streams = options.streams
    if missing := sorted(name for name in statistics_of(streams) if name not in found.stats):
        return f"stats lack {', '.join(missing):.60}"
    if "speech" in streams and not found.speech_encoder:
        return "it names no speech encoder, and the model hears one"
    if options.trains_encoder != (found.learned_encoder is not None):
        return "learned_encoder is not that of its options"
    return None


def _rig_faults(found: Description, on_rigs: bool) -> str | None:
    """How what is said of rigs is not what the model needs, None where it is."""
    if on_rigs == (found.rigs is not None):
        return None
    return "it says nothing of rigs, which it learned on" if on_rigs else "it names rigs and is on none"


def _label_faults(found: Description, told: tuple[str, ...]) -> str | None:
    """How the labels are not those that the model is told, None where they are."""
    if set(found.labels) != set(told):
        return f"its labels are of {', '.join(found.labels) or 'nothing':.60}, it is told {', '.join(told)}"
    if odd := next((name for name, known in found.labels.items() if len(set(known)) < len(known)), None):
        return f"a label stands twice in labels.{odd:.60}"
    return None


def check_options(section: type[BaseModel], options: dict[str, Any], where: object) -> Any:
    """The options of a model as their config section has them.

    InputError for others, and for sizes that no machine has.
    """
    for key, value in options.items():
        most = MOST_BLOCKS if key == "blocks" else MOST_SIZE
        if key != "seed" and isinstance(value, int | float) and not -most <= value <= most:
            raise InputError(f"{where}: options.{key:.60} is {value!s:.20}, need at most {most:,}; {FIX}")
    try:
        return section(**options)
    except (ValidationError, TypeError) as error:
        said = said_of(error) if isinstance(error, ValidationError) else "not the options of a model"
        raise InputError(f"{where}: options.{said}; {FIX}") from None


def read_description(path: Path, *, version: int) -> tuple[dict[str, Any], Any]:
    """model.json of a run, checked, and its options; InputError says what is wrong with it."""
    read = read_json(path, kind=dict, fix=FIX)
    if read.get("format_version") != version or isinstance(read.get("format_version"), bool):
        raise InputError(
            f"{path}: format version {_short(read.get('format_version'))}, this code reads {version};"
            " train the model again"
        )
    return read, check_description(read, path)


def check_description(read: dict[str, Any], where: object, *, depth: int = 0) -> Any:
    """The options of a run out of what model.json says, and of the runs that it is given.

    InputError for faults.
    """
    try:
        found = Description.model_validate(read)
    except ValidationError as error:
        raise InputError(f"{where}: {said_of(error)}; {FIX}") from None
    if found.recipe not in recipes.names():
        raise InputError(
            f"{where}: recipe {found.recipe!r:.60} is none of {', '.join(recipes.names())}; get the code that"
            " it was trained with"
        )
    check_ids(found.actors, "actor", where, fix=FIX)
    if fault := _faults(found):
        raise InputError(f"{where}: {fault}; {FIX}")
    options = check_options(recipes.options_of(found.recipe), found.options, where)
    if (
        fault := _stream_faults(found, options)
        or _label_faults(found, getattr(options, "told", ()))
        or _rig_faults(found, options.on_rigs)
    ):
        raise InputError(f"{where}: {fault}; {FIX}")
    if depth > MOST_GIVEN:
        raise InputError(f"{where}: runs are given runs {depth} deep, need at most {MOST_GIVEN}; {FIX}")
    for name, inner in found.given.items():
        check_description(inner, f"{where}: given.{name:.60}", depth=depth + 1)
    return options


def check_moments(stats: object, where: object, *, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Statistics as stats.json has them, of `names` at least; else InputError.

    Each needs as many deviations as means, and all of them finite.
    """
    fix = "write it again (python -m pipeline.shards.stats, or python -m pipeline.shards.speech_stats)"
    if not isinstance(stats, dict):
        raise InputError(f"{where}: got {_short(stats)}, need an object; {fix}")
    for name in dict.fromkeys(
        [*names, *(name for name, value in stats.items() if isinstance(value, dict) and "mean" in value)]
    ):
        try:
            channels = Channels.model_validate(
                {key: value for key, value in (stats.get(name) or {}).items() if key in ("mean", "std")}
            )
        except (ValidationError, AttributeError) as error:
            said = said_of(error) if isinstance(error, ValidationError) else f"got {_short(stats[name])}"
            raise InputError(f"{where}: {name:.60}: {said}; {fix}") from None
        if len(channels.mean) != len(channels.std):
            raise InputError(
                f"{where}: {name:.60} has {len(channels.mean)} means and {len(channels.std)} deviations,"
                f" need as many; {fix}"
            )
    return stats
