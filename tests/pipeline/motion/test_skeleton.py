from dataclasses import replace

import numpy as np
import pytest
from helpers.tiny_shoot import BONES, Truth, make_motion

from pipeline.errors import InputError
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.motion import rotations, skeleton


@pytest.fixture
def motion():
    rng = np.random.default_rng(1)
    turns = rng.normal(0, 0.8, (2, len(BONES), 3))
    truth = Truth({}, rng.normal(0, 50, (2, 3)), turns, np.zeros((2, 51)), np.zeros(0))
    return make_motion(truth, 36_000 + np.arange(9) / 12)


def test_require_names_what_is_missing(motion):
    assert skeleton.require(motion, ["Hips", "LeftFoot"]) == [0, motion.names.index("LeftFoot")]
    with pytest.raises(InputError, match="take 7: joints not found: LeftHand"):
        skeleton.require(motion, ["Hips", "LeftHand"], "take 7")


def test_forward_kinematics_agrees_with_matrices(motion):
    positions, world = skeleton.forward_kinematics(motion)
    matrices = {}
    for j, parent in enumerate(motion.parents):
        local = np.tile(np.eye(4), (motion.num_frames, 1, 1))
        local[:, :3, :3] = np.stack(
            [rotations.rotate(motion.rotations[:, j], axis) for axis in np.eye(3)], -1
        )
        local[:, :3, 3] = motion.positions_cm[:, j]
        matrices[j] = matrices[parent] @ local if parent >= 0 else local
        assert np.allclose(positions[:, j], matrices[j][:, :3, 3], atol=1e-9)
        assert np.allclose(
            rotations.rotate(world[:, j], np.array([0, 0, 1.0])), matrices[j][:, :3, 2], atol=1e-9
        )


def test_bones_keep_their_length(motion):
    positions, _ = skeleton.forward_kinematics(motion)
    lengths = np.linalg.norm(positions[:, 1:] - positions[:, motion.parents[1:]], axis=-1)
    assert np.allclose(lengths, np.linalg.norm(motion.offsets_cm[1:], axis=-1))


@pytest.mark.parametrize(
    "turn", [(0, 0, 0), (np.pi, 0, 0), (0, np.pi / 2, 0), (-np.pi / 2, 0, 0), (0, 0, np.pi / 2)]
)
def test_heading_does_not_depend_on_the_bones_axes(motion, turn):
    """The same person with the hips' own axes turned: same heading.

    The same frame for somebody who stands upright, too.
    """
    axes = rotations.from_expmap(np.array(turn, float))
    offsets = rotations.rotate(rotations.inverse(axes), motion.offsets_cm)
    wanted = np.linspace(-3, 3, 13)
    hips = rotations.multiply(rotations.about("y", wanted), axes)
    assert np.allclose(skeleton.heading(motion.names, offsets, hips), wanted)
    upright = rotations.multiply(axes, skeleton.hips_frame(motion.names, offsets))
    assert np.allclose(np.abs(upright), [0, 0, 0, 1])


def test_hips_frame_names_missing_joints():
    with pytest.raises(InputError, match="LeftUpLeg, RightUpLeg"):
        skeleton.hips_frame(["Hips", "Spine"], np.ones((2, 3)))


@pytest.mark.parametrize(
    "dropped", [("LeftArm",), ("Spine",), ("LeftUpLeg", "LeftLeg", "Head"), ("Neck", "RightForeArm")]
)
def test_keep_joints_keeps_world_positions_through_a_file(motion, tmp_path, dropped):
    kept = [name for name in motion.names if name not in dropped]
    small = skeleton.keep_joints(motion, kept)
    index = [motion.names.index(name) for name in kept]
    expected = skeleton.forward_kinematics(motion)[0][:, index]
    assert small.names == kept and np.allclose(skeleton.forward_kinematics(small)[0], expected, atol=1e-9)
    save_bvh(tmp_path / "x.bvh", small)
    again = load_bvh(tmp_path / "x.bvh", unit="cm")
    order = [again.names.index(name) for name in kept]
    assert np.abs(skeleton.forward_kinematics(again)[0][:, order] - expected).max() < 1e-4


def test_keep_joints_leaves_still_joints_without_position_channels(motion):
    assert skeleton.keep_joints(motion, motion.names).free == {0}
    rigid = replace(motion, rotations=motion.rotations.copy())
    rigid.rotations[:, motion.names.index("Neck")] = [0, 0, 0, 1]
    assert skeleton.keep_joints(rigid, [name for name in motion.names if name != "Neck"]).free == {0}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Hips", "Tail"], "joints not found: Tail"),
        (["Spine", "Hips"], "joints Spine, Hips: need each joint once and after its parent, one root"),
        (["Hips", "LeftFoot", "LeftLeg"], "joints LeftFoot"),
        (["Hips", "Spine", "Spine"], "joints Spine"),
        (["LeftLeg", "RightLeg"], "joints RightLeg"),
    ],
)
def test_keep_joints_refuses_lists_that_make_no_tree(motion, names, message):
    with pytest.raises(InputError, match=message):
        skeleton.keep_joints(motion, names)
