"""Face streams of a shoot: meshes, or Live Link Face recordings as CSV.

Meshes are in HDF5, in one NumPy array or in numbered OBJ files; a CSV is read by pipeline.formats.live_link.

In: `<performance>.mesh.h5`, `.csv`, `.npy` or the folder `<performance>.obj` (`_obj`), with the files beside
it that say rate, units and timecode. Out: seconds of each frame, vertices in cm. Only times
and counts are read at once; vertices come in blocks.

The description of an array or of OBJ files is a JSON, `<performance>.stream.json` or `<folder>/stream.json`:
`{"units": "cm", "timecode_rate": 60, "rate": 30}`; `timecode_rate` is needed with a timecode file, `rate`
(frames per second) without one. The timecode file, `<performance>.timecode.txt`, `<folder>/timecode.txt` or
`<folder>/timecode.csv`, has one timecode a line in the order of the frames; beside OBJ files it may have
`number,timecode` instead.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.formats import live_link
from pipeline.formats.array_files import attribute, is_plain_type, open_hdf5, plain_value, read_npy
from pipeline.formats.obj import read_vertices
from pipeline.formats.streams import OBJ_TIMECODES
from pipeline.formats.timecode import exact_rate, label_day, parse_timecode, unwrap_days
from pipeline.listing import files_in
from pipeline.reading import read_json, read_text, reading

UNITS_CM = {"cm": 1.0, "m": 100.0, "mm": 0.1}
MOST_FRAMES = 10_000_000
"""Frames of a stream: 46 hours at 60 frames per second."""
MOST_VERTICES = 5_000_000
"""Vertices of a frame: a scan of a head has some hundred thousand."""
MOST_CM = 100_000.0
"""A coordinate of a face: 1 km from the origin.

Beyond any stage, and beyond any face whose unit is taken for another.
"""
COPY = "copy or export it again"
FORMS = ".mesh.h5, Live Link .csv, .npy or a folder of .obj"


@dataclass(frozen=True)
class FaceStream:
    """One actor's face in a take.

    Its file or folder, seconds of each frame (N,), and vertices per frame (0 for a CSV).

    `seconds` count from midnight and never decrease: they run on where the recording goes over midnight, and
    two frames may share one timecode. Without timecode (`has_timecode` False) they count from the first
    frame, and `day_seconds`, the length of the day that timecode counts in, is None. `unit_cm` is the length
    of the file's unit; `files` are the OBJ files, one a frame.
    """

    path: Path
    seconds: np.ndarray
    num_vertices: int
    day_seconds: float | None
    unit_cm: float = 1.0
    files: tuple[Path, ...] = ()

    @property
    def has_timecode(self) -> bool:
        """Whether the frames carry their own times."""
        return self.day_seconds is not None

    @property
    def is_mesh(self) -> bool:
        """Whether frames are vertices, to be fitted, rather than ARKit weights."""
        return self.num_vertices > 0


def open_face(
    path: Path, *, rate: float | None = None, timecode_rate: float | None = None, units: str | None = None
) -> FaceStream:
    """Times and size of a face stream; InputError names what makes it unusable.

    `path` is the file, or for OBJ files their folder or the stream.json in it. `rate`, in frames per second,
    spaces the frames of a stream without timecode, before what its own description says; a stream with
    timecode does not use it. `timecode_rate` is what a CSV's timecode counts at, COUNTING if None; the
    other forms say it themselves, and must agree. `units`, a key of UNITS_CM, stands in for the description
    that an array or OBJ files lack.
    """
    path = Path(path)
    if path.suffix == ".csv" and path.exists():
        seconds, day = _seconds(live_link.read_timecodes(path), timecode_rate or live_link.COUNTING, path)
        return FaceStream(path, seconds, 0, day)
    stream, own = _open_mesh(path, rate, {"units": units, "timecode_rate": timecode_rate} if units else None)
    if timecode_rate and own and exact_rate(own) != exact_rate(timecode_rate):
        raise InputError(
            f"{path}: its timecode_rate is {own:g}, timecode.json says {timecode_rate:g}; correct one of them"
        )
    return stream


def _open_mesh(path: Path, rate: float | None, stand_in: dict | None) -> tuple[FaceStream, float | None]:
    """A stream of vertices, and what its timecode counts at, None where it has none."""
    if path.is_dir() or path.name == "stream.json":
        return _open_obj(path if path.is_dir() else path.parent, rate, stand_in)
    if not path.exists():
        raise InputError(f"{path}: no such file; record or export the face as {FORMS}")
    if path.suffix == ".npy":
        return _open_array(path, rate, stand_in)
    if path.suffix == ".h5":
        return _open_hdf5(path, rate)
    raise InputError(f"{path}: got a {path.suffix or 'nameless'} file, need {FORMS}; export the face again")


def blocks(stream: FaceStream, first: int, stop: int, *, block_frames: int) -> Iterator[np.ndarray]:
    """Vertices in cm of frames first..stop, as arrays (B, V, 3) float32 of at most `block_frames` frames."""
    ranges = [(i, min(i + block_frames, stop)) for i in range(first, stop, block_frames)]
    if stream.files:
        need = read_vertices(stream.files[0])
        for begin, end in ranges:
            yield _in_cm(
                np.stack([_same_topology(stream.files[i], *need) for i in range(begin, end)]), stream, begin
            )
    elif stream.path.suffix == ".npy":
        for begin, end in ranges:  # a mapping of its own for each block: pages that were read do not pile up
            yield _in_cm(read_npy(stream.path, mapped=True, fix=COPY)[begin:end], stream, begin)
    else:
        with open_hdf5(stream.path) as f:
            for begin, end in ranges:
                with reading(Path(f"{stream.path}, frames {begin} to {end - 1}"), "mesh"):
                    block = f["vertices"][begin:end]
                yield _in_cm(block, stream, begin)


def _in_cm(vertices: np.ndarray, stream: FaceStream, first: int) -> np.ndarray:
    """Vertices (B, V, 3) of frames from `first` on, as the file has them, in cm as float32.

    InputError beyond MOST_CM.
    """
    size = np.abs(vertices, dtype=np.result_type(vertices.dtype, np.float32))
    far = np.isfinite(size) & (size > MOST_CM / stream.unit_cm)
    if far.any():
        frame, vertex, axis = (int(i) for i in np.argwhere(far)[0])
        raise InputError(
            f"{stream.path}, frame {first + frame}, vertex {vertex}: {'xyz'[axis]}"
            f" {vertices[frame, vertex, axis]:.4g} is {size[frame, vertex, axis] * stream.unit_cm:.4g} cm,"
            f" need {MOST_CM:,.0f} cm at most; correct the units, or export the stream again"
        )
    result = np.array(vertices, np.float32)
    return result if stream.unit_cm == 1 else result * np.float32(stream.unit_cm)


def _rate(value: Any, name: str, path: Path) -> float:
    """A rate in frames per second, as it stands in a file."""
    rate = float("nan") if isinstance(value, bool) or not isinstance(value, (int, float)) else value
    if not 0 < rate < 1e4:
        raise InputError(f"{path}: {name} {value!r:.60}, need frames per second, such as 60; correct it")
    return rate


def _unit(name: Any, path: Path) -> float:
    if not isinstance(name, str) or name not in UNITS_CM:
        raise InputError(f"{path}: units {name!r:.60}, need one of {', '.join(UNITS_CM)}; correct it")
    return UNITS_CM[name]


def _seconds(codes: list[str], rate: float, path: Path) -> tuple[np.ndarray, float]:
    """Seconds since midnight (N,) of the frames' timecodes, not decreasing.

    And the length of the day that they count in.
    """
    try:
        seconds = np.array([parse_timecode(code, rate) for code in codes])
        day = label_day(codes[0], rate) if codes else 0.0
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    _check_count(len(seconds), path)
    seconds = unwrap_days(seconds, day=day)
    back = np.flatnonzero(np.diff(seconds) < 0)
    if len(back):
        i = int(back[0])
        raise InputError(
            f"{path}, frame {i + 1}: timecode {codes[i + 1]} does not come after {codes[i]}, it goes back;"
            " remove the frame or export again"
        )
    return seconds, day


def _check_count(num_frames: int, path: Path) -> None:
    if num_frames < 2:
        raise InputError(f"{path}: {num_frames} frames, need at least 2; check the recording")
    if num_frames > MOST_FRAMES:
        raise InputError(f"{path}: {num_frames:,} frames, need at most {MOST_FRAMES:,}; cut the recording")


def _check_vertices(num_vertices: int, path: Path) -> None:
    if num_vertices > MOST_VERTICES:
        raise InputError(
            f"{path}: {num_vertices:,} vertices a frame, need at most {MOST_VERTICES:,}; export a mesh with"
            " fewer"
        )


def _open_hdf5(path: Path, rate: float | None) -> tuple[FaceStream, float | None]:
    import h5py

    with open_hdf5(path) as f:
        if not isinstance(f.get("vertices"), h5py.Dataset):
            raise InputError(
                f"{path}: no dataset 'vertices', need vertices (N,V,3) and timecode (N); export the stream"
                " again"
            )
        shape, kind = f["vertices"].shape, f["vertices"].dtype.kind
        given = {key: attribute(f, key) for key in ("units", "timecode_rate", "rate")}
        attributes = {key: value for key, value in given.items() if value is not None}
        codes = None
        if isinstance(f.get("timecode"), h5py.Dataset):
            if not is_plain_type(f["timecode"].id):
                raise InputError(
                    f"{path}: 'timecode' holds no text, need HH:MM:SS:FF for each frame; export the stream"
                    " again"
                )
            if f["timecode"].size > MOST_FRAMES:
                raise InputError(
                    f"{path}: {f['timecode'].size:,} timecodes, need at most {MOST_FRAMES:,}; export the"
                    " stream again"
                )
            codes = [str(plain_value(code)) for code in np.atleast_1d(f["timecode"][()])]
    if (
        len(shape) != 3
        or shape[2] != 3
        or shape[1] == 0
        or kind != "f"
        or len(codes or ()) not in (0, shape[0])
    ):
        dtype = "" if kind == "f" else " that are no floats"
        raise InputError(
            f"{path}: vertices {shape}{dtype} and {len(codes or ())} timecodes, need (N,V,3) and N; export"
            " the stream again"
        )
    _check_vertices(shape[1], path)
    unit = _unit(attributes.get("units", "cm"), path)
    if codes:
        if "timecode_rate" not in attributes:
            raise InputError(
                f"{path}: no attribute timecode_rate, need the timecode's frames per second; add it"
            )
        base = _rate(attributes["timecode_rate"], "attribute timecode_rate", path)
        seconds, day = _seconds(codes, base, path)
        return FaceStream(path, seconds, shape[1], day, unit), base
    if rate is None and "rate" not in attributes:
        raise InputError(
            f"{path}: no dataset 'timecode' and no attribute rate; export with timecode (N), or add the"
            " frames per second as rate"
        )
    step = 1 / _rate(attributes["rate"] if rate is None else rate, "rate", path)
    _check_count(shape[0], path)
    return FaceStream(path, np.arange(shape[0]) * step, shape[1], None, unit), None


def _describe(path: Path, stand_in: dict | None) -> dict:
    """The description of an array or of OBJ files: units, timecode_rate and rate, as it stands in its JSON.

    `stand_in` where there is none.
    """
    keys = ("units", "timecode_rate", "rate")
    example = (
        '{"units": "cm", "timecode_rate": 60}, or rate in place of timecode_rate where there is no timecode'
    )
    if not path.exists():
        if stand_in is None:
            raise InputError(f"{path}: no such file; write it beside the vertices: {example}")
        _unit(stand_in["units"], path)
        return {key: value for key, value in stand_in.items() if value is not None}
    value = read_json(path)
    if not isinstance(value, dict) or "units" not in value:
        raise InputError(f"{path}: no units, need {example}; add them")
    for key in value:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
            raise InputError(
                f"{path}: unknown key"
                f" {key!r:.60}{f'; did you mean {near[0]!r}?' if near else f', need {example}; remove it'}"
            )
    _unit(value["units"], path)
    return value


def _read_timecodes(path: Path) -> list[tuple[int | None, str]]:
    """Rows of a timecode file: (number of the frame or None, timecode).

    A first row without a digit is a heading.
    """
    lines = read_text(path, fix="write one timecode a line").splitlines()
    rows: list[tuple[int | None, str]] = []
    for number, line in enumerate(lines, 1):
        cells = [cell.strip().strip('"') for cell in re.split(r"[,\t]", line.strip())]
        if cells == [""] or (not rows and not re.search(r"\d", line)):
            continue
        if (
            len(cells) > 2
            or (len(cells) == 2 and not re.fullmatch(r"[0-9]{1,12}", cells[0]))
            or (rows and (rows[0][0] is None) != (len(cells) == 1))
        ):
            raise InputError(
                f"{path}, line {number}: got {line[:40]!r}, need a timecode, or number,timecode, as in the"
                " lines before; correct it"
            )
        rows.append((int(cells[0]) if len(cells) == 2 else None, cells[-1]))
    return rows


def _times(
    path: Path, about: Path, timecode: Path | None, numbers: np.ndarray, value: dict, rate: float | None
) -> tuple[np.ndarray, float | None]:
    """Seconds (N,) of frames that have these numbers, and the length of the day.

    By the timecode file where there is one, else from 0 at the rate.
    """
    _check_count(len(numbers), path)
    if timecode is None:
        if rate is None and "rate" not in value:
            raise InputError(
                f"{about}: no rate, and no timecode file beside it; add the frames per second as rate, or the"
                " timecode"
            )
        return (numbers - numbers[0]) / _rate(value["rate"] if rate is None else rate, "rate", about), None
    if "timecode_rate" not in value:
        raise InputError(f"{about}: no timecode_rate, need the timecode's frames per second; add it")
    rows = _read_timecodes(timecode)
    if rows and rows[0][0] is not None:
        table = dict(rows)
        if len(table) != len(rows):
            raise InputError(
                f"{timecode}: {len(rows)} rows for {len(table)} frame numbers; remove the number that stands"
                " twice"
            )
        missing = [int(number) for number in numbers if int(number) not in table]
        if missing:
            raise InputError(
                f"{timecode}: no timecode for {len(missing)} of {len(numbers)} frames, the first is"
                f" {missing[0]}; add them"
            )
        codes = [table[int(number)] for number in numbers]
    else:
        codes = [code for _, code in rows]
    if len(codes) != len(numbers):
        raise InputError(
            f"{timecode}: {len(codes)} timecodes, need {len(numbers)}, one for each frame of {path.name};"
            " export both again"
        )
    return _seconds(codes, _rate(value["timecode_rate"], "timecode_rate", about), timecode)


def _open_array(path: Path, rate: float | None, stand_in: dict | None) -> tuple[FaceStream, float | None]:
    array = read_npy(path, mapped=True, fix=COPY)
    if (
        array.ndim != 3
        or array.shape[2] != 3
        or array.shape[1] == 0
        or array.dtype.kind != "f"
        or array.dtype.itemsize not in (4, 8)
    ):
        raise InputError(
            f"{path}: {array.dtype} {array.shape}, need vertices (N,V,3) as float32 or float64; export the"
            " stream again"
        )
    _check_vertices(array.shape[1], path)
    about, timecode = path.with_suffix(".stream.json"), path.with_suffix(".timecode.txt")
    value = _describe(about, stand_in)
    seconds, day = _times(
        path, about, timecode if timecode.exists() else None, np.arange(len(array)), value, rate
    )
    return FaceStream(path, seconds, array.shape[1], day, _unit(value["units"], about)), (
        value.get("timecode_rate") if day else None
    )


def _open_obj(folder: Path, rate: float | None, stand_in: dict | None) -> tuple[FaceStream, float | None]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; record or export the face as {FORMS}")
    found: dict[int, Path] = {}
    for path in files_in(folder, ".obj"):
        match = re.search(r"(?<![0-9])([0-9]{1,12})\.obj$", path.name)
        if not match:
            raise InputError(
                f"{path}: no frame number at the end of its name, need such as 00001.obj; rename or remove it"
            )
        if int(match[1]) in found:
            raise InputError(
                f"{path}: frame {int(match[1])} is also {found[int(match[1])].name}; remove one of them"
            )
        found[int(match[1])] = path
    numbers = np.array(sorted(found), np.int64)
    about = folder / "stream.json"
    timecode = next((folder / name for name in OBJ_TIMECODES if (folder / name).exists()), None)
    value = _describe(about, stand_in)
    seconds, day = _times(folder, about, timecode, numbers, value, rate)
    files = tuple(found[int(number)] for number in numbers)
    stream = FaceStream(
        folder, seconds, len(read_vertices(files[0])[0]), day, _unit(value["units"], about), files
    )
    return stream, value.get("timecode_rate") if day else None


def _same_topology(path: Path, need: np.ndarray, need_faces: int) -> np.ndarray:
    """Vertices (V, 3) of an OBJ file, which must be as many as `need` has.

    They must be in the same order by the file's faces.
    """
    vertices, faces = read_vertices(path)
    if len(vertices) != len(need):
        raise InputError(
            f"{path}: {len(vertices)} vertices, the first file has {len(need)}; export all frames with one"
            " topology"
        )
    if faces != need_faces:
        raise InputError(
            f"{path}: its faces are not those of the first file, the order of the vertices may differ; export"
            " all frames with one topology"
        )
    return vertices
