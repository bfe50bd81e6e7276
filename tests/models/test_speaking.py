"""Jaws and voices, blinks, and the upper face, on faces whose numbers are known."""

import numpy as np
import pytest

from models.speaking import (
    BLINKS,
    JAW,
    UPPER,
    blinks_per_minute,
    jaw_and_voice,
    upper_face_speed,
    voice_energy,
)
from pipeline.formats.arkit import NAMES


def voice(seed=0, frames=300):
    rng = np.random.default_rng(seed)
    loud = np.convolve(rng.normal(size=frames + 8), np.ones(9) / 9, "valid")
    return loud, loud[:, None] + rng.normal(0, 0.01, (frames, 20)) - 5


def test_the_energy_of_a_log_mel_is_that_of_its_bands():
    mel = np.log(np.array([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]]))
    np.testing.assert_allclose(voice_energy(mel), np.log([6, 12]))
    assert np.isfinite(voice_energy(np.full((2, 3), -2000.0))).all()


def test_a_jaw_that_follows_the_voice_is_told_from_others():
    loud, mel = voice()
    face = np.zeros((300, 51))
    assert jaw_and_voice(face, mel) is None, "a jaw that does not move"
    face[:, JAW] = 0.3 + 0.1 * loud
    assert jaw_and_voice(face, mel) == pytest.approx(1, abs=1e-3)
    assert jaw_and_voice(face, -mel) == pytest.approx(-1, abs=0.01)
    assert abs(jaw_and_voice(face, voice(1)[1])) < 0.3
    assert jaw_and_voice(face, np.full((300, 20), -4.0)) is None, "silence"


@pytest.mark.parametrize(
    "frames, closings, blinks", [(900, (), 0), (900, (100, 400), 4), (1800, (5, 600, 1200), 3)]
)
def test_blinks_are_counted(frames, closings, blinks):
    face = np.zeros((frames, 51))
    for start in closings:
        face[start : start + 5, BLINKS] = [[0.4, 0.4], [0.8, 0.9], [1, 1], [0.45, 0.4], [0.35, 0.35]]
    assert blinks_per_minute(face) == blinks


def test_half_a_blink_trembling_and_sleep_are_no_blinks():
    face = np.zeros((1800, 51))
    face[100:110, BLINKS] = 0.45
    face[200:260, BLINKS] = 1.0
    assert blinks_per_minute(face) == 0
    face[400:420, BLINKS] = np.where(np.arange(20) % 2, 0.55, 0.45)[:, None]
    assert blinks_per_minute(face) == 1, "once, however it trembles at the border"
    one_eye = np.zeros((1800, 51))
    one_eye[50:55, BLINKS[0]] = 0.9
    assert blinks_per_minute(one_eye) == 0, "a wink"


def test_the_upper_face_is_brows_eyes_and_cheeks():
    face = np.zeros((31, 51))
    face[:, NAMES.index("mouthSmileLeft")] = np.arange(31)
    assert upper_face_speed(face) == 0
    face[:, NAMES.index("browInnerUp")] = np.arange(31) / 30
    assert upper_face_speed(face) == pytest.approx(1 / len(UPPER))
    assert upper_face_speed(face[:1]) == 0
