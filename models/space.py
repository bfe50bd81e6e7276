"""Motion through space: how two bodies move, turn, keep their distance, face each other and stand.

In: both bodies of a take as motions, which stand in one room. Out: numbers per frame, as distributions. Joint
positions come from forward kinematics. Ground is the plane of x and z; y is up. Rates are per second whatever
the frame rate.
"""

import numpy as np

from models.metrics import acceleration
from pipeline.annotate.facing import ground_angle_deg, label_looks, looks
from pipeline.config import Facing
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics

GROUND = [0, 2]
FEET = ("ToeBase", "Foot")
"""Joints that stand for a foot: the first that the skeleton has on both sides."""


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


def measure(
    motions: list[Motion], windows: list[tuple[int, int]], facing: Facing
) -> tuple[dict[str, np.ndarray], float | None]:
    """Distributions by name of two bodies of a take (T frames), and the mean acceleration of joints in m/s^2.

    path (m/min; a value per window and body), speed of the hips in space (cm/s), turn of the hips (deg/s),
    distance between the hips on the ground (cm), angle of each body's hips to the partner's hips (deg),
    facing (1 where the rule of the labels says that the body faces the partner), slide (cm/s; left out where
    a skeleton has no feet). The acceleration is None where there are fewer than three frames.
    """
    placed = [forward_kinematics(motion) for motion in motions]
    seen = [looks(motion, own) for motion, own in zip(motions, placed)]
    fps = motions[0].fps
    names = [motion.aliases() for motion in motions]
    hips = [world[:, found["Hips"]] for (world, _), found in zip(placed, names)]
    values: dict[str, list[np.ndarray]] = {
        "path": [path_m_min(own, windows, fps=fps) for own in hips],
        "speed": [speed(own, fps=fps) for own in hips],
        "turn": [turning_deg_s(ahead, fps=fps) for _, _, ahead in seen],
        "distance": [np.linalg.norm((hips[1] - hips[0])[:, GROUND], axis=1)],
        "angle": [
            ground_angle_deg(ahead, other - own) for (_, _, ahead), own, other in zip(seen, hips, hips[::-1])
        ],
        "facing": label_looks(seen, fps, facing),
        "slide": [],
    }
    for (world, _), found in zip(placed, names):
        part = next((part for part in FEET if {f"Left{part}", f"Right{part}"} <= found.keys()), None)
        if part:
            values["slide"].append(
                sliding_cm_s(world[:, [found[f"Left{part}"], found[f"Right{part}"]]], fps=fps)
            )
    pushed = [acceleration(world, fps=fps) for world, _ in placed]
    pushed = [np.linalg.norm(own, axis=-1).mean() / 100 for own in pushed if len(own)]
    return (
        {name: np.concatenate(parts) for name, parts in values.items() if parts},
        float(np.mean(pushed)) if pushed else None,
    )
