"""Recordings broken in seeded ways are read as promised or refused, and lose no samples in silence.

See benchmarks/fuzz_wav.py.
"""

import fuzz_readers
import fuzz_wav
import pytest

COUNTS = {"wav": 2000, "rf64": 2000, "lengths": 2000, "lengths64": 2000, "flac": 500, "mp3": 500}
"""Mutations of each; FLAC and MP3 are libsndfile's to read, of which only our door is looked at."""


@pytest.mark.parametrize("name", fuzz_wav.FORMATS)
def test_broken_recordings_are_read_as_promised_or_refused(name):
    counts, failures = fuzz_readers.fuzz(name, COUNTS[name], seed=1, formats=fuzz_wav.FORMATS)
    assert not failures, "\n".join(failures[:5])
    assert counts["error"] > 0 and counts["right"] > 0, "both outcomes are exercised"


def test_samples_that_are_lost_without_a_word_are_a_failure(tmp_path, monkeypatch):
    fuzz_wav.make_wav(tmp_path / "x.wav")
    assert fuzz_readers.outcome(tmp_path / "x.wav", fuzz_wav.read_all_samples) == ("right", "")
    monkeypatch.setattr("pipeline.formats.wav_chunks._samples", lambda file, at, length, *_, **__: 3000)
    kind, why = fuzz_readers.outcome(tmp_path / "x.wav", fuzz_wav.read_all_samples)
    assert kind == "failure" and "3000 bytes of samples of 6003 without a word" in why
