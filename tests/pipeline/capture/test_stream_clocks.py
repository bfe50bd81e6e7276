import numpy as np
import pytest
import soundfile
from helpers.tiny_shoot import write_bwf

from pipeline.capture import stream_clocks
from pipeline.errors import InputError
from pipeline.formats.timecode import format_timecode
from pipeline.simulate.ltc import encode_ltc


@pytest.mark.parametrize(("name", "frames", "dropped"), [("a", 4030, 3), ("b", 3809, 2)])
def test_real_recordings_rate_counts_the_dropped_frames(real_data, name, frames, dropped):
    found = stream_clocks.face_stream(real_data / "face" / f"llf_take_{name}.csv")
    assert found["frames"] == frames and found["dropped"] == dropped
    assert found["rate"] == pytest.approx(30.004, abs=5e-4)
    assert found["longest_gap"] == pytest.approx(2 / 30, abs=1e-3)


def test_time_reference_is_samples_since_midnight(tmp_path):
    write_bwf(tmp_path / "x.wav", np.zeros(44_100), 44_100, 47_584.5)
    found = stream_clocks.audio_stream(tmp_path / "x.wav", "take 7")
    assert (
        found["start"] == 47_584.5
        and found["end"] == 47_585.5
        and found["rate"] == found["samples"] == 44_100
    )
    assert found["source"] == "bext" and found["drift_ppm"] is None, "one start shows no drift"


@pytest.mark.parametrize(
    ("digits", "drift", "extra"), [(0, 0.0, 0), (0, 0.0, 1), (3, 80.0, 0), (3, -100.0, 0)]
)
def test_start_and_end(tmp_path, digits, drift, extra):
    """`end` names the last frame, in whole frames also the one after it.

    With fractions of a frame it shows the drift.
    """
    path = tmp_path / "x.bvh"
    path.write_text(
        "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n}\nMOTION\nFrames:"
        " 7201\nFrame Time: 0.0083333\n" + "0 0 0\n" * 7201
    )
    end = 36_000 + (7200 + extra) / (120 * (1 + drift * 1e-6))
    entry = {"start": "10:00:00:00", "end": format_timecode(end, 120, digits=digits), "rate": 120}
    found = stream_clocks.body_stream(path, entry, "take 7, actor 001")
    assert found["end"] == pytest.approx(
        36_000 + 7200 / (120 * (1 + drift * 1e-6)), abs=2e-5 if digits else 1e-9
    )
    if digits:
        assert found["drift_ppm"] == pytest.approx(drift, abs=0.3) and found["source"] == "start and end"
    else:
        assert found["drift_ppm"] is None and found["rate"] == 120


def test_a_timecode_base_that_is_not_the_rate(tmp_path):
    path = tmp_path / "x.bvh"
    path.write_text(
        "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n}\nMOTION\nFrames:"
        " 100\nFrame Time: 0.0083333\n" + "0 0 0\n" * 100
    )
    found = stream_clocks.body_stream(
        path, {"start": "10:00:00:15", "rate": 120, "timecode_rate": 30}, "take 7, actor 001"
    )
    assert found["start"] == 36_000.5 and found["rate"] == 120


def test_start_and_end_may_stand_on_both_sides_of_an_ntsc_midnight(tmp_path):
    path = tmp_path / "x.bvh"
    head = (
        "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n}\nMOTION\nFrames:"
        " 100\nFrame Time: 0.0333667\n"
    )
    path.write_text(head + "0 0 0\n" * 100)
    found = stream_clocks.body_stream(
        path, {"start": "23:59:58:20", "end": "00:00:01:29", "rate": 29.97}, "take 7"
    )
    assert (
        found["frames"] == 100
        and found["source"] == "start, rate and end"
        and found["day_seconds"] == pytest.approx(86_486.4)
    )


def test_a_time_reference_of_a_long_day_is_read(tmp_path):
    """Non-drop timecode at 23.976 runs to 86,486.4 s."""
    write_bwf(tmp_path / "x.wav", np.zeros(48_000), 48_000, 86_450.0)
    assert stream_clocks.audio_stream(tmp_path / "x.wav", "take 7")["start"] == 86_450.0
    write_bwf(tmp_path / "x.wav", np.zeros(48_000), 48_000, 86_487.0)
    with pytest.raises(InputError, match="TimeReference is 86487.000 s, need a time of day below 86486.4 s"):
        stream_clocks.audio_stream(tmp_path / "x.wav", "take 7")


def test_ltc_that_was_set_while_it_recorded_is_refused(tmp_path, caplog):
    """0.4 of a frame later from 5 s on: too little for the decoder to see a jump."""
    first, second = (encode_ltc(36_000 + extra, 30, 480_000, 48_000) for extra in (0.0, 0.4 / 30))
    channels = np.stack([np.zeros(480_000), np.where(np.arange(480_000) < 240_000, first, second)], 1)
    soundfile.write(tmp_path / "x.wav", channels, 48_000)
    with pytest.raises(InputError, match=r"x.wav: LTC: timecode goes on by .* stays 0.40 of a frame beside"):
        stream_clocks.audio_stream(tmp_path / "x.wav", "take 7", {"channel": 1, "ltc": 2})
    assert stream_clocks.audio_stream(
        tmp_path / "x.wav", "take 7", {"channel": 1, "ltc": 2}, max_step_frames=0.5
    )["step_frames"] == pytest.approx(0.4, abs=0.01)
    assert "was its clock set" in caplog.text
    soundfile.write(tmp_path / "x.wav", np.stack([0 * first, first], 1), 48_000)
    assert stream_clocks.audio_stream(tmp_path / "x.wav", "take 7", {"channel": 1, "ltc": 2})[
        "step_frames"
    ] == pytest.approx(0, abs=0.01)


def test_a_time_reference_of_0_gives_way_to_whatever_tells_a_time(tmp_path, caplog):
    """Editors write 0 that know no time.

    The same rule holds for iXML (test_audio.py) and for timecode.json.
    """
    write_bwf(tmp_path / "x.wav", np.zeros(48_000), 48_000, 0.0)
    found = stream_clocks.audio_stream(tmp_path / "x.wav", "take 7", {"start": "13:13:11:15"})
    assert (found["start"], found["source"]) == (47_591.5, "start")
    assert [record.getMessage() for record in caplog.records] == [
        "take 7: TimeReference of x.wav is 0; start under audio in timecode.json says 47591.500 s, which is"
        " taken"
    ]
    caplog.clear()
    for entry in ({"start": "00:00:00:00"}, {}):
        found = stream_clocks.audio_stream(tmp_path / "x.wav", "take 7", entry)
        assert (found["start"], found["source"]) == (0.0, "bext") and not caplog.text
    write_bwf(tmp_path / "x.wav", np.zeros(48_000), 48_000, 1.0)
    assert stream_clocks.audio_stream(tmp_path / "x.wav", "take 7", {"start": "13:13:11:15"})["start"] == 1.0
    assert "bext 1.000 s, which is taken" in caplog.text
