"""Actions: whether an actor sits, walks or stands, frame by frame.

In: a BVH of any humanoid whose hips, knees, ankles and toes have usual names, at any frame rate. Out: a .npy of uint8,
one label a frame: 0 sit, 1 walk, 2 stand.

The rule, with lengths in the actor's own legs (thigh plus shin): a person sits when the hips are low above the lower
foot, the knees are bent, and sinking down has come to rest; walks when, not sitting, the hips travel over the ground
and the feet take steps (one moves while the other rests, which a jump or a sway does not do); and stands otherwise.
Borders have hysteresis, and stretches that are too short join their longer neighbour.
"""

from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.bvh import Motion, load_bvh
from pipeline.config import Actions
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.skeleton import forward_kinematics, require

SIT, WALK, STAND = 0, 1, 2
NAMES = ("sit", "walk", "stand")
SMOOTH_SECONDS = 0.5
"""Over this long hip speed is measured: less than a step's sway, more than a frame's noise."""
HEIGHT_SECONDS = 0.2
"""Heights, bends and places are averaged over this long."""
MARGIN = 0.04
"""Hysteresis of the hips' height, leg lengths."""
SETTLED_SPEED = 0.1
"""Hips that sink or rise faster than this are not sitting yet or any more, leg lengths per second."""
STEP_SECONDS = 0.6
"""A step this close in time makes travelling hips a walk."""
STEP_SPEED = 0.8
"""Speed of a stepping foot above that of the resting one, leg lengths per second."""
REST_SPEED = 0.6
"""Fastest that a resting foot may move, leg lengths per second: feet roll, and mocap slides."""


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Running mean of values (T, ...) over `width` frames; at the ends over the frames that there are."""
    num_frames = len(values)
    sums = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    first = np.maximum(np.arange(num_frames) - (width - 1) // 2, 0)
    last = np.minimum(np.arange(num_frames) + width // 2 + 1, num_frames)
    return (sums[last] - sums[first]) / (last - first).reshape(-1, *[1] * (values.ndim - 1))


def ground_speed(positions: np.ndarray, fps: float, seconds: float) -> np.ndarray:
    """Speed over the ground (T,) of positions (T, 3), y up: the way between both ends of a window of `seconds`."""
    num_frames, half = len(positions), max(1, round(seconds * fps / 2))
    first = np.maximum(np.arange(num_frames) - half, 0)
    last = np.minimum(np.arange(num_frames) + half, num_frames - 1)
    way = np.linalg.norm((positions[last] - positions[first])[:, [0, 2]], axis=1)
    return way * fps / np.maximum(last - first, 1)


def hysteresis(on: np.ndarray, stay: np.ndarray) -> np.ndarray:
    """Bool (T,): True from a frame of `on` to the end, both ways, of the stretch of `stay` that it lies in."""
    stay = stay | on
    edges = np.flatnonzero(np.diff(np.concatenate([[False], stay, [False]]).astype(np.int8))).reshape(-1, 2)
    result = np.zeros(len(on), bool)
    for start, stop in edges:
        result[start:stop] = on[start:stop].any()
    return result


def settled(low: np.ndarray, still: np.ndarray) -> np.ndarray:
    """Bool (T,): the stretches of `low`, each from its first `still` frame to its last; one with none is left out."""
    result = np.zeros(len(low), bool)
    for start, stop in np.flatnonzero(np.diff(np.concatenate([[False], low, [False]]).astype(np.int8))).reshape(-1, 2):
        rest = start + np.flatnonzero(still[start:stop])
        if len(rest):
            result[rest[0] : rest[-1] + 1] = True
    return result


def near(mask: np.ndarray, width: int) -> np.ndarray:
    """Bool (T,): whether any frame within `width` frames is True."""
    counts = np.concatenate([[0], np.cumsum(mask)])
    at = np.arange(len(mask))
    return counts[np.minimum(at + width + 1, len(mask))] > counts[np.maximum(at - width, 0)]


def join_short(labels: np.ndarray, min_frames: int) -> np.ndarray:
    """Labels (T,) in which each stretch under `min_frames` has taken the label of its longer neighbour, shortest first."""
    labels = labels.copy()
    while True:
        edges = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])
        lengths = np.diff(edges)
        if len(lengths) < 2 or lengths.min() >= min_frames:
            return labels
        i = int(np.argmin(lengths))
        left, right = lengths[i - 1] if i else -1, lengths[i + 1] if i + 1 < len(lengths) else -1
        labels[edges[i] : edges[i + 1]] = labels[edges[i] - 1] if left >= right else labels[edges[i + 1]]


def _legs(motion: Motion) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Hips (T, 3), feet (T, 2, 2, 3) as side and ankle or toe, mean knee bend (T,) in degrees, leg length in cm."""
    chain = [f"{side}{part}" for side in ("Left", "Right") for part in ("UpLeg", "Leg", "Foot", "ToeBase")]
    index = require(motion, ["Hips", *chain])
    world, _ = forward_kinematics(motion)
    if not np.isfinite(world).all():
        bad = ~np.isfinite(world).all((1, 2))
        raise InputError(f"skeleton: {bad.sum()} frames with NaN, the first is {int(np.argmax(bad))}; need none, mend the file")
    legs = world[:, index[1:]].reshape(len(world), 2, 4, 3)
    thigh, shin = legs[:, :, 0] - legs[:, :, 1], legs[:, :, 2] - legs[:, :, 1]
    lengths = np.linalg.norm(thigh, axis=-1), np.linalg.norm(shin, axis=-1)
    leg = float(np.mean(lengths[0] + lengths[1]))
    if not leg > 0:
        raise InputError("skeleton: its legs have no length; check the offsets of knees and ankles")
    cosine = np.sum(thigh * shin, -1) / np.maximum(lengths[0] * lengths[1], 1e-9)
    bend = 180 - np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return world[:, index[0]], legs[:, :, 2:], bend.mean(1), leg


def label_actions(motion: Motion, options: Actions | None = None) -> np.ndarray:
    """Label of each frame, uint8 (T,): 0 sit, 1 walk, 2 stand.

    Works on any humanoid whose hips, knees, ankles and toes `motion.aliases()` resolves, at any frame rate, in any place.
    The ground is that under the lower foot, so stairs and uneven floors do not matter. Raises InputError that names
    missing joints, or frames with NaN.
    """
    options = options or Actions()
    hips, feet, bend, leg = _legs(motion)
    fps = motion.fps
    width = max(1, round(HEIGHT_SECONDS * fps))
    height = smooth((hips[:, 1] - feet[..., 1].min((1, 2))) / leg, width)
    bent = smooth(bend, width) > options.sit_knee_deg
    low = hysteresis((height < options.sit_hip_height - MARGIN) & bent, (height < options.sit_hip_height + MARGIN) & bent)
    sits = settled(low, np.abs(np.gradient(height) * fps) < SETTLED_SPEED if len(height) > 1 else low)

    speed = ground_speed(smooth(hips, width), fps, SMOOTH_SECONDS) / leg
    foot_speeds = np.sort([ground_speed(feet[:, side].mean(1), fps, 0.1) / leg for side in (0, 1)], axis=0)
    step = (foot_speeds[1] - foot_speeds[0] > STEP_SPEED) & (foot_speeds[0] < REST_SPEED)
    travels = hysteresis(speed > options.walk_speed, speed > 0.8 * options.walk_speed)
    walks = travels & near(step, round(STEP_SECONDS * fps))

    labels = np.where(sits, SIT, np.where(walks, WALK, STAND)).astype(np.uint8)
    return join_short(labels, round(options.min_seconds * fps))


def run(*, bvh: list[Path], out: list[Path], options: Actions) -> None:
    """Label each body and write its .npy."""
    if len(bvh) != len(out):
        raise InputError(f"actions: {len(bvh)} BVH files and {len(out)} outputs, need as many, in the same order")
    for source, target in zip(bvh, out, strict=True):
        try:
            labels = label_actions(load_bvh(source), options)
        except InputError as error:
            raise InputError(f"{source}: {str(error).removeprefix(f'{source}: ')}") from None
        with whole(target) as temporary, open(temporary, "wb") as f:
            np.save(f, labels)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Actions)
    parser.add_argument("--bvh", type=Path, nargs="+", required=True, help="bodies")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help=".npy files to write, in the same order")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
