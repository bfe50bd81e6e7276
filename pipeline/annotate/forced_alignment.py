"""Forced alignment: when each word of a known text, and each of its phonemes, is spoken.

In: audio at 16 kHz and its words in order. Out: start and end of every word and phoneme in seconds, phonemes
in ARPAbet without stress ("HH", "AH"), as the acoustic model of pocketsphinx (BSD; it and its CMU dictionary
come with the package) knows them. English only. What cannot be aligned stays out of the result.

Times are those of the 10 ms frames of the model, moved to the middle of their windows (EARLY_SECONDS).
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.errors import InputError

FRAME_SECONDS = 0.01
EARLY_SECONDS = 0.012
"""How early the frames of the model are: half a window of 25.6 ms. They are moved later by this much."""

VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
BILABIALS = {"P", "B", "M"}

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen".split()
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_ABBREVIATIONS = {
    "etc": "et cetera",
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "&": "and",
    "%": "percent",
}
_LETTERS = {
    "tch": "CH", "igh": "AY", "eigh": "EY", "sch": "SH", "ch": "CH", "sh": "SH", "th": "TH", "ph": "F",
    "wh": "W", "ck": "K", "ng": "NG", "qu": "K W", "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW",
    "ai": "EY", "ay": "EY", "oi": "OY", "oy": "OY", "au": "AO", "aw": "AO", "ie": "IY", "er": "ER",
    "ir": "ER", "ur": "ER", "ar": "AA R", "or": "AO R", "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH",
    "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "o": "AA",
    "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V", "w": "W", "x": "K S", "y": "IY",
    "z": "Z",
}  # fmt: skip
"""Sounds of letters, longest group first; a doubled letter sounds once and a final e not at all."""


@dataclass(frozen=True)
class Aligned:
    """One word's place: seconds from the start of the audio.

    Phonemes are (name, start, end); the score is the mean log score of a frame.
    """

    start: float
    end: float
    phonemes: list[tuple[str, float, float]]
    score: float


def letters_to_sounds(word: str) -> str:
    """A rough pronunciation of a word that no dictionary has, ARPAbet symbols with blanks between them."""
    text = re.sub(r"(.)\1", lambda m: m[0] if m[0] in ("ee", "oo") else m[1], re.sub("[^a-z]", "", word))
    if len(text) > 2 and text.endswith("e") and not text.endswith("ee"):
        text = text[:-1]
    sounds, at = [], 0
    while at < len(text):
        size = next(n for n in (4, 3, 2, 1) if text[at : at + n] in _LETTERS and at + n <= len(text))
        sounds.append(_LETTERS[text[at : at + size]])
        at += size
    return " ".join(sounds)


def spell_number(number: int) -> list[str]:
    """An integer from 0 to 999,999 as it is read."""
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        return [_TENS[number // 10 - 2], *(spell_number(number % 10) if number % 10 else [])]
    unit, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    return [*spell_number(number // unit), name, *(spell_number(number % unit) if number % unit else [])]


def spoken_words(text: str) -> list[str]:
    """What is said where `text` is written: lower-case words without punctuation.

    Numbers and a few abbreviations are spelled.
    """
    result: list[str] = []
    plain = unicodedata.normalize("NFKD", text.lower().replace("\u2019", "'"))
    for part in re.findall(
        r"\d+(?:st|nd|rd|th)?|[a-z'\u0300-\u036f]+|[&%]", re.sub(r"(?<=\d),(?=\d)", "", plain)
    ):
        part = re.sub("[\u0300-\u036f]", "", part)
        digits = re.match(r"\d+", part)
        if digits:
            read = spell_number(int(digits[0])) if len(digits[0]) < 7 else [_ONES[int(d)] for d in digits[0]]
            if part != digits[0]:
                last = read[-1]
                read[-1] = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
            result += read
        elif part.strip("'"):
            result += _ABBREVIATIONS.get(part, part).split()
    return result


@lru_cache(maxsize=1)
def _decoder():
    """The decoder with the package's English model.

    Sound is normalised within each piece, so that pieces do not depend on each other.
    """
    try:
        from pocketsphinx import Decoder
    except ImportError:
        raise InputError(
            "alignment: package pocketsphinx is not installed; pip install pocketsphinx"
        ) from None
    return Decoder(
        lm=None, loglevel="FATAL", bestpath=False, cmn="batch", dither=False, beam=0.0, pbeam=0.0, wbeam=0.0
    )


def _token(decoder, word: str) -> str:
    """A name of the decoder's dictionary for a spoken word.

    Words that it lacks are added as they are spelled.
    """
    for name in (word, word.strip("'")):
        if name and decoder.lookup_word(name) is not None:
            return name
    decoder.add_word(word, letters_to_sounds(word), True)
    return word


def _decode(decoder, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def align(audio: np.ndarray, words: list[str]) -> list[Aligned | None]:
    """Place of each of W words that are spoken in this order in `audio` (S,) at 16 kHz.

    All None where they cannot be aligned.

    A word without letters or digits is None.
    """
    nothing: list[Aligned | None] = [None] * len(words)
    decoder = _decoder()
    owners, tokens = [], []
    for i, text in enumerate(words):
        for word in spoken_words(text):
            if re.search("[a-z]", word):
                owners.append(i)
                tokens.append(_token(decoder, word))
    loudest = float(np.abs(audio).max(initial=0.0))
    if not tokens or loudest == 0:
        return nothing
    pcm = np.round(np.asarray(audio, float) * (0.9 / loudest) * 2**15).astype("<i2").tobytes()
    try:
        decoder.set_align_text(" ".join(tokens))
        _decode(decoder, pcm)
        if decoder.hyp() is None:
            return nothing
        decoder.set_alignment()
        _decode(decoder, pcm)
        found = [
            [item, list(item)]
            for item in decoder.get_alignment() or []
            if not item.name.startswith(("<", "["))
        ]
    except RuntimeError:  # the text does not fit into the sound
        return nothing
    if [re.sub(r"\(\d+\)$", "", item.name) for item, _ in found] != tokens:
        return nothing
    spans: dict[int, list] = {}
    for i, (_, phones) in zip(owners, found, strict=True):
        spans.setdefault(i, []).extend((p.name, p.start, p.start + p.duration, p.score) for p in phones)

    def seconds(frame: int) -> float:
        return round(frame * FRAME_SECONDS + EARLY_SECONDS, 3)

    result = list(nothing)
    for i, phones in spans.items():
        frames = phones[-1][2] - phones[0][1]
        named = [(name, seconds(a), seconds(b)) for name, a, b, _ in phones]
        result[i] = Aligned(named[0][1], named[-1][2], named, sum(p[3] for p in phones) / frames)
    return result
