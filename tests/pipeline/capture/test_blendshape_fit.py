import numpy as np
import pytest
from scipy.optimize import lsq_linear

from pipeline.capture.blendshape_fit import BlendshapeFit, box_least_squares, smooth
from pipeline.errors import InputError


def problem(num_shapes=20, num_vertices=60, num_frames=40, *, seed=0, low=-0.5, high=1.5):
    rng = np.random.default_rng(seed)
    neutral, deltas = rng.normal(0, 5, (num_vertices, 3)), rng.normal(0, 0.5, (num_shapes, num_vertices, 3))
    deltas += 0.8 * rng.normal(
        0, 0.5, (num_vertices, 3)
    )  # shapes that share something, as those of a face do
    weights = rng.uniform(low, high, (num_frames, num_shapes))
    return (
        neutral + np.tensordot(weights, deltas, 1) + rng.normal(0, 0.3, (num_frames, num_vertices, 3)),
        neutral,
        deltas,
    )


def bounded_singly(vertices, neutral, deltas):
    basis = deltas.reshape(len(deltas), -1).T
    return np.array(
        [
            lsq_linear(basis, (frame - neutral).ravel(), (0, 1), method="bvls", tol=1e-14).x
            for frame in vertices
        ]
    )


@pytest.mark.parametrize(("num_shapes", "num_vertices"), [(1, 5), (20, 60), (51, 200), (51, 18)])
def test_bounded_equals_scipy(num_shapes, num_vertices):
    vertices, neutral, deltas = problem(num_shapes, num_vertices)
    found = BlendshapeFit(neutral, deltas, method="bounded")(vertices)
    assert found.weights.min() >= 0 and found.weights.max() <= 1
    assert np.abs(found.weights - bounded_singly(vertices, neutral, deltas)).max() < 1e-6
    left = vertices - neutral - np.tensordot(found.weights, deltas, 1)
    assert np.allclose(found.residual, np.sqrt((left**2).mean((1, 2))))
    assert ((found.weights == 0) | (found.weights == 1)).any() or num_shapes == 1


def test_bounded_with_dependent_shapes_is_no_worse_than_scipy():
    vertices, neutral, deltas = problem(8, 30)
    deltas[3] = deltas[2]
    deltas[5] = 0
    basis = deltas.reshape(8, -1).T
    found = BlendshapeFit(neutral, deltas, method="bounded")(vertices).weights
    error, best = (
        (vertices - neutral).reshape(len(vertices), -1) - w @ basis.T
        for w in (found, bounded_singly(vertices, neutral, deltas))
    )
    assert found.min() >= 0 and found.max() <= 1
    assert np.allclose((error**2).sum(1), (best**2).sum(1), rtol=1e-9)


def test_sets_that_go_in_circles_are_solved_all_the_same():
    """Nearly dependent shapes and weights far outside: the hardest case for an active set."""
    rng = np.random.default_rng(3)
    base = rng.normal(size=(12, 40)) * 0.02 + rng.normal(size=40)
    normal, weights = base @ base.T, rng.normal(0.5, 40, (300, 12))
    found = box_least_squares(normal, weights)
    gradient = (found - weights) @ normal
    at_low, at_high, scale = found < 1e-12, found > 1 - 1e-12, np.abs(normal).sum() * 40
    assert np.abs(gradient[~at_low & ~at_high]).max() < 1e-9 * scale
    assert gradient[at_low].min() > -1e-9 * scale and gradient[at_high].max() < 1e-9 * scale


def test_float32_streams_are_as_good_as_double_precision():
    vertices, neutral, deltas = (a.astype(np.float32) for a in problem(51, 3000))
    regions = {"lips": np.arange(50), "rest": np.arange(50, 3000)}
    fast, exact = (
        BlendshapeFit(neutral, deltas, regions=regions, fast=fast)(vertices) for fast in (True, False)
    )
    assert np.abs(fast.weights - exact.weights).max() < 1e-6
    assert not np.array_equal(fast.weights, exact.weights), "the fast products were used"
    assert np.allclose(fast.residual, exact.residual, rtol=1e-5)
    assert np.allclose(fast.by_region["lips"], exact.by_region["lips"], rtol=1e-5)


def test_badly_conditioned_rigs_are_solved_in_double_precision():
    vertices, neutral, deltas = (a.astype(np.float32) for a in problem(10, 100))
    deltas[4] = deltas[3] + 1e-4 * deltas[4]
    fast, exact = (BlendshapeFit(neutral, deltas, fast=fast) for fast in (True, False))
    assert fast.condition > 1e3 and np.array_equal(fast(vertices).weights, exact(vertices).weights)


def test_residuals_of_regions():
    vertices, neutral, deltas = problem()
    regions = {"lips": np.array([3, 5, 9]), "brows": np.array([1, 2])}
    found = BlendshapeFit(neutral, deltas, regions=regions)(vertices)
    left = vertices - neutral - np.tensordot(found.weights, deltas, 1)
    for name, part in regions.items():
        assert np.allclose(found.by_region[name], np.sqrt((left[:, part] ** 2).mean((1, 2))))


def test_vertex_weights_weigh_squared_errors():
    vertices, neutral, deltas = problem(6, 30)
    weights = np.ones(30)
    weights[:4], weights[20:] = 9, 0
    roots = np.sqrt(np.repeat(weights, 3))
    basis, right = (
        deltas.reshape(6, -1).T * roots[:, None],
        (vertices - neutral).reshape(len(vertices), -1) * roots,
    )
    expected = np.linalg.lstsq(basis, right.T)[0].T
    for method in ("normal", "lsqr"):
        found = BlendshapeFit(neutral, deltas, method=method, vertex_weights=weights)(vertices)
        assert np.abs(found.weights - expected).max() < 1e-7
    vertices[2, 1] = np.nan
    masked = BlendshapeFit(neutral, deltas, vertex_weights=weights)(vertices).weights[2]
    rows = np.repeat(np.arange(30) != 1, 3)
    assert np.abs(masked - np.linalg.lstsq(basis[rows], right[2][rows])[0]).max() < 1e-8
    with pytest.raises(InputError, match="need 30 numbers of 0 or more"):
        BlendshapeFit(neutral, deltas, vertex_weights=-weights)


def test_smoothing_minimises_the_sum_of_errors_and_changes():
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(4, 9))
    normal, weights, strength = basis @ basis.T, rng.normal(size=(7, 4)), 3.0
    found = smooth(normal, weights, strength)
    difference = np.diff(np.eye(7), axis=0)
    matrix = np.kron(np.eye(7), normal) + strength * np.kron(difference.T @ difference, np.eye(4))
    expected = np.linalg.solve(matrix, (weights @ normal).ravel()).reshape(7, 4)
    assert np.abs(found - expected).max() < 1e-10
    assert np.array_equal(smooth(normal, weights, 0), weights) and np.array_equal(
        smooth(normal, weights[:1], 5), weights[:1]
    )


def test_faults_of_shapes_are_named():
    _, neutral, deltas = problem(8, 30)
    deltas[2] = 0
    deltas[4] = 2 * deltas[1]
    deltas[7] = deltas[5] + deltas[6]
    names = [f"shape{i}" for i in range(8)]
    lines = BlendshapeFit(neutral, deltas).faults(names)
    assert lines[:2] == ["shape2 moves nothing", "shape4 is 2 times shape1"]
    assert len(lines) == 3 and lines[2].startswith("1 more of shape5, shape6, shape7 ")
    assert BlendshapeFit(neutral, problem(8, 30)[2]).faults(names) == []
