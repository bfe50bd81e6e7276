from dataclasses import replace

import numpy as np
import pytest
from helpers.tiny_shoot import BONES, Truth, make_motion

from pipeline.formats.bvh import load_bvh
from pipeline.motion import pose, rotations
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics
from pipeline.simulate.figure import Figure
from pipeline.simulate.motion import animate, plan_manner
from pipeline.simulate.script import plan_scripts


@pytest.fixture
def motion():
    rng = np.random.default_rng(2)
    turns = rng.normal(0, 0.5, (2, len(BONES), 3))
    turns[:, 0] = [[0.1, 0.2, -0.1], [0.0, 3.0, 0.0]]  # turns about itself more than once
    truth = Truth({}, rng.normal(0, 50, (2, 3)), turns, np.zeros((2, 51)), np.zeros(0))
    return make_motion(truth, 36_000 + np.arange(90) / 30)


def test_encode_and_decode_are_inverse(motion):
    poses, root = pose.encode(motion)
    assert poses.shape == (90, 3 * len(BONES)) and root.shape == (90, 4)
    again = pose.decode(poses, root, pose.skeleton_of(motion))
    assert again.fps == 30 and again.names == motion.names and again.orders == motion.orders
    assert np.allclose(forward_kinematics(again)[0], forward_kinematics(motion)[0], atol=1e-8)


def test_single_precision_is_enough(motion):
    poses, root = pose.encode(motion)
    again = pose.decode(poses.astype(np.float32), root.astype(np.float32), pose.skeleton_of(motion))
    assert np.abs(forward_kinematics(again)[0] - forward_kinematics(motion)[0]).max() < 1e-3


def test_heading_is_continuous_and_out_of_the_hips(motion):
    poses, root = pose.encode(motion)
    assert np.abs(np.diff(root[:, 3])).max() < 0.2 and np.ptp(root[:, 3]) > 2 * np.pi
    assert np.linalg.norm(poses[:, :3], axis=1).max() < 0.5, "an upright body is far from pi"


def test_poses_do_not_depend_on_place_and_heading(motion):
    poses, root = pose.encode(motion)
    turn = rotations.about("y", 1.0)
    moved = replace(motion, positions_cm=motion.positions_cm.copy(), rotations=motion.rotations.copy())
    moved.positions_cm[:, 0] = rotations.rotate(turn, motion.positions_cm[:, 0]) + [7, 0, 9]
    moved.rotations[:, 0] = rotations.multiply(turn, motion.rotations[:, 0])
    other_poses, other_root = pose.encode(moved)
    assert np.allclose(other_poses, poses, atol=1e-9)
    assert np.allclose(np.exp(1j * (other_root[:, 3] - root[:, 3])), np.exp(1j))
    assert np.allclose(pose.relative_root(other_root), pose.relative_root(root), atol=1e-9)


def test_relative_root_and_its_integral_are_inverse(motion):
    _, root = pose.encode(motion)
    relative = pose.relative_root(root)
    assert np.allclose(pose.integrate_root(relative, root[0]), root, atol=1e-9)
    assert np.array_equal(relative[0, :3], relative[1, :3]) and np.array_equal(relative[:, 3], root[:, 1])


@pytest.mark.parametrize("heading", np.linspace(-7, 7, 15))
def test_walking_ahead_is_dz_whatever_the_heading(heading):
    steps = np.arange(4.0)[:, None] * np.array([np.sin(heading), 0, np.cos(heading)]) * 3
    root = np.concatenate([steps + [5, 90, -8], np.full((4, 1), heading)], 1)
    assert np.allclose(pose.relative_root(root), [[0, 3, 0, 90]] * 4, atol=1e-12)


@pytest.mark.parametrize("num_frames", [0, 1, 2])
def test_short_roots(num_frames):
    root = 0.1 * np.arange(4.0 * num_frames).reshape(num_frames, 4)
    relative = pose.relative_root(root)
    assert relative.shape == (num_frames, 4) and np.isfinite(relative).all()
    if num_frames:
        assert np.allclose(pose.integrate_root(relative, root[0]), root, atol=1e-12)


def test_heading_may_jump_by_a_turn():
    root = np.array([[0, 90, 0, 3.1], [0, 90, 0, -3.1]])
    assert pose.relative_root(root)[1, 2] == pytest.approx(2 * np.pi - 6.2)


def after_features(motion: Motion) -> np.ndarray:
    """Joint positions (T, J, 3) of a motion that became what models learn, as shards store it, and back."""
    poses, root = (values.astype(np.float32) for values in pose.encode(motion))
    relative = pose.relative_root(root)
    assert poses.dtype == root.dtype == relative.dtype == np.float32
    skeleton = pose.skeleton_of(motion)
    again = pose.decode(poses, pose.integrate_root(relative, root[0]), skeleton)
    return forward_kinematics(again)[0]


def test_ninety_seconds_of_features_do_not_drift():
    """Steps and turns add up: of walking, sitting and turning actors no joint is 0.05 mm off at the end."""
    rng = np.random.default_rng(5)
    scripts = plan_scripts(0.0, 90.0, rng)
    for k, actor in enumerate(("001", "005")):
        manner = plan_manner([(2.0, 50.0)], [2.3, 9.5], 0.0, 90.0, rng)
        motion = animate(Figure(actor), scripts[k], scripts[1 - k], manner, 0.0, 90 * 120)
        motion = motion.frames(slice(None, None, 4))
        real = forward_kinematics(motion)[0]
        assert len(real) == 2700 and np.ptp(real[:, 0, [0, 2]], axis=0).max() > 50, "somebody walks"
        assert np.linalg.norm(after_features(motion) - real, axis=-1).max() < 0.005  # cm


@pytest.mark.parametrize("name", ["cmu_01_01", "cmu_02_05", "cmu_02_10", "cmu_03_03"])
def test_ninety_seconds_of_recorded_features_do_not_drift(real_data, name):
    """A recording forwards and backwards, again and again: steps are real ones and do not end."""
    motion = load_bvh(real_data / "bvh" / f"{name}.bvh", unit="cm")
    motion = motion.frames(slice(1, None, 4))  # without the T-pose that one begins with
    count = motion.num_frames
    there_and_back = np.concatenate([np.arange(count), np.arange(count - 2, 0, -1)])
    motion = motion.frames(np.resize(there_and_back, 2700))
    real = forward_kinematics(motion)[0]
    assert np.linalg.norm(after_features(motion) - real, axis=-1).max() < 0.005  # cm


@pytest.mark.parametrize("name", ["cmu_01_01", "cmu_03_03"])
def test_real_bodies_survive(real_data, name):
    motion = load_bvh(real_data / "bvh" / f"{name}.bvh").frames(slice(None, None, 8))
    poses, root = pose.encode(motion)
    again = pose.decode(poses, root, pose.skeleton_of(motion))
    assert np.abs(forward_kinematics(again)[0] - forward_kinematics(motion)[0]).max() < 1e-6
    assert np.linalg.norm(poses[:, :3], axis=1).max() < 2
