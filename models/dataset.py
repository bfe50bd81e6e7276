"""Shards as a dataset for training of one's own, with torch or without.

    from models.dataset import Dataset

    dataset = Dataset("data/shards", window=60, stride=10)

In: a folder of shards. Out: items of named tensors; the same as NumPy arrays and as Arrow tables. Nothing
here loads torch before a dataset of tensors is made. docs/shards.md has the table of streams and examples.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from pipeline.errors import InputError
from pipeline.formats.shard_file import SPLITS, Shard, TakeSpan, open_shards, read_stats
from pipeline.formats.shard_index import labels_of
from pipeline.motion.clock import AUDIO_RATE, FPS, sample_of
from pipeline.motion.pose import Skeleton
from pipeline.shards import arrow
from pipeline.shards.streams import DERIVED, STORED, STREAMS, chosen, frame_bytes, frames, row_shape, windows
from pipeline.shards.windows import (
    Memory,
    Place,
    Places,
    actors_of,
    check_actors,
    check_streams,
    num_samples,
    numbers_of,
    speech_folder,
    takes_of,
    whole_number,
)

if TYPE_CHECKING:
    import pyarrow as pa


BLOCK_BYTES = 32 << 20
"""Bytes of the streams in an Arrow batch."""


class Moments(NamedTuple):
    """Mean and standard deviation (C,) of a stream's channels over the train takes, both actors pooled."""

    mean: Any
    std: Any


class Dataset:
    """Windows or whole takes of a folder of shards: `dataset[i]` is a dict of named tensors.

    folder: with shard-*.h5 and, where there are, index.parquet and stats.json
    split: "train", "test", or None for both
    window: frames of an item; None makes an item of each whole take
    stride: frames from one window to the next; by default windows do not overlap
    streams: names of the table below; by default all, but for speech where no folder of it is named
    actors: ids that the item's `actors` counts; by default those of the train takes, sorted
    speech: folder of sidecars; by default, where streams name speech, the only one beside the shards
    arrays: "torch" for tensors, "numpy" for arrays

    T frames at 30 fps, S samples at 16 kHz, J joints; the axis of 2 is the two actors in id order:

    body      (T, 2, 3 J)  float32  exponential map of each joint, rad; the hips' without the heading
    root      (T, 2, 4)    float32  x, y, z in cm and heading in rad
    relative  (T, 2, 4)    float32  step dx and dz as the actor sees it in cm, turn in rad, y in cm
    relation  (T, 2, 4)    float32  partner's x (left) and z (ahead) in cm, sine and cosine of their heading
    face      (T, 2, 51)   float32  ARKit weights
    mel       (T, 2, M)    float32  log-mel
    action    (T, 2)       uint8    0 sit, 1 walk, 2 stand
    facing    (T, 2)       uint8    1 where the actor faces the partner
    text      (T, 2, D)    float32  embedding of the word that the actor says, zeros in silence
    spoken    (T, 2)       bool     whether the actor says a word
    audio     (S, 2)       float32  the actor's own voice
    speech    (T, 2, E)    float32  features of a frozen speech encoder

    Beside its streams an item has

    take, split: names; performances: those of the two
    start_frame, start_sample: where it begins in its take; num_frames, num_samples: T and S
    actors (2,): numbers of the two in `actors`, -1 for who is not among them
    relationship, emotion: labels of the take, where index.parquet has them

    Frame f of an item is at its sample round((start_frame + f) * 16000 / 30) - start_sample. A window holds
    the floor(T * 16000 / 30) samples from its first frame on, a whole take all of its samples.

    Torch's DataLoader takes it, with `collate` and with worker processes. Files are mapped, so memory does
    not grow with the data. InputError says what cannot be.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        split: str | None = "train",
        window: int | None = None,
        stride: int | None = None,
        streams: Sequence[str] | None = None,
        actors: Sequence[str] | None = None,
        speech: str | Path | None = None,
        arrays: Literal["torch", "numpy"] = "torch",
    ):
        if split not in (*SPLITS, None):
            raise InputError(f"split: got {split!r}, need {', '.join(SPLITS)}, or None for both")
        if arrays not in ("torch", "numpy"):
            raise InputError(f"arrays: got {arrays!r}, need torch or numpy")
        if window is None and stride is not None:
            raise InputError(f"stride: got {stride!r} without a window; name a window, or leave stride out")
        self.folder, self.split, self.arrays = Path(folder), split, arrays
        self.shards = open_shards(self.folder)
        self.streams = chosen(streams, with_speech=speech is not None)
        self._speech: Path | None = None
        if "speech" in self.streams:
            given = Path(speech) if speech is not None else None
            self._speech = speech_folder(self.folder, given, option="speech=")
            _attach(self.shards, self._speech)
        stored = {STORED.get(name, name) for name in self.streams} - {"text_index"}
        check_streams(self.shards, tuple(sorted(stored)))
        check_actors(actors if actors is not None else [])
        self.actors = list(actors) if actors is not None else actors_of(self.shards)
        found = takes_of(self.shards, split)
        self.takes = [span.take for _, span in found]
        self.window = None if window is None else whole_number(window, "window")
        self.stride = self.window if stride is None else whole_number(stride, "stride")
        least = 2 if "relative" in self.streams else 1  # what moves is seen in two frames
        if self.window is not None and self.window < least or self.stride is not None and self.stride < 1:
            raise InputError(f"window {window}, stride {stride}: need at least {least} and 1 frames")
        longest = max((span.stop_frame - span.start_frame for _, span in found), default=1)
        self._places = Places(
            found,
            window=self.window or 1,
            stride=self.stride or longest,  # one place a take, its first frame
            what=split or "all",
            fix="lower window or give longer takes" if found else "name another split",
        )
        self._labels = labels_of(self.folder, self.takes)
        self._memory = Memory()
        if arrays == "torch":
            from models.data import Rows

            self._memory = Rows()

    def __repr__(self) -> str:
        what = "whole takes" if self.window is None else f"windows of {self.window} frames"
        lines = [f"{len(self)} {what} of {len(self.takes)} takes in {self.folder}"]
        for name, (length, *row) in self.shapes.items():
            first = ("S" if name == "audio" else "T") if length is None else length
            shape = ", ".join(str(n) for n in (first, *row))
            lines.append(f"{name:9}({shape})  {STREAMS[name].dtype}  {STREAMS[name].what}")
        return "\n".join(lines)

    @property
    def shapes(self) -> dict[str, arrow.Shape]:
        """Shape of each stream in an item; the first axis is None in whole takes."""
        lengths = dict.fromkeys(self.streams, self.window)
        if self.window is not None and "audio" in lengths:
            lengths["audio"] = num_samples(self.window)
        return {name: (length, *row_shape(self.shards[0], name)) for name, length in lengths.items()}

    @property
    def fps(self) -> int:
        """Frames a second."""
        return FPS

    @property
    def audio_rate(self) -> int:
        """Samples a second."""
        return AUDIO_RATE

    @property
    def joint_names(self) -> list[str]:
        """Names of the J joints, whose three numbers each stand in this order in `body`."""
        return self.shards[0].joint_names

    @property
    def parents(self) -> np.ndarray:
        """Parent of each joint (J,), -1 for none."""
        return self.shards[0].parents

    @property
    def arkit_names(self) -> list[str]:
        """Names of the columns of `face`."""
        return self.shards[0].arkit_names

    def skeletons(self, take: str) -> tuple[Skeleton, Skeleton]:
        """Skeletons of the two actors of a take, with which pipeline.motion.pose.decode makes motion."""
        shard, span = self._find(take)
        a, b = span.performances
        return shard.skeleton(a), shard.skeleton(b)

    @cached_property
    def stats(self) -> dict[str, Moments]:
        """Moments of the train takes for those of the streams that have any: not root, audio and labels.

        The deviation of a channel that never moves is 0. InputError where stats.json is missing or of other
        shards.
        """
        own = ("body", "relative", "relation", "face", "mel", "text")
        paths = {name: self.folder / "stats.json" for name in own}
        if self._speech:
            paths["speech"] = self._speech / "stats.json"
        found = {}
        for name, path in paths.items():
            if name not in self.streams:
                continue
            key = "relative_root" if name == "relative" else name
            read, need = read_stats(path), row_shape(self.shards[0], name)[-1]
            moments = read.get(key, {"mean": [], "std": []})
            if len(moments["mean"]) != need:
                raise InputError(
                    f"{path}: {key} has {len(moments['mean'])} channels, the shards have {need}; write it"
                    " again (python -m pipeline.shards.stats, or python -m pipeline.shards.speech_stats)"
                )
            if name == "speech" and read.get("encoder") != self.shards[0].sidecar_attributes(name):
                raise InputError(
                    f"{path}: of another encoder than its sidecars; write it again"
                    " (python -m pipeline.shards.speech_stats)"
                )
            mean, std = (self._given(np.array(moments[kind], np.float32)) for kind in ("mean", "std"))
            found[name] = Moments(mean, std)
        return found

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return self.__getitems__([i])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """The items of these numbers, windows read at once: what torch's DataLoader asks for."""
        places = [self._places[i] for i in numbers]
        items = []
        for some in [places] if self.window is not None else [[place] for place in places]:
            arrays = self._read(some) if some else {}
            for row, place in enumerate(some):
                values = {name: self._given(array[row]) for name, array in arrays.items()}
                items.append(values | self._about(place))
        return items

    def batch(self, numbers: Sequence[int]) -> dict[str, Any]:
        """The items of these numbers, at least one, as `collate` gives them."""
        return self.collate(self.__getitems__(numbers))

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Items as one batch: streams (B, T, ...), numbers (B,), names as lists.

        Whole takes are padded with zeros to the longest. `mask` (B, T) then says which frames are real, and
        `audio_mask` (B, S) which samples.
        """
        batch: dict[str, Any] = {}
        for name in items[0]:
            values = [item[name] for item in items]
            if isinstance(values[0], (str, tuple)):
                batch[name] = values
            elif self.window is None and name in self.streams:
                batch[name] = self._given(_padded([np.asarray(value) for value in values]))
            else:
                batch[name] = self._given(np.stack([np.asarray(value) for value in values]))
        if self.window is None:
            counts = {"mask": "num_frames"} | ({"audio_mask": "num_samples"} if "audio" in batch else {})
            for name, count in counts.items():
                lengths = np.array([item[count] for item in items])
                batch[name] = self._given(np.arange(lengths.max()) < lengths[:, None])
        return batch

    def mapped(self, take: str) -> dict[str, np.ndarray]:
        """The stored streams of a whole take as read-only arrays on disk, read where they are sliced.

        `speech` is float16. relative, relation, text and spoken are derived, and left out.
        """
        shard, span = self._find(take)
        found = {}
        for name in (name for name in self.streams if name not in DERIVED):
            first, stop = (
                (span.start_sample, span.stop_sample)
                if name == "audio"
                else (span.start_frame, span.stop_frame)
            )
            found[name] = shard[name][first:stop]
            found[name].flags.writeable = False  # of this view: what is written would stay in the process
        return found

    def _frame_bytes(self) -> int:
        return sum(frame_bytes(self.shards[0], name) for name in self.streams)

    def _find(self, take: str) -> tuple[Shard, TakeSpan]:
        """Shard and row of a take of the dataset."""
        for shard, span in self._places.takes:
            if span.take == take:
                return shard, span
        raise InputError(f"{self.folder}: no take {take!r:.60}; there are {', '.join(self.takes)}")

    def _given(self, array: np.ndarray) -> Any:
        """An array as the user wants it, in the same memory."""
        if self.arrays == "numpy":
            return array
        import torch

        return torch.from_numpy(array)

    def _read(self, places: list[Place]) -> dict[str, np.ndarray]:
        """Streams (B, T, ...) of items, of one item where it is a whole take."""
        if self.window is not None:
            return windows(places, self.streams, self.window, self._memory)
        ((shard, span, _),) = places
        pieces = frames(shard, span, self.streams, 0, span.stop_frame - span.start_frame)
        return {name: np.array(piece)[None] for name, piece in pieces.items()}

    def _about(self, place: Place) -> dict[str, Any]:
        """What an item says of itself beside its streams."""
        _, span, start = place
        if self.window is None:
            length, samples = span.stop_frame - span.start_frame, span.stop_sample - span.start_sample
        else:
            length, samples = self.window, num_samples(self.window)
        return {
            "take": span.take,
            "split": span.split,
            "performances": span.performances,
            "start_frame": start,
            "start_sample": int(sample_of(start)),
            "num_frames": length,
            "num_samples": samples,
            "actors": self._given(np.array(numbers_of(span, self.actors))),
            **self._labels.get(span.take, {}),
        }

    def arrow(
        self, rows: Literal["items", "frames"] = "items", *, block_bytes: int = BLOCK_BYTES
    ) -> "pa.RecordBatchReader":
        """The dataset as Arrow batches of at most `block_bytes`, or a row, read as they are asked for.

        rows: "items" for a row an item, in order; "frames" for a row a frame, of all takes of the split. The
        columns are those of an item. A stream is a list of a fixed size in C order, with its shape in the
        metadata of its field; where the first axis differs from row to row, which is that of whole takes and
        of the samples of a frame, a list of such lists. What lies in the file as it is given is not copied.
        """
        import pyarrow as pa

        if rows not in ("items", "frames"):
            raise InputError(f"rows: got {rows!r:.60}, need items or frames")
        shapes: dict[str, arrow.Shape] = self.shapes
        if rows == "frames":
            shapes = {
                name: (None, *shape[1:]) if name == "audio" else shape[1:] for name, shape in shapes.items()
            }
        labels = next(iter(self._labels.values()), {})
        fields = arrow.told_fields(labels)
        for name, shape in shapes.items():
            about = STREAMS[name]
            fields.append(arrow.field(name, shape, about.dtype, {"unit": about.unit, "what": about.what}))
        schema = pa.schema(fields)
        found = self._item_columns(block_bytes) if rows == "items" else self._frame_columns(block_bytes)
        batches = (pa.RecordBatch.from_pydict(columns, schema=schema) for columns in found)
        return pa.RecordBatchReader.from_batches(schema, batches)

    def _item_columns(self, block_bytes: int) -> Iterator[dict[str, "pa.Array"]]:
        size = 1
        if self.window is not None:
            size = max(1, block_bytes // self._frame_bytes() // self.window)
        for first in range(0, len(self), size):
            places = [self._places[i] for i in range(first, min(first + size, len(self)))]
            told = [self._about(place) for place in places]
            columns = arrow.told_columns({name: [each[name] for each in told] for name in told[0]})
            if self.window is not None:
                yield columns | {name: arrow.column(rows) for name, rows in self._read(places).items()}
            else:
                ((shard, span, _),) = places
                pieces = frames(shard, span, self.streams, 0, span.stop_frame - span.start_frame)
                yield columns | {
                    name: arrow.ragged_column(rows, np.array([0, len(rows)])) for name, rows in pieces.items()
                }

    def _frame_columns(self, block_bytes: int) -> Iterator[dict[str, "pa.Array"]]:
        size = max(2, block_bytes // self._frame_bytes())
        for shard, span in self._places.takes:
            num_frames = span.stop_frame - span.start_frame
            for first in range(0, num_frames, size):
                stop = min(first + size, num_frames)
                samples = sample_of(np.arange(first, stop + 1))
                count = stop - first
                told: dict[str, Sequence] = {
                    name: [value] * count for name, value in self._about((shard, span, 0)).items()
                }
                told |= {"start_frame": range(first, stop), "start_sample": samples[:-1].tolist()}
                told |= {"num_frames": [1] * count, "num_samples": np.diff(samples).tolist()}
                yield arrow.told_columns(told) | {
                    name: arrow.ragged_column(rows, samples - samples[0])
                    if name == "audio"
                    else arrow.column(rows)
                    for name, rows in frames(shard, span, self.streams, first, stop).items()
                }


def _padded(values: list[np.ndarray]) -> np.ndarray:
    """Arrays (T_i, ...) as one (B, T, ...), filled up with zeros."""
    first = values[0]
    out = np.zeros((len(values), max(map(len, values)), *first.shape[1:]), first.dtype)
    for row, value in zip(out, values):
        row[: len(value)] = value
    return out


def _attach(shards: list[Shard], folder: Path) -> None:
    """Attach the speech sidecars of a folder; InputError where one is missing or of another encoder."""
    for shard in shards:
        if (name := shard.attach(folder / shard.path.name)) != "speech":
            raise InputError(f"{folder / shard.path.name}: holds {name}, need speech")
        if shard.sidecar_attributes("speech") != shards[0].sidecar_attributes("speech"):
            raise InputError(
                f"{folder / shard.path.name}: of another encoder than {shards[0].path.name} beside it; write"
                " both again (python -m pipeline.shards.speech)"
            )
