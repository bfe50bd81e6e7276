"""A body's motion as the numbers that models see, and back.

Per frame: an exponential map per joint (radians; Grassia 1998) and the root (x, y, z in cm, heading in
radians). The hips' exponential map is taken in the body's own axes with the heading removed, so that it stays
far from pi for anybody who is upright (pipeline.motion.skeleton.hips_frame).
"""

from dataclasses import dataclass

import numpy as np

from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import heading, hips_frame


@dataclass(frozen=True)
class Skeleton:
    """What turns poses into a body.

    J names (hips first), parents (J,), offsets_cm (J, 3), ends_cm {joint: (3,)}, orders.
    """

    names: list[str]
    parents: np.ndarray
    offsets_cm: np.ndarray
    ends_cm: dict[int, np.ndarray]
    orders: list[str]


def skeleton_of(motion: Motion) -> Skeleton:
    """The skeleton of a motion whose root is the hips."""
    orders = motion.orders or ["zyx"] * len(motion.names)
    return Skeleton(motion.names, motion.parents, motion.offsets_cm, motion.ends_cm, orders)


def encode(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Poses (T, 3 J) in radians and roots (T, 4): x, y, z in cm and a continuous heading in radians."""
    hips = motion.rotations[:, 0]
    turn = np.unwrap(heading(motion.names, motion.offsets_cm, hips))
    upright = rotations.multiply(
        rotations.inverse(rotations.about("y", turn)),
        rotations.multiply(hips, hips_frame(motion.names, motion.offsets_cm)),
    )
    local = np.concatenate([upright[:, None], motion.rotations[:, 1:]], 1)
    root = np.concatenate([motion.positions_cm[:, 0], turn[:, None]], 1)
    return rotations.to_expmap(local).reshape(len(hips), -1), root


def decode(poses: np.ndarray, root: np.ndarray, skeleton: Skeleton, *, fps: float = 30.0) -> Motion:
    """The motion of poses (T, 3 J) and roots (T, 4) on a skeleton; the inverse of `encode`."""
    local = rotations.from_expmap(np.asarray(poses, float).reshape(len(poses), -1, 3))
    turn = rotations.about("y", np.asarray(root[:, 3], float))
    frame = rotations.inverse(hips_frame(skeleton.names, skeleton.offsets_cm))
    local[:, 0] = rotations.multiply(rotations.multiply(turn, local[:, 0]), frame)
    positions = np.repeat(skeleton.offsets_cm[None], len(poses), 0)
    positions[:, 0] = root[:, :3]
    return Motion(
        skeleton.names,
        skeleton.parents,
        skeleton.offsets_cm,
        fps,
        positions,
        local,
        skeleton.ends_cm,
        skeleton.orders,
    )


def relative_root(root: np.ndarray) -> np.ndarray:
    """Roots (..., T, 4) as what models predict.

    dx, dz in the heading of the current frame (cm a frame), turn (radians a frame), y (cm).

    The representation of Listen, Denoise, Action! (Alexanderson et al. 2023): with the heading h and Ry(h)
    the turn about y, (dx, dz)_t = Ry(h_t)^-1 (p_t - p_{t-1}), dh_t = h_t - h_{t-1} wrapped to [-pi, pi).
    Frame 0 has no predecessor and repeats frame 1's deltas (zero where there is one frame). float32 stays
    float32, which rounds the result by less than the roots are rounded (1e-7 of a step), and costs half the
    time.
    """
    root = np.asarray(root)
    dtype = np.float32 if root.dtype == np.float32 else np.float64
    x, y, z, heading = np.ascontiguousarray(np.moveaxis(root, -1, 0), dtype)
    dx, dz, turn = np.diff(x), np.diff(z), np.diff(heading)
    sine, cosine = np.sin(heading[..., 1:]), np.cos(heading[..., 1:])
    result = np.zeros((*x.shape, 4), dtype)
    result[..., 1:, 0] = cosine * dx - sine * dz
    result[..., 1:, 1] = sine * dx + cosine * dz
    result[..., 1:, 2] = turn - 2 * np.pi * np.floor(
        (turn + np.pi) / (2 * np.pi)
    )  # several times faster than %
    if x.shape[-1] > 1:
        result[..., 0, :3] = result[..., 1, :3]
    result[..., 3] = y
    return result


def partner_seen(root: np.ndarray) -> np.ndarray:
    """Where each of two people sees the other (..., T, 2, 4), of their roots (..., T, 2, 4).

    The partner's place x (to the left) and z (ahead) in the own heading, cm; sine and cosine of the partner's
    heading seen from the own one. float32 stays float32.
    """
    root = np.asarray(root)
    dtype = np.float32 if root.dtype == np.float32 else np.float64
    x, _, z, heading = np.moveaxis(root.astype(dtype, copy=False), -1, 0)
    dx, dz, turn = (value[..., ::-1] - value for value in (x, z, heading))
    sine, cosine = np.sin(heading), np.cos(heading)
    seen = cosine * dx - sine * dz, sine * dx + cosine * dz, np.sin(turn), np.cos(turn)
    return np.stack(seen, -1)


def in_room(seen: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Ways on the ground, x and z (..., 2), in the room, of ways that are seen in a heading (...,)."""
    sine, cosine = np.sin(heading), np.cos(heading)
    x, z = seen[..., 0], seen[..., 1]
    return np.stack([cosine * x + sine * z, cosine * z - sine * x], -1)


def integrate_root(relative: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Roots (T, 4) of relative roots (T, 4): the inverse of `relative_root`.

    x, y, z in cm and heading in radians.

    `start` (4,) is the root of frame 0: its x, z and heading are taken as they are, so frame 0's deltas are
    not applied. Heights are those of `relative`. Headings add up, so they are continuous over time.
    """
    relative, start = np.asarray(relative, float), np.asarray(start, float)
    turn = start[3] + np.concatenate([[0.0], np.cumsum(relative[1:, 2])])
    sine, cosine = np.sin(turn[1:]), np.cos(turn[1:])
    dx, dz = relative[1:, 0], relative[1:, 1]
    x = start[0] + np.concatenate([[0.0], np.cumsum(cosine * dx + sine * dz)])
    z = start[2] + np.concatenate([[0.0], np.cumsum(cosine * dz - sine * dx)])
    return np.stack([x, relative[:, 3], z, turn], 1)
