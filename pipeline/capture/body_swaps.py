"""Swaps: fingers of a hand, or left and right hands and feet, that change places.

In: a motion's rotations and the places of its joints in cm, frame by frame. Out: the frames at which two
change places with the size of the step, degrees or cm, and the faults from one such frame to the next.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.capture.body_faults import Fault
from pipeline.capture.body_spikes import ALONE
from pipeline.motion import rotations
from pipeline.motion.joints import SIDES
from pipeline.motion.motion import Motion

SWAP_DEG = 0.1
"""Mean step of the joints of two fingers that change places.

Below it the fingers are so alike that it cannot be seen.
"""
SWAP_CM = 0.05
SWAP_RATIO = 0.4
FAINT = 10.0
"""A swap below this many times the least must be twice as clear.

It is measured against the steps around it and by where it leads.
"""
SIDE_SWAP_CM = 8.0
PLAIN_SIDE_SWAP_CM = 20.0
"""From here on a swap of left and right needs no calm around it."""
MAX_SWAP_SECONDS = 30.0


def swap_steps(
    fingers: dict[str, list[int]],
    hands: dict[str, int],
    q: np.ndarray,
    places: np.ndarray,
    world: np.ndarray,
    tips: np.ndarray,
):
    """For each pair of a hand's fingers (T,) degrees a joint at frames where the two change places, else 0.

    They change places where the joints of both step, and step less against the other finger's frame before:
    by local rotations, or by the places of joints and tip within the hand (then the value is cm).
    """
    result = {}
    for side in SIDES:
        mine = [name for name in fingers if name.startswith(side)]
        if len(mine) < 2:
            continue
        hand = hands[f"{side}Hand"]
        steps: dict[tuple[str, str], np.ndarray] = {}
        ratios: dict[tuple[str, str], np.ndarray] = {}
        shapes = {name: q[:, fingers[name]] for name in mine}
        back = rotations.inverse(world[:, hand])[:, None]
        points = {
            name: rotations.rotate(
                back,
                np.concatenate([places[:, fingers[name][1:]], tips[:, fingers[name][2:]]], 1)
                - places[:, hand][:, None],
            )
            for name in mine
        }
        spreads = (
            (shapes, rotations.angle_deg, SWAP_DEG),
            (points, lambda a, b: np.linalg.norm(a - b, axis=-1), SWAP_CM),
        )
        for a, first in enumerate(mine):
            for second in mine[a + 1 :]:
                steps[first, second] = np.zeros(len(q))
                ratios[first, second] = np.full(len(q), np.inf)
        for values, apart, least in spreads:
            own = {name: apart(values[name][1:], values[name][:-1]).mean(1) for name in mine}
            rests = {name: _beside(own[name]) for name in mine}
            for first, second in steps:
                same = (own[first] + own[second]) / 2
                cross = (
                    apart(values[first][1:], values[second][:-1]).mean(1)
                    + apart(values[second][1:], values[first][:-1]).mean(1)
                ) / 2
                with np.errstate(invalid="ignore"):
                    size = np.minimum(own[first], own[second])
                    clear = np.where(size < FAINT * least, 2.0, 1.0)
                    hit = (size >= least) & (cross <= SWAP_RATIO / clear * same)
                    hit &= same >= clear * ALONE * (rests[first] + rests[second]) / 2
                better = hit & (cross / np.maximum(same, 1e-9) < ratios[first, second][1:])
                steps[first, second][1:][better] = same[better]
                ratios[first, second][1:][better] = (cross / np.maximum(same, 1e-9))[better]
        best = np.min([ratios[pair] for pair in steps], axis=0)
        for pair in steps:
            result[pair] = np.where(ratios[pair] <= best, steps[pair], 0.0)
    return result


def _beside(step: np.ndarray) -> np.ndarray:
    """Median of the three steps before and the three after each step (T,)."""
    padded = np.pad(step, 3, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 7)
    return np.median(windows[:, [0, 1, 2, 4, 5, 6]], axis=1)


def _pairs(
    motion: Motion, edges: np.ndarray, kind: str, joints: tuple[int, int], unit: str, limit: float, note: str
) -> Iterator[Fault]:
    """Faults from the frames at which two joints change places: each with the next, which takes it back.

    A last one alone is one frame.
    """
    at = np.flatnonzero(edges).tolist()
    while at:
        first = at.pop(0)
        back = at.pop(0) if at and at[0] - first <= MAX_SWAP_SECONDS * motion.fps else None
        more = "" if back else "; it does not change back, so which side is right is open"
        yield Fault(
            kind,
            motion.names[joints[0]],
            joints[0],
            first,
            back or first + 1,
            float(edges[first]),
            limit,
            unit,
            note + more,
        )


def swaps_of(
    motion: Motion,
    steps_of: dict[tuple[str, str], np.ndarray],
    ends: np.ndarray,
    fingers: dict[str, list[int]],
    found: dict[str, int],
) -> Iterator[Fault]:
    """Fingers, hands and feet that change places.

    steps_of: what `swap_steps` gives, of all frames; ends: places (T, E, 3) in cm of left and right hand,
    then left and right foot.
    """
    for (first, second), edges in steps_of.items():
        yield from _pairs(
            motion,
            edges,
            "swap",
            (fingers[first][0], fingers[second][0]),
            "deg or cm a joint",
            SWAP_DEG,
            f"{first} and {second}",
        )
    for i, part in ((0, "Hand"), (2, "Foot")):
        left, right = ends[:, i].astype(float), ends[:, i + 1].astype(float)
        if np.isnan(left).all() or np.isnan(right).all():
            continue

        def apart(a, b):
            return np.linalg.norm(a - b, axis=-1)

        steps = apart(left[1:], left[:-1]), apart(right[1:], right[:-1])
        own = np.minimum(*steps)
        cross = np.maximum(apart(left[1:], right[:-1]), apart(right[1:], left[:-1]))
        with np.errstate(invalid="ignore"):
            calm = own >= ALONE * _beside(np.maximum(*steps))
            hit = (cross <= SWAP_RATIO * own) & ((own >= PLAIN_SIDE_SWAP_CM) | ((own >= SIDE_SWAP_CM) & calm))
        edges = np.concatenate([[0.0], np.where(hit, own, 0.0)])
        joints = (found[f"Left{part}"], found[f"Right{part}"])
        yield from _pairs(
            motion, edges, "side_swap", joints, "cm", SIDE_SWAP_CM, f"left and right {part.lower()}"
        )
