import numpy as np
import pytest

from pipeline.motion.pose import integrate_root, relative_root


@pytest.mark.parametrize("num_frames", [1, 2, 40, 2700])
def test_round_trip(num_frames):
    rng = np.random.default_rng(num_frames)
    root = np.cumsum(rng.normal(0, [2, 1, 2, 0.3], (num_frames, 4)), 0)
    back = integrate_root(relative_root(root), root[0])
    np.testing.assert_allclose(back, root, atol=1e-8)


def test_forward_is_z_of_the_current_heading():
    # a quarter turn to +x while moving 3 cm along +x: after the turn that is straight ahead
    relative = relative_root(np.array([[0, 90, 0, 0], [3.0, 91, 0, np.pi / 2]]))
    np.testing.assert_allclose(relative, [[0, 3, np.pi / 2, 90], [0, 3, np.pi / 2, 91]], atol=1e-12)


def test_same_walk_anywhere_is_the_same():
    rng = np.random.default_rng(0)
    root = np.cumsum(rng.normal(0, [2, 1, 2, 0.2], (50, 4)), 0)
    turn, c, s = 1.1, np.cos(1.1), np.sin(1.1)
    moved = np.stack(
        [
            c * root[:, 0] + s * root[:, 2] + 50,
            root[:, 1],
            c * root[:, 2] - s * root[:, 0] - 20,
            root[:, 3] + turn,
        ],
        1,
    )
    np.testing.assert_allclose(relative_root(moved), relative_root(root), atol=1e-9)


def test_turns_are_wrapped():
    relative = relative_root(np.array([[0, 0, 0, np.pi - 0.1], [0, 0, 0, -np.pi + 0.1]]))
    np.testing.assert_allclose(relative[:, 2], 0.2)


def test_first_deltas_are_not_applied():
    start = np.array([1.0, 2.0, 3.0, 0.5])
    relative = np.array([[9.0, 9.0, 9.0, 2.0], [0.0, 0.0, 0.0, 2.0]])
    np.testing.assert_allclose(integrate_root(relative, start), [start, start])


def test_float32_stays_and_is_as_exact_as_its_roots():
    rng = np.random.default_rng(0)
    root = np.cumsum(rng.normal(0, [2, 1, 2, 0.2], (500, 4)), 0).astype(np.float32)
    relative = relative_root(root)
    assert relative.dtype == np.float32
    np.testing.assert_allclose(
        relative, relative_root(root.astype(float)), atol=2e-6 * np.abs(relative).max()
    )
