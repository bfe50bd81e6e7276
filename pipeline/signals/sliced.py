"""Sound, and whatever else has rows, that is asked for by slices: an array, or what lies on disk."""

from typing import Protocol

import numpy as np


class Sliced(Protocol):
    """Rows (N, ...) of which some are asked for at a time."""

    def __len__(self) -> int:
        """Number of rows, N."""

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        """Rows a .. b - 1."""
