"""Body quality: what is wrong with a captured motion, joint by joint and frame by frame (docs/body.md).

In: a motion at its own rate. Out: faults with kind, joint, frames and size, how far the feet slide, and what
could not be judged on this skeleton. Angles are degrees, lengths cm, speeds per second; limits are times,
speeds and accelerations, so that they mean the same at any frame rate. One kind of fault is mended, flicker
of a single frame; all others are reported.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from pipeline.motion import rotations
from pipeline.motion.joints import SIDES
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import chain

KINDS = ("nan", "swap", "side_swap", "limit", "flicker", "jump", "freeze", "slide")
WHOLE_BODY = "whole body"
BLOCK_FRAMES = 2048
MARGIN_FRAMES = 16

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
FREEZE_EDGE_DEG = 0.02
"""A movement that comes to rest gets slower first.

A joint that is held stops, or goes on, at a step of at least this.
"""
LIMIT_SECONDS = 0.025
JOIN_SECONDS = 0.1
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
CONTACT_CM = 2.5
CONTACT_CM_S = 10.0
SWING_CM_S = 100.0
SLIDE_CM = 3.0
"""Way of a foot on the ground, in one go, that is listed as a fault."""
BENT_DEG = 20.0
"""Bend from which the plane of a hinge can be seen."""

HINGE_LIMITS = {"knee": (-20.0, 170.0), "elbow": (-25.0, 170.0)}
"""Bend (lowest, highest).

Soucie et al. 2011: knees -3 to 142, elbows -6 to 151 on average; lax joints 10 more, skeletons err by 10.
"""
FINGER_LIMITS = {1: (-60.0, 120.0), 2: (-30.0, 140.0), 3: (-40.0, 120.0)}
"""Bend at knuckle, middle and end joint.

Hume et al. 1990: 0 to 100, 105, 85 in use; AAOS: knuckles -45, end joints a little below 0, more when pushed;
15 to 30 degrees more, as markers on fingers sit within a joint's width of each other.
"""
THUMB_LIMIT = 110.0
"""Unsigned bend of the thumb's two outer joints.

Which way they bend cannot be told from positions of the hand.
"""
TWIST_LIMITS = {"neck": 110.0, "spine": 80.0}
"""Turn about its own length, either way.

AAOS: neck 80, trunk 45; the shoulder girdle adds to what the skeleton calls spine.
"""

FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")
REPORTED_PER_MINUTE = {
    "swap": 0.0,
    "side_swap": 0.0,
    "jump": 0.0,
    "freeze": 0.0,
    "flicker": 2.0,
    "limit": 0.0,
}
"""More faults of a kind than this in a minute are for a person to look at; mended flicker does not count."""
MAX_SLIDE_SHARE = 0.1
MIN_CONTACT_SHARE = 0.2
"""A foot on the ground in fewer frames walks on a floor that is not flat: its slides are not judged."""


@dataclass(frozen=True)
class Fault:
    """A kind of KINDS at frames first..stop-1 of a joint (name and index; -1 is all).

    Its size `value` in `unit`, the limit it breaks.
    """

    kind: str
    joint: str
    index: int
    first: int
    stop: int
    value: float
    limit: float
    unit: str
    note: str = ""
    mended: bool = False


@dataclass(frozen=True)
class Inspection:
    """Faults by frame and kind; feet: contact frames, share that slides and longest way in cm, by joint.

    Not_judged: what, and why.
    """

    faults: list[Fault]
    feet: dict[str, dict[str, float]]
    not_judged: list[str]


@dataclass(frozen=True)
class _Hinge:
    """A joint with one axis: names, indices of the bones' ends, and the axis.

    Positive bends turn about the axis, in the frame of joint `base`.
    """

    name: str
    joint: int
    points: tuple[
        int, int, int, int
    ]  # proximal bone from, to; distal bone from, to (-1: the tip of the joint before)
    base: int
    axis: np.ndarray
    limits: tuple[float, float]


@dataclass
class _Signals:
    """What is kept of each frame: spikes and steps of joints, bends (T, H), finger joints, hands and feet."""

    flicker: np.ndarray  # (T, J) int8, width in frames
    flicker_value: np.ndarray
    flicker_limit: np.ndarray
    jump: np.ndarray  # (T, J) bool
    jump_value: np.ndarray
    step: np.ndarray  # (T, J) float32, degrees or cm from the frame before, whichever is more
    same: np.ndarray  # (T, J) bool, identical to the frame before
    bends: np.ndarray
    twists: np.ndarray
    # (T,) step where two fingers change places, else 0
    swaps: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    ends: np.ndarray = field(default_factory=lambda: np.empty(0))  # (T, E, 3) hands, feet and toes


def angle_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle (...,) in degrees between rotations (..., 4); NaN where one is NaN."""
    return np.rad2deg(2 * np.arccos(np.clip(np.abs(np.sum(a * b, -1)), 0.0, 1.0)))


def runs(mask: np.ndarray, *, join: int = 0, least: int = 1) -> list[tuple[int, int]]:
    """First frame and frame after the last of the stretches where `mask` (T,) holds.

    Gaps up to `join` belong to them, `least` frames long.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    found: list[tuple[int, int]] = []
    for first, stop in edges.reshape(-1, 2).tolist():
        if found and first - found[-1][1] <= join:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((first, stop))
    return [(first, stop) for first, stop in found if stop - first >= least]


def fingers_of(motion: Motion) -> dict[str, list[int]]:
    """The joints of each finger with three of them, knuckle first, by name such as LeftIndex.

    A finger is found by its word in the names below the hand; a joint before the knuckle (the release's
    HandIndex) has no number.
    """
    found = motion.aliases()
    result: dict[str, list[int]] = {}
    for side in SIDES:
        if f"{side}Hand" not in found:
            continue
        below = {found[f"{side}Hand"]}
        for j, parent in enumerate(motion.parents):
            if parent in below:
                below.add(j)
        for finger in FINGERS:
            words = ("pinky", "little") if finger == "Pinky" else (finger.lower(),)
            joints = [
                j
                for j in sorted(below)
                if any(word in motion.names[j].split(":")[-1].lower() for word in words)
            ]
            numbered = [j for j in joints if motion.names[j].rstrip("_")[-1:] in "123"]
            line = [j for j in numbered if len(numbered) == 3]
            if len(line) == 3 and motion.parents[line[1]] == line[0] and motion.parents[line[2]] == line[1]:
                result[f"{side}{finger}"] = line
    return result


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
        return angle_deg(a, b) if angles else np.linalg.norm(a - b, axis=-1)

    for k in range(1, max(1, round(FLICKER_SECONDS * fps)) + 1):
        n = len(q) - k - 1
        if n <= 0:
            break
        before, after = q[:n], q[k + 1 :]
        if angles:
            after = np.where(np.sum(before * after, -1, keepdims=True) < 0, -after, after)
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
        return angle_deg(a, b) if angles else np.linalg.norm(a - b, axis=-1)

    step = np.zeros(q.shape[:2])
    step[1:] = apart(q[1:], q[:-1])
    beside = np.maximum(np.concatenate([step[:1], step[:-1]]), np.concatenate([step[1:], step[-1:] * 0]))
    beside[1:2] = np.concatenate([step[2:3], step[1:2] * 0])[:1]  # the first step has one neighbour
    later = np.minimum(np.arange(len(q)) + max(1, round(FLICKER_SECONDS * fps)), len(q) - 1)
    stays = np.zeros(q.shape[:2])
    stays[1:] = apart(q[later][1:], q[:-1])
    with np.errstate(invalid="ignore"):
        return (step >= least) & (step >= ALONE * beside) & (stays >= step / 2), step


def bend_deg(proximal: np.ndarray, distal: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Bend (...,) in degrees from bone `proximal` to bone `distal` (..., 3); 0 is straight.

    It is about `axis` (..., 3), a unit vector.

    Measured between the bones' projections on the plane across the axis; NaN where a bone lies more than 70
    degrees out of it.
    """
    flat = []
    for bone in (proximal, distal):
        bone = bone / np.linalg.norm(bone, axis=-1, keepdims=True)
        across = bone - np.sum(bone * axis, -1, keepdims=True) * axis
        flat.append(np.where(np.linalg.norm(across, axis=-1, keepdims=True) > 0.34, across, np.nan))
    return np.rad2deg(
        np.arctan2(np.sum(np.cross(flat[0], flat[1]) * axis, -1), np.sum(flat[0] * flat[1], -1))
    )


def twist_deg(q: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The part of rotations (..., 4) that turns about `axis` (3,), degrees in -180..180.

    Swing-twist decomposition.
    """
    half = np.arctan2(np.sum(q[..., :3] * axis, -1), q[..., 3])
    return np.rad2deg((2 * half + np.pi) % (2 * np.pi) - np.pi)


def _world(motion: Motion, frames) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World positions, rotations and tips, each (B, J, ...), of some frames.

    Where a joint has no tip, it is the joint's own place.
    """
    places, world = chain(motion.parents, motion.positions_cm[frames], motion.rotations[frames])
    tips = places.copy()
    for j, end in motion.ends_cm.items():
        tips[:, j] += rotations.rotate(world[:, j], end)
    return places, world, tips


def _bones(hinge: _Hinge, places: np.ndarray, tips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d = hinge.points
    return places[:, b] - places[:, a], (tips[:, c] if d < 0 else places[:, d]) - places[:, c]


def _hinges(
    motion: Motion, found: dict[str, int], fingers: dict[str, list[int]], sample: np.ndarray
) -> tuple[list[_Hinge], list[str]]:
    """Hinges whose axis the motion shows, and why others were left out.

    Knees and elbows bend about the main normal of their bones' plane over the sampled frames in which they
    are bent, in the frame of the thigh or upper arm. Knees know their front by the toes; elbows by the way
    that they bend most of the time. Fingers bend towards the palm: the side of the plane of wrist and
    knuckles that the order of the knuckles gives.
    """
    hinges: list[_Hinge] = []
    missing: list[str] = []
    places, world, tips = _world(motion, sample)
    limbs = [
        (side, kind, names)
        for side in SIDES
        for kind, names in (("knee", ("UpLeg", "Leg", "Foot")), ("elbow", ("Arm", "ForeArm", "Hand")))
    ]
    for side, kind, names in limbs:
        if any(side + name not in found for name in names):
            missing.append(f"{side} {kind}: no joints {', '.join(names)}")
            continue
        a, b, c = (found[side + name] for name in names)
        upper, lower = places[:, b] - places[:, a], places[:, c] - places[:, b]
        normal = np.cross(upper, lower)
        size = np.linalg.norm(normal, axis=-1)
        bent = size > np.sin(np.deg2rad(BENT_DEG)) * np.linalg.norm(upper, axis=-1) * np.linalg.norm(
            lower, axis=-1
        )
        if bent.sum() < 3:
            missing.append(f"{side} {kind}: bent in too few frames to see its axis")
            continue
        own = rotations.rotate(rotations.inverse(world[bent, a]), normal[bent] / size[bent, None])
        values, vectors = np.linalg.eigh(own.T @ own / len(own))
        if values[-1] < 0.7:
            missing.append(f"{side} {kind}: bends about no one axis")
            continue
        axis, way = vectors[:, -1], own
        toe = found.get(f"{side}ToeBase")
        if kind == "knee" and toe is not None:  # shin up, toes ahead: the knee bends about their normal
            ahead = np.cross(-lower[bent], places[bent, toe] - places[bent, c])
            way = rotations.rotate(rotations.inverse(world[bent, a]), ahead)
        axis = axis * (1.0 if np.median(way @ axis) >= 0 else -1.0)
        hinges.append(_Hinge(kind, b, (a, b, b, c), a, axis, HINGE_LIMITS[kind]))
    for side in SIDES:
        knuckles = [(finger, fingers[side + finger][0]) for finger in FINGERS[1:] if side + finger in fingers]
        if len(knuckles) < 2:
            missing.append(f"{side} fingers: fewer than two fingers with three joints")
            continue
        hand = found[f"{side}Hand"]
        near, far = (
            np.median(
                rotations.rotate(rotations.inverse(world[:, hand]), places[:, j] - places[:, hand]), axis=0
            )
            for j in (knuckles[0][1], knuckles[-1][1])
        )
        back = np.cross(near, far) * (1 if side == "Left" else -1)  # out of the back of the hand
        axis = np.cross(near + far, -back)
        axis /= np.linalg.norm(axis)
        for finger, joint in knuckles:
            line = fingers[side + finger]
            ways = [
                (int(motion.parents[joint]) if np.linalg.norm(motion.offsets_cm[joint]) > 1 else hand, joint),
                (line[0], line[1]),
                (line[1], line[2]),
            ]
            ends = [(line[0], line[1]), (line[1], line[2]), (line[2], -1)]
            for number in (1, 2, 3):
                if number == 3 and line[2] not in motion.ends_cm:
                    continue
                hinges.append(
                    _Hinge(
                        "finger",
                        line[number - 1],
                        (*ways[number - 1], *ends[number - 1]),
                        hand,
                        axis,
                        FINGER_LIMITS[number],
                    )
                )
        if side + "Thumb" in fingers:
            line = fingers[side + "Thumb"]
            hinges.append(
                _Hinge(
                    "thumb", line[1], (line[0], line[1], line[1], line[2]), hand, axis, (-1.0, THUMB_LIMIT)
                )
            )
            if line[2] in motion.ends_cm:
                hinges.append(
                    _Hinge("thumb", line[2], (line[1], line[2], line[2], -1), hand, axis, (-1.0, THUMB_LIMIT))
                )
    return hinges, missing


def _twists(
    motion: Motion, found: dict[str, int], sample: np.ndarray
) -> list[tuple[str, int, int, np.ndarray, np.ndarray]]:
    """Neck and spine: kind, joint above, joint below, axis (3,), neutral rotation (4,).

    The axis is in the frame of the joint below.

    Neutral is the rest pose, where the rotations are 0; where the motion's median is more than 60 degrees
    from it, the rest pose is not upright and the frame nearest to the sampled frames' mean is taken.
    """
    places, world, _ = _world(motion, sample)
    chest = next((found[name] for name in ("Spine3", "Spine2", "Spine1", "Spine") if name in found), None)
    result = []
    for kind, above, below in (("neck", found.get("Head"), chest), ("spine", chest, found.get("Hips"))):
        if above is None or below is None or above == below:
            continue
        turn = rotations.multiply(rotations.inverse(world[:, below]), world[:, above])
        way = rotations.rotate(rotations.inverse(world[:, below]), places[:, above] - places[:, below]).mean(
            0
        )
        if np.linalg.norm(way) < 1e-3:
            continue
        neutral = np.array([0.0, 0.0, 0.0, 1.0])
        if np.median(angle_deg(turn, neutral)) > 60:
            aligned = turn * np.where(np.sum(turn * turn[0], -1, keepdims=True) < 0, -1.0, 1.0)
            neutral = rotations.normalise(aligned.mean(0))
        result.append((kind, above, below, way / np.linalg.norm(way), neutral))
    return result


def _swap_steps(
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
            (shapes, angle_deg, SWAP_DEG),
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


def _feet_joints(found: dict[str, int]) -> list[int]:
    """Hands, ankles and balls of the feet (L, R each), -1 where the skeleton has none."""
    return [found.get(f"{side}{part}", -1) for part in ("Hand", "Foot", "ToeBase") for side in SIDES]


def _blocks(num_frames: int) -> Iterator[tuple[slice, slice, slice]]:
    """Frames to read, of them those to keep, and where the kept ones go.

    Blocks have a margin, so that spikes are not cut.
    """
    for start in range(0, num_frames, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, num_frames)
        low, high = max(start - MARGIN_FRAMES, 0), min(stop + MARGIN_FRAMES, num_frames)
        yield slice(low, high), slice(start - low, stop - low), slice(start, stop)


def _signals(
    motion: Motion, hinges: list[_Hinge], twists: list, fingers: dict[str, list[int]], flicker_deg: float
) -> _Signals:
    """What the rules need of every frame, block by block."""
    num, joints, fps = motion.num_frames, len(motion.names), motion.fps
    found = motion.aliases()
    free = sorted(motion.free)
    hands = {f"{side}Hand": found[f"{side}Hand"] for side in SIDES if f"{side}Hand" in found}
    ends = _feet_joints(found)
    grid, kept = (num, joints), np.float32
    result = _Signals(
        flicker=np.zeros(grid, np.int8),
        flicker_value=np.zeros(grid, kept),
        flicker_limit=np.zeros(grid, kept),
        jump=np.zeros(grid, bool),
        jump_value=np.zeros(grid, kept),
        step=np.zeros(grid, kept),
        same=np.zeros(grid, bool),
        bends=np.zeros((num, len(hinges)), kept),
        twists=np.zeros((num, len(twists)), kept),
        ends=np.full((num, len(ends), 3), np.nan, kept),
    )
    for read, keep, to in _blocks(num):
        q, p = motion.rotations[read], motion.positions_cm[read]
        width, value, limit = spikes(q, fps=fps, least=flicker_deg, acceleration=MAX_TURN_DEG_S2, angles=True)
        hit, step = jumps(q, fps=fps, least=JUMP_DEG_S / fps, angles=True)
        jump_value = np.where(hit, step, 0.0)
        moved = spikes(p[:, free], fps=fps, least=FLICKER_CM, acceleration=MAX_PUSH_CM_S2, angles=False)
        leapt, way = jumps(p[:, free], fps=fps, least=JUMP_CM_S / fps, angles=False)
        for i, j in enumerate(free):
            new = (moved[0][:, i] > 0) & (width[:, j] == 0)
            # a centimetre of a free joint is written as such in the fault's unit: negative sizes here
            width[new, j], value[new, j], limit[new, j] = (
                moved[0][new, i],
                -moved[1][new, i],
                moved[2][new, i],
            )
            new = leapt[:, i] & ~hit[:, j]
            hit[new, j], jump_value[new, j] = True, -way[new, i]
            step[:, j] = np.maximum(step[:, j], way[:, i])
        same = np.zeros(width.shape, bool)
        same[1:] = (q[1:] == q[:-1]).all(-1) & (p[1:] == p[:-1]).all(-1)
        for name, array in (
            ("flicker", width),
            ("flicker_value", value),
            ("flicker_limit", limit),
            ("jump", hit),
            ("jump_value", jump_value),
        ):
            getattr(result, name)[to] = array[keep]
        result.step[to], result.same[to] = step[keep], same[keep]
        places, world, tips = _world(motion, read)
        for h, hinge in enumerate(hinges):
            proximal, distal = _bones(hinge, places, tips)
            if hinge.name == "thumb":
                size = np.linalg.norm(proximal, axis=-1) * np.linalg.norm(distal, axis=-1)
                bend = np.rad2deg(
                    np.arccos(np.clip(np.sum(proximal * distal, -1) / np.maximum(size, 1e-9), -1, 1))
                )
            else:
                bend = bend_deg(proximal, distal, rotations.rotate(world[:, hinge.base], hinge.axis))
            result.bends[to, h] = bend[keep]
        for i, (_, above, below, axis, neutral) in enumerate(twists):
            turn = rotations.multiply(rotations.inverse(world[:, below]), world[:, above])
            result.twists[to, i] = twist_deg(rotations.multiply(turn, rotations.inverse(neutral)), axis)[keep]
        for pair, steps in _swap_steps(fingers, hands, q, places, world, tips).items():
            result.swaps.setdefault(pair, np.zeros(num, kept))[to] = steps[keep]
        for i, j in enumerate(ends):
            if j >= 0:
                result.ends[to, i] = places[keep, j]
    return result


def _limits(motion: Motion, signals: _Signals, hinges: list[_Hinge], twists: list) -> Iterator[Fault]:
    """Joints beyond anatomical limits."""
    least, join = max(2, round(LIMIT_SECONDS * motion.fps)), round(JOIN_SECONDS * motion.fps)
    rows = [(h.name, h.joint, *h.limits, signals.bends[:, i]) for i, h in enumerate(hinges)]
    rows += [
        (kind, above, -TWIST_LIMITS[kind], TWIST_LIMITS[kind], signals.twists[:, i])
        for i, (kind, above, *_) in enumerate(twists)
    ]
    for name, joint, low, high, values in rows:
        for bound, side, what in ((low, -1.0, "bent backwards"), (high, 1.0, "bent too far")):
            beyond = side * (values - bound) > 0
            for first, stop in runs(beyond, join=join, least=least):
                if beyond[first:stop].sum() < least:
                    continue
                part = values[first:stop]
                worst = float(part[np.nanargmax(side * part)])
                note = f"{name} twisted" if name in TWIST_LIMITS else f"{name} {what}"
                yield Fault("limit", motion.names[joint], joint, first, stop, worst, bound, "deg", note)


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


def _swaps(
    motion: Motion, signals: _Signals, fingers: dict[str, list[int]], found: dict[str, int]
) -> Iterator[Fault]:
    """Fingers, hands and feet that change places."""
    for (first, second), edges in signals.swaps.items():
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
        left, right = signals.ends[:, i].astype(float), signals.ends[:, i + 1].astype(float)
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


def _freezes(motion: Motion, signals: _Signals, freeze_seconds: float) -> tuple[list[Fault], list[str]]:
    """Joints, and the whole body, that stay bit-identical; and joints that never move."""
    limit = max(2, round(freeze_seconds * motion.fps))
    static = (~signals.same[1:]).sum(0) < 3  # a reference pose in the first frame is a step or two
    moving = np.flatnonzero(~static)
    faults: list[Fault] = []
    all_same = np.asarray(signals.same[:, moving].all(axis=1)) & (len(moving) > 0)
    for first, stop in runs(all_same, least=limit):
        faults.append(
            Fault("freeze", WHOLE_BODY, -1, first, stop, (stop - first) / motion.fps, freeze_seconds, "s")
        )
    whole = np.zeros(motion.num_frames, bool)
    for fault in faults:
        whole[fault.first : fault.stop] = True
    for j in moving:
        stretches = runs(signals.same[:, j] & ~whole, least=limit)
        poses = [motion.rotations[first, j].tobytes() for first, _ in stretches]
        for (first, stop), pose in zip(stretches, poses):
            around = [signals.step[i, j] for i in (first - 1, stop) if 0 < i < motion.num_frames]
            rest = np.abs(motion.rotations[first, j, 3]) > 1 - 1e-12
            if rest or poses.count(pose) > 1 or max(around, default=0.0) < FREEZE_EDGE_DEG:
                continue
            faults.append(
                Fault(
                    "freeze",
                    motion.names[j],
                    int(j),
                    first,
                    stop,
                    (stop - first) / motion.fps,
                    freeze_seconds,
                    "s",
                )
            )
    return faults, [f"{motion.names[j]}: never moves" for j in np.flatnonzero(static)]


def _slides(
    motion: Motion, signals: _Signals, found: dict[str, int], slide_cm_s: float
) -> tuple[list[Fault], dict[str, dict[str, float]]]:
    """Feet that move along the ground while they stand on it, and figures of each foot.

    A foot is on the ground where ankle and ball both lie within CONTACT_CM of their own fifth percentile and
    rise or fall more slowly than CONTACT_CM_S. It slides where its ball moves faster than `slide_cm_s` along
    the ground; above SWING_CM_S it is a low swing. Speeds are taken over 1/30 s.
    """
    half = max(1, round(motion.fps / 60))
    faults: list[Fault] = []
    feet: dict[str, dict[str, float]] = {}
    for k, side in enumerate(SIDES):
        ball, ankle = signals.ends[:, 4 + k].astype(float), signals.ends[:, 2 + k].astype(float)
        name = f"{side}ToeBase" if f"{side}ToeBase" in found else f"{side}Foot"
        ball = ankle if f"{side}ToeBase" not in found else ball
        if name not in found or not np.isfinite(ball).any() or motion.num_frames <= 2 * half:
            continue
        speed = np.full(ball.shape, np.nan)
        speed[half:-half] = (ball[2 * half :] - ball[: -2 * half]) * motion.fps / (2 * half)
        level = np.linalg.norm(speed[:, [0, 2]], axis=1)
        with np.errstate(invalid="ignore"):
            low = [points[:, 1] - np.nanpercentile(points[:, 1], 5) < CONTACT_CM for points in (ball, ankle)]
            contact = low[0] & low[1] & (np.abs(speed[:, 1]) < CONTACT_CM_S) & (level < SWING_CM_S)
            sliding = contact & (level > slide_cm_s)
        longest = 0.0
        for first, stop in runs(np.asarray(sliding), join=half):
            way = float(np.linalg.norm((ball[min(stop, len(ball) - 1)] - ball[first])[[0, 2]]))
            longest = max(longest, way)
            if way >= SLIDE_CM:
                faults.append(
                    Fault("slide", motion.names[found[name]], found[name], first, stop, way, SLIDE_CM, "cm")
                )
        count, slow = int(contact.sum()), int(sliding.sum())
        feet[name] = {
            "contact_frames": count,
            "sliding_share": round(slow / max(count, 1), 4),
            "longest_slide_cm": round(longest, 2),
        }
    return faults, feet


def inspect(
    motion: Motion, *, flicker_deg: float = 8.0, freeze_seconds: float = 0.25, slide_cm_s: float = 15.0
) -> Inspection:
    """Faults of a motion, by frame; the rules and where their limits come from are in docs/body.md.

    flicker_deg: least size of a spike; freeze_seconds: longest stretch without any change; slide_cm_s: speed
    of a standing foot above which it slides. Frames with NaN are faults of their own and nothing else is said
    of them.
    """
    found, fingers = motion.aliases(), fingers_of(motion)
    finite = np.isfinite(motion.positions_cm).all((1, 2)) & np.isfinite(motion.rotations).all((1, 2))
    faults = [Fault("nan", WHOLE_BODY, -1, a, b, (b - a) / motion.fps, 0.0, "s") for a, b in runs(~finite)]
    usable = np.flatnonzero(finite)
    if len(usable) < 2:
        return Inspection(faults, {}, ["fewer than two frames without NaN"])
    sample = usable[np.unique(np.linspace(0, len(usable) - 1, 1000).astype(int))]
    hinges, not_judged = _hinges(motion, found, fingers, sample)
    twists = _twists(motion, found, sample)
    signals = _signals(motion, hinges, twists, fingers, flicker_deg)
    swaps = list(_swaps(motion, signals, fingers, found))
    freezes, static = _freezes(motion, signals, freeze_seconds)
    slides, feet = _slides(motion, signals, found, slide_cm_s)
    explained = np.zeros(signals.jump.shape, bool)  # steps and spikes that are a swap's or a freeze's edges
    for fault in [*swaps, *freezes]:
        touched = _touched(motion, fault, fingers)
        # over a spike's longest width round both ends
        for edge in (fault.first, fault.stop):
            explained[max(edge - 4, 0) : edge + 4, touched] = True
    for j in range(len(motion.names)):
        for first, stop in runs(signals.flicker[:, j] > 0):
            # spikes side by side stay apart where their widths differ: each is as wide as it says
            while first < stop:
                end = min(first + int(signals.flicker[first, j]), stop)
                if not explained[first:end, j].any():
                    value = float(signals.flicker_value[first, j])
                    faults.append(
                        _sized(
                            "flicker", motion, j, first, end, value, float(signals.flicker_limit[first, j])
                        )
                    )
                first = end
        spiky = signals.flicker[:, j] > 0
        near = spiky | np.roll(spiky, 1) | np.roll(spiky, -1)
        for t in np.flatnonzero(signals.jump[:, j] & ~explained[:, j] & ~near):
            value = float(signals.jump_value[t, j])
            faults.append(
                _sized(
                    "jump",
                    motion,
                    j,
                    int(t),
                    int(t) + 1,
                    value,
                    (JUMP_DEG_S if value > 0 else JUMP_CM_S) / motion.fps,
                )
            )
    faults += [*swaps, *freezes, *slides]
    spiky = signals.flicker > 0
    faults += [
        fault
        for fault in _limits(motion, signals, hinges, twists)
        if not spiky[fault.first : fault.stop, fault.index].all()
    ]
    order = sorted(faults, key=lambda fault: (fault.first, KINDS.index(fault.kind), fault.index))
    return Inspection(order, feet, not_judged + static)


def _sized(kind: str, motion: Motion, joint: int, first: int, stop: int, value: float, limit: float) -> Fault:
    """A fault of a rotation (degrees), or of a free joint's place (cm) where `value` is negative."""
    return Fault(
        kind, motion.names[joint], joint, first, stop, abs(value), limit, "deg" if value > 0 else "cm"
    )


def _touched(motion: Motion, fault: Fault, fingers: dict[str, list[int]]) -> np.ndarray:
    """Indices of the joints whose steps a swap or a freeze explains."""
    if fault.index < 0 or fault.kind == "side_swap":
        return np.arange(len(motion.names))
    if fault.kind == "swap":
        names = fault.note.split(";")[0].split(" and ")
        return np.array([j for name in names for j in fingers[name]])
    return np.array([fault.index])


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
        sizes = np.linalg.norm(at - (before + after) / 2, axis=-1)
    else:
        after = np.where(np.sum(before * after, -1, keepdims=True) < 0, -after, after)
        sizes = angle_deg(at, rotations.normalise(before + after))
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


def summary(
    found: Inspection, *, fps: float, num_frames: int, first_frame: int = 0, start_seconds: float = 0.0
) -> dict:
    """What goes into a body report.

    Counts, verdict, reasons, faults with times, feet, and what was not judged.

    `first_frame`: frame of the recording that is the motion's first; `start_seconds`: its time, from the
    take's first frame.
    """
    listed = []
    for fault in found.faults:
        row = asdict(fault) | {"first": fault.first + first_frame, "stop": fault.stop + first_frame}
        row["value"], row["limit"] = round(fault.value, 2), round(fault.limit, 2)
        row["start_seconds"] = round(start_seconds + fault.first / fps, 4)
        row["seconds"] = round((fault.stop - fault.first) / fps, 4)
        listed.append(row)
    counts = {kind: sum(fault.kind == kind for fault in found.faults) for kind in KINDS}
    report = {"minutes": round(num_frames / fps / 60, 4), "fps": fps, "counts": counts, "feet": found.feet}
    report |= {
        "flicker_mended": sum(fault.mended for fault in found.faults),
        "not_judged": found.not_judged,
        "faults": listed,
    }
    lines = list(reasons(report))
    return {"verdict": "check" if lines else "good", "reasons": lines, **report}


def reasons(report: dict) -> Iterator[str]:
    """What in a summary a person should look at."""
    minutes = max(report["minutes"], 1e-6)
    words = {
        "swap": "finger swaps",
        "side_swap": "swaps of left and right",
        "limit": "stretches beyond anatomical limits",
        "flicker": "spikes that were not mended",
        "jump": "jumps",
        "freeze": "frozen stretches",
    }
    for kind, most in REPORTED_PER_MINUTE.items():
        mine = [fault for fault in report["faults"] if fault["kind"] == kind and not fault["mended"]]
        if len(mine) > most * max(minutes, 1.0):
            worst = max(
                mine,
                key=lambda fault: fault["seconds"] if kind in ("swap", "limit", "freeze") else fault["value"],
            )
            yield f"{len(mine)} {words[kind]}, such as {worst['joint']} at {worst['start_seconds']:.2f} s"
    for name, foot in report["feet"].items():
        if (
            foot["sliding_share"] > MAX_SLIDE_SHARE
            and foot["contact_frames"] > MIN_CONTACT_SHARE * minutes * 60 * report["fps"]
        ):
            yield f"{name} slides in {100 * foot['sliding_share']:.0f} % of its frames on the ground"
