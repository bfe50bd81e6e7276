"""The joints from the hips to the toes, by side, and where they are in a pose."""

from dataclasses import dataclass

import numpy as np

from pipeline.motion.joints import SIDES, aliases
from pipeline.motion.pose import Skeleton, decode
from pipeline.motion.skeleton import chain


@dataclass(frozen=True)
class Legs:
    """Joints from the hips to the toes, as places in a list of their own.

    joints: numbers in the skeleton; parents: places (-1 the hips); hip, knee, ankle, toe: places by side.
    Where a skeleton has no toes, ankles stand for them.
    """

    joints: list[int]
    parents: np.ndarray
    hip: list[int]
    knee: list[int]
    ankle: list[int]
    toe: list[int]

    @classmethod
    def of(cls, skeleton: Skeleton) -> "Legs | None":
        """The legs of a skeleton; None where it lacks some of them."""
        found = aliases(skeleton.names)
        names = [f"{side}{part}" for part in ("UpLeg", "Leg", "Foot") for side in SIDES]
        if not {*names} <= found.keys():
            return None
        toes = [found.get(f"{side}ToeBase", found[f"{side}Foot"]) for side in SIDES]
        needed: set[int] = set()
        for joint in [*(found[name] for name in names), *toes]:
            while joint >= 0:
                needed.add(joint)
                joint = int(skeleton.parents[joint])
        joints = sorted(needed)
        place = {joint: k for k, joint in enumerate(joints)}
        parents = np.array([place.get(int(skeleton.parents[joint]), -1) for joint in joints])
        hip, knee, ankle = (
            [place[found[f"{side}{part}"]] for side in SIDES] for part in ("UpLeg", "Leg", "Foot")
        )
        return cls(joints, parents, hip, knee, ankle, [place[toe] for toe in toes])

    @property
    def sides(self) -> list[list[int]]:
        """Hip, knee and ankle of each side."""
        return [list(side) for side in zip(self.hip, self.knee, self.ankle)]


def legs_of_pose(
    poses: np.ndarray, root: np.ndarray, skeleton: Skeleton, legs: Legs
) -> tuple[np.ndarray, np.ndarray]:
    """Places (T, L, 3) of the legs' joints from the hips on, and rotations (T, L, 4), in the room's axes.

    poses (T, 3 J), roots (T, 4).
    """
    motion = decode(poses, root, skeleton)
    offsets = motion.positions_cm[:, legs.joints].copy()
    offsets[:, 0] = 0
    return chain(legs.parents, offsets, motion.rotations[:, legs.joints])


def lower_foot(poses: np.ndarray, root: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Height (T,) in cm of the lower of both toes; none (0,) where a skeleton has no legs."""
    legs = Legs.of(skeleton)
    if legs is None:
        return np.zeros(0)
    places, _ = legs_of_pose(poses, root, skeleton, legs)
    return root[:, 1] + places[:, legs.toe, 1].min(1)
