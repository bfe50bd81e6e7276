import logging
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from helpers.bodies import example
from helpers.tiny_shoot import ORDERS

from pipeline.errors import InputError
from pipeline.formats import bvh
from pipeline.formats.bvh import (
    count_frames,
    first_frame_is_reference,
    load_bvh,
    read_header,
    read_names,
    save_bvh,
    save_bvh_parts,
)
from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics

SMALL = """HIERARCHY
ROOT pre:Hips
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT pre:Spine
  {
    OFFSET 0 10 0
    CHANNELS 4 Yposition Xrotation Zrotation Yrotation
    End Site
    {
      OFFSET 0 5 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0083333
0 90 0 0 90 0 12 0 0 0
10 90 0 0 90 0 13 90 0 0
"""


def write(tmp_path, text, name="x.bvh"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def same(a: Motion, b: Motion) -> float:
    assert (
        a.names == b.names
        and a.orders == b.orders
        and a.free == b.free
        and np.array_equal(a.parents, b.parents)
    )
    assert set(a.ends_cm) <= set(b.ends_cm)
    distance = max(np.abs(a.offsets_cm - b.offsets_cm).max(), np.abs(a.positions_cm - b.positions_cm).max())
    turned = rotations.to_expmap(rotations.multiply(rotations.inverse(a.rotations), b.rotations))
    return max(distance, np.abs(turned).max())


def test_round_trip(tmp_path):
    motion = example()
    save_bvh(tmp_path / "a.bvh", motion)
    again = load_bvh(tmp_path / "a.bvh", unit="cm")
    assert len(set(again.orders)) == 6 and same(motion, again) < 1e-5
    assert all(np.allclose(again.ends_cm[j], tip) for j, tip in motion.ends_cm.items())
    assert np.abs(forward_kinematics(motion)[0] - forward_kinematics(again)[0]).max() < 1e-4
    save_bvh(tmp_path / "b.bvh", again)
    save_bvh(tmp_path / "c.bvh", again)
    assert (tmp_path / "b.bvh").read_bytes() == (tmp_path / "c.bvh").read_bytes()


def test_a_motion_in_parts_is_the_same_file(tmp_path):
    motion = example()
    save_bvh(tmp_path / "whole.bvh", motion)
    cuts = [slice(0, 1), slice(1, 4), slice(4, None)]
    save_bvh_parts(tmp_path / "parts.bvh", map(motion.frames, cuts), motion.num_frames)
    assert (tmp_path / "parts.bvh").read_bytes() == (tmp_path / "whole.bvh").read_bytes()
    with pytest.raises(ValueError, match="got parts of 1 frames"):
        save_bvh_parts(tmp_path / "x.bvh", map(motion.frames, cuts[:1]), motion.num_frames)
    assert not (tmp_path / "x.bvh").exists()


def test_channels_are_read_in_each_joints_own_order(tmp_path):
    motion = load_bvh(write(tmp_path, SMALL), unit="cm")
    assert (
        motion.names == ["pre:Hips", "pre:Spine"]
        and motion.orders == ["zyx", "xzy"]
        and motion.aliases()["Hips"] == 0
    )
    assert np.allclose(rotations.rotate(motion.rotations[0, 0], np.array([0, 0, 1.0])), [1, 0, 0])
    assert np.allclose(motion.positions_cm[:, 0], [[0, 90, 0], [10, 90, 0]]), (
        "position channels replace OFFSET"
    )
    assert np.allclose(motion.positions_cm[:, 1], [[0, 12, 0], [0, 13, 0]]), (
        "one position channel replaces one axis"
    )
    assert (
        motion.free == {0, 1}
        and np.allclose(motion.offsets_cm, [[1, 2, 3], [0, 10, 0]])
        and np.allclose(motion.ends_cm[1], [0, 5, 0])
    )


@pytest.mark.parametrize("order", ORDERS)
def test_every_rotation_order(tmp_path, order):
    channels = " ".join(f"{axis.upper()}rotation" for axis in order)
    motion = load_bvh(write(tmp_path, SMALL.replace("Zrotation Yrotation Xrotation", channels)), unit="cm")
    single = rotations.about(order[1], np.deg2rad(90))  # the second rotation channel holds 90
    assert np.allclose(motion.rotations[0, 0], single)


@pytest.mark.parametrize(
    ("text", "fps"),
    [
        ("0.0083333", 120), (".0083333", 120), ("0.008333", 120), ("8.33333e-3", 120), ("0.0083333333", 120),
        ("0.033333", 30), ("0.0333333", 30), ("0.016667", 60), ("0.041667", 24), ("0.0333667", 30000 / 1001),
        ("0.033367", 30000 / 1001), ("0.0417083", 24000 / 1001), ("0.04", 25), ("0.03", 1 / 0.03),
        ("0.0333", 1 / 0.0333), ("0.033329", 1 / 0.033329), ("1", 1),
    ],
)  # fmt: skip
def test_frame_times_are_exact(tmp_path, text, fps):
    path = write(tmp_path, SMALL.replace("0.0083333", text))
    assert load_bvh(path, unit="cm").fps == pytest.approx(fps, rel=1e-12)
    assert read_header(path) == (2, load_bvh(path, unit="cm").fps)


@pytest.mark.parametrize("fps", [24, 24000 / 1001, 25, 30, 30000 / 1001, 59.94005994, 120, 240, 30.004, 33.3])
def test_frame_times_round_trip(tmp_path, fps):
    save_bvh(tmp_path / "x.bvh", replace(example(2), fps=fps))
    assert load_bvh(tmp_path / "x.bvh", unit="cm").fps == pytest.approx(fps, rel=1e-8)


def loosen(text: str) -> str:
    head, motion = text.split("MOTION")
    return (
        "\n\n"
        + head.replace(" ", "\t  ")
        + "MOTION\n\n"
        + motion.replace(": ", ":\t ").replace(" ", "   ").replace("\n", " \t\n")
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("\n", "\r\n"),
        lambda t: "\ufeff" + t,
        loosen,
        lambda t: t + "\n\n",
        lambda t: t.rstrip("\n"),
        lambda t: t.replace("10 90 0 0 90", "1e1 9.0E+1 -0.0 .0 90."),
        lambda t: t.replace("Spine", "MOTIONless"),
        lambda t: t.replace("End Site", "End site"),
        lambda t: t.replace("\n", "\r"),
        lambda t: t.replace("\n", "\r\r\n"),
        lambda t: t.replace("10 90 0 0 90", "+10 90 0 0 90"),
        lambda t: t.replace("0 90 0 0 90 0 12", "0 90 0 0 90 0 1.2E+01").replace(" 13 ", " 130e-1 "),
        lambda t: t.replace("\n  {", " {").replace("Hips\n{", "Hips {"),
        lambda t: (
            t.replace("HIERARCHY", "Hierarchy")
            .replace("ROOT", "Root")
            .replace("JOINT", "joint")
            .replace("OFFSET", "Offset")
        ),
        lambda t: (
            t.replace("CHANNELS", "channels")
            .replace("MOTION", "Motion")
            .replace("Frames:", "frames :")
            .replace("Frame Time:", "FRAME TIME:")
        ),
        lambda t: t.replace("Frames: ", "Frames:").replace("Frame Time: ", "Frame  Time:"),
        lambda t: t.replace("position", "Position").replace("rotation", "ROTATION"),
    ],
)
def test_the_same_motion_however_it_is_written(tmp_path, change):
    plain, changed = (
        load_bvh(write(tmp_path, SMALL, "a.bvh"), unit="cm"),
        load_bvh(write(tmp_path, change(SMALL), "b.bvh"), unit="cm"),
    )
    assert np.array_equal(plain.positions_cm, changed.positions_cm) and np.array_equal(
        plain.rotations, changed.rotations
    )
    assert plain.fps == changed.fps


@pytest.mark.parametrize("spelling", ["nan", "NaN", "-nan", "-nan(ind)", "1.#QNAN0", "-1.#IND00"])
def test_nan_stays_nan(tmp_path, spelling):
    motion = load_bvh(
        write(tmp_path, SMALL.replace("10 90 0 0 90 0 13", f"10 {spelling} 0 0 {spelling} 0 13")), unit="cm"
    )
    assert (
        np.isnan(motion.positions_cm[1, 0]).tolist() == [False, True, False]
        and np.isnan(motion.rotations[1, 0]).all()
    )
    assert np.isfinite(motion.rotations[:, 1]).all() and np.isfinite(motion.positions_cm[0]).all()
    save_bvh(tmp_path / "again.bvh", motion)
    again = load_bvh(tmp_path / "again.bvh", unit="cm")
    assert np.isnan(again.rotations[1, 0]).all() and np.isnan(again.positions_cm[1, 0, 1])


@pytest.mark.parametrize(("unit", "size"), list(bvh.UNITS_CM.items()))
@pytest.mark.parametrize("stature", [0.75, 1.0, 1.2])
def test_units_are_judged_by_the_bones(tmp_path, caplog, unit, size, stature):
    motion = example()
    scale = stature / size
    tips = {j: tip * scale for j, tip in motion.ends_cm.items()}
    save_bvh(
        tmp_path / "x.bvh",
        replace(
            motion,
            offsets_cm=motion.offsets_cm * scale,
            positions_cm=motion.positions_cm * scale,
            ends_cm=tips,
        ),
    )
    with caplog.at_level(logging.WARNING):
        judged = load_bvh(tmp_path / "x.bvh")
    tolerance = 1e-5 * size
    assert np.allclose(judged.offsets_cm, motion.offsets_cm * stature, atol=tolerance)
    assert np.allclose(judged.positions_cm, motion.positions_cm * stature, atol=tolerance)
    assert np.allclose(judged.ends_cm[3], motion.ends_cm[3] * stature, atol=tolerance)
    assert (f"unit is {unit}" in caplog.text) == (unit != "cm"), "a unit that is judged is told"
    assert np.array_equal(load_bvh(tmp_path / "x.bvh", unit=unit).positions_cm, judged.positions_cm)


@pytest.mark.parametrize("offset", [0.0, 0.01, 3.0])
def test_units_are_judged_by_the_channels_where_they_replace_the_offsets(tmp_path, caplog, offset):
    motion = example()
    positions = np.repeat(motion.offsets_cm[None], motion.num_frames, 0)
    positions[:, 0] = motion.positions_cm[:, 0]
    positions[0, 1:] = np.nan
    free = replace(
        motion,
        offsets_cm=motion.offsets_cm * offset,
        positions_cm=positions,
        free=frozenset(range(len(motion.names))),
    )
    save_bvh(tmp_path / "x.bvh", free)
    with caplog.at_level(logging.WARNING):
        judged = load_bvh(tmp_path / "x.bvh")
    assert np.allclose(judged.positions_cm[1:], positions[1:], atol=1e-5) and not caplog.text


@pytest.mark.parametrize(
    ("leg_cm", "told"), [(50, True), (57, False), (118, False), (130, True), (200, True)]
)
def test_bodies_of_no_humans_size_are_told_and_stay_in_the_nearest_unit(tmp_path, caplog, leg_cm, told):
    motion = example()
    found = motion.aliases()
    length = np.linalg.norm(motion.offsets_cm[found["LeftLeg"]]) + np.linalg.norm(
        motion.offsets_cm[found["LeftFoot"]]
    )
    motion = replace(
        motion, free=frozenset({0}), positions_cm=np.repeat(motion.offsets_cm[None], motion.num_frames, 0)
    )
    scale = leg_cm / length
    save_bvh(
        tmp_path / "x.bvh",
        replace(motion, offsets_cm=motion.offsets_cm * scale, positions_cm=motion.positions_cm * scale),
    )
    with caplog.at_level(logging.WARNING):
        judged = load_bvh(tmp_path / "x.bvh")
    assert np.allclose(judged.offsets_cm, motion.offsets_cm * scale, atol=1e-4)
    assert (
        (f"cm, the nearest, gives legs of {leg_cm}" in caplog.text and "set body.unit" in caplog.text)
        == told
        == bool(caplog.text)
    )
    caplog.clear()
    load_bvh(tmp_path / "x.bvh", unit="cm")
    assert not caplog.text, "a unit that is given is not doubted"


def test_unknown_unit_is_named(tmp_path):
    with pytest.raises(InputError, match="unit 'feet', need one of cm, m, in/0.45, mm, in, ft"):
        load_bvh(write(tmp_path, SMALL), unit="feet")


def test_names_are_read_without_the_motion(tmp_path):
    save_bvh(tmp_path / "x.bvh", example())
    assert read_names(tmp_path / "x.bvh") == example().names and read_header(tmp_path / "x.bvh") == (7, 120)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: "", "no HIERARCHY and MOTION"),
        (lambda t: "\xe9\xff \u4e2d\u6587 garbage" * 9, "no HIERARCHY and MOTION"),
        (lambda t: t.split("MOTION")[0], "no HIERARCHY and MOTION"),
        (lambda t: t.replace("pre:Spine", "Sp\xefne").encode("latin-1"), "not UTF-8"),
        (lambda t: t.replace("Frames: 2", "Frames: 5"), "'Frames: 5' but 2 rows follow"),
        (lambda t: t + "0 0 0 0 0 0 0 0 0 0\n" * 3, "'Frames: 2' but 5 rows follow"),
        (lambda t: t.split("0 90 0 0")[0].replace("Frames: 2", "Frames: 0"), "no frames"),
        (lambda t: t.replace("Frames: 2", "Frames: two"), "line 17: got 'Frames: two'"),
        (lambda t: t.replace("Frame Time: 0.0083333", "Frame Time: 0"), "line 18: frame time 0.0 s"),
        (lambda t: t.replace("Frame Time: 0.0083333", "Frame Time: nan"), "line 18"),
        (
            lambda t: t.replace("\n0 90 0 0 90 0 12 0 0 0", "\n0 90 0 0 90 0 12 0 0"),
            "line 19: got 9 values, need 10",
        ),
        (lambda t: t.replace("13 90 0 0", "13 90 0 0 0"), "line 20: got 11 values, need 10"),
        (
            lambda t: t.replace("10 90 0 0 90 0 13", "10 90 inf 0 90 0 13"),
            "line 20: got 'inf', need a number up to 1e+06, or nan",
        ),
        (
            lambda t: t.replace("10 90 0 0 90 0 13", "10 90 1e999 0 90 0 13"),
            "line 20: got '1e999', need a number",
        ),
        (
            lambda t: t.replace("10 90 0 0 90 0 13", "10 90 2000000 0 90 0 13"),
            "line 20: got '2000000', need a number",
        ),
        (
            lambda t: t.replace("10 90 0 0 90 0 13", "10 90 1_0 0 90 0 13"),
            "line 20: got '1_0', need a number",
        ),
        (lambda t: t.replace("Frames: 2", "Frames: 1_0"), "line 17: got 'Frames: 1_0'"),
        (lambda t: t.replace("ROOT pre:Hips\n", ""), "line 2: got '{', need ROOT"),
        (lambda t: t.replace("  JOINT pre:Spine\n", ""), "line 6: got '{', need ROOT"),
        (lambda t: t.replace("    End Site\n", ""), "line 10: got '{', need ROOT"),
        (
            lambda t: t.replace("  JOINT pre:Spine\n", "  JOINT lost\n  JOINT pre:Spine\n"),
            "line 7: got 'JOINT pre:Spine', need a {",
        ),
        (lambda t: t.replace("    OFFSET 0 10 0\n", ""), "line 13: got '}', need an OFFSET"),
        (lambda t: t.replace("      OFFSET 0 5 0\n", ""), "line 12: got '}', need an OFFSET"),
        (
            lambda t: t.replace("    OFFSET 0 10 0\n", "    OFFSET 0 10 0\n" * 2),
            "line 9: got 'OFFSET 0 10 0', need one OFFSET",
        ),
        (lambda t: t.replace("0 10 0", "0 1e7 0"), "line 8: got '0 1e7 0', need three finite numbers"),
        (
            lambda t: t.replace("10 90 0 0 90 0 13", "10 90 0,5 0 90 0 13"),
            "line 20: got '0,5', need a number",
        ),
        (
            lambda t: t.replace("10 90 0 0 90 0 13", "10 90 \xff\xfe 0 90 0 13").encode("latin-1"),
            "line 20: got",
        ),
        (lambda t: t.replace("0 10 0", "0 ten 0"), "line 8: got '0 ten 0', need three finite numbers"),
        (lambda t: t.replace("0 10 0", "0 nan 0"), "line 8: got '0 nan 0', need three finite numbers"),
        (lambda t: t.replace("CHANNELS 4", "CHANNELS 3"), "line 9: got 'CHANNELS 3"),
        (lambda t: t.replace("Xrotation Zrotation Yrotation", "Xrotation Zrotation Zrotation"), "line 9"),
        (lambda t: t.replace("pre:Spine", "pre:Hips"), "joint names stand twice: pre:Hips"),
        (lambda t: t.replace("}\nMOTION", "MOTION"), "ends inside a joint"),
        (lambda t: t.replace("}\nMOTION", "}\n}\nMOTION"), "as many { as }"),
        (lambda t: t.replace("OFFSET 0 5 0", "BANANA 0 5 0"), "line 12: got 'BANANA"),
    ],
)
def test_broken_files_are_named_with_their_line(tmp_path, change, message):
    path = write(tmp_path, change(SMALL))
    with pytest.raises(InputError) as error:
        load_bvh(path)
    assert message in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


def long_text(claimed: int, found: int, *, tail: str = "\n") -> str:
    """SMALL with other numbers of frames; frame i holds i in its first column."""
    rows = [f"{i} 90 0 0 90 0 13 90 0 12.5" for i in range(found)]
    return SMALL.split("0 90 0 0 90")[0].replace("Frames: 2", f"Frames: {claimed}") + "\n".join(rows) + tail


@pytest.mark.parametrize(
    ("claimed", "found", "tail", "taken"),
    [
        (20, 20, "\n", 20), (20, 20, "", 20), (20, 22, "\n", 22), (20, 18, "\n", 18), (3, 1, "\n", 1),
        (1000, 990, "\n", 990), (1000, 1010, "\n", 1010), (20, 17, "\n", None), (20, 23, "\n", None),
        (1000, 989, "\n", None), (1000, 1011, "\n", None), (20, 19, "\n19 90 0 0", 19),
        (20, 19, "\n19 90 0 0\n", 19), (20, 19, "\n19 90 0 0 90 0 13 90 0 -", 19), (20, 20, "\n20 90", 20),
        (20, 19, "", 18), (20, 18, "", None), (20, 18, "\n18", 18), (20, 17, "\n17 90", None),
        (20, 17, "\n17 90 x 0", None),
    ],
)  # fmt: skip
def test_rows_may_differ_a_little_from_the_header(tmp_path, caplog, claimed, found, tail, taken):
    path = write(tmp_path, long_text(claimed, found, tail=tail))
    with caplog.at_level(logging.WARNING):
        if taken is None:
            with pytest.raises(InputError, match="rows follow|need a number|need 10"):
                load_bvh(path, unit="cm")
            return
        motion = load_bvh(path, unit="cm")
    assert (
        motion.num_frames == taken == count_frames(path)
        and motion.claimed_frames == claimed == read_header(path)[0]
    )
    assert (
        np.array_equal(motion.positions_cm[:, 0, 0], np.arange(taken))
        and motion.frames(slice(2)).claimed_frames is None
    )
    warnings = {record.getMessage() for record in caplog.records}
    assert len(warnings) == (taken != claimed or len(tail) > 1)
    assert all(f"'Frames: {claimed}' but {taken} whole rows follow" in warning for warning in warnings)
    assert ("cut off" in caplog.text) == (len(tail) != 1 and (found, tail) != (claimed, ""))


def test_channels_on_some_axes_only(tmp_path):
    text = SMALL.replace(
        "CHANNELS 4 Yposition Xrotation Zrotation Yrotation", "CHANNELS 2 Yrotation Zposition"
    )
    motion = load_bvh(
        write(tmp_path, text.replace("12 0 0 0", "30 7").replace("13 90 0 0", "90 8")), unit="cm"
    )
    assert np.allclose(motion.positions_cm[:, 1], [[0, 10, 7], [0, 10, 8]]) and motion.orders[1] == "yzx"
    assert np.allclose(motion.rotations[:, 1], rotations.about("y", np.deg2rad([30, 90])))
    save_bvh(tmp_path / "again.bvh", motion)
    assert same(motion, load_bvh(tmp_path / "again.bvh", unit="cm")) < 1e-5


def test_a_joint_without_channels_stays_at_its_offset(tmp_path):
    text = (
        SMALL.replace("    CHANNELS 4 Yposition Xrotation Zrotation Yrotation\n", "")
        .replace(" 12 0 0 0", "")
        .replace(" 13 90 0 0", "")
    )
    motion = load_bvh(write(tmp_path, text), unit="cm")
    assert (
        np.allclose(motion.positions_cm[:, 1], [0, 10, 0])
        and np.allclose(motion.rotations[:, 1], [0, 0, 0, 1])
        and motion.free == {0}
    )


def test_every_joint_may_have_six_channels(tmp_path):
    motion = example()
    motion.positions_cm[:, 1:] += np.random.default_rng(1).normal(0, 2, (7, len(motion.names) - 1, 3))
    motion = replace(motion, free=frozenset(range(len(motion.names))))
    save_bvh(tmp_path / "x.bvh", motion)
    assert same(motion, load_bvh(tmp_path / "x.bvh", unit="cm")) < 1e-5


@pytest.mark.parametrize("unseen", [0, 1])
def test_bones_told_by_channels_alone_are_judged_where_they_are_seen(tmp_path, unseen):
    motion = example()
    motion.positions_cm[unseen] = np.nan
    motion = replace(
        motion, free=frozenset(range(len(motion.names))), offsets_cm=np.zeros_like(motion.offsets_cm)
    )
    save_bvh(tmp_path / "x.bvh", replace(motion, positions_cm=motion.positions_cm / 100))
    assert np.allclose(
        load_bvh(tmp_path / "x.bvh").positions_cm, motion.positions_cm, atol=1e-3, equal_nan=True
    )


def test_joint_names_may_hold_spaces(tmp_path):
    assert load_bvh(write(tmp_path, SMALL.replace("pre:Spine", "Bip01 L  Thigh")), unit="cm").names == [
        "pre:Hips",
        "Bip01 L Thigh",
    ]


def with_first_frame(motion: Motion, local: np.ndarray) -> Motion:
    return replace(
        motion,
        rotations=np.concatenate([local[None], motion.rotations]),
        positions_cm=motion.positions_cm[[0, *range(motion.num_frames)]],
    )


def test_a_reference_pose_is_told_from_movement():
    motion = example(40)
    rest = np.tile([0.0, 0, 0, 1], (len(motion.names), 1))
    assert not first_frame_is_reference(motion) and first_frame_is_reference(with_first_frame(motion, rest))
    assert not first_frame_is_reference(motion.frames(slice(1))), "one frame has no movement to compare with"
    assert not first_frame_is_reference(with_first_frame(motion, motion.rotations[0]))
    turned = with_first_frame(motion, rotations.about("z", np.full(len(motion.names), 0.7)))
    assert not first_frame_is_reference(turned), (
        "a jump from a pose that is not the rest pose is a fault, not a reference"
    )
    still = replace(motion, rotations=np.tile(rest, (40, 1, 1)))
    assert not first_frame_is_reference(still), "somebody who stands in the rest pose"
    slowly = rotations.from_expmap(
        np.linspace(0, 1, 41)[:, None, None] * rotations.to_expmap(motion.rotations[0])
    )
    assert not first_frame_is_reference(replace(motion.frames(np.zeros(41, int)), rotations=slowly)), (
        "moves out of the T-pose at its own pace"
    )
    lost = with_first_frame(motion, rest)
    lost.rotations[5:9] = np.nan
    assert first_frame_is_reference(lost)


@pytest.mark.parametrize("name", ["cmu_01_01", "cmu_02_05", "cmu_02_10", "cmu_03_03"])
def test_reference_poses_of_real_bodies(real_data, name):
    motion = load_bvh(real_data / "bvh" / f"{name}.bvh", unit="cm")
    assert first_frame_is_reference(motion) == (name == "cmu_01_01")
    assert first_frame_is_reference(motion.frames(slice(0, None, 4))) == (name == "cmu_01_01"), "at 30 fps"
    assert not any(
        first_frame_is_reference(motion.frames(slice(start, None))) for start in range(1, 1500, 150)
    )


def deep(num_joints: int) -> str:
    """A body that is one chain of joints, not indented."""
    opened = "".join(
        f"{'JOINT' if j else 'ROOT'} j{j}\n{{\nOFFSET 0 1 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
        for j in range(num_joints)
    )
    row = " ".join(["1"] * 3 * num_joints)
    return (
        f"HIERARCHY\n{opened}End Site\n{{\nOFFSET 0 1 0\n}}\n}}"
        + "\n}" * (num_joints - 1)
        + f"\nMOTION\nFrames: 1\nFrame Time: 0.01\n{row}\n"
    )


def test_a_long_chain_of_joints_is_read_and_written(tmp_path):
    motion = load_bvh(write(tmp_path, deep(1_500)), unit="cm")
    save_bvh(tmp_path / "y.bvh", motion)
    again = load_bvh(tmp_path / "y.bvh", unit="cm")
    assert (
        again.names == motion.names
        and again.parents.tolist() == list(range(-1, 1_499))
        and same(motion, again) < 1e-5
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (deep(20_000), "x.bvh, line 20003: more than 5,000 joints"),
        ("HIERARCHY\n" + " " * (16 << 20) + "\nMOTION\n", "the HIERARCHY block has 16,7"),
        ("HIERARCHY\n" + "frametime" * 2_000_000, "got no HIERARCHY and MOTION blocks"),
        (deep(2).replace("1 1 1 1 1 1", "1 1 1 1 1 " + "1" * 1_000_000 + "x"), "line 19: got '1111"),
        (deep(2).replace("Frames: 1", "Frames: 999999999"), "'Frames: 999999999' but 1 rows follow"),
        (
            deep(2).replace("Frames: 1", f"Frames: {10**12}"),
            "got 'Frames: 1000000000000', need 'Frames: <number>'",
        ),
    ],
    ids=["joints", "head", "frametime", "digits", "frames", "more frames"],
)
def test_what_no_body_has_is_refused_at_once(tmp_path, content, message):
    path, begin = write(tmp_path, content), time.process_time()
    for read in (
        (load_bvh, read_header) if "rows follow" not in message and "1111" not in message else (load_bvh,)
    ):
        with pytest.raises(InputError) as error:
            read(path)
        assert message in str(error.value) or (read is read_header and "x.bvh" in str(error.value))
    assert time.process_time() - begin < 5


def test_a_pipe_in_place_of_a_body_is_named(tmp_path):
    os.mkfifo(tmp_path / "x.bvh")
    for read in (load_bvh, read_header, read_names, count_frames):
        with pytest.raises(InputError, match="x.bvh: is a pipe or device"):
            read(tmp_path / "x.bvh")


def test_missing_file_is_named(tmp_path):
    for read in (load_bvh, read_header, read_names, count_frames):
        with pytest.raises(InputError, match="gone.bvh: no such file"):
            read(tmp_path / "gone.bvh")


@pytest.mark.parametrize("name", ["cmu_01_01", "cmu_02_05", "cmu_02_10", "cmu_03_03"])
def test_real_bodies(real_data, tmp_path, caplog, name):
    with caplog.at_level(logging.WARNING):
        motion = load_bvh(real_data / "bvh" / f"{name}.bvh")
    assert motion.fps == 120 and len(motion.names) == 31 and np.isfinite(motion.rotations).all()
    assert ("unit is in/0.45" in caplog.text) == (name == "cmu_01_01")
    found = motion.aliases()
    motion = motion.frames(slice(1, None, 7))  # frame 0 of one is a T-pose
    world, _ = forward_kinematics(motion)
    lowest = world[:, [found[f"{side}ToeBase"] for side in ("Left", "Right")], 1].min(1)
    assert -5 < lowest.min() < 10, "the lowest toes are near the ground"
    assert 60 < np.median(world[:, 0, 1]) < 130 and 140 < np.median(world[:, found["Head"], 1]) < 210
    save_bvh(tmp_path / "again.bvh", motion)
    assert same(motion, load_bvh(tmp_path / "again.bvh", unit="cm")) < 1e-5


def test_reading_a_body_imports_no_pandas(tmp_path):
    """It takes longer to import than a body to read."""
    path = write(tmp_path, SMALL)
    code = (
        f"import sys, pathlib, pipeline.formats.bvh as bvh; bvh.load_bvh(pathlib.Path({str(path)!r}));"
        " sys.exit('pandas' in sys.modules or 'pyarrow' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
