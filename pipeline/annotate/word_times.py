"""Times of words: where each word and phoneme of an actor begins and ends.

In: words with a recogniser's times, or a text; audio (S,) at 16 kHz; whether its owner speaks in each 10 ms,
(F,). Out: the words with times in seconds and phonemes of forced alignment, utterance by utterance, with
starts and ends at the sound's own.
"""

import numpy as np

from pipeline.annotate import forced_alignment
from pipeline.annotate.own_speech import HOP, QUIET_DB, spoken_share
from pipeline.errors import InputError
from pipeline.motion.clock import AUDIO_RATE
from pipeline.motion.stretches import stretches

SHORTEST_SECONDS = 0.02
TRIM_DB = 30.0

MARGIN_SECONDS = 0.4
"""How far beyond the recogniser's times an utterance is looked for, and the pause that ends one."""
LONGEST_SECONDS = 12.0
LONGEST_TEXT_SECONDS = 120.0
"""Most speech that a given text is aligned to at once: 0.9 GB of memory at 63 s grow with the square."""
ONSET_DB, ONSET_FLOOR_DB = 35.0, 6.0
LOST_SCORE, LOST_PHONEME_SECONDS = -100.0, 0.041


def trim(words: list[dict], audio: np.ndarray) -> list[dict]:
    """Words without the silence at their ends.

    The recogniser lets the first word of a sentence begin in the pause before.

    In `audio` (S,) at 16 kHz a word lasts from the first to the last 10 ms that are within TRIM_DB of its
    loudest and above QUIET_DB.
    """
    result = []
    for word in words:
        part = np.asarray(audio[round(word["start"] * AUDIO_RATE) : round(word["end"] * AUDIO_RATE)], float)
        power = (part[: len(part) // HOP * HOP].reshape(-1, HOP) ** 2).mean(1)
        loud = np.flatnonzero(
            power > max(10 ** (QUIET_DB / 10), 10 ** (-TRIM_DB / 10) * power.max(initial=0.0))
        )
        if len(loud):
            start = word["start"] + loud[0] * HOP / AUDIO_RATE
            end = max(
                word["start"] + (loud[-1] + 1) * HOP / AUDIO_RATE, min(start + SHORTEST_SECONDS, word["end"])
            )
            word = word | {"start": round(start, 3), "end": round(end, 3)}
        result.append(word)
    return result


def utterances(words: list[dict]) -> list[range]:
    """Ranges of words without a pause of MARGIN_SECONDS between them, LONGEST_SECONDS at most."""
    ranges, begin = [], 0
    for i in range(1, len(words) + 1):
        if (
            i == len(words)
            or words[i]["start"] - words[i - 1]["end"] > MARGIN_SECONDS
            or words[i]["end"] - words[begin]["start"] > LONGEST_SECONDS
        ):
            ranges.append(range(begin, i))
            begin = i
    return ranges if words else []


def align_words(words: list[dict], audio: np.ndarray) -> tuple[list[dict], int]:
    """Words with the times and phonemes of forced alignment, and the number of utterances without.

    Phonemes are "phonemes" [(name, start, end)]; an utterance that could not be aligned is counted.

    Each utterance is looked for in its own stretch of `audio` (S,) at 16 kHz, half-way to its neighbours at
    most. One that cannot be aligned keeps its times and gets no phonemes.
    """
    result, failed, seconds = [dict(word) for word in words], 0, len(audio) / AUDIO_RATE
    for part in utterances(words):
        start = max(words[part[0]]["start"] - MARGIN_SECONDS, 0.0)
        stop = words[part[-1]]["end"] + MARGIN_SECONDS
        if part[0]:
            start = max(start, (words[part[0] - 1]["end"] + words[part[0]]["start"]) / 2)
        if part[-1] + 1 < len(words):
            stop = min(stop, (words[part[-1]]["end"] + words[part[-1] + 1]["start"]) / 2)
        first = int(start * AUDIO_RATE)
        found = forced_alignment.align(
            audio[first : int(stop * AUDIO_RATE)], [words[i]["word"] for i in part]
        )
        failed += not any(found)
        for i, place in zip(part, found, strict=True):
            if place:
                shift = first / AUDIO_RATE
                # the model's last frame may end behind the file
                result[i]["start"], result[i]["end"] = (
                    min(time + shift, seconds) for time in (place.start, place.end)
                )
                result[i]["phonemes"] = [
                    (name, min(a + shift, seconds), min(b + shift, seconds)) for name, a, b in place.phonemes
                ]
                result[i]["score"] = place.score
    return result, failed


def squeezed(word: dict) -> bool:
    """Whether an aligned word has too little time for its phonemes: then it is not there.

    The model needs LOST_PHONEME_SECONDS for each.

    Words of one or two phonemes ("the", "I") can be that short: they must be unlike the sound as well
    (LOST_SCORE).
    """
    if "phonemes" not in word:
        return False
    count = len(word["phonemes"])
    return (word["end"] - word["start"]) / count < LOST_PHONEME_SECONDS and (
        count > 2 or word["score"] < LOST_SCORE
    )


def clip_ends(words: list[dict], activity: np.ndarray) -> list[dict]:
    """Words whose end before a pause of 0.1 s is where their owner stops speaking, not later.

    `activity` (F,) has one value for each 10 ms.

    Alignment lets the last word of an utterance reach into what follows.
    """
    result = []
    for i, word in enumerate(words):
        if i + 1 == len(words) or words[i + 1]["start"] - word["end"] >= 0.1:
            first = int(word["start"] * AUDIO_RATE / HOP)
            active = np.flatnonzero(activity[first : int(word["end"] * AUDIO_RATE / HOP)])
            if len(active):
                stop = max((first + int(active[-1]) + 1) * HOP / AUDIO_RATE, word["start"] + SHORTEST_SECONDS)
                word = word | {"end": min(word["end"], stop)}
        result.append(word)
    return result


def snap_starts(words: list[dict], audio: np.ndarray) -> list[dict]:
    """Words whose start after a pause of 0.1 s waits for the first sound.

    Alignment lets an utterance begin a little early.

    Sound is what is within ONSET_DB of the word's loudest 10 ms of `audio` (S,) at 16 kHz and ONSET_FLOOR_DB
    above the quietest of the 0.3 s before. The first phoneme starts with its word. A start is never moved
    past the first phoneme's end, nor back.
    """
    result: list[dict] = []
    for word in words:
        phonemes = word.get("phonemes")
        if phonemes and (not result or word["start"] - result[-1]["end"] >= 0.1):
            before = max(int((word["start"] - 0.3) * AUDIO_RATE), 0) // HOP
            ends = (int(t * AUDIO_RATE / HOP) for t in (word["start"], phonemes[0][2], word["end"]))
            first, stop, last = (
                min(end, len(audio) // HOP) for end in ends
            )  # the file may end within a word, and within 10 ms
            if last <= before:
                result.append(word)
                continue
            power = audio[before * HOP : last * HOP].astype(float).reshape(-1, HOP) ** 2
            level = 10 * np.log10(np.maximum(power.mean(1), 1e-12))
            floor = np.percentile(level[: max(first - before, 1)], 20)
            need = max(
                level[first - before :].max(initial=-120.0) - ONSET_DB, floor + ONSET_FLOOR_DB, QUIET_DB
            )
            loud = np.flatnonzero(level[first - before : stop - before] > need)
            if len(loud) and loud[0]:
                start = (first + int(loud[0])) * HOP / AUDIO_RATE
                word = word | {
                    "start": start,
                    "phonemes": [(phonemes[0][0], start, phonemes[0][2]), *phonemes[1:]],
                }
        result.append(word)
    return result


def given_words(text: str, audio: np.ndarray, activity: np.ndarray) -> tuple[list[dict], list[str]]:
    """Words of a known text at their places in `audio`, with phonemes, and those that were not found.

    `audio` is (S,) at 16 kHz.

    Only stretches in which the owner speaks (`activity` (F,), 10 ms each, 0.2 s more on both sides) are
    searched, joined end to end: the partner's words and long pauses cannot mislead, and the search stays
    small. `confidence` is exp(mean log score of a frame / 100), between 0 and 1: a likeness of sounds, no
    probability. A word is not found where the owner is silent, or where it is `squeezed`.
    """
    texts = [word for word in text.split() if forced_alignment.spoken_words(word)]
    wide = np.convolve(activity, np.ones(41), "same") > 0.5
    spans = stretches(wide)
    if not len(spans) or not texts:
        return [], texts
    begins = np.concatenate([[0], np.cumsum(spans[:, 1] - spans[:, 0])]) * HOP / AUDIO_RATE
    if begins[-1] > LONGEST_TEXT_SECONDS:
        raise InputError(
            f"a given text for {begins[-1]:.0f} s of speech, need at most {LONGEST_TEXT_SECONDS:.0f} s; cut"
            " the take, or leave the text out"
        )
    found = forced_alignment.align(np.concatenate([audio[a * HOP : b * HOP] for a, b in spans]), texts)

    def seconds(time: float, *, end: bool) -> float:
        k = int(
            np.clip(np.searchsorted(begins, time, side="left" if end else "right") - 1, 0, len(spans) - 1)
        )
        return float(time - begins[k] + spans[k, 0] * HOP / AUDIO_RATE)

    words: list[dict] = []
    lost: list[str] = []
    for word, place in zip(texts, found, strict=True):
        if place is None:
            lost.append(word)
            continue
        phonemes = [(name, seconds(a, end=False), seconds(b, end=True)) for name, a, b in place.phonemes]
        confidence = round(float(np.exp(min(place.score, 0.0) / 100)), 4)
        entry = {
            "word": word,
            "start": phonemes[0][1],
            "end": phonemes[-1][2],
            "confidence": confidence,
            "phonemes": phonemes,
            "score": place.score,
        }
        if squeezed(entry) or spoken_share(entry, activity) < 0.1:
            lost.append(word)
        else:
            words.append(entry)
    return words, lost
