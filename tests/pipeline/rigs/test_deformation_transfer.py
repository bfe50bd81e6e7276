import importlib.util

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pipeline.errors import InputError
from pipeline.rigs.deformation_transfer import (
    EdgeFit,
    edges,
    smooth_jacobian,
    split_faces,
    transfer_deltas,
    with_normal,
)


def sphere(radius: float, centre=(0, 0, 0), rings=12, around=16) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and quads of a band of a sphere."""
    tilt, turn = np.meshgrid(
        np.linspace(-1.3, 1.3, rings), np.linspace(0, 2 * np.pi, around, endpoint=False), indexing="ij"
    )
    vertices = (
        radius
        * np.stack([np.cos(tilt) * np.sin(turn), np.sin(tilt), np.cos(tilt) * np.cos(turn)], -1).reshape(
            -1, 3
        )
        + centre
    )
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(around), indexing="ij")
    quads = np.stack(
        [
            i * around + j,
            i * around + (j + 1) % around,
            (i + 1) * around + (j + 1) % around,
            (i + 1) * around + j,
        ],
        -1,
    )
    return vertices, quads.reshape(-1, 4)


@pytest.fixture(scope="module")
def head() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A skin, a jaw inside it that moves as a whole, and an eyeball that no shape moves.

    As neutral, faces and two shapes.
    """
    parts = [sphere(10), sphere(3, (0, -4, 4)), sphere(1.5, (3, 3, 7))]
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in parts])
    neutral, faces = (
        np.concatenate([v for v, _ in parts]),
        np.concatenate([f + s for (_, f), s in zip(parts, starts)]),
    )
    smile = np.exp(-0.5 * ((neutral - [3, -4, 8]) ** 2).sum(1, keepdims=True) / 9) * [0.5, 1.0, -0.3]
    opened = np.exp(-0.5 * ((neutral - [0, -6, 7]) ** 2).sum(1, keepdims=True) / 12) * [0, -2.0, -0.5]
    opened[starts[1] : starts[2]], smile[starts[1] : starts[2]] = [0, -1.5, -0.4], 0
    deltas = np.stack([smile, opened])
    deltas[:, starts[2] :] = 0
    deltas[:, neutral[:, 2] < -4] = 0
    return neutral, faces, deltas


def rotation() -> np.ndarray:
    c, s = np.cos(0.7), np.sin(0.7)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


@pytest.mark.parametrize(
    "linear", [np.eye(3), rotation(), 1.3 * np.eye(3), np.diag([1.1, 0.93, 1.05]), 0.01 * rotation()]
)
def test_an_affine_image_of_the_head_has_the_same_image_of_its_shapes(head, linear):
    neutral, faces, deltas = head
    found = transfer_deltas(neutral, faces, deltas, neutral @ linear.T + [30, -5, 2])
    assert found.dtype == np.float32 and np.allclose(
        found, deltas @ linear.T, rtol=0, atol=1e-6 * np.abs(linear).max()
    )


def test_a_flat_mesh_keeps_motion_out_of_its_plane():
    grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(4.0), [0.0], indexing="ij"), -1).reshape(-1, 3)
    faces = np.array(
        [[4 * i + j, 4 * i + j + 1, 4 * i + j + 5, 4 * i + j + 4] for i in range(4) for j in range(3)]
    )
    deltas = np.random.default_rng(0).normal(size=(2, 20, 3))
    assert np.allclose(
        transfer_deltas(grid, faces, deltas, 2 * grid @ rotation().T), 2 * deltas @ rotation().T, atol=1e-5
    )


def stretched(x: np.ndarray) -> np.ndarray:
    """Wider and shorter towards the chin."""
    low = 1 / (1 + np.exp((x[..., 1:2] + 2) / 3))
    return x * (np.array([1.02, 1.05, 0.96]) + low * [0.16, -0.12, 0.10])


def test_a_smooth_stretch_is_followed_twice_as_well_as_by_copying_in_each_component(head):
    neutral, faces, deltas = head
    target = stretched(neutral)
    true = stretched(neutral + deltas) - target
    found = transfer_deltas(neutral, faces, deltas, target)
    for part in (slice(0, 192), slice(192, 384)):
        assert 2 * np.linalg.norm((found - true)[:, part]) < np.linalg.norm((deltas - true)[:, part])


def test_detail_of_the_target_brings_edges_nearer_to_what_its_triangles_ask_for():
    """A bump that only the target has is more than the smooth map knows."""
    neutral, faces = sphere(10, rings=40, around=60)
    near = ((neutral - [0, 0, 10]) ** 2).sum(1, keepdims=True)
    target = neutral + np.exp(-0.5 * near / 0.8) * [0, 0, 0.5]
    delta = (neutral - [0, 0, 10]) * np.exp(-0.5 * near / 4) * 0.3
    corners = split_faces(faces, len(neutral))
    corners = corners[(near[corners] < 2).all((1, 2))]
    own = with_normal(edges(target, corners)) @ np.linalg.inv(with_normal(edges(neutral, corners)))
    smooth = np.einsum("vij,vj->vi", smooth_jacobian(neutral, target), delta)
    found = transfer_deltas(neutral, faces, delta[None], target)[0]
    missed = [np.linalg.norm(edges(x, corners) - own @ edges(delta, corners)) for x in (found, smooth)]
    assert missed[0] < 0.6 * missed[1]


def test_a_component_that_no_shape_moves_stays(head):
    neutral, faces, deltas = head
    found = transfer_deltas(neutral, faces, deltas, stretched(neutral))
    assert (found[:, 384:] == 0).all() and (found[:, neutral[:, 2] < -4] == 0).all()


def test_a_component_that_moves_as_a_whole_is_not_torn(head):
    neutral, faces, deltas = head
    found = transfer_deltas(neutral, faces, deltas, stretched(neutral))[1, 192:384]
    skin = transfer_deltas(neutral[:192], faces[faces[:, 0] < 192], deltas[:, :192], stretched(neutral)[:192])
    assert np.ptp(found, axis=0).max() < 0.25 and -1.6 < found[:, 1].mean() < -1.3
    assert np.abs(skin).max() > 0.5  # a component also stands on its own


def test_quads_and_their_triangles_and_padded_triangles_are_the_same(head):
    neutral, faces, deltas = head
    target = stretched(neutral)
    triangles = split_faces(faces, len(neutral))
    padded = np.concatenate([triangles, np.full((len(triangles), 1), -1)], 1)
    found = [transfer_deltas(neutral, f, deltas, target) for f in (faces, triangles, padded)]
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_degenerate_triangles_ask_for_nothing(head):
    neutral, faces, deltas = head
    target = stretched(neutral)
    worse = np.concatenate([faces, [[0, 0, 5, -1], [1, 1, 1, 1], [7, 8, 7, 8]]])
    assert np.array_equal(
        transfer_deltas(neutral, worse, deltas, target), transfer_deltas(neutral, faces, deltas, target)
    )


def test_a_triangle_that_the_target_collapses_asks_for_nothing(head):
    neutral, faces, deltas = head
    target = stretched(neutral)
    target[faces[3]] = target[faces[3]].mean(0)
    found = transfer_deltas(neutral, faces, deltas, target)
    assert (
        np.isfinite(found).all()
        and np.abs(found - transfer_deltas(neutral, faces, deltas, stretched(neutral))).max() < 0.3
    )


def test_a_vertex_in_no_face_follows_the_smooth_map(head):
    neutral, faces, deltas = head
    neutral, deltas = (
        np.concatenate([neutral, [[0, -6, 8.0]]]),
        np.concatenate([deltas, np.full((2, 1, 3), 0.5)], 1),
    )
    target = stretched(neutral)
    found = transfer_deltas(neutral, faces, deltas, target)[:, -1]
    assert np.allclose(found, deltas[:, -1] @ smooth_jacobian(neutral, target)[-1].T, atol=1e-6)
    assert np.linalg.norm(found - (stretched(neutral[-1] + deltas[:, -1]) - target[-1])) < 0.05


def test_noise_on_the_actors_neutral_does_not_reach_the_shapes_magnified(head):
    neutral, faces, deltas = head
    target = stretched(neutral)
    noisy = target + 0.05 * np.random.default_rng(0).normal(size=target.shape)
    assert (
        np.abs(
            transfer_deltas(neutral, faces, deltas, noisy) - transfer_deltas(neutral, faces, deltas, target)
        ).max()
        < 0.1
    )


def test_rigs_without_shapes_motion_or_faces_are_transferred(head):
    neutral, faces, deltas = head
    target = stretched(neutral)
    assert transfer_deltas(neutral, faces, deltas[:0], target).shape == (0, len(neutral), 3)
    assert (transfer_deltas(neutral, faces, 0 * deltas, target) == 0).all()
    assert np.isfinite(transfer_deltas(neutral, np.zeros((0, 4), int), deltas, target)).all()


def test_nothing_given_is_changed(head):
    given = [x.copy() for x in (*head, stretched(head[0]))]
    transfer_deltas(*given)
    assert all(np.array_equal(a, b) for a, b in zip(given, (*head, stretched(head[0]))))


def test_edges_that_fit_together_are_met_whatever_normals_do():
    """V unknowns are enough: a displacement with any motion along normals is found from its edges alone."""
    vertices, quads = sphere(5)
    corners = split_faces(quads, len(vertices))
    given = np.random.default_rng(1).normal(size=vertices.shape)
    given[:16] = 0
    found = EdgeFit(vertices, corners, np.arange(len(vertices)) >= 16, reach=1e6)(edges(given, corners))
    assert np.allclose(found, given, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": np.zeros((5, 3))}, "actor's neutral (5, 3), the generic rig's (576, 3)"),
        ({"deltas": np.zeros((2, 5, 3))}, "deltas (2, 5, 3), need (V,3) and (K,V,3)"),
        ({"deltas": np.zeros((576, 3))}, "deltas (576, 3)"),
        ({"neutral": np.zeros((576, 2))}, "neutral (576, 2)"),
        ({"faces": np.zeros((4, 5), int)}, "faces int64 (4, 5)"),
        ({"faces": np.zeros((4, 3))}, "faces float64 (4, 3)"),
        ({"faces": np.array([[0, 1, 576]])}, "vertices 0 to 576, need 0 to 575"),
        ({"faces": np.array([[0, -1, 5, 6]])}, "vertices -1 to 6"),
        ({"target": np.full((576, 3), np.nan)}, "the actor's neutral: 1728 of 1728 numbers are NaN"),
        ({"deltas": np.full((1, 576, 3), np.inf)}, "the rig's deltas: 1728 of 1728"),
    ],
)
def test_bad_heads_are_named(head, change, message):
    neutral, faces, deltas = head
    given = {"neutral": neutral, "faces": faces, "deltas": deltas, "target": neutral} | change
    with pytest.raises(InputError) as error:
        transfer_deltas(given["neutral"], given["faces"], given["deltas"], given["target"])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_shapes_of_the_real_head_are_transferred_twice_as_well_as_copied_and_its_lips_still_meet(real_data):
    spec = importlib.util.spec_from_file_location("make_shoot", real_data / "make_shoot.py")
    make_shoot = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_shoot)
    neutral, _, names, deltas, faces = make_shoot.arkit_rig()
    neutral, deltas = (
        neutral.astype(float),
        deltas[[names.index(name) for name in ("jawOpen", "mouthClose", "mouthSmileLeft")]].astype(float),
    )
    target = stretched(neutral)
    true = stretched(neutral + deltas) - target
    found = transfer_deltas(neutral, faces, deltas, target)
    assert 2 * np.linalg.norm(found - true) < np.linalg.norm(deltas - true)
    closed, opened = neutral + deltas[:2].sum(0), neutral + deltas[0]
    pairs = cKDTree(closed[:14_062]).query_pairs(0.08, output_type="ndarray")  # the skin
    pairs = pairs[np.linalg.norm(opened[pairs[:, 0]] - opened[pairs[:, 1]], axis=1) > 0.6]
    gaps = [
        np.linalg.norm(np.subtract(*(target + found[:2].sum(0))[pairs.T]), axis=1),
        np.linalg.norm(np.subtract(*closed[pairs.T]), axis=1),
    ]
    assert len(pairs) > 50 and np.abs(gaps[0] - gaps[1]).max() < 0.03
