import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.motion.clock_model import STANDARD_RATES, fit_clock, nominal_rate


def recording(rate, *, seconds=60.0, start=36_000.0, drift_ppm=0.0, jitter=0.0, drop_rate=0.0, seed=0):
    """Stamps of a recorder, the true times of its frames, and the indices of those that it lost."""
    rng = np.random.default_rng(seed)
    true = start + np.arange(int(seconds * rate)) / (rate * (1 + drift_ppm * 1e-6))
    lost = rng.random(len(true)) < drop_rate
    lost[[0, -1]] = False
    return (true + jitter * rng.standard_normal(len(true)))[~lost], true[~lost], np.flatnonzero(lost)


@pytest.mark.parametrize("rate", STANDARD_RATES[STANDARD_RATES < 130])
@pytest.mark.parametrize("drift_ppm", [-100.0, 0.0, 37.0, 100.0])
def test_drift_jitter_and_drops_are_told_apart(rate, drift_ppm):
    """The figures that a shoot must reach: drift up to 100 ppm, 0.3 ms of jitter, 2 % of drops.

    Within 1 ms at both ends.
    """
    stamps, true, lost = recording(
        rate, drift_ppm=drift_ppm, jitter=0.3e-3, drop_rate=0.02, seed=int(rate + drift_ppm + 100)
    )
    clock = fit_clock(stamps, where="x")
    assert clock.missing.tolist() == lost.tolist() and clock.dropped == len(lost) and clock.duplicates == 0
    assert np.abs(clock.seconds - true).max() < 0.05e-3
    assert clock.nominal == rate and clock.drift_ppm == pytest.approx(drift_ppm, abs=1.5)
    assert clock.jitter == pytest.approx(0.3e-3, rel=0.15)


def test_an_undisturbed_stream_is_given_back():
    clock = fit_clock(36_000 + np.arange(600) / 60, where="x")
    assert clock.start == pytest.approx(36_000, abs=1e-9) and clock.rate == pytest.approx(60, rel=1e-9)
    assert clock.dropped == clock.duplicates == 0 and clock.residual < 1e-9


@pytest.mark.parametrize("copies", [1, 3])
def test_frames_that_are_written_twice_are_counted_and_set_apart(copies):
    stamps, true, _ = recording(30, seconds=20, jitter=0.1e-3)
    again = np.sort(np.concatenate([np.arange(len(stamps)), *[[100, 250]] * copies]))
    clock = fit_clock(stamps[again], where="x")
    assert clock.duplicates == 2 * copies and clock.dropped == 0 and len(clock.index) == len(again)
    assert np.allclose(clock.seconds, true[again], atol=1e-4)
    assert np.allclose(clock.seconds[clock.kept], true, atol=1e-4)


@pytest.mark.parametrize("offset", range(4))
@pytest.mark.parametrize("drop", [None, 401])
def test_a_timecode_that_counts_slower_than_the_frames(offset, drop):
    """120 frames per second stamped by whole frames of a 30 fps timecode, from any frame of a count on."""
    index = np.arange(offset, 2400)
    index = index if drop is None else index[index != drop]
    stamps = 36_000 + (index // 4) / 30
    clock = fit_clock(stamps, where="x")
    assert clock.rate == pytest.approx(120, rel=1e-5) and clock.duplicates == 0
    # which frame of a count was lost cannot be seen; the rest of the count comes a frame early
    assert np.abs(clock.seconds - (36_000 + index / 120)).max() < (1.1 / 120 if drop else 1e-4)


def test_outliers_do_not_bend_the_line():
    stamps, true, _ = recording(60, seconds=30, drift_ppm=50, jitter=0.1e-3)
    stamps[[200, 201, 900, 1500]] += [0.005, -0.004, 0.006, 0.005]
    clock = fit_clock(stamps, where="x")
    assert np.abs(clock.seconds - true).max() < 0.05e-3 and clock.dropped == 0
    assert clock.residual > 0.004


def test_a_clock_that_was_set_while_it_recorded_bends():
    stamps, _, _ = recording(30, jitter=0.3e-3)
    assert fit_clock(stamps, where="x").bend < 0.4e-3
    stamps[600:] += 2.3 + 0.4 / 30
    assert 0.003 < fit_clock(stamps, where="x").bend < 0.5 / 30


@pytest.mark.parametrize("stamps", [[1.0, 1.0, 1.0], [1.0, 2.0], []])
def test_too_few_stamps_are_refused(stamps):
    with pytest.raises(InputError, match="take 7: .* different timecodes, need at least 3"):
        fit_clock(np.array(stamps), where="take 7")


@pytest.mark.parametrize(
    ("rate", "nominal"), [(30.004, 30), (29.9699, 30000 / 1001), (120.01, 120), (37.0, None), (59.9, None)]
)
def test_nominal_rate_is_the_standard_one_that_is_near(rate, nominal):
    assert nominal_rate(rate) == nominal


@pytest.mark.parametrize("rate", [30, 60])
@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    ("by", "seen"), [(0.3, 0.3), (0.45, 0.45), (2.3, 0.3), (12.7, 0.3), (0.0, 0.0), (5.0, 0.0)]
)
def test_a_jump_is_seen_by_the_part_of_it_that_is_no_whole_frame(rate, at, by, seen):
    """Whole frames cannot be told from lost ones."""
    stamps, _, _ = recording(rate, drift_ppm=50, jitter=0.3e-3, drop_rate=0.01, seed=4)
    first = int(at * len(stamps))
    stamps[first:] += by / rate
    clock = fit_clock(stamps, where="x")
    assert clock.step == pytest.approx(seen, abs=0.03)
    assert abs(clock.step_at - first) <= 2 or not seen


def test_jitter_alone_is_no_jump():
    for seed in range(10):
        stamps, _, _ = recording(30, jitter=2e-3, drop_rate=0.01, seed=seed)
        assert fit_clock(np.maximum.accumulate(stamps), where="x").step == 0.0


@pytest.mark.parametrize(("rate", "base"), [(30, 30), (60, 60), (60, 30), (120, 30)])
@pytest.mark.parametrize("drift_ppm", [0.0, 50.0, 133.0])
@pytest.mark.parametrize("drop_rate", [0.0, 0.02])
def test_whole_frame_stamps_place_frames_within_one_count(rate, base, drift_ppm, drop_rate):
    """A label without fractions says no more.

    Which frame of a count was lost, and slips of less than a count, cannot be seen.
    """
    for seed in range(5):
        rng = np.random.default_rng(seed)
        _, true, _ = recording(
            rate, start=36_000 + rng.uniform(0, 1 / base), drift_ppm=drift_ppm, drop_rate=drop_rate, seed=seed
        )
        clock = fit_clock(np.floor(true * base + 1e-6) / base, where="x")
        assert np.abs(clock.seconds - true).max() < 1.01 / base + (rate > base) * 1 / rate
