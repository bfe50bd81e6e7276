import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.motion.clock import at_times, cubic, frame_times, linear, low_pass, positions_in, sample_of


def test_frame_times_do_not_drift():
    times = frame_times(36_000.25, 108_001)
    assert (
        times[0] == 36_000.25
        and times[-1] == 36_000.25 + 3600
        and np.allclose(np.diff(times), 1 / 30, atol=1e-9)
    )


@pytest.mark.parametrize("rate", [24, 29.97, 30, 59.94, 120])
@pytest.mark.parametrize("start", [0.0, 36_000.0])
def test_lines_are_interpolated_exactly(rate, start):
    seconds = start - 0.01 + np.arange(int(3 * rate)) / rate
    times = frame_times(start, 60)
    index = positions_in(times, seconds, max_gap_seconds=0.1, where="x")
    values = np.stack([5 * (seconds - start) - 2, -(seconds - start)], 1)
    assert np.allclose(
        linear(values, index), np.stack([5 * (times - start) - 2, start - times], 1), atol=1e-6
    )


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
            assert np.allclose(
                linear(seconds, positions_in(times, seconds, max_gap_seconds=0.1, where="x")), times
            )
        else:
            with pytest.raises(
                InputError, match="take 7: no usable frame for .* need gaps of at most 0.1 s"
            ) as error:
                positions_in(times, seconds, max_gap_seconds=0.1, where="take 7")
            assert "\n" not in str(error.value)


def test_gaps_that_no_frame_falls_into_do_not_matter():
    seconds = np.array([0, 1, 2, 3, 10, 11, 12.0])
    assert positions_in(np.array([0.5, 3.0]), seconds, max_gap_seconds=0.1, where="x").tolist() == [0.5, 3.0]
    assert positions_in(np.array([10.0, 11.5]), seconds, max_gap_seconds=0.1, where="x").tolist() == [
        4.0,
        5.5,
    ]


@pytest.mark.parametrize("seconds", [[], [0.0], [0.1, 0.2, 5.0], [-1.0, 0.5, 0.9]])
def test_streams_that_do_not_reach_are_refused(seconds):
    with pytest.raises(InputError, match="take 7: usable frames cover .* s, need 0.000 to 1.000 s"):
        positions_in(np.array([0.0, 1.0]), np.array(seconds), max_gap_seconds=10, where="take 7")


def test_the_edges_tolerate_rounding():
    seconds = 36_000 + np.arange(4) / 30
    assert np.allclose(
        positions_in(seconds + [-5e-7, 0, 0, 5e-7], seconds, max_gap_seconds=0, where="x"),
        [0, 1, 2, 3],
        atol=1e-6,
    )


def test_sample_of_is_exact():
    frames = np.arange(100_000)
    np.testing.assert_array_equal(sample_of(frames), [round(f * 16000 / 30) for f in frames])
    np.testing.assert_array_equal(sample_of(frames, 48_000), frames * 1600)


@pytest.mark.parametrize("ratio", [1.5, 2.0, 4.0])
def test_low_pass_keeps_lines_and_slow_waves_and_stops_what_would_alias(ratio):
    t = np.arange(600.0)
    line = np.stack([0.3 * t - 5, np.full(600, 2.0)], 1)
    assert np.allclose(low_pass(line, ratio), line, atol=1e-9)
    inner = slice(100, 500)
    for share, low, high in ((0.5, 0.99, 1.01), (1.6, 0.0, 0.01)):  # of the slower rate's Nyquist frequency
        wave = np.sin(np.pi * share / ratio * t)
        passed = np.abs(low_pass(wave, ratio))[inner].max() / np.abs(wave)[inner].max()
        assert low <= passed <= high


def test_cubic_goes_through_its_values_and_follows_parabolas():
    t = np.arange(40.0)
    values = np.stack([t**2, 3 * t], 1)
    index = np.linspace(0, 39, 500)
    inner = (index >= 1) & (index <= 38)
    found = cubic(values, index)
    assert np.allclose(found[inner], np.stack([index**2, 3 * index], 1)[inner]) and np.allclose(
        found[:, 1], 3 * index
    )
    assert np.allclose(cubic(values, t), values)


@pytest.mark.parametrize("rate", [60, 120, 119.99])
def test_a_faster_stream_with_drops_is_brought_to_30_fps(rate):
    def truth(t):
        return np.stack([5 + 2 * t, np.sin(2 * np.pi * 3 * t)], 1)

    seconds = 0.01 + np.arange(int(4 * rate)) / rate
    times = np.arange(0.3, 3.7, 1 / 30)
    flutter = 0.5 * np.sin(2 * np.pi * (rate / 2 - 1) * seconds)[:, None]  # would come out as a slow wave
    found = at_times(truth(seconds) + flutter, seconds, times, max_gap_seconds=0.1, where="x")
    assert np.allclose(found, truth(times), atol=0.01)
    lost = np.delete(np.arange(len(seconds)), [90, 91, 170])
    assert np.allclose(
        at_times(truth(seconds)[lost], seconds[lost], times, max_gap_seconds=0.1, where="x"),
        truth(times),
        atol=0.03,
    )
    with pytest.raises(InputError, match="take 7: no usable frame"):
        at_times(truth(seconds)[lost], seconds[lost], times, max_gap_seconds=0.01, where="take 7")


def test_a_stream_at_the_same_rate_is_interpolated_linearly():
    seconds = np.arange(100) / 30.004
    times = frame_times(0.5, 60)
    values = np.random.default_rng(0).random((100, 51))
    assert np.array_equal(
        at_times(values, seconds, times, max_gap_seconds=0.1, where="x"),
        linear(values, positions_in(times, seconds, max_gap_seconds=0.1, where="x")),
    )
