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
