"""Gestures and voice: whether hands beat where the voice does.

In: places of an actor's hips and hands (T, 3) in cm, and the log-mel of the own voice (T, M), at 30 fps. Out:
beats and onsets as frames, and how near they are to each other, with what chance gives. numpy only.

A beat is where a hand comes to rest at the end of a stroke: a local minimum of its speed relative to the hips
(kinematic beats, Li et al. 2021). An onset is where the voice rises most: a local maximum of the growth of
its loudness.
"""

from typing import NamedTuple

import numpy as np

from models.speaking import voice_energy
from pipeline.motion.clock import FPS

BEAT_FRAMES = 6
"""A beat is the slowest moment of this many frames before and after it: 0.2 s, as in the code of BEAT."""
STROKE_FRAMES, STROKE_CM_S = 15, 20.0
"""Within half a second of a beat the hand moves at least so fast: one that rests does not beat."""
ONSET_FRAMES = 3
"""An onset is the largest growth of loudness within 0.1 s of it."""
LOUDNESS = 0.3
"""Power of energy that is loudness (Stevens's law), so that noise in silence has no onsets."""
ALIGN_SECONDS = 0.1
"""Deviation of the bell in `beat_align`: that of Liu X. et al. 2022; Li et al. 2021 have 3 frames of 60."""
CONSISTENCY_SECONDS = 0.3
"""Deviation of the bell in `beat_consistency`: that of Liu H. et al. 2022 (BEAT)."""


def _peaks(values: np.ndarray, reach: int) -> np.ndarray:
    """Frames whose value is the largest within `reach` frames of them, the first of equals; not the ends."""
    if len(values) < 3:
        return np.zeros(0, np.int64)
    padded = np.pad(values, reach, constant_values=-np.inf)
    window = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    largest = (values >= window.max(1)) & (values > window[:, :reach].max(1))
    largest[[0, -1]] = False
    return np.flatnonzero(largest)


def hand_beats(hips: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """Frames (B,) at which a hand ends a stroke.

    Speed is that of the difference of places over the frame before and after, so walking is no gesture.
    """
    own = np.asarray(hand, np.float64) - hips
    if len(own) < 3:
        return np.zeros(0, np.int64)
    speed = np.linalg.norm(own[2:] - own[:-2], axis=1) * FPS / 2
    speed = np.concatenate([speed[:1], speed, speed[-1:]])
    padded = np.pad(speed, STROKE_FRAMES, mode="edge")
    fastest = np.lib.stride_tricks.sliding_window_view(padded, 2 * STROKE_FRAMES + 1).max(1)
    beats = _peaks(-speed, BEAT_FRAMES)
    return beats[fastest[beats] >= STROKE_CM_S]


def voice_onsets(mel: np.ndarray) -> np.ndarray:
    """Frames (O,) at which the voice of a natural log-mel (T, M) rises.

    Those are peaks of the growth of loudness that are more than a deviation above its mean.
    """
    growth = np.maximum(np.diff(np.exp(LOUDNESS * voice_energy(mel)), prepend=np.nan), 0)
    growth[:1] = 0
    peaks = _peaks(growth, ONSET_FRAMES)
    return peaks[growth[peaks] > growth.mean() + growth.std()]


def nearness(frames: np.ndarray, others: np.ndarray, seconds: float) -> float:
    """Mean of exp(-d^2 / (2 seconds^2)) over frames (N,), d seconds to the nearest of the others (M,)."""
    order = np.sort(others)
    after = np.searchsorted(order, frames).clip(1, len(order) - 1) if len(order) > 1 else np.zeros(1, int)
    away = np.minimum(np.abs(frames - order[after]), np.abs(frames - order[after - 1]))
    return float(np.exp(-np.square(away / FPS) / (2 * seconds**2)).mean())


class Together(NamedTuple):
    """How gestures and voice go together: numbers of beats and onsets, and four scores; None without either.

    align, consistency: see `together`; their chance is the mean of the same over beats that are shifted in
    time, round the take, by every whole second.
    """

    beats: int
    onsets: int
    align: float | None = None
    align_chance: float | None = None
    consistency: float | None = None
    consistency_chance: float | None = None


def together(beats: np.ndarray, onsets: np.ndarray, num_frames: int) -> Together:
    """How beats (B,) and onsets (O,) of a performance of `num_frames` go together.

    align: over beats, how near the nearest onset is (Li et al. 2021, Beat Alignment; Liu X. et al. 2022);
    consistency: over onsets, how near the nearest beat is (Liu H. et al. 2022, Beat Consistency).
    """
    if not (len(beats) and len(onsets)):
        return Together(len(beats), len(onsets))

    def scores(own: np.ndarray) -> tuple[float, float]:
        return nearness(own, onsets, ALIGN_SECONDS), nearness(onsets, own, CONSISTENCY_SECONDS)

    shifts = range(FPS, num_frames - FPS + 1, FPS)
    by_chance = np.array([scores((beats + shift) % num_frames) for shift in shifts]).reshape(-1, 2)
    chance = by_chance.mean(0).tolist() if len(by_chance) else [None, None]
    align, consistency = scores(beats)
    return Together(len(beats), len(onsets), align, chance[0], consistency, chance[1])
