"""A mirrored person's joints are where the mirror image of the real ones is, wherever that is computed."""

from pathlib import Path

import numpy as np
import pytest
from helpers.bodies import standing

from pipeline.errors import InputError
from pipeline.formats.bvh import load_bvh
from pipeline.motion import pose, rotations
from pipeline.motion.mirror import ROOT_SIGNS, mirrored_columns, partners
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics

RECORDED = Path(__file__).parents[3] / "tests" / "recordings" / "cmu_01_03.bvh"


def places(motion: Motion) -> np.ndarray:
    return forward_kinematics(motion)[0]


def mirrored(motion: Motion) -> Motion:
    """Through the numbers that models see: poses and relative roots."""
    poses, root = pose.encode(motion)
    columns, signs = mirrored_columns(motion.names, motion.offsets_cm)
    start = root[0] * [-1, 1, 1, -1]
    turned = pose.integrate_root(pose.relative_root(root) * ROOT_SIGNS, start)
    return pose.decode(poses[:, columns] * signs, turned, pose.skeleton_of(motion))


def symmetric(motion: Motion) -> Motion:
    """The motion on a skeleton whose sides have the same lengths."""
    columns, signs = mirrored_columns(motion.names, motion.offsets_cm)
    other = columns.reshape(-1, 3)[:, 0] // 3
    flip = -signs.reshape(-1, 3)[1]
    offsets = (motion.offsets_cm + flip * motion.offsets_cm[other]) / 2
    poses, root = pose.encode(motion)
    skeleton = pose.skeleton_of(motion)
    return pose.decode(
        poses, root, pose.Skeleton(skeleton.names, skeleton.parents, offsets, {}, skeleton.orders)
    )


def bent() -> Motion:
    """A simulated actor who leans, turns and walks to a side."""
    motion = standing(2.0, 30.0)
    t = np.arange(len(motion.positions_cm)) / 30
    motion.positions_cm[:, 0, 0] += 40 * t
    lean = rotations.multiply(rotations.about("y", 0.8 * t), rotations.about("z", 0.3 * np.sin(t)))
    motion.rotations[:, 0] = rotations.multiply(lean, motion.rotations[:, 0])
    return motion


def recorded() -> Motion:
    return load_bvh(RECORDED, unit="cm").frames(np.arange(0, 200, 4))


@pytest.mark.parametrize("make", [bent, recorded], ids=["simulated", "recorded"])
def test_mirrored_joints_are_the_mirror_image_of_the_real_ones(make):
    motion = symmetric(make())
    image = places(motion) * [-1, 1, 1]
    found = places(mirrored(motion))
    assert np.abs(found - image[:, partners(motion.names)]).max() < 0.01
    assert np.abs(found - places(motion)).max() > 5, "or nothing was mirrored"


@pytest.mark.parametrize("make", [bent, recorded], ids=["simulated", "recorded"])
def test_mirrored_twice_is_the_same(make):
    motion = make()
    columns, signs = mirrored_columns(motion.names, motion.offsets_cm)
    poses, _ = pose.encode(motion)
    assert np.array_equal((poses[:, columns] * signs)[:, columns] * signs, poses)
    assert sorted(columns) == list(range(len(columns))) and (ROOT_SIGNS**2 == 1).all()


def test_every_sided_joint_has_a_partner():
    names = standing(0.1).names
    for j, other in enumerate(partners(names)):
        sides = {"Left": "Right", "Right": "Left"}
        side = next((s for s in sides if names[j].startswith(s)), None)
        want = names[j] if side is None else sides[side] + names[j].removeprefix(side)
        assert names[other] == want


def test_a_rest_pose_that_differs_between_the_sides_is_told():
    motion = standing(0.1)
    offsets = motion.offsets_cm.copy()
    offsets[motion.names.index("LeftForeArm")] = [0, 0, 25]
    with pytest.raises(InputError, match="ForeArm lies at .* need a rest pose that is alike on both sides"):
        mirrored_columns(motion.names, offsets)
    offsets = motion.offsets_cm.copy()
    offsets[motion.names.index("LeftForeArm")] *= 1.1
    mirrored_columns(motion.names, offsets)
