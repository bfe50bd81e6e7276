"""Facts of a study: what a config says with its tables and files of takes, actors, rigs, split and shards.

Light: nothing heavier than pydantic is imported here.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from models import recipes
from pipeline import config, ownership
from pipeline.annotate import split
from pipeline.errors import InputError
from pipeline.formats import streams
from pipeline.formats.ict import is_ict_rig
from pipeline.formats.pretrained import PACKAGES
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
from pipeline.motion.joints import joint_map_file
from pipeline.planning.code import REPOSITORY, all_code, code
from pipeline.planning.paths import PATHS, WRITTEN, check_paths, spelled
from pipeline.planning.provenance import Provenance
from pipeline.planning.raw_inputs import RawInputs
from pipeline.planning.runs import PlannedRow, PlannedRun, plan_rows, plan_runs, with_needs, without_lips
from pipeline.reading import read_json
from pipeline.shards import plan as shard_plan
from pipeline.simulate import passages
from pipeline.simulate import plan as simulate_plan

LIP_SHARDS = "lip_shards"
"""Folder of the lip-accurate set as a shard."""
SEEING = ("lips", "visualvoice")
"""Separation methods that see faces: pipeline.capture.separation_neural."""


class Facts:
    """One configuration with the takes that it speaks of and the plans that are frozen under its root."""

    def __init__(self, values: dict):
        self.config = config.parse(values)
        check_paths(self.config)
        self.config = self.config.model_copy(
            update={key: spelled(value) for key in PATHS if (value := getattr(self.config, key))}
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
            self.root, self.config.model_dump(mode="json", exclude=set(PATHS)), all_code()
        )
        folders = {key: value for key in ("shoot", "dataset") if (value := getattr(self.config, key))}
        recorded = Path(self.root, ".interact", "inputs.json")
        self.inputs = RawInputs(recorded, self._recorded, folders, elsewhere=self.provenance.elsewhere)
        if not self.lip_acc:
            self.config = without_lips(self.config)

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
        """The takes.tsv that says which takes there are: the shoot's, or the one that a download gets."""
        return f"{self.dataset if self.config.dataset else self.shoot}/takes.tsv"

    @cached_property
    def take_of(self) -> dict[str, Take]:
        """The take of each performance."""
        return {name: take for take in self.takes.values() for name in take.performances}

    @cached_property
    def cautions(self) -> list[str]:
        """What a run and status warn of beside the logs.

        Recordings of a shoot that no row names, actors without a gender.
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
        if self.config.shoot:
            return shoot_lip_acc(Path(self.shoot))
        rows = passages.plan_lips(self.config.simulate.lip_passages, self.config.seed)
        return {row.performance: row for row in map(LipRow.model_validate, rows)}

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
        """Performances of a shoot whose actor's rig has the ICT kit's topology: they get face_ict as well."""
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
        """Path of a raw stream of a performance.

        Kind bvh, wav, or face (the form that is there, else .mesh.h5).
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

    @property
    def separation_files(self) -> list[str]:
        """What the separation method reads beside the take.

        The weights of its network, and the networks' code.
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

    @cached_property
    def genders(self) -> list[str]:
        """The dataset's actors.db, which says who is male and female; none where a download lacks it."""
        lacks = self.config.dataset and not Path(self.config.dataset, "actors.db").exists()
        return [] if lacks else [f"{self.dataset}/actors.db"]

    @cached_property
    def templates(self) -> bool:
        """Whether actors get rigs of their own.

        Those of the ICT kit, which `rig` names, on the download's neutral heads.
        """
        if not (self.config.dataset and self.config.rig and is_ict_rig(Path(self.config.rig))):
            return False
        return all(
            Path(self.config.dataset, "face_ict_templates", f"{actor}.obj").exists() for actor in self.actors
        )

    def rig(self, actor: str) -> str:
        """The rig of an actor that the annotations half reads.

        Made on the actor's template, the config's `rig`, or the dataset's own.
        """
        if self.templates:
            return f"{self.dataset}/rigs/{actor}.npz"
        return self.config.rig or f"{self.config.dataset or self.dataset}/rigs/{actor}.npz"

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
        digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
        return f"{self.root}/shards/speech-{digest[:8]}"

    @cached_property
    def lip_speech_folder(self) -> str:
        """Folder of the speech sidecars of the lip-accurate set."""
        return f"{self.root}/{LIP_SHARDS}/{Path(self.speech_folder).name}"

    @cached_property
    def speech_weights(self) -> list[str]:
        """Files of the speech encoder in a folder of the user's.

        What they say changes without a change of name.
        """
        folder = Path(self.config.speech.model)
        return sorted(
            str(path)
            for path in folder.glob("*")
            if path.suffix in (".safetensors", ".json") or path.name == "model.bin"
        )

    @cached_property
    def runs(self) -> dict[str, PlannedRun]:
        """All runs of the config by name."""
        return plan_runs(self.config)

    @cached_property
    def rows(self) -> list[PlannedRow]:
        """The rows of the table that trained models make."""
        return plan_rows(self.config, self.runs)

    @cached_property
    def shown_row(self) -> PlannedRow | None:
        """The row whose motion is drawn beside the real one: the first with whole people."""
        return next((row for row in self.rows if row.makes == recipes.FINAL), None)

    def row_folder(self, row: PlannedRow) -> str:
        """Where a row's samples of the test takes lie."""
        return f"{self.root}/results/generated/{row.folder}"

    @cached_property
    def needed_runs(self) -> list[str]:
        """The runs that the rows are made of, and those that these need."""
        return with_needs((run.name for row in self.rows for run in row.runs), self.runs)

    @cached_property
    def needed_trainings(self) -> list[str]:
        """Of the needed runs those that are trained, and not put together of others."""
        return [name for name in self.needed_runs if not self.runs[name].swap]

    @cached_property
    def speech_files(self) -> list[str]:
        """The speech sidecars of all shards and their moments."""
        return [
            f"{self.speech_folder}/{name}"
            for name in [*(f"{shard}.h5" for shard in self.shards), "stats.json"]
        ]

    @cached_property
    def split(self) -> dict[str, str]:
        """train or test by take: what split.tsv has frozen, and the rule for takes that it does not know."""
        path = Path(self.root, "annotations/split.tsv")
        frozen = read_split(path) if path.exists() else {}
        keys = ("actor_a", "actor_b", "relationship", "emotion", "split")
        rows = [{"take": take.name, **{key: take.row[key] for key in keys}} for take in self.takes.values()]
        return split.assign(
            rows,
            frozen,
            test_share=self.config.split.test_share,
            test_actors=self.config.split.test_actors,
            seed=self.config.seed,
        )

    @cached_property
    def test_takes(self) -> list[str]:
        """Names of the takes that are held out."""
        return [name for name in self.takes if self.split[name] == "test"]

    @cached_property
    def test_performances(self) -> list[str]:
        """Performances of the takes that are held out."""
        return [name for take in self.test_takes for name in self.takes[take].performances]

    @cached_property
    def shown_takes(self) -> list[str]:
        """Takes that pictures and pages show: the held-out ones, and the first of the others."""
        return self.test_takes + [name for name in self.takes if name not in self.test_takes][:1]

    @cached_property
    def shards(self) -> dict[str, list[str]]:
        """Takes of each shard, by shard name: what plan.json has frozen, and new shards for new takes."""
        frozen = shard_plan.read_plan(Path(self.root, "shards/plan.json"))
        groups = shard_plan.plan(list(self.takes), frozen, self.config.shards.takes_per_shard)
        return {f"shard-{i:03d}": group for i, group in enumerate(groups) if group}
