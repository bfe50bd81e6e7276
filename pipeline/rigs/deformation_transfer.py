"""Deformation transfer: an actor's shapes from a neutral head and a generic rig.

Both are in the same topology.

In: the generic rig's neutral, faces and deltas, and the actor's neutral. Out: the actor's deltas, in the
actor's unit.

The idea is Sumner and Popovic's (Deformation Transfer for Triangle Meshes, SIGGRAPH 2004): what a shape does
to each triangle is carried over, and one sparse least-squares problem, factorised once, finds the vertices.
Two things differ.

What is carried over. They copy a triangle's deformation gradient Q to the actor's triangle as it is. Here the
map from one head to the other is known everywhere, so its linear part J is applied to the motion: edges e of
a shape move by J de. This is exact to first order where the actor is a smooth stretch of the generic head, it
turns the motion with the head, and it is linear in the deltas: shapes whose sum closes the lips still close
them. Q is none of the three.

Where translation comes from. Edges say nothing about where a component goes, and over a jaw that opens by 4
cm their errors add up. So the map between the heads is split in two: a smooth map of space, found from the
vertices of all components together, and the rest M, which differs from triangle to triangle. The smooth map's
Jacobian moves every vertex, so teeth, tongue and lashes go with the skin around them, whatever component they
are in; the sparse problem finds only the correction that M asks for.
"""

import numpy as np
from scipy import sparse
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.sparse.linalg import splu

from pipeline.errors import InputError

SMOOTH_RADIUS = 0.15
"""Standard deviation of the smooth map's neighbourhoods, in sizes of the head.

A size is the RMS distance from the head's centre; 7.2 cm on ICT's.
"""
SMOOTH_STEPS = 50
"""The neighbourhoods are at least 1 / SMOOTH_STEPS of the head's extent.

This bounds the lattice when a vertex lies far off.
"""
SMOOTH_RIDGE = 0.01
"""Pull of the smooth map's local slopes to the overall one, in squared radii.

It decides where all neighbours lie in a plane.
"""
CORRECTION_REACH = 0.2
"""Distance over which a triangle's correction dies away, in sizes of the head."""
THINNEST = 1e-3
"""A triangle whose height is a smaller share of its longer side than this is degenerate."""
LARGEST_REST = 0.5
"""Frobenius norm of a triangle's M - I above which it is scaled down.

So far from the smooth map is noise of small triangles.
"""
UNMOVED = 1e-4
"""A vertex that no shape moves by more than this share of the largest travel takes no correction."""


def transfer_deltas(
    neutral: np.ndarray, faces: np.ndarray, deltas: np.ndarray, target_neutral: np.ndarray
) -> np.ndarray:
    """Deltas (K, V, 3) float32 of the actor `target_neutral` (V, 3) from a rig.

    The rig is neutral (V, 3), faces (F, 3 or 4), deltas (K, V, 3).

    A quad is split along its first and third corner; a fourth corner of -1 makes a triangle. If the target is
    an affine image A of the neutral, the result is A delta: itself for the same head or one moved, turned
    with a turned head, scaled with a scaled one. A component that no shape moves stays. Degenerate triangles
    (of either head) ask for nothing; a vertex in no other face follows the smooth map alone. Components need
    no anchors of their own: the correction is pulled to zero everywhere, weakly, and vertices that no shape
    moves hold it there.
    """
    neutral, deltas, target = (np.asarray(x, float) for x in (neutral, deltas, target_neutral))
    _check(neutral, deltas, target)
    corners = split_faces(faces, len(neutral))
    jacobian = smooth_jacobian(neutral, target)
    carried = (
        np.stack([np.einsum("vij,vj->vi", jacobian, delta) for delta in deltas]) if len(deltas) else deltas
    )
    smooth_edges = jacobian[corners].mean(1) @ edges(neutral, corners)
    usable = (
        well_shaped(edges(neutral, corners)) & well_shaped(edges(target, corners)) & well_shaped(smooth_edges)
    )
    corners, smooth_edges = corners[usable], smooth_edges[usable]
    travel = np.linalg.norm(deltas, axis=2).max(0, initial=0)
    moved = travel > UNMOVED * travel.max(initial=0)
    moved &= np.bincount(corners.ravel(), minlength=len(neutral)) > 0
    if moved.any():
        rest = with_normal(edges(target, corners)) @ np.linalg.inv(with_normal(smooth_edges)) - np.eye(3)
        rest *= LARGEST_REST / np.maximum(np.linalg.norm(rest, axis=(1, 2), keepdims=True), LARGEST_REST)
        solve = EdgeFit(target, corners, moved, reach=CORRECTION_REACH * _size(target))
        for delta in carried:
            delta += solve(rest @ edges(delta, corners))
    return carried.astype(np.float32)


def split_faces(faces: np.ndarray, num_vertices: int) -> np.ndarray:
    """Triangles (F', 3) of faces (F, 3 or 4): a quad a b c d gives a b c and, after all of these, a c d.

    D = -1 is a triangle.
    """
    faces = np.asarray(faces)
    if faces.ndim != 2 or faces.shape[1] not in (3, 4) or faces.dtype.kind not in "iu":
        raise InputError(
            f"rig: faces {faces.dtype} {faces.shape}, need vertex indices (F,3) or (F,4); build the rig again"
        )
    corners = faces[:, :3]
    if faces.shape[1] == 4:
        corners = np.concatenate([corners, faces[faces[:, 3] != -1][:, [0, 2, 3]]])
    if corners.size and not 0 <= corners.min() <= corners.max() < num_vertices:
        raise InputError(
            f"rig: faces name vertices {corners.min()} to {corners.max()}, need 0 to {num_vertices - 1} (-1"
            " only as the fourth); build the rig again"
        )
    return corners.astype(np.int64)


def edges(vertices: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The two edges (F, 3, 2) from the first corner of triangles (F, 3) of vertices (V, 3), as columns."""
    a, b, c = (vertices[corners[:, i]] for i in range(3))
    return np.stack([b - a, c - a], 2)


def with_normal(edges: np.ndarray) -> np.ndarray:
    """Edges (F, 3, 2) and a normal as columns (F, 3, 3).

    The normal's length is the square root of the parallelogram's area.

    A triangle without area has a normal of zeros.
    """
    cross = np.cross(edges[..., 0], edges[..., 1])
    length = np.sqrt(np.linalg.norm(cross, axis=1, keepdims=True))
    return np.concatenate([edges, (cross / np.maximum(length, np.finfo(float).tiny))[..., None]], 2)


def well_shaped(edges: np.ndarray) -> np.ndarray:
    """Which (F,) triangles with edges (F, 3, 2) are not degenerate."""
    area = np.linalg.norm(np.cross(edges[..., 0], edges[..., 1]), axis=1)
    return area > THINNEST * (edges**2).sum(1).max(1)


def smooth_jacobian(neutral: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Jacobian (V, 3, 3) at each vertex of a smooth map of space.

    The map takes neutral (V, 3) to target (V, 3) but for detail.

    Around each node of a lattice an affine map is fitted to all vertices near by, with Gaussian weights; the
    Jacobian is interpolated between nodes. Every occupied cell weighs the same, so that finely meshed lashes
    and lips do not count more than the skin. Where the neighbours leave a direction open, the affine map of
    the whole head decides.
    """
    points, overall = neutral - neutral.mean(0), _affine(neutral, target)
    residuals = target - target.mean(0) - points @ overall.T
    low, extent = points.min(0), np.ptp(points, axis=0)
    radius = max(SMOOTH_RADIUS * _size(neutral), extent.max() / SMOOTH_STEPS)
    if radius == 0:
        return np.broadcast_to(overall, (len(neutral), 3, 3))
    step = radius / 2
    shape = np.ceil(extent / step).astype(int) + 2
    where = (points - low) / step
    cell = np.ravel_multi_index(tuple(np.rint(where).astype(int).T), tuple(shape))
    occupied, cell, count = np.unique(cell, return_inverse=True, return_counts=True)
    mean = np.stack([np.bincount(cell, x) / count for x in (*points.T, *residuals.T)], 1)
    x, r = mean[:, :3], mean[:, 3:]
    moments = np.concatenate([np.ones((len(x), 1)), x, r, _outer(x, x), _outer(r, x)], 1)
    blurred = np.zeros((int(np.prod(shape)), moments.shape[1]))
    blurred[occupied] = moments
    blurred = gaussian_filter(
        blurred.reshape(*shape, -1), radius / step, axes=(0, 1, 2), mode="constant"
    ).reshape(len(blurred), -1)
    weight, x, r, xx, rx = np.split(blurred, [1, 4, 7, 16], 1)
    # the floor only keeps empty nodes, which no vertex is near, from 0 / 0
    floor = 1e-6 * weight.max()
    centre = x / np.maximum(weight, floor)
    covariance = xx.reshape(-1, 3, 3) - x[:, :, None] * centre[:, None]
    slope = (rx.reshape(-1, 3, 3) - r[:, :, None] * centre[:, None]) @ np.linalg.inv(
        covariance + (SMOOTH_RIDGE * radius**2 * np.maximum(weight, floor))[:, :, None] * np.eye(3)
    )
    slope = slope.reshape(*shape, 9)
    return overall + np.stack(
        [map_coordinates(slope[..., i], where.T, order=1) for i in range(9)], 1
    ).reshape(-1, 3, 3)


class EdgeFit:
    """The factorised problem of one mesh: displacements u (V, 3) whose edges are as wanted.

    They are zero but for the vertices `moved` (V,).

    Sumner and Popovic give each triangle a fourth vertex along its normal, so that the map of its edges V =
    [e1 e2 n] to V' = [e1' e2' n'] is a matrix V' V^-1, and minimise |S - V' V^-1|^2 over all vertices. Since
    n is normal to e1 and e2, V^-1 is the pseudo-inverse P (2, 3) of [e1 e2] above the row n^T / |n|^2, and
    the rows of P lie in the triangle's plane. So the sum splits into |(S [e1 e2] - [e1' e2']) P|^2, which has
    no n' in it, and |S n - n'|^2 / |n|^2. No two triangles share an n', so each takes n' = S n, the second
    part is zero, and the fourth vertices drop out: V unknowns are left, and what S does to the edges is all
    that is wanted of it.

    Triangles count by area, which makes the matrix the usual Laplacian and the result independent of the
    mesh's density; reach (the vertices' unit) adds |u|^2 / reach^2 per area.
    """

    def __init__(self, vertices: np.ndarray, corners: np.ndarray, moved: np.ndarray, *, reach: float):
        both = edges(vertices, corners)
        cross = np.cross(both[..., 0], both[..., 1])
        area = np.linalg.norm(cross, axis=1)
        normal = cross / area[:, None]
        self.moved = moved
        self.inverse = (
            np.stack([np.cross(both[..., 1], normal), np.cross(normal, both[..., 0])], 1)
            / area[:, None, None]
        )
        slopes = np.concatenate([-self.inverse.sum(1, keepdims=True), self.inverse], 1)
        rows = np.broadcast_to(np.arange(3 * len(corners)).reshape(-1, 1, 3), slopes.shape)
        columns = np.broadcast_to(corners[:, :, None], slopes.shape)
        gradient = sparse.csc_array(
            (slopes.ravel(), (rows.ravel(), columns.ravel())), shape=(3 * len(corners), len(vertices))
        )[:, moved]
        self.weighted = (gradient.T * np.repeat(area / 2, 3)).tocsr()
        mass = np.bincount(corners.ravel(), np.repeat(area / 6, 3), len(vertices))[moved]
        matrix = self.weighted @ gradient + sparse.diags_array(mass / reach**2)
        self.factor = splu(
            matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )

    def __call__(self, wanted: np.ndarray) -> np.ndarray:
        """Displacements (V, 3) whose edges come closest to wanted (F, 3, 2)."""
        result = np.zeros((len(self.moved), 3))
        result[self.moved] = self.factor.solve(
            self.weighted @ (wanted @ self.inverse).transpose(0, 2, 1).reshape(-1, 3)
        )
        return result


def _affine(neutral: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Linear part (3, 3) of the affine map nearest to neutral -> target.

    Across a flat mesh, that of the nearest similarity.
    """
    points, images = neutral - neutral.mean(0), target - target.mean(0)
    left, spread, right = np.linalg.svd(images.T @ points)
    proper = np.array([1, 1, np.sign(np.linalg.det(left @ right)) or 1])
    total = max((points**2).sum(), np.finfo(float).tiny)
    similarity = (spread * proper).sum() / total * (left * proper) @ right
    residuals = images - points @ similarity.T
    return similarity + residuals.T @ points @ np.linalg.inv(points.T @ points + 1e-10 * total * np.eye(3))


def _outer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products (n, 9) of each coordinate of a (n, 3) with each of b (n, 3)."""
    return (a[:, :, None] * b[:, None]).reshape(len(a), 9)


def _size(vertices: np.ndarray) -> float:
    """Root mean square distance of vertices (V, 3) from their mean."""
    return float(np.sqrt(((vertices - vertices.mean(0)) ** 2).sum(1).mean()))


def _check(neutral: np.ndarray, deltas: np.ndarray, target: np.ndarray) -> None:
    if (
        neutral.ndim != 2
        or neutral.shape[1] != 3
        or not len(neutral)
        or deltas.ndim != 3
        or deltas.shape[1:] != neutral.shape
    ):
        raise InputError(
            f"rig: neutral {neutral.shape} and deltas {deltas.shape}, need (V,3) and (K,V,3); build the rig"
            " again"
        )
    if target.shape != neutral.shape:
        raise InputError(
            f"actor's neutral {target.shape}, the generic rig's {neutral.shape}; use a head in the rig's"
            " topology"
        )
    for name, values in (
        ("the rig's neutral", neutral),
        ("the rig's deltas", deltas),
        ("the actor's neutral", target),
    ):
        if not np.isfinite(values).all():
            raise InputError(
                f"{name}: {np.count_nonzero(~np.isfinite(values))} of {values.size} numbers are NaN or"
                " infinite; mend the head"
            )
