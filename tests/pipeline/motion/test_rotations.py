import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.motion import rotations

ORDERS = ["xyz", "xzy", "yxz", "yzx", "zxy", "zyx"]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def random_quaternions(rng, *shape: int) -> np.ndarray:
    return rotations.normalise(rng.normal(size=(*shape, 4)))


def angle_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(rotations.to_expmap(rotations.multiply(rotations.inverse(a), b)), axis=-1)


@pytest.mark.parametrize("order", [*ORDERS, "xyx", "zxz", "yzy"])
def test_from_euler_is_intrinsic(rng, order):
    angles = rng.uniform(-4, 4, (50, 3))
    expected = Rotation.from_euler(order.upper(), angles).as_quat()
    assert angle_between(rotations.from_euler(order, angles), expected).max() < 1e-7


@pytest.mark.parametrize("order", ORDERS)
def test_euler_round_trip_over_a_grid_with_gimbal_lock(order):
    steps = np.deg2rad(np.arange(-180, 181, 30))
    angles = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    q = rotations.from_euler(order, angles)
    back = rotations.from_euler(order, rotations.to_euler(order, q))
    assert angle_between(q, back).max() < 1e-6


@pytest.mark.parametrize("order", ORDERS)
def test_euler_angles_and_matrices_are_those_of_scipy(rng, order):
    q = random_quaternions(rng, 500)
    of_scipy = Rotation.from_quat(q)
    np.testing.assert_allclose(
        rotations.to_euler(order, q), of_scipy.as_euler(order.upper()), rtol=0, atol=1e-12
    )
    m = of_scipy.as_matrix().reshape(5, 100, 3, 3)
    np.testing.assert_allclose(
        rotations.from_matrix(m).reshape(500, 4),
        Rotation.from_matrix(m.reshape(-1, 3, 3)).as_quat(),
        atol=1e-12,
    )
    assert np.isnan(rotations.to_euler(order, np.full(4, np.nan))).all()


def test_multiply_rotate_and_inverse_are_those_of_matrices(rng):
    a, b, v = random_quaternions(rng, 40), random_quaternions(rng, 40), rng.normal(size=(40, 3))
    ra, rb = Rotation.from_quat(a), Rotation.from_quat(b)
    assert np.allclose(rotations.rotate(a, v), ra.apply(v), atol=1e-12)
    assert np.allclose(rotations.rotate(rotations.multiply(a, b), v), (ra * rb).apply(v), atol=1e-12)
    assert np.allclose(rotations.rotate(rotations.inverse(a), rotations.rotate(a, v)), v, atol=1e-12)
    assert (
        angle_between(rotations.from_matrix(ra.as_matrix().reshape(8, 5, 3, 3)).reshape(40, 4), a).max()
        < 1e-7
    )


@pytest.mark.parametrize("axis", "xyz")
def test_about_turns_by_the_right_hand(axis):
    right = {"x": ((0, 1, 0), (0, 0, 1)), "y": ((0, 0, 1), (1, 0, 0)), "z": ((1, 0, 0), (0, 1, 0))}[axis]
    assert np.allclose(
        rotations.rotate(rotations.about(axis, np.pi / 2), np.array(right[0], float)), right[1]
    )


@pytest.mark.parametrize(
    "angle", [0.0, 1e-12, 1e-9, 1e-8, 1e-5, 0.1, 1.0, 3.0, np.pi - 1e-3, np.pi - 1e-6, np.pi - 1e-9]
)
def test_expmap_round_trip_from_0_to_pi(rng, angle):
    axis = rng.normal(size=(20, 3))
    v = angle * axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    assert np.allclose(rotations.to_expmap(rotations.from_expmap(v)), v, rtol=1e-9, atol=1e-14)
    assert np.allclose(rotations.from_expmap(v), Rotation.from_rotvec(v).as_quat(), atol=1e-12)


def test_expmap_of_pi_and_beyond_is_the_same_rotation(rng):
    v = rng.normal(size=(20, 3))
    v /= np.linalg.norm(v, axis=-1, keepdims=True)
    for angle in (np.pi, 4.0, 2 * np.pi, 9.0):
        q = rotations.from_expmap(angle * v)
        assert np.allclose(np.linalg.norm(q, axis=-1), 1)
        found = rotations.to_expmap(q)
        assert (np.linalg.norm(found, axis=-1) <= np.pi + 1e-12).all()
        assert angle_between(rotations.from_expmap(found), q).max() < 1e-7
    assert np.array_equal(rotations.to_expmap(np.array([0.0, 0, 0, -1.0])), np.zeros(3))


def test_to_expmap_does_not_see_the_sign(rng):
    q = random_quaternions(rng, 50)
    assert np.array_equal(rotations.to_expmap(q), rotations.to_expmap(-q))


def test_continuous_only_flips_signs(rng):
    q = random_quaternions(rng, 60, 3)
    smooth = rotations.continuous(q)
    assert (np.sum(smooth[1:] * smooth[:-1], -1) >= 0).all()
    assert np.allclose(np.abs(np.sum(smooth * q, -1)), 1) and np.array_equal(smooth[0], q[0])


def test_slerp_hits_its_frames_and_moves_at_constant_speed(rng):
    q = random_quaternions(rng, 10, 4)
    assert angle_between(rotations.slerp(q, np.arange(10.0)), q).max() < 1e-6
    part = np.linspace(0, 1, 11)
    pair = random_quaternions(rng, 2)
    steps = angle_between(rotations.slerp(pair, part)[:-1], rotations.slerp(pair, part)[1:])
    assert np.allclose(steps, angle_between(pair[0], pair[1]) / 10, atol=1e-7), (
        "constant speed on the shortest arc"
    )
    assert np.allclose(rotations.slerp(-pair[:1] * 1.0, np.zeros(3)), -pair[0]), "one frame is enough"


def test_slerp_takes_the_short_way_and_survives_equal_frames(rng):
    q = random_quaternions(rng, 1)[0]
    assert angle_between(rotations.slerp(np.stack([q, -q]), np.array([0.5])), q[None]).max() < 1e-7
    near = rotations.multiply(q, rotations.about("x", 1e-9))
    assert np.isfinite(rotations.slerp(np.stack([q, near]), np.array([0.3]))).all()
