"""Training windows out of shards, in an order that a step counter alone restores.

In: a folder of shards. Out: batches of windows as tensors (see models.channels). Only what a model
needs is read, window by window, so memory does not grow with the dataset; the index holds one row per take.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from models.channels import STATISTICS
from models.description import check_moments
from pipeline.errors import InputError
from pipeline.formats.shard_file import SPLITS, Shard, TakeSpan, open_shards
from pipeline.ids import ABSENT
from pipeline.reading import read_json
from pipeline.shards.windows import (
    ABSENT_NUMBER,
    Memory,
    Places,
    actors_of,
    check_actors,
    check_streams,
    num_samples,
    numbers_of,
    read,
    speech_folder,
    takes_of,
    whole_number,
)

__all__ = ["actors_of", "num_samples", "read", "speech_folder", "takes_of"]  # what others import from here


class Rows(Memory):
    """Memory that torch fills: one call joins all windows of a stream, without Python's lock."""

    def copy(self, pieces: list[np.ndarray], out: np.ndarray) -> None:
        """Fill `out` with the pieces."""
        torch.cat([torch.from_numpy(piece) for piece in pieces], out=torch.from_numpy(out))


class Windows(Dataset):
    """All windows of a split: item i is window i of the takes in order, every `stride` frames.

    An item holds arrays (T, ...) as `read` gives them, and `actors` (2,): the numbers of its two in `actors`,
    -1 for who is not among them; and a number for each name of `labels`, which has it by the take. With
    `rigs`, numbers by actor, an item has those of its two as well, 0 for who is absent. Where a take has
    somebody absent, `present` (2,) says who is there. Takes shorter than a window give none, which
    is logged. Shards open lazily, per process. `names` takes some takes of the split only. InputError for a
    split, a window or streams that cannot be.
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
        names: Collection[str] | None = None,
        labels: Mapping[str, Mapping[str, int]] | None = None,
        rigs: Mapping[str, int] | None = None,
    ):
        if split not in SPLITS:
            raise InputError(f"split: got {split!r}, need {' or '.join(SPLITS)}")
        check_streams(shards, streams)
        self.window, self.stride = whole_number(window, "window"), whole_number(stride, "stride")
        check_actors(actors)
        # what moves is seen in two frames
        if window < (least := 2 if "root" in streams else 1) or stride < 1:
            raise InputError(f"window {window}, stride {stride}: need at least {least} and 1 frames")
        self.streams, self.actors, self.memory = streams, actors, Rows()
        self.labels, self.rigs = labels or {}, rigs
        fix = "lower window_frames or give longer takes"
        takes = [
            (shard, span) for shard, span in takes_of(shards, split) if names is None or span.take in names
        ]
        self.places = Places(takes, window=self.window, stride=self.stride, what=split, fix=fix)
        self.all_present = not any(ABSENT in (span.actor_a, span.actor_b) for _, span in takes)

    @property
    def takes(self) -> list[tuple[Shard, TakeSpan]]:
        """Takes of the split with their shards, in order."""
        return self.places.takes

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        return self.__getitems__([i])[0]

    def __getitems__(self, numbers: list[int]) -> list[dict[str, np.ndarray]]:
        """The items of these numbers, read at once: what torch's DataLoader asks for."""
        batch = self.batch(numbers) if len(numbers) else {}
        return [{name: array[row] for name, array in batch.items()} for row in range(len(numbers))]

    def name(self, number: int) -> str:
        """What a message calls a window: its take and frames."""
        _, span, start = self.places[number]
        return f"{span.take} frames {start} to {start + self.window - 1}"

    def batch(self, numbers: list[int]) -> dict[str, np.ndarray]:
        """Windows of these numbers, at least one, as arrays (B, T, ...), with `actors` (B, 2)."""
        places = [self.places[i] for i in numbers]
        batch = read(places, self.streams, self.window, self.memory)
        takes = [span.take for _, span, _ in places]
        told = {name: np.array([own[take] for take in takes]) for name, own in self.labels.items()}
        who = {"actors": np.array([numbers_of(span, self.actors) for _, span, _ in places])}
        if self.rigs is not None:
            whose = [[self.rigs.get(actor, 0) for actor in (s.actor_a, s.actor_b)] for _, s, _ in places]
            who["rigs"] = np.array(whose)
        there = {} if self.all_present else {"present": who["actors"] != ABSENT_NUMBER}
        return batch | told | who | there


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
    windows: Windows,
    *,
    batch_size: int,
    seed: int,
    first_step: int,
    last_step: int,
    workers: int = 0,
    share: slice = slice(None),
) -> Iterator[dict[str, torch.Tensor]]:
    """Batches of the steps first_step .. last_step - 1, in order, of each the windows of `share`.

    `workers` threads read ahead.

    Threads, not processes: rows are copied out of mapped files without Python's lock, and a process would
    have to hand every batch over, which costs more than reading it (benchmarks/shards.py).
    """
    batches = Batches(len(windows), batch_size, seed=seed, first_step=first_step, last_step=last_step)
    if not workers:
        for numbers in batches:
            yield collate(windows.batch(numbers[share]))
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future] = deque()
        for numbers in batches:
            waiting.append(pool.submit(windows.batch, numbers[share]))
            if len(waiting) > 2 * workers:
                yield collate(waiting.popleft().result())
        while waiting:
            yield collate(waiting.popleft().result())


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
    stats = check_moments(read_json(path), path, names=("body", "face", "mel", *STATISTICS["root"], "text"))
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
