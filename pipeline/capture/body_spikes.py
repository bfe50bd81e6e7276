"""Spikes and jumps: joints that leave their movement for a few frames, or for good in one step.

In: rotations (T, J, 4) or positions (T, J, 3) at their own rate. Out: widths, sizes and limits by frame and
joint, degrees or cm; and the motion with spikes of a single frame mended.
"""

from dataclasses import replace

import numpy as np

from pipeline.capture.body_faults import Fault
from pipeline.motion import rotations
from pipeline.motion.motion import Motion

FLICKER_SECONDS = 0.025
"""A spike that lasts longer is not told from movement."""
MAX_TURN_DEG_S2 = 100_000.0
"""Angular acceleration above anything in a scene.

A pitcher's arm, the fastest joint there is, has a few times this (Fleisig 1999).
"""
MAX_PUSH_CM_S2 = 10_000.0
"""Acceleration of hips, 10 g."""
FLICKER_CM = 2.0
CALM_FRAMES = 8
"""Frames on both sides of a spike that tell whether its joint is noisy there."""
JUMP_DEG_S = 1500.0
JUMP_CM_S = 1200.0
"""A sprinter's top speed."""
ALONE = 4.0
"""A jump is this many times larger than the steps beside it.

Fast movement gathers speed, a jump has none before and after.
"""


def spikes(
    q: np.ndarray, *, fps: float, least: float, acceleration: float, angles: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spikes of rotations q (T, J, 4) or positions (T, J, 3): width, size and the limit that it breaks.

    The width is in frames (T, J), 0 where there is none.

    k frames are a spike where all of them lie further from the interpolation of the frames before and after
    than `least` and than a movement with `acceleration` (per s^2) could bulge in that time, a ((k + 1) dt)^2
    / 8, and where those two frames are nearer to each other than half of that.
    """
    shape = q.shape[:2]
    width, value, limit = np.zeros(shape, np.int8), np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def apart(a, b):
        return rotations.angle_deg(a, b) if angles else rotations.length(a - b)

    for k in range(1, max(1, round(FLICKER_SECONDS * fps)) + 1):
        n = len(q) - k - 1
        if n <= 0:
            break
        before, after = q[:n], q[k + 1 :]
        if angles:
            after = np.where(rotations.dot(before, after)[..., None] < 0, -after, after)
        size = np.full((n, shape[1]), np.inf)
        for i in range(1, k + 1):
            between = before + (after - before) * (i / (k + 1))
            size = np.minimum(size, apart(rotations.normalise(between) if angles else between, q[i : i + n]))
        bound = max(least, acceleration * ((k + 1) / fps) ** 2 / 8)
        with np.errstate(invalid="ignore"):
            hit = (size >= bound) & (apart(before, after) < size / 2)
        for i in range(1, k + 1):
            new = hit & (width[i : i + n] == 0)
            width[i : i + n][new], value[i : i + n][new], limit[i : i + n][new] = k, size[new], bound
    return width, value, limit


def jumps(q: np.ndarray, *, fps: float, least: float, angles: bool) -> tuple[np.ndarray, np.ndarray]:
    """Frames (T, J) at which q has left the frame before for good in one step, and the steps (T, J).

    q is (T, J, 4) or (T, J, 3).

    A jump is a step of at least `least` (a speed times dt), ALONE times the steps beside it, of which half is
    left after the longest spike.
    """

    def apart(a, b):
        return rotations.angle_deg(a, b) if angles else rotations.length(a - b)

    step = np.zeros(q.shape[:2])
    step[1:] = apart(q[1:], q[:-1])
    beside = np.maximum(np.concatenate([step[:1], step[:-1]]), np.concatenate([step[1:], step[-1:] * 0]))
    beside[1:2] = np.concatenate([step[2:3], step[1:2] * 0])[:1]  # the first step has one neighbour
    later = np.minimum(np.arange(len(q)) + max(1, round(FLICKER_SECONDS * fps)), len(q) - 1)
    stays = np.zeros(q.shape[:2])
    stays[1:] = apart(q[later][1:], q[:-1])
    with np.errstate(invalid="ignore"):
        return (step >= least) & (step >= ALONE * beside) & (stays >= step / 2), step


def _unrest(track: np.ndarray, t: int) -> float:
    """Largest distance of a frame near frame t from the middle of its neighbours.

    Of rotations (T, 4) in degrees, or of positions (T, 3).

    The frames beside t are left out, whose middles a spike at t moves.
    """
    near = np.array(
        [i for i in range(t - CALM_FRAMES, t + CALM_FRAMES + 1) if abs(i - t) > 1 and 0 < i < len(track) - 1],
        int,
    )
    before, after, at = track[near - 1], track[near + 1], track[near]
    if track.shape[1] == 3:
        sizes = rotations.length(at - (before + after) / 2)
    else:
        after = np.where(rotations.dot(before, after)[..., None] < 0, -after, after)
        sizes = rotations.angle_deg(at, rotations.normalise(before + after))
    return float(np.max(sizes[np.isfinite(sizes)], initial=0.0))


def mend_flicker(motion: Motion, faults: list[Fault]) -> tuple[Motion, list[Fault]]:
    """The motion with lone single-frame spikes mended, and the faults, those marked.

    A spike becomes the middle of the frames before and after.

    Lone: no other spike of that joint within four frames, and no frame within CALM_FRAMES that lies more than
    half of the spike's size from the middle of its own neighbours; in a row of spikes, or in noise, it cannot
    be told which frames are right.
    """
    spots: dict[int, list[Fault]] = {}
    for fault in faults:
        if fault.kind == "flicker":
            spots.setdefault(fault.index, []).append(fault)
    q, p = motion.rotations.copy(), motion.positions_cm.copy()
    result = []
    for fault in faults:
        others = [
            other
            for other in spots.get(fault.index, [])
            if other is not fault and other.stop > fault.first - 4 and other.first < fault.stop + 4
        ]
        t, j = fault.first, fault.index
        if fault.kind != "flicker" or fault.stop - t != 1 or others or not 0 < t < motion.num_frames - 1:
            result.append(fault)
            continue
        if (
            _unrest((motion.rotations if fault.unit == "deg" else motion.positions_cm)[:, j], t)
            > fault.value / 2
        ):
            result.append(fault)
            continue
        if fault.unit == "deg":
            q[t, j] = rotations.slerp(motion.rotations[[t - 1, t + 1], j], np.array([0.5]))[0]
        else:
            p[t, j] = (motion.positions_cm[t - 1, j] + motion.positions_cm[t + 1, j]) / 2
        result.append(replace(fault, mended=True))
    return replace(motion, rotations=q, positions_cm=p), result
