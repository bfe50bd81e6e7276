import json

import pytest

from pipeline.errors import InputError
from pipeline.formats.words import read_phonemes, read_words


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


def test_phonemes_are_read_and_may_be_lacking(tmp_path):
    said = [{"phoneme": "P", "start": 0, "end": 0.1, "word": 0}]
    (tmp_path / "a.json").write_text(json.dumps({"words": [], "phonemes": said}))
    assert read_phonemes(tmp_path / "a.json") == [("P", 0.0, 0.1)]
    (tmp_path / "a.json").write_text(json.dumps({"words": []}))
    assert read_phonemes(tmp_path / "a.json") == []


@pytest.mark.parametrize(
    "phonemes, message",
    [
        ([{"phoneme": "P", "start": 1.0, "end": 0.5}], "phoneme 0"),
        ([{"phoneme": "P", "start": 0.0, "end": 0.5}, {"phoneme": "P", "start": "0", "end": 1}], "phoneme 1"),
        ([{"phoneme": 1, "start": 0.0, "end": 0.5}], "phoneme 0"),
        (["P"], "phoneme 0"),
        ({"a": 1}, "no list"),
    ],
)
def test_bad_phonemes_are_named(tmp_path, phonemes, message):
    (tmp_path / "a.json").write_text(json.dumps({"words": [], "phonemes": phonemes}))
    with pytest.raises(InputError, match=message):
        read_phonemes(tmp_path / "a.json")
