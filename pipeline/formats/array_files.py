"""Doors for arrays that others wrote, .npy, .npz and HDF5, with what pipeline.reading promises of doors."""

import contextlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from pipeline.errors import InputError
from pipeline.formats.hdf5_heap import fault_of_texts
from pipeline.reading import line_of, plain, reading

MOST_BYTES = 16 << 30
"""Largest array that is read at once; larger ones are mapped."""
MOST_ROWS = 10_000_000_000
"""Values along one axis: a week of audio at 16 kHz."""
MOST_PACKED = 1100
"""How many times larger than its bytes in the file a dataset of HDF5 may be.

Deflate packs 1032 times at most.
"""
MOST_OBJECTS = 100_000
"""Groups and datasets of an HDF5 file: a shard has some hundred."""
MOST_MEMBERS = 1_000
"""Arrays of an .npz: a rig has four, or one a shape."""
MOST_HEADER = 4096
"""Bytes of the header of an .npy: 128 as numpy writes it."""


def _npy_header(f: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of an array by the header of its .npy, with the file left at its first value."""
    version = np.lib.format.read_magic(f)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version[0]}.{version[1]} of the format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(f, max_header_size=MOST_HEADER)
    if dtype.hasobject or dtype.kind not in "fiubSU":
        raise ValueError(f"values of type {dtype!s:.40}, need numbers")
    if any(length < 0 for length in shape):
        raise ValueError(f"shape {shape}")
    return shape, fortran, dtype


def _checked_text(array: np.ndarray) -> np.ndarray:
    """The array; ValueError where it is text with numbers that no character has, which Python cannot hold."""
    if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        codes = (
            np.ascontiguousarray(array).reshape(-1).view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
        )
        if codes.max() > 0x10FFFF or ((codes >= 0xD800) & (codes <= 0xDFFF)).any():
            raise ValueError("text with characters that there are not")
    return array


def _num_bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    count = dtype.itemsize
    for length in shape:  # Python's integers do not run over
        count *= length
    return count


def read_npy(path: Path, *, mapped: bool = False, fix: str = "write it again") -> np.ndarray:
    """The array of a .npy of numbers, in memory, or `mapped` for reading only.

    InputError where the file is not exactly as long as it says.
    """
    size = plain(path).st_size
    with reading(path, ".npy", fix=fix), open(path, "rb") as f:
        shape, fortran, dtype = _npy_header(f)
        begin, need = f.tell(), _num_bytes(shape, dtype)
        if size != begin + need:
            raise ValueError(f"{size - begin} bytes of values, need {need} for {dtype} {shape}")
        order: Literal["F", "C"] = "F" if fortran else "C"
        if mapped and need:
            return _checked_text(
                np.memmap(path, dtype=dtype, mode="r", offset=begin, shape=shape, order=order)
            )
        if need > MOST_BYTES:
            raise ValueError(f"{need:,} bytes of values, need at most {MOST_BYTES:,}")
        return _checked_text(np.ndarray(shape, dtype, bytearray(f.read(need)), order=order))


class Arrays:
    """The arrays of an .npz by name, each read when it is asked for."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, *, fix: str):
        self._path, self._archive, self._fix = path, archive, fix
        self.names = [name.removesuffix(".npy") for name in archive.namelist()]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> np.ndarray:
        """The array of that name; InputError where there is none or it does not hold what it claims."""
        if name not in self:
            raise InputError(
                f"{self._path}: no array {name!r}, it has {', '.join(self.names[:12]) or 'none'}; {self._fix}"
            )
        with reading(self._path, f".npz, array {name}", fix=self._fix):
            member = self._archive.getinfo(f"{name}.npy")
            with self._archive.open(member) as f:
                shape, fortran, dtype = _npy_header(f)  # type: ignore[arg-type]
                need = _num_bytes(shape, dtype)
                if member.file_size != f.tell() + need or need > MOST_BYTES:
                    raise ValueError(
                        f"{member.file_size - f.tell()} bytes of values, need {need} for {dtype} {shape}"
                    )
                values = f.read(need)
                if len(values) != need:
                    raise ValueError(f"{len(values)} bytes of values follow, need {need} for {dtype} {shape}")
            return _checked_text(np.ndarray(shape, dtype, bytearray(values), order="F" if fortran else "C"))


@contextlib.contextmanager
def open_npz(path: Path, *, fix: str = "write it again") -> Iterator[Arrays]:
    """The arrays of an .npz of numbers and texts.

    InputError for what is no such archive or would unpack to more than is sane.
    """
    plain(path)
    with reading(path, ".npz", fix=fix):
        archive = zipfile.ZipFile(path)
    with archive:
        with reading(path, ".npz", fix=fix):
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise ValueError(f"{len(members)} arrays, need at most {MOST_MEMBERS}")
            if (total := sum(member.file_size for member in members)) > MOST_BYTES:
                raise ValueError(f"it unpacks to {total:,} bytes, need at most {MOST_BYTES:,}")
            names = [member.filename for member in members]
            if odd := next((name for name in names if not name.endswith(".npy")), None):
                raise ValueError(f"it holds {odd!r:.60}, need arrays only")
            if len(set(names)) < len(names):
                raise ValueError(
                    f"array {next(name for name in names if names.count(name) > 1)!r:.60} stands twice"
                )
        yield Arrays(path, archive, fix=fix)


def _fault_of_dataset(name: str, dataset: Any, num_bytes: int) -> str | None:
    """How a dataset of HDF5 takes its values from elsewhere, or claims more than it can have.

    None where it does not.
    """
    dataset.dtype  # noqa: B018  # whatever of its type numpy cannot say is an error here, not where it is used
    if dataset.is_virtual or dataset.id.get_create_plist().get_external_count():
        return f"the values of {name!r:.60} lie in another file, need them in this one"
    if dataset.ndim and max(dataset.shape) > MOST_ROWS:
        return f"{name!r:.60} has {max(dataset.shape):,} rows, need at most {MOST_ROWS:,}"
    if dataset.id.get_storage_size() > num_bytes:
        return f"{name!r:.60} claims {dataset.id.get_storage_size():,} bytes in a file of {num_bytes:,}"
    stored, claimed = dataset.id.get_storage_size(), (dataset.size or 0) * dataset.id.get_type().get_size()
    packed = MOST_PACKED if dataset.chunks is not None else 1
    return (
        f"{name!r:.60} claims {claimed:,} bytes and has {stored:,}"
        if claimed > packed * stored + 65_536
        else None
    )


def _fault_of_hdf5(f: Any, num_bytes: int) -> str | None:
    """How an HDF5 file leads to other files or is made to be endless; None where it does not."""
    import h5py

    count = 0

    def look(
        name: str, link: Any
    ) -> str | None:  # an exception would not come through HDF5; a result ends the visit
        nonlocal count
        count += 1
        if count > MOST_OBJECTS:
            return f"it has more than {MOST_OBJECTS:,} objects"
        if isinstance(link, h5py.ExternalLink):
            return f"{name!r:.60} is a link into another file, need the values themselves"
        if isinstance(link, h5py.HardLink) and isinstance(found := f.get(name), h5py.Dataset):
            try:
                if fault := _fault_of_dataset(name, found, num_bytes):
                    return fault
                fault = fault_of_texts(Path(f.filename), found)
            except Exception as error:  # bytes from elsewhere: HDF5 and numpy may throw anything
                fault = line_of(error)
            return fault and f"{name!r:.60}: {fault}"
        return None

    return f.visititems_links(look)


def plain_value(value: Any) -> Any:
    """A value of HDF5 as Python has it: text of fixed or variable length, numbers, and lists of them.

    One element is itself.

    C, Fortran, MATLAB and Julia write text as bytes of fixed length, padded with NUL or spaces, and single
    values as arrays of one element. None is an empty value.
    """
    if isinstance(value, (bytes, np.bytes_)):
        return bytes(value).rstrip(b"\0 ").decode("utf-8")
    if isinstance(value, np.ndarray):
        return plain_value(value.reshape(-1)[0]) if value.size == 1 else [plain_value(part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (str, int, float, bool)) else None


def is_plain_type(stored: Any) -> bool:
    """Whether a dataset's or attribute's id in HDF5 is of numbers or texts.

    It is not where lists vary in length or are of references.

    Damaged types of variable length crash the library when they are read.
    """
    import h5py

    return stored.get_type().get_class() in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM)


MOST_ATTRIBUTE = 1_000_000
"""Elements of an attribute: joint names are some hundred."""


def attribute(holder: Any, name: str, default: Any = None) -> Any:
    """An attribute of a file, group or dataset of HDF5 by `plain_value`.

    The default where there is none or it is empty.
    """
    if name not in holder.attrs:
        return default
    path = Path(holder.file.filename)
    if (size := holder.attrs.get_id(name).get_space().get_simple_extent_npoints()) > MOST_ATTRIBUTE:
        raise InputError(
            f"{path}: attribute {name!r:.60} has {size:,} elements, need at most {MOST_ATTRIBUTE:,}; write it"
            " again"
        )
    with reading(path, f"HDF5 file, attribute {name:.60}", fix="write it again"):
        if not is_plain_type(holder.attrs.get_id(name)):
            raise ValueError("values of variable length or references, need numbers or text")
        value = plain_value(holder.attrs[name])
    return default if value is None else value


def attributes(holder: Any) -> dict[str, Any]:
    """All attributes of a file, group or dataset of HDF5 by name, as `attribute` gives them."""
    return {str(name): attribute(holder, name) for name in holder.attrs}


@contextlib.contextmanager
def open_hdf5(path: Path, *, need: str = "HDF5 file", fix: str = "copy or export it again") -> Iterator[Any]:
    """An HDF5 file opened to read.

    InputError where it is none, leads to other files, or lacks what is asked of it inside the `with`.

    Of errors inside, those of HDF5 itself and missing names become an InputError, others pass.
    """
    import h5py

    num_bytes = plain(path).st_size
    with reading(path, need, fix=fix):
        f = h5py.File(path, "r")
    with f:
        with reading(path, need, fix=fix):
            if fault := _fault_of_hdf5(f, num_bytes):
                raise ValueError(fault)
        try:
            yield f
        except (RuntimeError, KeyError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not a readable {need} ({line_of(error)}); {fix}") from error
        except OSError as error:
            if error.errno is not None and error.filename is not None:  # of another file, or of the disk
                raise
            raise InputError(f"{path}: not a readable {need} ({line_of(error)}); {fix}") from error
