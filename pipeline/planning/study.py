"""What the Snakefile needs to know while it is read: takes, files, flags and code of every stage.

Light: nothing heavier than pydantic is imported here.
"""

import ast
import hashlib
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel

from pipeline import config, ownership, stage
from pipeline.annotate import split
from pipeline.errors import InputError
from pipeline.formats import streams
from pipeline.formats.ict import is_ict_rig
from pipeline.formats.pretrained import PACKAGES
from pipeline.formats.shoot_check import check_rig, check_shoot
from pipeline.formats.split_file import read_split
from pipeline.formats.takes import (
    LipRow,
    Take,
    actor_of,
    as_named,
    download_lip_acc,
    download_takes,
    in_order,
    lip_names,
    listed_lips,
    listed_takes,
    read_actors,
    shoot_lip_acc,
    shoot_takes,
)
from pipeline.formats.unlisted import missing_raw, unlisted_raw
from pipeline.motion.joints import joint_map_file, shipped_joint_maps
from pipeline.planning.provenance import Provenance
from pipeline.planning.raw_inputs import RawInputs
from pipeline.reading import read_json
from pipeline.shards import plan as shard_plan
from pipeline.simulate import plan as simulate_plan

InputFunction = Callable[..., str | list[str]]
SEEING = ("lips", "visualvoice")
"""Separation methods that see faces: pipeline.capture.separation_neural."""
PATHS = ("root", "shoot", "dataset", "rig")
WRITTEN = ("annotations", "features", "shards", "runs", "results", "logs", "timings")
"""Folders under root that a study writes, whatever its dataset comes from."""
REPOSITORY = Path(__file__).resolve().parents[2]
TABLE_SUFFIXES = (".txt", ".tsv", ".json")
CANNOT_CHANGE_RESULTS = {"pipeline.errors", "pipeline.stage", "pipeline.config", "pipeline.planning.study"}
"""Modules that are no input of any rule: errors, the command line, and the config, whose values reach rules
as flags.
"""


@cache
def _imports(path: Path) -> frozenset[str]:
    """Names of the repository's modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] in ("pipeline", "models"))


def _file(module: str) -> Path | None:
    path = REPOSITORY.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


@cache
def code(module: str) -> list[str]:
    """Files of the repository whose edit can change what `python -m module` writes.

    The module, all that it imports, and the tables that bear the name of one of these.
    """
    seen: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name in seen or name in CANNOT_CHANGE_RESULTS or path is None:
            continue
        seen[name] = path
        waiting += sorted(_imports(path))
    tables = [
        table
        for path in seen.values()
        for suffix in TABLE_SUFFIXES
        if (table := path.with_suffix(suffix)).exists()
    ]
    return sorted(
        str(path.relative_to(REPOSITORY)) for path in {*seen.values(), *tables} if path.name != "__init__.py"
    )


@cache
def _content(path: str) -> str | None:
    """Digest of a file of the repository, by its path within it; None for any other."""
    file = REPOSITORY / path
    inside = not path.startswith("/") and path.split("/")[0] in ("pipeline", "models") and file.is_file()
    return hashlib.sha256(file.read_bytes()).hexdigest() if inside else None


@cache
def _all_code() -> str:
    """Digest of all code and tables that can change what a stage writes."""
    files = [path for name in ("pipeline", "models") for path in sorted(Path(REPOSITORY, name).rglob("*"))]
    files = [path for path in files if path.suffix in (".py", *TABLE_SUFFIXES)]
    names = [str(path.relative_to(REPOSITORY)) for path in files]
    known = {
        name: _content(name)
        for name in names
        if name.removesuffix(".py").replace("/", ".") not in CANNOT_CHANGE_RESULTS
    }
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]


def flags(section: BaseModel, *, without: tuple[str, ...] = ()) -> str:
    """A section of the config as the flags of its stage.

    Defaults are written out, so that a new default reruns the stage.
    """
    words = []
    for name in type(section).model_fields:
        value = getattr(section, name)
        if value is not None and name not in without:
            words += [stage.flag(name), value if isinstance(value, str) else json.dumps(value)]
    return shlex.join(words)


def input_folder(name: str, *, levels: int = 1) -> Callable:
    """Params function: the folder `levels` above the first of the input files called `name`."""

    def folder(wildcards, input) -> str:
        files = getattr(input, name)
        return str(Path(files if isinstance(files, str) else files[0]).parents[levels - 1])

    return folder


class Study:
    """One configuration with the takes that it speaks of and the plans that are frozen under its root."""

    def __init__(self, values: dict):
        self.config = config.parse(values)
        _check_paths(self.config)
        self.config = self.config.model_copy(
            update={key: _spelled(value) for key in PATHS if (value := getattr(self.config, key))}
        )
        self.root = self.config.root
        if self.config.shoot and self.config.dataset:
            raise InputError(
                "config: both shoot and dataset are set; a shoot is captured into a dataset, a download is"
                " read as it is: unset one"
            )
        if self.config.dataset and not Path(self.config.dataset).is_dir():
            raise InputError(f"config: dataset {self.config.dataset}: no such folder; check the path")
        if self.config.dataset and not self.config.rig and not Path(self.config.dataset, "rigs").is_dir():
            raise InputError(
                f"config: {self.config.dataset} has no rigs folder; set rig to an .npz with the ARKit shapes,"
                " which metrics on faces need"
            )
        if self.config.separation.method == "lips" and not self.config.separation.weights:
            weights = f"{self.root}/runs/separation/model.safetensors"  # what rule train_separation makes
            self.config = self.config.model_copy(
                update={"separation": self.config.separation.model_copy(update={"weights": weights})}
            )
        self.simulated = not (self.config.shoot or self.config.dataset)
        self.shoot = self.config.shoot or f"{self.root}/shoot"
        self.dataset = f"{self.root}/dataset"
        if self.config.exclude and not self.config.dataset:
            raise InputError(
                "config: exclude is for a download; write yes under exclude in the takes.tsv of a shoot"
            )
        if self.config.dataset and self.config.exclude:
            names = tuple(as_named(Path(self.config.dataset), self.config.exclude))
            self.config = self.config.model_copy(update={"exclude": names})
        self.provenance = Provenance(
            self.root, self.config.model_dump(mode="json", exclude=set(PATHS)), _all_code()
        )
        folders = {key: value for key in ("shoot", "dataset") if (value := getattr(self.config, key))}
        recorded = Path(self.root, ".interact", "inputs.json")
        self.inputs = RawInputs(recorded, self._recorded, folders, elsewhere=self.provenance.elsewhere)

    @cached_property
    def claim(self) -> ownership.Claim:
        """What this study writes and what it reads from, for the check of whose folders these are."""
        folders = ["dataset", *WRITTEN]
        if not self.config.dataset:
            folders.append("release")
        if self.simulated:
            folders += ["shoot", "truth"]
        inputs = {key: Path(value) for key in ("shoot", "dataset") if (value := getattr(self.config, key))}
        return ownership.Claim(
            root=Path(self.root),
            folders=tuple(folders),
            inputs=inputs,
            source=next((str(path.resolve()) for path in inputs.values()), "simulated"),
            takes=frozenset(self.takes),
            performances=frozenset(self.performances) | frozenset(self.lip_acc),
        )

    def reads(self, wildcards, **given) -> str:
        """Params function of every rule: what tells its code and its raw inputs from others, whatever their
        times say.

        Snakemake looks for changes only of params whose functions do not name `input`: hence `given`.
        """
        found = [
            _content(path) or (self.inputs.stamp(path) if self._is_raw(path) else None)
            for path in given["input"]
        ]
        return hashlib.sha256(json.dumps([entry for entry in found if entry]).encode()).hexdigest()[:16]

    def _is_raw(self, path: str) -> bool:
        """Whether a file comes from outside: no rule makes it."""
        return not any(path.startswith(f"{self.root}/{name}/") for name in self.claim.folders)

    def _recorded(self, path: str) -> str | None:
        """What sync recorded of the content of a take's stream."""
        take = self.takes.get(Path(path).parent.name)
        report = (
            Path(self.root, "annotations", "sync", f"{take.name}.json")
            if take and not self.config.dataset
            else None
        )
        if report is None or not report.exists():
            return None
        try:
            performances = read_json(report, kind=dict)["performances"]
            kind = {".bvh": "body", ".wav": "audio"}.get(Path(path).suffix, "face")
            record = next(
                p[kind] for p in performances if p["actor"] == actor_of(Path(path).name.partition(".")[0])
            )
        except (InputError, KeyError, TypeError, StopIteration):  # a report of another form says nothing
            return None
        return next(
            (f"{key}:{record[key]}" for key in ("sha256", "fingerprint") if isinstance(record.get(key), str)),
            None,
        )

    @cached_property
    def takes(self) -> dict[str, Take]:
        """Takes by name, in name order."""
        if self.simulated:
            rows = simulate_plan.plan_takes(self.config.simulate.num_takes, self.config.seed)
            takes = [
                Take(row["take"], row["date"], row["scenario"], in_order(row["actor_a"], row["actor_b"]), row)
                for row in rows
            ]
        elif self.config.shoot:
            takes = shoot_takes(Path(self.shoot))
        else:
            takes = download_takes(Path(self.config.dataset or ""), exclude=self.excluded(lips=False))
        return {take.name: take for take in sorted(takes, key=lambda take: take.name)}

    @property
    def takes_table(self) -> str:
        """The takes.tsv that says which takes there are: that of the shoot, or the one that a download gets."""
        return f"{self.dataset if self.config.dataset else self.shoot}/takes.tsv"

    @cached_property
    def take_of(self) -> dict[str, Take]:
        """The take of each performance."""
        return {name: take for take in self.takes.values() for name in take.performances}

    @cached_property
    def cautions(self) -> list[str]:
        """What a run and status warn of beside the logs: recordings of a shoot that no row names, actors
        without a gender.
        """
        if not self.config.shoot:
            return []
        folder = Path(self.shoot)
        listed = {take.name: take.performances for take in listed_takes(folder / "takes.tsv").values()}
        genders = read_actors(folder / "actors.tsv")
        used = {*self.actors, *(row.actor for row in self.lip_acc.values())}
        lines = unlisted_raw(folder, listed, listed_lips(folder))
        if bare := [actor for actor in sorted(used) if not genders[actor].strip()]:
            lines.append(
                f"{folder}/actors.tsv: no gender of {', '.join(bare)}: tables by gender have these actors"
                " under unknown; fill it in if it is known"
            )
        return lines

    @cached_property
    def missing(self) -> list[str]:
        """Raw files that takes of a shoot need and that are not there.

        Not an error: what needs others alone can be made.
        """
        return (
            missing_raw(Path(self.shoot), {name: take.performances for name, take in self.takes.items()})
            if self.config.shoot
            else []
        )

    @cached_property
    def lip_acc(self) -> dict[str, LipRow]:
        """The lip-accurate set by performance, in name order; empty where there is none."""
        if self.config.dataset:
            return download_lip_acc(Path(self.config.dataset), exclude=self.excluded(lips=True))
        return shoot_lip_acc(Path(self.shoot)) if self.config.shoot else {}

    def excluded(self, *, lips: bool) -> list[str]:
        """What the config excludes of a download: names of its lip-accurate set, or all others."""
        there = lip_names(Path(self.config.dataset or ""))
        return [name for name in self.config.exclude if (name in there) == lips]

    @cached_property
    def performances(self) -> list[str]:
        """All performances, in take and actor order."""
        return list(self.take_of)

    @cached_property
    def actors(self) -> list[str]:
        """Ids of all actors."""
        return sorted({actor for take in self.takes.values() for actor in take.actors})

    def with_ict(self, performances: Iterable[str]) -> list[str]:
        """Those performances of a shoot whose actor's rig has the topology of the ICT kit: they get face_ict
        as well.
        """
        return [name for name in performances if self.config.shoot and self._is_ict(actor_of(name))]

    @cached_property
    def ict_actors(self) -> list[str]:
        """Actors of takes whose rig has the topology of the ICT kit: their neutral heads become templates."""
        return [actor for actor in self.actors if self.config.shoot and self._is_ict(actor)]

    @cache  # noqa: B019 - there is one study, as long as the program runs
    def _is_ict(self, actor: str) -> bool:
        return is_ict_rig(Path(self.shoot, "rigs", f"{actor}.npz"))

    def partner(self, performance: str) -> str:
        """The other performance of a performance's take."""
        first, second = self.take_of[performance].performances
        return second if performance == first else first

    def raw_file(self, performance: str, kind: str) -> str:
        """Path of a raw stream of a performance: kind bvh, wav, or face (the form that is there, else
        .mesh.h5).
        """
        return streams.raw_file(f"{self.shoot}/{self.take_of[performance].name}/{performance}", kind)

    @property
    def joint_map(self) -> list[str]:
        """The table of joint names that `body` reads: one that comes with the software, or the user's.

        None where names are taken as they are.
        """
        name = self.config.body.joint_map
        if not name:
            return []
        file = joint_map_file(name)
        return [str(file.relative_to(REPOSITORY) if file.is_relative_to(REPOSITORY) else file)]

    def beside_face(self, wildcards) -> list[str]:
        """Input function: what is read along with the raw faces of {take}, or with that of {performance}:
        timecodes and descriptions.
        """
        names = (
            [wildcards.performance]
            if hasattr(wildcards, "performance")
            else self._take(wildcards).performances
        )
        return [
            str(path) for name in names for path in streams.beside_face(Path(self.raw_file(name, "face")))
        ]

    def ltc(self, wildcards) -> list[str]:
        """Input function: the files of LTC that the timecode.json of {take} names."""
        return [str(path) for path in streams.named_ltc(Path(self.shoot, wildcards.take, "timecode.json"))]

    def raw(self, kind: str) -> InputFunction:
        """Input function: the raw files of both performances of the take ({take}, or the take of
        {performance}).
        """
        return lambda wildcards: [self.raw_file(name, kind) for name in self._take(wildcards).performances]

    def own_raw(self, kind: str) -> InputFunction:
        """Input function: the raw file of {performance}."""
        return lambda wildcards: self.raw_file(wildcards.performance, kind)

    def lip_raw(self, kind: str) -> InputFunction:
        """Input function: the raw files of {performance} of the lip-accurate set.

        Kind wav or face, or of what may be missing: timecode (its timecode.json), ltc (the files of LTC that
        this names) or beside (what is read along with the face).
        """

        def files(wildcards) -> str | list[str]:
            stem = f"{self.shoot}/lip_acc/{wildcards.performance}"
            if kind == "timecode":
                return [path for path in [f"{stem}.timecode.json"] if Path(path).exists()]
            if kind == "ltc":
                return [str(path) for path in streams.named_ltc(Path(f"{stem}.timecode.json"))]
            if kind == "beside":
                return [str(path) for path in streams.beside_face(Path(streams.raw_file(stem, "face")))]
            return streams.raw_file(stem, kind)

        return files

    def seen(self, method: str, *patterns: str) -> InputFunction:
        """Input function: `patterns` for both performances of {performance}'s take, where the separation
        method is `method`, else nothing.

        {take} and {performance} are filled in.
        """

        def files(wildcards) -> list[str]:
            take = self._take(wildcards)
            names = take.performances if self.config.separation.method == method else []
            return [
                pattern.format(take=take.name, performance=name) for name in names for pattern in patterns
            ]

        return files

    def check_named_files(self) -> None:
        """InputError where files are missing that the config asks for.

        Snakemake would keep outputs of another config in silence.
        """
        options, text = self.config.separation, self.config.transcripts.text
        if not self.config.dataset:
            _need_all(
                self.joint_map,
                "body.joint_map",
                f"name a table of joint names, or one that comes with it: {', '.join(shipped_joint_maps())}",
            )
        if text:
            need = [f"{text}/{name}.txt" for name in self.performances]
            _need_all(need, "transcripts.text", "write what the actor says, or leave transcripts.text out")
        if options.method == "visualvoice" and not self.config.dataset:
            if not options.checkpoints:
                raise InputError(
                    "config: separation.method visualvoice needs separation.checkpoints, the folder that"
                    " python -m models.speech.visualvoice convert writes"
                )
            stems = [f"{self.shoot}/{self.take_of[name].name}/{name}" for name in self.performances]
            hint = "make it with python -m pipeline.capture.mouth_crop, or choose another separation.method"
            _need_all(
                [f"{stem}.{kind}" for stem in stems for kind in ("mouth.npz", "face.npy")],
                "separation.method visualvoice",
                hint,
            )

    def check_rigs(self) -> None:
        """InputError where a rig from outside is there and is none.

        Those that are missing are listed by Snakemake, less the config's own.
        """
        if self.config.rig:
            check_rig(Path(self.config.rig), "config: rig: ")
        folder = Path(self.config.dataset or self.shoot, "rigs")
        unread = self.simulated or (self.config.dataset and self.config.rig)
        for actor in [] if unread else sorted({*self.actors, *(row.actor for row in self.lip_acc.values())}):
            if os.path.lexists(path := folder / f"{actor}.npz"):
                check_rig(path)

    @property
    def separation_files(self) -> list[str]:
        """What the separation method reads beside the take: the weights of its network, and the networks'
        code.
        """
        options = self.config.separation
        if options.method not in SEEING:
            return []
        weights = (
            [options.weights, str(Path(options.weights).with_name("model.json"))]
            if options.method == "lips" and options.weights
            else []
        )
        return [*weights, *code("pipeline.capture.separation_neural")]

    def of_take(self, pattern: str) -> InputFunction:
        """Input function: `pattern` with {take} filled in by the take of {performance}."""
        return lambda wildcards: pattern.format(take=self._take(wildcards).name)

    def both(self, pattern: str) -> InputFunction:
        """Input function: `pattern` with {performance} filled in for both performances of {take}."""
        return lambda wildcards: [
            pattern.format(performance=name) for name in self._take(wildcards).performances
        ]

    def own_and_partner(self, pattern: str) -> InputFunction:
        """Input function: `pattern` for {performance} and for the other performance of its take, in that
        order.
        """
        return lambda wildcards: [
            pattern.format(performance=name)
            for name in (wildcards.performance, self.partner(wildcards.performance))
        ]

    def download(self, kind: str) -> InputFunction:
        """Input function: the download's files of {performance} and of the other performance of its take.

        Kind bvh, wav, or face: the ARKit weights, the ICT weights where those are missing.
        """
        folder = self.config.dataset or ""
        return lambda wildcards: [
            _downloaded(folder, name, kind)
            for name in (wildcards.performance, self.partner(wildcards.performance))
        ]

    def lip_download(self, kind: str) -> InputFunction:
        """Input function: the file of {performance} of the download's lip-accurate set, kind wav or face as
        for `download`.
        """
        return lambda wildcards: _downloaded(f"{self.config.dataset}/lip_acc", wildcards.performance, kind)

    @cached_property
    def genders(self) -> list[str]:
        """The dataset's actors.db, which says who is male and female; none where a download lacks it."""
        lacks = self.config.dataset and not Path(self.config.dataset, "actors.db").exists()
        return [] if lacks else [f"{self.dataset}/actors.db"]

    @cached_property
    def templates(self) -> bool:
        """Whether actors get rigs of their own: those of the ICT kit, which `rig` names, on the download's
        neutral heads.
        """
        if not (self.config.dataset and self.config.rig and is_ict_rig(Path(self.config.rig))):
            return False
        return all(
            Path(self.config.dataset, "face_ict_templates", f"{actor}.obj").exists() for actor in self.actors
        )

    def rig(self, actor: str) -> str:
        """The rig of an actor that the annotations half reads: made on the actor's template, the config's
        `rig`, or the dataset's own.
        """
        if self.templates:
            return f"{self.dataset}/rigs/{actor}.npz"
        return self.config.rig or f"{self.config.dataset or self.dataset}/rigs/{actor}.npz"

    def rig_source(self, wildcards, input) -> str:
        """Params function: what models.evaluate takes as --rigs, one file for all actors or the folder of
        their rigs.
        """
        return input.rigs[0] if self.config.rig and not self.templates else str(Path(input.rigs[0]).parent)

    def rigs(self, wildcards) -> list[str]:
        """Input function: the rigs of both actors of {take} that the annotations half reads."""
        return [self.rig(actor) for actor in self._take(wildcards).actors]

    def shoot_rigs(self, wildcards) -> list[str]:
        """Input function: the shoot's rigs of both actors of {take}, or of the actor of {performance}."""
        actors = (
            [actor_of(wildcards.performance)]
            if hasattr(wildcards, "performance")
            else self._take(wildcards).actors
        )
        return [f"{self.shoot}/rigs/{actor}.npz" for actor in actors]

    def capture_reports(self, wildcards) -> list[str]:
        """Input function: what the capture half has reported of {take}, for a download what was done to its
        streams.
        """
        names = self._take(wildcards).performances
        if self.config.dataset:
            return [f"{self.root}/annotations/release_in/{name}.json" for name in names]
        reports = [
            f"{self.root}/annotations/{kind}/{name}.json"
            for kind in ("body", "fit", "separation")
            for name in names
        ]
        return [f"{self.root}/annotations/sync/{wildcards.take}.json", *reports]

    def of_shard(self, pattern: str) -> InputFunction:
        """Input function: `pattern` for every {performance} or {take} of {shard}."""
        key = "performance" if "{performance}" in pattern else "take"

        def files(wildcards) -> list[str]:
            takes = [self.takes[name] for name in self.shards[wildcards.shard]]
            subjects = [
                name
                for take in takes
                for name in (take.performances if key == "performance" else [take.name])
            ]
            return [pattern.format(**{key: subject}) for subject in subjects]

        return files

    @cached_property
    def shard_files(self) -> list[str]:
        """All shards and their moments: what training and generation read.

        Not their index, which has the labels that neither does.
        """
        return [
            f"{self.root}/shards/{name}" for name in [*(f"{shard}.h5" for shard in self.shards), "stats.json"]
        ]

    @cached_property
    def speech_folder(self) -> str:
        """Folder of the speech sidecars, named by a hash of what is known of the encoder before it runs."""
        known = self.config.speech.model_dump(exclude={"max_wav_seconds"})
        if known["model"] == "package":
            try:
                known["version"] = version(PACKAGES["speech"])
            except PackageNotFoundError:  # the stage will say so
                known["version"] = ""
        return f"{self.root}/shards/speech-{hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:8]}"

    @cached_property
    def speech_weights(self) -> list[str]:
        """Files of the speech encoder in a folder of the user's: what they say changes without a change of
        name.
        """
        folder = Path(self.config.speech.model)
        return sorted(
            str(path)
            for path in folder.glob("*")
            if path.suffix in (".safetensors", ".json") or path.name == "model.bin"
        )

    @cached_property
    def speech_flag(self) -> str:
        """How training and generation are told of the speech sidecars.

        Nothing where the face does not hear them.
        """
        return (
            shlex.join(["--speech", self.speech_folder]) if self.config.face_model.audio == "speech" else ""
        )

    @cached_property
    def speech_files(self) -> list[str]:
        """The speech sidecars of all shards and their moments; nothing where the face does not hear them."""
        if not self.speech_flag:
            return []
        return [
            f"{self.speech_folder}/{name}"
            for name in [*(f"{shard}.h5" for shard in self.shards), "stats.json"]
        ]

    def _take(self, wildcards) -> Take:
        return (
            self.take_of[wildcards.performance]
            if hasattr(wildcards, "performance")
            else self.takes[wildcards.take]
        )

    @cached_property
    def split(self) -> dict[str, str]:
        """train or test by take: what split.tsv has frozen, and the rule for takes that it does not know."""
        path = Path(self.root, "annotations/split.tsv")
        frozen = read_split(path) if path.exists() else {}
        rows = [
            {"take": take.name, **{key: take.row[key] for key in ("relationship", "emotion", "split")}}
            for take in self.takes.values()
        ]
        return split.assign(rows, frozen, test_share=self.config.split.test_share, seed=self.config.seed)

    @cached_property
    def test_takes(self) -> list[str]:
        """Names of the takes that are held out."""
        return [name for name in self.takes if self.split[name] == "test"]

    def held_out(self, wildcards) -> list[str]:
        """Params function: the takes that are held out.

        Ends the program where there is none, before anything is trained for them.
        """
        if not self.test_takes:
            _end(f"no take is held out, and generate and evaluate need one; {self._hold_out()}")
        return self.test_takes

    def _hold_out(self) -> str:
        """What gives a study, in which no take is held out, one that is."""
        if len(self.takes) < 2:
            more = "set simulate.num_takes to 2 or more" if self.simulated else "add a take"
            if self.config.dataset:
                more = (
                    "take a take off exclude in the config"
                    if self.excluded(lips=False)
                    else f"{self.config.dataset} has one take, need two"
                )
            return f"{more}; one take alone goes as far as the target train"
        if not self.config.dataset:
            return "write test under split of one take in takes.tsv, or add takes"
        if any(not take.row["split"] for take in self.takes.values()):
            return (
                f"{self.root}/annotations/split.tsv has frozen all takes that are left as train: remove it,"
                " and the split is made anew"
            )
        return (
            f"all rows of {self.config.dataset}/takes.tsv say train; set dataset to a copy of it (cp -rL)"
            " whose takes.tsv says test for one"
        )

    def take_label(self, wildcards) -> dict[str, str]:
        """Label function: how the report lists pictures of {take}. One label: two of two rows become switches
        that break the page.
        """
        return {"take": f"{wildcards.take} ({self.split[wildcards.take]})"}

    def generated_of(self, wildcards) -> list[str]:
        """Input function: the generated motion of both performances of {take}.

        Nothing where it is not held out.

        Not all that generate writes: with many takes, Snakemake would spend its time on the product of the
        two lists.
        """
        if wildcards.take not in self.test_takes:
            return []
        kinds = ("bvhs/{performance}.bvh", "face_arkit/{performance}.npy")
        return [
            name for kind in kinds for name in self.both(f"{self.root}/results/generated/{kind}")(wildcards)
        ]

    @cached_property
    def shards(self) -> dict[str, list[str]]:
        """Takes of each shard, by shard name: what plan.json has frozen, and new shards for new takes."""
        frozen = shard_plan.read_plan(Path(self.root, "shards/plan.json"))
        groups = shard_plan.plan(list(self.takes), frozen, self.config.shards.takes_per_shard)
        return {f"shard-{i:03d}": group for i, group in enumerate(groups) if group}


def _downloaded(folder: str, name: str, kind: str) -> str:
    """A performance's file in a folder of the public release's layout: kind bvh, wav, or face, whichever
    weights are there.
    """
    if kind != "face":
        return f"{folder}/{'bvhs' if kind == 'bvh' else kind}/{name}.{kind}"
    found = [f"{folder}/{part}/{name}.npy" for part in ("face_arkit", "face_ict")]
    return next((path for path in found if Path(path).exists()), found[0])


def _spelled(path: str) -> str:
    """One spelling of a path that Snakemake is to know again: no slashes or dots to spare, and from here
    where it lies below here.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    path = ("/" if path.startswith("/") else "") + "/".join(parts) or "."
    here = f"{os.getcwd()}/"
    return path.removeprefix(here)


def _check_paths(parsed: config.Config) -> None:
    """InputError for a path in the config, or of the repository, that Snakemake would not take as it is
    written.
    """
    if "{" in str(REPOSITORY) or "}" in str(REPOSITORY):
        raise InputError(
            f"{REPOSITORY}: braces in this path stand for wildcards in Snakemake; move or rename the folder"
            " of the repository"
        )
    for name in PATHS:
        value = getattr(parsed, name)
        if value and value.startswith("~"):
            raise InputError(
                f"config: {name} {value!r}: a shell does not put your home folder in place of that ~; write"
                " the path in full"
            )
    root = Path(parsed.root)
    if blocked := next(
        (folder for folder in root.parents if os.path.lexists(folder) and not folder.is_dir()), None
    ):
        raise InputError(f"config: root {root}: {blocked} is no folder; set another root")
    for folder in (root, *(root / name for name in ("dataset", *WRITTEN))):
        if os.path.lexists(folder) and not folder.is_dir():
            raise InputError(
                f"config: {folder} is {'a link to nothing' if folder.is_symlink() else 'a file'}, need a"
                " folder there; set another root"
            )
    for section in (parsed, parsed.body, parsed.separation, parsed.transcripts):
        for name, value in section:
            if isinstance(value, str) and (odd := re.search(r"[{}\x00-\x1f\x7f]", value)):
                raise InputError(
                    f"config: {name} {value!r} has {odd[0]!r}, which stands for a wildcard or ends a line in"
                    " Snakemake; rename the folder or file"
                )


def _need_all(paths: list[str], key: str, hint: str) -> None:
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise InputError(
            f"config: {key} needs {missing[0]}, which is not"
            f" there{f' (and {len(missing) - 1} more)' if missing[1:] else ''}; {hint}"
        )


def _end(line: str) -> NoReturn:
    print(f"error: {line}", file=sys.stderr)
    sys.exit(2)


opened: Study | None = None
"""The study that was opened last, for the first page of its report, which Snakemake renders without
arguments.
"""


def open_study(values: dict) -> Study:
    """The study of a config dict; a user's mistake ends the program with one line and exit code 2."""
    global opened
    try:
        study = Study(values)
        study.split, study.shards, study.lip_acc  # noqa: B018 - read now, so that mistakes in the tables show before any job starts
        study.check_named_files()
        if study.config.shoot:
            check_shoot(Path(study.shoot), study.takes.values())
        study.check_rigs()
        ownership.check(study.claim)
        study.provenance.check(study.inputs.changed() if study.provenance.elsewhere else [], sys.argv)
        study.claim.notes.clear()  # they are said when the run begins
        opened = study
        return study
    except InputError as error:
        _end(str(error))
