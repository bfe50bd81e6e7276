"""A leg reaches its goal, and its knee stays a hinge."""

import numpy as np
import pytest

from models.leg import STRETCH, Leg, knee_axis
from pipeline.motion import rotations

AXIS = np.array([1.0, 0.1, -0.05]) / np.linalg.norm([1.0, 0.1, -0.05])
"""Not across the bones."""
AHEAD = np.array([[0.0, 0, 1]])


def made(bend_deg, axis=AXIS) -> Leg:
    """A leg whose shin turns about an axis, and is not straight at rest."""
    bend = np.deg2rad(np.asarray(bend_deg, float))
    turn = np.concatenate([np.sin(bend / 2)[:, None] * axis, np.cos(bend / 2)[:, None]], 1)
    shin = rotations.multiply(turn, rotations.from_expmap(np.array([0.2, 0.1, 0])))
    thigh = rotations.from_expmap(np.random.default_rng(0).normal(0, 0.3, (len(bend), 3)))
    upper, lower = np.tile([1.0, -40, 0], (len(bend), 1)), np.tile([-1.0, -38, -2], (len(bend), 1))
    return Leg(thigh, shin, upper, lower, knee_axis(shin, upper, lower, AHEAD))


def ankle(leg: Leg, thigh: np.ndarray, shin: np.ndarray) -> np.ndarray:
    """From the hip, of rotations in the room."""
    return rotations.rotate(thigh, leg.upper) + rotations.rotate(shin, leg.lower)


def own_ankle(leg: Leg) -> np.ndarray:
    return ankle(leg, leg.thigh, rotations.multiply(leg.thigh, leg.shin))


def test_a_knee_bends_about_its_own_axis_alone():
    rng = np.random.default_rng(1)
    leg = made(rng.uniform(5, 70, 50))
    np.testing.assert_allclose(leg.axis, AXIS, atol=1e-9)
    way = own_ankle(leg) + rng.normal(0, 4, (50, 3)) + [0, 15, 0]
    thigh, shin = leg.reach(way)
    np.testing.assert_allclose(ankle(leg, thigh, shin), way, atol=1e-6)
    bent = rotations.multiply(rotations.inverse(thigh), shin)
    turned = rotations.to_expmap(rotations.multiply(bent, rotations.inverse(leg.shin)))
    assert np.abs(turned @ AXIS).max() > 0.2 and np.abs(np.cross(turned, AXIS)).max() < 1e-9
    # where the ankle is right already, nothing turns
    thigh, shin = leg.reach(own_ankle(leg))
    assert rotations.angle_deg(thigh, leg.thigh).max() < 1e-4
    assert rotations.angle_deg(shin, rotations.multiply(leg.thigh, leg.shin)).max() < 1e-4


def test_beyond_reach_a_leg_is_all_but_straight_and_points_there():
    leg = made(np.linspace(5, 70, 50))
    end = ankle(leg, *leg.reach(np.tile([0.0, -300, 0], (50, 1))))
    assert np.abs(end[:, [0, 2]]).max() < 1e-6
    np.testing.assert_allclose(-end[:, 1], leg.longest())
    bones = np.linalg.norm(leg.upper[0]) + np.linalg.norm(leg.lower[0])
    assert (leg.longest() < STRETCH * bones + 1e-9).all() and (leg.longest() > 0.99 * bones).all()


@pytest.mark.parametrize("bend_deg", [0.0, -2.0, 2.0])
@pytest.mark.parametrize("ahead", [[0.0, 0, 1], [1.0, 0, 0]])
def test_a_leg_that_stays_all_but_straight_bends_ahead(bend_deg, ahead):
    still = np.tile([0.0, 0, 0, 1], (5, 1))
    shin = rotations.from_expmap(np.tile([np.deg2rad(bend_deg), 0, 0], (5, 1)))
    bone = np.tile([0.0, -40, 0], (5, 1))
    leg = Leg(still, shin, bone, bone, knee_axis(shin, bone, bone, np.tile(ahead, (5, 1))))
    thigh, _ = leg.reach(np.tile([0.0, -60, 0], (5, 1)))
    assert (rotations.rotate(thigh, bone) @ ahead > 20).all()


def test_a_knee_that_turns_every_way_bends_in_the_mean_plane_of_its_bones():
    rng = np.random.default_rng(2)
    shin = rotations.from_expmap(rng.normal(0, 0.3, (200, 3)) + [0.8, 0, 0])
    upper, lower = np.tile([0.0, -40, 0], (200, 1)), np.tile([0.0, -38, 0], (200, 1))
    axis = knee_axis(shin, upper, lower, AHEAD)
    assert axis[0] > 0.98 and abs(axis[1]) < 1e-9
    leg = Leg(np.tile([0.0, 0, 0, 1], (200, 1)), shin, upper, lower, axis)
    way = own_ankle(leg) * 0.9
    np.testing.assert_allclose(ankle(leg, *leg.reach(way)), way, atol=1e-6)
