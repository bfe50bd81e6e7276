"""Two simulated people who sit, walk, stand and turn, as poses and roots at the dataset's rate."""

from typing import NamedTuple

import numpy as np

from pipeline.motion import pose
from pipeline.motion.clock import FPS
from pipeline.motion.pose import Skeleton
from pipeline.simulate.figure import Figure
from pipeline.simulate.motion import FPS as SIMULATED
from pipeline.simulate.motion import animate, plan_manner
from pipeline.simulate.script import plan_scripts


class Two(NamedTuple):
    """Poses (T, 2, 3 J), roots (T, 2, 4), skeletons of both."""

    poses: np.ndarray
    root: np.ndarray
    skeletons: list[Skeleton]


def two_people(seconds: float = 20.0, seed: int = 0) -> Two:
    """What two do, whose feet are planted to 0.01 cm/s."""
    rng = np.random.default_rng(seed)
    scripts = plan_scripts(0.0, seconds, rng)
    poses, roots, skeletons = [], [], []
    for k, actor in enumerate(("001", "005")):
        manner = plan_manner([(2.0, 5.0)], [2.3, 3.0, 4.1], 0.0, seconds, rng)
        motion = animate(Figure(actor), scripts[k], scripts[1 - k], manner, 0.0, int(seconds * SIMULATED))
        motion = motion.frames(slice(None, None, round(SIMULATED / FPS)))
        own, root = pose.encode(motion)
        poses.append(own)
        roots.append(root)
        skeletons.append(pose.skeleton_of(motion))
    return Two(np.stack(poses, 1), np.stack(roots, 1), skeletons)


def relative_of(root: np.ndarray) -> np.ndarray:
    """Relative roots (T, 2, 4) of the roots of both."""
    return np.stack([pose.relative_root(root[:, k]) for k in range(2)], 1)


def smooth_noise(shape: tuple[int, ...], frames: float, seed: int) -> np.ndarray:
    """Noise of deviation 1 along the first axis that changes within so many frames."""
    from scipy.ndimage import gaussian_filter1d

    rough = gaussian_filter1d(np.random.default_rng(seed).normal(0, 1, shape), frames, axis=0, mode="wrap")
    return rough / rough.std()
