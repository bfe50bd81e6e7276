"""BVH, read and written: any rotation order per joint, position channels on any joint, exact frame times.

A position channel replaces the joint's OFFSET along its axis, it never adds to it. Rotation channels are read
in the order in which a joint lists them, as intrinsic rotations R = R1 R2 R3. Lengths come out in
centimetres. What is read, warned about and refused is listed in docs/bvh.md.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.motion import rotations
from pipeline.motion.joints import aliases
from pipeline.motion.motion import Motion
from pipeline.reading import MEBIBYTE, open_plain, read_bytes

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
MOST_BYTES = 16384 * MEBIBYTE
"""Bytes of a file: an hour of 75 joints at 120 frames per second has 1 GB."""
MOST_HEAD_BYTES = 16 * MEBIBYTE
"""Bytes of a HIERARCHY block: 75 joints have 20 kB."""
MOST_JOINTS = 5_000
"""Joints of a skeleton: one with fingers and a face has some hundred."""


@dataclass
class _Joint:
    name: str
    parent: int
    offset: list[float] | None = None
    channels: list[str] | None = None
    end: list[float] | None = None


@dataclass(frozen=True)
class _File:
    """A BVH file before its numbers are parsed.

    Its rows begin at byte `first_byte` of `data`, on line `first_line`.
    """

    joints: list[_Joint]
    num_frames: int
    fps: float
    data: bytes
    first_byte: int
    first_line: int

    @property
    def num_channels(self) -> int:
        """Numbers in a row."""
        return sum(len(joint.channels or []) for joint in self.joints)

    @property
    def block(self) -> bytes:
        """The rows: a copy, which the usual file does not need."""
        return self.data[self.first_byte :]

    @property
    def ends_in_space(self) -> bool:
        """Whether white space, a line end say, closes the last row: all of its digits are there."""
        return self.data[-1:].isspace()


_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_NOT_A_NUMBER = re.compile(
    r"[+-]?(nan(\(\w*\))?|1\.#(IND|QNAN|SNAN)\d*)", re.ASCII | re.IGNORECASE
)  # as C libraries print it
LARGEST = 1e6
"""Largest size of a value, cm or degrees or whatever the unit: nothing that was recorded lies beyond it."""


def _number(token: str) -> float | None:
    """The number that `token` spells, NaN where it spells that.

    None where it spells neither, or more than LARGEST.
    """
    if _NUMBER.fullmatch(token):
        value = float(token)
        return value if abs(value) <= LARGEST else None
    return np.nan if _NOT_A_NUMBER.fullmatch(token) else None


def _statements(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Line number, line and words of each statement of the HIERARCHY block.

    A brace may stand at the end of another's line.
    """
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if len(words) > 1 and words[-1] == "{":
            yield number, line.strip(), words[:-1]
            words = ["{"]
        if words:
            yield number, line.strip(), words


def _hierarchy(text: str, path: Path) -> list[_Joint]:
    """Joints of the HIERARCHY block, in file order."""
    joints: list[_Joint] = []
    stack: list[int] = []  # -1 marks an end site
    pending: _Joint | None = None  # named, not yet opened
    pending_end = False

    def fail(number: int, got: str, need: str):
        raise InputError(f"{path}, line {number}: got {got[:60]!r}, need {need}; export the file again")

    for position, (number, line, words) in enumerate(_statements(text)):
        key = words[0].upper()
        if position == 0 and line.upper() == "HIERARCHY":
            continue
        if (pending or pending_end) and key != "{":
            fail(number, line, "a { after the name of a joint or End Site")
        if key in ("ROOT", "JOINT"):
            if (
                len(words) < 2
                or (key == "ROOT") != (not joints)
                or (key == "JOINT" and (not stack or stack[-1] < 0))
            ):
                fail(number, line, "one ROOT, then JOINTs with names inside it")
            pending = _Joint(" ".join(words[1:]), stack[-1] if stack else -1)
        elif key == "END":
            if not stack or stack[-1] < 0:
                fail(number, line, "an end site inside a joint")
            if joints[stack[-1]].end is not None:
                fail(number, line, "one end site in a joint")
            pending_end = True
        elif key == "{" and pending:
            if len(joints) == MOST_JOINTS:
                raise InputError(
                    f"{path}, line {number}: more than {MOST_JOINTS:,} joints, which no body has; export the"
                    " skeleton alone"
                )
            joints.append(pending)
            stack.append(len(joints) - 1)
            pending = None
        elif key == "{" and pending_end:
            stack.append(-1)
            pending_end = False
        elif key == "}" and len(words) == 1:
            if not stack:
                fail(number, line, "as many { as }")
            closed = stack.pop()
            if (joints[closed].offset if closed >= 0 else joints[stack[-1]].end) is None:
                fail(number, line, "an OFFSET before the }")
        elif key == "OFFSET" and stack:
            values = [_number(word) for word in words[1:]]
            if len(values) != 3 or any(value is None or np.isnan(value) for value in values):
                fail(number, " ".join(words[1:]), "three finite numbers")
            offset = [float(value) for value in values if value is not None]
            if (joints[stack[-1]].offset if stack[-1] >= 0 else joints[stack[-2]].end) is not None:
                fail(number, line, "one OFFSET for a joint or end site")
            if stack[-1] < 0:
                joints[stack[-2]].end = offset
            else:
                joints[stack[-1]].offset = offset
        elif key == "CHANNELS" and stack and stack[-1] >= 0 and joints[stack[-1]].channels is None:
            channels = [word.lower() for word in words[2:]]
            if (
                words[1:2] != [str(len(channels))]
                or not set(channels) <= _CHANNELS
                or len(set(channels)) != len(channels)
            ):
                fail(number, line, "CHANNELS n and n different position and rotation channels")
            joints[stack[-1]].channels = channels
        else:
            fail(number, line, "ROOT, JOINT, End Site, OFFSET, CHANNELS, { or }")
    if stack or pending or pending_end or not joints:
        raise InputError(
            f"{path}: the HIERARCHY block ends inside a joint or has none; export the file again"
        )
    names = [joint.name for joint in joints]
    if len(set(names)) != len(names):
        twice = sorted(name for name, count in Counter(names).items() if count > 1)[:12]
        raise InputError(f"{path}: joint names stand twice: {', '.join(twice)}; rename them")
    return joints


_CHANNELS = {f"{axis}{kind}" for axis in "xyz" for kind in ("position", "rotation")}


def _fast_table(file: _File) -> np.ndarray | None:
    """Rows of numbers as float64 (num_channels, rows), or None where anything about them is unusual.

    Whoever gets None asks `_slow_table`, which knows what is wrong, and where.
    """
    num_columns = file.num_channels
    table = _columns(file.data, num_columns, start=file.first_byte)
    if table is None:  # often only its white space is unusual
        block = file.block.replace(b"\t", b" ")
        while b"  " in block:
            block = block.replace(b"  ", b" ")
        block = block.replace(b" \n", b"\n").replace(b"\n ", b"\n").strip(b" \n")
        table = _columns(block, num_columns) if block else np.empty((num_columns, 0))
    if table is None:
        return None
    largest = max(
        np.fmax.reduce(table, axis=None, initial=0.0), -np.fmin.reduce(table, axis=None, initial=0.0)
    )
    return table if largest <= LARGEST else None


def _columns(text: bytes, num_columns: int, *, start: int = 0) -> np.ndarray | None:
    """Table (num_columns, rows) of numbers that single spaces and line ends separate, from byte `start`.

    None where the text is anything else.
    """
    import pyarrow as pa
    from pyarrow import csv

    names = [str(i) for i in range(num_columns)]

    def read(part: memoryview) -> list[np.ndarray]:
        rows = csv.read_csv(
            pa.py_buffer(part),
            read_options=csv.ReadOptions(
                column_names=names, use_threads=False, block_size=2**21
            ),  # its threads cost more than they save
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.float64()), null_values=[]
            ),
        )
        return [column.to_numpy() for column in rows.columns]

    view, middle = (
        memoryview(text),
        text.find(b"\n", (start + len(text)) // 2) + 1 if len(text) > 2**21 else 0,
    )
    parts = [view[start:middle], view[middle:]] if start < middle < len(text) else [view[start:]]
    try:
        with ThreadPoolExecutor(2) as pool:  # half of a long file each
            halves = list(pool.map(read, parts))
    except pa.ArrowInvalid:
        return None
    stops = np.cumsum([len(half[0]) for half in halves])
    table = np.empty((num_columns, stops[-1]))
    for stop, half in zip(stops, halves):
        for row, column in zip(table, half):
            row[stop - len(column) : stop] = column
    return table


def _slow_table(file: _File, path: Path) -> tuple[np.ndarray, bool]:
    """Rows as (num_columns, rows), and whether the last one was cut off and left out.

    InputError names the first bad value.
    """
    lines = [(number, line.split()) for number, line in enumerate(file.block.split(b"\n"), file.first_line)]
    lines = [(number, tokens) for number, tokens in lines if tokens]
    ended = file.ends_in_space
    need = file.num_channels
    rows: list[list[float | None]] = []
    for number, tokens in lines:
        last = number == lines[-1][0]
        values = [_number(token.decode("utf-8", "replace")) for token in tokens]
        bad = [i for i, value in enumerate(values) if value is None]
        if (
            last
            and len(tokens) <= need
            and (not bad or (bad == [len(tokens) - 1] and not ended))
            and (bad or len(tokens) < need)
        ):
            return np.array(rows, np.float64).reshape(-1, need).T, True
        if len(tokens) != need:
            raise InputError(
                f"{path}, line {number}: got {len(tokens)} values, need {need} (the sum of CHANNELS); export"
                " the file again"
            )
        if bad:
            got = tokens[bad[0]].decode("utf-8", "replace")
            raise InputError(
                f"{path}, line {number}: got {got[:40]!r}, need a number up to {LARGEST:.0e}, or nan; export"
                " the file again"
            )
        rows.append(values)
    return np.array(rows, np.float64).reshape(-1, need).T, False


def _table(file: _File, path: Path) -> np.ndarray:
    """The motion block as float64 (num_channels, rows).

    It is checked against the number of frames that the header claims.
    """
    if file.num_channels == 0:
        raise InputError(f"{path}: no joint has channels; export the file with its motion")
    table, cut = _fast_table(file), False
    if table is None:
        table, cut = _slow_table(file, path)
    elif table.shape[1] < file.num_frames and not file.ends_in_space:
        table, cut = table[:, :-1], True  # nobody knows whether the last number has all of its digits
    found, claimed = table.shape[1], file.num_frames
    if abs(found - claimed) > max(2, claimed // 100):
        raise InputError(
            f"{path}: 'Frames: {claimed}' but {found} rows follow; correct the header or export the file"
            " again"
        )
    if found == 0:
        raise InputError(f"{path}: no frames, need at least one; export the file again")
    if cut or found != claimed:
        log.warning(
            "%s: 'Frames: %d' but %d whole rows follow%s; these are taken",
            path,
            claimed,
            found,
            " and one that is cut off, left out" if cut else "",
        )
    return table


def read_header(path: Path) -> tuple[int, float]:
    """Number of frames and frames per second that the file's header claims, read without its motion."""
    file = _split(_head(path), Path(path))
    return file.num_frames, file.fps


def read_names(path: Path) -> list[str]:
    """Joint names in file order, read without the motion."""
    return [joint.name for joint in _split(_head(path), Path(path)).joints]


def count_frames(path: Path) -> int:
    """Number of frames that `load_bvh` finds in the file.

    They may be a few more or less than its header claims.
    """
    path = Path(path)
    return _table(_split(_bytes(path), path), path).shape[1]


def _bytes(path: Path) -> bytes:
    return read_bytes(path, most=MOST_BYTES)


def _head(path: Path) -> bytes:
    """The file's bytes up to its frame time and a little beyond."""
    with open_plain(path, most=MOST_BYTES) as f:
        head, wanted = b"", 65536
        while (
            not re.search(rb"[\r\n][ \t]*frame[ \t]*time[^\r\n]*[\r\n]", head, re.IGNORECASE)
            and len(head) <= MOST_HEAD_BYTES
        ):
            if not (more := f.read(wanted)):
                break
            head, wanted = (
                head + more,
                len(head) + wanted,
            )  # as much again, so that a long head is not searched often
        return head


def _split(data: bytes, path: Path) -> _File:
    """The file's parts. Line ends may be those of Unix, Windows or the old Mac."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    motion = re.search(
        rb"^[ \t]*MOTION[ \t]*$", data, re.MULTILINE | re.IGNORECASE
    )  # not the name of a joint
    if not motion or not data.removeprefix(b"\xef\xbb\xbf").lstrip()[:9].upper() == b"HIERARCHY":
        raise InputError(
            f"{path}: got no HIERARCHY and MOTION blocks, need a BVH file; export the file again"
        )
    if motion.start() > MOST_HEAD_BYTES:
        raise InputError(
            f"{path}: the HIERARCHY block has {motion.start():,} bytes, need at most {MOST_HEAD_BYTES:,};"
            " export the skeleton alone"
        )
    try:
        head = data[: motion.start()].decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: the HIERARCHY block is not UTF-8 text; export the file again") from None
    joints = _hierarchy(head, path)
    line, place = head.count("\n") + 1, motion.end() + 1
    values: dict[str, str] = {}
    for key in ("Frames", "Frame Time"):
        text = ""
        while not text and place < len(data):
            end = data.find(b"\n", place) % (len(data) + 1)  # -1, no line end, means the end of the file
            text, place, line = data[place:end].decode("utf-8", "replace").strip(), end + 1, line + 1
        name, _, value = text.partition(":")
        values[key] = value.strip()
        number = _number(values[key]) if key == "Frame Time" else 0.0
        whole_number = key == "Frame Time" or re.fullmatch(r"\d{1,9}", values[key], re.ASCII)
        if (
            "".join(name.split()).lower() != key.replace(" ", "").lower()
            or number is None
            or not number >= 0
            or not whole_number
        ):
            raise InputError(
                f"{path}, line {line}: got {text[:60]!r}, need '{key}: <number>'; export the file again"
            )
    seconds = float(values["Frame Time"])
    if not 1e-4 <= seconds <= 10:
        raise InputError(
            f"{path}, line {line}: frame time {seconds} s, need 0.0001 to 10; correct the header"
        )
    return _File(
        joints, int(values["Frames"]), _exact_fps(seconds, values["Frame Time"]), data, place, line + 1
    )


def _exact_fps(frame_time: float, text: str) -> float:
    """Frames per second.

    A frame time that was rounded (0.008333, .0083333) gives the whole or NTSC rate that was meant (120).

    Meant is a rate whose frame time, rounded to the digits of `text`, is the one given; from six digits on,
    so that short numbers are not taken for any rate that is near.
    """
    fps = 1 / frame_time
    exponent = Decimal(text).as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) else 0
    rounding = 0.501 * 10.0**-digits if digits >= 6 else 0.0
    for exact in (round(fps), round(fps * 1.001) * 1000 / 1001):
        if exact and (abs(fps / exact - 1) < 2e-5 or abs(1 / exact - frame_time) <= rounding):
            return float(exact)
    return fps


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
    file = _split(_bytes(path), path)
    joints, table = file.joints, _table(file, path)
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
    steps = 2 * np.rad2deg(np.arccos(np.minimum(np.abs((local[1:] * local[:-1]).sum(-1)), 1))).mean(1)
    from_rest = 2 * np.rad2deg(np.arccos(np.minimum(np.abs(local[:2, :, 3]), 1)))
    at_rest = (from_rest < REFERENCE_DEG).mean(1)
    later = steps[1:][np.isfinite(steps[1:])]
    jumps = steps[0] >= JUMP_DEG and steps[0] > 3 * later.max(initial=0.0)
    return bool(jumps and at_rest[0] >= 2 / 3 and at_rest[0] >= 2 * at_rest[1])


def save_bvh(path: Path, motion: Motion) -> None:
    """Write a BVH file in cm, with the motion's own rotation orders and frame time to 10 digits.

    Orders are zyx where it has none.
    """
    orders = motion.orders or ["zyx"] * len(motion.names)
    children: dict[int, list[int]] = {}
    for j, parent in enumerate(motion.parents):
        children.setdefault(int(parent), []).append(j)
    if len(children.get(-1, [])) != 1:
        raise ValueError(f"a BVH file has one root, got {len(children.get(-1, []))}")
    lines, columns = ["HIERARCHY"], []

    def number(values) -> str:
        return " ".join(f"{value:.6f}" for value in values)

    def opened(j: int, depth: int) -> None:
        pad = "\t" * depth
        channels = [f"{axis}position" for axis in "XYZ"] if j in motion.free else []
        if channels:
            columns.append(motion.positions_cm[:, j])
        channels += [f"{axis.upper()}rotation" for axis in orders[j]]
        columns.append(np.rad2deg(rotations.to_euler(orders[j], motion.rotations[:, j])))
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
    lines += ["MOTION", f"Frames: {motion.num_frames}", f"Frame Time: {1 / motion.fps:.10f}"]
    table = np.concatenate(columns, 1)
    with whole(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as f:
        f.write("\n".join(lines) + "\n")
        np.savetxt(f, table, fmt="%.6f")
