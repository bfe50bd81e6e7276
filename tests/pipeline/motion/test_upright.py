from dataclasses import replace
from pathlib import Path

import labels as played_takes
import numpy as np
import pytest
import up_axis
from helpers.commands import without_marks
from helpers.tiny_release import make_release

from pipeline.annotate import actions, contacts, facing
from pipeline.annotate.actions import label_actions
from pipeline.annotate.contacts import find_contacts
from pipeline.annotate.facing import label_facing
from pipeline.annotate.quality import warnings_of
from pipeline.capture import body
from pipeline.config import ReleaseIn
from pipeline.errors import InputError
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.motion import rotations, upright
from pipeline.motion.motion import Motion
from pipeline.motion.pose import encode
from pipeline.motion.skeleton import forward_kinematics
from pipeline.reading import read_json
from pipeline.release import ingest
from pipeline.release.check import inspect
from pipeline.run_report import warnings_kept

RECORDING = Path(__file__).parents[2] / "recordings" / "cmu_01_03.bvh"
FIELD = Path(__file__).parents[4] / "shared" / "field" / "z-up" / "walk_zup.bvh"
CONVENTIONS = [(axis, rest_too) for axis in upright.AXES if axis != "y" for rest_too in (False, True)]


@pytest.fixture(scope="module")
def pair() -> list[Motion]:
    """Both bodies of a simulated take at 30 fps, y up."""
    return played_takes.play(40, 12.0).every(4).motions


def stood_and_told(motions: list[Motion], up: str = "auto") -> tuple[list[Motion], list[str]]:
    """Bodies a and b of a room, and the warnings."""
    with warnings_kept() as lines:
        return upright.stand(motions, up, wheres=["a", "b"][: len(motions)], key="body.up"), lines


def sides_exchanged(motion: Motion) -> Motion:
    return replace(
        motion,
        names=[
            name.replace("Left", "?").replace("Right", "Left").replace("?", "Right") for name in motion.names
        ],
    )


@pytest.mark.parametrize("axis, rest_too", CONVENTIONS)
def test_a_body_of_any_convention_is_turned_and_labelled_as_along_y(pair, axis, rest_too):
    written = [up_axis.in_convention(motion, axis, rest_too=rest_too) for motion in pair]
    stood, lines = stood_and_told(written)
    assert [f"{name}: the body stands along {axis}" in line for name, line in zip("ab", lines)] == [
        True,
        True,
    ] and len(lines) == 2
    for motion, own, other in zip(pair, stood, written):
        assert upright.judge_up(other).axis == axis
        assert np.abs(forward_kinematics(own)[0] - forward_kinematics(motion)[0]).max() < 1e-9, (
            "the way back is the shortest turn, as there"
        )
        np.testing.assert_array_equal(label_actions(own), label_actions(motion))
        np.testing.assert_allclose(own.offsets_cm, motion.offsets_cm, atol=1e-9)
        for mine, theirs in zip(encode(own), encode(motion)):  # what models see
            np.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert all((mine == theirs).all() for mine, theirs in zip(label_facing(stood), label_facing(pair)))
    assert find_contacts(stood) == find_contacts(pair)


@pytest.mark.parametrize("heading", [0.0, 1.0, 2.5, 4.0])
def test_bodies_with_y_up_stay_the_same_object(pair, heading):
    recorded = load_bvh(RECORDING)
    for motion in [
        *pair,
        recorded,
        *(up_axis.on_the_floor(motion) for motion in pair),
        up_axis.moved(pair[0], [300.0, -95.0, 80.0]),
    ]:
        motion = up_axis.spun(motion, rotations.about("y", heading))
        for part in (motion, motion.frames(slice(0, 60))):
            (same,), lines = stood_and_told([part])
            assert same is part and lines == []


@pytest.mark.parametrize("heading", [0.0, 0.5, 1.5, 3.0])
def test_people_who_lie_are_not_stood_up(pair, heading):
    lain = [up_axis.lying(pair[0], roll=roll) for roll in (0.0, 1.4)] + [
        up_axis.lying(pair[0].frames(np.zeros(60, int)))
    ]
    for motion in lain:
        motion = up_axis.spun(motion, rotations.about("y", heading))
        (same,), lines = stood_and_told([motion])
        assert same is motion and all(
            "not clear which axis is up" in line and "set body.up" in line for line in lines
        )
    assert lines, "a body that lies still may as well stand in a file with another axis up"


def test_a_body_in_doubt_goes_with_the_other_one_of_its_room(pair):
    still = up_axis.spun(up_axis.lying(pair[0].frames(np.zeros(60, int))), rotations.about("y", np.pi / 2))
    stood, lines = stood_and_told([still, pair[1]])
    assert stood[0] is still and lines == []
    written = [up_axis.in_convention(motion, "z", rest_too=False) for motion in (still, pair[1])]
    stood, lines = stood_and_told(written)
    assert np.abs(forward_kinematics(stood[0])[0] - forward_kinematics(still)[0]).max() < 1e-9
    with pytest.raises(
        InputError, match="a along z, b along y: two bodies of one room stand along different axes"
    ):
        stood_and_told([up_axis.in_convention(pair[0], "z", rest_too=True), pair[1]])


def test_what_the_user_says_goes_first_without_a_word(pair):
    written = up_axis.in_convention(pair[0], "z", rest_too=True)
    for up, expected in (("z", pair[0]), ("y", written)):
        (stood,), lines = stood_and_told([written], up)
        assert (
            lines == []
            and np.abs(forward_kinematics(stood)[0] - forward_kinematics(expected)[0]).max() < 1e-9
        )


def test_a_body_that_lacks_what_is_looked_at_is_taken_for_y(pair, caplog):
    headless = replace(pair[0], names=["Lamp" if name == "Head" else name for name in pair[0].names])
    blank = replace(pair[0], rotations=np.full_like(pair[0].rotations, np.nan))
    with caplog.at_level("INFO"):
        for motion, why in ((headless, "without the joints Head"), (blank, "without a frame free of NaN")):
            (same,), lines = stood_and_told([motion])
            assert same is motion and lines == [] and why in caplog.text
    gaps = up_axis.in_convention(pair[0], "z", rest_too=False)
    gaps.rotations[50:60] = np.nan
    assert upright.judge_up(gaps).axis == "z"


def test_left_and_right_exchanged_is_told(pair):
    for motion in [*pair, load_bvh(RECORDING)]:
        assert not upright.is_mirrored(motion) and upright.is_mirrored(sides_exchanged(motion))
    flipped = rotations.about("x", np.pi)
    assert upright.is_mirrored(sides_exchanged(up_axis.spun(up_axis.spun(pair[0], flipped), flipped)))
    (_,), lines = stood_and_told([sides_exchanged(pair[0])])
    assert len(lines) == 1 and "left and right are exchanged" in lines[0]


def test_angles_in_radians_are_told(pair, tmp_path, caplog):
    save_bvh(tmp_path / "a.bvh", pair[0])
    head, _, rows = (tmp_path / "a.bvh").read_text().partition("Frame Time: 0.0333333333\n")
    table = np.loadtxt(rows.splitlines())
    with caplog.at_level("WARNING"):
        load_bvh(tmp_path / "a.bvh")
        assert "radians" not in caplog.text
        columns = np.arange(table.shape[1]) >= 3
        np.savetxt(tmp_path / "rows", np.where(columns, np.radians(table), table), fmt="%.6f")
        (tmp_path / "a.bvh").write_text(head + "Frame Time: 0.0333333333\n" + (tmp_path / "rows").read_text())
        load_bvh(tmp_path / "a.bvh")
    assert "no angle is larger than 2 pi: are they radians?" in caplog.text


def test_stages_on_files_alone_judge_and_obey_the_flag(pair, tmp_path):
    def labels_of(axis, *flags):
        paths = []
        for actor, motion in zip(("001", "002"), pair):
            paths.append(str(tmp_path / f"20260101_{actor}_001.bvh"))
            save_bvh(paths[-1], up_axis.in_convention(motion, axis, rest_too=False))
        outs = [str(tmp_path / f"{k}.npy") for k in range(4)]
        actions.main(["--bvh", *paths, "--out", *outs[:2], *flags])
        facing.main(["--bvh", *paths, "--out", *outs[2:], *flags])
        contacts.main(["--bvh", *paths, "--out", str(tmp_path / "c.json"), *flags])
        return [np.load(out).tolist() for out in outs], read_json(tmp_path / "c.json")

    right = labels_of("y")
    assert labels_of("z") == right and labels_of("x-down", "--up", "x-down") == right
    assert labels_of("z", "--up", "y")[0] != right[0]


def test_a_download_with_another_axis_up_is_found_turned_and_named(pair, tmp_path):
    folder = tmp_path / "interact"
    make_release(folder, num_takes=1, seconds=3.0, num_simulated=1)
    paths = sorted((folder / "bvhs").glob("*.bvh"))
    good = [load_bvh(path, unit="cm") for path in paths]
    assert not [finding for finding in inspect(folder, ReleaseIn()) if finding.kind]
    for path, motion in zip(paths, good):
        save_bvh(path, up_axis.in_convention(motion, "z", rest_too=True))
    found = [str(finding) for finding in inspect(folder, ReleaseIn()) if finding.kind]
    assert found == [f"bvhs/{path.name}: up: got a body that stands along z, need y" for path in paths]
    assert not [finding for finding in inspect(folder, ReleaseIn(up="z")) if finding.kind]
    names = [path.stem for path in paths]
    streams = {
        key: [folder / kind / f"{name}{end}" for name in names]
        for key, kind, end in (("face", "face_arkit", ".npy"), ("wav", "wav", ".wav"))
    }
    outs = {
        f"out_{key}": tmp_path / "out" / name
        for key, name in (("bvh", "b.bvh"), ("face", "f.npy"), ("wav", "v.wav"), ("report", "r.json"))
    }
    (tmp_path / "out").mkdir()
    with warnings_kept():
        ingest.run(bvh=paths, **streams, **outs, options=ReleaseIn())
    taken = load_bvh(tmp_path / "out" / "b.bvh")
    assert np.abs(forward_kinematics(taken)[0] - forward_kinematics(good[0])[0]).max() < 1e-3
    report = read_json(tmp_path / "out" / "r.json")
    assert list(warnings_of({"release_in": {names[0]: report}}, [])) == [
        f"{paths[0]}: the body stands along z, not y; it is turned to stand along y (set release_in.up to"
        " silence this)"
    ]


def test_stage_body_gives_the_dataset_the_body_as_along_y(shoot, captured, tmp_path):
    name = "20260101_001_001"
    good, path, out, report = (
        shoot.folder / "20260101_001" / f"{name}.bvh",
        tmp_path / f"{name}.bvh",
        tmp_path / "x.bvh",
        tmp_path / "x.json",
    )
    sync = without_marks(captured / "annotations" / "sync" / "20260101_001.json", tmp_path / "sync.json")

    def taken(*flags):
        outs = ["--out", out, "--out-report", report]
        body.main(
            [str(word) for word in ["--bvh", path, "--sync", sync, "--performance", name, *outs, *flags]]
        )
        return forward_kinematics(load_bvh(out, unit="cm"))[0], read_json(report)

    save_bvh(path, load_bvh(good))
    along_y, about = taken()
    assert not [line for line in about["warnings"] if "stand" in line]
    save_bvh(path, up_axis.in_convention(load_bvh(good), "z", rest_too=True))
    for flags, told in (((), 1), (("--up", "z"), 0)):
        found, about = taken(*flags)
        assert np.abs(found - along_y).max() < 1e-3
        assert (
            sum(
                "the body stands along z, not y; it is turned" in line
                for line in warnings_of({"body": {name: about}}, [])
            )
            == told
        )


@pytest.mark.skipif(not FIELD.exists(), reason="the field's inputs are not here")
def test_the_fields_walk_along_z():
    motion = load_bvh(FIELD)
    (stood,), lines = stood_and_told([motion])
    assert np.bincount(label_actions(stood), minlength=3).tolist() == [0, 375, 0] and len(lines) == 1


def test_defaults_are_those_of_the_config():
    from typing import get_args

    from pipeline.config import Up

    assert get_args(Up) == upright.CHOICES and ReleaseIn().up == "auto"
