"""Where takes to look at come from: a run, a dataset, a release, generated motion, or a folder of files.

In: a folder. A run has `dataset/`, and what models made of its test takes in `results/generated/<row>/`;
everything else is a folder with `bvhs/` and, where there are some, `face_arkit/`, `wav/` and `rigs/`. Out:
names of takes, and a take as a Scene at 30 fps. Nothing is written, and no body is read before it is asked
for.
"""

import argparse
import difflib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.formats import ict
from pipeline.formats.people import load_people
from pipeline.formats.rig_file import Rig, load_rig
from pipeline.formats.takes import Take, dataset_takes, is_performance, listed_takes
from pipeline.ids import ID
from pipeline.listing import files_in
from pipeline.motion import rotations
from pipeline.motion.clock import FPS, linear
from pipeline.motion.motion import Motion
from pipeline.release.streams import WIDTHS, read_face
from pipeline.view.scene import CAPTURED, Performance, Person, Scene, Variant, check_finite

log = logging.getLogger("interact")

SAMPLE = "sample-"
"""How folders of further samples begin (models.generate)."""
UNDATED = re.compile(f"00000000_{ID}_{ID}")
"""Performances that have no date."""
RECORD = "generated.json"
"""What models.generate leaves in a folder that it wrote."""


@dataclass(frozen=True)
class Streams:
    """A folder of streams: of what was captured, or one sample of a row.

    bodies: where bodies are that carry the faces of a row without bodies of its own.
    """

    key: str
    label: str
    folder: Path
    bodies: Path | None = None

    def body(self, performance: str) -> Path | None:
        """The body's file, None where there is none."""
        if self.bodies is not None and self.face(performance) is None:
            return None
        path = (self.bodies or self.folder) / "bvhs" / f"{performance}.bvh"
        return path if path.exists() else None

    def face(self, performance: str) -> Path | None:
        """The face's weights, of ARKit where there are some, else of the ICT kit."""
        for kind in WIDTHS:
            path = self.folder / kind / f"{performance}.npy"
            if path.exists():
                return path
        return None


@dataclass(frozen=True)
class Source:
    """Takes of a folder.

    streams: what was captured, and each sample of each row of generated motion; rigs: a folder of
    <actor>.npz, or one .npz for all actors; annotations: labels and words, None where there are none;
    dataset: the folder with tables, None for generated motion alone.
    """

    folder: Path
    streams: tuple[Streams, ...]
    rigs: Path | None = None
    annotations: Path | None = None
    dataset: Path | None = None
    _rigs: dict[str, Rig | None] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def performances(self) -> dict[str, tuple[str, ...]]:
        """Performances of each take, in actor order, by the take's name."""
        if self.dataset is not None and (self.dataset / "takes.tsv").exists():
            return {take.name: take.performances for take in self.listed.values()}
        found: dict[str, list[str]] = {}
        for stream in self.streams:
            for path in files_in(stream.folder / "bvhs", ".bvh"):
                names = found.setdefault(take_of(path.stem), [])
                if path.stem not in names:
                    names.append(path.stem)
        crowded = next((take for take, names in found.items() if len(names) > 2), None)
        if crowded:
            raise InputError(
                f"{self.folder}: take {crowded} has {len(found[crowded])} bodies"
                f" ({', '.join(sorted(found[crowded]))}), need one or two; move the others elsewhere"
            )
        return {take: tuple(sorted(names)) for take, names in sorted(found.items())}

    @cached_property
    def listed(self) -> dict[str, Take]:
        """Takes of the dataset's takes.tsv by name, those that it excludes left out; empty without one."""
        if self.dataset is None:
            return {}
        table = self.dataset / "takes.tsv"
        if table.exists():
            return {name: t for name, t in listed_takes(table).items() if t.row["exclude"] != "yes"}
        if (self.dataset / "scenarios.db").exists():
            return {take.name: take for take in dataset_takes(self.dataset)}
        return {}

    @property
    def takes(self) -> list[str]:
        """Names of all takes, in name order."""
        return sorted(self.performances)

    def need_take(self, take: str) -> None:
        """InputError that names the nearest take where there is none of a name."""
        if take not in self.performances:
            raise InputError(f"{self.folder}: {missing_take(take, self.takes)}")

    def rig(self, actor: str) -> Rig | None:
        """An actor's rig, read once; None where there is none."""
        if actor not in self._rigs:
            path = self.rigs if self.rigs is None or self.rigs.is_file() else self.rigs / f"{actor}.npz"
            self._rigs[actor] = load_rig(path) if path is not None and path.exists() else None
        return self._rigs[actor]

    def voice(self, performance: str) -> Path | None:
        """The voice of a performance, None where there is none."""
        folders = [self.dataset] if self.dataset else []
        for folder in [*folders, *(stream.folder for stream in self.streams)]:
            path = folder / "wav" / f"{performance}.wav"
            if path.exists():
                return path
        return None

    def files(self, take: str) -> list[Path]:
        """Files that a scene of the take is made of, in a fixed order: what a cache depends on."""
        self.need_take(take)
        paths = []
        for name in self.performances[take]:
            for stream in self.streams:
                paths += [stream.body(name), stream.face(name)]
            paths.append(self.voice(name))
        return [path for path in paths if path is not None]

    def scene(self, take: str, keys: Sequence[str] | None = None) -> Scene:
        """A take with the variants of `keys`, all that there are by default.

        Bodies at another rate are brought to 30 fps. What is longer than the shortest body or face of the
        take is left out at its end, and noted.
        """
        self.need_take(take)
        names = self.performances[take]
        people = tuple(
            Person(actor, self.rig(actor), self.voice(name))
            for name, actor in ((name, actor_in(name)) for name in names)
        )
        notes = [
            f"no rig of {person.actor}: body only"
            for person in people
            if person.rig is None and self.faced(names)
        ]
        variants = []
        for stream in self.streams:
            if keys is not None and stream.key not in keys:
                continue
            bodies = [stream.body(name) for name in names]
            if all(bodies):
                if stream.bodies is not None:
                    notes.append(f"{stream.label}: faces alone, on the captured bodies")
                variants.append(Variant(stream.key, stream.label, _performances(stream, names)))
            elif any(bodies) or any(stream.face(name) for name in names):
                lacking = next(name for name, body in zip(names, bodies) if body is None)
                notes.append(f"{stream.label}: left out, it has no body of {lacking}")
        if keys is not None:
            known = [variant.key for variant in variants]
            for key in keys:
                if key not in known:
                    there = ", ".join(self.keys(take)) or "none"
                    raise InputError(
                        f"take {take}: no variant {key!r}, there are: {there}; correct the command"
                    )
        if not variants:
            raise InputError(
                f"{self.folder}: no body of take {take} is there; give a folder that has its bvhs/"
            )
        lengths = {
            f"{v.label}, {part} of {person.actor}": length
            for v in variants
            for person, p in zip(people, v.performances)
            for part, length in (
                ("body", p.motion.num_frames),
                ("face", None if p.face is None else len(p.face)),
            )
            if length is not None
        }
        num_frames = min(lengths.values())
        longer = {name: n - num_frames for name, n in lengths.items() if n > num_frames}
        if longer:
            name, more = max(longer.items(), key=lambda item: item[1])
            notes.append(f"cut to the shortest, {num_frames} frames: {name} has {more} more")
        for note in notes:
            log.warning("%s: %s", take, note)
        return Scene(
            take, float(FPS), num_frames, people, tuple(_cut(v, num_frames) for v in variants), tuple(notes)
        )

    def faced(self, names: Sequence[str]) -> bool:
        """Whether there are weights of a face for any of the performances."""
        return any(stream.face(name) for stream in self.streams for name in names)

    def keys(self, take: str) -> list[str]:
        """Keys of the variants that a take has, without reading a body."""
        self.need_take(take)
        names = self.performances[take]
        return [stream.key for stream in self.streams if all(stream.body(name) for name in names)]


def missing_take(take: str, takes: Sequence[str]) -> str:
    """What is said where a take is not among others, with the nearest of them."""
    near = difflib.get_close_matches(take, takes, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"there are {len(takes)}; name one of them"
    return f"no take {take!r:.80}; {hint}"


def take_of(name: str) -> str:
    """The take that a performance is of; any other name is a take of its own."""
    return "_".join(name.split("_")[::2]) if _is_performance(name) else name


def actor_in(name: str) -> str:
    """The actor of a performance; any other name is its own."""
    return name.split("_")[1] if _is_performance(name) else name


def _is_performance(name: str) -> bool:
    """Whether a name is a performance's: also without a date, as models.generate makes them of voices."""
    return is_performance(name) or bool(UNDATED.fullmatch(name))


def at_fps(motion: Motion, fps: float) -> Motion:
    """The motion at another rate, frame 0 kept: between two frames rotations by slerp, places straight."""
    if abs(motion.fps - fps) < 1e-3:
        return motion
    count = int((motion.num_frames - 1) * fps / motion.fps + 1e-6) + 1
    index = np.arange(count) * motion.fps / fps
    return replace(
        motion,
        fps=fps,
        positions_cm=linear(motion.positions_cm, index),
        rotations=rotations.slerp(motion.rotations, index),
        claimed_frames=None,
    )


def _performances(stream: Streams, names: Sequence[str]) -> tuple[Performance, ...]:
    bodies = [path for name in names if (path := stream.body(name))]
    result = []
    for name, path, motion in zip(names, bodies, load_people(bodies)):
        weights_file = stream.face(name)
        face = None if weights_file is None else read_face(weights_file)
        if face is not None and weights_file is not None and weights_file.parent.name == "face_ict":
            face = ict.to_arkit(face)
        check_finite(motion, face, path, weights_file)
        result.append(Performance(at_fps(motion, float(FPS)), face))
    return tuple(result)


def _cut(variant: Variant, num_frames: int) -> Variant:
    cut = slice(0, num_frames)
    return replace(
        variant,
        performances=tuple(
            Performance(p.motion.frames(cut), None if p.face is None else p.face[cut])
            for p in variant.performances
        ),
    )


def _samples(folder: Path, key: str, label: str) -> list[Streams]:
    """The streams of a folder of generated motion: the first sample, then those in sample-01, ..."""
    more = sorted(path for path in files_in(folder) if path.is_dir() and path.name.startswith(SAMPLE))
    found = [Streams(key, label, folder)]
    for path in more:
        number = path.name.removeprefix(SAMPLE).lstrip("0") or "0"
        found.append(Streams(f"{key}/{path.name}", f"{label}, sample {number}", path))
    return found


def _row(folder: Path) -> list[Streams]:
    return _samples(folder, folder.name, folder.name.replace("_", " "))


def open_source(folder: Path, *, generated: Sequence[Path] = (), rigs: Path | None = None) -> Source:
    """The takes of a folder; InputError where it holds none.

    generated: further folders that models.generate wrote, a row each; rigs: in place of the folder's own.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; give the root of a run, a dataset, or a folder with bvhs/"
        )
    rows = [stream for path in generated for stream in _row(path)]
    annotations = dataset = None
    if (folder / "dataset" / "bvhs").is_dir():
        dataset = folder / "dataset"
        streams = [Streams(CAPTURED, "captured", dataset)]
        made = folder / "results" / "generated"
        if made.is_dir():
            rows = [s for path in files_in(made) if (path / RECORD).exists() for s in _row(path)] + rows
        annotations = folder / "annotations"
    elif (folder / RECORD).exists():
        streams = _row(folder)
    elif (folder / "bvhs").is_dir():
        dataset = folder
        streams = [Streams(CAPTURED, "captured", folder)]
        annotations = folder / "annotations"
    else:
        raise InputError(
            f"{folder}: neither dataset/bvhs/ nor bvhs/ is in it; give the root of a run, a dataset, a"
            " release or a folder with bvhs/"
        )
    if dataset is not None:
        rows = [row if (row.folder / "bvhs").is_dir() else replace(row, bodies=dataset) for row in rows]
    own = (dataset or folder) / "rigs"
    source = Source(
        folder,
        tuple(streams + rows),
        rigs or (own if own.is_dir() else None),
        annotations if annotations is not None and annotations.is_dir() else None,
        dataset,
    )
    if not source.takes:
        raise InputError(f"{folder}: no .bvh in its bvhs/; give a folder that has some")
    return source


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that say where takes come from: what `open_source` asks for."""
    parser.add_argument(
        "--source",
        type=Path,
        default=Path("data"),
        help="root of a run, dataset, release, or folder with bvhs/ (default: data)",
    )
    parser.add_argument(
        "--generated",
        type=Path,
        nargs="+",
        default=[],
        help="further folders that models.generate wrote, a row each",
    )
    parser.add_argument(
        "--rigs", type=Path, help="folder of <actor>.npz, or one .npz for all; the source's own by default"
    )
