"""Training windows out of shards, in an order that a step counter alone restores.

In: a folder of shards. Out: batches of windows as tensors (see models.channels). Only what a model
needs is read, window by window, so memory does not grow with the dataset; the index holds one row per take.
"""

import logging
import math
import operator
import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from models.description import check_moments
from pipeline.errors import InputError
from pipeline.formats.shard_file import SPLITS, Shard, TakeSpan, check_alike, open_shards
from pipeline.motion.clock import AUDIO_RATE, FPS, sample_of
from pipeline.motion.pose import relative_root
from pipeline.reading import read_json

log = logging.getLogger("interact")


def takes_of(shards: list[Shard], split: str) -> list[tuple[Shard, TakeSpan]]:
    """Takes of a split ("train" or "test") with the shard that each lies in, in take order."""
    found = [(shard, span) for shard in shards for span in shard.takes if span.split == split]
    return sorted(found, key=lambda pair: pair[1].take)


def actors_of(shards: list[Shard]) -> list[str]:
    """Ids of the actors of the train split, sorted."""
    return sorted({actor for _, span in takes_of(shards, "train") for actor in (span.actor_a, span.actor_b)})


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
    (benchmarks/shards.py). What is held is as much as was ever in use at one time.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[memoryview]] = {}

    def __reduce__(self):
        return Memory, ()

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


def _slice(shard: Shard, name: str, start: int, stop: int) -> torch.Tensor:
    """Rows start .. stop - 1 of a stream, not copied where its file is mapped."""
    return torch.from_numpy(shard[name][start:stop])


def _join(pieces: list[torch.Tensor], out: np.ndarray) -> np.ndarray:
    """`out` (B, T, ...), filled with pieces (T_i, ...) one after the other.

    One call joins all of them, without Python's lock.
    """
    torch.cat(pieces, out=torch.from_numpy(out.reshape(-1, *out.shape[2:])))
    return out


def _rows(
    places: list[tuple[Shard, TakeSpan, int]], name: str, num_frames: int, memory: Memory
) -> np.ndarray:
    """Rows (B, T, ...) of a stream from each place on, numbers as float32."""
    first = places[0][0][name]
    dtype = np.dtype(np.float32) if first.dtype.kind == "f" else first.dtype
    starts = ((shard, span.start_frame + start) for shard, span, start in places)
    pieces = [_slice(shard, name, a, a + num_frames) for shard, a in starts]
    return _join(pieces, memory.empty((len(places), num_frames, *first.shape[1:]), dtype))


def num_samples(num_frames: int) -> int:
    """Samples of the audio of a window: all that surely fit into its frames.

    A frame has 533 1/3 samples.
    """
    return num_frames * AUDIO_RATE // FPS


def _audio(places: list[tuple[Shard, TakeSpan, int]], num_frames: int, memory: Memory) -> np.ndarray:
    """Samples (B, S, 2) of windows, from the sample of each window's first frame on."""
    count = num_samples(num_frames)
    starts = ((shard, span.start_sample + int(sample_of(start))) for shard, span, start in places)
    pieces = [_slice(shard, "audio", a, a + count) for shard, a in starts]
    return _join(pieces, memory.empty((len(places), count, 2), np.dtype(np.float32)))


def _relative(places: list[tuple[Shard, TakeSpan, int]], num_frames: int, memory: Memory) -> np.ndarray:
    """Relative roots (B, T, 2, 4) float32 of windows, derived with the frame before each window.

    A take's first frame stands for that.
    """
    pieces = []
    for shard, span, start in places:
        a = span.start_frame + start
        before = a - 1 if start else a
        pieces += [_slice(shard, "root", before, before + 1), _slice(shard, "root", a, a + num_frames)]
    root = _join(pieces, memory.empty((len(places), 1 + num_frames, 2, 4), np.dtype(np.float32)))
    relative = np.moveaxis(relative_root(np.moveaxis(root, 2, 1)), 1, 2)[:, 1:]
    for rows, (_, _, start) in zip(relative, places, strict=True):
        # a take's first frame has no predecessor: it repeats the deltas of the second, as in `relative_root`
        if not start:
            rows[:1, :, :3] = rows[1:2, :, :3]
    return relative


def read(
    places: list[tuple[Shard, TakeSpan, int]],
    streams: tuple[str, ...],
    num_frames: int,
    memory: Memory | None = None,
) -> dict[str, np.ndarray]:
    """Streams (B, T, ...) of windows of takes: a batch, but for who acts.

    Each window begins at the frame of its take that its place names. `root` comes as `relative` (B, T, 2, 4),
    derived with the frame before the window, so that a window's first row is what the same frame has in any
    other window. `text` brings `spoken`. `audio` is (B, S, 2) with the samples of those frames, see
    `num_samples`. Each row is copied once, from the file that is mapped into the array of all windows, whose
    memory comes from `memory`.
    """
    memory = memory or Memory()
    batch: dict[str, np.ndarray] = {}
    for name in streams:
        if name == "root":
            batch["relative"] = _relative(places, num_frames, memory)
        elif name == "text":
            texts = [
                read_text(shard, span.start_frame + start, span.start_frame + start + num_frames)
                for shard, span, start in places
            ]
            batch["text"], batch["spoken"] = (np.stack(arrays) for arrays in zip(*texts, strict=True))
        elif name == "audio":
            batch["audio"] = _audio(places, num_frames, memory)
        else:
            batch[name] = _rows(places, name, num_frames, memory)
    return batch


def _check_streams(shards: list[Shard], streams: tuple[str, ...]) -> None:
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


class Windows(Dataset):
    """All windows of a split: item i is window i of the takes in order, every `stride` frames.

    An item holds arrays (T, ...) as `read` gives them, and `actors` (2,): the numbers of its two in `actors`,
    -1 for who is not among them. Takes shorter than a window give none, which is logged. Shards open lazily,
    per process. InputError for a split, a window or streams that cannot be.
    """

    def __init__(
        self,
        shards: list[Shard],
        *,
        window: int,
        stride: int,
        streams: tuple[str, ...],
        actors: list[str],
        split: str = "train",
    ):
        if split not in SPLITS:
            raise InputError(f"split: got {split!r}, need {' or '.join(SPLITS)}")
        _check_streams(shards, streams)
        for name, number in (("window", window), ("stride", stride)):
            if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
                raise InputError(f"{name}: got {number!r}, need a whole number of frames")
        if (
            isinstance(actors, str)
            or not all(isinstance(actor, str) for actor in actors)
            or len(set(actors)) < len(actors)
        ):
            raise InputError(
                f"actors: got {actors!r:.200}, need a list of ids, each once, such as ['001', '002']"
            )
        # what moves is seen in two frames
        if window < (least := 2 if "root" in streams else 1) or stride < 1:
            raise InputError(f"window {window}, stride {stride}: need at least {least} and 1 frames")
        self.takes, self.streams, self.actors = takes_of(shards, split), streams, actors
        self.window, self.stride = window, stride
        self.memory = Memory()
        lengths = np.array([span.stop_frame - span.start_frame for _, span in self.takes], np.int64)
        counts = np.maximum((lengths - window) // stride + 1, 0)
        self.ends = np.cumsum(counts)
        if not len(counts) or not self.ends[-1]:
            raise InputError(
                f"{split} takes: the longest of {len(lengths)} has {lengths.max(initial=0)} frames, need"
                f" {window} for a window; lower window_frames or give longer takes"
            )
        if (counts == 0).any():
            log.warning(
                "%d of %d %s takes are shorter than a window of %d frames and are left out",
                (counts == 0).sum(),
                len(counts),
                split,
                window,
            )

    def __len__(self) -> int:
        return int(self.ends[-1])

    def _place(self, i: int) -> tuple[Shard, TakeSpan, int]:
        """Shard and take of window i, and its first frame in the take; as in a list, -1 is the last one."""
        index = operator.index(i)
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        number = int(np.searchsorted(self.ends, place, "right"))
        return *self.takes[number], (place - (int(self.ends[number - 1]) if number else 0)) * self.stride

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        return self.__getitems__([i])[0]

    def __getitems__(self, numbers: list[int]) -> list[dict[str, np.ndarray]]:
        """The items of these numbers, read at once: what torch's DataLoader asks for."""
        batch = self.batch(numbers) if len(numbers) else {}
        return [{name: array[row] for name, array in batch.items()} for row in range(len(numbers))]

    def batch(self, numbers: list[int]) -> dict[str, np.ndarray]:
        """Windows of these numbers, at least one, as arrays (B, T, ...), with `actors` (B, 2)."""
        places = [self._place(i) for i in numbers]
        batch = read(places, self.streams, self.window, self.memory)
        known = {actor: number for number, actor in enumerate(self.actors)}
        batch["actors"] = np.array(
            [[known.get(actor, -1) for actor in (span.actor_a, span.actor_b)] for _, span, _ in places]
        )
        return batch


class Batches:
    """Window numbers of each batch from a step on: permutation after permutation.

    Each permutation is drawn from (seed, epoch). The step is the whole state: batch k is the same whether or
    not the batches before it were read.
    """

    def __init__(self, num_windows: int, batch_size: int, *, seed: int, first_step: int, last_step: int):
        self.num_windows, self.batch_size, self.seed = num_windows, batch_size, seed
        self.steps = range(first_step, last_step)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[int]]:
        epoch, order = -1, np.empty(0, int)
        for step in self.steps:
            batch = []
            for place in range(step * self.batch_size, (step + 1) * self.batch_size):
                if place // self.num_windows != epoch:
                    epoch = place // self.num_windows
                    order = np.random.default_rng([self.seed, epoch]).permutation(self.num_windows)
                batch.append(int(order[place % self.num_windows]))
            yield batch


def collate(items: dict[str, np.ndarray] | list[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    """A batch of `Windows` as tensors, or its items stacked into one.

    This is a `collate_fn` for torch's DataLoader, whose own does as well.
    """
    batch = (
        items
        if isinstance(items, dict)
        else {name: np.stack([item[name] for item in items]) for name in items[0]}
    )
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in batch.items()}


def loader(
    windows: Windows, *, batch_size: int, seed: int, first_step: int, last_step: int, workers: int = 0
) -> Iterator[dict[str, torch.Tensor]]:
    """Batches of the steps first_step .. last_step - 1, in order; `workers` threads read ahead.

    Threads, not processes: rows are copied out of mapped files without Python's lock, and a process would
    have to hand every batch over, which costs more than reading it (benchmarks/shards.py).
    """
    batches = Batches(len(windows), batch_size, seed=seed, first_step=first_step, last_step=last_step)
    if not workers:
        for numbers in batches:
            yield collate(windows.batch(numbers))
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future] = deque()
        for numbers in batches:
            waiting.append(pool.submit(windows.batch, numbers))
            if len(waiting) > 2 * workers:
                yield collate(waiting.popleft().result())
        while waiting:
            yield collate(waiting.popleft().result())


def speech_folder(shards: Path, given: Path | None) -> Path:
    """The folder of speech sidecars: the one given, or the only one beside the shards."""
    found = sorted(path for path in Path(shards).glob("speech-*") if path.is_dir())
    if given is None and len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(
            f"{shards}: got {names} for speech sidecars; name one with --speech,"
            " or write them (python -m pipeline.shards.speech, pipeline.shards.speech_stats)"
        )
    return Path(given or found[0])


def attach_speech(shards: list[Shard], folder: Path) -> dict:
    """Attach the sidecars of a folder to their shards and give its stats.json.

    InputError where they are of different encoders.
    """
    stats = check_moments(read_json(folder / "stats.json"), folder / "stats.json", names=("speech",))
    for shard in shards:
        shard.attach(folder / shard.path.name)
        if shard.sidecar_attributes("speech") != stats.get("encoder"):
            raise InputError(
                f"{folder}/stats.json: another encoder than that of {shard.path.name};"
                " write it again (python -m pipeline.shards.speech_stats)"
            )
    return stats


def shards_of(folder: Path) -> tuple[list[Shard], dict]:
    """Shards of a folder and its stats.json; InputError where its channels do not fit the shards."""
    path = Path(folder) / "stats.json"
    shards = open_shards(folder)
    stats = check_moments(read_json(path), path, names=("body", "face", "mel", "relative_root", "text"))
    if type(stats.get("frames")) is not int:
        raise InputError(
            f"{path}: frames is {stats.get('frames')!r:.60}, need a number;"
            " write it again (python -m pipeline.shards.stats)"
        )
    for name, stream in (("body", "body"), ("face", "face"), ("mel", "mel"), ("text", "text")):
        width, need = len(stats[name]["mean"]), shards[0][stream].shape[-1]
        if width != need:
            raise InputError(
                f"{folder}/stats.json: {name} has {width} channels, the shards have {need};"
                " write it again (python -m pipeline.shards.stats)"
            )
    return shards, stats
