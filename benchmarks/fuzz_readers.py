"""Whether every reader of files from elsewhere reads a broken file as promised or refuses it.

It refuses with one line; mutations are seeded.

    python benchmarks/fuzz_readers.py --count 20000 --seed 0
    python benchmarks/fuzz_readers.py --formats mesh gltf --count 500 --keep broken

A small good file of each format is broken in one to three ways: bytes flipped, cut, doubled or put elsewhere,
fields and numbers set to what is huge, negative or no number, and, where the format has structure, values of
other types, lost, doubled and nested entries. Our reader must then give what it promises (finite numbers,
shapes that agree, indices that exist) or raise InputError with one line. Anything else is a failure and is
printed with its number: another exception, a broken promise, more than 5 s of processor time, 60 s in all, or
300 MB, a crash of the process. Exit code 1 if there is one. Bodies have a second reader besides
(fuzz_bvh.py).
"""

import argparse
import contextlib
import copy
import io
import json
import logging
import math
import multiprocessing
import random
import re
import resource
import signal
import sqlite3
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import fuzz_bvh  # noqa: E402

from pipeline.annotate import transcripts  # noqa: E402
from pipeline.errors import InputError  # noqa: E402
from pipeline.files import fault_of_cell, read_tsv  # noqa: E402
from pipeline.formats import arkit, bvh, faces, live_link, obj, sync_file, takes, timecode_file
from pipeline.formats.array_files import open_npz, read_npy  # noqa: E402
from pipeline.formats.gltf import read_gltf  # noqa: E402
from pipeline.formats.rig_file import load_rig  # noqa: E402
from pipeline.formats.words import read_words  # noqa: E402
from pipeline.motion import joint_map
from pipeline.reading import read_json, rows_of  # noqa: E402
from pipeline.rigs.importing import read_arrays, read_obj_folder  # noqa: E402
from pipeline.statistics import dataset_row

SECONDS, ALL_SECONDS, MEGABYTES = 5, 60, 300
HUGE = (
    0,
    1,
    -1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    -(2**63),
    10**12,
    10**400,
    1e308,
    -1e308,
    5e-324,
    0.1,
)
WORDS = (
    b"nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"1e400",
    b"-1",
    b"1e308",
    b"9" * 5000,
    b"99999999999",
    b"0x10",
    b"1_0",
    b"1,5",
    b"",
    b"\xef\xbc\x91",
    b"-0",
)
ODD: tuple[Any, ...] = (
    None,
    True,
    "",
    "x",
    "\0",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    {"": None},
    "../x",
    "nan",
    "9" * 5000,
    1.5,
)
CODES = [f"10:00:00:{2 * i:02d}" for i in range(8)]


@dataclass(frozen=True)
class Format:
    """A format: what is read, by what, and how it breaks.

    The file's name, what makes the good file (and others beside it), our reader with what it promises.
    """

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], None]
    mutate: Callable[[bytes, random.Random], bytes]


# ---- mutations


def flip(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8)) if out else 0):
        i = rng.randrange(len(out))
        out[i] = rng.randrange(256) if rng.random() < 0.5 else out[i] ^ (1 << rng.randrange(8))
    return bytes(out)


def cut(data: bytes, rng: random.Random) -> bytes:
    """The end lost, or a part in the middle."""
    start = rng.randrange(len(data) + 1)
    return data[:start] if rng.random() < 0.5 else data[:start] + data[start + rng.choice((1, 4, 100)) :]


def double(data: bytes, rng: random.Random) -> bytes:
    """A block twice, at once or elsewhere."""
    start = rng.randrange(len(data) + 1)
    block = data[start : start + rng.choice((1, 8, 100, 1000))]
    place = start if rng.random() < 0.5 else rng.randrange(len(data) + 1)
    return data[:place] + block * rng.choice((1, 1, 30)) + data[place:]


def field(data: bytes, rng: random.Random) -> bytes:
    """A field of 1 to 8 bytes set to what is extreme."""
    width = rng.choice((1, 2, 4, 8))
    value = rng.choice(
        (
            b"\0" * 8,
            b"\xff" * 8,
            b"\xff" * 7 + b"\x7f",
            b"\0" * 7 + b"\x80",
            struct.pack("<d", math.nan),
            struct.pack("<ff", math.inf, math.nan),
        )
    )
    place = rng.randrange(len(data) + 1)
    return data[:place] + value[-width:] + data[place + width :]


def number(data: bytes, rng: random.Random) -> bytes:
    """Numbers of a text swapped for others, or for what is none."""
    return fuzz_bvh.numbers(data, rng, WORDS)


def line(data: bytes, rng: random.Random) -> bytes:
    """A line or cell lost, doubled or swapped; other line ends, separators, encodings."""
    kind = rng.randrange(6)
    if kind < 3:
        mark = rng.choice((b"\n", b"\n", b"\t", b",", b" "))
        parts = data.split(mark)
        i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
        if kind == 0:
            del parts[i]
        elif kind == 1:
            parts.insert(j, parts[i])
        else:
            parts[i], parts[j] = parts[j], parts[i]
        return mark.join(parts)
    if kind == 3:
        return data.replace(
            rng.choice((b"\n", b"\t", b",", b" ")),
            rng.choice((b"\r\n", b"\r", b";", b"\t", b"\0", b'"')),
            rng.choice((1, 3, -1)),
        )
    if kind == 4:
        return rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\n", b"\0", b'"')) + data
    return data.decode("latin-1").encode(rng.choice(("utf-16", "utf-16-le", "utf-8", "utf-32")))


BYTES = (flip, cut, double, field)
TEXT = (flip, cut, double, number, number, line, line)


def several(*ways: Callable[[bytes, random.Random], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """One to three of the ways."""

    def mutate(data: bytes, rng: random.Random) -> bytes:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            data = rng.choice(ways)(data, rng)
        return data

    return mutate


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a JSON with each of its keys."""
    for key in (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    ):
        yield value, key
        yield from _places(value[key])


def changed(value: Any, rng: random.Random) -> Any:
    """A JSON value with an entry of another type or size, lost, doubled or nested."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    for _ in range(rng.choice((1, 1, 2, 4)) if places else 0):
        holder, key = rng.choice(places)
        if (isinstance(holder, list) and key >= len(holder)) or (
            isinstance(holder, dict) and key not in holder
        ):
            continue
        kind = rng.randrange(6)
        if kind == 0:
            holder[key] = rng.choice(ODD)
        elif kind == 1:
            holder[key] = rng.choice(HUGE)
        elif kind == 2:
            del holder[key]
        elif kind == 3 and isinstance(holder, list):
            holder.extend(holder[key : key + 1] * rng.choice((1, 3, 100)))
        elif kind == 4:
            other, place = rng.choice(places)
            with contextlib.suppress(IndexError, KeyError):
                holder[key] = copy.deepcopy(other[place])
        else:
            holder[key] = [holder[key]]
    return value


def as_json(data: bytes, rng: random.Random) -> bytes:
    """A JSON with something changed, sometimes nested deeply."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return flip(data, rng)
    if rng.random() < 0.02:
        return b"[" * 100_000 + data
    return json.dumps(changed(found, rng)).encode("utf-8", "surrogatepass")


JSON = several(as_json, as_json, as_json, *TEXT)


def as_glb(data: bytes, rng: random.Random) -> bytes:
    """A .glb whose JSON changes; its lengths are mended, so that what is inside is read."""
    size = struct.unpack_from("<I", data, 12)[0] if len(data) > 20 else 0
    head = as_json(data[20 : 20 + size], rng)
    head += b" " * (-len(head) % 4)
    rest = data[20 + size :]
    return data[:4] + struct.pack("<III", 2, 20 + len(head) + len(rest), len(head)) + b"JSON" + head + rest


def as_npy(data: bytes, rng: random.Random) -> bytes:
    """An .npy whose header says something else."""
    words = (
        b"(-1,)",
        b"(1000000000000, 3)",
        b"()",
        b"(0, 3)",
        b"'|O'",
        b"'<f2'",
        b"'>f8'",
        b"'<U9'",
        b"'<c16'",
        b"'|V8'",
        b"'<M8[s]'",
        b"None",
        b"True",
    )
    found = list(re.finditer(rb"\([^)]*\)|'[<>|=][^']*'|True|False", data[:128]))
    if not found:
        return flip(data, rng)
    match = rng.choice(found)
    return data[: match.start()] + rng.choice(words).ljust(match.end() - match.start()) + data[match.end() :]


NPY = several(as_npy, as_npy, *BYTES)


def as_npz(data: bytes, rng: random.Random) -> bytes:
    """An .npz with a member changed, lost, doubled or renamed.

    Packed again, so that what is inside is read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
    except Exception:  # broken before
        return flip(data, rng)
    i = rng.randrange(len(members)) if members else 0
    kind = rng.randrange(5) if members else 5
    if kind < 2:
        members[i] = (members[i][0], NPY(members[i][1], rng))
    elif kind == 2:
        del members[i]
    elif kind == 3:
        members.append((members[i][0], rng.choice(members)[1]))
    elif kind == 4:
        members[i] = (rng.choice(("x.npy", "../x.npy", "x", members[-1][0])), members[i][1])
    out = io.BytesIO()
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))) as archive,
    ):
        warnings.simplefilter("ignore")  # a name that stands twice
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def as_hdf5(data: bytes, rng: random.Random) -> bytes:
    """An HDF5 file with an attribute or dataset of another type, shape or place."""
    holder = io.BytesIO(data)
    arrays = (
        np.zeros((0, 5, 3)),
        np.zeros((8, 5)),
        np.full((8, 5, 3), np.inf),
        np.arange(8),
        np.array(b"10:00:00:00"),
        np.zeros((8, 5, 3), "i2"),
    )
    values = (
        60,
        0,
        -1,
        math.nan,
        math.inf,
        10**18,
        b"cm",
        "m",
        b"\xff",
        "",
        [60],
        [1, 2],
        [[60.0]],
        np.zeros(0),
        h5py.Empty("f4"),
        np.zeros(3, "c16"),
    )
    try:
        with h5py.File(holder, "r+") as f:
            kind = rng.randrange(6)
            name = rng.choice(("vertices", "timecode"))
            if kind < 2:
                f.attrs[rng.choice(("units", "timecode_rate", "rate"))] = rng.choice(values)
            elif kind == 2:
                del f[name]
                f[name] = rng.choice(arrays)
            elif kind == 3:
                del f[name]
                f[name] = rng.choice(
                    (
                        h5py.ExternalLink("x.mesh.h5", "vertices"),
                        h5py.SoftLink("/timecode"),
                        h5py.SoftLink("/"),
                    )
                )
            elif kind == 4:
                f["timecode"][rng.randrange(8)] = rng.choice(
                    (b"", b"\xff", b"10:00:00:99", b"99:00:00:00", b"9" * 5000, CODES[0].encode())
                )
            else:
                del f[name]
                f.create_dataset(
                    name,
                    (rng.choice((8, 10**9, 10**12)), 5, 3),
                    "f4",
                    chunks=(8, 5, 3),
                    compression=rng.choice((None, "gzip")),
                )
    except Exception:  # broken before
        return flip(data, rng)
    return holder.getvalue()


def as_sqlite(data: bytes, rng: random.Random) -> bytes:
    """A SQLite file whose table has other cells, columns or kind."""
    values = (None, 0, -1, 2**63 - 1, 1.5, math.inf, "", "\0", "x" * 1000, b"\xff", b"", "1 OR 1", "é")
    script = (
        "ALTER TABLE scenarios RENAME TO other",
        (
            "CREATE TABLE other AS SELECT * FROM scenarios; DROP TABLE scenarios; CREATE VIEW scenarios AS"
            " SELECT * FROM other"
        ),
        "ALTER TABLE scenarios DROP COLUMN emotion",
        "DELETE FROM scenarios",
        "INSERT INTO scenarios SELECT * FROM scenarios",
        "UPDATE scenarios SET id = (SELECT MIN(id) FROM scenarios)",
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.db")
        path.write_bytes(data)
        try:
            with contextlib.closing(sqlite3.connect(path)) as connection, connection:
                if rng.random() < 0.5:
                    connection.executescript(rng.choice(script))
                else:
                    column = rng.choice(("id", "relationship", "emotion", "setup"))
                    connection.execute(
                        f"UPDATE scenarios SET {column} = ? WHERE rowid = ?",
                        (rng.choice(values), rng.randrange(1, 7)),
                    )
        except Exception:  # broken before
            return flip(data, rng)
        return path.read_bytes()


# ---- good files, and what their readers promise


def need(good: object, what: str) -> None:
    """A promise."""
    if not good:
        raise AssertionError(f"the reader broke its promise: {what}")


def finite(*arrays: np.ndarray) -> None:
    """The promise of finite numbers."""
    need(all(np.isfinite(array).all() for array in arrays), "finite numbers")


def _plain(value: Any) -> None:
    json.dumps(value, allow_nan=False)


SYNC = {
    "take": "20260101_001",
    "start_seconds": 36000.0,
    "frames": 90,
    "fps": 30,
    "performances": [
        {
            "actor": actor,
            **{kind: {"start": 36000.0, "end": 36003.0, "rate": 60.0} for kind in ("body", "face", "audio")},
        }
        for actor in ("001", "002")
    ],
}
SPOKEN = {
    "words": [{"word": f"w{i}", "start": i / 4, "end": i / 4 + 0.2, "probability": 0.5} for i in range(8)],
    "language": "en",
    "seconds": 3.0,
}
TIMECODE = {
    "body": {actor: {"start": "10:00:00:00", "rate": 120} for actor in ("001", "002")},
    "audio": {"001": {"start": "10:00:00:00", "timecode_rate": 30, "drop_frame": False}},
}
TAKES = [
    [
        f"20260101_{i:03d}",
        "20260101",
        f"{i:03d}",
        "001",
        "002",
        "friends",
        "joy",
        "a and b",
        "they talk",
        split,
        "no",
        "",
    ]
    for i, split in enumerate(("train", "test", ""), 1)
]


def dumped(value: Any) -> Callable[[Path], None]:
    """Maker of a JSON file."""
    return lambda path: path.write_text(json.dumps(value, indent=1), encoding="utf-8") and None


def table(columns: list[str], rows: list[list[str]]) -> Callable[[Path], None]:
    """Maker of a table."""
    return lambda path: (
        path.write_text("\n".join("\t".join(row) for row in (columns, *rows)) + "\n", encoding="utf-8")
        and None
    )


def read_any_json(path: Path) -> None:
    _plain(read_json(path))


def read_any_sync(path: Path) -> None:
    take = sync_file.read_sync(path)
    _plain(take)
    need(
        all(
            math.isfinite(sync_file.stream_of(take, f"20260101_{p['actor']}_001", "face", where="x")["rate"])
            for p in take["performances"]
        ),
        "rates",
    )


def read_any_words(path: Path) -> None:
    words = read_words(path)
    need(
        all(0 <= word["start"] <= word["end"] < math.inf and isinstance(word["word"], str) for word in words),
        "times and words",
    )
    need(dataset_row.num_words(path) == len(words), "one count of words")


def read_any_timecode(path: Path) -> None:
    _plain(timecode_file.read_entries(path, path.parent.name, ["001", "002"], ["body", "face", "audio"]))


def read_any_table(path: Path) -> None:
    columns, rows = read_tsv(path)
    need(len(set(columns)) == len(columns), "columns that differ")
    need(
        all(row.keys() == set(columns) and not any(map(fault_of_cell, row.values())) for row in rows),
        "cells of one line",
    )


def read_any_takes(path: Path) -> None:
    found = takes.read_takes(path, actors={"001": "female", "002": "male"})
    need(
        all(takes.is_performance(name) for take in found for name in take.performances),
        "names of performances",
    )


def read_any_joint_map(path: Path) -> None:
    found = joint_map.load_joint_map(path)
    need(all(found) and all(found.values()), "names")


def make_npy(path: Path) -> None:
    np.save(path, np.arange(24.0).reshape(4, 6))


def read_any_npy(path: Path) -> None:
    array, mapped = read_npy(path), read_npy(path, mapped=True)
    need(
        array.dtype == mapped.dtype and array.shape == mapped.shape and array.tobytes() == mapped.tobytes(),
        "the same array, mapped or not",
    )


def make_rig(path: Path) -> None:
    rng = np.random.default_rng(0)
    neutral = 10 * rng.normal(size=(9, 3)).astype(np.float32)
    np.savez(
        path,
        neutral=neutral,
        names=np.array(arkit.NAMES),
        deltas=rng.normal(size=(51, 9, 3)).astype(np.float32),
        faces=np.array([[0, 1, 2]]),
    )


def read_any_rig(path: Path) -> None:
    refused = None
    for read in (load_rig, read_arrays):
        try:
            rig = read(path)
        except InputError as error:
            refused = error
            continue
        finite(rig.neutral, rig.deltas)
        need(rig.deltas.shape[1:] == rig.neutral.shape, "one topology")
    with open_npz(path) as arrays:
        for name in arrays.names:
            need(arrays[name].size >= 0, "an array")
    if refused:
        raise refused


def make_mesh(path: Path) -> None:
    with h5py.File(path, "w") as f:
        f["vertices"] = np.random.default_rng(0).normal(size=(8, 5, 3)).astype(np.float32)
        f["timecode"] = [code.encode() for code in CODES]
        f.attrs["units"], f.attrs["timecode_rate"] = np.bytes_(b"cm"), 60.0


def make_array(path: Path) -> None:
    """The array lies beside what is broken, which is its description."""
    np.save(path.with_name("x.npy"), np.ones((8, 5, 3), np.float32))
    path.with_name("x.timecode.txt").write_text("\n".join(CODES) + "\n")
    path.write_text(json.dumps({"units": "cm", "timecode_rate": 60}))


def make_codes(path: Path) -> None:
    make_array(path.with_name("x.stream.json"))


def make_frames(path: Path) -> None:
    make_array(path.with_name("x.stream.json"))
    np.save(path, np.ones((8, 5, 3), np.float32))


def read_any_face(path: Path) -> None:
    stream = faces.open_face(path)
    finite(stream.seconds)
    need((np.diff(stream.seconds) >= 0).all() and len(stream.seconds) > 1, "times that do not decrease")
    for block in faces.blocks(stream, 0, len(stream.seconds), block_frames=64) if stream.is_mesh else ():
        need(block.dtype == np.float32 and block.shape[1:] == (stream.num_vertices, 3), "blocks of vertices")


def read_beside(path: Path) -> None:
    read_any_face(path.with_name("x.npy"))


def make_csv(path: Path) -> None:
    rows = [
        ["Timecode", "BlendShapeCount", *(name[0].upper() + name[1:] for name in arkit.NAMES_52), "HeadYaw"]
    ]
    rows += [
        [code, "61", *(f"{(i + k) % 10 / 10}" for k in range(52)), "0.5"] for i, code in enumerate(CODES)
    ]
    path.write_text("\n".join(",".join(row) for row in rows) + "\n", encoding="utf-8")


def read_any_csv(path: Path) -> None:
    stream, weights = faces.open_face(path), live_link.read_weights(path)
    need(weights.shape == (len(stream.seconds), 51), "a row of weights a frame")
    finite(stream.seconds)


def _gltf() -> tuple[dict, bytes]:
    """A tetrahedron with three targets, one of them sparse, two primitives, a node that turns and a skin."""
    rng = np.random.default_rng(0)
    parts: list[bytes] = []
    found: dict[str, Any] = {"asset": {"version": "2.0"}, "accessors": [], "bufferViews": []}

    def view(array: np.ndarray) -> int:
        found["bufferViews"].append(
            {"buffer": 0, "byteOffset": sum(map(len, parts)), "byteLength": array.nbytes}
        )
        parts.append(array.tobytes() + b"\0" * (-array.nbytes % 4))
        return len(found["bufferViews"]) - 1

    def accessor(array: np.ndarray, kind: int, type: str, **more) -> int:
        found["accessors"].append(
            {"bufferView": view(array), "componentType": kind, "count": len(array), "type": type} | more
        )
        return len(found["accessors"]) - 1

    vertices = accessor(rng.normal(size=(4, 3)).astype("<f4"), 5126, "VEC3")
    targets = [{"POSITION": accessor(rng.normal(size=(4, 3)).astype("<f4"), 5126, "VEC3")} for _ in range(3)]
    where, what = view(np.array([1, 2], "<u2")), view(np.ones((2, 3), "<f4"))
    found["accessors"][-1]["sparse"] = {
        "count": 2,
        "indices": {"bufferView": where, "componentType": 5123},
        "values": {"bufferView": what},
    }
    corners = accessor(np.array([0, 1, 2, 0, 2, 3], "<u2"), 5123, "SCALAR")
    attributes = {"POSITION": vertices}
    joints = {
        "JOINTS_0": accessor(np.zeros((4, 4), "u1"), 5121, "VEC4"),
        "WEIGHTS_0": accessor(np.tile(np.array([1, 0, 0, 0], "<f4"), (4, 1)), 5126, "VEC4"),
    }
    inverse = accessor(np.eye(4, dtype="<f4").reshape(1, 16), 5126, "MAT4")
    names = ["jawOpen", "mouthClose", "smirk"]
    found["meshes"] = [
        {
            "name": "Head",
            "extras": {"targetNames": names},
            "primitives": [{"attributes": attributes, "indices": corners, "targets": targets}] * 2,
        },
        {
            "primitives": [
                {
                    "attributes": attributes | joints,
                    "targets": targets,
                    "extras": {"targetNames": names},
                    "indices": corners,
                }
            ]
        },
    ]
    found["nodes"] = [
        {"name": "root", "children": [1, 2], "rotation": [0, 0, 0, 1], "translation": [0, 1, 0]},
        {"mesh": 0, "scale": [1, -1, 1]}, {"mesh": 1, "skin": 0}
    ]  # fmt: skip
    found["skins"], found["scenes"] = [{"joints": [0], "inverseBindMatrices": inverse}], [{"nodes": [0]}]
    binary = b"".join(parts)
    found["buffers"] = [{"byteLength": len(binary)}]
    return found, binary


def make_gltf(path: Path) -> None:
    value, binary = _gltf()
    path.with_name("x.bin").write_bytes(binary)
    value["buffers"][0]["uri"] = "x.bin"
    path.write_text(json.dumps(value))


def make_glb(path: Path) -> None:
    value, binary = _gltf()
    head = json.dumps(value).encode()
    head += b" " * (-len(head) % 4)
    chunks = (
        struct.pack("<I", len(head)) + b"JSON" + head + struct.pack("<I", len(binary)) + b"BIN\0" + binary
    )
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks)


def read_any_gltf(path: Path) -> None:
    for mesh in read_gltf(path):
        finite(mesh.vertices, mesh.deltas)
        need(
            mesh.deltas.shape == (len(mesh.names), *mesh.vertices.shape)
            and len(set(mesh.names)) == len(mesh.names),
            "a name for each shape",
        )
        need(
            not mesh.triangles.size or 0 <= mesh.triangles.min() <= mesh.triangles.max() < len(mesh.vertices),
            "corners that exist",
        )


OBJ = (
    "mtllib x.mtl\no head\n"
    + "".join(f"v {i} {i * i} -1.5e0 0.5 0.5 1\nvt 0 {i}\n" for i in range(6))
    + "usemtl a\nf 1/1 2/2 3/3\nf -1 -2 -3 -4\nf 1//1 2//2 3//3 4//4 5//5\n"
)


def make_obj(path: Path) -> None:
    path.write_text(OBJ)
    path.with_name("x_neutral.obj").write_text(OBJ)


def read_any_obj(path: Path) -> None:
    vertices, corners, _ = obj.read_obj(path)
    need(vertices.ndim == 2 and vertices.shape[1] == 3, "vertices (V, 3)")
    need(
        corners.shape[1] in (3, 4)
        and (not corners.size or 0 <= corners.min() <= corners.max() < len(vertices)),
        "corners that exist",
    )
    shapes = read_obj_folder(path.parent)
    finite(shapes.neutral, shapes.deltas)


def make_bvh(path: Path) -> None:
    path.write_text(fuzz_bvh.SMALL)


def read_any_bvh(path: Path) -> None:
    motion = bvh.load_bvh(path)
    shape = motion.rotations.shape
    need(shape[1:] == (len(motion.names), 4) and motion.positions_cm.shape == (*shape[:2], 3), "one shape")
    finite(motion.offsets_cm)
    lengths = np.linalg.norm(motion.rotations, axis=-1)
    need(np.allclose(lengths[np.isfinite(lengths)], 1), "unit quaternions")
    need(
        len(bvh.read_names(path)) == len(motion.names) and bvh.count_frames(path) == motion.num_frames,
        "one count of joints and frames",
    )


COLUMNS = ["id", "relationship", "emotion", "setup"]


def make_sqlite(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA page_size = 512")
        connection.execute("CREATE TABLE scenarios (id INTEGER, relationship TEXT, emotion TEXT, setup TEXT)")
        connection.executemany(
            "INSERT INTO scenarios VALUES (?, ?, ?, ?)", [(i, "friends", "joy", "x" * 40) for i in range(6)]
        )


def read_any_sqlite(path: Path) -> None:
    rows = rows_of(path, "scenarios", COLUMNS)
    need(all(len(row) == len(COLUMNS) for row in rows), "rows of these columns")
    need(sorted(entry.name for entry in path.parent.iterdir()) == [path.name], "nothing made beside the file")


def make_text(path: Path) -> None:
    path.write_text("0 100 hello there\n100 200 how are you\n\nI am well.\n")


def read_any_text(path: Path) -> None:
    need(transcripts.read_text(path).strip(), "words")


FORMATS = {
    "json": Format("x.json", dumped({"sync": SYNC, "words": SPOKEN}), read_any_json, JSON),
    "sync": Format("x.json", dumped(SYNC), read_any_sync, JSON),
    "words": Format("x.json", dumped(SPOKEN), read_any_words, JSON),
    "timecode": Format("timecode.json", dumped(TIMECODE), read_any_timecode, JSON),
    "tsv": Format("x.tsv", table(takes.TAKE_COLUMNS, TAKES), read_any_table, several(*TEXT)),
    "takes": Format("takes.tsv", table(takes.TAKE_COLUMNS, TAKES), read_any_takes, several(*TEXT)),
    "joint_map": Format(
        "x.tsv",
        table(["theirs", "ours"], [["LowerBack", "Spine"], ["Spine", "Spine1"]]),
        read_any_joint_map,
        several(*TEXT),
    ),
    "transcript": Format("x.txt", make_text, read_any_text, several(*TEXT)),
    "npy": Format("x.npy", make_npy, read_any_npy, NPY),
    "npz": Format("x.npz", make_rig, read_any_rig, several(as_npz, as_npz, *BYTES)),
    "mesh": Format("x.mesh.h5", make_mesh, read_any_face, several(as_hdf5, flip, cut, double, field, field)),
    "array": Format("x.npy", make_frames, read_any_face, NPY),
    "stream": Format("x.stream.json", make_array, read_beside, JSON),
    "codes": Format("x.timecode.txt", make_codes, read_beside, several(*TEXT)),
    "csv": Format("x.csv", make_csv, read_any_csv, several(*TEXT)),
    "gltf": Format("x.gltf", make_gltf, read_any_gltf, JSON),
    "glb": Format("x.glb", make_glb, read_any_gltf, several(as_glb, as_glb, *BYTES)),
    "obj": Format("x.obj", make_obj, read_any_obj, several(*TEXT)),
    "bvh": Format("x.bvh", make_bvh, read_any_bvh, fuzz_bvh.mutate),
    "sqlite": Format("x.db", make_sqlite, read_any_sqlite, several(as_sqlite, *BYTES)),
}


# ---- the run


def _too_long(signum, frame):
    raise TimeoutError(f"more than {SECONDS} s of processor time, or {ALL_SECONDS} s in all")


def outcome(path: Path, read: Callable[[Path], None]) -> tuple[str, str]:
    """What became of one file, `error`, `right` or `failure`, and why."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for signal_number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(signal_number, _too_long)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # on a busy machine as many seconds go by without a hang
    signal.alarm(ALL_SECONDS)
    try:
        read(path)
        kind, why = "right", ""
    except InputError as error:
        kind, why = "error", str(error)
        if (
            len(why.splitlines()) != 1
            or len(why) > 3000
            or "TimeoutError" in why
            or f"more than {SECONDS} s of" in why
        ):
            kind = "failure"
    except Exception as error:  # whatever it is, it is what this looks for
        kind, why = "failure", f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > MEGABYTES * 1024:
        return "failure", f"more than {MEGABYTES} MB ({why})"
    return kind, why


def mutation(form: Format, name: str, number: int, seed: int) -> tuple[bytes, random.Random]:
    """The good file of a format, and what decides how it breaks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, form.name)
        form.make(path)
        return path.read_bytes(), random.Random(f"{seed} {name} {number}")


def _work(
    form: Format, name: str, begin: int, count: int, seed: int, keep: Path | None, results: Any
) -> None:
    """Break and read the files from `begin` on; tell the number before each, and what became of it after."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
    data, _ = mutation(form, name, 0, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "take", form.name)
        path.parent.mkdir()
        form.make(path)
        if outcome(path, form.read) != ("right", ""):
            results.send((-1, "failure", f"not read before any mutation: {outcome(path, form.read)[1]}", 0))
        for number in range(begin, count):
            rng = random.Random(f"{seed} {name} {number}")
            mutated = form.mutate(data, rng)
            path.write_bytes(mutated)
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{name}-{seed}-{number}{path.suffix}").write_bytes(mutated)
            results.send((number, "begin", ""))
            kind, why = outcome(path, form.read)
            results.send((number, kind, why.replace(f"{path.parent}/", "")))
            if keep and kind != "failure":
                (keep / f"{name}-{seed}-{number}{path.suffix}").unlink()
    results.send((count, "end", ""))


def fuzz(
    name: str, count: int, *, seed: int, keep: Path | None = None, formats: dict[str, Format] = FORMATS
) -> tuple[Counter, list[str]]:
    """Counts of `error`, `right` and `failure` of a format, and the failures.

    A process that dies costs one mutation.
    """
    counts: Counter = Counter()
    failures: list[str] = []
    context = multiprocessing.get_context("fork")
    begin = 0
    while begin < count:
        receive, send = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(formats[name], name, begin, count, seed, keep, send))
        worker.start()
        send.close()
        number, kind, why = begin, "begin", ""
        try:
            while kind != "end":
                if not receive.poll(ALL_SECONDS + 30):
                    worker.kill()
                number, kind, why = receive.recv()[:3]
                if kind in ("error", "right", "failure"):
                    counts[kind] += 1
                if kind == "failure":
                    failures.append(f"{name}, seed {seed}, mutation {number}: {why}")
        except EOFError:  # it died: the system's word for it is below
            worker.join()
            counts["failure"] += 1
            failures.append(
                f"{name}, seed {seed}, mutation {number}: the process ended with {worker.exitcode}"
            )
        worker.join()
        receive.close()
        begin = number + 1
    return counts, failures


def main(
    argv: list[str] | None = None, *, formats: dict[str, Format] = FORMATS, doc: str | None = __doc__
) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--formats", nargs="+", default=list(formats), choices=list(formats), help="which ones (default: all)"
    )
    parser.add_argument("--count", type=int, default=2000, help="mutations of each (default: 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that fail")
    arguments = parser.parse_args(argv)
    failed = 0
    print(f"{'format':<12}{'mutations':>10}{'refused':>10}{'read':>10}{'failures':>10}{'seconds':>10}")
    for name in arguments.formats:
        begin = time.monotonic()
        counts, failures = fuzz(
            name, arguments.count, seed=arguments.seed, keep=arguments.keep, formats=formats
        )
        spent = time.monotonic() - begin
        print(
            f"{name:<12}{arguments.count:>10}{counts['error']:>10}{counts['right']:>10}{counts['failure']:>10}{spent:>10.1f}",
            flush=True,
        )
        for failure in failures[:20]:
            print(f"  {failure[:600]}", flush=True)
        failed += len(failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
