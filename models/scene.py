"""What models are told of a take, for two actors: out of shards, or of what is said in another take."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from models.data import read, takes_of
from models.stored import Voice
from pipeline.errors import InputError
from pipeline.formats.shard_file import Shard, TakeSpan
from pipeline.motion import pose

STREAMS: tuple[str, ...] = ("mel", "text", "action", "facing")
"""What every scene has; more where a model hears more."""
MADE = ("face", "body", "root")
"""Streams that models are trained to make, and are not told."""


@dataclass
class Scene:
    """What models are told of a take, for two actors in id order.

    name; performances and actors (2 each); batch: mel (N, 2, M), text (N, 2, E), spoken, action, facing (N,
    2) as a training item has them, arrays or what comes by slices (models.stored); start (2, 4): x, height or
    NaN for the model's own, z in cm and heading in radians of frame 0; skeletons (2 of pipeline.motion.pose);
    voices (2, each (S,) at 16 kHz) that are of no take; labels: relationship and emotion of the two, where
    they are known.
    """

    name: str
    performances: tuple[str, str]
    actors: tuple[str, str]
    batch: dict[str, Any]
    start: np.ndarray
    skeletons: list[pose.Skeleton]
    voices: list[Voice] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def num_frames(self) -> int:
        """Frames of what is told, N."""
        return len(self.batch["facing"])


def scene_of(shard, span, streams: tuple[str, ...] = STREAMS) -> Scene:
    """The scene of a take in a shard; initial placement and skeletons are the real ones."""
    batch = {
        name: array[0]
        for name, array in read([(shard, span, 0)], streams, span.stop_frame - span.start_frame).items()
    }
    start = np.asarray(shard["root"][span.start_frame], float)
    skeletons = [shard.skeleton(performance) for performance in span.performances]
    return Scene(span.take, span.performances, (span.actor_a, span.actor_b), batch, start, skeletons)


def told_of(scene: Scene, other: Scene) -> Scene:
    """A scene whose people are told what is said, done and faced in another.

    What is too long is cut, what is too short begins again. People, places, skeletons and labels stay.
    """
    batch = {
        name: other.batch[name][np.arange(len(values)) % len(other.batch[name])]
        for name, values in scene.batch.items()
    }
    return replace(scene, batch=batch)


def other_takes(shards: list[Shard]) -> dict[str, tuple[Shard, TakeSpan]]:
    """For each test take another: the next one, after the last the first, or the first train take."""
    test = takes_of(shards, "test")
    others = [*test[1:], test[0]] if len(test) > 1 else takes_of(shards, "train")[:1]
    if test and not others:
        raise InputError("generate.voices another: there is one take and no other, need two; take voices own")
    return {span.take: other for (_, span), other in zip(test, others)}
