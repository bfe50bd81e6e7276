import logging
from dataclasses import replace

import numpy as np
import pytest
from tiny_shoot import ORDERS, Truth, make_motion

from pipeline import bvh, rotations
from pipeline.bvh import Motion, load_bvh, read_header, read_names, save_bvh
from pipeline.errors import InputError
from pipeline.skeleton import forward_kinematics

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


def example(num_frames=7, *, seed=0) -> Motion:
    """A body with a rotation order per joint and position channels on two joints."""
    rng = np.random.default_rng(seed)
    hips, turns = rng.normal(0, 50, (2, 3)), rng.normal(0, 1.0, (2, 16, 3))
    motion = make_motion(Truth({}, hips, turns, np.zeros((2, 51)), np.zeros(0)), 36_000 + np.arange(num_frames) / 120)
    motion.positions_cm[:, 5] += rng.normal(0, 3, (num_frames, 3))
    return replace(motion, free=frozenset({0, 5}))


def same(a: Motion, b: Motion) -> float:
    assert a.names == b.names and a.orders == b.orders and a.free == b.free and np.array_equal(a.parents, b.parents)
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


def test_channels_are_read_in_each_joints_own_order(tmp_path):
    motion = load_bvh(write(tmp_path, SMALL), unit="cm")
    assert motion.names == ["pre:Hips", "pre:Spine"] and motion.orders == ["zyx", "xzy"] and motion.aliases()["Hips"] == 0
    assert np.allclose(rotations.rotate(motion.rotations[0, 0], np.array([0, 0, 1.0])), [1, 0, 0])
    assert np.allclose(motion.positions_cm[:, 0], [[0, 90, 0], [10, 90, 0]]), "position channels replace OFFSET"
    assert np.allclose(motion.positions_cm[:, 1], [[0, 12, 0], [0, 13, 0]]), "one position channel replaces one axis"
    assert motion.free == {0, 1} and np.allclose(motion.offsets_cm, [[1, 2, 3], [0, 10, 0]]) and np.allclose(motion.ends_cm[1], [0, 5, 0])


@pytest.mark.parametrize("order", ORDERS)
def test_every_rotation_order(tmp_path, order):
    channels = " ".join(f"{axis.upper()}rotation" for axis in order)
    motion = load_bvh(write(tmp_path, SMALL.replace("Zrotation Yrotation Xrotation", channels)), unit="cm")
    single = rotations.about(order[1], np.deg2rad(90))  # the second rotation channel holds 90
    assert np.allclose(motion.rotations[0, 0], single)


@pytest.mark.parametrize(
    ("text", "fps"),
    [
        ("0.0083333", 120), (".0083333", 120), ("0.008333", 120), ("8.33333e-3", 120), ("0.0083333333", 120), ("0.033333", 30), ("0.0333333", 30),
        ("0.016667", 60), ("0.041667", 24), ("0.0333667", 30000 / 1001), ("0.033367", 30000 / 1001), ("0.0417083", 24000 / 1001), ("0.04", 25),
        ("0.03", 1 / 0.03), ("0.0333", 1 / 0.0333), ("0.033329", 1 / 0.033329), ("1", 1),
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
    return "\n\n" + head.replace(" ", "\t  ") + "MOTION\n\n" + motion.replace(": ", ":\t ").replace(" ", "   ").replace("\n", " \t\n")


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
    ],
)
def test_the_same_motion_however_it_is_written(tmp_path, change):
    plain, changed = load_bvh(write(tmp_path, SMALL, "a.bvh"), unit="cm"), load_bvh(write(tmp_path, change(SMALL), "b.bvh"), unit="cm")
    assert np.array_equal(plain.positions_cm, changed.positions_cm) and np.array_equal(plain.rotations, changed.rotations)
    assert plain.fps == changed.fps


@pytest.mark.parametrize("spelling", ["nan", "NaN", "-nan"])
def test_nan_stays_nan(tmp_path, spelling):
    motion = load_bvh(write(tmp_path, SMALL.replace("10 90 0 0 90 0 13", f"10 {spelling} 0 0 {spelling} 0 13")), unit="cm")
    assert np.isnan(motion.positions_cm[1, 0]).tolist() == [False, True, False] and np.isnan(motion.rotations[1, 0]).all()
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
    save_bvh(tmp_path / "x.bvh", replace(motion, offsets_cm=motion.offsets_cm * scale, positions_cm=motion.positions_cm * scale, ends_cm=tips))
    with caplog.at_level(logging.WARNING):
        judged = load_bvh(tmp_path / "x.bvh")
    tolerance = 1e-5 * size
    assert np.allclose(judged.offsets_cm, motion.offsets_cm * stature, atol=tolerance)
    assert np.allclose(judged.positions_cm, motion.positions_cm * stature, atol=tolerance)
    assert np.allclose(judged.ends_cm[3], motion.ends_cm[3] * stature, atol=tolerance)
    assert (f"unit is {unit}" in caplog.text) == (unit != "cm"), "a unit that is judged is told"
    assert np.array_equal(load_bvh(tmp_path / "x.bvh", unit=unit).positions_cm, judged.positions_cm)


def test_unknown_unit_is_named(tmp_path):
    with pytest.raises(InputError, match="unit 'feet', need one of cm, m, in/0.45, mm"):
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
        (lambda t: t.replace("Frames: 2", "Frames: 3"), "'Frames: 3' but 2 rows follow"),
        (lambda t: t.replace("Frames: 2", "Frames: 1"), "'Frames: 1' but 2 rows follow"),
        (lambda t: t.split("0 90 0 0")[0].replace("Frames: 2", "Frames: 0"), "no frames"),
        (lambda t: t.replace("Frames: 2", "Frames: two"), "line 17: got 'Frames: two'"),
        (lambda t: t.replace("Frame Time: 0.0083333", "Frame Time: 0"), "line 18: frame time 0.0 s"),
        (lambda t: t.replace("Frame Time: 0.0083333", "Frame Time: nan"), "line 18"),
        (lambda t: t.replace("10 90 0 0 90 0 13 90 0 0", "10 90 0 0 90 0 13 90 0"), "line 20: got 9 values, need 10"),
        (lambda t: t.replace("10 90 0 0 90 0 13", "10 90 0,5 0 90 0 13"), "line 20: got '0,5', need a number"),
        (lambda t: t.replace("10 90 0 0 90 0 13", "10 90 \xff\xfe 0 90 0 13").encode("latin-1"), "line 20: got"),
        (lambda t: t.replace("0 10 0", "0 ten 0"), "line 8: got '0 ten 0', need three numbers"),
        (lambda t: t.replace("0 10 0", "0 nan 0"), "line 8: got '0 nan 0', need three finite numbers"),
        (lambda t: t.replace("CHANNELS 4", "CHANNELS 3"), "line 9: got 'CHANNELS 3"),
        (lambda t: t.replace("Xrotation Zrotation Yrotation", "Xrotation Zrotation Zrotation"), "line 9"),
        (lambda t: t.replace("CHANNELS 4 Yposition Xrotation Zrotation Yrotation", "CHANNELS 2 Xrotation Zrotation"), "line 9"),
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


def test_missing_file_is_named(tmp_path):
    for read in (load_bvh, read_header, read_names):
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
