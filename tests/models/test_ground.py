"""Feet that hold the ground: captured motion hardly changes, and disturbed motion stands again."""

import numpy as np
import pytest
from helpers.tiny_shards import BONES, JOINTS, offsets
from helpers.walkers import smooth_noise, two_people

from models import ground
from models.space import sliding_cm_s
from pipeline.motion import pose, rotations
from pipeline.motion.legs import lower_foot
from pipeline.motion.skeleton import forward_kinematics

FPS = 30


@pytest.fixture(scope="module")
def walkers():
    return two_people()


def foot(walkers, k: int) -> float:
    return float(np.median(lower_foot(walkers.poses[:, k], walkers.root[:, k], walkers.skeletons[k])))


def disturbed(walkers, k: int):
    """A body as a network makes it: legs and root differ, each in its own way."""
    poses = walkers.poses[:, k] + 0.04 * smooth_noise(walkers.poses[:, k].shape, 8, seed=1)
    root = walkers.root[:, k].copy()
    root[:, :3] += 5 * smooth_noise((len(root), 3), 15, seed=2)
    return poses, root


def seen(poses, root, skeleton):
    """Toes (T, 2, 3), and world rotations (T, J, 4) with the joints' names."""
    motion = pose.decode(poses, root, skeleton)
    world, turned = forward_kinematics(motion)
    names = motion.aliases()
    return world[:, [names["LeftToeBase"], names["RightToeBase"]]], turned, names


@pytest.mark.parametrize("k", [0, 1])
def test_who_stands_already_is_left_alone(walkers, k):
    poses, root = ground.hold(
        walkers.poses[:, k], walkers.root[:, k], walkers.skeletons[k], lower_foot=foot(walkers, k)
    )
    toes, _, _ = seen(poses, root, walkers.skeletons[k])
    before, _, _ = seen(walkers.poses[:, k], walkers.root[:, k], walkers.skeletons[k])
    assert np.abs(toes - before).max() < 2.5  # a foot comes down at once, and not in the air
    assert np.abs(root - walkers.root[:, k]).max() < 1.0
    assert np.abs(poses - walkers.poses[:, k]).max() < 0.5  # a leg that is all but straight
    assert np.quantile(np.abs(poses - walkers.poses[:, k]).max(1), 0.75) < 0.04  # feet are lifted a little


@pytest.mark.parametrize("k", [0, 1])
def test_the_path_follows_from_the_legs(walkers, k):
    real, skeleton = walkers.root[:, k], walkers.skeletons[k]
    lost = real.copy()
    lost[:, [0, 2]] = real[0, [0, 2]]  # nothing of the path is known
    lost[:, 1] += 30 * np.sin(np.arange(len(real)) / 40)
    found = ground.follow(walkers.poses[:, k], lost, skeleton, lower_foot=foot(walkers, k))
    np.testing.assert_array_equal(found[0, [0, 2, 3]], real[0, [0, 2, 3]])
    np.testing.assert_array_equal(found[:, 3], real[:, 3])
    path = np.linalg.norm(np.diff(real[:, [0, 2]], axis=0), axis=1).sum()
    assert path > 200
    assert np.linalg.norm(found[-1, [0, 2]] - real[-1, [0, 2]]) < 0.05 * path
    height = found[:, 1] - real[:, 1]
    assert np.abs(height).max() < 3


@pytest.mark.parametrize("k", [0, 1])
def test_a_body_whose_legs_and_root_disagree_stands(walkers, k):
    skeleton = walkers.skeletons[k]
    given = disturbed(walkers, k)
    before, turned, names = seen(*given, skeleton)
    assert sliding_cm_s(before, fps=FPS).mean() > 10 and before[..., 1].min() < -3
    poses, root = ground.hold(
        given[0], ground.follow(*given, skeleton, lower_foot=2.0), skeleton, lower_foot=2.0
    )
    toes, now, _ = seen(poses, root, skeleton)
    slides = sliding_cm_s(toes, fps=FPS)
    assert slides.mean() < 1 and np.median(slides) < 1e-6
    lower = toes[..., 1].min(1)
    assert np.abs(lower - 2).max() < 2 and np.abs(np.median(lower) - 2) < 0.2
    # feet look where they looked, but for the heading, which stays too; above the legs nothing moves
    for side in ("Left", "Right"):
        assert rotations.angle_deg(now[:, names[f"{side}Foot"]], turned[:, names[f"{side}Foot"]]).max() < 1e-3
    legs = [names[f"{side}{part}"] for side in ("Left", "Right") for part in ("UpLeg", "Leg", "Foot")]
    others = np.setdiff1d(np.arange(len(skeleton.names)), legs)
    columns = (3 * others[:, None] + np.arange(3)).ravel()
    np.testing.assert_allclose(poses[:, columns], given[0][:, columns], atol=1e-12)
    np.testing.assert_array_equal(root[:, 3], given[1][:, 3])
    # nothing jumps
    step = np.linalg.norm(np.diff(root[:, :3], axis=0), axis=1)
    assert step.max() < 1.5 * np.linalg.norm(np.diff(walkers.root[:, k, :3], axis=0), axis=1).max() + 2


def test_a_step_of_the_root_undoes_that_of_the_lower_foot():
    feet = np.zeros((3, 2, 3))
    feet[:, 0, 2] = [0, -5, -10]  # the left foot carries and goes back, seen from the hips
    feet[:, 1] = [[0, 20, 0], [0, 20, 9], [0, 20, 18]]
    np.testing.assert_allclose(ground.path_of_feet(feet, np.zeros(3)), [[0, 5], [0, 5]], atol=1e-9)
    # heading along +x, and a turn about a foot that stands aside
    np.testing.assert_allclose(ground.path_of_feet(feet, np.full(3, np.pi / 2)), [[5, 0], [5, 0]], atol=1e-9)
    aside = np.tile([[10.0, 0, 0], [0, 50, 0]], (2, 1, 1))
    np.testing.assert_allclose(ground.path_of_feet(aside, np.array([0, np.pi])), [[20, 0]], atol=1e-9)


def test_what_has_no_legs_or_no_time_is_as_it_was(walkers):
    names = [name for name in JOINTS if "Leg" not in name and "Foot" not in name]
    parents = np.array([-1 if BONES[n][0] is None else names.index(BONES[n][0]) for n in names])
    places = offsets()[[JOINTS.index(name) for name in names]]
    skeleton = pose.Skeleton(names, parents, places, {}, ["zxy"] * len(names))
    poses, root = np.ones((5, 3 * len(names))), np.arange(20.0).reshape(5, 4)
    held = ground.hold(poses, root, skeleton, lower_foot=1.0)
    assert np.array_equal(held[0], poses) and np.array_equal(held[1], root)
    assert np.array_equal(ground.follow(poses, root, skeleton, lower_foot=1.0), root)
    one = walkers.poses[:1, 0], walkers.root[:1, 0]
    held = ground.hold(*one, walkers.skeletons[0], lower_foot=1.0)
    assert np.array_equal(held[0], one[0]) and np.array_equal(held[1], one[1])


@pytest.mark.parametrize("way_cm, height_cm", [(60.0, 2.5), (10.0, 0.8), (0.0, 0.0)])
def test_a_foot_that_is_dragged_along_is_lifted(way_cm, height_cm):
    toes = np.zeros((30, 3))
    toes[:, 0] = np.interp(np.arange(30), [9, 20], [0, way_cm])
    toes[10:20, 1] = -4  # under the ground
    down = np.ones(30, bool)
    down[10:20] = False
    moved = toes + ground.shifts(toes, down, 1.5)
    np.testing.assert_allclose(moved[down, 1], 1.5)
    assert moved[10:20, 1].max() - 1.5 == pytest.approx(height_cm, rel=0.02)
    assert (moved[10:20, 1] > 1.5).all() == (way_cm > 0)  # so nobody takes it for the foot that carries
    assert np.abs(np.diff(moved[:, 1])).max() < 0.32 * height_cm + 1e-9


def test_who_is_moved_away_from_a_foot_does_not_go_to_the_ground(walkers):
    poses, root = walkers.poses[:90, 0], walkers.root[:90, 0].copy()
    root[:, [0, 2]] = root[0, [0, 2]] + [[120, 0]] * np.clip((np.arange(90) - 40) / 10, 0, 1)[:, None]
    before = root[:, 1].copy()
    _, held = ground.hold(poses, root, walkers.skeletons[0], lower_foot=foot(walkers, 0))
    assert 5 < (before - held[:, 1]).max() <= ground.MOST_SINK_CM


def test_feet_step_after_a_body_that_is_moved_away(walkers):
    poses, root = np.tile(walkers.poses[:1, 0], (90, 1)), np.tile(walkers.root[:1, 0], (90, 1))
    root[:, 0] += 200 * np.clip((np.arange(90) - 10) / 70, 0, 1)  # who stands is moved by 2 m
    held = ground.hold(poses, root, walkers.skeletons[0], lower_foot=foot(walkers, 0))
    toes, _, _ = seen(*held, walkers.skeletons[0])
    assert sliding_cm_s(toes, fps=FPS).max() < 1
    assert (root[:, 1] - held[1][:, 1]).max() <= ground.MOST_SINK_CM
    assert (np.ptp(toes[..., 0], 0) > 50).all()  # both go along
