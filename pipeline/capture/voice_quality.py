"""Measures of voices: noise floor, clipping, who speaks when, and the other voice in a microphone.

Pure functions on samples, and on segments: sorted, disjoint stretches of speech as (start, end) in seconds.

Speech is what Silero VAD finds at 16 kHz (its model comes with the package faster-whisper). A voice still
holds some of the other one, and a detector hears that too: so of one actor's speech the moments in which the
other's voice is more than LEAK_DB louder are the leak, and are taken out. What a quiet actor says under the
other's speech is lost with them.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.motion.clock import AUDIO_RATE
from pipeline.motion.stretches import stretches

Segments = list[tuple[float, float]]

FULL_SCALE = 0.999
CLIPPED_RUN = 3
"""Samples in succession at full scale, of one sign, that make a clip.

A peak that just reaches it has one or two.
"""
FLOOR_FRAME_SECONDS, FLOOR_SHARE = 0.05, 0.1
LOWEST_DB = -120.0
LEAK_DB = 6.0
LEVEL_SECONDS, LEVEL_STEP = 0.3, 0.02
MIN_SPEECH_SECONDS, MIN_PAUSE_SECONDS, PAD_SECONDS = 0.1, 0.2, 0.03
MIN_ALONE_SECONDS = 0.5
"""How long one must speak alone for a level to be taken from it."""
TURN_SECONDS = 0.3
"""Who speaks alone for this long has the floor: shorter sounds are answers to the other's turn."""


def decibels(power: float) -> float:
    """Power, 1 being full scale, in dB, not below LOWEST_DB."""
    return 10 * float(np.log10(max(power, 10 ** (LOWEST_DB / 10))))


def noise_floor_db(audio: np.ndarray, rate: int) -> float:
    """Level of audio (S,) in dB of full scale that its quietest tenth of frames (50 ms) stays below."""
    size = int(FLOOR_FRAME_SECONDS * rate)
    whole = audio[: len(audio) // size * size].reshape(-1, size)
    power = np.einsum("fs,fs->f", whole, whole, dtype=np.float64) / size
    return decibels(float(np.quantile(power, FLOOR_SHARE))) if len(power) else LOWEST_DB


def clipped(audio: np.ndarray) -> np.ndarray:
    """Which samples of audio (S,) are clipped, bool (S,).

    Those in runs of CLIPPED_RUN or more at full scale, or beyond it.
    """
    result = np.zeros(len(audio), bool)
    for full in (audio >= FULL_SCALE, audio <= -FULL_SCALE):
        for first, stop in stretches(full):
            result[first:stop] |= stop - first >= CLIPPED_RUN
    return result


def detect_speech(
    audio: np.ndarray,
    *,
    threshold: float = 0.5,
    min_speech_seconds: float = MIN_SPEECH_SECONDS,
    min_pause_seconds: float = MIN_PAUSE_SECONDS,
    pad_seconds: float = PAD_SECONDS,
) -> Segments:
    """Stretches in which somebody is heard to speak in audio (S,) float32 at 16 kHz.

    `threshold` is the detector's, in [0, 1].
    """
    from faster_whisper.vad import get_speech_timestamps

    found = get_speech_timestamps(
        np.ascontiguousarray(audio, np.float32),
        threshold=threshold,
        min_speech_duration_ms=round(1000 * min_speech_seconds),
        min_silence_duration_ms=round(1000 * min_pause_seconds),
        speech_pad_ms=round(1000 * pad_seconds),
    )
    return [(segment["start"] / AUDIO_RATE, segment["end"] / AUDIO_RATE) for segment in found]


def own_speech(heard: Segments, own: np.ndarray, other: np.ndarray) -> Segments:
    """What of the speech heard in a voice is its owner's.

    Left out are the moments in which the other voice is more than LEAK_DB louder.

    own, other: the voices (S,) at 16 kHz. Levels are those of LEVEL_SECONDS round each moment, so that a
    pause between two words is not the other's; what stays in pieces is joined over short pauses.
    """
    shorter = min(len(own), len(other))
    levels = [_levels(x[:shorter]) for x in (own, other)]
    louder = levels[1] > 10 ** (LEAK_DB / 10) * levels[0]
    edges = stretches(louder) * LEVEL_STEP
    kept: Segments = []
    for start, end in without(heard, [(float(a), float(b)) for a, b in edges]):
        if kept and start - kept[-1][1] < MIN_PAUSE_SECONDS:
            kept[-1] = (kept[-1][0], end)
        else:
            kept.append((start, end))
    return [(start, end) for start, end in kept if end - start >= MIN_SPEECH_SECONDS]


def _levels(audio: np.ndarray) -> np.ndarray:
    """Mean power (S / step,) of audio (S,) at 16 kHz.

    Over LEVEL_SECONDS round the middle of every LEVEL_STEP.
    """
    size = round(LEVEL_STEP * AUDIO_RATE)
    power = (np.pad(audio, (0, -len(audio) % size)).astype(np.float64) ** 2).reshape(-1, size).mean(1)
    reach = round(LEVEL_SECONDS / LEVEL_STEP) // 2
    return np.convolve(np.pad(power, reach, mode="edge"), np.ones(2 * reach + 1) / (2 * reach + 1), "valid")


def speech(voices: Sequence[np.ndarray]) -> list[Segments]:
    """Who speaks when: segments of each of one or two voices (S,) float32 at 16 kHz."""
    heard = [detect_speech(voice) for voice in voices]
    if len(voices) == 1:
        return heard
    return [own_speech(heard[k], voices[k], voices[1 - k]) for k in range(2)]


def seconds(segments: Segments) -> float:
    """How long the segments last together."""
    return sum((end - start for start, end in segments), 0.0)


def both(a: Segments, b: Segments) -> Segments:
    """Where segments of a and of b overlap."""
    found = [(max(s, t), min(e, f)) for s, e in a for t, f in b]
    return sorted((start, end) for start, end in found if start < end)


def without(a: Segments, b: Segments) -> Segments:
    """What of the segments of a lies in none of b."""
    result = []
    for start, end in a:
        for first, stop in b:
            if first < end and start < stop:
                if start < first:
                    result.append((start, first))
                start = max(start, stop)
        if start < end:
            result.append((start, end))
    return result


def turns(segments: Sequence[Segments]) -> list[tuple[int, float, float | None]]:
    """Turns of two actors in order, as (actor, start, gap).

    `gap` is seconds from the end of the other's speech, negative where they overlap.

    An actor takes the floor by speaking alone for TURN_SECONDS, and keeps it until the other does so: what is
    said in between, under the other's speech or in shorter sounds, is no turn. `start` is the start of the
    speech that took the floor; the first turn has no gap.
    """
    alone = sorted(
        (start, k)
        for k in range(2)
        for start, end in without(segments[k], segments[1 - k])
        if end - start >= TURN_SECONDS
    )
    result: list[tuple[int, float, float | None]] = []
    for claim, k in alone:
        if result and result[-1][0] == k:
            continue
        start = max(first for first, _ in segments[k] if first <= claim)
        gap = start - max(end for first, end in segments[1 - k] if first < claim) if result else None
        result.append((k, start, gap))
    return result


def conversation(segments: Sequence[Segments], length: float) -> dict:
    """Measures of a talk of `length` seconds.

    Shares of time in which both or none speak, turns, median gap, longest silence.
    """
    overlap = seconds(both(*segments))
    found = turns(segments)
    gaps = [gap for _, _, gap in found if gap is not None]
    silences = without(without([(0.0, length)], segments[0]), segments[1])
    return {
        "overlap_share": overlap / length,
        "silence_share": seconds(silences) / length,
        "turns": len(found),
        "gap_seconds_median": float(np.median(gaps)) if gaps else None,
        "longest_silence_seconds": max((end - start for start, end in silences), default=0.0),
    }


def crosstalk(signals: Sequence[np.ndarray], segments: Sequence[Segments], k: int) -> dict[str, float | None]:
    """How much of the other actor is in signal k of two (S,) at 16 kHz, microphones or voices.

    leak_db: level of signal k against the other's own signal while only the other speaks: the median over
    steps of 20 ms of the louder half, which a word of the owner that was taken for silence does not move.
    sir_db: level while only the owner speaks, against the leak of the other at the other's level. Noise
    counts as leak, so that neither says more than the noise lets it know. None where nobody speaks alone for
    MIN_ALONE_SECONDS.
    """
    own, others = without(segments[k], segments[1 - k]), without(segments[1 - k], segments[k])
    if seconds(others) < MIN_ALONE_SECONDS:
        return {"leak_db": None, "sir_db": None}
    here, there = (_steps(signal, others) for signal in (signals[k], signals[1 - k]))
    if not len(here):  # the other speaks alone in pieces shorter than a step only
        return {"leak_db": None, "sir_db": None}
    loud = there >= np.median(there)
    leak = float(np.median(10 * np.log10(np.maximum(here[loud], 1e-12) / np.maximum(there[loud], 1e-12))))
    voice = decibels(_power(signals[k], own)) if seconds(own) >= MIN_ALONE_SECONDS else None
    return {
        "leak_db": leak,
        "sir_db": None if voice is None else voice - decibels(float(there.mean())) - leak,
    }


def _steps(audio: np.ndarray, segments: Segments) -> np.ndarray:
    """Mean power of audio (S,) at 16 kHz in each whole LEVEL_STEP of the segments, (steps,)."""
    size = round(LEVEL_STEP * AUDIO_RATE)
    parts = [audio[round(start * AUDIO_RATE) : round(end * AUDIO_RATE)] for start, end in segments]
    whole = np.concatenate([part[: len(part) // size * size] for part in parts]).astype(np.float64)
    return (whole.reshape(-1, size) ** 2).mean(1)


def _power(audio: np.ndarray, segments: Segments) -> float:
    """Mean power of audio (S,) at 16 kHz over segments."""
    parts = [
        audio[round(start * AUDIO_RATE) : round(end * AUDIO_RATE)].astype(np.float64)
        for start, end in segments
    ]
    return sum(float(part @ part) for part in parts) / max(sum(map(len, parts)), 1)
