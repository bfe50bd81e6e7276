"""The shard format, in the one module that owns it: HDF5 files of whole takes end to end on one time line, their reader, and sidecars.

In: shard-*.h5. Out: Shard, whose datasets are arrays on disk until they are sliced.

N frames at 30 fps, two actors in id order, S samples at 16 kHz, W words: body (N, 2, 3 J) radians, root (N, 2, 4) cm and
radians, face (N, 2, 51), mel (N, 2, M), action (N, 2), facing (N, 2), text_index (N, 2) row of text or -1, text (W, D),
audio (S, 2), the table `takes`, and `skeletons/{performance}`. docs/shards.md describes each field.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.clock import FPS
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.ids import check_id, check_ids
from pipeline.pose import Skeleton

FORMAT_VERSION = 1
STREAMS = {"body": "f4", "root": "f4", "face": "f4", "mel": "f4", "action": "u1", "facing": "u1", "text_index": "i4"}
"""Datasets with one row per frame and actor, and their types."""
UNITS = {
    "body": "rad", "root": "cm, cm, cm, rad", "face": "ARKit weight", "mel": "ln power", "action": "0 sit, 1 walk, 2 stand",
    "facing": "1 faces the partner", "text_index": "row of text, -1 silence", "text": "embedding", "audio": "full scale, 16 kHz",
}  # fmt: skip
SIDECAR_VERSION = 1
ALIGNMENT = 64
"""Datasets begin at multiples of this many bytes, so that they can be memory-mapped."""


@dataclass(frozen=True)
class TakeSpan:
    """A take's row in a shard: who, what, split, and where it lies on the shard's frames and samples."""

    take: str
    actor_a: str
    actor_b: str
    relationship: str
    emotion: str
    split: str
    start_frame: int
    stop_frame: int
    start_sample: int
    stop_sample: int

    @property
    def performances(self) -> tuple[str, str]:
        """Names of the two performances, `<date>_<actor>_<scenario>`, in actor order."""
        date, scenario = self.take.split("_")
        return f"{date}_{self.actor_a}_{scenario}", f"{date}_{self.actor_b}_{scenario}"


TAKE_FIELDS = [field.name for field in fields(TakeSpan)]


def _span(row: tuple, path: Path) -> TakeSpan:
    """A take from its row of the table `takes` of a shard; InputError for ids that are none: they become names of files."""
    values: list[Any] = [value.decode(errors="replace") if isinstance(value, bytes) else int(value) for value in row]
    span = TakeSpan(*values)
    fix = "it is no shard of ours: build it again (python -m pipeline.shards build)"
    check_id(span.take, "take", path, fix=fix)
    check_ids((span.actor_a, span.actor_b), "actor", f"{path}, take {span.take}", fix=fix)
    return span


def spans_json(spans: Sequence[tuple[str, int, int]]) -> str:
    """Takes with their first frame and the frame after their last, as a sidecar keeps them to know its shard by."""
    return json.dumps([list(span) for span in spans])


class Shard:
    """A shard opened for reading: `shard["body"]` is an array, on disk until it is sliced.

    Uncompressed datasets are memory maps, compressed ones h5py datasets that are opened once per process. An instance
    can be pickled: it travels as its path. A sidecar that is attached brings a further dataset, which is read the same way.

    path; takes: list of TakeSpan; joint_names; parents (J,); arkit_names; fps; attributes: root attributes by name.
    Raises InputError for a file that is no shard, is cut short or has another format version.
    """

    def __init__(self, path: Path):
        import h5py

        self.path = Path(path)
        try:
            with h5py.File(self.path, "r") as f:
                self.attributes = dict(f.attrs)
                version = self.attributes.get("format_version")
                if version != FORMAT_VERSION:
                    raise InputError(
                        f"{path}: format version {version}, this code reads {FORMAT_VERSION}; build it again (python -m pipeline.shards build)"
                    )
                rows = f["takes"][()]
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; check the path") from None
        except (OSError, KeyError) as error:
            raise InputError(f"{path}: no whole shard ({' '.join(str(error).split())}); build it again (python -m pipeline.shards build)") from None
        self.takes = [_span(row.tolist(), self.path) for row in rows]
        self.joint_names = [str(name) for name in self.attributes["joint_names"]]
        self.parents = np.asarray(self.attributes["parents"])
        self.arkit_names = [str(name) for name in self.attributes["arkit_names"]]
        self.fps = float(self.attributes["fps"])
        self._sidecars: dict[str, Path] = {}
        self._files: dict[Path, Any] = {}
        self._process: int | None = None
        self._maps: dict[str, np.ndarray] = {}

    def __reduce__(self):
        return _with_sidecars, (self.path, list(self._sidecars.values()))

    def _open(self, path: Path | None = None):
        import h5py

        if self._process != os.getpid():  # a handle does not survive a fork
            self._files, self._process = {}, os.getpid()
        path = path or self.path
        if path not in self._files:
            self._files[path] = h5py.File(path, "r")
        return self._files[path]

    def attach(self, path: Path) -> str:
        """Add the dataset of a sidecar (pipeline.sidecars) and give its name; InputError where it is none, or another shard's."""
        path = Path(path)
        try:
            f = self._open(path)
            version, takes, names = f.attrs.get("sidecar_version"), f.attrs.get("takes"), list(f)
        except OSError as error:
            said = " ".join(str(error).split())
            raise InputError(f"{path}: no whole sidecar ({said}); write it (python -m pipeline.speech)") from None
        if version != SIDECAR_VERSION or len(names) != 1:
            raise InputError(f"{path}: sidecar version {version}, this code reads {SIDECAR_VERSION}; write it again (python -m pipeline.speech)")
        if takes != spans_json([(span.take, span.start_frame, span.stop_frame) for span in self.takes]):
            raise InputError(f"{path}: its takes are not those of {self.path}; write it again (python -m pipeline.speech)")
        self._sidecars[names[0]] = path
        self._maps.pop(names[0], None)
        return names[0]

    def sidecar_attributes(self, name: str) -> dict[str, Any]:
        """What an attached sidecar says of its encoder, as plain values."""
        attributes = self._open(self._sidecars[name]).attrs
        return {
            key: value.item() if hasattr(value, "item") else value for key, value in attributes.items() if key not in ("sidecar_version", "takes")
        }

    def __getitem__(self, name: str):
        if name in self._maps:
            return self._maps[name]
        path = self._sidecars.get(name, self.path)
        dataset = self._open(path)[name]
        if dataset.size == 0:
            return dataset[()]
        offset = dataset.id.get_offset()
        if dataset.chunks is not None or offset is None:
            return dataset
        # mode c: the file is only read, what is written to the array stays in this process; torch takes no read-only memory.
        # A plain array, since memmap's own slices cost more than small ones of the data
        self._maps[name] = np.asarray(np.memmap(path, dataset.dtype, "c", offset, dataset.shape))
        return self._maps[name]

    @property
    def sources(self) -> dict[str, str]:
        """SHA-256 of every file that the shard was built from, by name: `<half>/<path within it>`, half dataset, annotations or features."""
        return {row["file"].decode(): row["sha256"].decode() for row in self._open()["sources"][()]}

    def skeleton(self, performance: str) -> Skeleton:
        """The skeleton of a performance, on the shard's joints."""
        group = self._open()[f"skeletons/{performance}"]
        ends = group["ends_cm"][()]
        tips = {int(j): ends[j] for j in np.flatnonzero(np.isfinite(ends).all(1))}
        return Skeleton(self.joint_names, self.parents, group["offsets_cm"][()], tips, [str(order) for order in group.attrs["orders"]])

    def find(self, take: str) -> TakeSpan:
        """The row of a take; InputError names the takes that there are."""
        for row in self.takes:
            if row.take == take:
                return row
        raise InputError(f"{self.path}: no take {take!r}; it has {', '.join(row.take for row in self.takes)}")


def _with_sidecars(path: Path, sidecars: list[Path]) -> Shard:
    shard = Shard(path)
    for beside in sidecars:
        shard.attach(beside)
    return shard


def write_sidecar(out: Path, stream: str, lengths: dict[str, int], features: Iterable[tuple[np.ndarray, dict]]) -> None:
    """Write the features of takes end to end, one take in memory at a time.

    lengths: frames of each take, in the shard's order; features: of each take the values (N, 2, E) float16 and what describes
    the encoder.
    """
    import h5py

    layout = {"libver": ("earliest", "v110"), "alignment_threshold": ALIGNMENT, "alignment_interval": ALIGNMENT}
    ends = np.cumsum([0, *lengths.values()]).tolist()
    with whole(out) as temporary, h5py.File(temporary, "w", **layout) as f:
        for i, (values, described) in enumerate(features):
            if not i:
                f.create_dataset(stream, (ends[-1], *values.shape[1:]), "f2")
                for key, value in (described | {"width": values.shape[2]}).items():
                    f.attrs[key] = value
            f[stream][ends[i] : ends[i + 1]] = values
        f.attrs["sidecar_version"], f.attrs["takes"] = SIDECAR_VERSION, spans_json(list(zip(lengths, ends, ends[1:])))


def shard_paths(folder: Path) -> list[Path]:
    """The shard files of a folder, by number; InputError where there is none."""
    paths = sorted(Path(folder).glob("shard-*.h5"))
    if not paths:
        raise InputError(f"{folder}: no shard-*.h5; build shards first (python -m pipeline.shards build)")
    return paths


def open_shards(folder: Path) -> list[Shard]:
    """All shards of a folder, by number."""
    return [Shard(path) for path in shard_paths(folder)]


def text_frames(actor: np.ndarray, start: np.ndarray, end: np.ndarray, num_frames: int) -> np.ndarray:
    """Row of the word that each actor says at each frame, (N, 2) int32, -1 in silence.

    A word holds the frames from round(30 start) up to round(30 end), at least one; where two overlap, the later holds.
    """
    index = np.full((num_frames, 2), -1, np.int32)
    first = np.floor(np.asarray(start) * FPS + 0.5).astype(int)
    last = np.maximum(np.floor(np.asarray(end) * FPS + 0.5).astype(int), first + 1)
    for row in range(len(first)):
        index[first[row] : last[row], actor[row]] = row
    return index
