"""The whole config: all sections, checked together, read out of a YAML file or a mapping."""

import difflib
import re
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from pipeline.config.annotate import Actions, Contacts, Dialogue, Facing, Split, SyncCheck, Transcripts
from pipeline.config.capture import Blendshapes, Body, ReleaseIn, Separation, SeparationModel, Sync
from pipeline.config.models import ROWS, RUNS, TAKEN, Evaluate, Generate, Row, Run
from pipeline.config.section import Section
from pipeline.config.shards import Features, Shards, Speech, Text
from pipeline.config.simulate import Simulate
from pipeline.errors import InputError
from pipeline.reading import MEBIBYTE, read_text


class Config(Section):
    """The whole configuration."""

    root: str = Field(default="data", description="folder of all output")
    shoot: str | None = Field(default=None, description="folder of a shoot; null makes the simulated one")
    dataset: str | None = Field(
        default=None, description="folder of a downloaded release; then nothing is captured"
    )
    exclude: tuple[str, ...] = Field(
        default=(),
        description=(
            "takes of a download to leave out, and files of its bvhs that are no performance, by name"
        ),
    )
    rig: str | None = Field(
        default=None,
        description=(
            "rig (.npz) of every actor of a download that carries none, for face metrics and pictures"
        ),
    )
    fps: Literal[30] = Field(default=30, description="frames per second of the dataset")
    seed: int = Field(default=0, ge=0, description="seed of the simulated shoot and of the split")
    simulate: Simulate = Simulate()
    release_in: ReleaseIn = ReleaseIn()
    sync: Sync = Sync()
    body: Body = Body()
    blendshapes: Blendshapes = Blendshapes()
    separation: Separation = Separation()
    separation_model: SeparationModel = SeparationModel()
    transcripts: Transcripts = Transcripts()
    dialogue: Dialogue = Dialogue()
    actions: Actions = Actions()
    facing: Facing = Facing()
    contacts: Contacts = Contacts()
    sync_check: SyncCheck = SyncCheck()
    split: Split = Split()
    features: Features = Features()
    text: Text = Text()
    speech: Speech = Speech()
    shards: Shards = Shards()
    recipes: dict[str, dict[str, Any]] = Field(
        default={}, description="options of all runs of a recipe, by its name; a run's own go before them"
    )
    runs: dict[str, Run] = Field(
        default=RUNS, validate_default=True, description="trainings by name; null takes a built-in one away"
    )
    rows: dict[str, Row] = Field(
        default=ROWS, validate_default=True, description="rows of the table; null takes a built-in one away"
    )
    generate: Generate = Generate()
    evaluate: Evaluate = Evaluate()

    @field_validator("runs", mode="before")
    @classmethod
    def _built_in_runs(cls, given: object) -> object:
        """The built-in runs with what the config says of them, and those that it adds."""
        if not isinstance(given, dict):
            return given
        merged = {
            name: RUNS.get(name, {}) | value if isinstance(value, dict) else value
            for name, value in given.items()
        }
        kept = {name: value for name, value in (RUNS | merged).items() if value is not None}

        def there(name: str, value: object) -> bool:  # fine-tuning goes with the run that it starts from
            own = RUNS.get(name, {})
            needs = [own[key] for key in ("start", "swap") if key in own]
            return name in given or all(other in kept and there(other, kept[other]) for other in needs)

        return {name: value for name, value in kept.items() if there(name, value)}

    @field_validator("rows", mode="before")
    @classmethod
    def _built_in_rows(cls, given: object, info: ValidationInfo) -> object:
        """The built-in rows and the config's; a list is a row's runs."""
        if not isinstance(given, dict):
            return given
        runs = info.data.get("runs", RUNS)
        rows = {name: value for name, value in (ROWS | given).items() if value is not None}
        for name, parts in ROWS.items():  # rows of fine-tuned runs go with these
            if given.get(name, parts) is parts and len(parts) == 1 and parts[0] not in runs:
                rows.pop(name, None)
        return {name: {"runs": value} if isinstance(value, list) else value for name, value in rows.items()}

    @model_validator(mode="after")
    def _known_runs(self) -> "Config":
        """Names of runs that can be those of folders and rules, and that are there where others name them."""
        for name, run in self.runs.items():
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name) or name in TAKEN:
                taken = f"; {', '.join(TAKEN)} are taken" if name in TAKEN else ""
                raise ValueError(
                    f"runs: the name {name!r:.80} needs letters, digits and _, a letter first{taken}"
                )
            for other in run.waits_for:
                if other not in self.runs or other == name:
                    raise ValueError(
                        f"runs.{name}: {other!r:.80} is no other run; the runs are {', '.join(self.runs)}"
                    )
        if circle := _circle({name: run.waits_for for name, run in self.runs.items()}):
            raise ValueError(
                f"runs: {' -> '.join(circle)} is a circle of given and start; train one of them without"
            )
        for name, run in self.runs.items():
            if (run.swap or run.data == "lip_acc") and not run.start:
                what = "swap" if run.swap else "data lip_acc"
                raise ValueError(f"runs.{name}: {what} needs start, the run that it begins with; name one")
        for name, row in self.rows.items():
            if missing := [run for run in row.runs if run not in self.runs]:
                raise ValueError(
                    f"rows.{name}: no run {missing[0]!r:.80}; the runs are {', '.join(self.runs)}"
                )
        return self

    @field_validator("exclude", mode="before")
    @classmethod
    def _numbers_are_names(cls, names: object) -> object:
        """YAML reads 20231119_051 without quotation marks as the number 20231119051.

        Pipeline.formats.takes finds the name again.
        """
        if not isinstance(names, (list, tuple)):
            return names
        return [str(name) if isinstance(name, int) and not isinstance(name, bool) else name for name in names]


def _circle(needs: dict[str, tuple[str, ...]]) -> list[str]:
    """Names that need each other in a circle, the first once more at the end.

    None where there is no circle.
    """

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        return next((found for other in needs[name] if (found := walk(other, [*path, name]))), [])

    return next((found for name in needs if (found := walk(name, []))), [])


MOVED = {"face_model": "recipes.face", "body_model": "recipes.body"}
"""Keys of earlier versions, and what they are now."""


def said(error: ValidationError, model: type[BaseModel], *, prefix: str = "") -> InputError:
    """The first thing wrong with values of `model`, as an error that names the key.

    `prefix` stands before the key. The error also names the key that is nearest to an unknown one.
    """
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    key = ".".join([prefix, *location] if prefix else location)
    if first["type"] == "extra_forbidden":
        if key in MOVED:
            return InputError(f"config key {key}: is now {MOVED[key]}; rename it")
        for part in location[:-1]:
            if field := model.model_fields.get(part):
                # a section, or a dict of them by name
                kinds = [field.annotation, *get_args(field.annotation)]
                model = next(
                    (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), model
                )
        near = difflib.get_close_matches(location[-1], model.model_fields, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(model.model_fields)}"
        return InputError(f"config key {key}: unknown; {hint}")
    text = first["msg"].removeprefix("Value error, ")
    if not location:  # several keys that do not fit each other
        return InputError(f"config: {prefix}{': ' if prefix else ''}{text}")
    return InputError(f"config key {key}: got {first['input']!r}: {text}; correct it")


def parse(values: dict) -> Config:
    """The typed config of a nested dict.

    InputError names the first key that is unknown or has a wrong value.
    """
    try:
        return Config(**values)
    except TypeError:  # keys of the top level that are no strings
        odd = next(key for key in values if not isinstance(key, str))
        raise InputError(
            f"config key {odd!r}: unknown; known keys: {', '.join(Config.model_fields)}"
        ) from None
    except ValidationError as error:
        raise said(error, Config) from None


def load(path: Path) -> Config:
    """The typed config of a YAML file."""
    try:
        values = yaml.safe_load(read_text(Path(path), most=MEBIBYTE, need="YAML", fix="correct it")) or {}
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}; correct it") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: got {type(values).__name__}, need a mapping of keys to values")
    return parse(values)
