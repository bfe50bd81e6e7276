import json
import shutil

import h5py
import numpy as np
import pytest
import soundfile
from helpers.commands import refused
from helpers.tiny_shoot import write_bwf, write_mesh

from pipeline.capture import blendshapes, stream_clocks, sync
from pipeline.errors import InputError
from pipeline.formats.arkit import NAMES_52
from pipeline.formats.timecode import day_seconds, format_timecode, parse_timecode
from pipeline.reading import read_json

TAKE = "20260101_001"


@pytest.fixture
def take(shoot, tmp_path):
    """A copy of the first take."""
    return shutil.copytree(shoot.folder / TAKE, tmp_path / TAKE)


def arguments(take) -> list:
    result = [
        "--timecode",
        take / "timecode.json",
        "--actors",
        "001",
        "002",
        "--out",
        take / "out" / "sync.json",
    ]
    for flag, kind in (("--bvh", "bvh"), ("--face", "mesh.h5"), ("--wav", "wav")):
        result += [flag, *(take / f"20260101_{actor}_001.{kind}" for actor in ("001", "002"))]
    return result


def test_window_and_streams_are_those_of_the_truth(shoot, take):
    sync.main([str(a) for a in arguments(take)])
    result = read_json(take / "out" / "sync.json")
    truths = [shoot.truth[f"20260101_{actor}_001"] for actor in ("001", "002")]
    starts = [start for truth in truths for start in truth.start.values()]
    assert (
        result["start_seconds"] == pytest.approx(max(starts), abs=1e-7)
        and result["take"] == TAKE
        and result["fps"] == 30
    )
    last = min(
        truth.start[kind] + length
        for truth in truths
        for kind, length in (("body", 419 / 120), ("face", 104 / 30))
    )
    assert result["frames"] == int((last - max(starts)) * 30 + 1e-6) + 1
    for record, truth in zip(result["performances"], truths):
        assert all(
            record[kind]["start"] == pytest.approx(start, abs=1e-7) for kind, start in truth.start.items()
        )
        assert (
            record["face"]["dropped"] == 1
            and record["face"]["frames"] == 104
            and record["face"]["rate"] == pytest.approx(30, rel=1e-6)
        )
        assert record["body"]["rate"] == 120 and record["audio"]["rate"] == 48_000


def test_the_same_bytes_twice(take):
    written = []
    for _ in range(2):
        sync.main([str(a) for a in arguments(take)])
        written.append((take / "out" / "sync.json").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("ends", "frames"),
    [((2.0, 2.0), 60), ((2.0, 1.999), 60), ((1.9999, 3.0), 59), ((3.0, 2.0), 61), ((2.0 - 1e-8, 2.0), 60)],
)
def test_common_window_reaches_the_last_frame_and_the_end_of_audio(ends, frames):
    """Audio must cover the span of the last frame, a stream of frames must only reach it."""
    streams = {"001 audio": {"start": 0.0, "end": ends[0]}, "001 body": {"start": -1.0, "end": ends[1]}}
    assert sync.common_window(streams, "take", min_seconds=1.0) == (0.0, frames)


def test_a_window_that_is_too_short_names_both_streams():
    streams = {"001 audio": {"start": 5.0, "end": 9.0}, "002 body": {"start": 1.0, "end": 5.5}}
    with pytest.raises(
        InputError,
        match="take 7: streams do not overlap by 1 s: 001 audio starts at 5.000 s, 002 body ends at 5.500 s",
    ):
        sync.common_window(streams, "take 7", min_seconds=1.0)
    assert sync.common_window(streams, "take 7", min_seconds=0.5) == (5.0, 15 + 1)


def edit_json(take, change):
    value = read_json(take / "timecode.json")
    change(value)
    (take / "timecode.json").write_text(json.dumps(value))


def late(take):
    edit_json(take, lambda v: v["body"]["002"].update(start="11:00:00:00"))


def garbled(take, kind, content=b"\xff\xfe\xe9 garbage \x00" * 40):
    (take / f"20260101_002_001.{kind}").write_bytes(content)


def no_bext(take):
    soundfile.write(take / "20260101_002_001.wav", np.zeros(48_000), 48_000)


def truncated(take):
    path = take / "20260101_002_001.mesh.h5"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def backwards(take):
    with h5py.File(take / "20260101_002_001.mesh.h5", "r+") as f:
        f["timecode"][7] = f["timecode"][3]


@pytest.mark.parametrize(
    ("spoil", "needles"),
    [
        (lambda t: (t / "timecode.json").unlink(), [TAKE, "no timecode.json", "write the start and rate"]),
        (lambda t: (t / "timecode.json").write_text("{"), ["timecode.json: not a readable JSON"]),
        (lambda t: (t / "timecode.json").write_text("[1]"), ["timecode.json has no 'body'"]),
        (lambda t: (t / "timecode.json").write_text('{"body": null}'), ["has no 'body'"]),
        (
            lambda t: (t / "timecode.json").write_bytes(b"\xff\xfe\xe9"),
            ["timecode.json: not a readable JSON"],
        ),
        (
            lambda t: edit_json(t, lambda v: v["body"].pop("002")),
            [TAKE, "actor 002", "timecode.json has no start and rate"],
        ),
        (
            lambda t: edit_json(t, lambda v: v["body"].update({"002": "10:00:00:00"})),
            ["actor 002", "no start and rate"],
        ),
        (lambda t: edit_json(t, lambda v: v["body"]["002"].pop("start")), ["actor 002", "no start and rate"]),
        (
            lambda t: edit_json(t, lambda v: v["body"]["002"].update(rate=24, start="10:00:00:03")),
            ["actor 002: timecode.json says 24 fps, at which the", "correct the rate in timecode.json"],
        ),
        (
            lambda t: edit_json(t, lambda v: v["body"]["002"].update(end="10:00:09:00")),
            ["actor 002", "body lasts", "by start and end"],
        ),
        (
            lambda t: edit_json(t, lambda v: v["body"]["002"].update(end="09:59:00:00")),
            ["actor 002", "ends at 09:59:00:00 before it starts"],
        ),
        (
            lambda t: edit_json(t, lambda v: v.update(voice={})),
            [TAKE, "has 'voice', need body, face and audio"],
        ),
        (
            lambda t: edit_json(t, lambda v: v.update(audio=[1])),
            [TAKE, "audio: got list, need an entry for each actor"],
        ),
        (
            lambda t: edit_json(t, lambda v: v.update(audio={"002": {"channel": 3}})),
            ["actor 002", "got channel 3"],
        ),
        (
            lambda t: edit_json(t, lambda v: v.update(audio={"002": {"ltc": 1}})),
            ["actor 002", "channel 1 of timecode.json is voice and ltc, need two"],
        ),
        (
            lambda t: edit_json(t, lambda v: v["body"]["002"].update(rate="fast")),
            ["actor 002", "rate 'fast'"],
        ),
        (lambda t: edit_json(t, lambda v: v["body"]["002"].update(rate=0)), ["actor 002", "rate 0 "]),
        (
            lambda t: edit_json(t, lambda v: v["body"]["002"].update(start="noon")),
            ["actor 002", "timecode 'noon'"],
        ),
        (
            lambda t: edit_json(t, lambda v: v["body"]["002"].update(start=36000)),
            ["actor 002", "timecode '36000'"],
        ),
        (late, [TAKE, "streams do not overlap by 1 s", "002 body starts at 39600.000 s"]),
        (lambda t: garbled(t, "bvh"), ["20260101_002_001.bvh", "no HIERARCHY and MOTION"]),
        (lambda t: garbled(t, "bvh", b""), ["20260101_002_001.bvh", "no HIERARCHY and MOTION"]),
        (lambda t: (t / "20260101_002_001.bvh").unlink(), ["20260101_002_001.bvh: no such file"]),
        (lambda t: garbled(t, "wav"), ["actor 002", "20260101_002_001.wav"]),
        (lambda t: garbled(t, "wav", b""), ["actor 002", "20260101_002_001.wav"]),
        (lambda t: (t / "20260101_002_001.wav").unlink(), ["actor 002", "20260101_002_001.wav"]),
        (
            no_bext,
            [
                TAKE,
                "actor 002",
                "20260101_002_001.wav has no timecode",
                "give its start under audio",
                "--without-timecode",
            ],
        ),
        (truncated, ["20260101_002_001.mesh.h5: not a readable HDF5"]),
        (lambda t: garbled(t, "mesh.h5"), ["20260101_002_001.mesh.h5: not a readable HDF5"]),
        (backwards, ["20260101_002_001.mesh.h5, frame 7", "does not come after"]),
    ],
)
def test_bad_input_stops_with_one_line(take, capsys, spoil, needles):
    spoil(take)
    refused(sync.main, arguments(take), capsys, *needles, outputs=[take / "out" / "sync.json"])


def test_a_wrong_option_stops_with_one_line(take, capsys):
    for value, needle in (
        ("-1", "option --min-seconds: got -1"),
        ("0", "option --min-seconds: got 0"),
        ("60", "streams do not overlap by 60 s"),
    ):
        refused(
            sync.main,
            [*arguments(take), "--min-seconds", value],
            capsys,
            needle,
            outputs=[take / "out" / "sync.json"],
        )


def test_a_header_rate_that_lies_is_told(shoot, take, caplog):
    path = take / "20260101_001_001.bvh"
    path.write_text(path.read_text().replace("Frame Time: 0.0083333333", "Frame Time: 0.0416667"))
    with caplog.at_level("WARNING"):
        found = stream_clocks.body_stream(
            path, {"start": format_timecode(36_000, 120), "rate": 120}, "take 7, actor 001"
        )
    assert (
        found["rate"] == 120 and "take 7, actor 001: BVH header says 24 fps, timecode.json 120" in caplog.text
    )


def test_a_body_without_a_rate_takes_its_header(shoot, take):
    edit_json(take, lambda v: [entry.pop("rate") for entry in v["body"].values()])
    sync.main([str(a) for a in arguments(take)])
    body = read_json(take / "out" / "sync.json")["performances"][0]["body"]
    assert body["rate"] == 120 and body["source"] == "start and header rate"


def test_a_header_that_lies_is_found_by_the_other_streams(take, capsys):
    edit_json(take, lambda v: v["body"].update({"001": {"start": "10:00:00:03"}}))
    path = take / "20260101_001_001.bvh"
    path.write_text(path.read_text().replace("Frame Time: 0.0083333333", "Frame Time: 0.0416667"))
    needles = ["actor 001: BVH header says 24 fps, at which the ", "correct the rate in timecode.json"]
    refused(sync.main, arguments(take), capsys, *needles, outputs=[take / "out" / "sync.json"])


def test_streams_on_both_sides_of_midnight_agree(tmp_path):
    """Recorders that start before and after midnight, and bodies given as the day before ends."""
    streams = {"body": 86_399.0, "face": 86_399.5 - 86_400, "audio": 0.25}
    from pipeline.formats.timecode import near

    moved = {kind: near(start % 86_400, streams["body"]) for kind, start in streams.items()}
    assert moved == {"body": 86_399.0, "face": 86_399.5, "audio": 86_400.25}


def test_the_table_and_the_picture_explain_a_take(shoot, take, caplog):
    picture = take / "out" / "streams.png"
    with caplog.at_level("INFO"):
        sync.main([str(a) for a in [*arguments(take), "--out-picture", picture]])
    result = read_json(take / "out" / "sync.json")
    lines = sync.table(result)
    assert len(lines) == 7 and all(line in caplog.text for line in lines)
    assert (
        lines[2].split()[:2] == ["001", "face"]
        and "ppm" in lines[2]
        and lines[2].endswith("timecode per frame")
    )
    assert "unknown" in lines[1] and lines[1].endswith("start and rate") and lines[3].endswith("bext")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_clock_that_was_set_fails_past_the_limit_and_warns_below_it(take, capsys, caplog):
    with h5py.File(take / "20260101_002_001.mesh.h5", "r+") as f:
        codes = [code.decode() for code in f["timecode"][()]]
        late = [format_timecode(parse_timecode(code, 60) + 0.0165, 60, digits=6) for code in codes[50:]]
        f["timecode"][50:] = [code.encode() for code in late]
    needles = [
        "actor 002: 20260101_002_001.mesh.h5: timecode goes on by 1.",
        "at frame 50",
        "its clock was set while it recorded",
    ]
    refused(sync.main, arguments(take), capsys, *needles)
    sync.main([str(a) for a in [*arguments(take), "--max-step-frames", "0.5"]])
    assert "was its clock set while it recorded?" in caplog.text
    assert read_json(take / "out" / "sync.json")["performances"][1]["face"]["step_frames"] == pytest.approx(
        0.495, abs=0.01
    )


def test_a_clock_that_is_slewed_bends_and_is_refused_past_the_limit(take, capsys):
    with h5py.File(take / "20260101_002_001.mesh.h5", "r+") as f:
        codes = [code.decode() for code in f["timecode"][()]]
        bent = [
            format_timecode(parse_timecode(code, 60) + 0.03 * (k / 103) ** 2, 60, digits=6)
            for k, code in enumerate(codes)
        ]
        f["timecode"][:] = [code.encode() for code in bent]
    argv = [*arguments(take), "--max-residual-ms", "1", "--max-step-frames", "9"]
    refused(sync.main, argv, capsys, "actor 002: the timecode of the face leaves its own straight line by")


@pytest.mark.parametrize(
    ("rate", "separator"), [(30_000 / 1001, ";"), (30_000 / 1001, ":"), (24_000 / 1001, ":"), (25, ":")]
)
@pytest.mark.parametrize("by", ["timecode.json", "TimeReference"])
def test_midnight_is_where_the_labels_say_at_every_counting(tmp_path, rate, separator, by):
    """A face that starts 40 frames before midnight, a voice 10 frames after it: 50 frames apart."""
    drop = separator == ";"
    day = day_seconds(rate, drop_frame=drop)
    codes = [format_timecode(day - 40 / rate + k / rate, rate, drop_frame=drop) for k in range(200)]
    write_mesh(tmp_path / "x.mesh.h5", np.zeros((200, 4, 3)), codes, rate=rate)
    entry = {"timecode_rate": rate, "drop_frame": drop}
    if by == "TimeReference":
        write_bwf(tmp_path / "x.wav", np.zeros(48_000 * 5), 48_000, 10 / rate)
    else:
        soundfile.write(tmp_path / "x.wav", np.zeros(48_000 * 5), 48_000)
        entry["start"] = f"00:00:00{separator}10"
    (tmp_path / "timecode.json").write_text(json.dumps({"face": {"001": {}}, "audio": {"001": entry}}))
    files = {"bvh": [], "face": [tmp_path / "x.mesh.h5"], "wav": [tmp_path / "x.wav"]}
    sync.run(
        timecode=tmp_path / "timecode.json",
        actors=["001"],
        **files,
        out=tmp_path / "sync.json",
        options=sync.config.Sync(),
    )
    found = read_json(tmp_path / "sync.json")["performances"][0]
    assert found["audio"]["start"] - found["face"]["start"] == pytest.approx(50 / rate, abs=1.1 / 48_000)


def live_link(path, base: int, frames: int = 182) -> None:
    """A Live Link Face recording at 30 fps whose timecode counts at `base`, weights that rise to 1."""
    codes = [format_timecode(36_000 + k / 30, base) for k in range(frames)]
    rows = [",".join([code, "61", *[f"{k / (frames - 1):.6f}"] * 52]) for k, code in enumerate(codes)]
    path.write_text("\n".join([",".join(["Timecode", "BlendShapeCount", *NAMES_52]), *rows]) + "\n")


def test_a_live_link_recording_counts_at_the_rate_of_its_entry(take):
    """And the stages that read it after sync count alike."""
    path = take / "20260101_001_001.csv"
    live_link(path, 30)
    with pytest.raises(
        InputError,
        match=r"actor 001: 20260101_001_001.csv would have lost 180 of 362 frames at .* check timecode_rate",
    ):
        stream_clocks.face_stream(path, {}, "take 7, actor 001")
    found = stream_clocks.face_stream(path, {"timecode_rate": 30}, "take 7, actor 001")
    assert (
        found["dropped"] == 0
        and found["rate"] == pytest.approx(30, rel=1e-6)
        and found["start"] == pytest.approx(36_000)
    )
    edit_json(take, lambda v: v.update(face={"001": {"timecode_rate": 30}}))
    changed = [
        take / "20260101_001_001.csv" if str(a).endswith("001_001.mesh.h5") else a for a in arguments(take)
    ]
    sync.main([str(a) for a in changed])
    out = {"out": take / "out" / "x.npy", "out_report": take / "out" / "x.json"}
    blendshapes.run(
        face=path,
        rig=None,
        sync=take / "out" / "sync.json",
        performance="20260101_001_001",
        **out,
        options=sync.config.Blendshapes(),
    )
    start = read_json(take / "out" / "sync.json")["start_seconds"]
    assert np.load(out["out"])[[0, 60], 0] == pytest.approx(
        (start - 36_000 + np.array([0, 2])) * 30 / 181, abs=1e-3
    )


def test_a_mesh_and_its_entry_must_count_alike(take):
    path = take / "20260101_001_001.mesh.h5"
    with pytest.raises(InputError, match="its timecode_rate is 60, timecode.json says 30; correct one"):
        stream_clocks.face_stream(path, {"timecode_rate": 30}, "take 7, actor 001")
    assert stream_clocks.face_stream(path, {"timecode_rate": 60}, "take 7, actor 001")["timecode_rate"] == 60


def test_columns_of_the_table_stand_apart():
    """Seven words of figures in each row, at the largest that a recording can show."""
    stream = {
        "start": 86_486.1234,
        "end": 90_000.0,
        "rate": 192_000.1234,
        "drift_ppm": -1234.5,
        "dropped": 12345,
        "duplicates": 12345,
    }
    stream |= {"jitter_ms": 1234.567, "residual_ms": 1234.567, "source": "bext"}
    take = {"start_seconds": 172_000.0, "performances": [{"actor": "001", "audio": stream}]}
    head, row = sync.table(take)
    figures = [
        "86486.1234",
        "85513.8766",
        "192000.1234",
        "-1234.5",
        "ppm",
        "12345",
        "12345",
        "1234.567",
        "ms",
        "1234.567",
        "ms",
    ]
    assert row.split() == ["001", "audio", *figures, "bext"]
    assert head.index("known by") == row.index("bext")


def test_the_picture_shows_its_axis_label(shoot, take, monkeypatch):
    from pipeline.figures import figure as report_figure

    sync.main([str(a) for a in arguments(take)])
    seen = {}

    def save(figure, path):
        figure.canvas.draw()
        seen["label"], seen["figure"] = figure.axes[0].xaxis.label.get_window_extent(), figure.bbox

    monkeypatch.setattr(report_figure, "save", save)
    sync.draw(take / "x.png", read_json(take / "out" / "sync.json"))
    assert seen["label"].y0 >= 0 and seen["label"].y1 <= seen["figure"].y1


def test_commands_that_cannot_be_met_stop_with_one_line(take, capsys):
    out = [take / "out" / "sync.json"]
    refused(
        sync.main,
        [*arguments(take), "--rig", "one.npz"],
        capsys,
        "got 1 --rig, need one for each actor",
        outputs=out,
    )
    refused(
        sync.main,
        [*arguments(take), "--out-picture", take / "x.xyz"],
        capsys,
        "x.xyz: got a picture .xyz, need .png",
        outputs=[*out, take / "x.xyz"],
    )
    refused(
        sync.main,
        [*arguments(take), "--out-picture", take],
        capsys,
        "is a folder, need the name of a file",
        outputs=out,
    )
    refused(
        sync.main,
        [*arguments(take), "--out", take],
        capsys,
        "is a folder, need the name of a file",
        outputs=out,
    )
    refused(
        sync.main,
        [*arguments(take), "--out", take / "timecode.json" / "x.json"],
        capsys,
        "timecode.json is a file, need a folder",
    )


def stereo(take):
    soundfile.write(take / "ltc.wav", np.zeros((48_000, 2)), 48_000)
    edit_json(take, lambda v: v.update(audio={"002": {"ltc": "ltc.wav"}}))


@pytest.mark.parametrize(
    ("spoil", "needles"),
    [
        (
            lambda t: edit_json(t, lambda v: v.update(audio={"002": {"ltc": ""}})),
            ["actor 002", "ltc ''", "name of a WAV beside it"],
        ),
        (
            lambda t: edit_json(t, lambda v: v.update(audio={"002": {"ltc": "../x.wav"}})),
            ["actor 002", "ltc '../x.wav'"],
        ),
        (lambda t: edit_json(t, lambda v: v.update(audio={"002": {"ltc": ".."}})), ["actor 002", "ltc '..'"]),
        (
            lambda t: edit_json(t, lambda v: v.update(audio={"002": {"ltc": "x.wav"}})),
            ["actor 002", "x.wav: no such file, but audio.ltc"],
        ),
        (stereo, ["actor 002", "ltc.wav: 2 channels, need the LTC alone"]),
        (
            lambda t: edit_json(t, lambda v: v.update(audio={"002": {"rate": 48_000}})),
            ["actor 002: unknown key 'rate' under audio", "audio has start"],
        ),
        (
            lambda t: edit_json(t, lambda v: v["body"]["002"].update(strat="x")),
            ["actor 002: unknown key 'strat' under body", "did you mean 'start'?"],
        ),
    ],
)
def test_entries_that_would_not_be_read_stop_with_one_line(take, capsys, spoil, needles):
    spoil(take)
    refused(sync.main, arguments(take), capsys, *needles, outputs=[take / "out" / "sync.json"])


def test_a_start_that_is_not_used_and_far_off_is_told(take, caplog):
    edit_json(
        take,
        lambda v: v.update(audio={"001": {"start": "10:00:09:00"}}, face={"002": {"start": "10:00:08:00"}}),
    )
    sync.main([str(a) for a in arguments(take)])
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 2
    assert "actor 001: start under audio in timecode.json says 36009.000 s, bext 3600" in warned[0]
    assert (
        "actor 002: start under face in timecode.json says 36008.000 s, the face's own timecode 3600"
        in warned[1]
    )
