"""Face streams of a shoot: mesh sequences in HDF5, or Live Link Face recordings as CSV.

Only times and counts are read at once; vertices come in blocks.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import arkit
from pipeline.errors import InputError
from pipeline.timecode import parse_timecode

UNITS_CM = {"cm": 1.0, "m": 100.0, "mm": 0.1}
LIVE_LINK_RATE = 60


@dataclass(frozen=True)
class FaceStream:
    """One actor's face in a take: its file, seconds since midnight of each frame (N,), and vertices per frame (0 for a CSV)."""

    path: Path
    seconds: np.ndarray
    num_vertices: int

    @property
    def is_mesh(self) -> bool:
        """Whether frames are vertices, to be fitted, rather than ARKit weights."""
        return self.num_vertices > 0


def _seconds(codes: list[str], rate: float, path: Path) -> np.ndarray:
    try:
        seconds = np.array([parse_timecode(code, rate) for code in codes])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if len(seconds) < 2:
        raise InputError(f"{path}: {len(seconds)} frames, need at least 2; check the recording")
    back = np.flatnonzero(np.diff(seconds) <= 0)
    if len(back):
        i = int(back[0])
        raise InputError(f"{path}, frame {i + 1}: timecode {codes[i + 1]} does not come after {codes[i]}; remove the frame or export again")
    return seconds


def open_face(path: Path) -> FaceStream:
    """Times and size of a face stream, `.h5` or `.csv`; InputError when it has no usable timecode."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file; record the face as .mesh.h5 or Live Link .csv")
    if path.suffix == ".csv":
        _, rows = _live_link(path)
        return FaceStream(path, _seconds([row[0] for row in rows], LIVE_LINK_RATE, path), 0)
    import h5py

    try:
        with h5py.File(path, "r") as f:
            for name in ("vertices", "timecode"):
                if name not in f:
                    raise InputError(f"{path}: no dataset {name!r}, need vertices (N,V,3) and timecode (N); export the stream again")
            shape, rate = f["vertices"].shape, f.attrs.get("timecode_rate")
            codes = [code.decode() if isinstance(code, bytes) else str(code) for code in f["timecode"][()]]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable HDF5 file ({error}); copy or export it again") from None
    if rate is None:
        raise InputError(f"{path}: no attribute timecode_rate, need the timecode's frames per second; add it")
    if len(shape) != 3 or shape[2] != 3 or shape[0] != len(codes):
        raise InputError(f"{path}: vertices {shape} and {len(codes)} timecodes, need (N,V,3) and N; export the stream again")
    return FaceStream(path, _seconds(codes, float(rate), path), shape[1])


def _live_link(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and complete rows of a Live Link Face CSV (a recording that was cut off ends in a short row)."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as f:
            rows = list(csv.reader(f))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({error}); export the recording again") from None
    if not rows or rows[0][:1] != ["Timecode"]:
        raise InputError(f"{path}: first column is not Timecode, need a Live Link Face recording; export it again")
    return rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]


def live_link_weights(path: Path) -> np.ndarray:
    """ARKit weights (N, 51) of a Live Link Face CSV, columns in arkit.NAMES order."""
    header, rows = _live_link(path)
    columns = [2 + i for i in arkit.rig_order(header[2:], str(path))]
    try:
        return np.array([[float(row[i]) for i in columns] for row in rows])
    except ValueError as error:
        raise InputError(f"{path}: {error}; export the recording again") from None


def blocks(stream: FaceStream, first: int, stop: int, *, block_frames: int) -> Iterator[np.ndarray]:
    """Vertices in cm of frames first..stop, as arrays (B, V, 3) of at most `block_frames` frames."""
    import h5py

    with h5py.File(stream.path, "r") as f:
        unit = f.attrs.get("units", "cm")
        if unit not in UNITS_CM:
            raise InputError(f"{stream.path}: units {unit!r}, need one of {', '.join(UNITS_CM)}; correct the attribute")
        for i in range(first, stop, block_frames):
            yield f["vertices"][i : min(i + block_frames, stop)] * np.float32(UNITS_CM[unit])
