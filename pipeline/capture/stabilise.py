"""Stabilisation: where the head is in every frame of a face stream, and the stream without its movement.

The head's pose is told by vertices that expressions do not move. Of those, outliers (hair, a neck that bends,
a lost patch) are weighted down: iterated Procrustes fits (Kabsch 1976, Umeyama 1991) with Geman and McClure's
weights on the distances. Arrays hold whole blocks of frames; lengths are in cm.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError
from pipeline.formats.rig_file import Rig, used_vertices

STILL_SHARE = 0.02
"""A vertex is still when no shape moves it by more than this share of what any shape moves any vertex."""
MIN_STILL = 30
MAX_STILL = 1000
"""Still vertices that are used: more would make no difference to be seen."""
ITERATIONS = 10
NOISE_CM = 0.003
"""Distances are never thought to be more exact than this.

Else a perfect stream would make everything an outlier.
"""
MOVED_CM = 0.02
"""A head that moves less than this, at its still vertices, is held by its recorder.

Nothing is then done to the stream.
"""


@dataclass(frozen=True)
class Pose:
    """Where heads are: x_stream = scale * rotation @ x_rig + translation.

    rotation (B, 3, 3), translation (B, 3) cm, scale (B,).
    """

    rotation: np.ndarray
    translation: np.ndarray
    scale: np.ndarray

    def remove(self, vertices: np.ndarray) -> np.ndarray:
        """Vertices (B, V, 3) of the stream in the rig's space, float32 for float32."""
        turned = np.matmul(
            vertices - self.translation[:, None].astype(vertices.dtype), self.rotation.astype(vertices.dtype)
        )
        return (
            turned if (self.scale == 1).all() else turned / self.scale[:, None, None].astype(vertices.dtype)
        )


def still_vertices(rig: Rig) -> np.ndarray:
    """Indices of at most MAX_STILL vertices that no shape moves, evenly taken from the rig.

    InputError where it has too few.
    """
    travel = np.sqrt(np.einsum("kvi,kvi->kv", rig.deltas, rig.deltas).max(0))
    used = used_vertices(rig)
    still = used[travel[used] <= STILL_SHARE * travel.max()]
    if len(still) < MIN_STILL:
        raise InputError(
            f"the rig has {len(still)} vertices that expressions do not move, stabilising needs {MIN_STILL}; "
            "set blendshapes.stabilise to none and give a stream without head movement"
        )
    return still[np.unique(np.linspace(0, len(still) - 1, MAX_STILL).astype(int))]


def estimate(points: np.ndarray, reference: np.ndarray, *, similarity: bool = False) -> Pose:
    """Poses of B frames that bring reference (n, 3) onto points (B, n, 3), robustly; a NaN point has no say.

    A frame with fewer than MIN_STILL points that are there has a pose of NaN. `similarity` fits a scale as
    well.
    """
    points = np.asarray(points, float)
    there = np.isfinite(points).all(2)
    safe = np.where(there[..., None], points, 0.0)
    weights = there.astype(float)
    for _ in range(ITERATIONS):
        pose = _procrustes(safe, np.asarray(reference, float), weights, similarity)
        fitted = (
            pose.scale[:, None, None] * (reference @ pose.rotation.transpose(0, 2, 1))
            + pose.translation[:, None]
        )
        squared = np.where(there, ((safe - fitted) ** 2).sum(2), np.nan)
        middle = np.nanmedian(
            np.where(there.any(1)[:, None], squared, 0.0), axis=1
        )  # a frame without any point has no pose in the end
        spread = np.maximum(middle / 2.366, NOISE_CM**2)  # the median of chi-squared with 3 degrees
        # a vertex at three times the spread still has a fair say, one at ten times almost none
        weights = np.where(there, 1 / (1 + np.where(there, squared, 0.0) / (9 * spread[:, None])) ** 2, 0.0)
    poor = there.sum(1) < min(MIN_STILL, len(reference))
    pose.rotation[poor], pose.translation[poor], pose.scale[poor] = np.nan, np.nan, np.nan
    return pose


def _procrustes(points: np.ndarray, reference: np.ndarray, weights: np.ndarray, similarity: bool) -> Pose:
    """Weighted least-squares rotation, translation and scale of B frames.

    Points (B, n, 3), weights (B, n).
    """
    total = np.maximum(weights.sum(1), 1e-12)
    share = weights / total[:, None]
    middle = np.einsum("bn,bni->bi", share, points)
    origin = share @ reference
    centred = reference - origin[:, None]
    covariance = np.einsum("bn,bni,bnj->bij", share, points - middle[:, None], centred)
    u, s, vt = np.linalg.svd(covariance)
    sign = np.ones_like(s)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None]) @ vt
    scale = np.ones(len(points))
    if similarity:
        scale = (s * sign).sum(1) / np.maximum(np.einsum("bn,bni->b", share, centred**2), 1e-12)
    return Pose(rotation, middle - scale[:, None] * np.einsum("bij,bj->bi", rotation, origin), scale)


def moves(pose: Pose, reference: np.ndarray) -> float:
    """How far, cm, the poses move a still vertex of reference (n, 3) at most.

    The root mean square over vertices, largest of the frames.
    """
    fitted = (
        pose.scale[:, None, None] * (reference @ pose.rotation.transpose(0, 2, 1)) + pose.translation[:, None]
    )
    return float(np.sqrt(np.nanmax(((fitted - reference) ** 2).sum(2).mean(1), initial=0.0)))
