"""Stretches: where in a row of frames, samples or levels something holds.

In: a mask (N,). Out: the first index of each stretch of True and the index after its last.
"""

import numpy as np


def stretches(mask: np.ndarray) -> np.ndarray:
    """First index and index after the last (K, 2) of each run of True in mask (N,)."""
    return np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))).reshape(-1, 2)


def runs(mask: np.ndarray, *, join: int = 0, least: int = 1) -> list[tuple[int, int]]:
    """The same as pairs: with gaps up to `join` belonging to a stretch, those `least` long or longer."""
    found: list[tuple[int, int]] = []
    for first, stop in stretches(mask).tolist():
        if found and first - found[-1][1] <= join:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((first, stop))
    return [(first, stop) for first, stop in found if stop - first >= least]
