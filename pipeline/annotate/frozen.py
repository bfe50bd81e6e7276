"""Frozen stretches: where a body, a face or a voice does not change at all.

A recorder that hangs or a tracker that holds leaves them.

In: a stream's values. Out: stretches of at least FROZEN_SECONDS in which no value differs from that before,
but for the rounding of the files that streams come through. No sensor does so by itself: what stands still
still trembles, and silence still hums.
"""

import numpy as np

from pipeline.motion.motion import Motion
from pipeline.motion.stretches import stretches

FROZEN_SECONDS = 0.25
"""Shortest stretch that counts, as in `body.freeze_seconds`."""
SAME = {"rotation": 1e-7, "position": 1e-4, "weight": 1e-5, "sample": 2.0**-23}
"""Largest step that is none: of a quaternion, in cm, of a weight, of a sample (one step of 24 bits)."""


def still(values: np.ndarray, same: float) -> np.ndarray:
    """Bool (T,): where no value of values (T, ...) differs by more than `same` from that of the frame before.

    False at the first.
    """
    result = np.zeros(len(values), bool)
    result[1:] = (np.abs(np.diff(values, axis=0)) <= same).all(axis=tuple(range(1, values.ndim)))
    return result


def in_seconds(
    unchanged: np.ndarray, rate: float, *, least: float = FROZEN_SECONDS
) -> list[tuple[float, float]]:
    """Start and length in seconds of each run of True in unchanged (T,) of `least` seconds or more.

    A run begins at the frame that is repeated.
    """
    return [
        (round((first - 1) / rate, 4), round((stop - first + 1) / rate, 4))
        for first, stop in stretches(unchanged)
        if stop - first + 1 >= least * rate
    ]


def of_body(motion: Motion) -> list[tuple[float, float]]:
    """Where the whole body does not change: no joint turns, none moves."""
    # the sign of a quaternion means nothing
    turned = 1 - np.abs(np.sum(motion.rotations[1:] * motion.rotations[:-1], -1))
    unchanged = still(motion.positions_cm, SAME["position"])
    unchanged[1:] &= (turned <= SAME["rotation"] ** 2).all(1)
    return in_seconds(unchanged, motion.fps)


def of_face(weights: np.ndarray, fps: float) -> list[tuple[float, float]]:
    """Where no weight (T, 51) of a face changes."""
    return in_seconds(still(weights.astype(float), SAME["weight"]), fps)


def of_voice(audio: np.ndarray, rate: int) -> list[tuple[float, float]]:
    """Where the samples (S,) of a voice stay the same: digital silence, or a constant."""
    return in_seconds(still(audio.astype(float), SAME["sample"]), rate)
