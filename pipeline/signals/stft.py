"""Short-time spectra of a signal and back, exact to rounding: root-Hann windows, a quarter window apart."""

import numpy as np


def window_samples(seconds: float, rate: int) -> int:
    """The power of two nearest to a window of `seconds` at `rate` Hz."""
    return 2 ** round(np.log2(seconds * rate))


def spectra(x: np.ndarray, size: int) -> np.ndarray:
    """Short-time spectra (F, size / 2 + 1) complex64 of x (S,); hop size / 4.

    x is zero-padded by one window on both sides.
    """
    hop = size // 4
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, size), size)[::hop]
    return np.fft.rfft(frames * _root_hann(size), axis=1).astype(np.complex64)


def signal(values: np.ndarray, size: int, num_samples: int) -> np.ndarray:
    """Signal (num_samples,) float32 of short-time spectra: the inverse of `spectra` by overlap and add."""
    hop = size // 4
    frames = np.fft.irfft(values, size, axis=1).astype(np.float32) * (
        _root_hann(size) / 2
    )  # squared window sums to 2
    out = np.zeros((len(frames) + 3, hop), np.float32)
    for part in range(4):
        out[part : part + len(frames)] += frames[:, part * hop : (part + 1) * hop]
    return out.reshape(-1)[size : size + num_samples]


def blocks(num_samples: int, size: int, block_samples: int) -> list[tuple[int, int, int, int]]:
    """(from, to, padded from, padded to) sample ranges.

    Padding lets every block's edge cells see their neighbours.
    """
    step = block_samples // size * size  # whole windows: all blocks share one grid, so borders leave no seam
    return [
        (i, min(i + step, num_samples), max(i - 2 * size, 0), min(i + step + 2 * size, num_samples))
        for i in range(0, num_samples, step)
    ]


def _root_hann(size: int) -> np.ndarray:
    """Analysis and synthesis window: its square, a Hann window, sums to a constant at a hop of size / 4."""
    return np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
