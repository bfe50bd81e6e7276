"""A procedural head with the 51 ARKit shapes, cm.

x to the actor's left, y up, z forward, origin in the head's middle.

In: an actor id and a number of vertices. Out: a neutral surface of quads, open at the neck and slit between
the lips, and one displacement field per shape. Shapes are local, overlap as a face's muscles do, and no shape
is a mix of others.
"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.formats.arkit import NAMES
from pipeline.simulate.noise import ease

MOUTH = np.array([0.0, -4.6])
MOUTH_HALF_WIDTH = 2.6
EYE = np.array([3.2, 2.6])
FRONT = 0.45  # columns in the middle of the face lie this much closer together than on an even grid
SIDES = (("Left", 1.0), ("Right", -1.0))


@dataclass(frozen=True)
class Head:
    """neutral (V, 3) float32 cm, deltas (51, V, 3) float32, faces (F, 4) int32.

    Deltas are in pipeline.formats.arkit.NAMES order.
    """

    neutral: np.ndarray
    deltas: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True)
class _Sheet:
    """Where shapes are defined, on the standard head.

    x, y (V,), front (V,) in [0, 1], lower (V,) 1 below the slit of the lips and 0 above it, points (V, 3) of
    the standard head.
    """

    x: np.ndarray
    y: np.ndarray
    front: np.ndarray
    lower: np.ndarray
    points: np.ndarray


def _bell(x: np.ndarray, y: np.ndarray, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
    """A bell of height 1 at (cx, cy) with radii rx, ry that is zero beyond 2.5 radii."""
    squared = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2
    return np.exp(-squared) * (1 - ease(np.sqrt(squared) - 1.5))


def _grid(num_vertices: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Angles about the vertical axis (C,) and heights as angles (R,) of a grid.

    It has about `num_vertices` crossings.
    """
    columns = 2 * max(7, round(math.sqrt(1.7 * num_vertices) / 2))
    rows = max(12, round(num_vertices / columns))
    s = (np.arange(columns) + 0.5) / columns * 2 - 1
    turn = np.pi * (FRONT * s + (1 - FRONT) * s**3)
    # rows follow a density that is higher at the mouth and the eyes; one row runs exactly along the lips
    fine = np.linspace(-1.15, 1.48, 4001)
    height = 11.5 * np.sin(fine)
    density = (
        1 + 2.2 * np.exp(-(((height - MOUTH[1]) / 2.2) ** 2)) + 1.2 * np.exp(-(((height - 3.2) / 2.5) ** 2))
    )
    total = np.concatenate([[0], np.cumsum(density)[:-1]])
    total /= total[-1]
    lips = np.interp(math.asin(MOUTH[1] / 11.5), fine, total)
    lip_row = max(3, round(lips * (rows - 1)))
    even = np.concatenate([np.linspace(0, lips, lip_row + 1), np.linspace(lips, 1, rows - lip_row)[1:]])
    return turn, np.interp(even, total, fine), columns, lip_row


def _surface(turn: np.ndarray, tilt: np.ndarray) -> np.ndarray:
    """Points (..., 3) of the standard head at angles in radians, about the vertical and above the horizon."""
    forward, sideways, up = np.cos(tilt) * np.cos(turn), np.cos(tilt) * np.sin(turn), np.sin(tilt)
    x, y, z = 7.4 * sideways, 11.5 * up, 9.6 * forward
    below = ease((-1.5 - y) / 9.0)
    behind = np.clip(-forward, 0, 1)
    x = x * (1 - 0.22 * below)
    z = z - 0.5 * below * (forward > 0) * forward - 1.6 * behind * below + 0.6 * below * behind
    front = ease((forward - 0.05) / 0.45)
    z = z - 0.9 * front * (np.abs(x) / 7.4) ** 2  # a flat face, not a ball
    side = np.abs(x)
    relief = (
        2.3 * _bell(x, y, 0, -0.9, 0.95, 1.1)
        + 1.0 * _bell(x, y, 0, 1.3, 0.75, 2.0)
        + 0.5 * _bell(side, y, 1.1, -1.3, 0.6, 0.6)
        + 0.55 * _bell(side, y, 2.7, 4.5, 2.2, 0.8)
        - 1.0 * _bell(side, y, 3.2, 2.6, 1.8, 1.1)
        + 0.75 * _bell(side, y, 3.2, 2.6, 1.0, 0.8)
        + 0.45 * _bell(x, y, 0, -3.95, 1.9, 0.5)
        + 0.55 * _bell(x, y, 0, -5.25, 1.7, 0.55)
        - 0.25 * _bell(x, y, 0, -4.6, 2.3, 0.22)
        - 0.35 * _bell(x, y, 0, -6.4, 1.8, 0.5)
        + 1.0 * _bell(x, y, 0, -8.2, 1.9, 1.4)
        + 0.5 * _bell(side, y, 4.2, -0.6, 1.6, 1.5)
    )
    ear = _bell(np.abs(turn), y, 1.62, 0.8, 0.13, 1.9)
    return np.stack([x + np.sign(x) * 1.0 * ear, y, z + front * relief - 0.5 * ear], -1)


def _build(num_vertices: int) -> tuple[_Sheet, np.ndarray]:
    """The standard head's sheet and its quads (F, 4), outward faces counter-clockwise."""
    turn, tilt, columns, lip_row = _grid(num_vertices)
    rows = len(tilt)
    grid = np.arange(rows * columns).reshape(rows, columns)
    points = _surface(*np.broadcast_arrays(turn[None], tilt[:, None])).reshape(-1, 3)
    inside = np.flatnonzero((np.abs(points[grid[lip_row], 0]) < MOUTH_HALF_WIDTH) & (np.abs(turn) < 1.2))
    twin = grid.copy()  # the lips' row again, for the faces above the slit
    twin[lip_row, inside] = rows * columns + np.arange(len(inside))
    faces = []
    for r in range(rows - 1):
        low = (twin if r == lip_row else grid)[r]
        faces += [
            [low[c], low[(c + 1) % columns], grid[r + 1, (c + 1) % columns], grid[r + 1, c]]
            for c in range(columns)
        ]
    top = grid[-1]
    faces += [
        [top[i], top[i + 1], top[columns - 2 - i], top[columns - 1 - i]] for i in range(columns // 2 - 1)
    ]
    lower = (points[:, 1] < MOUTH[1] + 1e-6).astype(float)
    points = np.concatenate([points, points[grid[lip_row, inside]]])
    lower = np.concatenate([lower, np.zeros(len(inside))])
    front = ease((points[:, 2] - 0.5) / 4.0)
    return _Sheet(points[:, 0], points[:, 1], front, lower, points), np.array(faces, np.int32)


def _jaw(sheet: _Sheet) -> np.ndarray:
    """How far each vertex follows the jaw (V,).

    1 at the chin, 0 above the mouth, cut at the slit of the lips.
    """
    x, y = sheet.x, sheet.y
    soft = ease((-1.5 - y) / 6.5) * (1 - 0.5 * ease((np.abs(x) - 4.0) / 4.0))
    across = np.clip(1 - (x / MOUTH_HALF_WIDTH) ** 2, 0, 1) ** 0.7
    near = _bell(x, y, 0, MOUTH[1], 4.0, 2.4) ** 0.5
    cut = np.where(sheet.lower > 0, 1.0, 0.0)
    weight = soft + across * near * (0.92 * cut - soft)
    return weight * sheet.front


def _jaw_open(sheet: _Sheet, radians: float = 0.30) -> np.ndarray:
    """Displacement (V, 3) of an open jaw: a turn about the hinge between the ears."""
    hinge = np.array([-0.5, -0.5])  # y, z
    y, z = sheet.points[:, 1] - hinge[0], sheet.points[:, 2] - hinge[1]
    angle = radians * _jaw(sheet)
    moved_y, moved_z = y * np.cos(angle) - z * np.sin(angle), y * np.sin(angle) + z * np.cos(angle)
    return np.stack([np.zeros_like(y), moved_y - y, moved_z - z], -1)


def _mouth_shapes(sheet: _Sheet) -> dict[str, np.ndarray]:
    """Fields of the jaw and of the shapes that move the whole mouth."""
    x, y, front, lower = sheet.x, sheet.y, sheet.front, sheet.lower
    upper = 1 - lower
    jaw, opened, my = _jaw(sheet), _jaw_open(sheet), MOUTH[1]

    def field(weight, vector):
        return (weight * front)[:, None] * np.array(vector, float)

    def at(cx, cy, rx, ry):
        return _bell(x, y, cx, cy, rx, ry)

    lips, ring = at(0, my, 2.6, 1.1), at(0, my, 2.4, 1.3)
    inwards = np.stack([-np.tanh(x / 1.2), np.zeros_like(x), np.zeros_like(x)], -1) * front[:, None]
    apart = np.stack([np.zeros_like(x), 1 - 2 * lower, np.zeros_like(x)], -1) * front[:, None]
    side_jaw = {side: 1 + 0.6 * s * np.tanh(x / 2.5) for side, s in SIDES}
    side_lip = {side: lips + 0.5 * at(s * 3.2, my, 1.6, 1.6) for side, s in SIDES}
    slit = np.exp(-(np.clip(np.abs(y - my) / 1.0, 0, 4) ** 2))
    return {
        "jawOpen": opened,
        "jawForward": field(jaw * at(0, -7, 4.5, 4), (0, 0.05, 0.9)),
        "jawLeft": field(jaw * side_jaw["Left"], (0.9, 0, 0)) + field(at(1.5, -7.5, 2, 1.5), (0, 0.15, 0.2)),
        "jawRight": (
            field(jaw * side_jaw["Right"], (-0.9, 0, 0)) + field(at(-1.5, -7.5, 2, 1.5), (0, 0.15, 0.2))
        ),
        # brings the lower lip back to the upper one when the jaw is open: the opposite of jawOpen along the
        # slit
        "mouthClose": -opened * (lower * slit * _bell(x, y, 0, my, 6.0, 2.4))[:, None],
        "mouthFunnel": (
            field(ring, (0, 0, 0.85))
            + 0.45 * (at(0, my, 1.5, 0.9))[:, None] * apart
            + 0.45 * at(0, my, 3.4, 1.2)[:, None] * inwards
        ),
        "mouthPucker": field(at(0, my, 1.5, 0.9), (0, 0, 0.8)) + 1.0 * at(0, my, 3.2, 1.5)[:, None] * inwards,
        "mouthLeft": field(side_lip["Left"], (0.9, 0.05, -0.1)),
        "mouthRight": field(side_lip["Right"], (-0.9, 0.05, -0.1)),
        "mouthRollLower": field(at(0, my - 0.5, 2.2, 0.6) * lower, (0, 0.2, -0.7)),
        "mouthRollUpper": field(at(0, my + 0.5, 2.2, 0.6) * upper, (0, -0.2, -0.7)),
        "mouthShrugLower": field(at(0, my - 2.0, 2.2, 1.3), (0, 0.8, 0.3)),
        "mouthShrugUpper": field(at(0, my + 0.9, 1.9, 0.8) * upper, (0, 0.6, 0.35)),
    }


def _side_shapes(sheet: _Sheet, side: str, s: float) -> dict[str, np.ndarray]:
    """Fields of the shapes that exist for each side; `s` is 1 on the actor's left and -1 on the right."""
    x, y, front, lower = s * sheet.x, sheet.y, sheet.front, sheet.lower
    my, (ex, ey) = MOUTH[1], EYE

    def field(cx, cy, rx, ry, vector, weight=1.0):
        return (_bell(x, y, cx, cy, rx, ry) * front * weight)[:, None] * (np.array(vector, float) * (s, 1, 1))

    pressed = (_bell(x, y, 1.2, my, 1.2, 0.9) * front)[:, None] * np.stack(
        [0 * x, -0.35 * np.tanh((y - my) / 0.5), 0 * x - 0.3], -1
    )
    shapes = {
        "eyeBlink": (
            field(ex, ey + 0.35, 1.3, 0.7, (0, -0.95, 0.15)) + field(ex, ey - 0.7, 1.1, 0.45, (0, 0.2, 0))
        ),
        "eyeLookDown": (
            field(ex, ey - 0.25, 1.0, 0.75, (0, -0.45, -0.1)) + field(ex, ey + 1.0, 1.3, 0.6, (0, -0.4, 0.1))
        ),
        "eyeLookIn": field(ex - 0.8, ey, 1.0, 0.9, (-0.65, 0, 0.35)),
        "eyeLookOut": field(ex + 0.8, ey, 1.0, 0.9, (0.65, 0, 0.35)),
        "eyeLookUp": (
            field(ex, ey + 0.15, 1.0, 0.75, (0, 0.45, -0.1)) + field(ex, ey + 1.4, 1.3, 0.6, (0, 0.25, 0.15))
        ),
        "eyeSquint": field(ex, ey - 1.1, 1.7, 0.6, (0, 0.55, 0.15)),
        "eyeWide": field(ex, ey + 1.1, 1.6, 0.7, (0, 0.65, -0.2)),
        "mouthSmile": field(2.9, my + 0.4, 1.7, 1.5, (0.7, 0.8, -0.35)),
        "mouthFrown": field(2.6, my - 0.9, 1.5, 1.4, (0.15, -0.9, -0.1)),
        "mouthDimple": field(3.0, my, 1.0, 0.9, (0.4, 0.05, -0.7)),
        "mouthStretch": field(3.2, my - 0.7, 2.0, 1.4, (0.9, -0.3, -0.3)),
        "mouthPress": pressed,
        "mouthLowerDown": field(1.2, my - 0.6, 1.1, 0.9, (0.1, -0.7, 0.1), lower),
        "mouthUpperUp": field(1.2, my + 0.6, 1.1, 0.9, (0.1, 0.65, 0.1), 1 - lower),
        "browDown": field(2.4, 4.7, 1.9, 1.0, (-0.25, -0.75, 0.15)),
        "browOuterUp": field(4.6, 4.9, 1.6, 1.3, (0.05, 0.85, 0.0)),
        "cheekSquint": field(3.9, 0.2, 1.8, 1.1, (0, 0.6, 0.25)),
        "noseSneer": field(1.2, -0.7, 0.9, 1.5, (0.1, 0.65, 0.15)),
    }
    return {name + side: value for name, value in shapes.items()}


def make_head(actor: str, num_vertices: int) -> Head:
    """The head of an actor with about `num_vertices` vertices.

    Proportions and the size of each shape differ between actors and depend on the actor's id only, so that
    heads of any number of vertices are samples of the same surface.
    """
    rng = np.random.default_rng(int(actor))
    sheet, faces = _build(num_vertices)
    points, x, y = sheet.points, sheet.x, sheet.y
    shapes = _mouth_shapes(sheet)
    for side, s in SIDES:
        shapes.update(_side_shapes(sheet, side, s))
    normal = points / np.array([7.4, 11.5, 9.6]) ** 2
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    shapes["browInnerUp"] = (_bell(x, y, 0, 4.9, 2.1, 1.3) * sheet.front)[:, None] * np.array([0, 0.8, 0])
    shapes["cheekPuff"] = (
        ((_bell(np.abs(x), y, 4.3, -3.6, 1.9, 1.9) + 0.25 * _bell(x, y, 0, -3.4, 2, 0.8)) * sheet.front)[
            :, None
        ]
        * normal
        * 1.2
    )
    amount = rng.uniform(0.9, 1.1, len(NAMES))
    deltas = np.stack([shapes[name] for name in NAMES]) * amount[:, None, None]
    scale = rng.uniform(0.94, 1.06, 3)
    knobs = rng.uniform(-1, 1, 6)
    side = np.abs(x)
    personal = np.zeros_like(points)
    personal[:, 2] = sheet.front * (
        0.45 * knobs[0] * _bell(x, y, 0, -0.9, 1.0, 1.3)
        + 0.4 * knobs[1] * _bell(x, y, 0, -8.2, 2.0, 1.6)
        + 0.35 * knobs[2] * _bell(side, y, 2.7, 4.5, 2.4, 1.0)
        + 0.4 * knobs[3] * _bell(side, y, 4.2, -0.6, 1.8, 1.8)
    )
    personal[:, 0] = np.sign(x) * sheet.front * (0.5 * knobs[4] * _bell(side, y, 5.5, -6.0, 2.5, 2.5))
    personal[:, 1] = 0.5 * knobs[5] * ease((-5.5 - y) / 5.0)
    return Head(((points + personal) * scale).astype(np.float32), (deltas * scale).astype(np.float32), faces)
