"""The text of a BVH file: its HIERARCHY block and its table of numbers, as they stand there.

In: a BVH file. Out: joints with offsets and channels in the file's own order and unit, and the rows of
numbers (num_channels, rows), degrees and the file's unit. What they mean is read by pipeline.formats.bvh.
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
from pipeline.reading import MEBIBYTE, open_plain, read_bytes

log = logging.getLogger("interact")

MOST_BYTES = 16384 * MEBIBYTE
"""Bytes of a file: an hour of 75 joints at 120 frames per second has 1 GB."""
MOST_HEAD_BYTES = 16 * MEBIBYTE
"""Bytes of a HIERARCHY block: 75 joints have 20 kB."""
MOST_JOINTS = 5_000
"""Joints of a skeleton: one with fingers and a face has some hundred."""


@dataclass
class Joint:
    """A joint as the HIERARCHY block has it: lengths in the file's unit, None where it says nothing."""

    name: str
    parent: int
    offset: list[float] | None = None
    channels: list[str] | None = None
    end: list[float] | None = None


@dataclass(frozen=True)
class File:
    """A BVH file before its numbers are parsed.

    Its rows begin at byte `first_byte` of `data`, on line `first_line`.
    """

    joints: list[Joint]
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


def _hierarchy(text: str, path: Path) -> list[Joint]:
    """Joints of the HIERARCHY block, in file order."""
    joints: list[Joint] = []
    stack: list[int] = []  # -1 marks an end site
    pending: Joint | None = None  # named, not yet opened
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
            pending = Joint(" ".join(words[1:]), stack[-1] if stack else -1)
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


def _fast_table(file: File) -> np.ndarray | None:
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

    def read(part: memoryview) -> pa.Table:
        return csv.read_csv(
            pa.py_buffer(part),
            read_options=csv.ReadOptions(
                column_names=names, use_threads=False, block_size=2**21
            ),  # its threads cost more than they save
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.float64()), null_values=[]
            ),
        )

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
    table = np.empty((num_columns, sum(half.num_rows for half in halves)))
    for row, *columns in zip(table, *(half.columns for half in halves)):
        stop = 0
        for chunk in (chunk for column in columns for chunk in column.chunks):
            stop += len(chunk)
            row[stop - len(chunk) : stop] = np.from_dlpack(chunk)  # its to_numpy would import pandas
    return table


def _slow_table(file: File, path: Path) -> tuple[np.ndarray, bool]:
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


def read_table(file: File, path: Path) -> np.ndarray:
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


def whole_file(path: Path) -> bytes:
    return read_bytes(path, most=MOST_BYTES)


def head_of(path: Path) -> bytes:
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


def split(data: bytes, path: Path) -> File:
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
    return File(
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
