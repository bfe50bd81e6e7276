"""Own speech: which sounds and words of a close microphone are its owner's and not the partner's.

In: audio (S,) at 16 kHz of a take's two actors, and words with start and end in seconds. Out: the owner's
words, and whether the owner speaks in each 10 ms, (F,) bool. Levels are dB of full scale.
"""

import numpy as np

from pipeline.capture.voice_quality import detect_speech
from pipeline.motion.clock import AUDIO_RATE

QUIET_DB = -60.0
"""Level against full scale below which nobody speaks."""
HOP = AUDIO_RATE // 100


def level_db(audio: np.ndarray, start: float, end: float) -> float:
    """Level of audio (S,) at 16 kHz between two times in seconds, dB of full scale.

    -120 where there is none.
    """
    first = int(start * AUDIO_RATE)
    part = np.asarray(audio[first : max(int(end * AUDIO_RATE), first + 1)], float)
    return 10 * float(np.log10(max(np.mean(part**2), 1e-12))) if len(part) else -120.0


def own_words(
    words: list[dict], own: np.ndarray, other: np.ndarray | None, *, min_level_db: float
) -> list[dict]:
    """The words of a file's owner: above QUIET_DB, and by `min_level_db` louder in `own` than in `other`.

    own, other: audio (S,) at 16 kHz of the two actors; `other` None keeps every word that is not silent.
    """
    kept = []
    for word in words:
        here = level_db(own, word["start"], word["end"])
        there = -np.inf if other is None else level_db(other, word["start"], word["end"]) + min_level_db
        if here > max(QUIET_DB, there):
            kept.append(word)
    return kept


def speech_activity(own: np.ndarray, other: np.ndarray | None, *, min_level_db: float) -> np.ndarray:
    """Whether the owner of a file speaks in each 10 ms, (F,) bool.

    A detector hears speech, and `own` is louder than `other` by `min_level_db`.

    own, other: audio (S,) at 16 kHz. The detector is Silero's, which faster-whisper carries. Levels are means
    of 50 ms.
    """
    count = len(own) // HOP

    def power(audio: np.ndarray) -> np.ndarray:
        whole_frames = np.pad(
            np.asarray(audio[: count * HOP], float), (0, max(count * HOP - len(audio), 0))
        ).reshape(count, HOP)
        return np.convolve((whole_frames**2).mean(1), np.ones(5) / 5)[2 : 2 + count]

    speaks = np.zeros(count, bool)
    if not count:
        return speaks
    for start, end in detect_speech(
        own, threshold=0.35, min_speech_seconds=0.0, min_pause_seconds=0.1, pad_seconds=0.06
    ):
        speaks[round(start * AUDIO_RATE) // HOP : round(end * AUDIO_RATE) // HOP] = True
    here = power(own)
    speaks &= here > 10 ** (QUIET_DB / 10)
    return speaks if other is None else speaks & (here > power(other) * 10 ** (min_level_db / 10))


def spoken_share(word: dict, activity: np.ndarray) -> float:
    """Share of a word's 10 ms in which its owner speaks; 0 beyond the end."""
    first = int(word["start"] * AUDIO_RATE / HOP)
    part = activity[first : max(int(word["end"] * AUDIO_RATE / HOP), first + 1)]
    return float(part.mean()) if len(part) else 0.0
