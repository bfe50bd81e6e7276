"""Arrays of a long take that lie on disk and come into memory by slices: memory does not grow with them.

They are written block after block and read by plain reads: pages of a mapped file would count as memory as
long as they are not taken away.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.signals.sliced import Sliced


class Rows:
    """Rows (N, ...) of a file: `shape` is that of one. Blocks are written once, when it is made."""

    def __init__(self, path: Path, blocks: Iterable[np.ndarray], *, dtype: str, shape: tuple[int, ...] = ()):
        self.path, self.dtype, self.shape, count = path, np.dtype(dtype), shape, 0
        with open(path, "xb") as f:
            for block in blocks:
                np.ascontiguousarray(block, self.dtype).tofile(f)
                count += len(block)
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: slice) -> np.ndarray:
        a, b, _ = rows.indices(self.count)
        size = int(np.prod(self.shape))
        with open(self.path, "rb") as f:
            f.seek(a * size * self.dtype.itemsize)
            return np.fromfile(f, self.dtype, max(b - a, 0) * size).reshape(-1, *self.shape)


class Voice:
    """A voice (S,) float32 at 16 kHz whose samples lie in a file; after them, and without a file, silence."""

    def __init__(self, rows: Sliced | None, num_samples: int, *, silent: bool):
        self.rows, self.num_samples, self.silent = rows, num_samples, silent

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, rows: slice) -> np.ndarray:
        a, b, _ = rows.indices(self.num_samples)
        own = self.rows[a:b] if self.rows is not None else np.zeros(0, np.float32)
        return np.pad(own, (0, max(b - a, 0) - len(own)))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or np.float32, copy=False)

    def cut(self, num_samples: int) -> "Voice":
        """Its first samples, and silence where it has fewer."""
        return Voice(self.rows, num_samples, silent=self.silent)

    def any(self) -> bool:
        """Whether there is a sound in it."""
        return not self.silent


class Both:
    """A stream (N, 2, ...) of two people, each of whose rows come by slices, as float32."""

    def __init__(self, people: Sequence[Sliced]):
        self.people = people

    def __len__(self) -> int:
        return len(self.people[0])

    def __getitem__(self, rows: slice) -> np.ndarray:
        return np.stack([own[rows] for own in self.people], 1).astype(np.float32)


class Words:
    """text (N, 2, E) of words: rows (W, E), and which of them stands where (N, 2), -1 in silence."""

    def __init__(self, rows: np.ndarray, index: np.ndarray):
        self.rows, self.index = rows, index

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice) -> np.ndarray:
        index = self.index[rows]
        text = np.zeros((*index.shape, self.rows.shape[1]), np.float32)
        text[index >= 0] = self.rows[index[index >= 0]]
        return text


class Late:
    """A tensor (1, N, ...) of what comes by slices, which is made of the frames that are asked for."""

    ndim = 4

    def __init__(self, values: Sliced, device: torch.device):
        self.values, self.device = values, device

    @property
    def shape(self) -> tuple[int, int]:
        """Takes and frames, which are what is asked for."""
        return 1, len(self.values)

    def __getitem__(self, place: tuple[slice, slice]) -> Tensor:
        _, frames = place
        return torch.from_numpy(self.values[frames])[None].to(self.device)
