"""Linear timecode (LTC, SMPTE ST 12-1) in an audio channel.

Which frame begins at which sample, and the recorder's clock by it.

In: samples of one channel, whole or in blocks. Out: frame numbers since midnight with the fractional sample
at which each frame begins, and a straight line through them: the time of day of sample 0 and the recorder's
true samples per second.

A frame is 80 bits in biphase mark: an edge at the start of every bit, another in the middle of a 1. Edges
alone carry it, so polarity and level do not matter. The 16-bit sync word at the end of a frame is looked for
in the distances between edges; its edges give a grid of half bits, on which the 64 bits before it are read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import numpy as np

from pipeline.errors import InputError
from pipeline.formats.timecode import day_frames, day_seconds, exact_rate, format_timecode, frame_number

FPS = tuple(exact_rate(fps) for fps in (23.976, 24, 25, 29.97, 30))
"""Frame rates at which LTC runs; streams of 48 to 120 fps are jammed to one of them."""
SYNC = (0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1)
"""Bits 64 to 79 of every frame."""
FIELDS = {
    "frames": (0, 4),
    "ten_frames": (8, 2),
    "drop_frame": (10, 1),
    "seconds": (16, 4),
    "ten_seconds": (24, 3),
}
FIELDS |= {"minutes": (32, 4), "ten_minutes": (40, 3), "hours": (48, 4), "ten_hours": (56, 2)}
"""First bit and width of each field, lowest bit first; the other bits below 64 are user bits and flags."""

SPEED = 0.025  # part by which the speed may be off: two percent and some room
CLOCK = (
    5e-4  # part by which a recorder's clock may be off; 23.976 and 24, 29.97 and 30 are twice as far apart
)
MIN_RATE = 22_050  # below it a half bit at 30 fps has fewer than 4.6 samples
SEGMENT_SECONDS = 0.01  # level and offset are measured over segments of this length
THRESHOLD = 0.4  # of the level: an edge goes from one side of it to the other
WINDOW, MARGIN = (
    400,
    10,
)  # segments that are decoded at a time, and read beyond them on both sides; a frame has at most 4.3
TOLERANCE = 0.3  # of a half bit, for an edge on its grid
NEIGHBOURS = 3  # frames on both sides that a frame may agree with
AGREE = 0.1  # of a frame, for the distance between neighbours
MIN_ON_LINE = 0.9  # part of all frames that must lie on one straight line

# half bits of the sync word at which edges lie, from its start to its end
_SYNC_EDGES = np.flatnonzero([mark for bit in SYNC for mark in (1, bit)] + [1])
# 1 for a distance of one half bit, 2 for two
_SYNC_STEPS = np.diff(_SYNC_EDGES)


@dataclass(frozen=True)
class LtcFrames:
    """Decoded frames in the order of recording.

    numbers: (N,) int64 frames since midnight, as the labels count them (see timecode.frame_number).
    positions: (N,) float samples at which the frames begin. fps: frames per second, one of FPS, or 0 where
    there are no frames. drop_frame: whether the labels are drop-frame.
    """

    numbers: np.ndarray
    positions: np.ndarray
    fps: float
    drop_frame: bool

    @property
    def index(self) -> np.ndarray:
        """(N,) float frames after the first, running on across midnight."""
        numbers = _unwrapped(self.numbers, day_frames(self.fps, drop_frame=self.drop_frame))
        return (numbers - numbers[0]).astype(float)


def decode_ltc(
    samples: np.ndarray | Iterable[np.ndarray], rate: int, *, fps: float | None = None
) -> LtcFrames:
    """Frames of LTC in mono samples (S,) or in blocks of them at `rate` Hz; none where there is no LTC.

    Memory does not grow with length but for the result, and the blocks' sizes do not change it. Frames that
    are not whole are left out: each needs all its edges in place, a time of day, and one of its three
    neighbours on either side as many frames away as its number says. Samples that are NaN damage the frames
    around them.

    `fps` None finds the rate: 29.97 for drop-frame labels, else the one within 500 ppm of the measured rate,
    else, as on a machine that runs off speed, the nearest of 24, 25 and 30.
    """
    known = None if fps is None else exact_rate(fps)
    if known is not None and known not in FPS:
        raise InputError(
            f"LTC at {fps:g} fps: need one of {', '.join(f'{float(f):.5g}' for f in FPS)}; correct the rate"
        )
    if rate < MIN_RATE:
        raise InputError(
            f"LTC at {rate:g} Hz: need at least {MIN_RATE} Hz; record or export the channel at 48000 Hz"
        )
    segment = round(SEGMENT_SECONDS * rate)
    found = [_decode_window(x, segment, float(rate)) for x in _windows(samples, segment)]
    step = WINDOW * segment
    positions = np.concatenate([[0.0][:0], *(p + i * step for i, (p, _) in enumerate(found))])
    bits = np.concatenate([np.zeros((0, 64), bool), *(b for _, b in found)])
    return _consistent(positions, bits, float(rate), known)


def ltc_clock(frames: LtcFrames, rate: float) -> tuple[float, float, float]:
    """The recorder's clock by LTC.

    Time of day of sample 0 in seconds, its true samples per second, and the residual.

    A straight line through positions over numbers, by least squares on the frames within five median
    deviations of a first robust one. The residual is the root mean square in seconds of those frames. Raises
    InputError for fewer than two frames, and for timecode that jumps, so that less than nine tenths of the
    frames lie on one line.
    """
    if len(frames.numbers) < 2:
        raise InputError(
            f"LTC: {len(frames.numbers)} frames found, need at least 2; check which channel carries the"
            " timecode"
        )
    fps = exact_rate(frames.fps)
    x, y = frames.index, frames.positions
    jumps = np.round(np.diff(x) - np.diff(y) / np.median(np.diff(y) / np.diff(x))).astype(np.int64)
    runs = np.concatenate([[0], np.cumsum(jumps)])  # equal for frames on one line
    values, counts = np.unique(runs, return_counts=True)
    straight = runs == values[np.argmax(counts)]
    if straight.mean() < MIN_ON_LINE:
        i = int(np.argmax(np.abs(jumps)))
        codes = [
            format_timecode(float(int(n) / fps), frames.fps, drop_frame=frames.drop_frame, digits=0)
            for n in frames.numbers[[i, i + 1]]
        ]
        raise InputError(
            f"LTC: timecode jumps from {codes[0]} to {codes[1]} at {y[i] / rate:.2f} s, need one straight"
            " run; cut the recording there or give its start by hand"
        )
    keep = straight
    for _ in range(10):
        centre = x[keep].mean()
        slope, offset = np.polyfit(x[keep] - centre, y[keep], 1)
        residual = y - offset - slope * (x - centre)
        before, keep = (
            keep,
            straight
            & (np.abs(residual) <= max(5 * 1.4826 * float(np.median(np.abs(residual[straight]))), 1e-3)),
        )
        if np.array_equal(before, keep):
            break
    start = (float(frames.numbers[0]) + centre - offset / slope) / float(fps)
    start %= day_seconds(fps, drop_frame=frames.drop_frame)
    return float(start), float(slope * fps), float(np.sqrt(np.mean(residual[before] ** 2))) / rate


def _unwrapped(numbers: np.ndarray, day: int) -> np.ndarray:
    """Frame numbers (N,) that run on across midnight, in either direction of a jump."""
    steps = np.diff(numbers)
    return numbers + day * np.concatenate(
        [[0], np.cumsum((steps < -day // 2).astype(np.int64) - (steps > day // 2))]
    )


def _windows(samples: np.ndarray | Iterable[np.ndarray], segment: int) -> Iterator[np.ndarray]:
    """Windows of (WINDOW + 2 MARGIN) segments as float32, WINDOW segments apart.

    Zeros before the first sample and after the last.

    They lie on a fixed grid, whatever the blocks, which makes the result independent of them.
    """
    margin, step = MARGIN * segment, WINDOW * segment
    window = step + 2 * margin
    blocks = (
        np.split(samples, range(step, len(samples), step)) if isinstance(samples, np.ndarray) else samples
    )
    held, count = [np.zeros(margin, np.float32)], margin
    for block in chain(blocks, [None]):
        if block is None:  # the end: every sample lies within the step of some window
            block = np.zeros(margin + step - (count - margin) % step, np.float32)
        elif block.ndim != 1:
            raise InputError(
                f"LTC: samples have shape {block.shape}, need one channel (S,); choose the channel"
            )
        held.append(block.astype(np.float32))
        count += len(block)
        if count < window:
            continue
        joined = np.concatenate(held)
        first = 0
        for first in range(0, count - window + 1, step):
            yield joined[first : first + window]
        held, count = [joined[first + step :]], count - first - step


def _levelled(x: np.ndarray, segment: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples without their offset, and the level around each sample.

    Mean and root mean square of segments, interpolated.

    Half a segment is lost at both ends.
    """
    parts = x.reshape(-1, segment)
    mean, level = parts.mean(1), parts.std(1)
    ramp = np.linspace(0, 1, segment, endpoint=False, dtype=np.float32)
    half = segment // 2
    middle = x[half : half - segment].reshape(-1, segment)
    return (
        (middle - (mean[:-1, None] + np.diff(mean)[:, None] * ramp)).ravel(),
        (level[:-1, None] + np.diff(level)[:, None] * ramp).ravel(),
    )


def _edges(x: np.ndarray, segment: int) -> np.ndarray:
    """Fractional samples (E,) at which the signal crosses its offset.

    It does so on the way from one side of the threshold to the other.
    """
    centred, level = _levelled(x, segment)
    level *= np.float32(THRESHOLD)
    sides = (centred > level).astype(np.int8) - (centred < -level)
    clear = np.flatnonzero(sides)
    turns = np.flatnonzero(np.diff(sides[clear]))
    last, first = clear[turns], clear[turns + 1]  # last sample on one side, first on the other
    crossings = np.flatnonzero(np.diff(centred > 0))
    if not len(turns):
        return np.zeros(0)
    below, above = centred[crossings].astype(float), centred[crossings + 1].astype(float)
    where = crossings + below / (below - above)
    # noise can cross several times on the way: the middle of the first and the last crossing
    i, j = np.searchsorted(crossings, last), np.searchsorted(crossings, first) - 1
    return 0.5 * (where[i] + where[j]) + segment // 2


def _fitted(grid: np.ndarray, edges: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Straight lines edges = offset + half * grid over the masked columns of rows (N, K).

    offset (N,) and half (N,).
    """
    weight = mask.astype(float)
    count = weight.sum(1)
    x0, y0 = (weight * grid).sum(1) / count, (weight * edges).sum(1) / count
    x, y = weight * (grid - x0[:, None]), edges - y0[:, None]
    half = (x * y).sum(1) / (x * x).sum(1)
    return y0 - half * x0, half


def _decode_window(x: np.ndarray, segment: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Starts (N,) in samples and bits (N, 64) of the frames that begin within the window's step.

    Starts are counted after the first margin.
    """
    edges = _edges(x, segment)
    none = np.zeros(0), np.zeros((0, 64), bool)
    span = len(_SYNC_STEPS)
    if len(edges) <= span:
        return none
    # one half bit at most fps to two at least fps, with a border that no speed within SPEED reaches
    shortest, longest = (
        rate / (160 * float(FPS[-1]) * (1 + SPEED)),
        rate / (160 * float(FPS[0]) * (1 - SPEED)),
    )
    border = np.sqrt(longest * 2 * shortest)
    steps = np.diff(edges)
    kinds = np.where(
        steps < 0.6 * shortest,
        0,
        np.where(steps < border, 1, np.where(steps < 2 * longest + 0.4 * shortest, 2, 0)),
    )
    windows = np.lib.stride_tricks.sliding_window_view(kinds, span)
    hits = np.flatnonzero((kinds[: len(windows)] == 2) & (kinds[span - 1 :] == 1))
    hits = hits[(windows[hits] == _SYNC_STEPS).all(1)]
    if not len(hits):
        return none
    sync = edges[hits[:, None] + np.arange(span + 1)]
    grid = np.broadcast_to(128.0 + _SYNC_EDGES, sync.shape)
    offset, half = _fitted(grid, sync, np.ones(sync.shape, bool))
    # up to two edges per bit before the sync word, then its own; half bits count from the frame's start
    index = hits[:, None] + np.arange(-128, span + 1)
    inside = index >= 0
    found = edges[np.maximum(index, 0)]
    grid = (found - offset[:, None]) / half[:, None]
    marks = np.round(grid).astype(int)
    inside &= marks >= 0
    good = (~inside | (np.abs(grid - marks) < TOLERANCE)).all(1)
    good &= (half > shortest) & (half < longest)
    taken = np.zeros((len(hits), 161), int)
    np.add.at(taken, (np.nonzero(inside)[0], marks.clip(0, 160)[inside]), 1)
    good &= (taken <= 1).all(1) & (taken[:, ::2] == 1).all(1)
    starts, _ = _fitted(marks.astype(float), found, inside)
    margin, step = MARGIN * segment, WINDOW * segment
    good &= (starts >= margin) & (starts < margin + step)
    return starts[good] - margin, taken[good, 1:128:2].astype(bool)


def _field(bits: np.ndarray, name: str) -> np.ndarray:
    first, width = FIELDS[name]
    return bits[:, first : first + width] @ (1 << np.arange(width))


def _consistent(positions: np.ndarray, bits: np.ndarray, rate: float, known: Fraction | None) -> LtcFrames:
    """Frames (N) with a valid time of day that agree with their neighbours, and their rate.

    The rate is the one among FPS that they run at.
    """
    none = LtcFrames(np.zeros(0, np.int64), np.zeros(0), 0.0, False)
    units = np.stack([_field(bits, name) for name in ("hours", "minutes", "seconds", "frames")])
    parts = units + 10 * np.stack(
        [_field(bits, name) for name in ("ten_hours", "ten_minutes", "ten_seconds", "ten_frames")]
    )
    valid = (units < 10).all(0) & (parts < np.array([[24], [60], [60], [30]])).all(0)
    positions, parts, drops = positions[valid], parts[:, valid], _field(bits[valid], "drop_frame")
    if len(positions) < 2:
        return none
    drop_frame = bool(drops.mean() > 0.5)
    fps = known or _frame_rate(positions, drop_frame, rate)
    if fps is None:
        return none
    if drop_frame and fps != exact_rate(29.97):
        raise InputError(
            f"LTC: labels are drop-frame but the rate is given as {float(fps):g} fps, need 29.97; correct the"
            " rate"
        )
    nominal = round(fps)
    dropped = nominal // 15 if drop_frame else 0
    valid = (parts[3] < nominal) & ~((parts[1] % 10 > 0) & (parts[2] == 0) & (parts[3] < dropped))
    positions, numbers = (
        positions[valid],
        frame_number(*parts[:, valid].astype(np.int64), nominal=nominal, dropped=dropped),
    )
    day, length = day_frames(fps, drop_frame=drop_frame), rate / float(fps)
    agrees = np.zeros(len(positions), bool)
    for apart in range(1, min(NEIGHBOURS, len(positions) - 1) + 1):
        ahead = (numbers[apart:] - numbers[:-apart]) % day
        distance = (positions[apart:] - positions[:-apart]) / length
        same = (ahead > 0) & (np.abs(distance - ahead) < AGREE + SPEED * ahead)
        agrees[apart:] |= same
        agrees[:-apart] |= same
    if not agrees.any():
        return none
    return LtcFrames(numbers[agrees], positions[agrees], float(fps), drop_frame)


def _frame_rate(positions: np.ndarray, drop_frame: bool, rate: float) -> Fraction | None:
    """The rate among FPS at which frames follow one another, see decode_ltc; None where no two do."""
    if drop_frame:
        return exact_rate(29.97)
    steps = (
        np.diff(positions) * float(FPS[0]) / rate
    )  # in frames of the longest kind; two of the shortest are 1.6
    single = (steps > 0.5) & (steps < 1.2)
    if not single.any():
        return None
    measured = float(FPS[0]) / float(np.median(steps[single]))
    best = min(FPS, key=lambda fps: abs(measured / float(fps) - 1))
    if abs(measured / float(best) - 1) < CLOCK:
        return best
    return min((fps for fps in FPS if fps.denominator == 1), key=lambda fps: abs(measured / float(fps) - 1))
