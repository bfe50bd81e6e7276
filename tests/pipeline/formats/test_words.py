import json

import pytest

from pipeline.errors import InputError
from pipeline.formats.words import read_words


def test_words_are_read_as_they_stand(tmp_path):
    words = [
        {"word": "a", "start": 0.0, "end": 0.5},
        {"word": "b", "start": 0.0, "end": 0.2, "confidence": 1},
    ]
    (tmp_path / "a.json").write_text(json.dumps({"words": words}))
    assert read_words(tmp_path / "a.json") == words


@pytest.mark.parametrize(
    "words, message",
    [
        ([{"word": "a", "start": 1.0, "end": 0.5}], "word 0"),
        ([{"word": "a", "start": 1.0, "end": 1.5}, {"word": "b", "start": 0.5, "end": 0.6}], "word 1"),
        ([{"word": "a", "end": 1.5}], "word 0"),
        ([{"word": 1, "start": 1.0, "end": 1.5}], "word 0"),
        ({"a": 1}, "no list"),
    ],
)
def test_bad_words_are_named(tmp_path, words, message):
    (tmp_path / "a.json").write_text(json.dumps({"words": words}))
    with pytest.raises(InputError, match=message):
        read_words(tmp_path / "a.json")
