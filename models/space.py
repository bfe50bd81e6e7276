"""Motion through space: how two bodies move, turn, keep their distance, face each other and stand.

In: both bodies of a take as motions, which stand in one room. Out: numbers per frame, as distributions. Joint
positions come from forward kinematics. Ground is the plane of x and z; y is up. Rates are per second whatever
the frame rate.
"""

from dataclasses import dataclass

import numpy as np

from models.metrics import acceleration
from pipeline.annotate.actions import label_actions
from pipeline.annotate.contacts import Part, gap
from pipeline.annotate.facing import ground_angle_deg, label_looks, looks
from pipeline.config import Facing
from pipeline.motion.fingers import fingers_of
from pipeline.motion.joints import SIDES
from pipeline.motion.limits import TWIST_LIMITS, Hinge, Twist, bends_of, hinges_of, turns_of, twists_of
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import bone_tips, forward_kinematics

GROUND = [0, 2]
LABELLED = {"Hips", *(f"{side}{part}" for side in SIDES for part in ("UpLeg", "Leg", "Foot", "ToeBase"))}
"""Joints without which actions are not labelled."""
FEET = ("ToeBase", "Foot")
"""Joints that stand for a foot: the first that the skeleton has on both sides."""
FLOOR_SHARE = 0.01
"""The floor is where the lower foot is in the lowest hundredth of the real frames."""
CAPSULES = (
    ("Hips", "Neck", 0.50),
    ("Neck", "Head", 0.35),
    *((f"{side}{upper}", f"{side}{lower}", radius) for side in SIDES for upper, lower, radius in (
        ("Arm", "ForeArm", 0.19), ("ForeArm", "Hand", 0.14), ("UpLeg", "Leg", 0.30), ("Leg", "Foot", 0.20),
    )),
)  # fmt: skip
"""Coarse bodies: from joint, to joint, and radius in forearms, 12, 9, 5, 4, 7 and 5 cm of one of 25 cm."""
FOREARM_OF_LEG = 0.146 / 0.491
"""A forearm as a share of thigh and shin, by their shares of stature (Winter 2009, figure 4.1)."""
SAMPLED_FRAMES = 1000
"""Frames of the real body that show the axes of its joints."""


def speed(points: np.ndarray, *, fps: float) -> np.ndarray:
    """Speed (T - 1, ...) of points (T, ..., 3 or 2), in their unit per second."""
    return np.linalg.norm(np.diff(points, axis=0), axis=-1) * fps


def turning_deg_s(forward: np.ndarray, *, fps: float) -> np.ndarray:
    """Speed (T - 1,) at which vectors (T, 3) turn on the ground, either way, degrees a second."""
    return ground_angle_deg(forward[1:], forward[:-1]) * fps


def sliding_cm_s(feet: np.ndarray, *, fps: float) -> np.ndarray:
    """Speed along the ground (T - 1,) of the lower of two feet (T, 2, 3), cm/s.

    The lower foot of a step between two frames is the one that is lower in their mean. It needs no ground, so
    bodies that float are measured too. The lower foot carries the body, in standing and in walking, and rests
    where it stands.
    """
    low = (feet[1:, :, 1] + feet[:-1, :, 1]).argmin(1)
    along = speed(feet[..., GROUND], fps=fps)
    return np.take_along_axis(along, low[:, None], 1)[:, 0]


def path_m_min(hips: np.ndarray, windows: list[tuple[int, int]], *, fps: float) -> np.ndarray:
    """Path of the hips (T, 3) in cm along the ground in each window of frames a .. b - 1, metres a minute."""
    steps = speed(hips[:, GROUND], fps=fps)
    return np.array([steps[a : b - 1].mean() * 60 / 100 for a, b in windows])


def feet_of(motion: Motion, world: np.ndarray) -> np.ndarray | None:
    """Places (T, 2, 3) of the feet of a body whose joints are at `world` (T, J, 3); None without feet."""
    found = motion.aliases()
    part = next((part for part in FEET if {f"Left{part}", f"Right{part}"} <= found.keys()), None)
    return world[:, [found[f"Left{part}"], found[f"Right{part}"]]] if part else None


@dataclass(frozen=True)
class Real:
    """What is known of a performance by its real motion, to judge other motion of the same skeleton by.

    floor_cm: the height of its lower foot on the floor, None without feet; hinges and twists: the axes about
    which its joints bend and turn.
    """

    floor_cm: float | None
    hinges: list[Hinge]
    twists: list[Twist]


def real_of(motion: Motion) -> Real:
    """See `Real`."""
    feet = feet_of(motion, forward_kinematics(motion)[0])
    found = motion.aliases()
    sample = np.unique(np.linspace(0, motion.num_frames - 1, SAMPLED_FRAMES).astype(int))
    hinges, _ = hinges_of(motion, found, fingers_of(motion), sample)
    floor = None if feet is None else float(np.quantile(feet[..., 1].min(1), FLOOR_SHARE))
    return Real(floor, hinges, twists_of(motion, found, sample))


def beyond_limits(motion: Motion, placed: tuple[np.ndarray, np.ndarray], real: Real) -> np.ndarray:
    """Whether (T,) a joint is bent or turned further than a body can (pipeline.motion.limits)."""
    world, turned = placed
    bends = bends_of(real.hinges, world, turned, bone_tips(motion.ends_cm, world, turned))
    low, high = (np.array([hinge.limits[k] for hinge in real.hinges]) for k in range(2))
    most = np.array([TWIST_LIMITS[kind] for kind, *_ in real.twists])
    too_far = ((bends < low) | (bends > high)).any(1)
    return too_far | (np.abs(turns_of(real.twists, turned)) > most).any(1)


def _capsules(motion: Motion, world: np.ndarray) -> list[Part]:
    """The coarse body of a motion, as far as the skeleton has the joints."""
    found = motion.aliases()
    lengths = np.linalg.norm(motion.offsets_cm, axis=1)
    legs = [
        lengths[found[f"{side}{part}"]]
        for side in SIDES
        for part in ("Leg", "Foot")
        if f"{side}{part}" in found
    ]
    forearm = FOREARM_OF_LEG * 2 * float(np.mean(legs)) if legs else 0.0
    return [
        Part(world[:, [found[start], found[end]]], radius * forearm)
        for start, end, radius in CAPSULES
        if start in found and end in found and forearm
    ]


def overlap_cm(motions: list[Motion], worlds: list[np.ndarray]) -> np.ndarray:
    """How deep (T,) two bodies with joints at `worlds` (T, J, 3) are in each other, 0 where they are not.

    Bodies are capsules; the depth is that of the two that overlap most.
    """
    bodies = [_capsules(motion, world) for motion, world in zip(motions, worlds)]
    depth = np.zeros(len(worlds[0]))
    if not all(bodies):
        return depth
    # only frames in which they are near enough
    centres = [np.mean([part.points.mean(1) for part in body], 0) for body in bodies]
    reach = [
        np.max([np.linalg.norm(part.points - own[:, None], axis=-1).max(1) + part.radius for part in body], 0)
        for body, own in zip(bodies, centres)
    ]
    near = np.flatnonzero(np.linalg.norm(centres[1] - centres[0], axis=1) < sum(reach))
    if len(near):
        cut = [[Part(part.points[near], part.radius) for part in body] for body in bodies]
        depth[near] = np.max([-gap(one, other) for one in cut[0] for other in cut[1]], 0).clip(0)
    return depth


def as_asked(motion: Motion, asked: np.ndarray) -> np.ndarray | None:
    """Whether the labeller of actions takes each frame (T,) for what is asked: 0 sit, 1 walk, 2 stand.

    None where a skeleton lacks joints that it needs.
    """
    return label_actions(motion) == asked if LABELLED <= motion.aliases().keys() else None


def measure(
    motions: list[Motion],
    windows: list[tuple[int, int]],
    facing: Facing,
    *,
    placed: list[tuple[np.ndarray, np.ndarray]] | None = None,
    real: list[Real] | None = None,
) -> tuple[dict[str, np.ndarray], float | None]:
    """Distributions by name of two bodies of a take (T frames), and the mean acceleration of joints in m/s^2.

    path (m/min; a value per window and body), speed of the hips in space (cm/s), turn of the hips (deg/s),
    distance between the hips on the ground (cm), angle of each body's hips to the partner's hips (deg),
    facing (1 where the rule of the labels says that the body faces the partner), slide (cm/s), foot (height
    of the lower foot over the floor, cm), sunk (cm of it below), overlap (cm that the bodies are in each
    other), overlapping and limits (1 where they are, and where a joint is beyond its limits). What needs feet
    is left out where a skeleton has none, and floor and limits where no `real` performances are given. The
    acceleration is None where there are fewer than three frames. placed: forward kinematics of the motions,
    where they are known.
    """
    placed = placed or [forward_kinematics(motion) for motion in motions]
    seen = [looks(motion, own) for motion, own in zip(motions, placed)]
    fps = motions[0].fps
    names = [motion.aliases() for motion in motions]
    hips = [world[:, found["Hips"]] for (world, _), found in zip(placed, names)]
    overlap = overlap_cm(motions, [world for world, _ in placed])
    values: dict[str, list[np.ndarray]] = {
        "path": [path_m_min(own, windows, fps=fps) for own in hips],
        "speed": [speed(own, fps=fps) for own in hips],
        "turn": [turning_deg_s(ahead, fps=fps) for _, _, ahead in seen],
        "distance": [np.linalg.norm((hips[1] - hips[0])[:, GROUND], axis=1)],
        "angle": [
            ground_angle_deg(ahead, other - own) for (_, _, ahead), own, other in zip(seen, hips, hips[::-1])
        ],
        "facing": label_looks(seen, fps, facing),
        "overlap": [overlap],
        "overlapping": [overlap > 0],
        "slide": [],
        "foot": [],
        "sunk": [],
        "limits": [],
    }
    for k, (motion, own) in enumerate(zip(motions, placed)):
        feet, known = feet_of(motion, own[0]), real[k] if real else None
        if feet is not None:
            values["slide"].append(sliding_cm_s(feet, fps=fps))
        if known and feet is not None and known.floor_cm is not None:
            height = feet[..., 1].min(1) - known.floor_cm
            values["foot"].append(height)
            values["sunk"].append((-height).clip(0))
        if known and (known.hinges or known.twists):
            values["limits"].append(beyond_limits(motion, own, known))
    pushed = [acceleration(world, fps=fps) for world, _ in placed]
    pushed = [np.linalg.norm(own, axis=-1).mean() / 100 for own in pushed if len(own)]
    return (
        {name: np.concatenate(parts) for name, parts in values.items() if parts},
        float(np.mean(pushed)) if pushed else None,
    )
