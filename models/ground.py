"""Feet that hold the ground: generated bodies are made to stand on the feet that carry them.

In: poses (T, 3 J) and roots (T, 4) of a body, as pipeline.motion.pose has them, and its skeleton. Out: the
same with another path and height of the root, and other legs. Heading and everything above the legs stay.

A network makes the root and the legs side by side, and nothing ties the one to the other: feet slide and
sink. But of two feet the lower one carries the body, and it rests where it stands. So

1. the root's path and height follow from the legs: each step of the root is the one that leaves the lower
   foot where it is. Between feet of like height the two are mixed, so that nothing jumps;
2. stretches are found in which a foot is down, and the foot is held at its mean place of the stretch, on the
   ground; in the air, the shift of one stretch fades into that of the next (Kovar, Schreiner and Gleicher
   2002, "Footskate cleanup for motion capture editing"), and the foot clears the ground;
3. each knee is bent, about the axis about which it bends anyway, and the leg turned at the hip, so that the
   ankle is where that needs it; the foot keeps its direction in the room. Where a leg is too short, the hips
   sink a little, and where that does not do, the foot takes a step more.

The lower foot's height is the mean of the train takes. A body whose both feet are off the ground, as in a
jump, cannot be told from one that stands: none of the actions has that.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from models import leg
from pipeline.motion import rotations
from pipeline.motion.clock import FPS
from pipeline.motion.legs import Legs, legs_of_pose
from pipeline.motion.pose import Skeleton, in_room
from pipeline.motion.stretches import stretches

LIKE_CM = 0.25
"""Feet whose heights differ by much more than this do not share the weight."""
DOWN_CM, DOWN_CM_S = 2.0, 40.0
"""A foot that is at most this much above the other one, and no faster along the ground, is down."""
SHORTEST = 4
"""Frames that a foot is down at least."""
SMOOTH_FRAMES = 2.0
"""Deviation of the Gaussian that smooths the height of the hips."""
STEP_FRAMES = 4.0
"""Of that which smooths the steps of the root: legs as a network makes them tremble."""
CLEAR_CM, CLEAR_SHARE = 2.5, 0.08
"""How high toes are half-way from one place to the next, at least: this share of the way, and no more than in
a walk."""
MOST_SINK_CM = 20.0
"""How far hips sink at most so that a foot reaches its place; beyond that it takes a step, or gives way."""
SINK_FRAMES = 7
"""Frames over which hips sink to where both legs reach."""
STEP_UP_FRAMES = 8
"""How long a foot is in the air that has to step after a body that is moved away from it."""
ON_BOTH_FRAMES = 2
"""Before and after that, the other foot is down too."""


def path_of_feet(feet: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Steps (T - 1, 2) of the root on the ground (x, z) that leave the lower of two feet where it is.

    feet (T, 2, 3): seen from the root, in the body's heading; heading (T,) in radians.
    """
    turned = in_room(feet[..., [0, 2]], heading[:, None])
    height = (feet[1:, :, 1] + feet[:-1, :, 1]) / 2
    weight = 1 / (1 + np.exp((height - height[:, ::-1]) / LIKE_CM))
    return ((turned[:-1] - turned[1:]) * weight[..., None]).sum(1)


def stand_at(toes: np.ndarray) -> np.ndarray:
    """Which of two feet (T, 2) are down, by their places (T, 2, 3) in cm.

    The lower one is, and another one that is hardly above it and hardly moves. Stretches that are too short
    are none, but where the other foot is up.
    """
    height = toes[..., 1]
    steps = np.linalg.norm(np.diff(toes[..., [0, 2]], axis=0), axis=-1) * FPS
    fastest = np.maximum(np.concatenate([steps[:1], steps]), np.concatenate([steps, steps[-1:]]))
    down = (height <= height.min(1, keepdims=True) + DOWN_CM) & (fastest < DOWN_CM_S)
    pair = height[1:] + height[:-1]
    lower = pair <= pair.min(1, keepdims=True)
    carries = np.zeros_like(down)
    carries[1:] |= lower
    carries[:-1] |= lower
    for k in range(2):
        for a, b in stretches(down[:, k]):
            if b - a < SHORTEST:
                down[a:b, k] = False
    return down | carries


def shifts(toes: np.ndarray, down: np.ndarray, ground: float) -> np.ndarray:
    """How far (T, 3) a foot's toes (T, 3) must go to rest on the ground while they are down (T,)."""
    spans = stretches(down)
    if not len(spans):
        return np.zeros_like(toes)
    known, values = [], []
    for a, b in spans:
        rest = toes[a:b].mean(0)
        rest[1] = ground
        known.append(np.arange(a, b))
        values.append(rest - toes[a:b])
    frames, moved = np.concatenate(known), np.concatenate(values)
    times = np.arange(len(toes))
    result = np.stack([np.interp(times, frames, moved[:, axis]) for axis in range(3)], 1)
    result[:, 1] = np.maximum(result[:, 1], ground + clearance(toes + result, down) - toes[:, 1])
    return result


def clearance(toes: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Least height (T,) of toes at (T, 3) over the ground, cm: 0 while they are down (T,), half a sine else.

    A foot that is set down elsewhere is lifted for it: without this, legs that a network makes drag it along.
    """
    least = np.zeros(len(toes))
    steps = np.linalg.norm(np.diff(toes[:, [0, 2]], axis=0), axis=1)
    for a, b in stretches(~down):
        way = steps[max(a - 1, 0) : b].sum()
        phase = (np.arange(a, b) - a + 1) / (b - a + 1)
        least[a:b] = min(CLEAR_CM, CLEAR_SHARE * way) * np.sin(np.pi * phase)
    return least


def follow(poses: np.ndarray, root: np.ndarray, skeleton: Skeleton, *, lower_foot: float) -> np.ndarray:
    """The root (T, 4) whose path and height leave the lower foot where it is; as given where it has no legs.

    lower_foot: its height, cm. Place and heading of frame 0 stay, and so does the heading of all frames.
    """
    legs, root = Legs.of(skeleton), np.array(root, float)
    if legs is None or len(root) < 2:
        return root
    seen, _ = legs_of_pose(poses, root, skeleton, legs)
    feet = rotations.rotate(rotations.about("y", -root[:, 3])[:, None], seen[:, legs.toe])
    steps = path_of_feet(feet, root[:, 3])
    steps = gaussian_filter1d(steps, STEP_FRAMES, axis=0, mode="nearest")
    root[1:, [0, 2]] = root[0, [0, 2]] + np.cumsum(steps, 0)
    lower = feet[..., 1].min(1)
    root[:, 1] = gaussian_filter1d(lower_foot - lower, SMOOTH_FRAMES, mode="nearest")
    return root


def hold(
    poses: np.ndarray, root: np.ndarray, skeleton: Skeleton, *, lower_foot: float
) -> tuple[np.ndarray, np.ndarray]:
    """Poses (T, 3 J) and roots (T, 4) of a body whose feet stay where they are down, at `lower_foot` cm.

    Legs change, and the height where a leg is too short; as given where a skeleton has no legs.
    """
    legs, poses, root = Legs.of(skeleton), np.array(poses, float), np.array(root, float)
    if legs is None or len(root) < 2:
        return poses, root
    seen, world = legs_of_pose(poses, root, skeleton, legs)
    places = seen + root[:, None, :3]
    ahead = np.stack([np.sin(root[:, 3]), np.zeros(len(root)), np.cos(root[:, 3])], -1)
    both = [leg.Leg.of(places[:, own], world[:, own], ahead) for own in legs.sides]
    goals, needed = _goals(places, legs, [own.longest() for own in both], ground=lower_foot)
    sunk = _smooth_sink(needed.max(1))
    root[:, 1] -= sunk
    for k, (hip, knee, ankle) in enumerate(legs.sides):
        goals[k][:, 1] += sunk
        thigh, shin = both[k].reach(goals[k] - places[:, hip])
        for joint, parent, own in (
            (hip, world[:, legs.parents[hip]], thigh),
            (knee, thigh, shin),
            (ankle, shin, world[:, ankle]),
        ):
            columns = slice(3 * legs.joints[joint], 3 * legs.joints[joint] + 3)
            poses[:, columns] = rotations.to_expmap(rotations.multiply(rotations.inverse(parent), own))
    return poses, root


def _goals(
    places: np.ndarray, legs: Legs, longest: list[np.ndarray], *, ground: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """Where both ankles (T, 3) must be so that feet hold, and how far (T, 2) hips must sink for each.

    A foot that stays where it is while its body goes out of the reach of its leg, which is `longest` (T,),
    steps after it, as often as that takes: half-way through its stand, and while the other foot is down, or
    is put down for it.
    """
    toes = places[:, legs.toe]
    down = stand_at(toes)
    taken = np.zeros(len(down), bool)
    while True:
        moved = [shifts(toes[:, k], down[:, k], ground) for k in range(2)]
        goals = [places[:, ankle] + moved[k] for k, ankle in enumerate(legs.ankle)]
        needed = np.stack([_needed(places[:, hip], *own) for hip, *own in zip(legs.hip, goals, longest)], 1)
        lost = needed > MOST_SINK_CM
        for k in range(2):
            first = _step(down[:, k], lost[:, k], down[:, 1 - k], taken)
            if first is not None:
                stop = first + STEP_UP_FRAMES
                down[first:stop, k] = False
                down[first - ON_BOTH_FRAMES : stop + ON_BOTH_FRAMES, 1 - k] = True
                taken[first - ON_BOTH_FRAMES : stop + ON_BOTH_FRAMES] = True
                break
        else:
            return goals, needed


def _step(down: np.ndarray, lost: np.ndarray, other: np.ndarray, taken: np.ndarray) -> int | None:
    """First frame of a step that parts a stand out of reach, as near to the stand's middle as can be.

    down, other (T,): whether a foot is down, and the other one; lost (T,): whether its place is out of reach;
    taken (T,): where steps are already, so that neither foot undoes one of the other's. None where no such
    stand can be parted.
    """
    length = STEP_UP_FRAMES + 2 * ON_BOTH_FRAMES
    for a, b in stretches(down):
        begins = np.arange(a + SHORTEST, b - SHORTEST - STEP_UP_FRAMES + 1)
        for room in (other & ~taken, ~taken):
            counts = np.concatenate([[0], np.cumsum(room)])
            fits = begins[
                counts[begins - ON_BOTH_FRAMES + length] - counts[begins - ON_BOTH_FRAMES] == length
            ]
            if lost[a:b].any() and len(fits):
                return int(fits[np.abs(fits - (a + b - STEP_UP_FRAMES) / 2).argmin()])
    return None


def _needed(hip: np.ndarray, goal: np.ndarray, longest: np.ndarray) -> np.ndarray:
    """How far (T,) a hip at (T, 3) must sink so that a leg, which is `longest` (T,), reaches its goal."""
    aside = np.linalg.norm((goal - hip)[:, [0, 2]], axis=-1)
    highest = goal[:, 1] + np.sqrt(np.maximum(longest**2 - aside**2, 0))
    return np.maximum(hip[:, 1] - highest, 0)


def _smooth_sink(needed: np.ndarray) -> np.ndarray:
    """How far (T,) hips sink: what is needed, but no more than MOST_SINK_CM, and without a jump."""
    held = maximum_filter1d(np.minimum(needed, MOST_SINK_CM), 2 * SINK_FRAMES + 1, mode="nearest")
    return gaussian_filter1d(held, SINK_FRAMES / 2, mode="nearest")
