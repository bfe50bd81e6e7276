"""Rotations as unit quaternions, xyzw, in arrays of shape (..., 4)."""

import numpy as np


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Dot products (...,) of vectors (..., K) of a few components."""
    # one component after the other: numpy's sums over a short last axis take twice as long
    total = a[..., 0] * b[..., 0]
    for k in range(1, a.shape[-1]):
        total = total + a[..., k] * b[..., k]
    return total


def length(v: np.ndarray) -> np.ndarray:
    """Lengths (...,) of vectors (..., K) of a few components."""
    return np.sqrt(dot(v, v))


def normalise(q: np.ndarray) -> np.ndarray:
    """Scale quaternions to unit length."""
    return q / length(q)[..., None]


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation `b` followed by `a`: R(a) R(b)."""
    ax, ay, az, aw = _components(a)
    bx, by, bz, bw = _components(b)
    result = np.empty(np.broadcast_shapes(a.shape, b.shape), np.result_type(a, b))
    result[..., 0] = aw * bx + ax * bw + ay * bz - az * by
    result[..., 1] = aw * by - ax * bz + ay * bw + az * bx
    result[..., 2] = aw * bz + ax * by - ay * bx + az * bw
    result[..., 3] = aw * bw - ax * bx - ay * by - az * bz
    return result


def inverse(q: np.ndarray) -> np.ndarray:
    """The inverse of unit quaternions."""
    return q * np.array([-1.0, -1.0, -1.0, 1.0])


def angle_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle (...,) in degrees between rotations (..., 4); NaN where one is NaN."""
    return np.rad2deg(2 * np.arccos(np.clip(np.abs(dot(a, b)), 0.0, 1.0)))


def rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Rotate vectors (..., 3) by quaternions (..., 4)."""
    x, y, z, w = _components(q)
    i, j, k = _components(v)
    # v + w t + r x t, where r = (x, y, z) and t = 2 r x v
    tx, ty, tz = 2 * (y * k - z * j), 2 * (z * i - x * k), 2 * (x * j - y * i)
    shape = np.broadcast_shapes(q.shape[:-1], v.shape[:-1])
    result = np.empty((*shape, 3), np.result_type(q, v))
    result[..., 0] = i + w * tx + (y * tz - z * ty)
    result[..., 1] = j + w * ty + (z * tx - x * tz)
    result[..., 2] = k + w * tz + (x * ty - y * tx)
    return result


def _components(values: np.ndarray) -> np.ndarray:
    """Components (K, ...) of (..., K), each side by side in memory, as arithmetic with them is fastest."""
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


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

    The angle in the middle is in [-pi/2, pi/2]. Within 1e-7 of its ends, where any of many triples will do,
    the last one is 0. NaN gives NaN. Straight from quaternions by half angles, which is exact near the ends
    too (Bernardes and Viollet 2022, doi 10.1371/journal.pone.0276302).
    """
    first, second, third = ("xyz".index(axis) for axis in order)
    sign = (third - second) * (second - first) * (first - third) // 2
    x, y, z, w = q[..., third], q[..., second], sign * q[..., first], q[..., 3]
    low, high = np.hypot(w - y, x + z), np.hypot(w + y, z - x)
    middle = 2 * np.arctan2(high, low)
    total, apart = np.arctan2(x + z, w - y), np.arctan2(z - x, w + y)
    down, up = middle <= 1e-7, middle >= np.pi - 1e-7
    leading = np.where(down, 2 * total, np.where(up, 2 * apart, total + apart))
    trailing = np.where(down | up, 0.0, total - apart)
    angles = np.stack([sign * leading, middle - np.pi / 2, trailing], -1)
    return angles - 2 * np.pi * np.round(angles / (2 * np.pi))


def from_matrix(m: np.ndarray) -> np.ndarray:
    """Quaternions of rotation matrices (..., 3, 3), by the largest of four components (Shepperd 1978)."""
    diagonal = np.diagonal(m, axis1=-2, axis2=-1)
    trace = diagonal.sum(-1)
    # row k holds 4 q_k q: the one of the largest q_k is the least rounded
    rows = np.empty((*m.shape[:-2], 4, 4))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        rows[..., i, i] = 1 - trace + 2 * diagonal[..., i]
        rows[..., i, j] = rows[..., j, i] = m[..., j, i] + m[..., i, j]
        rows[..., i, 3] = rows[..., 3, i] = m[..., k, j] - m[..., j, k]
    rows[..., 3, 3] = 1 + trace
    largest = np.argmax(np.concatenate([diagonal, trace[..., None]], -1), -1)
    return normalise(np.take_along_axis(rows, largest[..., None, None], -2)[..., 0, :])


def to_expmap(q: np.ndarray) -> np.ndarray:
    """Exponential maps (..., 3): axis times angle in [0, pi] (Grassia 1998)."""
    q = np.where(q[..., 3:] < 0, -q, q)
    sine = length(q[..., :3])[..., None]
    angle = 2 * np.arctan2(sine, q[..., 3:])
    small = sine < 1e-8
    return q[..., :3] * np.where(small, 2.0, angle / np.where(small, 1.0, sine))


def from_expmap(v: np.ndarray) -> np.ndarray:
    """Quaternions of exponential maps (..., 3), of any angle."""
    angle = length(v)[..., None]
    return np.concatenate([v * 0.5 * np.sinc(angle / (2 * np.pi)), np.cos(angle / 2)], -1)


def continuous(q: np.ndarray) -> np.ndarray:
    """Flip signs along axis 0 so that neighbouring quaternions lie in the same half-space."""
    along = dot(q[1:], q[:-1])
    sign = np.concatenate([np.ones_like(along[:1]), np.cumprod(np.where(along < 0, -1.0, 1.0), 0)])
    return q * sign[..., None]


def slerp(q: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Spherical interpolation (N, ..., 4) along axis 0 of q (T, ..., 4).

    At fractional frame indices `position` (N).
    """
    low = np.clip(np.floor(position).astype(int), 0, max(len(q) - 2, 0))
    high = np.minimum(low + 1, len(q) - 1)
    part = (position - low).reshape(-1, *[1] * (q.ndim - 1))
    a, b = q[low], q[high]
    along = dot(a, b)[..., None]
    b = np.where(along < 0, -b, b)
    angle = np.arccos(np.clip(np.abs(along), 0.0, 1.0))
    sine = np.sin(angle)
    near = sine < 1e-6  # nearly equal: linear interpolation is exact to rounding
    safe = np.where(near, 1.0, sine)
    result = (
        np.where(near, 1 - part, np.sin((1 - part) * angle) / safe) * a
        + np.where(near, part, np.sin(part * angle) / safe) * b
    )
    return normalise(result)
