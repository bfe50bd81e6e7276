"""Spoken sentences with their phonemes and words.

In: text and an actor's voice. Out: utterances at 48 kHz whose phonemes carry start and end in seconds. Speech
is espeak-ng's, from the package espeakng-loader (extra `demo`).
"""

import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.simulate import espeak
from pipeline.simulate.visemes import phones

RATE = 48_000
VOICES = {
    "001": {"voice": "en-us+m3", "rate": 150, "pitch": 42},
    "002": {"voice": "en-us+f3", "rate": 158, "pitch": 58},
    "003": {"voice": "en-gb-x-rp+m7", "rate": 145, "pitch": 34},
    "005": {"voice": "en-gb-x-rp+f2", "rate": 150, "pitch": 52},
}
"""Voice, words per minute and pitch (0 to 99) of each actor."""


@dataclass(frozen=True)
class Phoneme:
    """One phoneme.

    IPA without stress marks, seconds from the sentence's start, index of its word, stressed or not.
    """

    ipa: str
    start: float
    end: float
    word: int
    stressed: bool


@dataclass(frozen=True)
class Utterance:
    """One sentence.

    Text, words as written without punctuation, samples (S,) float64 at 48 kHz, phonemes in order.
    """

    text: str
    words: list[str]
    samples: np.ndarray
    phonemes: list[Phoneme]

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return len(self.samples) / RATE

    def word_times(self) -> list[tuple[float, float]]:
        """Start and end of each word in seconds: from its first phoneme to the end of its last."""
        return [
            (
                min(p.start for p in self.phonemes if p.word == i),
                max(p.end for p in self.phonemes if p.word == i),
            )
            for i in range(len(self.words))
        ]


def words_of(text: str) -> list[str]:
    """Words of a sentence, without punctuation."""
    return re.findall(r"[A-Za-z']+", text)


def _espeak(sentences: list[str], voice: dict, seed: int) -> tuple[dict, np.ndarray]:
    """The answer of espeak.py to a request, and its samples (S,) int16."""
    try:
        import espeakng_loader
    except ImportError:
        raise InputError(
            "simulated speech: package espeakng-loader is not installed; install the extra `demo` (pip"
            " install '.[demo]')"
        ) from None
    request = {
        "library": espeakng_loader.get_library_path(),
        "data": espeakng_loader.get_data_path(),
        "seed": seed,
        "sentences": sentences,
        **voice,
    }
    done = subprocess.run(
        [sys.executable, "-P", str(Path(espeak.__file__))],
        input=json.dumps(request).encode(),
        capture_output=True,
    )
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
        raise InputError(
            f"simulated speech: espeak-ng failed with voice {voice['voice']}: {last[0]}; install"
            " espeakng-loader again"
        )
    head, _, sound = done.stdout.partition(b"\n")
    return json.loads(head), np.frombuffer(sound, "<i2")


def share_words(sounds: list[tuple[str, ...]], words: list[list[tuple[str, ...]]]) -> list[int]:
    """The word of each of P sounds of a sentence, given how each word sounds alone.

    espeak-ng says short words together ("have been" is one unit), so its word events are not enough. Sounds
    are aligned with the words' own by least edits (Levenshtein 1966): 0 for the same phones, 0.4 for two
    vowels or two consonants, 1.5 for a vowel with a consonant, 1 for one that is only on one side, which then
    belongs to the word before.
    """
    alone = [(sound, i) for i, word in enumerate(words) for sound in word]
    vowels = set("aeiouæɑɒɐəɚɛɜɪɔʊʌ")

    def cost(a, b):
        same_kind = (a[0] in vowels) == (b[0] in vowels)
        return 0.0 if a == b else 0.4 if same_kind else 1.5

    table = np.zeros((len(sounds) + 1, len(alone) + 1))
    table[:, 0], table[0, :] = np.arange(len(sounds) + 1), np.arange(len(alone) + 1)
    for i, a in enumerate(sounds, 1):
        for j, (b, _) in enumerate(alone, 1):
            table[i, j] = min(table[i - 1, j - 1] + cost(a, b), table[i - 1, j] + 1, table[i, j - 1] + 1)
    result, i, j = [0] * len(sounds), len(sounds), len(alone)
    while i:
        if j and table[i, j] == table[i - 1, j - 1] + cost(sounds[i - 1], alone[j - 1][0]):
            result[i - 1] = alone[j - 1][1]
            i, j = i - 1, j - 1
        elif table[i, j] == table[i - 1, j] + 1:
            result[i - 1] = alone[max(j - 1, 0)][1]
            i -= 1
        else:
            j -= 1
    missing = sorted(set(range(len(words))) - set(result))
    if missing:
        raise ValueError(f"words {missing} of a sentence got no sound")
    return result


def _spans(events: list[list], samples: int, rate: int) -> list[tuple[str, float, float]]:
    """Phoneme events as (ipa with stress mark, start, end) in seconds.

    Pauses, which have no name, are left out.
    """
    ends = [event[1] for event in events[1:]] + [samples]
    return [
        (text, start / rate, end / rate)
        for (text, start), end in zip(events, ends, strict=True)
        if text and end > start
    ]


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Samples (S,) brought from one rate to another by cutting or padding their spectrum.

    Meant for sounds that end in silence.
    """
    common = math.gcd(rate, new_rate)
    blocks = math.ceil(len(samples) / (rate // common))
    size, new_size = blocks * (rate // common), blocks * (new_rate // common)
    spectrum = np.fft.rfft(samples, size)
    return np.fft.irfft(spectrum, new_size) * (new_size / size)


def speak(sentences: list[str], actor: str, seed: int) -> list[Utterance]:
    """Utterances of an actor, one per sentence; the same sentences and seed give the same samples.

    Loudness is brought to an RMS of 0.1 over each sentence. Raises InputError without espeakng-loader.
    """
    voice = VOICES[actor]
    words = [words_of(text) for text in sentences]
    single = sorted({word for sentence in words for word in sentence})
    answer, sound = _espeak(sentences + single, voice, seed)
    rate, at, heard = answer["rate"], 0, []
    for item in answer["sentences"]:
        heard.append((sound[at : at + item["samples"]], _spans(item["phonemes"], item["samples"], rate)))
        at += item["samples"]
    alone = {
        word: [phones(text) for text, _, _ in spans]
        for word, (_, spans) in zip(single, heard[len(sentences) :], strict=True)
    }
    result = []
    for text, own, (pcm, spans) in zip(sentences, words, heard[: len(sentences)], strict=True):
        index = share_words([phones(name) for name, _, _ in spans], [alone[word] for word in own])
        phonemes = [
            Phoneme(name.strip("ˈˌ"), start, end, i, "ˈ" in name)
            for (name, start, end), i in zip(spans, index, strict=True)
        ]
        last = int(np.ceil((phonemes[-1].end + 0.05) * rate))
        samples = resample(pcm[:last] / 2**15, rate, RATE)
        result.append(Utterance(text, own, samples * (0.1 / np.sqrt(np.mean(samples**2))), phonemes))
    return result
