"""The words of a transcript, read and checked: pipeline.annotate.transcripts writes them."""

from pathlib import Path

from pipeline.errors import InputError
from pipeline.reading import read_json

LONGEST_SECONDS = 1e7
"""Times of words lie below it: four months."""


def read_words(path: Path) -> list[dict]:
    """Words of a transcript, checked: numbers for times, start <= end, in order of start."""
    words = read_json(path, kind=dict).get("words")
    if not isinstance(words, list):
        raise InputError(f'{path}: no list "words"; write it with python -m pipeline.annotate.transcripts')
    for i, word in enumerate(words):
        try:
            good = (
                0 <= word["start"] <= word["end"] < LONGEST_SECONDS
                and (i == 0 or words[i - 1]["start"] <= word["start"])
                and isinstance(word["word"], str)
            )
        except (TypeError, KeyError):
            good = False
        if not good:
            raise InputError(
                f'{path}, word {i}: got {word!r:.200}, need "word", "start" and "end" with 0 <= start <= end,'
                " sorted by start; mend the file"
            )
    return words


def read_phonemes(path: Path) -> list[tuple[str, float, float]]:
    """Phonemes (name, start, end) of a transcript in seconds, checked; ARPAbet, none where it has none."""
    phonemes = read_json(path, kind=dict).get("phonemes", [])
    if not isinstance(phonemes, list):
        raise InputError(
            f'{path}: "phonemes" is no list; write it again with python -m pipeline.annotate.transcripts'
        )
    result: list[tuple[str, float, float]] = []
    for i, phoneme in enumerate(phonemes):
        try:
            name, start, end = phoneme["phoneme"], phoneme["start"], phoneme["end"]
            good = 0 <= start <= end < LONGEST_SECONDS and isinstance(name, str)
        except (TypeError, KeyError):
            good = False
        if not good:
            raise InputError(
                f'{path}, phoneme {i}: got {phoneme!r:.200}, need "phoneme", "start" and "end" with 0 <='
                " start <= end; mend the file"
            )
        result.append((name, float(start), float(end)))
    return result
