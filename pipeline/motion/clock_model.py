"""The clock of a stream: when it began, how fast it ran, what it lost, how much its stamps jitter.

Frames may be lost or written twice.

In: the times that a recorder stamped on its frames, seconds, in order. Out: a `Clock`: the true index of
every frame, lost ones counted in, and the straight line `start + index / rate` on which the frames lie.

Order matters: a lost frame that is not counted passes for a slow clock (an iPhone's 30.004 fps become 29.98),
so frames are indexed first and the line is fitted through the indexed frames. The fit is robust (iteratively
reweighted least squares with Huber's weights; Huber 1981, Robust Statistics, chapter 7), since stamps have
outliers.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError

STANDARD_RATES = np.array(
    [
        24000 / 1001, 24, 25, 30000 / 1001, 30, 48000 / 1001, 48, 50, 60000 / 1001, 60,
        90, 100, 120000 / 1001, 120, 200, 240, 300,
    ]
)  # fmt: skip
"""Rates that recorders are set to, frames per second.

Neighbours lie 1,000 ppm apart, ten times what clocks drift.
"""
MAX_OFF_NOMINAL = 5e-4
"""A rate further from every standard one (500 ppm) is taken as a rate of its own: its drift is not known."""
SAME_FRAME = 0.25
"""Two stamps closer than this share of a period are one frame, written twice."""
COARSE_SHARE = 0.3
"""Above this share of repeated stamps, the timecode counts slower than the frames.

120 fps stamped at a base of 30, say.
"""
BEND_FRAMES = 31
"""Frames whose median residual tells a bent clock from jitter."""
JITTER_STEPS = 2.0
"""Change of a median of BEND_FRAMES, in standard deviations of the jitter, that shows a bend.

Chance does not reach it in an hour (six of its own).
"""
HUBER = 1.345
"""Residual, in standard deviations, from which on a stamp counts less; 95 % efficient on normal noise."""


@dataclass(frozen=True)
class Clock:
    """A stream's clock. start: seconds of index 0; rate: indices per second.

    Index (N,): true index of each recorded frame; kept (N,): False for frames that repeat the one before;
    nominal: the standard rate that is meant, None where there is none near; jitter: standard deviation of the
    stamps about the line, seconds; residual: the largest distance, seconds; bend: how far stretches of the
    stamps leave the line together, seconds: a clock that was slewed while it recorded; step: the largest jump
    of the stamps by other than whole frames, in frames, 0 where jitter hides it: a clock that was set;
    step_at: the frame before which it is.
    """

    start: float
    rate: float
    index: np.ndarray
    kept: np.ndarray
    nominal: float | None
    jitter: float
    residual: float
    bend: float
    step: float
    step_at: int

    @property
    def seconds(self) -> np.ndarray:
        """(N,) true time of each recorded frame: the line, not the stamps."""
        return self.start + self.index / self.rate

    @property
    def dropped(self) -> int:
        """Frames that were lost between the first and the last."""
        return int(self.index[-1] + 1 - self.kept.sum())

    @property
    def missing(self) -> np.ndarray:
        """Indices of the lost frames."""
        return np.setdiff1d(np.arange(self.index[-1] + 1), self.index)

    @property
    def duplicates(self) -> int:
        """Frames that were written twice."""
        return int((~self.kept).sum())

    @property
    def drift_ppm(self) -> float | None:
        """How much faster than nominal the stream ran, parts per million.

        None where no nominal rate is known.
        """
        return None if self.nominal is None else (self.rate / self.nominal - 1) * 1e6


def nominal_rate(rate: float) -> float | None:
    """The standard rate that a measured one means, None where none is within MAX_OFF_NOMINAL."""
    near = float(STANDARD_RATES[np.argmin(np.abs(STANDARD_RATES / rate - 1))])
    return near if abs(rate / near - 1) <= MAX_OFF_NOMINAL else None


def robust_line(x: np.ndarray, y: np.ndarray, *, iterations: int = 20) -> tuple[float, float, np.ndarray]:
    """Intercept, slope and residuals (N,) of the line through (x, y) by Huber's weights.

    X (N,) has at least two values.
    """
    weight = np.ones(len(x))
    middle, spread = x.mean(), max(np.ptp(x), 1e-300)
    z = (x - middle) / spread  # well scaled: times of day are large, their residuals small
    level = y[0]
    for _ in range(iterations):
        total = weight.sum()
        mean_z, mean_y = (weight @ z) / total, (weight @ (y - level)) / total
        slope = (weight * (z - mean_z)) @ (y - level - mean_y) / ((weight * (z - mean_z)) @ (z - mean_z))
        residual = y - level - mean_y - slope * (z - mean_z)
        scale = 1.4826 * np.median(np.abs(residual))  # of a normal distribution
        if scale < 1e-12:
            break
        weight = np.minimum(1.0, HUBER * scale / np.maximum(np.abs(residual), 1e-300))
    slope_x = slope / spread
    return float(level + mean_y - (mean_z * spread + middle) * slope_x), float(slope_x), residual


def _bend(residual: np.ndarray) -> float:
    """Largest running median, seconds, of residuals (N,)."""
    width = min(BEND_FRAMES, len(residual))
    return float(np.abs(np.median(np.lib.stride_tricks.sliding_window_view(residual, width), axis=1)).max())


def largest_step(index: np.ndarray, stamps: np.ndarray, period: float) -> tuple[float, int]:
    """Largest jump of the stamps (N,) by other than whole frames, in frames, and where it is.

    0 where jitter hides it, and the frame before which it is.
    """
    width = min(BEND_FRAMES, len(stamps) // 2)
    if width < BEND_FRAMES // 4:
        return 0.0, 0
    step, at, straight = 0.0, 0, stamps
    for _ in range(
        6
    ):  # the line leans towards a jump and hides a part of it; without what was seen of it, it leans less
        residual = robust_line(index, straight)[2]
        middle = np.median(np.lib.stride_tricks.sliding_window_view(residual, width), axis=1)
        change = middle[width:] - middle[:-width]
        if not at:
            coarse = int(np.abs(change).argmax()) + width
            # medians are alike while few frames lie on the wrong side: it is where the stamps leave whole
            # periods most
            near_it = np.arange(max(coarse - width // 2, 1), min(coarse + width // 2, len(residual) - 1) + 1)
            at = int(near_it[np.abs(np.diff(residual)[near_it - 1]).argmax()])
        step += float(change[min(max(at, width), len(change) + width - 1) - width])
        straight = stamps - step * (np.arange(len(stamps)) >= at)
    jitter = 1.4826 * np.median(np.abs(np.diff(residual))) / np.sqrt(2)
    return (abs(step) / period if abs(step) > JITTER_STEPS * jitter else 0.0), at


def _spread_repeats(seconds: np.ndarray) -> np.ndarray:
    """Times (N,) of frames whose timecode counts slower than they come.

    The k-th of r equal stamps is k / r of a count later.
    """
    first = np.concatenate([[True], np.diff(seconds) > 0])
    group = np.cumsum(first) - 1
    size = np.bincount(group)
    inner = size[1:-1] if len(size) > 2 else size  # the recording may begin and end inside a count
    usual = int(np.bincount(inner).argmax())
    period = float(np.median(np.diff(seconds[first])))
    rank = np.arange(len(seconds)) - np.flatnonzero(first)[group]
    rank = np.where(
        group == 0, rank + max(usual - size[0], 0), rank
    )  # the first count's early frames are those that are missing
    return seconds + rank * period / usual


def fit_clock(seconds: np.ndarray, *, where: str, coarse: bool | None = None) -> Clock:
    """The clock of frames stamped at `seconds` (N,), which do not decrease (midnight unwrapped).

    `coarse` says that the timecode counts slower than the frames come, so that frames share stamps; None
    judges it by how many stamps repeat. Raises InputError for fewer than three different stamps.
    """
    seconds = np.asarray(seconds, float)
    repeated = float(np.mean(np.diff(seconds) == 0)) if len(seconds) > 1 else 0.0
    if coarse is None:
        coarse = repeated > COARSE_SHARE
    if len(np.unique(seconds)) < 3:
        raise InputError(
            f"{where}: {len(np.unique(seconds))} different timecodes, need at least 3 to know the stream's"
            " rate; check the recording"
        )
    stamps = _spread_repeats(seconds) if coarse else seconds
    steps = np.diff(stamps)
    period = float(np.median(steps[steps > 0]))
    kept = np.concatenate([[True], steps > SAME_FRAME * period])
    used = stamps[kept]
    index = np.concatenate([[0.0], np.cumsum(np.round(np.diff(used) / period).clip(1))])
    for _ in range(3):  # a better line indexes the frames better, which betters the line
        start, period, residual = robust_line(index, used)
        counted = np.round((used - start) / period)
        if (np.diff(counted) < 1).any() or np.array_equal(counted - counted[0], index):
            break
        index = counted - counted[0]
    jitter = float(1.4826 * np.median(np.abs(residual)))
    all_index = index[np.cumsum(kept) - 1].astype(np.int64)
    rate = 1 / period
    step, at = largest_step(index, used, period)
    return Clock(
        start,
        rate,
        all_index,
        kept,
        nominal_rate(rate),
        jitter,
        float(np.abs(residual).max()),
        _bend(residual),
        step,
        int(np.flatnonzero(kept)[at]),
    )


def take_seconds(stamps: np.ndarray, record: dict, *, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Time (N,) of each frame stamped at `stamps` on its take's clock, and (N,) which frames repeat none.

    `record` is the stream's part of the take's sync JSON: the offset and the rate are its, the indices are
    the stamps' own.
    """
    clock = fit_clock(stamps, where=where)
    return record["start"] + clock.index / record["rate"], clock.kept
