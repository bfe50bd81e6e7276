import numpy as np
import pytest
from helpers.talks import talk

from pipeline.capture import separation_ilrma
from pipeline.capture.separation_ilrma import parts, separate_ilrma
from pipeline.report.accuracy import si_sdr

RATE = 16_000


def room(seconds=8.0, *, leak_db=-10.0, seed=3):
    """Two microphones and the voices in them, leaks through different echoes, float32 (2, S) at 16 kHz."""
    import soxr

    voices = np.stack([soxr.resample(x, 48_000, RATE) for x in talk(seed, 30.0)[1]])[:, : int(seconds * RATE)]
    rng = np.random.default_rng(seed)
    leaks = []
    for k in range(2):
        echoes = rng.normal(0, 1, 1500) * np.exp(-np.arange(1500) / 400)
        leak = np.convolve(voices[1 - k], np.concatenate([np.zeros(70 + k), echoes]))[: voices.shape[1]]
        leaks.append(10 ** (leak_db / 20) * leak * np.std(voices[1 - k]) / np.std(leak))
    return (voices + np.stack(leaks)).astype(np.float32), voices


@pytest.fixture(scope="module")
def mixture():
    return room(10.0)


@pytest.fixture(scope="module")
def separated(mixture):
    return separate_ilrma(mixture[0], RATE)


def test_each_voice_is_clearer_in_its_own_place_at_its_own_level(mixture, separated):
    mics, voices = mixture
    assert separated.shape == mics.shape and separated.dtype == np.float32
    for k in range(2):
        assert si_sdr(separated[k].astype(float), voices[k]) > si_sdr(mics[k].astype(float), voices[k]) + 8
        gain = separated[k] @ voices[k] / (voices[k] @ voices[k])
        assert abs(20 * np.log10(gain)) < 0.3, "at its own microphone's level and in phase"


def test_the_same_bytes_come_out_whatever_was_drawn_before(mixture, separated):
    np.random.seed(7)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert np.array_equal(separate_ilrma(mixture[0], RATE), separated)
    assert np.array_equal(np.random.get_state()[1], state), "others' random numbers are left alone"  # noqa: NPY002


def test_parts_are_cross_faded_without_a_seam(mixture, monkeypatch):
    mics, voices = mixture
    monkeypatch.setattr(separation_ilrma, "PART_SECONDS", 6.0)
    monkeypatch.setattr(separation_ilrma, "FADE_SECONDS", 1.0)
    ranges = parts(mics.shape[1], 6 * RATE, RATE)
    assert len(ranges) == 2
    found = separate_ilrma(mics, RATE)
    first, last = ranges[1][0], ranges[0][1]
    for k in range(2):
        assert si_sdr(found[k].astype(float), voices[k]) > si_sdr(mics[k].astype(float), voices[k]) + 5
        error = found[k] - voices[k]
        jumps = np.abs(np.diff(error))
        assert max(jumps[first - 2 : first + 2].max(), jumps[last - 2 : last + 2].max()) <= np.quantile(
            jumps, 0.999
        )


@pytest.mark.parametrize("num_samples", [1, 99, 100, 101, 180, 181, 190, 1000, 12_345])
def test_parts_cover_all_and_overlap_by_the_fade(num_samples):
    ranges = parts(num_samples, 100, 20)
    assert ranges[0][0] == 0 and ranges[-1][1] == num_samples
    assert all(a[1] - b[0] == 20 for a, b in zip(ranges, ranges[1:]))
    assert max(b - a for a, b in ranges) <= 101 and (len(ranges) == 1) == (num_samples <= 100)


def test_exchanged_components_are_put_in_the_microphones_order():
    rng = np.random.default_rng(0)
    mixing = np.eye(2) + 0.3 * (rng.normal(size=(50, 2, 2)) + 1j * rng.normal(size=(50, 2, 2))) * (
        1 - np.eye(2)
    )
    filters = np.linalg.inv(mixing)
    scaled = filters * rng.uniform(0.01, 100, (50, 2, 1))
    assert np.array_equal(separation_ilrma._in_order(scaled), scaled)
    assert np.array_equal(separation_ilrma._in_order(scaled[:, ::-1]), scaled)


@pytest.mark.parametrize("silent", [(0,), (1,), (0, 1)])
def test_digital_silence_stays_quiet_and_finite(silent):
    mics, _ = room(3.0)
    mics[list(silent)] = 0
    found = separate_ilrma(mics, RATE)
    assert np.isfinite(found).all() and np.abs(found[list(silent)]).max() < 1e-4
    for k in {0, 1} - set(silent):
        assert si_sdr(found[k].astype(float), mics[k].astype(float)) > 30, "a lone voice is kept"


def test_a_recording_shorter_than_a_window_comes_out_finite():
    assert np.isfinite(separate_ilrma(room(0.1)[0], RATE)).all()
