"""Wavefront OBJ files: vertices in the order of the file, faces as vertex indices, nothing else.

In: `v x y z ...` and `f a b c ...` lines (`v/vt/vn` and negative indices too), whatever else comes between.
Out: vertices in the file's own unit; `write_obj` writes cm.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.reading import MEBIBYTE, read_bytes

MOST_OBJ_BYTES = 1024 * MEBIBYTE
"""Bytes of an OBJ file: ten million vertices."""


@dataclass(frozen=True)
class _Lines:
    """A file's bytes, where its lines start and end, and which of them hold a vertex or a face, both (n,)."""

    path: Path
    data: bytes
    starts: np.ndarray
    ends: np.ndarray
    vertex_lines: np.ndarray
    face_lines: np.ndarray

    @cached_property
    def vertices(self) -> np.ndarray:
        """(V, 3) float64."""
        path, data, starts, ends, lines = self.path, self.data, self.starts, self.ends, self.vertex_lines
        if not len(lines):
            raise InputError(f"{path}: no vertex, need lines 'v x y z'; copy or export it again")
        raw = np.frombuffer(data, np.uint8)
        text = np.concatenate([raw[starts[a] : ends[b] + 1] for a, b in _runs(lines)])
        breaks = np.flatnonzero(text == 10)
        text[np.concatenate([[0], breaks[:-1] + 1])] = 32  # the letter v
        ink = text > 32
        begin = np.flatnonzero(ink & ~np.concatenate([[False], ink[:-1]]))
        counts = np.diff(np.searchsorted(begin, breaks), prepend=0)
        wrong = np.flatnonzero((counts != counts[0]) | (counts < 3))
        if len(wrong):
            i = wrong[0]
            raise InputError(
                f"{path}, line {lines[i] + 1}: got {counts[i]} numbers after v, need {max(counts[0], 3)};"
                " copy or export it again"
            )
        values = _numbers(text[ink], np.flatnonzero(ink[:-1] & ~ink[1:]) + 1 - begin)
        if isinstance(values, bytes):
            bad = next(
                (
                    line
                    for line in lines
                    if values in re.split(rb"[\0-\x20]+", data[starts[line] : ends[line]])
                ),
                lines[0],
            )
            raise InputError(
                f"{path}, line {bad + 1}: got {values[:40].decode('latin-1')!r}, need a number; copy or"
                " export it again"
            )
        return values.reshape(len(lines), -1)[:, :3]

    @cached_property
    def checksum(self) -> int:
        """Of the text of the faces; 0 where there is none."""
        result = 0
        for a, b in _runs(self.face_lines):
            result = zlib.crc32(self.data[self.starts[a] : self.ends[b]].strip(), result)
        return result

    def polygons(self) -> list[list[int]]:
        """Vertex indices from 0 of each face."""
        result = []
        before = np.searchsorted(
            self.vertex_lines, self.face_lines
        )  # negative indices count back from the face's line
        for line, known in zip(self.face_lines.tolist(), before.tolist()):
            words = self.data[self.starts[line] : self.ends[line]].split()[1:]
            try:
                numbers = [int(word.split(b"/", 1)[0]) for word in words]
            except ValueError:
                numbers = []
            corners = [number - 1 if number > 0 else known + number for number in numbers]
            if len(corners) < 3 or 0 in numbers or min(corners) < 0 or max(corners) >= len(self.vertex_lines):
                got = b" ".join(words)[:40].decode("latin-1")
                need = f"three or more vertices from 1 to {len(self.vertex_lines)}"
                raise InputError(
                    f"{self.path}, line {line + 1}: got face {got!r}, need {need}; copy or export it again"
                )
            result.append(corners)
        return result


def read_vertices(path: Path) -> tuple[np.ndarray, int]:
    """Vertices (V, 3) float64 of an OBJ file in its own unit, and a checksum of its faces' text.

    The checksum is 0 where it has none.

    Vertices are the first three numbers of the lines `v x y z`, whatever follows them (w, colours) and comes
    between.
    """
    lines = _read(path)
    return lines.vertices, lines.checksum


def read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Vertices (V, 3) float64 in the file's own unit, faces, and a checksum.

    Faces are as in `faces_of`, the checksum is that of `read_vertices`.
    """
    lines = _read(path)
    return lines.vertices, faces_of(lines.polygons()), lines.checksum


def faces_of(polygons: Sequence[Sequence[int]]) -> np.ndarray:
    """Faces (F, 3 or 4) int32 of polygons: quads where all are, else triangles.

    Larger ones are cut from their first corner.
    """
    if polygons and all(len(polygon) == 4 for polygon in polygons):
        return np.array(polygons, np.int32)
    fans = [
        (polygon[0], polygon[i], polygon[i + 1]) for polygon in polygons for i in range(1, len(polygon) - 1)
    ]
    return np.array(fans, np.int32).reshape(-1, 3)


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write vertices (V, 3) in cm and faces (F, 3 or 4; -1 for no fourth corner) as an OBJ file, %.6f."""
    if not np.isfinite(vertices).all():
        raise InputError(f"{path}: NaN or infinite vertices, need numbers; mend the mesh")
    rounded = np.round(np.asarray(vertices, np.float64), 6) + 0.0  # no -0.000000
    lines = ["v {:.6f} {:.6f} {:.6f}".format(*vertex) for vertex in rounded.tolist()]
    lines += [
        "f " + " ".join(str(corner + 1) for corner in face if corner >= 0)
        for face in np.asarray(faces).tolist()
    ]
    with whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


def _read(path: Path) -> _Lines:
    data = read_bytes(path, most=MOST_OBJ_BYTES) + b"\n"
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw == 10)
    starts = np.concatenate([[0], ends[:-1] + 1])
    blank = raw[np.minimum(starts + 1, len(raw) - 1)] <= 32
    vertex_lines, face_lines = (np.flatnonzero(blank & (raw[starts] == ord(letter))) for letter in "vf")
    return _Lines(Path(path), data, starts, ends, vertex_lines, face_lines)


def _runs(lines: np.ndarray) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    if len(lines) == 0:
        return []
    cuts = np.flatnonzero(np.diff(lines) > 1)
    return list(
        zip(
            lines[np.concatenate([[0], cuts + 1])].tolist(),
            lines[np.concatenate([cuts, [len(lines) - 1]])].tolist(),
        )
    )


def _numbers(letters: np.ndarray, lengths: np.ndarray) -> np.ndarray | bytes:
    """Numbers (n,) float64 of words of these lengths that stand end to end.

    Or the first word that is no number.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    words = pa.StringArray.from_buffers(
        len(lengths), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters))
    )
    try:
        return np.from_dlpack(pc.cast(words, pa.float64()))  # to_numpy would import pandas
    except pa.ArrowInvalid:  # also at what float() understands, such as +1.0
        text = letters.tobytes()
        singly = [text[a:b] for a, b in zip(offsets, offsets[1:])]
        bad = next((word for word in singly if not _is_number(word)), None)
        return np.array([float(word) for word in singly]) if bad is None else bad


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return b"_" not in word  # which Python reads, as it stands in its own numbers
