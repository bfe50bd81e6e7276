"""Transcripts: what each actor of a take says, word by word, with times.

In: the WAVs of the take's two performances, in actor order. Out: a JSON each, {"words": [{"word", "start", "end",
"confidence"}]}, seconds from the start of the file, sorted by start.

A close microphone hears the partner too, and a recogniser writes down whatever it hears. So it is given only the
stretches in which the file's owner speaks (louder than the partner's file, see `speech_spans`), one at a time, and of its
words those are kept that are louder in their owner's file than in the partner's.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.config import Transcripts
from pipeline.errors import InputError
from pipeline.features import AUDIO_RATE, read_wav, resample
from pipeline.files import write_json

log = logging.getLogger("interact")
HOP = AUDIO_RATE // 100
"""Samples in a level frame of 10 ms."""
QUIET_DB = -60.0
"""Level against full scale below which a file is silent."""
MARGIN_SECONDS = 0.2
"""Audio around a stretch of speech that the recogniser hears as well: soft onsets and ends."""
LONGEST_SECONDS = 28.0
"""Whisper sees 30 s at a time."""

Recogniser = Callable[[np.ndarray], list[dict]]
"""Audio (S,) float32 at 16 kHz -> words with start and end in seconds and confidence."""


def levels_db(audio: np.ndarray, *, smooth_seconds: float = 0.1) -> np.ndarray:
    """Level in dB of full scale every 10 ms, of power averaged over `smooth_seconds`."""
    num_frames = -(-len(audio) // HOP)
    power = np.pad(np.asarray(audio, float), (0, num_frames * HOP - len(audio))).reshape(-1, HOP) ** 2
    width = max(1, round(smooth_seconds * 100))
    sums = np.cumsum(np.concatenate([[0.0], np.pad(power.mean(1), (width // 2, width - 1 - width // 2))]))
    return 10 * np.log10(np.maximum((sums[width:] - sums[:-width]) / width, 1e-12))


def _runs(mask: np.ndarray) -> np.ndarray:
    """Start and stop (R, 2) of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)


def speech_spans(own: np.ndarray, other: np.ndarray, *, min_level_db: float, pause_seconds: float) -> list[tuple[float, float]]:
    """Stretches (start, end) in seconds in which the owner of a file speaks, from the levels of both files every 10 ms.

    A frame is the owner's when its level is above `other` plus `min_level_db`, above silence (QUIET_DB), 10 dB above the
    file's own background (its tenth percentile) and within 40 dB of its loudest. Frames closer than `pause_seconds` belong
    to one stretch; stretches under 0.1 s are noises; none is longer than LONGEST_SECONDS.
    """
    num_frames = min(len(own), len(other))
    own, other = own[:num_frames], other[:num_frames]
    if num_frames == 0:
        return []
    floor = max(QUIET_DB, np.percentile(own, 10) + 10, np.percentile(own, 99.5) - 40)
    runs = _runs((own > floor) & (own > other + min_level_db))
    merged: list[list[int]] = []
    for start, stop in runs[runs[:, 1] - runs[:, 0] >= 5]:
        if merged and start - merged[-1][1] <= pause_seconds * 100:
            merged[-1][1] = int(stop)
        else:
            merged.append([int(start), int(stop)])
    longest, spans = int(LONGEST_SECONDS * 100), []
    for start, stop in merged:
        if stop - start < 10:
            continue
        while stop - start > longest:  # cut at the quietest moment of the second half
            half = start + longest // 2
            cut = half + int(np.argmin(own[half : start + longest]))
            spans.append((start / 100, cut / 100))
            start = cut
        spans.append((start / 100, stop / 100))
    return spans
