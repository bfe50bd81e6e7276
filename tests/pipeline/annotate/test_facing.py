import numpy as np
import pytest
from helpers.tiny_dataset import body

from pipeline.annotate import facing
from pipeline.annotate.facing import label_facing, looks
from pipeline.config import Facing
from pipeline.errors import InputError
from pipeline.formats.bvh import save_bvh
from pipeline.motion import rotations
from pipeline.motion.motion import Motion


def placed(
    num_frames: int,
    x: float,
    z: float,
    heading: float,
    *,
    head_yaw=0.0,
    head_pitch=0.0,
    axes: np.ndarray | None = None,
) -> Motion:
    """A body at x, z that looks along `heading`.

    `axes` (4,) makes the file's joint axes others than the body's.
    """
    motion = body(num_frames)
    motion.positions_cm[:, 0] += [x, 0, z]
    motion.rotations[:, 0] = rotations.about("y", heading)
    head = motion.names.index("Head")
    motion.rotations[:, head] = rotations.multiply(
        rotations.about("y", np.broadcast_to(head_yaw, num_frames)), rotations.about("x", head_pitch)
    )
    if axes is not None:
        back = rotations.inverse(axes)
        motion.offsets_cm[:] = rotations.rotate(back, motion.offsets_cm)
        motion.positions_cm[:, 1:] = motion.offsets_cm[1:]
        motion.rotations[:] = rotations.multiply(rotations.multiply(back, motion.rotations), axes)
        motion.rotations[:, 0] = rotations.multiply(axes, motion.rotations[:, 0])
    return motion


RELEASE_AXES = rotations.multiply(rotations.about("z", np.pi), rotations.about("x", np.pi / 2))


@pytest.mark.parametrize("axes", [None, RELEASE_AXES, rotations.about("y", np.pi / 2)])
@pytest.mark.parametrize("heading, expected", [(0.0, 1), (0.7, 1), (-0.7, 1), (0.87, 0), (np.pi, 0)])
def test_angle_on_the_ground_decides(axes, heading, expected):
    one, two = placed(30, 0, 0, heading, axes=axes), placed(30, 0, 150, np.pi, axes=axes)
    labels = label_facing([one, two])
    assert (
        labels[0].tolist() == [expected] * 30
        and labels[1].tolist() == [1] * 30
        and labels[0].dtype == np.uint8
    )


def test_the_head_counts_not_the_body():
    one, two = placed(30, 0, 0, 1.2, head_yaw=-1.2), placed(30, 0, 150, np.pi, head_yaw=1.2)
    labels = label_facing([one, two])
    assert labels[0].all() and not labels[1].any()


@pytest.mark.parametrize("heading, expected", [(1.8, 1), (2.0, 0), (-1.8, 1), (-2.0, 0)])
def test_a_glance_over_the_shoulder_is_no_facing(heading, expected):
    one, two = placed(30, 0, 0, heading, head_yaw=-heading), placed(30, 0, 150, np.pi)
    assert label_facing([one, two])[0].tolist() == [expected] * 30
    assert label_facing([one, two], Facing(max_hips_angle_deg=180))[0].all()


def test_a_head_that_trembles_about_the_border_changes_its_label_once():
    degrees = np.linspace(55, 35, 90) + np.where(np.arange(90) % 2, 0.6, -0.6)
    one, two = placed(90, 0, 0, 0.0, head_yaw=np.radians(degrees)), placed(90, 0, 150, np.pi)
    steady, loose = (
        label_facing([one, two], Facing(margin_deg=margin, min_seconds=0))[0].astype(int)
        for margin in (1.5, 0.0)
    )
    assert np.abs(np.diff(steady)).sum() == 1 < np.abs(np.diff(loose)).sum()
    assert 45 <= degrees[np.argmax(steady)] <= 46.5


def test_release_axes_give_the_same_direction():
    for axes in (None, RELEASE_AXES):
        _, forward, ahead = looks(placed(3, 0, 0, 0.6, head_yaw=0.3, head_pitch=0.2, axes=axes))
        np.testing.assert_allclose(ahead[0], [np.sin(0.6), 0, np.cos(0.6)], atol=1e-9)
        np.testing.assert_allclose(
            forward[0], [np.sin(0.9) * np.cos(0.2), -np.sin(0.2), np.cos(0.9) * np.cos(0.2)], atol=1e-9
        )


def test_looking_straight_down_faces_nobody_and_partners_may_be_of_other_height():
    assert not label_facing([placed(30, 0, 0, 0.0, head_pitch=np.radians(85)), placed(30, 0, 150, 0.0)])[
        0
    ].any()
    high = placed(30, 0, 150, 0.0)
    high.positions_cm[:, 0, 1] += 100
    assert label_facing([placed(30, 0, 0, 0.0), high])[0].all()


def test_glances_are_joined():
    yaw = np.zeros(60)
    yaw[20:24], yaw[40:50] = 1.5, 1.5
    labels = label_facing([placed(60, 0, 0, 0.0, head_yaw=yaw), placed(60, 0, 150, 0.0)])[0]
    assert labels[:40].all() and not labels[40:50].any()
    labels = label_facing(
        [placed(60, 0, 0, 0.0, head_yaw=yaw), placed(60, 0, 150, 0.0)], Facing(min_seconds=0)
    )[0]
    assert not labels[20:24].any()


def test_bad_pairs():
    with pytest.raises(InputError, match="got 10 frames at 30 fps and 11"):
        label_facing([body(10), body(11)])
    motion = body(10)
    motion.rotations[2] = np.nan
    with pytest.raises(InputError, match="NaN in the head of body 2"):
        label_facing([body(10), motion])


def test_command_line(tmp_path, capsys):
    paths = [tmp_path / "a.bvh", tmp_path / "b.bvh"]
    save_bvh(paths[0], placed(20, 0, 0, 0.0))
    save_bvh(paths[1], placed(20, 0, 150, 0.0))
    flags = ["--bvh", *map(str, paths), "--out"]
    facing.main([*flags, str(tmp_path / "a.npy"), str(tmp_path / "b.npy")])
    assert np.load(tmp_path / "a.npy").all() and not np.load(tmp_path / "b.npy").any()
    facing.main(["--bvh", *map(str, paths[::-1]), "--out", str(tmp_path / "c.npy")])
    assert np.load(tmp_path / "c.npy").tolist() == np.load(tmp_path / "b.npy").tolist()
    with pytest.raises(SystemExit) as stop:
        facing.main([*flags, *(str(tmp_path / f"{i}.npy") for i in range(3))])
    assert stop.value.code == 2 and "3 outputs for 2 bodies" in capsys.readouterr().err
