"""The dataset's frames and samples, and resampling of a stream onto the frames."""

import math

import numpy as np

from pipeline.errors import InputError

FPS = 30
"""Frames per second of the dataset and all that comes after it."""
AUDIO_RATE = 16_000
"""Samples per second of the audio in features and shards."""
LOW_PASS_LOBES = 4
"""Zero crossings of the low-pass's sinc to each side, in frames of the slower rate.

A reach of 0.13 s at 30 fps.
"""
MIN_FALL = 1.2
"""A rate that falls by less than this factor loses nothing that the slower rate could not carry."""

SHORTEST = 1e-5
"""Share of a frame by which the last one may lie beyond the recording."""
MEND = "mend the stream or exclude the take"
"""What to do about a stream of a take that does not reach or has a gap too long."""


def sample_of(frame, rate: int = AUDIO_RATE):
    """The sample at which a frame (int or array) of a take begins.

    round(frame * rate / 30), exact in integers.
    """
    return (2 * rate * np.asarray(frame, np.int64) + FPS) // (2 * FPS)


def frame_times(start_seconds: float, num_frames: int, fps: float = 30.0) -> np.ndarray:
    """Seconds since midnight of each dataset frame."""
    return start_seconds + np.arange(num_frames) / fps


def positions_in(
    times: np.ndarray, seconds: np.ndarray, *, max_gap_seconds: float, where: str, fix: str = MEND
) -> np.ndarray:
    """Fractional index of each of `times` (N,) in a stream of usable frames.

    They are at `seconds` (M,), increasing.

    Raises InputError, which ends with `fix`, where two usable frames that enclose a wanted time lie further
    apart than one usual step plus `max_gap_seconds`, or where the stream does not reach.
    """
    tolerance = 1e-6
    if len(seconds) < 2 or times[0] < seconds[0] - tolerance or times[-1] > seconds[-1] + tolerance:
        reach = f"{seconds[0]:.3f} to {seconds[-1]:.3f}" if len(seconds) else "no"
        raise InputError(
            f"{where}: usable frames cover {reach} s, need {times[0]:.3f} to {times[-1]:.3f} s; {fix}"
        )
    times = np.clip(times, seconds[0], seconds[-1])
    index = np.interp(times, seconds, np.arange(len(seconds)))
    low = np.minimum(index.astype(int), len(seconds) - 2)
    steps = np.diff(seconds)
    wide = (steps[low] - np.median(steps) > max_gap_seconds + tolerance) & (index != low)
    if wide.any():
        i = low[wide][0]
        raise InputError(
            f"{where}: no usable frame for {steps[i]:.3f} s after {seconds[i]:.3f} s"
            f" ({seconds[i] - times[0]:.2f} s into the take), need gaps of at most {max_gap_seconds:g} s;"
            f" {fix}"
        )
    return index


def own_times(seconds: np.ndarray, fps: float, *, where: str) -> np.ndarray:
    """Times (N,) at `fps` from the first to the last of the usable frames at `seconds` (M,).

    InputError where there are not two.
    """
    if len(seconds) < 2:
        raise InputError(f"{where}: {len(seconds)} usable frames, need at least 2; check the recording")
    count = math.floor((seconds[-1] - seconds[0]) * fps + SHORTEST) + 1
    return seconds[0] + np.arange(count) / fps


def linear(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Linear interpolation along axis 0 of `values` (M, ...) at fractional indices (N,)."""
    low = np.clip(index.astype(int), 0, max(len(values) - 2, 0))
    high = np.minimum(low + 1, len(values) - 1)
    part = (index - low).reshape(-1, *[1] * (values.ndim - 1))
    return (1 - part) * values[low] + part * values[high]


def low_pass(values: np.ndarray, ratio: float) -> np.ndarray:
    """`values` (M, ...) on a uniform grid without what a grid `ratio` times coarser cannot carry.

    A sinc at the coarser grid's Nyquist frequency under a Hann window of LOW_PASS_LOBES zero crossings to
    each side, with a gain of 1 at rest. The ends are continued by point reflection, so that a straight line
    stays one.
    """
    half = int(np.ceil(LOW_PASS_LOBES * ratio))
    t = np.arange(-half, half + 1) / ratio
    taps = np.sinc(t) * np.cos(np.pi * np.arange(-half, half + 1) / (2 * half + 2)) ** 2
    taps /= taps.sum()
    flat = values.reshape(len(values), -1)
    result = np.array(flat, float)
    reach = min(half, len(flat) - 1)
    for column in np.flatnonzero(
        np.ptp(flat, axis=0) > 0
    ):  # most joints of most skeletons do not move within their parent
        x = flat[:, column].astype(float)
        before, after = 2 * x[0] - x[reach:0:-1], 2 * x[-1] - x[-2 : -reach - 2 : -1]
        x = np.pad(np.concatenate([before, x, after]), half - reach, mode="edge")
        result[:, column] = np.convolve(x, taps, "valid")
    return result.reshape(values.shape)


def cubic(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Cubic interpolation along axis 0 of `values` (M, ...) at fractional indices (N,).

    Catmull and Rom 1974; linear at the ends.
    """
    last = len(values) - 1
    low = np.clip(np.floor(index).astype(int), 0, max(last - 1, 0))
    t = (index - low).reshape(-1, *[1] * (values.ndim - 1))
    a, b = values[low], values[np.minimum(low + 1, last)]
    before = np.where((low > 0).reshape(t.shape), values[np.maximum(low - 1, 0)], 2 * a - b)
    after = np.where((low + 2 <= last).reshape(t.shape), values[np.minimum(low + 2, last)], 2 * b - a)
    slope_a, slope_b = (b - before) / 2, (after - a) / 2
    return a + t * (
        slope_a + t * (3 * (b - a) - 2 * slope_a - slope_b + t * (2 * (a - b) + slope_a + slope_b))
    )


def at_times(
    values: np.ndarray,
    seconds: np.ndarray,
    times: np.ndarray,
    *,
    max_gap_seconds: float,
    where: str,
    fix: str = MEND,
) -> np.ndarray:
    """`values` (M, ...) of usable frames, brought to evenly spaced `times` (N,).

    Usable frames are at `seconds` (M,), increasing.

    Where the stream is faster than `times`, it is low-passed first: on its own uniform grid, gaps bridged by
    straight lines. Else it is interpolated linearly, which cannot overshoot. Raises InputError as
    positions_in does.
    """
    index = positions_in(times, seconds, max_gap_seconds=max_gap_seconds, where=where, fix=fix)
    step = float(np.median(np.diff(seconds)))
    ratio = float(times[-1] - times[0]) / (len(times) - 1) / step if len(times) > 1 else 1.0
    if ratio <= MIN_FALL:
        return linear(values, index)
    count = round((seconds[-1] - seconds[0]) / step)
    step = (seconds[-1] - seconds[0]) / count
    grid = np.interp(seconds[0] + step * np.arange(count + 1), seconds, np.arange(len(seconds)))
    nearest = np.round(grid)
    grid = np.where(np.abs(grid - nearest) < 1e-6, nearest, grid)  # a recorded frame is taken as it is
    return cubic(low_pass(linear(values, grid), ratio), np.clip((times - seconds[0]) / step, 0, count))
