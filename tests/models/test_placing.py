"""Two bodies in one room: what is made of steps and turns alone drifts, and what each sees brings it back."""

import numpy as np
import pytest
from helpers.walkers import relative_of, two_people

from models import placing
from pipeline.motion import pose


@pytest.fixture(scope="module")
def walkers():
    return two_people(seconds=30.0)


def place(walkers, relative, **options):
    return placing.place(
        walkers.poses, relative, walkers.root[0], walkers.skeletons, **{"lower_foot": None} | options
    )


def apart(root):
    return np.linalg.norm((root[:, 1] - root[:, 0])[:, [0, 2]], axis=1)


def test_free_bodies_without_a_relation_are_where_steps_and_turns_lead(walkers):
    relative = relative_of(walkers.root)
    poses, root = place(walkers, relative)
    np.testing.assert_array_equal(poses, walkers.poses)
    for k in range(2):
        np.testing.assert_array_equal(root[:, k], pose.integrate_root(relative[:, k], walkers.root[0, k]))


def test_what_is_right_already_stays(walkers):
    relation = pose.partner_seen(walkers.root)
    _, root = place(walkers, relative_of(walkers.root), relation=relation)
    np.testing.assert_allclose(root, walkers.root, atol=1e-6)


def test_two_who_drift_are_brought_back(walkers):
    relative = relative_of(walkers.root)
    relative[:, 0, 2] += 0.004  # 7 degrees a second
    relative[:, 1, :2] += 0.15  # 4.5 cm/s each
    relation = pose.partner_seen(walkers.root)
    _, drifted = place(walkers, relative)
    _, found = place(walkers, relative, relation=relation)
    np.testing.assert_allclose(found[0], drifted[0])
    wrong, mended = (np.abs(apart(root) - apart(walkers.root)) for root in (drifted, found))
    assert wrong[-200:].mean() > 60 and mended[-200:].mean() < 0.35 * wrong[-200:].mean()

    def turned(root):
        return np.abs(np.angle(np.exp(1j * (np.diff(root[..., 3]) - np.diff(walkers.root[..., 3])))))[:, 0]

    assert turned(drifted)[-200:].mean() > 1 and turned(found)[-200:].mean() < 0.4


def test_held_feet_and_a_relation_together(walkers):
    from models.space import sliding_cm_s
    from pipeline.motion.skeleton import forward_kinematics

    relative = relative_of(walkers.root)
    relative[:, 0, 2] += 0.004
    poses, root = place(walkers, relative, relation=pose.partner_seen(walkers.root), lower_foot=1.4)
    np.testing.assert_allclose(root[0][:, [0, 2, 3]], walkers.root[0][:, [0, 2, 3]])
    for k in range(2):
        motion = pose.decode(poses[:, k], root[:, k], walkers.skeletons[k])
        names, (world, _) = motion.aliases(), forward_kinematics(motion)
        toes = world[:, [names["LeftToeBase"], names["RightToeBase"]]]
        assert sliding_cm_s(toes, fps=30).mean() < 1


def test_two_who_come_too_near_are_moved_apart(walkers):
    """Smoothly, each by half, not at frame 0; who are far enough apart stay where they are."""
    root = walkers.root.copy()
    way = (root[:, 0] - root[:, 1])[:, [0, 2]]
    near = np.clip(np.sin(np.arange(len(root)) / 60), 0, 1)[:, None]
    root[:, 1, [0, 2]] += near * (1 - 20 / np.linalg.norm(way, axis=1, keepdims=True)) * way
    relative = relative_of(root)
    _, free = place(walkers, relative)
    _, found = place(walkers, relative, closest=60.0)
    assert apart(free).min() < 25 and apart(found).min() > 55
    np.testing.assert_array_equal(found[0], free[0])
    moved = (found - free)[..., [0, 2]]
    np.testing.assert_allclose(moved[:, 0], -moved[:, 1], atol=1e-9)
    assert np.linalg.norm(np.diff(moved, axis=0), axis=-1).max() < 3, "cm in a frame"
    far = np.flatnonzero(apart(free) > 150)
    assert len(far) and np.abs(moved[far[30:-30]]).max() < 25
    _, untouched = place(walkers, relative, closest=1.0)
    np.testing.assert_array_equal(untouched, free)


def test_a_correction_is_the_least_of_its_sum():
    rng = np.random.default_rng(0)
    difference, moving = rng.normal(0, 1, (40, 2)), rng.random(40)
    moving[10:20] = 0

    def total(found):
        weight = placing.PULL_FRAMES * (1 + (placing.STILL - 1) * (1 - moving[1:]))
        steps = np.diff(found, axis=0)
        return ((found - difference)[1:] ** 2).sum() + (weight[:, None] ** 2 * steps**2).sum()

    found = placing.correction(difference, moving)
    assert (found[0] == 0).all()
    for seed in range(5):
        other = found + np.concatenate(
            [np.zeros((1, 2)), 1e-3 * np.random.default_rng(seed).normal(size=(39, 2))]
        )
        assert total(other) > total(found)
    ahead = placing.correction(np.full((900, 1), 100.0), np.ones(900))
    assert 100 * (1 - np.exp(-1)) - 3 < ahead[90, 0] < 100 and ahead[-1, 0] > 99
    assert placing.correction(np.full((900, 1), 100.0), np.zeros(900))[90, 0] < 12


def test_who_moves_takes_it():
    brought = np.linspace(0, 10, 11)[:, None]
    moves = np.tile([1.0, 0.0], (11, 1))
    first, second = np.moveaxis(placing.shared(brought, moves), 1, 0)
    np.testing.assert_allclose(second - first, brought)
    assert first[-1, 0] < -9.5 and 0 < second[-1, 0] < 0.5


def test_what_each_sees_of_the_other():
    root = np.zeros((1, 2, 4))
    root[0, 0] = 0, 90, 0, np.pi / 2  # looks along +x
    root[0, 1] = 100, 80, 20, np.pi  # looks along -z
    seen = pose.partner_seen(root)
    # 100 ahead of the first, and 20 cm to its right; a quarter turn further to the left than it
    np.testing.assert_allclose(seen[0, 0], [-20, 100, 1, 0], atol=1e-12)
    np.testing.assert_allclose(seen[0, 1], [100, 20, -1, 0], atol=1e-12)
    turned = root + [5, 0, 7, 0]
    np.testing.assert_allclose(pose.partner_seen(turned), seen, atol=1e-12)
    assert pose.partner_seen(root.astype(np.float32)).dtype == np.float32
