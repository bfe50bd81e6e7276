"""The dataset's frames and samples, and resampling of a stream onto the frames."""

import numpy as np

from pipeline.errors import InputError

FPS = 30
"""Frames per second of the dataset and all that comes after it."""
AUDIO_RATE = 16_000
"""Samples per second of the audio in features and shards."""


def sample_of(frame, rate: int = AUDIO_RATE):
    """The sample at which a frame (int or array) of a take begins: round(frame * rate / 30), exact in integers."""
    return (2 * rate * np.asarray(frame, np.int64) + FPS) // (2 * FPS)


def frame_times(start_seconds: float, num_frames: int, fps: float = 30.0) -> np.ndarray:
    """Seconds since midnight of each dataset frame."""
    return start_seconds + np.arange(num_frames) / fps


def positions_in(times: np.ndarray, seconds: np.ndarray, *, max_gap_seconds: float, where: str) -> np.ndarray:
    """Fractional index of each of `times` (N,) in a stream whose usable frames are at `seconds` (M,), increasing.

    Raises InputError where two usable frames that enclose a wanted time lie further apart than one usual step plus
    `max_gap_seconds`, or where the stream does not reach.
    """
    tolerance = 1e-6
    if len(seconds) < 2 or times[0] < seconds[0] - tolerance or times[-1] > seconds[-1] + tolerance:
        reach = f"{seconds[0]:.3f} to {seconds[-1]:.3f}" if len(seconds) else "no"
        raise InputError(f"{where}: usable frames cover {reach} s, need {times[0]:.3f} to {times[-1]:.3f} s; mend the stream or exclude the take")
    times = np.clip(times, seconds[0], seconds[-1])
    index = np.interp(times, seconds, np.arange(len(seconds)))
    low = np.minimum(index.astype(int), len(seconds) - 2)
    steps = np.diff(seconds)
    wide = (steps[low] - np.median(steps) > max_gap_seconds + tolerance) & (index != low)
    if wide.any():
        i = low[wide][0]
        raise InputError(
            f"{where}: no usable frame for {steps[i]:.3f} s after {seconds[i]:.3f} s ({seconds[i] - times[0]:.2f} s into the take), "
            f"need gaps of at most {max_gap_seconds:g} s; mend the stream or exclude the take"
        )
    return index


def linear(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Linear interpolation along axis 0 of `values` (M, ...) at fractional indices (N,)."""
    low = np.clip(index.astype(int), 0, max(len(values) - 2, 0))
    high = np.minimum(low + 1, len(values) - 1)
    part = (index - low).reshape(-1, *[1] * (values.ndim - 1))
    return (1 - part) * values[low] + part * values[high]
