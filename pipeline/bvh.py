"""BVH, read and written: any rotation order per joint, position channels on any joint, exact frame times.

A position channel replaces the joint's OFFSET along its axis, it never adds to it. Rotation channels are read in the
order in which a joint lists them, as intrinsic rotations R = R1 R2 R3. Lengths come out in centimetres.
"""

import io
import logging
import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import numpy as np

from pipeline import rotations
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.joints import aliases

log = logging.getLogger("interact")

UNITS_CM = {"cm": 1.0, "m": 100.0, "in/0.45": 2.54 / 0.45, "mm": 0.1}
"""Centimetres per unit of length. `in/0.45` is the unit of the CMU database."""
TYPICAL_LEG_CM = 82.0
TYPICAL_EXTENT_CM = 170.0


@dataclass(frozen=True)
class Motion:
    """A skeleton and its movement.

    names: J joint names as in the file; parents: (J,) index of each joint's parent, -1 for the root, parents first;
    offsets_cm: (J, 3); fps: frames per second; positions_cm: (T, J, 3) local translations (the offset where the file
    has no position channel); rotations: (T, J, 4) local unit quaternions, xyzw; ends_cm: tip of each leaf (joint index
    -> (3,)); orders: rotation order of each joint as in the file, such as "zyx"; free: joints with position channels.
    """

    names: list[str]
    parents: np.ndarray
    offsets_cm: np.ndarray
    fps: float
    positions_cm: np.ndarray
    rotations: np.ndarray
    ends_cm: dict[int, np.ndarray] = field(default_factory=dict)
    orders: list[str] | None = None
    free: frozenset[int] = frozenset({0})

    @property
    def num_frames(self) -> int:
        """Number of frames, T."""
        return len(self.rotations)

    def aliases(self) -> dict[str, int]:
        """Joint index by canonical name (the public release's), prefixes and the usual spellings resolved."""
        return aliases(self.names)

    def frames(self, index) -> "Motion":
        """The same skeleton with the frames that `index` (slice or array) selects."""
        return replace(self, positions_cm=self.positions_cm[index], rotations=self.rotations[index])


@dataclass
class _Joint:
    name: str
    parent: int
    offset: list[float]
    channels: list[str]
    end: list[float] | None = None


def _hierarchy(lines: list[str], path: Path) -> list[_Joint]:
    """Joints of the HIERARCHY block, in file order."""
    joints: list[_Joint] = []
    stack: list[int] = []  # -1 marks an end site
    pending: tuple[str, int] | None = None

    def fail(number: int, got: str, need: str):
        raise InputError(f"{path}, line {number}: got {got[:60]!r}, need {need}; export the file again")

    def numbers(words: list[str], number: int) -> list[float]:
        try:
            values = [float(word) for word in words]
        except ValueError:
            fail(number, " ".join(words), "three numbers")
        if len(values) != 3 or not np.all(np.isfinite(values)):
            fail(number, " ".join(words), "three finite numbers")
        return values

    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or (not joints and words == ["HIERARCHY"]):
            continue
        key = words[0]
        if key in ("ROOT", "JOINT"):
            if len(words) < 2 or (key == "ROOT") != (not joints) or (key == "JOINT" and not stack):
                fail(number, line.strip(), "one ROOT, then JOINTs with names inside it")
            pending = (" ".join(words[1:]), stack[-1] if stack else -1)
        elif key.lower() == "end":
            if not stack or stack[-1] < 0:
                fail(number, line.strip(), "an end site inside a joint")
            pending = None
        elif key == "{":
            if pending is None:
                stack.append(-1)
            else:
                joints.append(_Joint(pending[0], pending[1], [0.0, 0.0, 0.0], []))
                stack.append(len(joints) - 1)
                pending = None
        elif key == "}":
            if not stack:
                fail(number, line.strip(), "as many { as }")
            stack.pop()
        elif key == "OFFSET" and stack:
            if stack[-1] < 0:
                joints[stack[-2]].end = numbers(words[1:], number)
            else:
                joints[stack[-1]].offset = numbers(words[1:], number)
        elif key == "CHANNELS" and stack and stack[-1] >= 0:
            channels = [word.lower() for word in words[2:]]
            known = {f"{axis}{kind}" for axis in "xyz" for kind in ("position", "rotation")}
            turns = sum(channel.endswith("rotation") for channel in channels)
            if words[1:2] != [str(len(channels))] or not set(channels) <= known or len(set(channels)) != len(channels) or turns not in (0, 3):
                fail(number, line.strip(), "CHANNELS n, n position and rotation channels, rotations on all three axes or none")
            joints[stack[-1]].channels = channels
        else:
            fail(number, line.strip(), "ROOT, JOINT, End Site, OFFSET, CHANNELS, { or }")
    if stack or not joints:
        raise InputError(f"{path}: the HIERARCHY block ends inside a joint or has none; export the file again")
    names = [joint.name for joint in joints]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(f"{path}: joint names stand twice: {', '.join(twice)}; rename them")
    return joints


def _is_number(token: bytes) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.cast(pa.array([token.decode()]), pa.float64())
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return False
    return True


def _table(block: bytes, num_columns: int, path: Path, first_line: int) -> np.ndarray:
    """The motion block as float64 (rows, num_columns); every row is counted before anything is parsed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    raw = np.frombuffer(block, np.uint8)
    ink = raw > 32
    starts = np.flatnonzero(ink & ~np.concatenate([[False], ink[:-1]]))
    if len(starts) == 0:
        return np.empty((0, num_columns))
    line_of = np.searchsorted(np.flatnonzero(raw == 10), starts)  # line index of each token
    counts = np.bincount(line_of)
    wrong = np.flatnonzero((counts != num_columns) & (counts != 0))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"{path}, line {first_line + row}: got {counts[row]} values, need {num_columns} (the sum of CHANNELS); export the file again"
        )
    text = raw[ink]
    offsets = np.concatenate([np.cumsum(ink)[starts] - 1, [len(text)]]).astype(np.int32)
    tokens = pa.StringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text)))
    try:
        values = pc.cast(tokens, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        bad = next(i for i in range(len(starts)) if not _is_number(text[offsets[i] : offsets[i + 1]].tobytes()))
        got = text[offsets[bad] : offsets[bad + 1]].tobytes().decode("utf-8", "replace")
        raise InputError(f"{path}, line {first_line + int(line_of[bad])}: got {got[:40]!r}, need a number; export the file again") from None
    return values.reshape(-1, num_columns)


def read_header(path: Path) -> tuple[int, float]:
    """Number of frames and frames per second that the file's header claims, read without its motion."""
    _, _, num_frames, fps, _, _ = _split(_head(path), Path(path))
    return num_frames, fps


def read_names(path: Path) -> list[str]:
    """Joint names in file order, read without the motion."""
    return [joint.name for joint in _split(_head(path), Path(path))[0]]


def _head(path: Path) -> bytes:
    """The file's bytes up to its frame time and a little beyond."""
    try:
        with open(path, "rb") as f:
            head = b""
            while b"Frame Time:" not in head and (more := f.read(65536)):
                head += more
            return head + f.readline()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None


def _split(data: bytes, path: Path) -> tuple[list[_Joint], int, int, float, bytes, int]:
    """Joints, channels in all, frames claimed, fps, motion block and the line that it starts on."""
    motion = re.search(rb"^[ \t]*MOTION[ \t\r]*$", data, re.MULTILINE)  # not the name of a joint
    if not motion or not data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"HIERARCHY"):
        raise InputError(f"{path}: got no HIERARCHY and MOTION blocks, need a BVH file; export the file again")
    start = motion.start()
    try:
        head = data[:start].decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: the HIERARCHY block is not UTF-8 text; export the file again") from None
    joints = _hierarchy(head.splitlines(), path)
    stream = io.BytesIO(data[start:])
    line = head.count("\n") + 1
    values: dict[str, float] = {}
    stream.readline()
    for key in ("Frames", "Frame Time"):
        text = b""
        while not text.strip() and (text := stream.readline()):
            line += 1
        name, _, value = text.decode("utf-8", "replace").partition(":")
        try:
            values[key] = float(value) if key == "Frame Time" else int(value)
        except ValueError:
            values[key] = -1
        if " ".join(name.split()) != key or not 0 <= values[key] < 1e9:
            raise InputError(
                f"{path}, line {line}: got {text.decode('utf-8', 'replace').strip()[:60]!r}, need '{key}: <number>'; export the file again"
            )
    if not 1e-4 <= values["Frame Time"] <= 10:
        raise InputError(f"{path}, line {line}: frame time {values['Frame Time']} s, need 0.0001 to 10; correct the header")
    fps = _exact_fps(values["Frame Time"], value.strip())
    return joints, sum(len(joint.channels) for joint in joints), int(values["Frames"]), fps, stream.read(), line + 1


def _exact_fps(frame_time: float, text: str) -> float:
    """Frames per second; a frame time that was rounded (0.008333, .0083333) gives the whole or NTSC rate that was meant (120).

    Meant is a rate whose frame time, rounded to the digits of `text`, is the one given; from six digits on, so that
    short numbers are not taken for any rate that is near.
    """
    fps = 1 / frame_time
    exponent = Decimal(text).as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) else 0
    rounding = 0.501 * 10.0**-digits if digits >= 6 else 0.0
    for exact in (round(fps), round(fps * 1.001) * 1000 / 1001):
        if exact and (abs(fps / exact - 1) < 2e-5 or abs(1 / exact - frame_time) <= rounding):
            return float(exact)
    return fps


def judge_unit(names: list[str], parents: np.ndarray, offsets: np.ndarray) -> str:
    """The unit of length that makes the skeleton a human's: by its legs where they have names, else by its extent."""
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
        return "cm"
    return min(UNITS_CM, key=lambda unit: abs(np.log(size * UNITS_CM[unit] / typical)))


def load_bvh(path: Path, *, unit: str | None = None) -> Motion:
    """Read a BVH file.

    `unit` is a key of UNITS_CM; None judges it by the bones and warns when it is not cm. Values that are NaN stay NaN.
    Raises InputError with file and line when the file breaks its own header.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    joints, num_channels, num_frames, fps, block, first_line = _split(data, path)
    if num_channels == 0:
        raise InputError(f"{path}: no joint has channels; export the file with its motion")
    table = _table(block, num_channels, path, first_line)
    if len(table) != num_frames:
        raise InputError(f"{path}: 'Frames: {num_frames}' but {len(table)} rows follow; correct the header or export the file again")
    if num_frames == 0:
        raise InputError(f"{path}: no frames, need at least one; export the file again")
    parents = np.array([joint.parent for joint in joints])
    offsets = np.array([joint.offset for joint in joints], float)
    positions = np.repeat(offsets[None], num_frames, 0)
    local = np.zeros((num_frames, len(joints), 4))
    local[..., 3] = 1
    orders, free, column = [], set(), 0
    for j, joint in enumerate(joints):
        values = table[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        turns = [i for i, channel in enumerate(joint.channels) if channel.endswith("rotation")]
        for i, channel in enumerate(joint.channels):
            if channel.endswith("position"):
                positions[:, j, "xyz".index(channel[0])] = values[:, i]
                free.add(j)
        orders.append("".join(joint.channels[i][0] for i in turns) or "zyx")
        if turns:
            local[:, j] = rotations.from_euler(orders[j], np.deg2rad(values[:, turns]))
    names = [joint.name for joint in joints]
    if unit is None:
        sizes = np.where(np.abs(offsets).sum(1, keepdims=True) > 0, offsets, positions[0])
        unit = judge_unit(names, parents, sizes)
        if unit != "cm":
            log.warning(
                "%s: bone lengths say that its unit is %s, not cm; lengths are multiplied by %.4f (set the unit to silence this)",
                path,
                unit,
                UNITS_CM[unit],
            )
    elif unit not in UNITS_CM:
        raise InputError(f"{path}: unit {unit!r}, need one of {', '.join(UNITS_CM)}")
    scale = UNITS_CM[unit]
    ends = {j: np.array(joint.end) * scale for j, joint in enumerate(joints) if joint.end is not None}
    return Motion(names, parents, offsets * scale, fps, positions * scale, local, ends, orders, frozenset(free))


def save_bvh(path: Path, motion: Motion) -> None:
    """Write a BVH file in cm, with the motion's own rotation orders (zyx where it has none) and frame time to 10 digits."""
    orders = motion.orders or ["zyx"] * len(motion.names)
    children: dict[int, list[int]] = {}
    for j, parent in enumerate(motion.parents):
        children.setdefault(int(parent), []).append(j)
    if len(children.get(-1, [])) != 1:
        raise ValueError(f"a BVH file has one root, got {len(children.get(-1, []))}")
    lines, columns = ["HIERARCHY"], []

    def number(values) -> str:
        return " ".join(f"{value:.6f}" for value in values)

    def joint(j: int, depth: int) -> None:
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
        for child in children.get(j, []):
            joint(child, depth + 1)
        if j not in children:
            end = motion.ends_cm.get(j, np.zeros(3))
            lines.extend([f"{pad}\tEnd Site", pad + "\t{", f"{pad}\t\tOFFSET {number(end)}", pad + "\t}"])
        lines.append(pad + "}")

    joint(children[-1][0], 0)
    lines += ["MOTION", f"Frames: {motion.num_frames}", f"Frame Time: {1 / motion.fps:.10f}"]
    table = np.concatenate(columns, 1)
    with whole(path) as temporary, open(temporary, "w", newline="\n") as f:
        f.write("\n".join(lines) + "\n")
        np.savetxt(f, table, fmt="%.6f")
