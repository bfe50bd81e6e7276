from fractions import Fraction

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.formats.timecode import (
    day_frames,
    day_seconds,
    exact_rate,
    format_timecode,
    frame_label,
    frame_number,
    ixml_seconds,
    ixml_speed,
    near,
    parse_timecode,
    unwrap_days,
)

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
def test_every_label_of_a_day_once_and_in_order(rate, drop):
    nominal, count = round(rate), day_frames(rate, drop_frame=drop)
    dropped = nominal // 15 if drop else 0
    numbers = np.unique(
        np.concatenate(
            [np.arange(0, count, 97), np.arange(610 * nominal), count - 1 - np.arange(70 * nominal)]
        )
    )
    labels = np.stack(frame_label(numbers, nominal=nominal, dropped=dropped))
    assert np.array_equal(frame_number(*labels, nominal=nominal, dropped=dropped), numbers)
    hours, minutes, seconds, frames = labels
    assert (labels.min(), hours.max(), minutes.max(), seconds.max(), frames.max()) == (
        0,
        23,
        59,
        59,
        nominal - 1,
    )
    assert (np.diff(((hours * 60 + minutes) * 60 + seconds) * nominal + frames) > 0).all()
    assert not (dropped and ((minutes % 10 > 0) & (seconds == 0) & (frames < dropped)).any())
    assert [int(x) for x in frame_label(count, nominal=nominal, dropped=dropped)] == [0, 0, 0, 0]


@pytest.mark.parametrize(("rate", "drop"), KINDS)
def test_text_round_trip_all_day(rate, drop):
    fps = exact_rate(rate)
    nominal, separator, count = round(fps), ";" if drop else ":", day_frames(rate, drop_frame=drop)
    minutes = [0, 9, 10, 11, 13 * 60 + 59, 14 * 60, 23 * 60 + 59]
    skip = nominal // 15 if drop else 0
    texts = [
        f"{m // 60:02d}:{m % 60:02d}:{s:02d}{separator}{f:02d}"
        for m in minutes
        for s in (0, 1, 59)
        for f in range(nominal)
        if not (m % 10 and s == 0 and f < skip)
    ]
    rng = np.random.default_rng(1)
    texts += [
        format_timecode(float(int(n) / fps), rate, drop_frame=drop, digits=0)
        for n in np.sort(rng.integers(0, count, 300))
    ]
    seconds = np.array([parse_timecode(text, rate) for text in texts])
    assert [format_timecode(t, rate, drop_frame=drop, digits=0) for t in seconds] == texts
    numbers = seconds * float(fps)
    assert np.abs(numbers - np.round(numbers)).max() < 1e-5
    steps = np.diff(numbers[: len(texts) - 300])
    assert (steps > 0.5).all() and np.abs(steps[: nominal - skip - 1] - 1).max() < 1e-6
    assert seconds.max() < day_seconds(rate, drop_frame=drop)
    fractional = [
        f"{text}.{part:03d}" for text, part in zip(texts[::5], rng.integers(0, 1000, len(texts)).tolist())
    ]
    assert [
        format_timecode(parse_timecode(text, rate), rate, drop_frame=drop) for text in fractional
    ] == fractional


def test_days_of_labels():
    assert day_seconds(29.97) == day_seconds(59.94) == pytest.approx(86_486.4, abs=1e-9)
    assert day_seconds(29.97, drop_frame=True) == pytest.approx(86_399.9136, abs=1e-9)
    assert [day_seconds(rate) for rate in (24, 25, 30, 48, 50, 60, 100, 120)] == [86_400] * 8
    assert (
        parse_timecode("23:59:59:29", 29.97) > 86_400
        and format_timecode(86_486.4, 29.97, digits=0) == "00:00:00:00"
    )
    assert format_timecode(parse_timecode("23:59:59:29", 29.97), 29.97, digits=0) == "23:59:59:29"


@pytest.mark.parametrize(("rate", "drop"), KINDS)
def test_agrees_with_the_timecode_package(rate, drop):
    package = pytest.importorskip("timecode")
    if rate == 119.88 and drop:
        pytest.skip("the package has no drop-frame counting at 119.88")
    for number in np.random.default_rng(2).integers(0, day_frames(rate, drop_frame=drop), 50).tolist():
        text = format_timecode(float(number / exact_rate(rate)), rate, drop_frame=drop, digits=0)
        assert package.Timecode(str(rate), text, force_non_drop_frame=not drop).frames == number + 1


@pytest.mark.parametrize(("rate", "drop"), KINDS)
def test_midnight(rate, drop):
    fps, day = exact_rate(rate), day_seconds(rate, drop_frame=drop)
    codes = [format_timecode(day + i / float(fps), rate, drop_frame=drop, digits=0) for i in range(-40, 40)]
    assert codes[40].startswith("00:00:00") and codes[39].startswith("23:59:59")
    seconds = unwrap_days(np.array([parse_timecode(code, rate) for code in codes]), day=day)
    assert np.allclose(np.diff(seconds), float(1 / fps), atol=1e-9)
    assert [near(t % day, seconds[0], day=day) for t in seconds] == pytest.approx(seconds.tolist(), abs=1e-9)


def test_unwrapping_takes_large_falls_only():
    assert unwrap_days(np.array([86_399.0, 0.5, 0.4, 86_399.9, 1.0])).tolist() == [
        86_399.0,
        86_400.5,
        86_400.4,
        172_799.9,
        172_801.0,
    ]
    assert unwrap_days(np.array([50_000.0, 49_999.0, 6_800.0])).tolist() == [
        50_000.0,
        49_999.0,
        6_800.0,
    ], "half a day exactly is no midnight"
    assert unwrap_days(np.array([])).tolist() == [] and unwrap_days(np.array([3.0])).tolist() == [3.0]


def test_nearest_day():
    assert near(10.0, 86_390.0) == 86_410 and near(86_390.0, 10.0) == -10 and near(100.0, 200.0) == 100
    assert near(86_410.0, 20.0) == 10 and near(5.0, 3 * 86_400.0) == 3 * 86_400 + 5
    for reference in np.random.default_rng(4).uniform(-2e5, 2e5, 50):
        assert (
            abs(near(1234.5, reference) - reference) <= 43_200
            and (near(1234.5, reference) - 1234.5) % 86_400 == 0
        )


def test_base_is_not_the_rate_of_the_stream():
    codes = ["10:00:00:29.75", "10:00:01:00.00", "10:00:01:00.25"]  # a base of 30 on 120 frames per second
    assert np.diff([parse_timecode(code, 30) for code in codes]).tolist() == pytest.approx([1 / 120, 1 / 120])
    with pytest.raises(InputError, match="out of range at 30 fps"):
        parse_timecode("10:00:00:119", 30)


@pytest.mark.parametrize("rate", [0, -25, float("nan"), float("inf")])
def test_rates_that_are_none_are_refused(rate):
    with pytest.raises(InputError, match="need frames per second"):
        parse_timecode("10:00:00:00", rate)


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
        before, after = (
            f"10:{minute - 1:02d}:59;{nominal - 1}",
            f"{10 + minute // 60}:{minute % 60:02d}:00;{0 if minute % 10 == 0 else skipped:02d}",
        )
        assert parse_timecode(after, rate) - parse_timecode(before, rate) == pytest.approx(frame, abs=1e-7)
        if minute % 10:
            for number in range(skipped):
                with pytest.raises(InputError, match="drop-frame counting skips this frame"):
                    parse_timecode(f"10:{minute:02d}:00;{number:02d}", rate)
    assert abs(parse_timecode("23:59:59;00", rate) - 86_399) < 0.1, "a day of drop-frame counting is a day"


def test_known_times():
    assert parse_timecode("13:13:04:31.652", 60) == pytest.approx(
        13 * 3600 + 13 * 60 + 4 + 31.652 / 60, abs=1e-9
    )
    assert parse_timecode("01:00:00;00", 29.97) == pytest.approx(3599.9964, abs=1e-9)
    assert parse_timecode("01:00:00:00", 29.97) == pytest.approx(3603.6, abs=1e-9)
    assert parse_timecode(" 1:00:00:00 ", 25) == 3600
    assert parse_timecode("00:01:00:02", 29.97, drop_frame=True) == pytest.approx(1800 * 1001 / 30000)
    assert parse_timecode("00:01:00;02", 29.97, drop_frame=False) == pytest.approx(1802 * 1001 / 30000)
    assert parse_timecode("10:00:00:119", 120) == pytest.approx(36_000 + 119 / 120)
    assert (
        format_timecode(3600.0, 25) == "01:00:00:00.000"
        and format_timecode(0.9999999, 25, digits=0) == "00:00:01:00"
    )


NO_TIMECODES = [
    "",
    "now",
    "13:13:04",
    "13:13:04:",
    "13:13:04:1:2",
    "-1:00:00:00",
    "13.13.04.31",
    "13:13:4:31",
    "13:13:04:31é",
    "13:13:04:3x",
]
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


IXML = """<?xml version="1.0" encoding="UTF-8"?>
<BWFXML>
  <IXML_VERSION>2.10</IXML_VERSION>
  <PROJECT>Interaction</PROJECT><SCENE>051</SCENE><TAKE>1</TAKE><TAPE>231119</TAPE><CIRCLED>FALSE</CIRCLED>
  <SPEED>
    <NOTE>none</NOTE>
    <MASTER_SPEED>30000/1001</MASTER_SPEED>
    <CURRENT_SPEED>30000/1001</CURRENT_SPEED>
    <TIMECODE_RATE>30000/1001</TIMECODE_RATE>
    <TIMECODE_FLAG>DF</TIMECODE_FLAG>
    <FILE_SAMPLE_RATE>48000</FILE_SAMPLE_RATE>
    <AUDIO_BIT_DEPTH>24</AUDIO_BIT_DEPTH>
    <DIGITIZER_SAMPLE_RATE>48000</DIGITIZER_SAMPLE_RATE>
    <TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>1</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>
    <TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>4294967295</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>
    <TIMESTAMP_SAMPLE_RATE>192000</TIMESTAMP_SAMPLE_RATE>
  </SPEED>
  <TRACK_LIST>
    <TRACK_COUNT>1</TRACK_COUNT><TRACK><CHANNEL_INDEX>1</CHANNEL_INDEX><NAME>Actor &amp; lav</NAME></TRACK>
  </TRACK_LIST>
</BWFXML>
"""


def test_ixml():
    for text in (IXML, "\ufeff" + IXML, IXML + "\0\0"):
        assert ixml_seconds(text) == (2**33 - 1) / 192_000
    speed = ixml_speed(IXML)
    assert speed.rate == Fraction(30_000, 1001) and speed.drop_frame is True


@pytest.mark.parametrize(
    ("rate", "found"),
    [
        ("25/1", 25),
        ("29.97", Fraction(30_000, 1001)),
        ("24", 24),
        ("2997ND", None),
        ("", None),
        ("0/1", None),
        ("1/0", None),
    ],
)
def test_ixml_timecode_rates(rate, found):
    assert (
        ixml_speed(
            IXML.replace("<TIMECODE_RATE>30000/1001", f"<TIMECODE_RATE>{rate}").replace(">DF<", ">NDF<")
        ).rate
        == found
    )


@pytest.mark.parametrize(
    "name",
    [
        "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI",
        "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO",
        "TIMESTAMP_SAMPLE_RATE",
        "SPEED",
    ],
)
def test_ixml_without_a_time_stamp(name):
    assert ixml_seconds(IXML.replace(name, "X")) is None
    assert ixml_speed("<BWFXML/>").drop_frame is None


BOMB = IXML.replace("<BWFXML>", '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>\n<BWFXML>', 1)


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        (BOMB, "document type"),
        (IXML[:300], "not readable XML"),
        ("", "not readable XML"),
        (IXML.replace("192000", "0"), "32-bit halves"),
        (IXML.replace("4294967295", "4294967296"), "32-bit halves"),
        (IXML.replace("192000", "192k"), "need a whole number"),
        (IXML.replace("4294967295", "-1"), "need a whole number"),
    ],
)
def test_bad_ixml_is_refused(text, needle):
    with pytest.raises(InputError, match=needle) as error:
        ixml_seconds(text)
    assert "\n" not in str(error.value)
