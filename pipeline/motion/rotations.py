"""Rotations as unit quaternions, xyzw, in arrays of shape (..., 4)."""

import numpy as np


def normalise(q: np.ndarray) -> np.ndarray:
    """Scale quaternions to unit length."""
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation `b` followed by `a`: R(a) R(b)."""
    ax, ay, az, aw = np.moveaxis(a, -1, 0)
    bx, by, bz, bw = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        -1,
    )


def inverse(q: np.ndarray) -> np.ndarray:
    """The inverse of unit quaternions."""
    return q * np.array([-1.0, -1.0, -1.0, 1.0])


def angle_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle (...,) in degrees between rotations (..., 4); NaN where one is NaN."""
    return np.rad2deg(2 * np.arccos(np.clip(np.abs(np.sum(a * b, -1)), 0.0, 1.0)))


def rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Rotate vectors (..., 3) by quaternions (..., 4)."""
    t = 2 * np.cross(q[..., :3], v)
    return v + q[..., 3:] * t + np.cross(q[..., :3], t)


def about(axis: str, radians: np.ndarray) -> np.ndarray:
    """Rotations by `radians` about a coordinate axis, "x", "y" or "z"."""
    radians = np.asarray(radians, float)
    q = np.zeros((*radians.shape, 4))
    q[..., "xyz".index(axis)] = np.sin(radians / 2)
    q[..., 3] = np.cos(radians / 2)
    return q


def from_euler(order: str, radians: np.ndarray) -> np.ndarray:
    """Intrinsic Euler angles (..., 3), the first axis applied outermost.

    R = R_1 R_2 R_3, as BVH channels are read.
    """
    q = about(order[0], radians[..., 0])
    for i in (1, 2):
        q = multiply(q, about(order[i], radians[..., i]))
    return q


def to_euler(order: str, q: np.ndarray) -> np.ndarray:
    """Intrinsic Euler angles (..., 3) in radians of quaternions, in an order of three different axes ("zxy").

    NaN gives NaN.
    """
    import warnings

    from scipy.spatial.transform import Rotation

    flat = q.reshape(-1, 4)
    usable = np.isfinite(flat).all(1)
    angles = np.full((len(flat), 3), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # gimbal lock: any of the equivalent triples will do
        angles[usable] = Rotation.from_quat(flat[usable]).as_euler(order.upper())
    return angles.reshape(*q.shape[:-1], 3)


def from_matrix(m: np.ndarray) -> np.ndarray:
    """Quaternions of rotation matrices (..., 3, 3)."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(m.reshape(-1, 3, 3)).as_quat().reshape(*m.shape[:-2], 4)


def to_expmap(q: np.ndarray) -> np.ndarray:
    """Exponential maps (..., 3): axis times angle in [0, pi] (Grassia 1998)."""
    q = np.where(q[..., 3:] < 0, -q, q)
    sine = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., 3:])
    small = sine < 1e-8
    return q[..., :3] * np.where(small, 2.0, angle / np.where(small, 1.0, sine))


def from_expmap(v: np.ndarray) -> np.ndarray:
    """Quaternions of exponential maps (..., 3), of any angle."""
    angle = np.linalg.norm(v, axis=-1, keepdims=True)
    return np.concatenate([v * 0.5 * np.sinc(angle / (2 * np.pi)), np.cos(angle / 2)], -1)


def continuous(q: np.ndarray) -> np.ndarray:
    """Flip signs along axis 0 so that neighbouring quaternions lie in the same half-space."""
    dots = np.sum(q[1:] * q[:-1], -1)
    sign = np.concatenate([np.ones_like(dots[:1]), np.cumprod(np.where(dots < 0, -1.0, 1.0), 0)])
    return q * sign[..., None]


def slerp(q: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Spherical interpolation (N, ..., 4) along axis 0 of q (T, ..., 4).

    At fractional frame indices `position` (N).
    """
    low = np.clip(np.floor(position).astype(int), 0, max(len(q) - 2, 0))
    high = np.minimum(low + 1, len(q) - 1)
    part = (position - low).reshape(-1, *[1] * (q.ndim - 1))
    a, b = q[low], q[high]
    dot = np.sum(a * b, -1, keepdims=True)
    b = np.where(dot < 0, -b, b)
    angle = np.arccos(np.clip(np.abs(dot), 0.0, 1.0))
    sine = np.sin(angle)
    near = sine < 1e-6  # nearly equal: linear interpolation is exact to rounding
    safe = np.where(near, 1.0, sine)
    result = (
        np.where(near, 1 - part, np.sin((1 - part) * angle) / safe) * a
        + np.where(near, part, np.sin(part * angle) / safe) * b
    )
    return normalise(result)
