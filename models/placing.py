"""Where two generated bodies stand: from what the models make to roots in one room.

In: poses (T, 2, 3 J), relative roots (T, 2, 4), and where each sees the partner (T, 2, 4), if the models make
that; roots of frame 0 (2, 4) and skeletons. Out: poses and roots (T, 2, 4) in the room.

Steps and turns add up, and so do their errors: two people who are moved by them alone drift apart, and no
longer look at each other. So the difference to what each sees of the other is brought back, slowly, and where
it is least seen: while somebody walks or turns. With c the correction and e the difference, c minimises

    sum over t of |c_t - e_t|^2 + k_t^2 |c_t - c_(t-1)|^2,   c_0 = 0,

where k_t is a time in frames, PULL_FRAMES where somebody moves and STILL times that where both stand. Who
moves more takes more of it. First headings are corrected, then, with steps along these, places.

Two who come nearer to each other than people did in the train takes are moved apart, each by half.
Feet hold the ground (models.ground) unless they are to be left free.
"""

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from models import ground
from pipeline.motion import pose
from pipeline.motion.clock import FPS
from pipeline.motion.pose import Skeleton

PULL_FRAMES = 90.0
"""Frames in which a difference is brought back by two thirds, of people who walk."""
STILL = 10.0
"""How much longer that takes where both stand."""
WALK_CM_S, TURN_RAD_S = 40.0, 0.7
"""Speeds of the hips, along the ground and about the vertical, of somebody who walks or turns."""
LEAST = 0.02
"""Of somebody who stands still, in shares of that."""

APART_FRAMES = 15
"""Frames over which two who are too near move apart, and come together again."""


def correction(difference: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """What brings a difference (T, D) back, c (T, D), 0 at frame 0; moving (T,) from 0 to 1."""
    frames = len(difference)
    if frames < 2:
        return np.zeros_like(difference)
    weight = (PULL_FRAMES * (1 + (STILL - 1) * (1 - moving[1:]))) ** 2
    bands = np.zeros((2, frames - 1))
    bands[1] = 1 + weight
    bands[1, :-1] += weight[1:]
    bands[0, 1:] = -weight[1:]
    return np.concatenate([np.zeros_like(difference[:1]), solveh_banded(bands, difference[1:])])


def shared(brought: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """What each of two takes (T, 2, D) of a correction (T, D), step by step as they move (T, 2).

    The second one's is added, the first one's taken away.
    """
    share = (moves + LEAST) / (moves + LEAST).sum(1, keepdims=True)
    steps = np.diff(brought, axis=0, prepend=brought[:1])
    return np.cumsum(share[..., None] * steps[:, None], 0) * np.array([-1.0, 1.0])[:, None]


def _moves(relative: np.ndarray) -> np.ndarray:
    """How much two bodies walk or turn (T, 2), 0 to 1, of relative roots (T, 2, 4)."""
    walks = np.linalg.norm(relative[..., :2], axis=-1) * FPS / WALK_CM_S
    return np.clip(np.maximum(walks, np.abs(relative[..., 2]) * FPS / TURN_RAD_S), 0, 1)


def moved_apart(places: np.ndarray, closest: float) -> np.ndarray:
    """Ways (T, 2, 2) on the ground that bring two at places (T, 2, 2) at least `closest` apart, cm.

    None at frame 0. Ways are smooth, so of two who pass each other quickly some of the lack may stay.
    """
    between = gaussian_filter1d(places[:, 1] - places[:, 0], APART_FRAMES / 2, axis=0, mode="nearest")
    ahead = between / np.maximum(np.linalg.norm(between, axis=1, keepdims=True), 1e-6)
    along = ((places[:, 1] - places[:, 0]) * ahead).sum(1)
    lack = maximum_filter1d(np.maximum(closest - along, 0), 2 * APART_FRAMES + 1, mode="nearest")
    lack = gaussian_filter1d(lack, APART_FRAMES / 2, mode="nearest")
    lack *= np.minimum(np.arange(len(lack)) / (2 * APART_FRAMES), 1)
    return lack[:, None, None] / 2 * ahead[:, None] * np.array([-1.0, 1.0])[:, None]


def place(
    poses: np.ndarray,
    relative: np.ndarray,
    start: np.ndarray,
    skeletons: list[Skeleton],
    *,
    relation: np.ndarray | None = None,
    lower_foot: float | None = None,
    closest: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Poses (T, 2, 3 J) and roots (T, 2, 4) of two bodies in the room.

    relative (T, 2, 4): relative roots; start (2, 4): roots of frame 0, whose heights are not used; relation
    (T, 2, 4): as of pipeline.motion.pose.partner_seen; lower_foot: height of the lower foot, cm, at which
    feet are held, None leaves them free; closest: distance on the ground, cm, below which the two are moved
    apart. Poses change in the legs alone, where feet are held.
    """
    poses, relative, moves = np.array(poses, float), np.array(relative, float), _moves(relative)
    if relation is not None:
        relation = np.asarray(relation, float)
        turn = np.stack([pose.integrate_root(relative[:, k], start[k])[:, 3] for k in range(2)], 1)
        first, second = relation[:, 0, 2:], relation[:, 1, 2:]
        seen = np.arctan2(first[:, 0] - second[:, 0], first[:, 1] + second[:, 1])
        difference = np.unwrap((seen - (turn[:, 1] - turn[:, 0]) + np.pi) % (2 * np.pi) - np.pi)
        brought = shared(correction(difference[:, None], moves.max(1)), moves)[..., 0]
        relative[1:, :, 2] += np.diff(brought, axis=0)
    roots = [pose.integrate_root(relative[:, k], start[k]) for k in range(2)]
    if lower_foot is not None:
        held = {"lower_foot": lower_foot}
        roots = [ground.follow(poses[:, k], roots[k], skeletons[k], **held) for k in range(2)]
    root = np.stack(roots, 1)
    if relation is not None:
        way = (
            pose.in_room(relation[:, 0, :2], root[:, 0, 3]) - pose.in_room(relation[:, 1, :2], root[:, 1, 3])
        ) / 2
        apart = (root[:, 1] - root[:, 0])[:, [0, 2]]
        root[..., [0, 2]] += shared(correction(way - apart, moves.max(1)), moves)
    if closest is not None:
        root[..., [0, 2]] += moved_apart(root[..., [0, 2]], closest)
    if lower_foot is not None:
        for k in range(2):
            poses[:, k], root[:, k] = ground.hold(poses[:, k], root[:, k], skeletons[k], **held)
    return poses, root
