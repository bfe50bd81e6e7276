"""The simulated actors' skeletons: the 60 joints of the public release, arms hanging down in the rest pose.

Axes of the rest pose: x to the actor's left, y up, z forward; all joints unrotated, rotation order XZY.
"""

import numpy as np

from pipeline.motion.joints import RELEASE_JOINTS, RELEASE_PARENTS, SIDES

ORDER = "xzy"

_TRUNK = {
    "Hips": (0, 0, 0), "Spine": (0, 9.0, -1.0),
    "Spine1": (0, 9.0, 0), "Spine2": (0, 9.0, 0), "Spine3": (0, 9.0, 0),
    "Neck": (0, 12.5, 0.5), "Neck1": (0, 5.0, 1.0), "Head": (0, 5.0, 1.0),
}  # fmt: skip
_LEFT = {
    "Shoulder": (3.0, 9.0, 1.0), "Arm": (14.0, 0, -1.5), "ForeArm": (0, -28.5, 0), "Hand": (0, -25.0, 0),
    "HandMiddle1": (0, -9.0, 0), "HandMiddle2": (0, -4.4, 0), "HandMiddle3": (0, -2.8, 0),
    "HandRing": (0, -2.5, -1.0),
    "HandRing1": (0, -6.2, -1.0), "HandRing2": (0, -4.1, 0), "HandRing3": (0, -2.6, 0),
    "HandPinky": (0, -0.5, -1.0),
    "HandPinky1": (0, -5.4, -1.5), "HandPinky2": (0, -3.3, 0), "HandPinky3": (0, -2.0, 0),
    "HandIndex": (0, -2.5, 1.2),
    "HandIndex1": (0, -6.4, 0.9), "HandIndex2": (0, -4.0, 0), "HandIndex3": (0, -2.4, 0),
    "HandThumb1": (-0.8, 0.4, 1.4), "HandThumb2": (-1.0, -3.2, 2.4), "HandThumb3": (-0.3, -2.6, 1.2),
    "UpLeg": (9.2, -5.0, 0), "Leg": (0, -42.5, 0), "Foot": (0, -41.0, 0), "ToeBase": (0, -6.5, 13.0),
}  # fmt: skip
_ENDS = {
    "Head": (0, 18.0, 0), "HandMiddle3": (0, -2.2, 0), "HandRing3": (0, -2.1, 0), "HandPinky3": (0, -1.7, 0),
    "HandIndex3": (0, -2.0, 0), "HandThumb3": (-0.2, -2.2, 0.8), "ToeBase": (0, -0.5, 7.0),
}  # fmt: skip
_STATURE = {"001": 1.03, "002": 0.94, "003": 0.99, "005": 0.90}
ANKLE_CM = 8.0  # height of the ankle above the floor at stature 1


class Figure:
    """A skeleton of 60 joints.

    names, parents (60,), offsets_cm (60, 3), ends_cm {joint: (3,)}, index {name: joint}, ankle_cm.
    """

    def __init__(self, actor: str):
        rng = np.random.default_rng(1000 + int(actor))
        stature = _STATURE[actor]
        self.names = list(RELEASE_JOINTS)
        self.index = {name: j for j, name in enumerate(self.names)}
        parents = [RELEASE_PARENTS[name] for name in self.names]
        self.parents = np.array([-1 if parent is None else self.index[parent] for parent in parents])
        legs, arms, width = (
            stature * rng.uniform(0.97, 1.03),
            stature * rng.uniform(0.97, 1.03),
            stature * rng.uniform(0.94, 1.06),
        )
        self.ankle_cm = ANKLE_CM * stature
        self.offsets_cm = np.array(
            [self._offset(name, _TRUNK | _LEFT, stature, legs, arms, width) for name in self.names]
        )
        tips = [name for name in self.names if name.removeprefix("Left").removeprefix("Right") in _ENDS]
        self.ends_cm = {
            self.index[name]: self._offset(name, _ENDS, stature, legs, arms, width) for name in tips
        }

    @staticmethod
    def _offset(name: str, table: dict, stature: float, legs: float, arms: float, width: float) -> np.ndarray:
        side = next((s for s in SIDES if name.startswith(s)), "")
        part = name.removeprefix(side)
        scale = (
            legs
            if part in ("Leg", "Foot")
            else arms
            if part in ("ForeArm", "Hand")
            else width
            if part in ("Arm", "UpLeg")
            else stature
        )
        offset = np.array(table[part], float) * scale
        return offset * (-1, 1, 1) if side == "Right" else offset

    @property
    def thigh_cm(self) -> float:
        """Length of the thigh."""
        return -self.offsets_cm[self.index["LeftLeg"], 1]

    @property
    def shin_cm(self) -> float:
        """Length of the shin."""
        return -self.offsets_cm[self.index["LeftFoot"], 1]
