from fractions import Fraction

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.timecode import exact_rate, format_timecode, parse_timecode

RATES = [23.976, 24, 25, 29.97, 30, 47.952, 48, 50, 59.94, 60, 100, 119.88, 120]
KINDS = [(rate, False) for rate in RATES] + [(rate, True) for rate in (29.97, 59.94, 119.88)]


@pytest.mark.parametrize(
    ("rate", "exact"),
    [
        (29.97, (30000, 1001)),
        (23.976, (24000, 1001)),
        (23.98, (24000, 1001)),
        (119.88, (120000, 1001)),
        (60, (60, 1)),
        (12.5, (25, 2)),
        (30.004, (7501, 250)),
    ],
)
def test_rates_are_those_meant(rate, exact):
    assert exact_rate(rate) == Fraction(*exact)


@pytest.mark.parametrize(("rate", "drop"), KINDS)
def test_round_trip_over_a_day(rate, drop):
    fps = exact_rate(rate)
    last = int(86_400 * fps) - 1 - (round(fps) // 10 if drop else 0)  # a day of drop-frame counting is that much short of a day
    numbers = np.unique(np.concatenate([np.linspace(0, last, 2000).astype(int), np.arange(3000), last - np.arange(100)]))
    labels = [format_timecode(float(int(n) / fps), rate, drop_frame=drop, digits=0) for n in numbers]
    assert len(set(labels)) == len(numbers)
    found = np.array([parse_timecode(label, rate) for label in labels])
    assert np.abs(found * float(fps) - numbers).max() < 1e-5 and all((";" in label) == drop for label in labels)


@pytest.mark.parametrize(("rate", "drop"), KINDS)
@pytest.mark.parametrize("digits", [1, 3, 6])
def test_fractional_frames_round_trip(rate, drop, digits):
    for seconds in np.random.default_rng(0).uniform(0, 86_390, 40):
        text = format_timecode(seconds, rate, drop_frame=drop, digits=digits)
        assert abs(parse_timecode(text, rate) - seconds) <= 0.51 * 10.0**-digits / rate + 1e-9


@pytest.mark.parametrize("rate", [29.97, 59.94, 119.88])
def test_drop_frame_counting_skips_numbers_and_keeps_the_time(rate):
    nominal, skipped = round(rate), round(rate) // 15
    frame = float(1 / exact_rate(rate))
    for minute in range(1, 61):
        before, after = f"10:{minute - 1:02d}:59;{nominal - 1}", f"{10 + minute // 60}:{minute % 60:02d}:00;{0 if minute % 10 == 0 else skipped:02d}"
        assert parse_timecode(after, rate) - parse_timecode(before, rate) == pytest.approx(frame, abs=1e-7)
        if minute % 10:
            for number in range(skipped):
                with pytest.raises(InputError, match="drop-frame counting skips this frame"):
                    parse_timecode(f"10:{minute:02d}:00;{number:02d}", rate)
    assert abs(parse_timecode("23:59:59;00", rate) - 86_399) < 0.1, "a day of drop-frame counting is a day"


def test_known_times():
    assert parse_timecode("13:13:04:31.652", 60) == pytest.approx(13 * 3600 + 13 * 60 + 4 + 31.652 / 60, abs=1e-9)
    assert parse_timecode("01:00:00;00", 29.97) == pytest.approx(3599.9964, abs=1e-9)
    assert parse_timecode("01:00:00:00", 29.97) == pytest.approx(3603.6, abs=1e-9)
    assert parse_timecode(" 1:00:00:00 ", 25) == 3600
    assert parse_timecode("00:01:00:02", 29.97, drop_frame=True) == pytest.approx(1800 * 1001 / 30000)
    assert parse_timecode("00:01:00;02", 29.97, drop_frame=False) == pytest.approx(1802 * 1001 / 30000)
    assert parse_timecode("10:00:00:119", 120) == pytest.approx(36_000 + 119 / 120)
    assert format_timecode(3600.0, 25) == "01:00:00:00.000" and format_timecode(0.9999999, 25, digits=0) == "00:00:01:00"


NO_TIMECODES = ["", "now", "13:13:04", "13:13:04:", "13:13:04:1:2", "-1:00:00:00", "13.13.04.31", "13:13:4:31", "13:13:04:31é", "13:13:04:3x"]
OUT_OF_RANGE = ["24:00:00:00", "00:60:00:00", "00:00:60:00", "00:00:00:60", "00:00:00:99.5"]


@pytest.mark.parametrize("text", NO_TIMECODES + OUT_OF_RANGE)
def test_bad_text_is_refused(text):
    with pytest.raises(InputError) as error:
        parse_timecode(text, 60)
    assert repr(text) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("rate", [23.976, 24, 25, 30, 60])
def test_drop_frame_exists_at_ntsc_rates_only(rate):
    with pytest.raises(InputError, match="drop-frame"):
        parse_timecode("10:00:00;05", rate)
    with pytest.raises(InputError, match="drop-frame"):
        format_timecode(1.0, rate, drop_frame=True)
