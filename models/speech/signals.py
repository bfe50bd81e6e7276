"""Long signals: worked on in windows that overlap, or in their lower band only."""

from collections.abc import Callable

import numpy as np


def starts(num_samples: int, window: int, hop: int) -> list[int]:
    """First samples of windows every `hop` samples.

    The last ends with the signal, however near it is to the one before.
    """
    last = max(num_samples - window, 0)
    return [*range(0, last, hop), last]


def average(
    process: Callable[[np.ndarray, int], np.ndarray],
    signals: np.ndarray,
    *,
    window: int,
    hop: int,
    taper: bool,
) -> np.ndarray:
    """What `process` makes of every window of signals (C, S), averaged where windows overlap, (K, S) float32.

    process(part (C, window), start) -> (K, window). Signals shorter than a window are padded with silence,
    which is cut off again. With `taper` a window counts less towards its ends, where it has seen less. Beside
    input and output, memory does not depend on S.
    """
    num_samples = signals.shape[1]
    weight = np.hanning(window + 2)[1:-1].astype(np.float32) if taper else np.ones(window, np.float32)
    total, counted = None, np.zeros(max(num_samples, window), np.float32)
    for start in starts(num_samples, window, hop):
        part = signals[:, start : start + window]
        found = process(np.pad(part, ((0, 0), (0, window - part.shape[1]))), start)
        if total is None:
            total = np.zeros((len(found), len(counted)), np.float32)
        total[:, start : start + window] += weight * found
        counted[start : start + window] += weight
    assert total is not None
    return (total / counted)[:, :num_samples]


def resample(signals: np.ndarray, rate: int, new_rate: int, num_samples: int) -> np.ndarray:
    """Signals (C, S) at `rate` as (C, num_samples) float32 at `new_rate`, without delay."""
    if rate == new_rate:
        found = signals
    else:
        import soxr

        found = np.stack(
            [soxr.resample(x, rate, new_rate, quality="HQ") for x in np.asarray(signals, np.float32)]
        )
    return np.pad(found, ((0, 0), (0, max(num_samples - found.shape[1], 0))))[:, :num_samples].astype(
        np.float32
    )


def low_band(signals: np.ndarray, rate: int, low_rate: int) -> np.ndarray:
    """Signals (C, S) at `low_rate`."""
    return resample(signals, rate, low_rate, round(signals.shape[1] * low_rate / rate))


def replace_low_band(signals: np.ndarray, rate: int, low: np.ndarray, low_rate: int) -> np.ndarray:
    """Signals (C, S) at `rate` in which what `low_rate` can hold is `low` (C, S'); what lies above stays."""
    return signals + resample(low - low_band(signals, rate, low_rate), low_rate, rate, signals.shape[1])
