"""BVH, read and written: any rotation order per joint, position channels on any joint, exact frame times.

A position channel replaces the joint's OFFSET along its axis, it never adds to it. Rotation channels are read
in the order in which a joint lists them, as intrinsic rotations R = R1 R2 R3. Lengths come out in
centimetres. The text itself is read by pipeline.formats.bvh_text. What is read, warned about and refused is
listed in docs/bvh.md.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats.bvh_text import head_of, read_table, split, whole_file
from pipeline.motion import rotations
from pipeline.motion.joints import aliases
from pipeline.motion.motion import Motion

log = logging.getLogger("interact")

UNITS_CM = {"cm": 1.0, "m": 100.0, "in/0.45": 2.54 / 0.45, "mm": 0.1, "in": 2.54, "ft": 30.48}
"""Centimetres per unit of length. `in/0.45` is the unit of the CMU database."""
RARE_UNITS = ("in", "ft")
"""Taken only where the body is an adult's in them and nobody's in the others.

A child in cm is not to become an adult in inches.
"""
TYPICAL_LEG_CM = 82.0
TYPICAL_EXTENT_CM = 170.0
HUMAN = (0.67, 1.46)
"""Sizes that a body may have, as shares of the typical one: legs of 55 to 120 cm."""
ADULT = (0.73, 1.28)
REFERENCE_DEG = 1.0
"""A joint turned by less counts as not turned, when a reference pose is looked for."""
JUMP_DEG = 5.0
"""Mean turn of a joint between a reference pose and the movement, at least."""


def read_header(path: Path) -> tuple[int, float]:
    """Number of frames and frames per second that the file's header claims, read without its motion."""
    file = split(head_of(path), Path(path))
    return file.num_frames, file.fps


def read_names(path: Path) -> list[str]:
    """Joint names in file order, read without the motion."""
    return [joint.name for joint in split(head_of(path), Path(path)).joints]


def count_frames(path: Path) -> int:
    """Number of frames that `load_bvh` finds in the file.

    They may be a few more or less than its header claims.
    """
    path = Path(path)
    return read_table(split(whole_file(path), path), path).shape[1]


def judge_unit(names: list[str], parents: np.ndarray, offsets: np.ndarray) -> tuple[str, str]:
    """The unit of length that makes the skeleton a human's, and what speaks against it.

    The latter is "" where nothing does.

    Judged by the legs where they have names, else by the extent of the joints.
    """
    found = aliases(names)
    lengths = [
        np.linalg.norm(offsets[found[f"{side}Leg"]]) + np.linalg.norm(offsets[found[f"{side}Foot"]])
        for side in ("Left", "Right")
        if f"{side}Leg" in found and f"{side}Foot" in found
    ]
    size, typical = (np.mean(lengths), TYPICAL_LEG_CM) if lengths else (0.0, TYPICAL_EXTENT_CM)
    if size == 0:
        world = np.array(offsets, float)
        for j, parent in enumerate(parents):
            world[j] = offsets[j] + (world[parent] if parent >= 0 else 0)
        size = np.ptp(world, axis=0).max()
        typical = TYPICAL_EXTENT_CM
    if size == 0:
        return "cm", ""
    shares = {unit: float(size * scale / typical) for unit, scale in UNITS_CM.items()}
    usual = min(
        (unit for unit in UNITS_CM if unit not in RARE_UNITS), key=lambda unit: abs(np.log(shares[unit]))
    )
    if HUMAN[0] <= shares[usual] <= HUMAN[1]:
        return usual, ""
    for unit in RARE_UNITS:
        if ADULT[0] <= shares[unit] <= ADULT[1]:
            return unit, ""
    what = "legs of" if typical == TYPICAL_LEG_CM else "an extent of"
    need = " to ".join(f"{share * typical:.0f}" for share in HUMAN)
    return usual, f"{what} {shares[usual] * typical:.4g} cm, need {need} for a human"


def _quaternions(order: str, degrees: np.ndarray) -> np.ndarray:
    """Quaternions xyzw (4, ...) of intrinsic Euler angles (3, ...) about three different axes: R = R1 R2 R3.

    The product of three half-angle quaternions written out, for the sign of the axes' permutation (Diebel
    2006, 8.1). Sines and cosines come from the tangent of a quarter of the angle, which numpy finds ten times
    faster than the two.
    """
    tangent = np.tan(degrees * (np.pi / 720))
    square = tangent * tangent
    scale = 1 / (1 + square)
    (s1, s2, s3), (c1, c2, c3) = 2 * tangent * scale, (1 - square) * scale
    sign = 1.0 if order in ("xyz", "yzx", "zxy") else -1.0
    cc, ss, sc, cs = c1 * c2, sign * (s1 * s2), s1 * c2, c1 * s2
    result = np.empty((4, *degrees.shape[1:]))
    first, second, third = ("xyz".index(axis) for axis in order)
    result[first] = sc * c3 + sign * (cs * s3)
    result[second] = cs * c3 - sign * (sc * s3)
    result[third] = cc * s3 + ss * c3
    result[3] = cc * c3 - ss * s3
    return result


def _rotations(table: np.ndarray, orders: list[str], columns: np.ndarray) -> np.ndarray:
    """Quaternions (T, J, 4) of J joints by their angles about the axes in `orders`.

    Angles are the rows `columns` (J, 3) of the table, 0 where -1.
    """
    num_frames, num_joints = table.shape[1], len(orders)
    if (columns < 0).any():
        table = np.concatenate([table, np.zeros_like(table[:1])])
    result = np.empty((num_frames, num_joints, 4))
    groups = [(order, [j for j in range(num_joints) if orders[j] == order]) for order in sorted(set(orders))]

    def fill(start: int) -> None:
        part = table[:, start : start + 256]
        block = np.empty((4, num_joints, part.shape[1]))
        for order, joints in groups:
            block[:, joints] = _quaternions(order, part[columns[joints].T])
        result[start : start + 256] = block.transpose(2, 1, 0)

    with ThreadPoolExecutor(
        2
    ) as pool:  # blocks so small that what is computed on the way stays in the processor's cache
        list(pool.map(fill, range(0, num_frames, 256)))
    return result


def load_bvh(path: Path, *, unit: str | None = None) -> Motion:
    """Read a BVH file.

    `unit` is a key of UNITS_CM; None judges it by the bones and warns when it is not cm. Values that are NaN
    stay NaN. Rows may be 2 or 1 % more or fewer than the header claims, and the last one may be cut off: this
    is warned about, and the motion tells it in `claimed_frames`. Raises InputError with file and line when
    the file breaks its own header.
    """
    path = Path(path)
    file = split(whole_file(path), path)
    joints, table = file.joints, read_table(file, path)
    parents = np.array([joint.parent for joint in joints])
    offsets = np.array([joint.offset for joint in joints], float)
    positions = np.repeat(offsets[None], table.shape[1], 0)
    orders, free, column = [], set(), 0
    turns = np.full(
        (len(joints), 3), -1
    )  # row of the table for each axis in `orders`; -1: no channel, no turn
    for j, joint in enumerate(joints):
        listed = ""
        for channel in joint.channels or []:
            if channel.endswith("position"):
                positions[:, j, "xyz".index(channel[0])] = table[column]
                free.add(j)
            else:
                turns[j, len(listed)] = column
                listed += channel[0]
            column += 1
        orders.append(listed + "".join(axis for axis in "zyx" if axis not in listed))
    turning = table[turns[turns >= 0]]
    if 1.0 < np.fmax.reduce(np.abs(turning), axis=None, initial=0.0) <= 2 * np.pi + 0.01:
        log.warning(
            "%s: no angle is larger than 2 pi: are they radians? BVH has degrees, and as such they are read",
            path,
        )
    local = _rotations(table, orders, turns)
    names = [joint.name for joint in joints]
    if unit is None:
        sizes = offsets.copy()
        for j in sorted(free - {0}):  # bones are as long as their channels say, where they were ever seen
            seen = np.isfinite(positions[:, j]).all(1)
            sizes[j] = positions[int(np.argmax(seen)), j] if seen.any() else offsets[j]
        unit, doubt = judge_unit(names, parents, sizes)
        if doubt:
            log.warning(
                "%s: no unit makes the skeleton a human's; %s, the nearest, gives %s; set body.unit, one"
                " of %s",
                path,
                unit,
                doubt,
                ", ".join(UNITS_CM),
            )
        elif unit != "cm":
            log.warning(
                "%s: bone lengths say that its unit is %s, not cm; lengths are multiplied by %.4f (set the"
                " unit to silence this)",
                path,
                unit,
                UNITS_CM[unit],
            )
    elif unit not in UNITS_CM:
        raise InputError(f"{path}: unit {unit!r}, need one of {', '.join(UNITS_CM)}")
    scale = UNITS_CM[unit]
    if scale != 1:
        offsets, positions = offsets * scale, positions * scale
    ends = {j: np.array(joint.end) * scale for j, joint in enumerate(joints) if joint.end is not None}
    return Motion(
        names, parents, offsets, file.fps, positions, local, ends, orders, frozenset(free), file.num_frames
    )


def first_frame_is_reference(motion: Motion) -> bool:
    """Whether frame 0 is a reference pose (a T-pose) that does not belong to the movement.

    It is when both hold: at least two thirds of the joints below the root are within REFERENCE_DEG of no
    rotation, twice as many as in frame 1; and from frame 0 to 1 the joints turn, on average, by JUMP_DEG or
    more and three times more than between any two frames that follow. Joints that never turn are left out, so
    is a frame with NaN.
    """
    if motion.num_frames < 2 or len(motion.names) < 2:
        return False
    local = motion.rotations[:, 1:]
    usable = np.isfinite(local).all((1, 2))
    if not usable[:2].all():
        return False
    turning = np.ptp(np.where(usable[:, None, None], local, local[0]), axis=0).max(1) > 1e-4
    if not turning.any():
        return False
    local = local[:, turning]
    steps = rotations.angle_deg(local[1:], local[:-1]).mean(1)
    from_rest = 2 * np.rad2deg(np.arccos(np.minimum(np.abs(local[:2, :, 3]), 1)))
    at_rest = (from_rest < REFERENCE_DEG).mean(1)
    later = steps[1:][np.isfinite(steps[1:])]
    jumps = steps[0] >= JUMP_DEG and steps[0] > 3 * later.max(initial=0.0)
    return bool(jumps and at_rest[0] >= 2 / 3 and at_rest[0] >= 2 * at_rest[1])


def save_bvh(path: Path, motion: Motion) -> None:
    """Write a BVH file in cm, with the motion's own rotation orders and frame time to 10 digits.

    Orders are zyx where it has none.
    """
    save_bvh_parts(path, iter([motion]), motion.num_frames)


def save_bvh_parts(path: Path, parts: Iterator[Motion], num_frames: int) -> None:
    """`save_bvh` of a motion whose parts, one after the other, are made as they are written.

    All have the skeleton of the first. ValueError where they are not of `num_frames` frames in all.
    """
    motion = next(parts)
    columns, lines = _header(motion)
    lines += ["MOTION", f"Frames: {num_frames}", f"Frame Time: {1 / motion.fps:.10f}"]
    with whole(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as f:
        f.write("\n".join(lines) + "\n")
        written = 0
        for part in chain([motion], parts):
            np.savetxt(f, np.concatenate([column(part) for column in columns], 1), fmt="%.6f")
            written += part.num_frames
        if written != num_frames:
            raise ValueError(f"{path}: got parts of {written} frames, need {num_frames}")


def _header(motion: Motion) -> tuple[list[Callable[[Motion], np.ndarray]], list[str]]:
    """How to make the columns of a frame's row, and the lines of the hierarchy."""
    orders = motion.orders or ["zyx"] * len(motion.names)
    children: dict[int, list[int]] = {}
    for j, parent in enumerate(motion.parents):
        children.setdefault(int(parent), []).append(j)
    if len(children.get(-1, [])) != 1:
        raise ValueError(f"a BVH file has one root, got {len(children.get(-1, []))}")
    lines: list[str] = ["HIERARCHY"]
    columns: list[Callable[[Motion], np.ndarray]] = []

    def number(values) -> str:
        return " ".join(f"{value:.6f}" for value in values)

    def opened(j: int, depth: int) -> None:
        pad = "\t" * depth
        channels = [f"{axis}position" for axis in "XYZ"] if j in motion.free else []
        if channels:
            columns.append(lambda part: part.positions_cm[:, j])
        channels += [f"{axis.upper()}rotation" for axis in orders[j]]
        columns.append(lambda part: np.rad2deg(rotations.to_euler(orders[j], part.rotations[:, j])))
        lines.extend(
            [
                f"{pad}{'JOINT' if depth else 'ROOT'} {motion.names[j]}",
                pad + "{",
                f"{pad}\tOFFSET {number(motion.offsets_cm[j])}",
                f"{pad}\tCHANNELS {len(channels)} {' '.join(channels)}",
            ]
        )
        if j not in children:
            end = motion.ends_cm.get(j, np.zeros(3))
            lines.extend([f"{pad}\tEnd Site", pad + "\t{", f"{pad}\t\tOFFSET {number(end)}", pad + "\t}"])

    waiting = [(children[-1][0], 0, False)]
    while waiting:  # not by recursion, which a long chain of joints would exhaust
        j, depth, done = waiting.pop()
        if done:
            lines.append("\t" * depth + "}")
            continue
        opened(j, depth)
        waiting.append((j, depth, True))
        waiting += [(child, depth + 1, False) for child in reversed(children.get(j, []))]
    return columns, lines
