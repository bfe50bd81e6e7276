"""Which axis points up in a body's file, and the body turned so that it is y.

In: a motion as its file has it. Out: the axis that four witnesses agree on, and the same motion with y up.
The witnesses, each for any of the six directions: the trunk points that way, on average, and the feet are
below the hips (`trunk`); the lowest joint stays at one height, as over a floor, which it does not along the
ground (`floor`); that height is 0 (`zero`); the rest pose stands that way (`rest`). A body is turned where
another direction than y has more witnesses, three of them or the trunk among them: people lie down, and a
file with y up in which they do is left as it is. Where witnesses disagree the file is left as well, and one
line says so.

Also told: toes that point backwards, which means that left and right are exchanged or that the file is
mirrored. What is judged and what is not is listed in docs/bvh.md.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import InputError
from pipeline.motion import rotations
from pipeline.motion.joint_map import missing_joints
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import chain

log = logging.getLogger("interact")

AXES = ("x", "y", "z", "x-down", "y-down", "z-down")
"""Directions that may be up: along an axis, or against one that points down."""
CHOICES = ("auto", *AXES)
NEEDED_JOINTS = ["Hips", "Head", "LeftFoot", "RightFoot", "LeftLeg", "RightLeg"]
MAX_FRAMES = 2000
"""Frames that are looked at, evenly spaced: enough for shares and ranges."""
TRUNK = 0.7
"""Mean cosine between trunk and up, from which on it is a witness.

A trunk that leans by 45 degrees all the time.
"""
FEET_ABOVE = 0.1
"""How far feet may be above the hips, in heights: who sits on the floor has them beside."""
FLOOR_RANGE, FLOOR_SHARE, STILL = 0.06, 0.4, 0.005
"""The lowest joint's height varies by less than this share of the body's height.

And by less than this share of what it does along the other axes, which must be more than a body at rest
shows.
"""
ZERO = 0.12
"""The floor is within this share of the body's height of 0.

A joint is some cm above the sole, and lying or kneeling more.
"""
REST = 0.8
"""Cosine between an axis and head above feet in the rest pose."""
MIRRORED = -0.3
"""Mean cosine between toes and ahead below which they point backwards.

Ahead is the direction by left, right and up.
"""


@dataclass(frozen=True)
class Up:
    """The direction that is up, its witnesses, and why that is in doubt ("" where it is not)."""

    axis: str
    witnesses: tuple[str, ...] = ()
    doubt: str = ""


def direction(axis: str) -> np.ndarray:
    """Unit vector (3,) of one of AXES."""
    return np.eye(3)["xyz".index(axis[0])] * (-1 if axis.endswith("down") else 1)


def to_y(axis: str) -> np.ndarray:
    """The rotation (4,) that brings a direction onto y, the shortest one; half a turn about x for y-down."""
    if axis == "y-down":
        return rotations.about("x", np.asarray(np.pi))
    x, _, z = direction(axis)
    if axis == "y":
        return np.array([0.0, 0.0, 0.0, 1.0])
    return rotations.about("x", -np.pi / 2 * z) if z else rotations.about("z", np.pi / 2 * x)


def _rest(motion: Motion, head: int, feet: list[int]) -> str:
    """The direction along which the rest pose stands, "" where along none."""
    still = np.repeat(np.array([[0.0, 0.0, 0.0, 1.0]]), len(motion.names), 0)
    world, _ = chain(motion.parents, motion.offsets_cm, still)
    stands = world[head] - world[feet].mean(0)
    length = np.linalg.norm(stands)
    return next((axis for axis in AXES if length > 0 and stands @ direction(axis) > REST * length), "")


def witnesses(motion: Motion) -> dict[str, tuple[str, ...]]:
    """Names of the witnesses for each of AXES.

    InputError where hips, head, knees or ankles are not known, or no frame is whole.
    """
    found = motion.aliases()
    if absent := missing_joints(motion, NEEDED_JOINTS):
        raise InputError(f"which axis is up cannot be judged without the joints {', '.join(absent)}")
    hips, head, feet = found["Hips"], found["Head"], [found["LeftFoot"], found["RightFoot"]]
    usable = np.flatnonzero(
        np.isfinite(motion.positions_cm).all((1, 2)) & np.isfinite(motion.rotations).all((1, 2))
    )
    if not len(usable):
        raise InputError("which axis is up cannot be judged without a frame free of NaN")
    part = motion.frames(usable[np.unique(np.linspace(0, len(usable) - 1, MAX_FRAMES).round().astype(int))])
    world, _ = chain(part.parents, part.positions_cm, part.rotations)
    trunk, legs = world[:, head] - world[:, hips], world[:, hips] - world[:, feet].mean(1)
    thighs = [
        np.linalg.norm(world[:, found[f"{side}Leg"]] - world[:, hips], axis=1) for side in ("Left", "Right")
    ]
    shins = [
        np.linalg.norm(world[:, found[f"{side}Foot"]] - world[:, found[f"{side}Leg"]], axis=1)
        for side in ("Left", "Right")
    ]
    height = float(np.linalg.norm(trunk, axis=1).mean() + np.mean(thighs) + np.mean(shins))
    if not height > 0:
        raise InputError("which axis is up cannot be judged of a body without size")
    trunk /= np.maximum(np.linalg.norm(trunk, axis=1, keepdims=True), 1e-9)
    lowest = {axis: (world[:, hips:] @ direction(axis)).min(1) / height for axis in AXES}
    ranges = {axis: float(np.ptp(np.percentile(low, [5, 95]))) for axis, low in lowest.items()}
    rest = _rest(motion, head, feet)
    result = {}
    for axis in AXES:
        up = direction(axis)
        others = min(value for other, value in ranges.items() if other[0] != axis[0])
        named = {
            "trunk": float((trunk @ up).mean()) >= TRUNK and float((legs @ up).mean()) > -FEET_ABOVE * height,
            "floor": ranges[axis] < min(FLOOR_RANGE, FLOOR_SHARE * others) and others > STILL,
            "zero": abs(float(np.percentile(lowest[axis], 5))) < ZERO,
            "rest": axis == rest,
        }
        result[axis] = tuple(name for name, speaks in named.items() if speaks)
    return result


def judge_up(motion: Motion) -> Up:
    """The direction that is up in a motion, y where nothing else is more likely.

    InputError where it cannot be judged.
    """
    found = witnesses(motion)
    mine = found["y"]
    best = max(
        (axis for axis in AXES if axis != "y"),
        key=lambda axis: (len(found[axis]), "trunk" in found[axis], "floor" in found[axis]),
    )
    more, upright = len(found[best]) - len(mine), "trunk" in found[best]
    if more > 0 and (upright or len(found[best]) >= 3):
        return Up(best, found[best])
    lies = upright and "trunk" not in mine and ("floor" not in mine or "zero" in found[best])
    alike = more == 0 and (upright or "trunk" not in mine or ("floor" in found[best] and "floor" not in mine))
    if more > 0 or lies or alike:
        speaks = [f"{axis} ({', '.join(found[axis]) or 'nothing'})" for axis in (best, "y")]
        return Up(
            "y",
            mine,
            f"for {speaks[0]} speaks as much as for {speaks[1]}, or nearly so: does the person lie or crawl?",
        )
    return Up("y", mine)


def turned(motion: Motion, axis: str) -> Motion:
    """The motion with y up where `axis` was.

    A rest pose that stood along the same axis is turned with it, else only the root.
    """
    if axis == "y":
        return motion
    by = to_y(axis)
    found = motion.aliases()
    along = (
        "Head" in found
        and {"LeftFoot", "RightFoot"} <= set(found)
        and _rest(motion, found["Head"], [found["LeftFoot"], found["RightFoot"]])
    )
    root = int(np.flatnonzero(np.asarray(motion.parents) < 0)[0])
    offsets, positions, local = motion.offsets_cm.copy(), motion.positions_cm.copy(), motion.rotations.copy()
    if along == axis:
        ends = {j: rotations.rotate(by, end) for j, end in motion.ends_cm.items()}
        local = rotations.multiply(
            rotations.multiply(np.broadcast_to(by, local.shape), local), rotations.inverse(by)
        )
        return replace(
            motion,
            offsets_cm=rotations.rotate(by, offsets),
            positions_cm=rotations.rotate(by, positions),
            rotations=local,
            ends_cm=ends,
        )
    offsets[root], positions[:, root] = (
        rotations.rotate(by, offsets[root]),
        rotations.rotate(by, positions[:, root]),
    )
    local[:, root] = rotations.multiply(np.broadcast_to(by, local[:, root].shape), local[:, root])
    return replace(motion, offsets_cm=offsets, positions_cm=positions, rotations=local)


def is_mirrored(motion: Motion) -> bool:
    """Whether the toes of a motion with y up point backwards, by which side is called left.

    False where that cannot be seen.
    """
    found = motion.aliases()
    if missing_joints(
        motion,
        [
            "LeftUpLeg",
            "RightUpLeg",
            *(f"{side}{part}" for side in ("Left", "Right") for part in ("Foot", "ToeBase")),
        ],
    ):
        return False
    usable = np.flatnonzero(
        np.isfinite(motion.positions_cm).all((1, 2)) & np.isfinite(motion.rotations).all((1, 2))
    )
    if not len(usable):
        return False
    part = motion.frames(usable[np.unique(np.linspace(0, len(usable) - 1, MAX_FRAMES).round().astype(int))])
    world, _ = chain(part.parents, part.positions_cm, part.rotations)
    left = world[:, found["LeftUpLeg"]] - world[:, found["RightUpLeg"]]
    ahead = np.cross(left, [0.0, 1.0, 0.0])[:, [0, 2]]
    toes = sum(
        world[:, found[f"{side}ToeBase"]] - world[:, found[f"{side}Foot"]] for side in ("Left", "Right")
    )[:, [0, 2]]
    lengths = np.linalg.norm(ahead, axis=1) * np.linalg.norm(toes, axis=1)
    seen = lengths > 1e-6
    return bool(seen.any()) and float((np.sum(ahead * toes, 1)[seen] / lengths[seen]).mean()) < MIRRORED


def in_doubt(motion: Motion) -> bool:
    """Whether it is not clear which axis is up in a motion."""
    try:
        return bool(judge_up(motion).doubt)
    except InputError:
        return True


def _judged(motion: Motion, up: str, where: str) -> Up | None:
    """What is up in a motion, as the user says or as it is judged; None where it cannot be."""
    if up != "auto":
        return Up(up, ("trunk",))
    try:
        return judge_up(motion)
    except InputError as error:
        log.info("%s: %s; it is taken for y", where, error)
        return None


def stand(
    motions: Sequence[Motion], up: str, *, wheres: Sequence[str], key: str, sides: bool = True
) -> list[Motion]:
    """Motions of one room with y up; what is turned, in doubt or mirrored is told in a warning.

    up: one of CHOICES; auto judges. A body in doubt is turned as the others of the room are that are clear.
    key: what a user sets to overrule, such as body.up. sides: whether to look for mirrored bodies. InputError
    where two bodies of a room clearly stand along different axes.
    """
    judged = [_judged(motion, up, where) for motion, where in zip(motions, wheres, strict=True)]
    clear = sorted(
        {found.axis for found in judged if found and not found.doubt and "trunk" in found.witnesses}
    )
    if len(clear) > 1:
        each = ", ".join(f"{where} along {found.axis}" for where, found in zip(wheres, judged) if found)
        raise InputError(
            f"{each}: two bodies of one room stand along different axes, need one; bring each to y by itself"
            " first (python -m pipeline.capture.body FILE --out UPRIGHT.bvh), or export one again"
        )
    result = []
    for motion, found, where in zip(motions, judged, wheres):
        unclear = found is None or found.doubt or "trunk" not in found.witnesses
        axis = clear[0] if clear and unclear else found.axis if found else "y"
        if found and found.doubt and not clear:
            log.warning(
                "%s: it is not clear which axis is up: %s; the body is left as it is, set %s to settle it",
                where,
                found.doubt,
                key,
            )
        if axis != "y" and up == "auto":
            log.warning(
                "%s: the body stands along %s, not y; it is turned to stand along y (set %s to silence this)",
                where,
                axis,
                key,
            )
        motion = turned(motion, axis)
        if sides and is_mirrored(motion):
            log.warning(
                "%s: its toes point backwards: left and right are exchanged, or the file is mirrored; export"
                " it again",
                where,
            )
        result.append(motion)
    return result
