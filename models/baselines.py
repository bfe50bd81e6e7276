"""Baselines that need no training: the mean pose and face, and the training clip that sounds nearest.

The means are those of the train split.

In: statistics and shards. Out: arrays as the models' samples give them, body (N, 2, 3 J) in radians and face
(N, 2, 51).
"""

from dataclasses import dataclass

import numpy as np

from models.channels import MIN_STD, NUM_ACTIONS
from models.data import takes_of
from pipeline.errors import InputError
from pipeline.formats.shard_file import Shard, TakeSpan

STRIDE = 5


def mean_pose(stats: dict, num_frames: int) -> np.ndarray:
    """The train split's mean pose (N, 2, 3 J) in every frame, both actors alike."""
    return np.tile(np.array(stats["body"]["mean"], np.float32), (num_frames, 2, 1))


def mean_face(stats: dict, num_frames: int) -> np.ndarray:
    """The train split's mean ARKit weights (N, 2, 51) in every frame, both actors alike."""
    return np.tile(np.array(stats["face"]["mean"], np.float32), (num_frames, 2, 1))


def window_starts(num_frames: int, window: int) -> list[int]:
    """Starts of windows that cover a take end to end; the last one is moved back to end with the take."""
    starts = list(range(0, num_frames - window + 1, window))
    return starts if not num_frames % window else [*starts, num_frames - window]


def pooled(shard: Shard, span: TakeSpan, starts: list[int], window: int, stats: dict) -> np.ndarray:
    """What each window of a take sounds and acts like, (len(starts), F).

    A row has the mean and the deviation over the window of both actors' channels. Channels are the
    standardised log-mel and the one-hot action of each actor.
    """
    mean, std = (np.array(stats["mel"][key]) for key in ("mean", "std"))
    mel = (np.asarray(shard["mel"][span.start_frame : span.stop_frame], float) - mean) / np.where(
        std < MIN_STD, 1, std
    )
    action = np.eye(NUM_ACTIONS)[np.asarray(shard["action"][span.start_frame : span.stop_frame])]
    rows = np.concatenate([mel, action], 2).reshape(len(mel), -1)
    totals, squares = (
        np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(values, 0)]) for values in (rows, rows**2)
    )
    ends = np.asarray(starts) + window
    average = (totals[ends] - totals[starts]) / window
    deviation = np.sqrt(np.maximum((squares[ends] - squares[starts]) / window - average**2, 0))
    return np.concatenate([average, deviation], 1)


@dataclass(frozen=True)
class Clip:
    """Frames start : start + length of a take in a shard."""

    shard: Shard
    span: TakeSpan
    start: int
    length: int

    def read(self, stream: str) -> np.ndarray:
        """The clip of a stream, (length, 2, ...)."""
        a = self.span.start_frame + self.start
        return np.asarray(self.shard[stream][a : a + self.length])


def nearest_clips(queries: np.ndarray, shards: list[Shard], stats: dict, *, window: int) -> list[Clip]:
    """For each row of `pooled` features (Q, F) the training window at the smallest Euclidean distance.

    Training takes are read one at a time; their windows start every 5 frames. InputError where no take is
    long enough.
    """
    best, clips = np.full(len(queries), np.inf), {}
    for shard, span in takes_of(shards, "train"):
        starts = list(range(0, span.stop_frame - span.start_frame - window + 1, STRIDE))
        if not starts:
            continue
        candidates = pooled(shard, span, starts, window, stats)
        for q, query in enumerate(queries):
            distances = np.linalg.norm(candidates - query, axis=1)
            i = int(np.argmin(distances))
            if distances[i] < best[q]:
                best[q], clips[q] = distances[i], Clip(shard, span, starts[i], window)
    if len(clips) < len(queries):
        raise InputError(
            f"nearest training clip: no train take has {window} frames; lower evaluate.window_frames"
        )
    return [clips[q] for q in range(len(queries))]


def nearest_take(
    shard: Shard, span: TakeSpan, shards: list[Shard], stats: dict, *, window: int
) -> dict[str, np.ndarray]:
    """A take's body (N, 2, 3 J) and face (N, 2, 51), joined from each window's nearest training clip."""
    num_frames = span.stop_frame - span.start_frame
    starts = window_starts(num_frames, window)
    clips = nearest_clips(pooled(shard, span, starts, window, stats), shards, stats, window=window)
    result = {name: np.empty((num_frames, *shard[name].shape[1:]), np.float32) for name in ("body", "face")}
    # the moved-back window gives way to the one before it
    for start, clip in reversed(list(zip(starts, clips))):
        for name, rows in result.items():
            rows[start : start + window] = clip.read(name)
    return result
