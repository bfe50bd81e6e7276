"""What rules ask of a study while the Snakefile is read: every stage's inputs, params, flags and labels.

Light: nothing heavier than pydantic is imported here.
"""

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel

from pipeline import ownership, stage
from pipeline.errors import InputError
from pipeline.formats import streams
from pipeline.formats.shoot_check import check_rig, check_shoot
from pipeline.formats.takes import (
    Take,
    actor_of,
)
from pipeline.motion.joints import shipped_joint_maps
from pipeline.planning.code import code, content
from pipeline.planning.facts import LIP_SHARDS, Facts
from pipeline.planning.paths import need_all
from pipeline.planning.runs import PlannedRow, PlannedRun, with_needs

InputFunction = Callable[..., str | list[str]]


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
    """Params function: the folder `levels` above the first of the input files called `name`.

    Nothing where there are none: a plan without held-out takes ends with its own line (`Study.held_out`).
    """

    def folder(wildcards, input) -> str:
        files = getattr(input, name)
        if not files:
            return ""
        return str(Path(files if isinstance(files, str) else files[0]).parents[levels - 1])

    return folder


class Study(Facts):
    """What rules ask of a study: their input, params and label functions."""

    def reads(self, wildcards, **given) -> str:
        """Params function of every rule: what tells its code and its raw inputs from others.

        Whatever their times say.

        Snakemake looks for changes only of params whose functions do not name `input`: hence `given`.
        """
        found = [
            content(path) or (self.inputs.stamp(path) if self._is_raw(path) else None)
            for path in given["input"]
        ]
        return hashlib.sha256(json.dumps([entry for entry in found if entry]).encode()).hexdigest()[:16]

    def _is_raw(self, path: str) -> bool:
        """Whether a file comes from outside: no rule makes it."""
        return not any(path.startswith(f"{self.root}/{name}/") for name in self.claim.folders)

    def beside_face(self, wildcards) -> list[str]:
        """Input function: what is read along with the raw faces of {take}, or of {performance}.

        Timecodes and descriptions.
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
        """Input function: the raw files of both performances of the take.

        It is {take}, or the take of {performance}.
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
        """Input function: `patterns` for both performances of {performance}'s take, or nothing.

        Nothing where the separation method is another than `method`.

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
            need_all(
                self.joint_map,
                "body.joint_map",
                f"name a table of joint names, or one that comes with it: {', '.join(shipped_joint_maps())}",
            )
        if text:
            need = [f"{text}/{name}.txt" for name in self.performances]
            need_all(need, "transcripts.text", "write what the actor says, or leave transcripts.text out")
        if options.method == "visualvoice" and not self.config.dataset:
            if not options.checkpoints:
                raise InputError(
                    "config: separation.method visualvoice needs separation.checkpoints, the folder that"
                    " python -m models.speech.visualvoice convert writes"
                )
            stems = [f"{self.shoot}/{self.take_of[name].name}/{name}" for name in self.performances]
            hint = "make it with python -m pipeline.capture.mouth_crop, or choose another separation.method"
            need_all(
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

    def of_take(self, pattern: str) -> InputFunction:
        """Input function: `pattern` with {take} filled in by the take of {performance}."""
        return lambda wildcards: pattern.format(take=self._take(wildcards).name)

    def both(self, pattern: str) -> InputFunction:
        """Input function: `pattern` with {performance} filled in for both performances of {take}."""
        return lambda wildcards: [
            pattern.format(performance=name) for name in self._take(wildcards).performances
        ]

    def own_and_partner(self, pattern: str) -> InputFunction:
        """Input function: `pattern` for {performance} and for the other one of its take, in that order."""
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
        """Input function: the file of {performance} of the download's lip-accurate set.

        Kind wav or face as for `download`.
        """
        return lambda wildcards: _downloaded(f"{self.config.dataset}/lip_acc", wildcards.performance, kind)

    def rig_source(self, wildcards, input) -> str:
        """Params function: what models.evaluate takes as --rigs.

        One file for all actors or the folder of their rigs.
        """
        return self.rigs_path(input.rigs)

    @property
    def facing_flags(self) -> str:
        """The rule of the facing labels, by which models.evaluate counts who faces whom."""
        return flags(self.config.facing)

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
        """Input function: what the capture half has reported of {take}.

        For a download what was done to its streams.
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

    def _take(self, wildcards) -> Take:
        return (
            self.take_of[wildcards.performance]
            if hasattr(wildcards, "performance")
            else self.takes[wildcards.take]
        )

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
        """Label function: how the report lists pictures of {take}.

        One label: two of two rows become switches that break the page.
        """
        return {"take": f"{wildcards.take} ({self.split[wildcards.take]})"}

    def generated_of(self, wildcards) -> list[str]:
        """Input function: the generated motion of both performances of {take}.

        Nothing where it is not held out.

        Not all that generate writes: with many takes, Snakemake would spend its time on the product of the
        two lists.
        """
        if wildcards.take not in self.test_takes or not self.shown_row:
            return []
        folder = self.row_folder(self.shown_row)
        kinds = ("bvhs/{performance}.bvh", "face_arkit/{performance}.npy")
        return [name for kind in kinds for name in self.both(f"{folder}/{kind}")(wildcards)]

    def generated(self, row: PlannedRow) -> list[str]:
        """Motion of all test takes that a row makes: what its runs make of face and body, for each sample.

        Sample 0 stands in the row's folder itself, further ones, for the diversity metrics, in sample-01, ...
        """
        return self._generated(row, self.test_takes)

    def all_generated_of(self, wildcards) -> list[str]:
        """Input function: what all rows make of {take}, and their records.

        Nothing where it is not held out.
        """
        rows = self.rows if wildcards.take in self.test_takes else []
        records = [f"{self.row_folder(row)}/generated.json" for row in rows]
        return records + [path for row in rows for path in self._generated(row, [wildcards.take])]

    def row_folders_of(self, wildcards) -> list[str]:
        """Params function: folders of the rows that have motion of {take}: all where it is held out."""
        return [self.row_folder(row) for row in self.rows] if wildcards.take in self.test_takes else []

    def _generated(self, row: PlannedRow, takes: list[str]) -> list[str]:
        kinds = {"body": "bvhs/{}.bvh", "face": "face_arkit/{}.npy"}
        samples = ["", *(f"sample-{i:02d}/" for i in range(1, row.num_samples))]
        names = [name for take in takes for name in self.takes[take].performances]
        return [
            f"{self.row_folder(row)}/{sample}{kinds[kind].format(name)}"
            for kind in row.makes
            for sample in samples
            for name in names
        ]

    def run_of(self, wildcards) -> PlannedRun:
        """The run that {run} names."""
        return self.runs[wildcards.run]

    def trained(self, names: Iterable[str]) -> list[str]:
        """Weights and descriptions of runs by their names."""
        return [
            f"{self.root}/runs/{name}/{file}"
            for name in names
            for file in ("model.safetensors", "model.json")
        ]

    def run_inputs(self, wildcards) -> list[str]:
        """Input function: the runs that {run} is given, and the one that it starts from."""
        return self.trained(self.run_of(wildcards).waits_for)

    def run_code(self, wildcards) -> list[str]:
        """Input function: the code that trains {run}."""
        return code("models.train", f"models.recipes.{self.run_of(wildcards).recipe}", sampling=False)

    def run_shards(self, wildcards) -> list[str]:
        """Input function: the shards that {run} learns from, and their moments."""
        if self.run_of(wildcards).data == "lip_acc":
            return [f"{self.root}/{LIP_SHARDS}/{name}" for name in ("shard-000.h5", "stats.json")]
        return self.shard_files

    def run_speech(self, wildcards) -> list[str]:
        """Input function: the speech sidecars, where {run} hears them, or the encoder that it trains."""
        run = self.run_of(wildcards)
        if run.options.trains_encoder:
            return self.speech_weights
        if run.hears and run.data == "lip_acc":
            return [f"{self.lip_speech_folder}/{name}" for name in ("shard-000.h5", "stats.json")]
        return self.speech_files if run.hears else []

    def run_labels(self, wildcards) -> list[str]:
        """Input function: the index of the shards, which has the takes' labels, where {run} is told any."""
        run = self.run_of(wildcards)
        told = run.is_told_labels and run.data == "takes"  # readings have none
        return [f"{self.root}/shards/index.parquet"] if told else []

    def run_rigs(self, wildcards) -> list[str]:
        """Input function: rigs of the actors whom {run} learns from or is measured on, where it is on rigs.

        Those who read a lip-accurate set may act in no take: theirs are the shoot's.
        """
        run = self.run_of(wildcards)
        if not run.on_rigs:
            return []
        if run.data == "takes":
            return self.take_rigs
        readers = sorted({row.actor for row in self.lip_acc.values()})
        return [
            self.rig(actor) if self.config.dataset else f"{self.shoot}/rigs/{actor}.npz" for actor in readers
        ]

    @property
    def take_rigs(self) -> list[str]:
        """The rigs of all actors of takes."""
        return [self.rig(actor) for actor in self.actors]

    def rigs_path(self, rigs: list[str]) -> str:
        """What stages take as --rigs: one file for all actors, or the folder that these rigs are in."""
        return rigs[0] if self.config.rig and not self.templates else str(Path(rigs[0]).parent)

    def run_flags(self, wildcards) -> str:
        """Params function: what {run} is trained on beside shards, and its options."""
        run = self.run_of(wildcards)
        folder = self.lip_speech_folder if run.data == "lip_acc" else self.speech_folder
        words = ["--speech", folder] if run.hears else []
        if run.options.trains_encoder:
            own = self.config.speech
            words += ["--speech-model", own.model, "--speech-layer", str(own.layer)]
        words += ["--rigs", self.rigs_path(self.run_rigs(wildcards))] if run.on_rigs else []
        words += ["--given", *(f"{self.root}/runs/{name}" for name in run.given)] if run.given else []
        words += ["--start", f"{self.root}/runs/{run.start}"] if run.start else []
        return f"{shlex.join(words)} {flags(run.options)}".strip()

    def row_code(self, row: PlannedRow) -> list[str]:
        """The code that samples a row, and that of the recipes that its runs are given."""
        names = with_needs((run.name for run in row.runs), self.runs)
        return code(
            "models.generate", *sorted({f"models.recipes.{self.runs[name].recipe}" for name in names})
        )

    def row_labels(self, row: PlannedRow) -> list[str]:
        """The index of the shards, where a run of the row is told labels of the takes."""
        told = any(run.is_told_labels for run in row.runs)
        return [f"{self.root}/shards/index.parquet"] if told else []

    def row_rigs(self, row: PlannedRow) -> list[str]:
        """The rigs of all actors of takes, where a run of the row is on rigs."""
        return self.take_rigs if any(run.on_rigs for run in row.runs) else []

    def row_hears(self, row: PlannedRow) -> bool:
        """Whether a run of the row hears the speech encoder."""
        return any(run.hears for run in row.runs)


def _downloaded(folder: str, name: str, kind: str) -> str:
    """A performance's file in a folder of the public release's layout.

    Kind bvh, wav, or face, whichever weights are there.
    """
    if kind != "face":
        return f"{folder}/{'bvhs' if kind == 'bvh' else kind}/{name}.{kind}"
    found = [f"{folder}/{part}/{name}.npy" for part in ("face_arkit", "face_ict")]
    return next((path for path in found if Path(path).exists()), found[0])


def _end(line: str) -> NoReturn:
    print(f"error: {line}", file=sys.stderr)
    sys.exit(2)


opened: Study | None = None
"""The study that was opened last, for the first page of its report.

Snakemake renders it without arguments.
"""


def open_study(values: dict) -> Study:
    """The study of a config dict; a user's mistake ends the program with one line and exit code 2."""
    global opened
    try:
        study = Study(values)
        study.split, study.shards, study.lip_acc, study.rows  # noqa: B018 - read now, so that mistakes in the tables show before any job starts
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
