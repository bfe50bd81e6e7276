"""Voices out of one file or two, and their words."""

import json

import numpy as np
import pytest
import soundfile

from models import voices
from models.voices import two_voices, words_of
from pipeline.errors import InputError

RATE = 16_000


def talk(seconds=1.0, pitch=220, rate=RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * pitch * t)).astype(np.float32)


def write(path, *channels, rate=RATE):
    soundfile.write(path, np.stack(channels, 1), rate, subtype="FLOAT")
    return path


def test_two_files_are_two_voices_of_one_length(tmp_path, caplog):
    files = [write(tmp_path / "a.wav", talk(1.0)), write(tmp_path / "b.wav", talk(0.5, 330), talk(0.5, 330))]
    one, other = two_voices(files, tmp_path)
    assert len(one) == len(other) == RATE and not other[RATE // 2 :].any()
    np.testing.assert_allclose(one, talk(1.0), atol=1e-4)
    assert "differ by 0.50 s; the shorter one ends in silence" in caplog.text
    assert "2 channels are mixed down" in caplog.text


def test_two_channels_of_one_file_are_two_voices(tmp_path, caplog):
    caplog.set_level("INFO")
    one, other = two_voices([write(tmp_path / "both.wav", talk(), talk(pitch=330))], tmp_path)
    np.testing.assert_allclose(one, talk(), atol=1e-4)
    np.testing.assert_allclose(other, talk(pitch=330), atol=1e-4)
    assert "its first channel is the first voice, its second the second" in caplog.text


@pytest.mark.parametrize(
    "channels, told", [(1, "one voice; the partner is silent"), (2, "both its channels are one")]
)
def test_one_voice_has_a_silent_partner(tmp_path, caplog, channels, told):
    caplog.set_level("INFO")
    one, other = two_voices([write(tmp_path / "one.wav", *[talk()] * channels)], tmp_path)
    np.testing.assert_allclose(one, talk(), atol=1e-4)
    assert len(other) == len(one) and not other.any() and told in caplog.text


def test_any_rate_becomes_16_khz(tmp_path):
    one, _ = two_voices([write(tmp_path / "x.wav", talk(rate=44_100), rate=44_100)], tmp_path)
    assert len(one) == RATE
    np.testing.assert_allclose(one[500:-500], talk()[500:-500], atol=2e-3)


def test_other_numbers_of_voices_are_refused(tmp_path):
    path = write(tmp_path / "x.wav", talk(), talk(), talk())
    with pytest.raises(InputError, match="got 3 channels, need one voice or two"):
        two_voices([path], tmp_path)
    with pytest.raises(InputError, match="--audio: got 3 files, need one or two"):
        two_voices([path] * 3, tmp_path)
    with pytest.raises(InputError, match="--transcripts: got 3 files, need one or two"):
        words_of([path] * 3, [path], [talk()] * 2)


def test_words_are_read_of_one_or_of_both(tmp_path):
    word = {"word": "hello", "start": 0.1, "end": 0.4, "confidence": 1.0}
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(json.dumps({"words": [word]}))
    silent = [talk(), np.zeros(RATE, np.float32)]
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    assert [len(said) for said in words_of(paths[:1], [tmp_path / "x.wav"], silent)] == [1, 0]
    assert [len(said) for said in words_of(paths, [tmp_path / "x.wav"], silent)] == [1, 1], (
        "text without a sound"
    )


def test_only_voices_that_sound_are_transcribed(tmp_path, monkeypatch):
    from pipeline.annotate import transcripts

    heard = []

    def transcribe(paths, options):
        heard.append([soundfile.read(path)[0].std() > 0.1 for path in paths])
        return [[{"word": str(k)}] for k, _ in enumerate(paths)]

    monkeypatch.setattr(transcripts, "transcribe", transcribe)
    silence = np.zeros(RATE, np.float32)
    path = [tmp_path / "x.wav"]
    assert words_of(None, path, [talk(), silence]) == [[{"word": "0"}], []]
    assert words_of(None, path, [talk(), talk()]) == [[{"word": "0"}], [{"word": "1"}]]
    assert words_of(None, path, [silence, silence]) == [[], []]
    assert heard == [[True], [True, True]]


def test_a_voice_is_written_whole(tmp_path):
    voices.write_voice(2 * talk(), tmp_path / "wav" / "x.wav")
    found, rate = soundfile.read(tmp_path / "wav" / "x.wav", dtype="float32")
    assert rate == RATE and soundfile.info(tmp_path / "wav" / "x.wav").subtype == "PCM_24"
    np.testing.assert_allclose(found, (2 * talk()).clip(-1, 1), atol=1e-6)
