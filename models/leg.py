"""A leg that reaches: how hip and knee turn so that the ankle comes where it should be.

In: places and rotations of hip, knee and ankle over time, and where the ankle should be, from the hip.
Out: rotations of thigh and shin. A knee is a hinge: it bends about the axis about which it bends anyway, as
far as the distance asks, and the leg is turned at the hip, the shortest way. What a knee turns about other
axes stays.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.motion import rotations

STRETCH = 0.998
"""A leg is never longer than this share of its bones."""
HINGE_SHARE = 0.7
"""Of a knee's turns, squared, the least share about one axis of a knee that is taken for a hinge."""
MOVES_DEG = 1.0
"""Turns of a knee, root mean square, from which its axis can be seen."""
STRAIGHT_DEG = 5.0
"""A knee that bends back by less on average is one that is straight."""


def between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The shortest rotations (T, 4) that turn directions (T, 3) into others."""
    one, other = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (one, other))
    middle = one + other
    length = np.linalg.norm(middle, axis=-1, keepdims=True)
    middle = middle / np.maximum(length, 1e-9)
    return np.concatenate([np.cross(one, middle), np.sum(one * middle, -1, keepdims=True)], -1)


@dataclass(frozen=True)
class Leg:
    """A leg over T frames.

    thigh: rotations (T, 4) in the room; shin: rotations (T, 4) in the thigh's frame; upper: ways (T, 3) from
    hip to knee in the thigh's frame; lower: from knee to ankle in the shin's; axis (3,): a unit vector in the
    thigh's frame, about which bends are positive.
    """

    thigh: np.ndarray
    shin: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    axis: np.ndarray

    @classmethod
    def of(cls, places: np.ndarray, turned: np.ndarray, ahead: np.ndarray) -> "Leg":
        """The leg of hip, knee and ankle at places (T, 3, 3) with rotations (T, 3, 4), in the room.

        ahead (T, 3): where knees go when they bend, in the room.
        """
        thigh, knee = turned[:, 0], turned[:, 1]
        back = rotations.inverse(thigh)
        shin = rotations.multiply(back, knee)
        upper = rotations.rotate(back, places[:, 1] - places[:, 0])
        lower = rotations.rotate(rotations.inverse(knee), places[:, 2] - places[:, 1])
        return cls(thigh, shin, upper, lower, knee_axis(shin, upper, lower, rotations.rotate(back, ahead)))

    def longest(self) -> np.ndarray:
        """The greatest distance (T,) of the ankle from the hip that the knee allows."""
        above, below, aside = self._across
        return STRETCH * np.hypot(np.linalg.norm(above, axis=-1) + np.linalg.norm(below, axis=-1), aside)

    def reach(self, way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rotations (T, 4) of thigh and shin in the room that bring the ankle to `way` (T, 3) from the hip.

        Out of reach the leg points there.
        """
        above, below, aside = self._across
        sizes = np.linalg.norm(above, axis=-1), np.linalg.norm(below, axis=-1)
        squared = np.minimum(np.linalg.norm(way, axis=-1), self.longest()) ** 2 - aside**2
        cosine = (squared - sizes[0] ** 2 - sizes[1] ** 2) / (2 * sizes[0] * sizes[1])
        now = np.arctan2(np.cross(above, below) @ self.axis, np.sum(above * below, -1))
        half = (np.arccos(np.clip(cosine, -1, 1)) - now)[:, None] / 2
        bend = np.concatenate([np.sin(half) * self.axis, np.cos(half)], 1)
        shin = rotations.multiply(bend, self.shin)
        ankle = rotations.rotate(self.thigh, self.upper + rotations.rotate(shin, self.lower))
        thigh = rotations.multiply(between(ankle, way), self.thigh)
        return thigh, rotations.multiply(thigh, shin)

    @cached_property
    def _across(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Both bones (T, 3) as seen along the axis, and how far (T,) the ankle is along it, from the hip."""
        bones = self.upper, rotations.rotate(self.shin, self.lower)
        along = [bone @ self.axis for bone in bones]
        above, below = (bone - far[:, None] * self.axis for bone, far in zip(bones, along))
        return above, below, along[0] + along[1]


def knee_axis(shin: np.ndarray, upper: np.ndarray, lower: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The axis (3,) about which a knee bends; arguments as in `Leg`, `ahead` (T, 3) in the thigh's frame.

    The main axis of the knee's turns away from their mean. Of a knee that turns about all axes alike it is
    the normal of both bones in the mean, of one that hardly moves the one across shin and `ahead`.
    """
    middle = rotations.normalise(rotations.continuous(shin).mean(0))
    turns = rotations.to_expmap(rotations.multiply(shin, rotations.inverse(middle)))
    values, vectors = np.linalg.eigh(turns.T @ turns / len(turns))
    to_front = np.cross(ahead, upper).mean(0)
    # the way that it bends, and of a leg that is all but straight the one in which knees bend
    bent = np.cross(upper, rotations.rotate(shin, lower)).mean(0)
    bent += np.sin(np.deg2rad(STRAIGHT_DEG)) * np.linalg.norm(lower[0]) * to_front
    if values.sum() < np.deg2rad(MOVES_DEG) ** 2:
        axis = to_front
    elif values[-1] < HINGE_SHARE * values.sum():
        axis = bent
    else:
        axis = vectors[:, -1]
    return axis / np.linalg.norm(axis) * (1 if bent @ axis >= 0 else -1)
