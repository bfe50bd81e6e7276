"""Limits of joints: hinges and trunk of a body, and how far they bend and turn.

In: a motion. Out: its hinges with the axis that the motion shows and anatomical limits, bends and twists in
degrees by frame.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.motion import rotations
from pipeline.motion.fingers import FINGERS
from pipeline.motion.joints import SIDES
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import bone_tips, chain

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


Twist = tuple[str, int, int, np.ndarray, np.ndarray]
"""Kind, joint above, joint below, axis (3,) in the frame of the joint below, neutral rotation (4,)."""


@dataclass(frozen=True)
class Hinge:
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


def world_of(motion: Motion, frames) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World positions, rotations and tips, each (B, J, ...), of some frames.

    Where a joint has no tip, it is the joint's own place.
    """
    places, world = chain(motion.parents, motion.positions_cm[frames], motion.rotations[frames])
    return places, world, bone_tips(motion.ends_cm, places, world)


def _bones(hinge: Hinge, places: np.ndarray, tips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d = hinge.points
    return places[:, b] - places[:, a], (tips[:, c] if d < 0 else places[:, d]) - places[:, c]


def hinges_of(
    motion: Motion, found: dict[str, int], fingers: dict[str, list[int]], sample: np.ndarray
) -> tuple[list[Hinge], list[str]]:
    """Hinges whose axis the motion shows, and why others were left out.

    Knees and elbows bend about the main normal of their bones' plane over the sampled frames in which they
    are bent, in the frame of the thigh or upper arm. Knees know their front by the toes; elbows by the way
    that they bend most of the time. Fingers bend towards the palm: the side of the plane of wrist and
    knuckles that the order of the knuckles gives.
    """
    hinges: list[Hinge] = []
    missing: list[str] = []
    places, world, tips = world_of(motion, sample)
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
        hinges.append(Hinge(kind, b, (a, b, b, c), a, axis, HINGE_LIMITS[kind]))
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
                    Hinge(
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
                Hinge("thumb", line[1], (line[0], line[1], line[1], line[2]), hand, axis, (-1.0, THUMB_LIMIT))
            )
            if line[2] in motion.ends_cm:
                hinges.append(
                    Hinge("thumb", line[2], (line[1], line[2], line[2], -1), hand, axis, (-1.0, THUMB_LIMIT))
                )
    return hinges, missing


def twists_of(motion: Motion, found: dict[str, int], sample: np.ndarray) -> list[Twist]:
    """Neck and spine, as far as the skeleton has them.

    Neutral is the rest pose, where the rotations are 0; where the motion's median is more than 60 degrees
    from it, the rest pose is not upright and the frame nearest to the sampled frames' mean is taken.
    """
    places, world, _ = world_of(motion, sample)
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
        if np.median(rotations.angle_deg(turn, neutral)) > 60:
            aligned = turn * np.where(np.sum(turn * turn[0], -1, keepdims=True) < 0, -1.0, 1.0)
            neutral = rotations.normalise(aligned.mean(0))
        result.append((kind, above, below, way / np.linalg.norm(way), neutral))
    return result


def bends_of(hinges: list[Hinge], places: np.ndarray, world: np.ndarray, tips: np.ndarray) -> np.ndarray:
    """Bends (B, H) in degrees of the hinges of a motion with these places, rotations and tips (B, J, ...)."""
    result = np.zeros((len(places), len(hinges)))
    for h, hinge in enumerate(hinges):
        proximal, distal = _bones(hinge, places, tips)
        if hinge.name == "thumb":
            size = np.linalg.norm(proximal, axis=-1) * np.linalg.norm(distal, axis=-1)
            bend = np.rad2deg(
                np.arccos(np.clip(np.sum(proximal * distal, -1) / np.maximum(size, 1e-9), -1, 1))
            )
        else:
            bend = bend_deg(proximal, distal, rotations.rotate(world[:, hinge.base], hinge.axis))
        result[:, h] = bend
    return result


def turns_of(twists: list[Twist], world: np.ndarray) -> np.ndarray:
    """Turns (B, W) in degrees of neck and spine about their own length, of world rotations (B, J, 4)."""
    result = np.zeros((len(world), len(twists)))
    for i, (_, above, below, axis, neutral) in enumerate(twists):
        turn = rotations.multiply(rotations.inverse(world[:, below]), world[:, above])
        result[:, i] = twist_deg(rotations.multiply(turn, rotations.inverse(neutral)), axis)
    return result
