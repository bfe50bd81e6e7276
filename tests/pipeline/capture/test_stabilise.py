import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.capture import stabilise
from pipeline.errors import InputError
from pipeline.formats.rig_file import Rig

RNG = np.random.default_rng


def moved(reference, *, frames=25, degrees=20.0, cm=5.0, scale=1.0, noise=0.0, seed=0):
    """Points (B, n, 3) of a head that turns and moves, and its rotations and translations."""
    rng = RNG(seed)
    rotation = Rotation.from_rotvec(
        np.deg2rad(degrees) * rng.uniform(-1, 1, (frames, 3)) / np.sqrt(3)
    ).as_matrix()
    translation = rng.uniform(-cm, cm, (frames, 3))
    points = scale * reference @ rotation.transpose(0, 2, 1) + translation[:, None]
    return points + noise * rng.standard_normal(points.shape), rotation, translation


def test_exact_poses_are_found_and_taken_off():
    reference = RNG(1).normal(0, 8, (200, 3))
    points, rotation, translation = moved(reference)
    pose = stabilise.estimate(points, reference)
    assert (
        np.abs(pose.rotation - rotation).max() < 1e-9 and np.abs(pose.translation - translation).max() < 1e-8
    )
    assert np.abs(pose.remove(points) - reference).max() < 1e-8


@pytest.mark.parametrize("similarity", [False, True])
def test_scale_is_found_where_it_is_asked_for(similarity):
    reference = RNG(1).normal(0, 8, (200, 3))
    points, rotation, _ = moved(reference, scale=1.07)
    pose = stabilise.estimate(points, reference, similarity=similarity)
    assert np.allclose(pose.scale, 1.07 if similarity else 1.0)
    assert np.abs(pose.rotation - rotation).max() < (1e-9 if similarity else 0.05)
    if similarity:
        assert np.abs(pose.remove(points) - reference).max() < 1e-8


def test_outliers_do_not_move_the_head():
    reference = RNG(1).normal(0, 8, (300, 3))
    points, rotation, translation = moved(reference, noise=0.01)
    points[:, :60] += [0, 3.0, 1.0]  # a collar that goes its own way
    pose = stabilise.estimate(points, reference)
    plain = stabilise._procrustes(points, reference, np.ones(points.shape[:2]), False)
    error, plain_error = (
        np.linalg.norm(p.remove(points)[:, 60:] - reference[60:], axis=-1).mean() for p in (pose, plain)
    )
    assert error < 0.02 and plain_error > 0.3, "noise of 0.01 cm a coordinate is 0.016 cm a vertex"


def test_missing_points_have_no_say_and_a_frame_with_too_few_has_no_pose():
    reference = RNG(1).normal(0, 8, (100, 3))
    points, rotation, _ = moved(reference)
    points[3, :50] = np.nan
    points[4, :80] = np.nan
    pose = stabilise.estimate(points, reference)
    assert np.abs(pose.rotation[3] - rotation[3]).max() < 1e-9
    assert (
        np.isnan(pose.rotation[4]).all()
        and np.isnan(pose.translation[4]).all()
        and np.isfinite(pose.rotation[5:]).all()
    )


def test_a_mirror_is_no_rotation():
    reference = RNG(1).normal(0, 8, (100, 3))
    pose = stabilise.estimate((reference * [-1, 1, 1])[None], reference)
    assert np.linalg.det(pose.rotation[0]) == pytest.approx(1)


def test_still_vertices_are_those_that_no_shape_moves():
    deltas = np.zeros((51, 5000, 3), np.float32)
    deltas[3, :2000, 1], deltas[4, 2000:2500, 0] = 1, 0.01
    rig = Rig(np.zeros((5000, 3), np.float32), deltas, np.arange(2400, 5000).reshape(-1, 4))
    still = stabilise.still_vertices(rig)
    assert len(still) == stabilise.MAX_STILL and still.min() == 2400, (
        "moved by 1 % is still; vertices without face are not used"
    )
    with pytest.raises(InputError, match="has 0 vertices that expressions do not move"):
        stabilise.still_vertices(Rig(rig.neutral, np.ones_like(deltas), rig.faces))


def test_movement_is_measured_at_the_vertices():
    reference = RNG(1).normal(0, 8, (100, 3))
    still, _, _ = moved(reference, degrees=0, cm=0, noise=0.01)
    assert stabilise.moves(stabilise.estimate(still, reference), reference) < 0.01
    turned, _, _ = moved(reference, degrees=1, cm=0)
    assert stabilise.moves(stabilise.estimate(turned, reference), reference) > 0.05
