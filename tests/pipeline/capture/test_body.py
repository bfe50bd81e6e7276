import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import refused, without_marks
from helpers.tiny_shoot import ACTORS, BONES, Truth, make_motion

from pipeline.annotate import actions, facing
from pipeline.capture import body
from pipeline.errors import InputError
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.motion import rotations
from pipeline.motion.joints import RELEASE_JOINTS, RELEASE_PARENTS
from pipeline.motion.skeleton import forward_kinematics, hips_frame
from pipeline.reading import read_json

NAME = "20260101_001_001"


def turning(num_frames=240, rate=120.0):
    """Constant-speed motion and its truth."""
    rng = np.random.default_rng(3)
    truth = Truth(
        {}, rng.normal(0, 50, (2, 3)), rng.normal(0, 0.7, (2, len(BONES), 3)), np.zeros((2, 51)), np.zeros(0)
    )
    seconds = 36_000 + np.arange(num_frames) / rate
    return truth, replace(make_motion(truth, seconds), fps=rate), seconds


def angles(a: np.ndarray, b: np.ndarray) -> float:
    return float(
        np.linalg.norm(rotations.to_expmap(rotations.multiply(rotations.inverse(a), b)), axis=-1).max()
    )


@pytest.mark.parametrize("rate", [60.0, 100.0, 119.88, 120.0])
@pytest.mark.parametrize("offset", [0.0, 0.1, 0.00417, 1 / 3])
def test_constant_speed_is_resampled_exactly(rate, offset):
    truth, motion, seconds = turning(int(2 * rate), rate)
    times = 36_000 + offset + np.arange(40) / 30
    result, mended = body.resample(motion, seconds, times, max_gap_seconds=0.1, where="x")
    assert mended == 0 and result.fps == pytest.approx(30) and result.num_frames == 40
    assert angles(result.rotations, truth.rotations_at(times)) < 1e-6
    assert np.allclose(result.positions_cm[:, 0], truth.hips_at(times), atol=1e-6)
    assert np.allclose(result.positions_cm[:, 1:], motion.offsets_cm[1:])


def test_decimation_in_step_takes_every_fourth_frame():
    rng = np.random.default_rng(0)
    _, motion, seconds = turning()
    motion.rotations[:] = rotations.normalise(rng.normal(size=motion.rotations.shape))
    motion.positions_cm[:, 0] = 50 * np.sin(2 * np.pi * 1.5 * seconds[:, None] + np.arange(3))
    result, _ = body.resample(motion, seconds, seconds[8:200:4], max_gap_seconds=0.1, where="x")
    assert angles(result.rotations, motion.rotations[8:200:4]) < 1e-6
    assert np.abs(result.positions_cm - motion.positions_cm[8:200:4]).max() < 0.05, (
        "what 30 fps can carry passes the low-pass"
    )


@pytest.mark.parametrize(
    ("first", "count", "used"),
    [(100, 1, 1), (100, 12, 12), (8, 5, 5), (0, 8, 0), (160, 12, 12), (169, 12, 0)],
)
def test_nan_rows_are_bridged_and_counted(first, count, used):
    """In the window's middle, over its first frame (8), before it, and over its last frame (164)."""
    truth, motion, seconds = turning()
    times = seconds[8] + np.arange(40) / 30
    motion.rotations[first : first + count, 3] = np.nan
    result, mended = body.resample(motion, seconds, times, max_gap_seconds=0.1, where="x")
    assert mended == used
    assert (
        angles(result.rotations, truth.rotations_at(times)) < 1e-6 and np.isfinite(result.positions_cm).all()
    )


def test_longer_runs_of_nan_are_refused():
    _, motion, seconds = turning()
    motion.positions_cm[100:113, 0, 1] = np.nan
    with pytest.raises(InputError, match="take 7: no usable frame for 0.117 s after 36000.825 s"):
        body.resample(motion, seconds, seconds[8] + np.arange(40) / 30, max_gap_seconds=0.1, where="take 7")
    assert (
        body.resample(motion, seconds, seconds[8] + np.arange(40) / 30, max_gap_seconds=0.11, where="x")[1]
        == 13
    )


def release_body():
    """A body with the release's 60 joints and two props."""
    names = ["Reference", *RELEASE_JOINTS, "Prop"]
    parents = [
        -1,
        *(
            0 if RELEASE_PARENTS[name] is None else names.index(RELEASE_PARENTS[name])
            for name in RELEASE_JOINTS
        ),
        0,
    ]
    _, motion, _ = turning(3)
    offsets = np.random.default_rng(0).normal(0, 10, (62, 3))
    turned = np.tile([0, 0, 0, 1.0], (3, 62, 1))
    return replace(
        motion,
        names=names,
        parents=np.array(parents),
        offsets_cm=offsets,
        positions_cm=np.repeat(offsets[None], 3, 0),
        rotations=turned,
        ends_cm={},
        orders=None,
    )


def test_joints_of_the_dataset():
    motion = release_body()
    assert body.dataset_joints(motion, None) == RELEASE_JOINTS
    assert body.dataset_joints(motion, ["Hips", "Head"]) == ["Hips", "Head"]
    fewer = [name for name in motion.names if name not in ("Prop", "LeftHandThumb3")]
    small = body.keep_joints(motion, fewer)
    assert body.dataset_joints(small, None) == fewer[1:], (
        "all from the hips down where the release's are not complete"
    )
    with pytest.raises(InputError, match="no hips among the joints a, b"):
        body.dataset_joints(replace(motion, names=list("ab"), parents=np.array([-1, 0])), None)


def test_the_dataset_has_the_truth(shoot, captured):
    for take in ("20260101_001", "20260101_002"):
        about = read_json(captured / "annotations" / "sync" / f"{take}.json")
        times = about["start_seconds"] + np.arange(about["frames"]) / 30
        for actor in ACTORS:
            name = f"20260101_{actor}_{take[-3:]}"
            motion = load_bvh(captured / "dataset" / "bvhs" / f"{name}.bvh", unit="cm")
            assert motion.fps == 30 and motion.num_frames == about["frames"] and motion.names == list(BONES)
            expected = make_motion(shoot.truth[name], times)
            assert (
                motion.orders == expected.orders
                and np.abs(forward_kinematics(motion)[0] - forward_kinematics(expected)[0]).max() < 1e-3
            )


@pytest.fixture
def work(shoot, captured, tmp_path):
    """A BVH of the shoot, to spoil, and the command that reads it."""
    path = shutil.copy(shoot.folder / "20260101_001" / f"{NAME}.bvh", tmp_path / f"{NAME}.bvh")
    sync = without_marks(captured / "annotations" / "sync" / "20260101_001.json", tmp_path / "sync.json")
    out, report = tmp_path / "out" / "x.bvh", tmp_path / "report" / "x.json"
    return (
        path,
        ["--bvh", path, "--sync", sync, "--performance", NAME, "--out", out, "--out-report", report],
        [out, report],
    )


def test_command_line_mends_what_is_short_and_says_so(work, caplog):
    path, arguments, (out, report) = work
    motion = load_bvh(path, unit="cm")
    motion.rotations[200:206] = np.nan
    motion.positions_cm[200:206, 0] = np.nan
    save_bvh(path, motion)
    with caplog.at_level("WARNING"):
        body.main([str(a) for a in arguments])
    found = read_json(report)
    quality, warned = found.pop("quality"), found.pop("warnings")
    frames = load_bvh(out, unit="cm").num_frames
    assert found.pop("missing_joints") == [name for name in RELEASE_JOINTS if name not in BONES]
    assert found == {
        "performance": NAME,
        "frames": frames,
        "joints": 16,
        "nan_rows_interpolated": 6,
        "reference_pose_replaced": False,
        "made_of": {},
    }
    assert warned == [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    nan = [fault for fault in quality["faults"] if fault["kind"] == "nan"]
    assert quality["counts"]["nan"] == 1 and (nan[0]["first"], nan[0]["stop"], nan[0]["seconds"]) == (
        200,
        206,
        0.05,
    )
    assert "actor 001" in caplog.text and "6 rows with NaN were interpolated" in caplog.text
    body.main([str(a) for a in [*arguments, "--joints", json.dumps(["Hips", "LeftUpLeg", "LeftLeg"])]])
    assert load_bvh(out, unit="cm").names == ["Hips", "LeftUpLeg", "LeftLeg"]


def test_a_lone_spike_is_mended_and_reported_in_the_recordings_frames(work):
    path, arguments, (out, report) = work
    body.main([str(a) for a in arguments])
    clean = load_bvh(out, unit="cm")
    motion = load_bvh(path, unit="cm")
    # a frame that the dataset takes as it is, or nearly so: unmended, its spike would be in the output
    sync = read_json(arguments[3])
    stream = next(p["body"] for p in sync["performances"] if p["actor"] == "001")
    t = round((sync["start_seconds"] + 40 / 30 - stream["start"]) * stream["rate"])
    motion.rotations[t, 2] = rotations.multiply(motion.rotations[t, 2], rotations.about("x", np.array(0.6)))
    save_bvh(path, motion)
    body.main([str(a) for a in [*arguments, "--mend-flicker", "false"]])
    assert angles(load_bvh(out, unit="cm").rotations, clean.rotations) > 0.05
    assert not any(fault["mended"] for fault in read_json(report)["quality"]["faults"])
    body.main([str(a) for a in arguments])
    spikes = [fault for fault in read_json(report)["quality"]["faults"] if fault["kind"] == "flicker"]
    assert [(f["joint"], f["first"], f["stop"], f["mended"]) for f in spikes] == [
        (motion.names[2], t, t + 1, True)
    ]
    assert spikes[0]["start_seconds"] == pytest.approx(40 / 30, abs=0.005) and spikes[0][
        "value"
    ] == pytest.approx(np.rad2deg(0.6), abs=0.5)
    assert angles(load_bvh(out, unit="cm").rotations, clean.rotations) < 1e-3


def test_a_reference_pose_in_the_first_frame_gives_way_to_the_second():
    _, motion, _ = turning()
    motion.rotations[0] = [0, 0, 0, 1]
    held, found = body.without_reference(motion)
    assert (
        found
        and np.array_equal(held.rotations, motion.rotations[[1, *range(1, motion.num_frames)]])
        and held.num_frames == motion.num_frames
    )
    same, found = body.without_reference(motion.frames(slice(1, None)))
    assert not found and np.isfinite(same.rotations).all()


def test_joints_are_renamed_by_a_map(work, tmp_path, capsys):
    path, arguments, (out, _) = work
    motion = load_bvh(path, unit="cm")
    save_bvh(path, replace(motion, names=[{"Hips": "Bottom"}.get(name, name) for name in motion.names]))
    table = tmp_path / "map.tsv"
    table.write_text("theirs\tours\nBottom\tHips\n")
    body.main([str(a) for a in [*arguments, "--joint-map", table]])
    assert load_bvh(out, unit="cm").names == motion.names
    out.unlink()
    table.write_text("theirs\tours\nTail\tHips\n")
    refused(
        body.main,
        [*arguments, "--joint-map", table],
        capsys,
        "take 20260101_001, actor 001",
        "the body has no joints Tail",
        outputs=[out],
    )


def test_a_folder_in_the_place_of_an_output_stops_with_one_line(work, capsys):
    _, arguments, (out, report) = work
    out.mkdir(parents=True)
    refused(
        body.main,
        arguments,
        capsys,
        f"{out}: is a folder, need the name of a file to write",
        outputs=[report],
    )


def test_joints_that_a_map_leaves_out_are_listed_with_what_follows(work, tmp_path, caplog):
    path, arguments, (_, report) = work
    motion = load_bvh(path, unit="cm")
    save_bvh(
        path,
        replace(
            motion,
            names=[{"RightLeg": "Wheel", "Head": "Lamp"}.get(name, f"x{name}") for name in motion.names],
        ),
    )
    table = tmp_path / "map.tsv"
    table.write_text(
        "theirs\tours\n"
        + "".join(f"x{name}\t{name}\n" for name in motion.names if name not in ("RightLeg", "Head"))
    )
    with caplog.at_level("WARNING"):
        body.main([str(a) for a in [*arguments, "--joint-map", table]])
    missing = read_json(report)["missing_joints"]
    assert missing == [name for name in RELEASE_JOINTS if name not in BONES or name in ("RightLeg", "Head")]
    lines = caplog.text.splitlines()
    assert (
        sum(
            f"actor 001: {NAME}.bvh: the body lacks {len(missing)} of the dataset's 60 joints: " in line
            for line in lines
        )
        == 1
    )
    assert all(name in caplog.text for name in missing)
    assert any("actions will stop, for it needs the joints RightLeg;" in line for line in lines)
    assert any("facing will stop, for it needs the joints Head;" in line for line in lines)
    assert "features will stop" not in caplog.text


def test_joints_that_later_stages_need_are_those_that_they_ask_for():
    """A body that has what a stage is said to need gets through it; without any one of them it stops."""
    motion = release_body()
    calls = {
        "actions": lambda m: actions.label_actions(m),
        "facing": lambda m: facing.looks(m),
        "features": lambda m: hips_frame(m.names, m.offsets_cm),
    }
    assert set(calls) == set(body.NEEDED_JOINTS)
    for stage_name, names in body.NEEDED_JOINTS.items():
        for absent in names:
            spoilt = replace(motion, names=["Foo" if name == absent else name for name in motion.names])
            missing, lines = body.lacking(spoilt, None, spoilt)
            assert missing == [absent] and any(line.startswith(f"{stage_name} will stop") for line in lines)
            with pytest.raises(InputError, match=f"joints not found: .*{absent}"):
                calls[stage_name](spoilt)
    assert body.lacking(motion, None, motion) == ([], [])
    assert body.lacking(motion, ["Hips"], replace(motion, names=["Foo"] * 62))[0] == []


def frames(claimed):
    def change(text):
        head, _, tail = text.partition("Frames: ")
        return f"{head}Frames: {claimed}\n{tail.partition(chr(10))[2]}"

    return change


def nan_rows(first, count):
    def change(text):
        lines = text.split("\n")
        start = next(i for i, line in enumerate(lines) if line.startswith("Frame Time")) + 1 + first
        lines[start : start + count] = [" ".join(["NaN"] * len(lines[start].split()))] * count
        return "\n".join(lines)

    return change


@pytest.mark.parametrize(
    ("change", "needles"),
    [
        (frames(9999), ["'Frames: 9999' but 420 rows follow"]),
        (frames(12), ["'Frames: 12' but 420 rows follow"]),
        (lambda text: "", ["no HIERARCHY and MOTION"]),
        (lambda text: "\xe9\u4e2d" * 500, ["no HIERARCHY and MOTION"]),
        (lambda text: text[: len(text) // 2], ["rows follow", "correct the header"]),
        (nan_rows(100, 13), ["take 20260101_001, actor 001", "no usable frame for 0.117 s", "at most 0.1 s"]),
        (nan_rows(0, 420), ["take 20260101_001, actor 001", "cover no s"]),
        (
            lambda text: text.replace("Hips", "Bottom"),
            ["take 20260101_001, actor 001", "no hips among the joints"],
        ),
    ],
)
def test_bad_input_stops_with_one_line(work, capsys, change, needles):
    path, arguments, outputs = work
    path.write_text(change(path.read_text()))
    refused(body.main, arguments, capsys, f"{NAME}.bvh", *needles, outputs=outputs)


@pytest.mark.parametrize(
    ("option", "needle"),
    [
        (["--unit", "feet"], "option --unit: got 'feet'"),
        (["--joints", '["Hips", "Tail"]'], "joints not found: Tail"),
        (["--joints", '["Spine", "Hips"]'], "need each joint once and after its parent"),
        (["--performance", "20260101_009_001"], "the take's actors are 001, 002"),
        (["--performance", "x"], "need <date>_<actor>_<scenario>"),
    ],
)
def test_bad_options_stop_with_one_line(work, capsys, option, needle):
    _, arguments, outputs = work
    refused(body.main, [*arguments, *option], capsys, needle, outputs=outputs)
