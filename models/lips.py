"""When an actor's lips are shut, and whether they are where p, b and m are said.

In: the actor's rig, ARKit weights (N, 51) at 30 fps, and the phonemes of the transcript in seconds. Out: the
gap between the lips (N,) in cm, and counts of closures. A rig is linear in its weights, and so is the gap:
its mesh need not be built.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.annotate.forced_alignment import BILABIALS
from pipeline.formats.arkit import NAMES
from pipeline.formats.rig_file import Rig
from pipeline.motion.clock import FPS

MOVED = 0.25
"""Share of the largest travel under a shape that makes a vertex one that the shape moves."""
PARTED = 0.75
"""Share of the largest opening under jawOpen that a pair of vertices in the middle of the mouth has."""
NUM_PAIRS = 6
"""Most pairs that the gap is the mean of."""
FARTHER_CM = 0.1
"""How much farther apart at rest than twice the nearest pair another may be: in a coarse mesh the next row of
vertices is the outer lip."""
RANGE = (2.0, 98.0)
"""Percentiles of an actor's captured gaps that are the actor's range: from shut to wide open."""
SHUT_SHARE = 0.15
"""Lips are shut where the gap is within this share of the actor's range above its lower end."""
TOLERANCE_SECONDS = 0.05
"""How far from the instant a closure counts, and how far round p, b and m lips may be shut."""


@dataclass(frozen=True)
class Gap:
    """Distance between the inner edges of the lips, cm: `rest` + weights @ `per_weight` (51,).

    pairs: vertices (n, 2) of the upper and of the lower lip that it is measured between.
    """

    rest: float
    per_weight: np.ndarray
    pairs: np.ndarray

    def of(self, face: np.ndarray) -> np.ndarray:
        """The gap (N,) of ARKit weights (N, 51); negative where the lips pass through each other."""
        return self.rest + np.asarray(face, np.float64) @ self.per_weight


def gap_of(rig: Rig) -> Gap | None:
    """Where a rig's lips meet, in any topology; None where its shapes do not part them.

    Upper lip: vertices that mouthUpperUp moves by at least MOVED of its largest travel, and by more of that
    than mouthLowerDown of its own; lower lip the other way round. Each of the lower is paired with the
    nearest of the upper at rest. Of the pairs that jawOpen parts by PARTED of the most, in the middle of the
    mouth, the nearest are the inner edges. The gap is measured along the mean direction in which those two
    shapes move the pairs apart, up and down, so that lips that roll in do not count as open.
    """
    from scipy.spatial import cKDTree

    deltas = rig.deltas.astype(np.float64)
    raised, lowered = (
        deltas[[NAMES.index(name + side) for side in ("Left", "Right")]].sum(0)
        for name in ("mouthUpperUp", "mouthLowerDown")
    )
    jaw = deltas[NAMES.index("jawOpen")]

    def travel(field: np.ndarray) -> np.ndarray:
        length = np.linalg.norm(field, axis=1)
        return length / (length.max() or 1)

    up, down = travel(raised), travel(lowered)
    upper, lower = np.flatnonzero((up >= MOVED) & (up > down)), np.flatnonzero((down >= MOVED) & (down > up))
    if not (len(upper) and len(lower)):
        return None
    distance, nearest = cKDTree(rig.neutral[upper]).query(rig.neutral[lower])
    partner = upper[nearest]
    opening = np.linalg.norm(jaw[partner] - jaw[lower], axis=1)
    middle = np.flatnonzero((opening >= PARTED * opening.max()) & (opening > 0))
    if not len(middle):
        return None
    middle = middle[distance[middle] <= 2 * distance[middle].min() + FARTHER_CM]
    chosen = middle[np.argsort(distance[middle], kind="stable")[:NUM_PAIRS]]
    above, below = partner[chosen], lower[chosen]
    direction = (raised[above] - lowered[below]).mean(0)
    direction /= np.linalg.norm(direction)
    neutral = rig.neutral.astype(np.float64)
    return Gap(
        rest=float(((neutral[above] - neutral[below]) @ direction).mean()),
        per_weight=((deltas[:, above] - deltas[:, below]) @ direction).mean(1),
        pairs=np.stack([above, below], 1),
    )


def shut_below(gaps: np.ndarray) -> float:
    """Gap in cm below which lips are shut, from an actor's captured gaps (N,).

    lowest + SHUT_SHARE (highest - lowest), both percentiles of RANGE.
    """
    lowest, highest = np.percentile(gaps, RANGE)
    return float(lowest + SHUT_SHARE * (highest - lowest))


@dataclass(frozen=True)
class Closures:
    """Instants of p, b and m and how many of them have shut lips; frames of other sounds, and how many do."""

    instants: int
    closed: int
    frames: int
    shut: int


def closures(shut: np.ndarray, phonemes: Sequence[tuple[str, float, float]]) -> Closures:
    """Count closures of lips that are shut or not in each frame, (N,) bool, against phonemes.

    An instant is the middle of a p, b or m. It is closed where lips are shut in a frame within
    TOLERANCE_SECONDS of it. Frames of other sounds are those inside of phonemes that are farther than that
    from every p, b and m. Phonemes beyond the last frame do not count.
    """
    times = np.arange(len(shut)) / FPS
    speaking, allowed = np.zeros((2, len(shut)), bool)
    instants = closed = 0

    def within(start: float, end: float) -> slice:
        return slice(*np.searchsorted(times, [start - 1e-9, end + 1e-9]))

    for name, start, end in phonemes:
        speaking[within(start, end)] = True
        if name in BILABIALS:
            allowed[within(start - TOLERANCE_SECONDS, end + TOLERANCE_SECONDS)] = True
            middle = (start + end) / 2
            near = shut[within(middle - TOLERANCE_SECONDS, middle + TOLERANCE_SECONDS)]
            instants += len(near) > 0
            closed += bool(near.any())
    other = speaking & ~allowed
    return Closures(instants, closed, int(other.sum()), int((shut & other).sum()))
