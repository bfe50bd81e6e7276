"""The shard format, in the one module that owns it.

HDF5 files of whole takes end to end on one time line, their reader, and sidecars.

In: shard-*.h5. Out: Shard, whose datasets are arrays on disk until they are sliced.

N frames at 30 fps, two actors in id order, S samples at 16 kHz, W words: body (N, 2, 3 J) radians, root (N,
2, 4) cm and radians, face (N, 2, 51), mel (N, 2, M), action (N, 2), facing (N, 2), text_index (N, 2) row of
text or -1, text (W, D), audio (S, 2), the table `takes`, and `skeletons/{performance}`. docs/shards.md
describes each field.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats import arkit, hdf5_layout
from pipeline.formats.array_files import open_hdf5
from pipeline.ids import ABSENT, check_id, check_ids
from pipeline.motion.clock import AUDIO_RATE, FPS, sample_of
from pipeline.motion.pose import Skeleton
from pipeline.reading import read_json, reading

FORMAT_VERSION = 2
"""1 held relationship and emotion of takes as well: a corrected label made another shard, or none."""
STREAMS = {
    "body": "f4",
    "root": "f4",
    "face": "f4",
    "mel": "f4",
    "action": "u1",
    "facing": "u1",
    "text_index": "i4",
}
"""Datasets with one row per frame and actor, and their types."""
UNITS = {
    "body": "rad",
    "root": "cm, cm, cm, rad",
    "face": "ARKit weight",
    "mel": "ln power",
    "action": "0 sit, 1 walk, 2 stand",
    "facing": "1 faces the partner",
    "text_index": "row of text, -1 silence",
    "text": "embedding",
    "audio": "full scale, 16 kHz",
}
SPLITS = ("train", "test")
SIDECAR_VERSION = 1
ALIGNMENT = 64
"""Datasets begin at multiples of this many bytes, so that they can be memory-mapped."""
_BUILD = "build it again (python -m pipeline.shards.build)"
_SPEAK = "write it again (python -m pipeline.shards.speech)"


@dataclass(frozen=True)
class TakeSpan:
    """A take's row in a shard: who, split, and where it lies on the shard's frames and samples.

    What was said of its scene is in index.parquet.
    """

    take: str
    actor_a: str
    actor_b: str
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


def spans_json(spans: Sequence[tuple[str, int, int]]) -> str:
    """Takes with their first frame and the frame after their last.

    A sidecar keeps them to know its shard by.
    """
    return json.dumps([list(span) for span in spans])


_FOLDERS = {"face": "dataset/face_arkit", "action": "annotations/actions", "facing": "annotations/facing"}
_FEATURES = ("body", "root", "mel", "audio")


def files_of(span: TakeSpan, stream: str) -> list[str]:
    """Files of a take that its rows of a stream are made of, by the names of `sources`.

    One of each actor, one of both, or none of the take's own. Of a reading (its partner is absent) the face
    or the voice of who reads.
    """
    if span.actor_a == ABSENT:
        date, scenario = span.take.split("_")
        name = f"{date}_{span.actor_b}_{scenario.removesuffix(f'-{span.actor_b}')}"
        own = {"face": [f"face_arkit/{name}.npy"]} | dict.fromkeys(("mel", "audio"), [f"wav/{name}.wav"])
        return [f"dataset/lip_acc/{path}" for path in own.get(stream, [])]
    if stream in _FEATURES:
        return [f"features/{span.take}.h5"]
    return [f"{_FOLDERS[stream]}/{name}.npy" for name in span.performances] if stream in _FOLDERS else []


def _shape_of(joints: int) -> dict[str, tuple[int | None, ...]]:
    """Shape of a row of each stream, None where a shard says it itself."""
    labels: dict[str, tuple[int | None, ...]] = {
        name: (2,) for name in ("action", "facing", "text_index", "audio")
    }
    return {
        "body": (2, 3 * joints),
        "root": (2, 4),
        "face": (2, len(arkit.NAMES)),
        "mel": (2, None),
        "text": (None,),
    } | labels


def _check_attributes(given: dict[str, Any], path: Path) -> None:
    """InputError for another format version, ValueError for root attributes that are not those of a shard."""
    version = given.get("format_version")
    if version is None or hdf5_layout.whole_number(version, "format_version") != FORMAT_VERSION:
        raise InputError(
            f"{path}: format version {version!s:.20}, this code reads {FORMAT_VERSION}; {_BUILD}"
        )
    for name in ("joint_names", "parents", "arkit_names", "fps", "source_sha256"):
        if name not in given:
            raise ValueError(f"no attribute {name}")
    joints, parents = hdf5_layout.texts(given["joint_names"], "joint_names"), np.asarray(given["parents"])
    if len(set(joints)) < len(joints):
        raise ValueError("a name stands twice in joint_names")
    if (
        parents.shape != (len(joints),)
        or parents.dtype.kind not in "iu"
        or not all(-1 <= parent < i for i, parent in enumerate(parents.tolist()))
    ):
        raise ValueError(
            f"parents are {parents.tolist()!s:.60}, need a joint before it for each of {len(joints)}, -1 for"
            " none"
        )
    if hdf5_layout.texts(given["arkit_names"], "arkit_names") != list(arkit.NAMES):
        raise ValueError("arkit_names are not the 51 names of ARKit in their order")
    for name, need in (("fps", FPS), ("audio_rate", AUDIO_RATE)):
        if not np.array_equal(np.reshape(given.get(name, need), -1), [need]):
            raise ValueError(f"{name} is {given[name]!s:.40}, need {need}")
    for name in (
        "source_sha256",
        "text_model",
        "text_model_sha256",
        "feature_names",
        "units",
        "package_version",
    ):
        if name in given:
            hdf5_layout.texts(given[name], name)


def span_faults(takes: Sequence[TakeSpan], rows: dict[str, int]) -> list[str]:
    """Faults of a table of takes.

    Names, gaps, overlaps, wrong sample counts, unknown splits, streams of another length.

    rows: the rows that each of STREAMS and audio has.
    """
    faults, frame, sample = [], 0, 0
    for span in takes:
        try:
            present = [actor for actor in (span.actor_a, span.actor_b) if actor != ABSENT]
            check_ids(present, "actor", f"take {check_id(span.take, 'take', 'table of takes')}")
        except InputError as error:
            faults.append(str(error))
        length = span.stop_frame - span.start_frame
        if span.start_frame != frame or length <= 0:
            faults.append(
                f"take {span.take}: frames {span.start_frame}:{span.stop_frame}, need them to begin at"
                f" {frame} and not be empty"
            )
        if span.start_sample != sample or span.stop_sample - span.start_sample != sample_of(length):
            need = f"{sample}:{sample + sample_of(length)}"
            faults.append(
                f"take {span.take}: samples {span.start_sample}:{span.stop_sample}, need {need} for {length}"
                " frames"
            )
        if not span.actor_a < span.actor_b:
            faults.append(
                f"take {span.take}: actors {span.actor_a} {span.actor_b} are in the wrong order, need them"
                " by id"
            )
        if span.split not in SPLITS:
            faults.append(f"take {span.take}: split is {span.split!r}, need train or test")
        frame, sample = span.stop_frame, span.stop_sample
    names = [span.take for span in takes]
    faults += [
        f"take {name} stands twice" for name in sorted({name for name in names if names.count(name) > 1})
    ]
    needed = dict.fromkeys(STREAMS, frame) | {"audio": sample}
    return faults + [
        f"{name} has {rows[name]} rows, the takes need {need}"
        for name, need in needed.items()
        if rows[name] != need
    ]


class Shard:
    """A shard opened for reading: `shard["body"]` is an array, on disk until it is sliced.

    Uncompressed datasets are memory maps, compressed ones h5py datasets that are opened once per process. An
    instance can be pickled: it travels as its path. A sidecar that is attached brings a further dataset,
    which is read the same way.

    path; takes: list of TakeSpan; joint_names; parents (J,); arkit_names; fps; attributes: root attributes by
    name. Raises InputError for a file that is not in every point that can be seen without its values what
    docs/shards.md describes: format version, attributes, table of takes, and of each stream type, shape,
    layout and place. The values are `validate`'s to check.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        with open_hdf5(self.path, need="shard", fix=_BUILD) as f, reading(self.path, "shard", fix=_BUILD):
            self.attributes = hdf5_layout.attributes(f)
            _check_attributes(self.attributes, self.path)
            self.joint_names = hdf5_layout.texts(self.attributes["joint_names"], "joint_names")
            size, rows = self.path.stat().st_size, _shape_of(len(self.joint_names))
            if f.userblock_size:
                raise ValueError(f"it begins after {f.userblock_size} other bytes")
            columns: dict[str, type] = {
                field.name: str if field.type is str else int for field in fields(TakeSpan)
            }
            self.takes = [TakeSpan(*row) for row in hdf5_layout.table(f, "takes", columns)]
            self._stored = {
                name: hdf5_layout.stored(f, name, STREAMS.get(name, "f4"), row, file_bytes=size)
                for name, row in rows.items()
            }
            if found := span_faults(
                self.takes, {name: place.shape[0] for name, place in self._stored.items()}
            ):
                raise ValueError(
                    "; ".join(found[:3]) + (f"; and {len(found) - 3} more faults" if len(found) > 3 else "")
                )
        self.parents = np.asarray(self.attributes["parents"])
        self.arkit_names = list(arkit.NAMES)
        self.fps = float(FPS)
        self._sidecars: dict[str, Path] = {}
        self._files: dict[Path, Any] = {}
        self._process: int | None = None
        self._open_files = contextlib.ExitStack()
        self._maps: dict[str, np.ndarray] = {}

    def __reduce__(self):
        return _with_sidecars, (self.path, list(self._sidecars.values()))

    def _open(self, path: Path | None = None):
        if self._process != os.getpid():  # a handle does not survive a fork
            self._files, self._process, self._open_files = {}, os.getpid(), contextlib.ExitStack()
        path = path or self.path
        if path not in self._files:
            self._files[path] = self._open_files.enter_context(open_hdf5(path, need="shard", fix=_BUILD))
        return self._files[path]

    def attach(self, path: Path) -> str:
        """Add the dataset of a sidecar (as `write_sidecar` writes it) and give its name.

        InputError where it is none, or another shard's.
        """
        path = Path(path)
        with open_hdf5(path, need="sidecar", fix=_SPEAK) as f, reading(path, "sidecar", fix=_SPEAK):
            given, names = hdf5_layout.attributes(f), list(f)
            version = given.get("sidecar_version")
            if (
                version is None
                or hdf5_layout.whole_number(version, "sidecar_version") != SIDECAR_VERSION
                or len(names) != 1
            ):
                raise InputError(
                    f"{path}: sidecar version {version!s:.20}, this code reads {SIDECAR_VERSION}; write it"
                    " again (python -m pipeline.shards.speech)"
                )
            if given.get("takes") != spans_json(
                [(span.take, span.start_frame, span.stop_frame) for span in self.takes]
            ):
                raise InputError(f"{path}: its takes are not those of {self.path}; {_SPEAK}")
            if (name := names[0]) in self._stored and name not in self._sidecars or not name.isidentifier():
                raise ValueError(
                    f"its stream is called {name!r:.60}, need a name that the shard does not have"
                )
            place = hdf5_layout.stored(f, name, "f2", (2, None), file_bytes=path.stat().st_size)
            if place.shape[0] != self.takes[-1].stop_frame:
                raise ValueError(
                    f"{name} has {place.shape[0]} rows, the takes need {self.takes[-1].stop_frame}"
                )
            if hdf5_layout.whole_number(given.get("width", 0), "width") != place.shape[2]:
                raise ValueError(f"width is {given.get('width')}, {name} has {place.shape[2]}")
        self._sidecars[name], self._stored[name] = path, place
        self._maps.pop(name, None)
        return name

    def sidecar_attributes(self, name: str) -> dict[str, Any]:
        """What an attached sidecar says of its encoder, as plain values."""
        path = self._sidecars[name]
        with reading(path, "sidecar", fix=_SPEAK):
            given = hdf5_layout.attributes(self._open(path))
        return {
            key: value.item() if hasattr(value, "item") else value
            for key, value in given.items()
            if key not in ("sidecar_version", "takes")
        }

    def stream(self, name: str) -> hdf5_layout.Stored:
        """Type and shape of a stream; InputError names those that there are."""
        if name not in self._stored:
            raise InputError(f"{self.path}: no stream {name!r:.60}; it has {', '.join(self._stored)}")
        return self._stored[name]

    def __getitem__(self, name: str):
        if name in self._maps:
            return self._maps[name]
        place, path = self.stream(name), self._sidecars.get(name, self.path)
        if place.offset is not None:
            # mode c: the file is only read, what is written to the array stays in this process; torch takes
            # no read-only memory. A plain array, since memmap's own slices cost more than small ones of the
            # data
            with reading(path, "shard", fix=_BUILD):
                self._maps[name] = np.asarray(np.memmap(path, place.dtype, "c", place.offset, place.shape))
            return self._maps[name]
        dataset = self._open(path)[name]
        if (dataset.dtype, dataset.shape) != (place.dtype, place.shape):
            raise InputError(f"{path}: {name} has changed since it was opened; open it again")
        return dataset if dataset.size else dataset[()]

    @property
    def sources(self) -> dict[str, str]:
        """SHA-256 of every file that the shard was built from, by name.

        A name is `<half>/<path within it>`, half dataset, annotations or features.

        InputError where it lists none or something else.
        """
        with reading(self.path, "shard", fix=_BUILD):
            rows = hdf5_layout.table(self._open(), "sources", {"file": str, "sha256": str})
            if odd := next((digest for _, digest in rows if not re.fullmatch("[0-9a-f]{64}", digest)), None):
                raise ValueError(f"sources: sha256 is {odd!r:.80}, need 64 hexadecimal digits")
            return {hdf5_layout.relative_path(name, "a file of sources"): digest for name, digest in rows}

    def origin(self, streams: Iterable[str], takes: Sequence[TakeSpan]) -> list[list[str]]:
        """Files, with their SHA-256, that the rows of these streams of these takes were made of.

        A shard that lists no sources has one for all.

        The words of a shard are one file.
        """
        if "sources" not in self._open():
            return [["", hdf5_layout.texts(self.attributes["source_sha256"], "source_sha256")[0]]]
        found, listed = (
            {name for span in takes for stream in streams for name in files_of(span, stream)},
            self.sources,
        )
        words = (
            {name for name in listed if name.endswith(".text.h5")} if takes and "text" in streams else set()
        )
        return [[name, digest] for name, digest in sorted(listed.items()) if name in found | words]

    def skeleton(self, performance: str) -> Skeleton:
        """The skeleton of a performance, on the shard's joints.

        InputError where the shard has none that fits.
        """
        count = len(self.joint_names)
        with reading(self.path, f"shard, skeleton of {performance}", fix=_BUILD):
            group = hdf5_layout.hard_link(hdf5_layout.hard_link(self._open(), "skeletons"), performance)
            offsets, ends = (
                hdf5_layout.numbers(group, name, (count, 3)) for name in ("offsets_cm", "ends_cm")
            )
            orders = hdf5_layout.texts(hdf5_layout.attributes(group).get("orders"), "orders")
            if len(orders) != count or not all(sorted(order) == ["x", "y", "z"] for order in orders):
                raise ValueError(
                    f"orders are {orders!s:.60}, need one of x, y and z for each of {count} joints"
                )
            if not np.isfinite(offsets).all():
                raise ValueError("offsets_cm has values that are not finite")
        tips = {int(j): ends[j] for j in np.flatnonzero(np.isfinite(ends).all(1))}
        return Skeleton(self.joint_names, self.parents, offsets, tips, orders)

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


def write_sidecar(
    out: Path, stream: str, lengths: dict[str, int], features: Iterable[tuple[np.ndarray, dict]]
) -> None:
    """Write the features of takes end to end, one take in memory at a time.

    lengths: frames of each take, in the shard's order; features: of each take the values (N, 2, E) float16
    and what describes the encoder.
    """
    import h5py

    layout = {
        "libver": ("earliest", "v110"),
        "alignment_threshold": ALIGNMENT,
        "alignment_interval": ALIGNMENT,
    }
    ends = np.cumsum([0, *lengths.values()]).tolist()
    with whole(out) as temporary, h5py.File(temporary, "w", **layout) as f:
        for i, (values, described) in enumerate(features):
            if not i:
                f.create_dataset(stream, (ends[-1], *values.shape[1:]), "f2")
                for key, value in (described | {"width": values.shape[2]}).items():
                    f.attrs[key] = value
            f[stream][ends[i] : ends[i + 1]] = values
        f.attrs["sidecar_version"], f.attrs["takes"] = (
            SIDECAR_VERSION,
            spans_json(list(zip(lengths, ends, ends[1:]))),
        )


def shard_paths(folder: Path) -> list[Path]:
    """The shard files of a folder, by number; InputError where there is none."""
    paths = sorted(Path(folder).glob("shard-*.h5"))
    if not paths:
        raise InputError(f"{folder}: no shard-*.h5; build shards first (python -m pipeline.shards.build)")
    return paths


def open_shards(folder: Path) -> list[Shard]:
    """All shards of a folder, by number, which are alike and hold each take once."""
    return check_alike([Shard(path) for path in shard_paths(folder)])


def check_alike(shards: list[Shard]) -> list[Shard]:
    """The shards themselves; InputError where two of them hold the same take or differ in their joints."""
    seen: dict[str, Shard] = {}
    if len({id(shard) for shard in shards}) < len(shards):
        raise InputError("shards: the same one stands twice in the list, need each once")
    for shard in shards:
        if shard.joint_names != shards[0].joint_names:
            raise InputError(
                f"{shard.path}: its joints differ from those of {shards[0].path}; build both from one dataset"
            )
        for span in shard.takes:
            if (other := seen.setdefault(span.take, shard)) is not shard:
                raise InputError(
                    f"{shard.path}: take {span.take} is in {other.path} as well; build both from one plan"
                )
    return shards


def read_stats(path: Path) -> dict[str, Any]:
    """stats.json of shards or of sidecars: numbers and texts, and of each stream mean and std.

    InputError where it is none.
    """
    fix = "write it again (python -m pipeline.shards.stats, or python -m pipeline.shards.speech_stats)"
    stats = read_json(path, kind=dict, fix=fix)
    for name, value in stats.items():
        if not isinstance(value, dict) or name == "encoder":
            continue
        means, deviations = value.get("mean"), value.get("std")
        if not (isinstance(means, list) and isinstance(deviations, list) and len(means) == len(deviations)):
            raise InputError(f"{path}: {name} has no mean and std of one length; {fix}")
        if odd := [
            number
            for number in (*means, *deviations)
            if not isinstance(number, (int, float)) or isinstance(number, bool)
        ]:
            raise InputError(f"{path}: {name} holds {odd[0]!r:.60}, need numbers; {fix}")
    return stats


def text_frames(actor: np.ndarray, start: np.ndarray, end: np.ndarray, num_frames: int) -> np.ndarray:
    """Row of the word that each actor says at each frame, (N, 2) int32, -1 in silence.

    A word holds the frames from round(30 start) up to round(30 end), at least one; where two overlap, the
    later holds.
    """
    index = np.full((num_frames, 2), -1, np.int32)
    first = np.floor(np.asarray(start) * FPS + 0.5).astype(int)
    last = np.maximum(np.floor(np.asarray(end) * FPS + 0.5).astype(int), first + 1)
    for row in range(len(first)):
        index[first[row] : last[row], actor[row]] = row
    return index
