"""Windows of takes out of shards, as NumPy arrays.

In: shards that are open. Out: arrays (B, T, ...) of the streams that were asked for, on one clock. Only what
was asked for is read, so memory does not grow with the dataset. models.data trains on these, models.dataset
gives them to the training of others. Nothing here loads torch.
"""

import logging
import math
import operator
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.formats.shard_file import Shard, TakeSpan, check_alike
from pipeline.ids import ABSENT
from pipeline.motion.clock import AUDIO_RATE, FPS, sample_of
from pipeline.motion.pose import partner_seen, relative_root

log = logging.getLogger("interact")

Place = tuple[Shard, TakeSpan, int]
"""Where a window begins: shard, take, frame of the take."""

ABSENT_NUMBER = -2
"""Number of an absent partner in place of an actor's."""


def takes_of(shards: list[Shard], split: str | None) -> list[tuple[Shard, TakeSpan]]:
    """Takes of a split ("train", "test", None: all) with the shard that each lies in, in take order."""
    found = [(shard, span) for shard in shards for span in shard.takes if split in (None, span.split)]
    return sorted(found, key=lambda pair: pair[1].take)


def actors_of(shards: list[Shard]) -> list[str]:
    """Ids of the actors of the train split, sorted."""
    found = {actor for _, span in takes_of(shards, "train") for actor in (span.actor_a, span.actor_b)}
    return sorted(found - {ABSENT})


def numbers_of(span: TakeSpan, actors: Sequence[str]) -> list[int]:
    """Numbers of a take's two actors in a list of ids, -1 for who is not among them.

    ABSENT_NUMBER stands for a partner who is not there.
    """
    known = {actor: number for number, actor in enumerate(actors)} | {ABSENT: ABSENT_NUMBER}
    return [known.get(actor, -1) for actor in (span.actor_a, span.actor_b)]


def read_text(shard: Shard, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Embedding of each actor's word at each frame of a shard (T, 2, E), and who speaks (T, 2).

    The embedding is that of the word that the actor says, zeros in silence.
    """
    index = np.asarray(shard["text_index"][start:stop])
    spoken = index >= 0
    result = np.zeros((*index.shape, shard["text"].shape[-1]), np.float32)
    if spoken.any():
        if index.max() >= shard.stream("text").shape[0]:
            raise InputError(
                f"{shard.path}: text_index names row {index.max()} of text, which has"
                f" {shard.stream('text').shape[0]}; build it again"
            )
        first = index[spoken].min()
        block = np.asarray(shard["text"][first : index.max() + 1])
        result[spoken] = block[index[spoken] - first]
    return result, spoken


class Memory:
    """Memory for arrays, used again once nothing refers to the array that had it.

    Views and tensors of that array count too.

    The system clears new memory page by page, which takes longer than copying a window into it
    (benchmarks/shards.py). What is held is as much as was ever in use at one time. A subclass says how rows
    are copied into it.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[memoryview]] = {}

    def __reduce__(self):
        return type(self), ()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array whose values are arbitrary, as from numpy's function of that name."""
        size = math.prod(shape) * dtype.itemsize
        free = self._free.setdefault(size, [])
        try:
            memory = free.pop()
        except IndexError:
            memory = np.empty(size, np.uint8).data
        flat = np.frombuffer(memory, np.uint8)  # no owner of its memory, so that views of it refer to it
        weakref.finalize(flat, free.append, memory).atexit = False
        return flat.view(dtype).reshape(shape)

    def join(self, pieces: list[np.ndarray], shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Pieces (T_i, ...) one after the other, in an array of this shape (B, T, ...)."""
        out = self.empty(shape, dtype)
        self.copy(pieces, out.reshape(-1, *shape[2:]))
        return out

    def copy(self, pieces: list[np.ndarray], out: np.ndarray) -> None:
        """Fill `out` with the pieces."""
        np.concatenate(pieces, out=out, casting="same_kind")


def _rows(places: list[Place], name: str, num_frames: int, memory: Memory) -> np.ndarray:
    """Rows (B, T, ...) of a stream from each place on, numbers as float32."""
    first = places[0][0][name]
    dtype = np.dtype(np.float32) if first.dtype.kind == "f" else first.dtype
    starts = ((shard, span.start_frame + start) for shard, span, start in places)
    pieces = [shard[name][a : a + num_frames] for shard, a in starts]
    return memory.join(pieces, (len(places), num_frames, *first.shape[1:]), dtype)


def num_samples(num_frames: int) -> int:
    """Samples of the audio of a window: all that surely fit into its frames.

    A frame has 533 1/3 samples.
    """
    return num_frames * AUDIO_RATE // FPS


def _audio(places: list[Place], num_frames: int, memory: Memory) -> np.ndarray:
    """Samples (B, S, 2) of windows, from the sample of each window's first frame on."""
    count = num_samples(num_frames)
    starts = ((shard, span.start_sample + int(sample_of(start))) for shard, span, start in places)
    pieces = [shard["audio"][a : a + count] for shard, a in starts]
    return memory.join(pieces, (len(places), count, 2), np.dtype(np.float32))


def _relative(places: list[Place], num_frames: int, memory: Memory) -> np.ndarray:
    """Relative roots (B, T, 2, 4) float32 of windows, derived with the frame before each window.

    A take's first frame stands for that.
    """
    pieces = []
    for shard, span, start in places:
        a = span.start_frame + start
        before = a - 1 if start else a
        pieces += [shard["root"][before : before + 1], shard["root"][a : a + num_frames]]
    root = memory.join(pieces, (len(places), 1 + num_frames, 2, 4), np.dtype(np.float32))
    relative = np.moveaxis(relative_root(np.moveaxis(root, 2, 1)), 1, 2)[:, 1:]
    for rows, (_, _, start) in zip(relative, places, strict=True):
        # a take's first frame has no predecessor: it repeats the deltas of the second, as in `relative_root`
        if not start and num_frames > 1:
            rows[:1, :, :3] = rows[1:2, :, :3]
    return relative


def stream(places: list[Place], name: str, num_frames: int, memory: Memory) -> dict[str, np.ndarray]:
    """One stream (B, T, ...) of windows of takes, by its name.

    `relative` is derived of root, with the frame before the window, so that a window's first row is what the
    same frame has in any other window; `relation` is derived of root too. `text` brings `spoken`. `audio` is
    (B, S, 2) with the samples of those frames, see `num_samples`. Any other is the shard's, its numbers as
    float32.
    """
    if name == "relative":
        return {name: _relative(places, num_frames, memory)}
    if name == "relation":
        return {name: partner_seen(_rows(places, "root", num_frames, memory))}
    if name == "audio":
        return {name: _audio(places, num_frames, memory)}
    if name == "text":
        starts = ((shard, span.start_frame + start) for shard, span, start in places)
        texts = [read_text(shard, a, a + num_frames) for shard, a in starts]
        words, spoken = zip(*texts, strict=True)
        return {"text": np.stack(words), "spoken": np.stack(spoken)}
    return {name: _rows(places, name, num_frames, memory)}


def read(
    places: list[Place],
    streams: tuple[str, ...],
    num_frames: int,
    memory: Memory | None = None,
) -> dict[str, np.ndarray]:
    """Streams (B, T, ...) of windows of takes, as models are told them.

    `root` comes as `relative` and `relation`.

    Each window begins at the frame of its take that its place names. Each row is copied once, from the file
    that is mapped into the array of all windows, whose memory comes from `memory`.
    """
    memory = memory or Memory()
    batch: dict[str, np.ndarray] = {}
    for name in streams:
        for part in ("relative", "relation") if name == "root" else (name,):
            batch |= stream(places, part, num_frames, memory)
    return batch


def check_streams(shards: list[Shard], streams: tuple[str, ...]) -> None:
    """InputError where a stream cannot be asked for, or is not the same in all shards."""
    if isinstance(streams, str):
        raise InputError(f"streams: got the text {streams!r}, need a list of names, such as ({streams!r},)")
    for name in streams:
        if name == "text_index":  # numbers of rows that mean something else in each shard
            raise InputError(
                "streams: text_index counts the words of its own shard; take text, which brings spoken"
            )
        for shard in shards:
            place, first = shard.stream(name), shards[0].stream(name)
            if place.shape[1:] != first.shape[1:]:
                raise InputError(
                    f"{shard.path}: {name} has rows of {place.shape[1:]}, {shards[0].path} of"
                    f" {first.shape[1:]}; build both alike"
                )
    check_alike(shards)


def speech_folder(shards: Path, given: Path | None, *, option: str = "--speech") -> Path:
    """The folder of speech sidecars: the one given, or the only one beside the shards."""
    found = sorted(path for path in Path(shards).glob("speech-*") if path.is_dir())
    if given is None and len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(
            f"{shards}: got {names} for speech sidecars; name one with {option},"
            " or write them (python -m pipeline.shards.speech, pipeline.shards.speech_stats)"
        )
    return Path(given or found[0])


class Places:
    """Numbered places of windows: every `stride` frames of the takes, in order.

    Takes shorter than a window give none, which is logged. InputError, which ends with `fix`, where none
    gives one.
    """

    def __init__(
        self, takes: list[tuple[Shard, TakeSpan]], *, window: int, stride: int, what: str, fix: str
    ) -> None:
        self.takes, self.stride = takes, stride
        lengths = np.array([span.stop_frame - span.start_frame for _, span in takes], np.int64)
        counts = np.maximum((lengths - window) // stride + 1, 0)
        self.ends = np.cumsum(counts)
        if not len(counts) or not self.ends[-1]:
            raise InputError(
                f"{what} takes: the longest of {len(lengths)} has {lengths.max(initial=0)} frames, need"
                f" {window} for a window; {fix}"
            )
        if (counts == 0).any():
            log.warning(
                "%d of %d %s takes are shorter than a window of %d frames and are left out",
                (counts == 0).sum(),
                len(counts),
                what,
                window,
            )

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, i: int) -> Place:
        """Place i; as in a list, -1 is the last one."""
        index = operator.index(i)
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        number = int(np.searchsorted(self.ends, place, "right"))
        return *self.takes[number], (place - (int(self.ends[number - 1]) if number else 0)) * self.stride


def whole_number(number: object, name: str) -> int:
    """A number of frames; InputError where it is something else."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
        raise InputError(f"{name}: got {number!r}, need a whole number of frames")
    return int(number)


def check_actors(actors: object) -> None:
    """InputError where this is no list of ids."""
    if (
        not isinstance(actors, Sequence)
        or isinstance(actors, str)
        or not all(isinstance(actor, str) for actor in actors)
        or len(set(actors)) < len(actors)
    ):
        raise InputError(
            f"actors: got {actors!r:.200}, need a list of ids, each once, such as ['001', '002']"
        )
