"""Whether the BVH reader either reads broken files rightly or refuses them with one line.

On seeded mutations.

    python benchmarks/fuzz_bvh.py --mutations 20000 --seed 0

Each mutation of a file ends as an InputError of one line, or as a motion that equals the one of a second
reader in this file: slow, line by line, rotation matrices in plain Python, from the BVH format and the rules
of docs/bvh.md. Anything else is a failure and is printed with its number: another exception, a difference,
NaN where the text has none, more than 5 s of processor time or 60 s in all, more than 300 MB. Exit code 1 if
there is one. Default files: a small one made here, and those of the folder that INTERACT_REAL_DATA names
(bvh/*.bvh), cut to a few frames.
"""

import argparse
import logging
import math
import os
import random
import re
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.errors import InputError  # noqa: E402
from pipeline.formats.bvh import load_bvh  # noqa: E402
from pipeline.motion import rotations  # noqa: E402
from pipeline.motion.motion import Motion  # noqa: E402
from pipeline.motion.skeleton import forward_kinematics  # noqa: E402

SMALL = """HIERARCHY
ROOT pre:Hips
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT pre:Left Arm
  {
    OFFSET 0 10 0
    CHANNELS 4 Yposition Xrotation Zrotation Yrotation
    JOINT Hand
    {
      OFFSET 0 5e0 -1.5
      CHANNELS 1 Xrotation
      End Site
      {
        OFFSET 0 5 0
      }
    }
  }
  JOINT Leg
  {
    OFFSET 3 -40 0
    CHANNELS 6 Zposition Yposition Xposition Yrotation Xrotation Zrotation
    End Site
    {
      OFFSET 0 -40 0
    }
  }
}
MOTION
Frames: 5
Frame Time: 0.0083333
0 90 0 0 90 0 12 0 0 0 5 1 -2 3 4 5 6
10 90 0 0 91 0 13 90 0 0 6 1 -2 3 4 5 60
20 90 1 3 92 0 13 nan 2 0 7 1 -2 3 4 5 61
30 90 1.5E+01 4 93 -1e-5 13 50 3 0 8 1 -2 3 4 5 62
40 90 0 5 94 -0 13 40 4 0 9 1 -2 3 -4 5.25 63
"""


class Refused(Exception):
    """The second reader's verdict on a file that breaks a rule."""


def _value(token: str) -> float:
    if re.fullmatch(r"(?i)[+-]?nan(\([a-z0-9_]*\))?|[+-]?1\.#(ind|qnan|snan)[0-9]*", token):
        return math.nan
    if (
        not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", token)
        or abs(float(token)) > 1e6
    ):
        raise Refused(token)
    return float(token)


class Reference:
    """A BVH file as its definition reads: nodes in order, rows of numbers, world positions by matrices."""

    def __init__(self, data: bytes):
        text = data.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n")
        at = next((i for i, line in enumerate(lines) if line.strip(" \t").upper() == "MOTION"), None)
        if at is None:
            raise Refused("no MOTION")
        self.words: list[list[str]] = []
        for line in lines[:at]:
            if any("\udc80" <= c <= "\udcff" for c in line):
                raise Refused("not UTF-8")
            words = line.split()
            self.words += (
                [words[:-1], ["{"]] if len(words) > 1 and words[-1] == "{" else [words] if words else []
            )
        self.joints: list[dict] = []
        self._take("HIERARCHY", 1)
        self._joint("ROOT", -1)
        if self.words or len({joint["name"] for joint in self.joints}) != len(self.joints):
            raise Refused("after the root")
        rest = [line for line in lines[at + 1 :] if line.encode("utf-8", "surrogateescape").strip()]
        if len(rest) < 2:
            raise Refused("no header")
        frames = re.fullmatch(r"(?is)\s*f\s*r\s*a\s*m\s*e\s*s\s*:\s*([0-9]{1,9})\s*", rest[0])
        seconds = re.fullmatch(r"(?is)\s*f\s*r\s*a\s*m\s*e\s*t\s*i\s*m\s*e\s*:\s*(\S+)\s*", rest[1])
        if not frames or not seconds:
            raise Refused("header")
        self.frame_time = _value(seconds[1])
        if not 1e-4 <= self.frame_time <= 10:
            raise Refused("frame time")
        self._rows(rest[2:], int(frames[1]), text[-1:].isspace())

    def _take(self, key: str, count: int | None = None) -> list[str]:
        if not self.words or self.words[0][0].upper() != key or (count and len(self.words[0]) != count):
            raise Refused(key)
        return self.words.pop(0)

    def _peek(self) -> str:
        return self.words[0][0].upper() if self.words else ""

    def _joint(self, key: str, parent: int) -> None:
        words = self._take(key)
        if len(words) < 2:
            raise Refused("no name")
        number = len(self.joints)
        joint = {
            "name": " ".join(words[1:]),
            "parent": parent,
            "offset": None,
            "channels": None,
            "end": False,
        }
        self.joints.append(joint)
        self._take("{")
        while self._peek() != "}":
            kind = self._peek()
            if kind == "OFFSET" and joint["offset"] is None:
                joint["offset"] = self._offset()
            elif kind == "CHANNELS" and joint["channels"] is None:
                words = self._take("CHANNELS")
                joint["channels"] = [word.lower() for word in words[2:]]
                if words[1:2] != [str(len(words) - 2)] or len(set(joint["channels"])) != len(words) - 2:
                    raise Refused("channels")
                if any(
                    not re.fullmatch("[xyz](position|rotation)", channel) for channel in joint["channels"]
                ):
                    raise Refused("channels")
            elif kind == "JOINT":
                self._joint("JOINT", number)
            elif kind == "END" and not joint["end"]:
                self._take("END")
                self._take("{")
                self._offset()
                self._take("}", 1)
                joint["end"] = True
            else:
                raise Refused(kind)
        self._take("}", 1)
        if joint["offset"] is None:
            raise Refused("no offset")

    def _offset(self) -> list[float]:
        values = [_value(word) for word in self._take("OFFSET", 4)[1:]]
        if any(math.isnan(value) for value in values):
            raise Refused("offset")
        return values

    def _rows(self, lines: list[str], claimed: int, ended: bool) -> None:
        need = sum(len(joint["channels"] or []) for joint in self.joints)
        self.rows: list[list[float]] = []
        if need == 0:
            raise Refused("no channels")
        for i, line in enumerate(lines):
            last = i == len(lines) - 1
            tokens = [
                token.decode("utf-8", "replace") for token in line.encode("utf-8", "surrogateescape").split()
            ]  # ASCII white space only
            numbers = []
            for k, token in enumerate(tokens):
                try:
                    numbers.append(_value(token))
                except Refused:
                    if not (last and not ended and k == len(tokens) - 1 and len(tokens) <= need):
                        raise
            if last and len(tokens) <= need and len(numbers) < need:
                break  # cut off
            if len(numbers) != need or len(tokens) != need:
                raise Refused("width")
            self.rows.append(numbers)
        if self.rows and len(self.rows) < claimed and not ended and len(self.rows) == len(lines):
            self.rows.pop()  # its last number may be cut
        if not self.rows or abs(len(self.rows) - claimed) > max(2, claimed // 100):
            raise Refused("frames")

    def world(self, row: list[float]) -> tuple[list[list[float]], list[list[list[float]]]]:
        """World positions and rotation matrices of every joint in one frame."""
        positions: list = []
        turned: list = []
        numbers = iter(row)
        for joint in self.joints:
            place, matrix = list(joint["offset"]), [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
            for channel in joint["channels"] or []:
                value, axis = next(numbers), "xyz".index(channel[0])
                if channel.endswith("position"):
                    place[axis] = value
                else:
                    matrix = _product(matrix, _turn(axis, value))
            if joint["parent"] >= 0:
                parent, origin = turned[joint["parent"]], positions[joint["parent"]]
                place = [origin[i] + sum(parent[i][k] * place[k] for k in range(3)) for i in range(3)]
                matrix = _product(parent, matrix)
            positions.append(place)
            turned.append(matrix)
        return positions, turned


def _turn(axis: int, degrees: float) -> list[list[float]]:
    """The matrix of a turn about a coordinate axis; NaN throughout for NaN."""
    if math.isnan(degrees):
        return [[math.nan] * 3] * 3
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    b, d = (axis + 1) % 3, (axis + 2) % 3
    matrix = [[0.0] * 3 for _ in range(3)]
    matrix[axis][axis] = 1.0
    matrix[b][b] = matrix[d][d] = c
    matrix[d][b], matrix[b][d] = s, -s
    return matrix


def _product(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    return [[sum(a[i][k] * b[k][j] for k in range(3)) for j in range(3)] for i in range(3)]


def difference(motion: Motion, data: bytes) -> str:
    """How the motion differs from the second reader's, "" where it does not.

    By 1e-6, of lengths beyond 1000 by a billionth.
    """
    try:
        reference = Reference(data)
    except Refused as refused:
        return f"read, but the second reader refuses it: {refused}"
    joints = reference.joints
    if motion.names != [joint["name"] for joint in joints] or motion.parents.tolist() != [
        joint["parent"] for joint in joints
    ]:
        return "another skeleton"
    if motion.num_frames != len(reference.rows):
        return f"{motion.num_frames} frames, not {len(reference.rows)}"
    if abs(motion.fps * reference.frame_time - 1) > 2e-3:
        return f"{motion.fps} fps, frame time {reference.frame_time}"
    with np.errstate(all="ignore"):
        positions, world = forward_kinematics(motion)
        matrices = np.stack([rotations.rotate(world, axis) for axis in np.eye(3)], -1)
    truth = [reference.world(row) for row in reference.rows]
    for name, got, need in (
        ("positions", positions, [t[0] for t in truth]),
        ("rotations", matrices, [t[1] for t in truth]),
    ):
        wanted = np.array(need)
        if not np.array_equal(np.isnan(got), np.isnan(wanted)):
            return f"{name}: NaN elsewhere"
        largest = np.nanmax(np.abs(wanted), initial=0.0)
        if np.nanmax(np.abs(got - wanted), initial=0.0) > 1e-6 * max(1.0, largest / 1000):
            return f"{name}: {np.nanmax(np.abs(got - wanted)):.2e} apart"
    return ""


VALUES = (
    b"nan",
    b"NaN",
    b"-nan",
    b"-nan(ind)",
    b"1.#QNAN",
    b"inf",
    b"-Infinity",
    b"1e999",
    b"1e-999",
    b"999999999999",
    b"1e308",
    b"0,5",
    b"1_0",
)
VALUES += (
    b"",
    b"-",
    b"+1.5",
    b".5",
    b"5.",
    b"1e",
    b"0x10",
    b"--1",
    b"1.2.3",
    b"\xef\xbc\x91",
    b"360",
    b"-720.5",
    b"1e6",
    b"1000000.1",
)
WORDS = (
    b"HIERARCHY",
    b"ROOT x",
    b"JOINT y",
    b"End Site",
    b"{",
    b"}",
    b"OFFSET 1 2 3",
    b"CHANNELS 3 Xrotation Yrotation Zrotation",
    b"MOTION",
)
WORDS += (
    b"CHANNELS 0",
    b"Frames: 3",
    b"Frame Time: 0.01",
    b"CHANNELS 1 Xposition",
    b"ROOT x {",
    b"# comment",
    b"\x00",
    b"motion",
)
ENDS = (b"\r\n", b"\r", b"\n\n", b" \n", b"\n\t", b"\t\n\n \n")


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to three of the ways in which files break."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(MUTATIONS)(data, rng)
    return data


def _span(data: bytes, rng: random.Random, longest: int) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randint(1, longest))


def _flip(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if out:
            i = rng.randrange(len(out))
            out[i] = rng.randrange(256) if rng.random() < 0.5 else out[i] ^ (1 << rng.randrange(8))
    return bytes(out)


def _delete(data: bytes, rng: random.Random) -> bytes:
    start, stop = _span(data, rng, rng.choice((1, 4, 200)))
    return data[:start] + data[stop:]


def _insert(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return (
        data[:start]
        + bytes(
            rng.choice((rng.randrange(256), 32, 9, 10, 13, 46, 48)) for _ in range(rng.choice((1, 2, 20)))
        )
        + data[start:]
    )


def _duplicate(data: bytes, rng: random.Random) -> bytes:
    start, stop = _span(data, rng, rng.choice((3, 100, 2000)))
    return data[:stop] + data[start:stop] + data[stop:]


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return (
        data[: rng.randrange(len(data) + 1)]
        if rng.random() < 0.5
        else data[: max(0, len(data) - rng.randint(1, 300))]
    )


def _lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    if rng.random() < 0.5:
        j = min(len(lines) - 1, i + 1)
    kind = rng.randrange(4)
    if kind == 0:
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 1:
        del lines[i]
    elif kind == 2:
        lines.insert(j, lines[i])
    else:
        lines.insert(i, rng.choice(WORDS))
    return b"\n".join(lines)


def numbers(data: bytes, rng: random.Random, words: tuple[bytes, ...] = VALUES) -> bytes:
    """Numbers of a text swapped for others, or for what is none."""
    found = list(re.finditer(rb"[-+.0-9eE]*[0-9][-+.0-9eE]*", data))
    for match in sorted(rng.sample(found, min(len(found), rng.choice((1, 1, 3)))), key=lambda m: -m.start()):
        data = data[: match.start()] + rng.choice(words) + data[match.end() :]
    return data


def _header(data: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(5)
    if kind == 0:
        return re.sub(
            rb"Frames:.*",
            b"Frames:"
            + rng.choice((b"7", b" 0", b" -1", b"\t24", b" 26", b" 1e3", b" 999999999", b"", b" 2.0")),
            data,
            count=1,
        )
    if kind == 1:
        times = (b"0", b"nan", b"-0.01", b"1e-3", b".0333333", b"1e9", b"0,01", b"0.01 0.02", b"")
        return re.sub(rb"Frame Time:.*", b"Frame Time: " + rng.choice(times), data, count=1)
    if kind == 2:
        word = rng.choice(
            (
                b"HIERARCHY",
                b"ROOT",
                b"JOINT",
                b"OFFSET",
                b"CHANNELS",
                b"End Site",
                b"MOTION",
                b"Frames",
                b"Frame Time",
            )
        )
        return data.replace(
            word,
            rng.choice((word.lower(), word.upper(), word[:-1], b"\t" + word + b"  ")),
            rng.choice((1, -1)),
        )
    if kind == 3:
        axes = [
            b"Xrotation",
            b"Yrotation",
            b"Zrotation",
            b"Xposition",
            b"Yposition",
            b"Wrotation",
            b"xROTATION",
            b"",
        ]
        return data.replace(rng.choice(axes[:5]), rng.choice(axes), rng.choice((1, 2, -1)))
    return re.sub(rb"CHANNELS \d", b"CHANNELS %d" % rng.randrange(8), data, count=rng.choice((0, 1, 3)))


def _space(data: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(5)
    if kind == 0:
        return data.replace(b"\n", rng.choice(ENDS))
    if kind == 1:
        return data.replace(b" ", rng.choice((b"\t", b"  ", b" \t ", b"\x0b", b"\xc2\xa0")))
    if kind == 2:
        return rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\n\n", b" ")) + data
    if kind == 3:
        return re.sub(rb"\s*\n\s*\{", b" {", data)
    return data.rstrip() + rng.choice((b"", b" ", b"\n\n\n", b"\x1a", b"\n0", b"\n\x00"))


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...]
MUTATIONS = (
    _flip,
    _delete,
    _insert,
    _duplicate,
    _truncate,
    _lines,
    numbers,
    numbers,
    _header,
    _header,
    _space,
)


def cut(data: bytes, num_frames: int) -> bytes:
    """The file with its first frames only."""
    head, motion = data.split(b"MOTION", 1)
    lines = motion.splitlines()
    rows = [line for line in lines[3:] if line.strip()][:num_frames]
    return b"\n".join([head + b"MOTION", b"Frames: %d" % len(rows), lines[2], *rows, b""])


def originals(files: list[Path], num_frames: int) -> list[tuple[str, bytes]]:
    """Name and bytes of the files to mutate; without any, those by default."""
    real = os.environ.get("INTERACT_REAL_DATA")
    found = files or (sorted(Path(real, "bvh").glob("*.bvh")) if real else [])
    small = [] if files else [("small", SMALL.encode())]
    return small + [(path.name, cut(path.read_bytes(), num_frames)) for path in found]


def _too_long(signum, frame):
    raise TimeoutError("more than 5 s of processor time, or 60 s in all")


def outcome(data: bytes, path: Path) -> tuple[str, str]:
    """What became of one file, `error`, `right` or `failure`, and why."""
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, _too_long)
    signal.setitimer(signal.ITIMER_PROF, 5)  # on a busy machine 5 s go by without a hang
    signal.alarm(60)
    try:
        motion = load_bvh(path, unit="cm")
    except InputError as error:
        return (
            ("failure", "more than one line")
            if len(str(error).splitlines()) != 1
            else ("error", str(error).removeprefix(str(path)))
        )
    except Exception as error:  # whatever it is, it is what this looks for
        return "failure", repr(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > 300 * 1024:
        return "failure", "more than 300 MB"
    problem = difference(motion, data)
    return ("failure", problem) if problem else ("right", "")


def fuzz(
    num_mutations: int, *, seed: int, files: list[Path], num_frames: int, keep: Path | None = None
) -> tuple[Counter, list[str]]:
    """Counts of `error`, `right` and `failure`, and of `strict`: refused although the second reader reads it.

    The failures.
    """
    sources, counts, failures = originals(files, num_frames), Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.bvh")
        for name, data in sources:
            if outcome(data, path) != ("right", ""):
                raise InputError(f"{name}: not read rightly before any mutation: {outcome(data, path)[1]}")
        for number in range(num_mutations):
            rng = random.Random(f"{seed} {number}")
            name, data = sources[number % len(sources)]
            mutated = mutate(data, rng)
            kind, why = outcome(mutated, path)
            counts[kind] += 1
            if kind == "failure":
                failures.append(f"seed {seed}, mutation {number} of {name}: {why}")
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}-{number}.bvh").write_bytes(mutated)
            elif kind == "error":
                try:
                    Reference(mutated)
                    counts["strict"] += 1
                    if keep:
                        print("strict:", number, name, why)
                except (Refused, UnicodeDecodeError, RecursionError):
                    pass
    return counts, failures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutations", type=int, default=20000, help="mutations to try (default: 20000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutations (default: 0)")
    parser.add_argument(
        "--files", type=Path, nargs="*", default=[], help="BVH files to mutate (default: see above)"
    )
    parser.add_argument("--frames", type=int, default=6, help="frames to keep of each (default: 6)")
    parser.add_argument("--keep", type=Path, help="folder for the files that fail")
    arguments = parser.parse_args()
    logging.getLogger("interact").setLevel(logging.ERROR)  # not in fuzz(): a test calls it
    counts, failures = fuzz(
        arguments.mutations,
        seed=arguments.seed,
        files=arguments.files,
        num_frames=arguments.frames,
        keep=arguments.keep,
    )
    print(*failures, sep="\n", end="\n" * bool(failures))
    print(
        f"{arguments.mutations} mutations: {counts['error']} refused with one line ({counts['strict']} of"
        " them by this reader alone),"
    )
    print(f"{counts['right']} read rightly, {counts['failure']} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
