"""Random numbers of a training step or of a sample: one generator per item, on the device that uses them.

An item's numbers depend on (seed, step, its place in the global batch) alone: not on the batch or the process
that it lies in, nor on what other items draw. A CPU and a GPU draw different numbers.
"""

from collections.abc import Callable
from typing import Self

import numpy as np
import torch
from torch import Tensor


class Draws:
    """Draws for `count` items, of which the first has place `first` in the global batch.

    A model that makes several items of each window takes `split(parts)`, and gets rows for all of them: parts
    0, 1, .. of window 0, then those of window 1, each window's from its own generator. Nothing here waits for
    the device.
    """

    def __init__(self, seed: int, step: int, count: int, device: torch.device | str, *, first: int = 0):
        self.device, self.parts = torch.device(device), 1
        # numpy takes [seed, step] and [seed, step, 0] for the same: a place counts from 1, so that no item
        # draws what dropout draws of (seed, step)
        seeds = (np.random.SeedSequence([seed, step, 1 + first + i]) for i in range(count))
        self.generators = [
            torch.Generator(self.device).manual_seed(int(own.generate_state(1, np.uint64)[0] >> 1))
            for own in seeds
        ]

    def __len__(self) -> int:
        """Number of rows that a draw has."""
        return self.parts * len(self.generators)

    def split(self, parts: int) -> Self:
        """The same draws, with `parts` rows for each row of these."""
        result = object.__new__(type(self))
        result.__dict__ |= self.__dict__ | {"parts": parts * self.parts}
        return result

    def _rows(self, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        """Rows (parts, ...) of each generator, one after the other."""
        return torch.cat([draw(generator) for generator in self.generators])

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Standard normal numbers (B, *shape) float32."""
        shape = (self.parts, *shape)
        return self._rows(lambda own: torch.randn(shape, generator=own, device=self.device))

    def uniform(self, shape: tuple[int, ...] = ()) -> Tensor:
        """Numbers (B, *shape) float32 from 0 on and below 1."""
        shape = (self.parts, *shape)
        return self._rows(lambda own: torch.rand(shape, generator=own, device=self.device))

    def integers(self, high: int) -> Tensor:
        """Whole numbers (B,) int64 from 0 on and below `high`."""
        return self._rows(lambda own: torch.randint(high, (self.parts,), generator=own, device=self.device))
