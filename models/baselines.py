"""Baselines that need no training: mean pose and face, the training clip that sounds nearest, other takes.

The means are those of the train split.

In: statistics and shards. Out: arrays as the models' samples give them, body (N, 2, 3 J) in radians, root (N,
2, 4) in the room and face (N, 2, 51).
"""

from dataclasses import dataclass

import numpy as np

from models.channels import MIN_STD, NUM_ACTIONS
from models.data import read, takes_of
from pipeline.errors import InputError
from pipeline.formats.shard_file import Shard, TakeSpan
from pipeline.motion import pose

STRIDE = 5


def mean_pose(stats: dict, num_frames: int) -> np.ndarray:
    """The train split's mean pose (N, 2, 3 J) in every frame, both actors alike."""
    return np.tile(np.array(stats["body"]["mean"], np.float32), (num_frames, 2, 1))


def mean_root(stats: dict, start: np.ndarray, num_frames: int) -> np.ndarray:
    """Roots (N, 2, 4) that stay where `start` (2, 4) is, at the train split's mean height.

    The mean relative root is no such thing: its drift would walk and turn the bodies for ever.
    """
    root = np.tile(np.asarray(start, float), (num_frames, 1, 1))
    root[..., 1] = stats["relative_root"]["mean"][3]
    return root


def mean_face(stats: dict, num_frames: int) -> np.ndarray:
    """The train split's mean ARKit weights (N, 2, 51) in every frame, both actors alike."""
    return np.tile(np.array(stats["face"]["mean"], np.float32), (num_frames, 2, 1))


def window_starts(num_frames: int, window: int) -> list[int]:
    """Starts of windows that cover a take end to end; the last one is moved back to end with the take."""
    starts = list(range(0, num_frames - window + 1, window))
    return starts if not num_frames % window else [*starts, num_frames - window]


class Pooled:
    """What windows of a take sound and act like; the take is read once for windows of any length."""

    def __init__(self, shard: Shard, span: TakeSpan, stats: dict):
        mean, std = (np.array(stats["mel"][key]) for key in ("mean", "std"))
        mel = (np.asarray(shard["mel"][span.start_frame : span.stop_frame], float) - mean) / np.where(
            std < MIN_STD, 1, std
        )
        action = np.eye(NUM_ACTIONS)[np.asarray(shard["action"][span.start_frame : span.stop_frame])]
        rows = np.concatenate([mel, action], 2).reshape(len(mel), -1)
        self.totals, self.squares = (
            np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(values, 0)]) for values in (rows, rows**2)
        )

    def of(self, starts: list[int], window: int) -> np.ndarray:
        """A row for each window, (len(starts), F).

        It has the mean and the deviation over the window of both actors' channels. Channels are the
        standardised log-mel and the one-hot action of each actor.
        """
        ends = np.asarray(starts) + window
        average = (self.totals[ends] - self.totals[starts]) / window
        squares = (self.squares[ends] - self.squares[starts]) / window
        return np.concatenate([average, np.sqrt(np.maximum(squares - average**2, 0))], 1)


@dataclass(frozen=True)
class Clip:
    """Frames start : start + length of a take in a shard."""

    shard: Shard
    span: TakeSpan
    start: int
    length: int

    def read(self) -> dict[str, np.ndarray]:
        """Body (length, 2, 3 J), face (length, 2, 51) and relative root (length, 2, 4) of the clip."""
        found = read([(self.shard, self.span, self.start)], ("body", "face", "root"), self.length)
        return {name: values[0] for name, values in found.items()}


def nearest_clips(queries: dict[int, np.ndarray], shards: list[Shard], stats: dict) -> dict[int, list[Clip]]:
    """For each row of features the training window at the smallest Euclidean distance.

    queries: rows (Q, F) as `Pooled.of` gives them, by the length of their windows. Training takes are read
    once and one at a time; their windows start every 5 frames. InputError where no take is long enough.
    """
    best = {window: np.full(len(rows), np.inf) for window, rows in queries.items()}
    clips: dict[int, dict[int, Clip]] = {window: {} for window in queries}
    for shard, span in takes_of(shards, "train"):
        features, num_frames = Pooled(shard, span, stats), span.stop_frame - span.start_frame
        for window, rows in queries.items():
            starts = list(range(0, num_frames - window + 1, STRIDE))
            if not starts:
                continue
            candidates = features.of(starts, window)
            # squared distances (Q, C) less the queries' own lengths, which decide nothing
            distances = np.square(candidates).sum(1) - 2 * rows @ candidates.T
            for q, i in enumerate(distances.argmin(1)):
                if distances[q, i] < best[window][q]:
                    best[window][q], clips[window][q] = distances[q, i], Clip(shard, span, starts[i], window)
    for window, rows in queries.items():
        if len(clips[window]) < len(rows):
            raise InputError(
                f"nearest training clip: no train take has {window} frames; lower evaluate.window_frames"
            )
    return {window: [clips[window][q] for q in range(len(rows))] for window, rows in queries.items()}


class Nearest:
    """Takes joined from each window's nearest training clip, all found in one search, for body and face."""

    def __init__(self, takes: list[tuple[Shard, TakeSpan]], shards: list[Shard], stats: dict, *, window: int):
        """`window` frames a clip, or as many as a take or the longest train take has, if fewer."""
        longest = max(span.stop_frame - span.start_frame for _, span in takes_of(shards, "train"))
        queries: dict[int, list[np.ndarray]] = {}
        self.places: dict[str, tuple[int, list[int], int]] = {}
        for shard, span in takes:
            num_frames = span.stop_frame - span.start_frame
            length = min(window, num_frames, longest)
            starts, rows = window_starts(num_frames, length), queries.setdefault(length, [])
            self.places[span.take] = length, starts, sum(map(len, rows))
            rows.append(Pooled(shard, span, stats).of(starts, length))
        joined = {length: np.concatenate(rows) for length, rows in queries.items()}
        self.clips = nearest_clips(joined, shards, stats)

    def take(self, shard: Shard, span: TakeSpan) -> dict[str, np.ndarray]:
        """A take's body (N, 2, 3 J), face (N, 2, 51) and root (N, 2, 4).

        The roots move as those of the clips do, from where the real actors stand in frame 0.
        """
        length, starts, first = self.places[span.take]
        return _joined(list(zip(starts, self.clips[length][first : first + len(starts)])), shard, span)


class Others:
    """Train takes in place of test takes: real motion that knows nothing of what is said."""

    def __init__(self, takes: list[tuple[Shard, TakeSpan]], shards: list[Shard]):
        self.numbers = {span.take: number for number, (_, span) in enumerate(takes)}
        self.train = takes_of(shards, "train")

    def take(self, shard: Shard, span: TakeSpan) -> dict[str, np.ndarray]:
        """As `Nearest.take`: of the n-th test take the n-th train take, and those after it if short."""
        number, start, clips = self.numbers[span.take], 0, []
        num_frames = span.stop_frame - span.start_frame
        while start < num_frames:
            other, found = self.train[number % len(self.train)]
            length = min(found.stop_frame - found.start_frame, num_frames - start)
            clips.append((start, Clip(other, found, 0, length)))
            number, start = number + 1, start + length
        return _joined(clips, shard, span)


def _joined(clips: list[tuple[int, Clip]], shard: Shard, span: TakeSpan) -> dict[str, np.ndarray]:
    """Clips by the frame at which each begins, as a take's body, face and root."""
    num_frames = span.stop_frame - span.start_frame
    result: dict[str, np.ndarray] = {}
    # a window that was moved back gives way to the one before it
    for start, clip in reversed(clips):
        for name, values in clip.read().items():
            rows = result.setdefault(name, np.empty((num_frames, *values.shape[1:]), np.float32))
            rows[start : start + clip.length] = values
    relative, real = result.pop("relative"), np.asarray(shard["root"][span.start_frame], float)
    root = np.stack([pose.integrate_root(relative[:, k], real[k]) for k in range(2)], 1)
    return result | {"root": root}
