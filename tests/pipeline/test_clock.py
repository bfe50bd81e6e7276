import numpy as np
import pytest

from pipeline.clock import frame_times, linear, positions_in, sample_of
from pipeline.errors import InputError


def test_frame_times_do_not_drift():
    times = frame_times(36_000.25, 108_001)
    assert times[0] == 36_000.25 and times[-1] == 36_000.25 + 3600 and np.allclose(np.diff(times), 1 / 30, atol=1e-9)


@pytest.mark.parametrize("rate", [24, 29.97, 30, 59.94, 120])
@pytest.mark.parametrize("start", [0.0, 36_000.0])
def test_lines_are_interpolated_exactly(rate, start):
    seconds = start - 0.01 + np.arange(int(3 * rate)) / rate
    times = frame_times(start, 60)
    index = positions_in(times, seconds, max_gap_seconds=0.1, where="x")
    values = np.stack([5 * (seconds - start) - 2, -(seconds - start)], 1)
    assert np.allclose(linear(values, index), np.stack([5 * (times - start) - 2, start - times], 1), atol=1e-6)


def test_frames_that_coincide_are_taken_as_they_are():
    seconds = np.arange(100) / 120
    values = np.random.default_rng(0).normal(size=(100, 2, 3))
    index = positions_in(seconds[8:80:4], seconds, max_gap_seconds=0, where="x")
    assert np.allclose(linear(values, index), values[8:80:4], atol=1e-9)


@pytest.mark.parametrize("rate", [30, 60, 120])
def test_gaps_up_to_the_limit_are_bridged_and_longer_ones_refused(rate):
    full = np.arange(3 * rate) / rate
    allowed = round(0.1 * rate)
    times = frame_times(0.2, 60)
    for lost in range(1, allowed + 3):
        seconds = np.delete(full, np.arange(rate, rate + lost))
        if lost <= allowed:
            assert np.allclose(linear(seconds, positions_in(times, seconds, max_gap_seconds=0.1, where="x")), times)
        else:
            with pytest.raises(InputError, match="take 7: no usable frame for .* need gaps of at most 0.1 s") as error:
                positions_in(times, seconds, max_gap_seconds=0.1, where="take 7")
            assert "\n" not in str(error.value)


def test_gaps_that_no_frame_falls_into_do_not_matter():
    seconds = np.array([0, 1, 2, 3, 10, 11, 12.0])
    assert positions_in(np.array([0.5, 3.0]), seconds, max_gap_seconds=0.1, where="x").tolist() == [0.5, 3.0]
    assert positions_in(np.array([10.0, 11.5]), seconds, max_gap_seconds=0.1, where="x").tolist() == [4.0, 5.5]


@pytest.mark.parametrize("seconds", [[], [0.0], [0.1, 0.2, 5.0], [-1.0, 0.5, 0.9]])
def test_streams_that_do_not_reach_are_refused(seconds):
    with pytest.raises(InputError, match="take 7: usable frames cover .* s, need 0.000 to 1.000 s"):
        positions_in(np.array([0.0, 1.0]), np.array(seconds), max_gap_seconds=10, where="take 7")


def test_the_edges_tolerate_rounding():
    seconds = 36_000 + np.arange(4) / 30
    assert np.allclose(positions_in(seconds + [-5e-7, 0, 0, 5e-7], seconds, max_gap_seconds=0, where="x"), [0, 1, 2, 3], atol=1e-6)


def test_sample_of_is_exact():
    frames = np.arange(100_000)
    np.testing.assert_array_equal(sample_of(frames), [round(f * 16000 / 30) for f in frames])
    np.testing.assert_array_equal(sample_of(frames, 48_000), frames * 1600)
