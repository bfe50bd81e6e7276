"""Linear timecode (SMPTE ST 12-1) as the recorder of the simulated shoot hears it.

In: the time of day of sample 0, rates and drift. Out: samples of the LTC channel, with exact times of their
edges.
"""

import numpy as np

from pipeline.formats.ltc import FIELDS, SYNC
from pipeline.formats.timecode import day_frames, exact_rate, frame_label

RISE_SECONDS = 25e-6
"""Time from 10 to 90 % of an edge (ST 12-1)."""
REACH, STEPS = 16, 64  # samples on each side of an edge that it touches, and entries of the table per sample


def ltc_bits(numbers: np.ndarray, fps: float, *, drop_frame: bool = False, user_bits: int = 0) -> np.ndarray:
    """The 80 bits (N, 80) of frames (N,) numbered since midnight.

    `user_bits` are eight groups of four, the first lowest.

    The polarity correction bit makes the number of zeros even, so that every frame begins with the same
    polarity: bit 27, or bit 59 at 25 fps.
    """
    rate = exact_rate(fps)
    numbers = np.asarray(numbers, np.int64) % day_frames(rate, drop_frame=drop_frame)
    hours, minutes, seconds, frames = frame_label(
        numbers, nominal=round(rate), dropped=round(rate) // 15 if drop_frame else 0
    )
    values = {"drop_frame": np.full(len(numbers), int(drop_frame))}
    for name, value in (("hours", hours), ("minutes", minutes), ("seconds", seconds), ("frames", frames)):
        values |= {name: value % 10, f"ten_{name}": value // 10}
    bits = np.zeros((len(numbers), 80), np.int8)
    for name, (first, width) in FIELDS.items():
        bits[:, first : first + width] = values[name][:, None] >> np.arange(width) & 1
    for group in range(8):
        bits[:, 8 * group + 4 : 8 * group + 8] = user_bits >> (4 * group + np.arange(4)) & 1
    bits[:, 64:] = SYNC
    bits[:, 59 if round(rate) == 25 else 27] = bits.sum(1) % 2
    return bits


def _edge_table(rate: float) -> np.ndarray:
    """What a band-limited step of height 1 at 0 differs from an ideal one.

    At -REACH to REACH samples, STEPS entries each.

    A Gaussian edge of RISE_SECONDS, cut off smoothly below half the sample rate so that its times stay exact
    in samples.
    """
    time = np.arange(-REACH * STEPS, REACH * STEPS + 1) / STEPS
    frequency = (np.arange(256) + 0.5) / 512  # cycles per sample
    sigma = RISE_SECONDS * rate / 2.5631  # 10 to 90 % of a Gaussian's integral
    response = np.exp(-2 * (np.pi * frequency * sigma) ** 2)
    response *= 0.5 + 0.5 * np.cos(np.pi * ((frequency - 0.35) / 0.15).clip(0, 1))
    step = 0.5 + np.sin(2 * np.pi * time[:, None] * frequency) @ (response / frequency) / (512 * np.pi)
    return (step - (time >= 0)) * np.cos(0.5 * np.pi * time / REACH) ** 2


def encode_ltc(
    start_timecode_seconds: float,
    fps: float,
    num_samples: int,
    rate: float,
    *,
    drop_frame: bool = False,
    drift_ppm: float = 0.0,
    level: float = 0.5,
    user_bits: int = 0,
) -> np.ndarray:
    """LTC (S,) float32 at `rate` Hz of a recorder whose clock runs `drift_ppm` fast.

    Sample i is at start_timecode_seconds + i / (rate * (1 + drift_ppm * 1e-6)) of the timecode's clock:
    seconds since midnight as parse_timecode gives them, anywhere within a frame. Frame n begins at n / fps,
    across midnight too.
    """
    true_rate = rate * (1 + drift_ppm * 1e-6)
    frame_rate = float(exact_rate(fps))
    reach_seconds = (REACH + 1) / true_rate
    first = int(np.floor((start_timecode_seconds - reach_seconds) * frame_rate))
    last = int(np.ceil((start_timecode_seconds + num_samples / true_rate + reach_seconds) * frame_rate))
    numbers = np.arange(first, last + 1)
    bits = ltc_bits(numbers, fps, drop_frame=drop_frame, user_bits=user_bits)
    marks = np.stack([np.ones_like(bits), bits], 2).reshape(len(numbers), 160)  # edges at half bits
    frame, half = np.nonzero(marks)
    edges = ((numbers[frame] + half / 160) / frame_rate - start_timecode_seconds) * true_rate
    heights = np.where(np.arange(len(edges)) % 2, -2.0, 2.0)  # from -1 to 1 and back

    whole = np.ceil(edges).astype(np.int64)
    size = num_samples + 2 * (REACH + 1)
    change = np.bincount(whole.clip(-REACH - 1, num_samples + REACH) + REACH + 1, heights, size)
    signal = np.cumsum(change) - 1.0
    table = _edge_table(true_rate)
    # at one offset no two edges meet in a sample: half a bit has several
    for offset in range(-REACH, REACH):
        at = whole + offset
        ok = (at >= 0) & (at < num_samples)
        place = (at[ok] - edges[ok] + REACH) * STEPS
        low = place.astype(np.int64).clip(0, len(table) - 2)
        # no interpolation over the ideal step itself, which lies between the entries before 0 and at 0
        part = np.where(low == REACH * STEPS - 1, 0.0, place - low)
        signal[at[ok] + REACH + 1] += heights[ok] * ((1 - part) * table[low] + part * table[low + 1])
    return (level * signal[REACH + 1 : REACH + 1 + num_samples]).astype(np.float32)
