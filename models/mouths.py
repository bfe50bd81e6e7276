"""Whose mouth it is: generated mouth shapes against those that each actor was captured with.

In: ARKit weights (N, 51) of shards and of the lip-accurate set, statistics of the train split, rigs. Out: per
actor the moments of the captured mouth shapes and the gap below which the lips are shut; of a generated face,
rows to hold against them.

A mouth shape is a frame's weights of the jaw* and mouth* shapes, each divided by its deviation over the train
split. Weights are the same shapes for every actor, which meshes of different heads are not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models import lips
from models.tally import Gaussian
from pipeline.formats.arkit import MOUTH
from pipeline.formats.rig_file import Rig
from pipeline.formats.shard_file import Shard

LIP_SET = "lip set"
"""Name of the lip-accurate set among the actors; no actor's id has a blank."""
STILL = 1e-3
"""Weights that deviate less over the train split say nothing."""
FLOOR = 0.01
"""Variance that is added to each standardised weight: 2 weights that move as one have none of their own."""


@dataclass(frozen=True)
class Mouth:
    """An actor's captured mouth: the split that its moments are of, its moments, and when its lips are shut.

    gap, shut_below: None where there is no rig, or one whose lips do not part.
    """

    split: str
    rows: Gaussian
    gap: lips.Gap | None = None
    shut_below: float | None = None


class Mouths:
    """The captured mouths of all actors of some shards.

    Moments are of an actor's train takes, or of the test takes where the actor has no others. The range of
    the lips is of all the actor's takes.

    rigs: by actor, of those whose lips are asked for. lip_set: faces (N, 51) of the lip-accurate set, whose
    mouth everybody may have after tuning on it.
    """

    def __init__(
        self, shards: Sequence[Shard], stats: dict, rigs: dict[str, Rig], lip_set: Iterable[np.ndarray] = ()
    ):
        deviation = np.array(stats["face"]["std"], np.float64)
        self.channels = np.isin(np.arange(len(deviation)), MOUTH) & (deviation >= STILL)
        self.deviation = deviation[self.channels]
        found: dict[tuple[str, str], Gaussian] = {}
        gaps = {actor: lips.gap_of(rig) for actor, rig in rigs.items()}
        widths: dict[str, list[np.ndarray]] = {}
        for shard in shards:
            for span in shard.takes:
                face = np.asarray(shard["face"][span.start_frame : span.stop_frame])
                for k, actor in enumerate((span.actor_a, span.actor_b)):
                    rows = found.setdefault((actor, span.split), Gaussian())
                    rows.merge(Gaussian(self.rows(face[:, k])))
                    if (gap := gaps.get(actor)) is not None:
                        widths.setdefault(actor, []).append(gap.of(face[:, k]))
        self.of: dict[str, Mouth] = {}
        for actor in sorted({actor for actor, _ in found}):
            split = "train" if (actor, "train") in found else "test"
            below = lips.shut_below(np.concatenate(widths[actor])) if actor in widths else None
            self.of[actor] = Mouth(split, found[actor, split], gaps.get(actor), below)
        self.references = {actor: mouth.rows for actor, mouth in self.of.items()}
        lip_rows = Gaussian()
        for face in lip_set:
            lip_rows.merge(Gaussian(self.rows(face)))
        if lip_rows.count > 1:
            self.references[LIP_SET] = lip_rows
        within = sum(mouth.rows.scatter for mouth in self.of.values())
        count = sum(mouth.rows.count for mouth in self.of.values())
        width = int(self.channels.sum())
        self._whiten = np.linalg.cholesky(np.linalg.inv(within / count + FLOOR * np.eye(width)))

    def rows(self, face: np.ndarray) -> np.ndarray:
        """Mouth shapes (N, M) of ARKit weights (N, 51), in the train split's deviations."""
        return np.asarray(face[:, self.channels], np.float64) / self.deviation

    def nearer(self, actor: str, rows: np.ndarray) -> dict[str, float]:
        """By reference, the share of mouth shapes (N, M) that are nearer to this actor's captured mean.

        References are all other actors, and the lip-accurate set where there is one.

        Distances are Mahalanobis's, with the covariance within actors that all of them share; a tie is half.
        """
        distance = {
            name: np.square((rows - captured.mean) @ self._whiten).sum(1)
            for name, captured in self.references.items()
        }
        own = distance.pop(actor)
        return {
            name: float((own < other).mean() + 0.5 * (own == other).mean())
            for name, other in distance.items()
        }
