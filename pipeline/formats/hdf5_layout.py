"""What of an HDF5 file may be mapped or read.

Datasets whose type, shape, layout and place are those that a format asks for.

HDF5 lets a file say of its own bytes what they are: pointers to objects, values of another file, or a place
behind the end. A format knows better. Its reader asks here for each dataset, by name, before a byte of it is
touched. Every function raises a ValueError with the fault: call them inside `pipeline.reading.reading`, which
makes one line of it.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_WIDTH = 100_000
"""Values of a row along one axis: the channels of an encoder are some thousand."""
MOST_CHUNK = 1 << 30
"""Bytes of a chunk: an hour of features in one chunk has 300 MB."""
MOST_TABLE = 1_000_000
"""Rows of a table, and elements of an attribute."""
MOST_ATTRIBUTES = 1_000
MOST_TEXT = 4096
"""Bytes of a text in a table."""
MOST_ATTRIBUTE = 1 << 20
"""Characters of a text in an attribute: the names of all channels of 53 joints are some thousand."""
FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}
"""Filters of HDF5 itself; others are programs that it would load."""


@dataclass(frozen=True)
class Stored:
    """Type and shape of a dataset, and where in the file its values begin.

    They begin there if they lie in one piece, as they are in memory.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int | None


def hard_link(group: Any, name: str) -> Any:
    """What a group has under a name; ValueError where there is nothing, or a link to another place."""
    import h5py

    if name not in group:
        raise ValueError(f"no {name!r:.60}")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r:.60} is a link to another place, need the values themselves")
    return group[name]


def _dataset(group: Any, name: str) -> Any:
    import h5py

    found = hard_link(group, name)
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{name!r:.60} is a group, need a dataset")
    return found


def _said(kind: Any) -> str:
    """A type of HDF5 as errors name it."""
    import h5py

    named = {
        h5py.h5t.VLEN: "variable length",
        h5py.h5t.REFERENCE: "reference",
        h5py.h5t.COMPOUND: "compound",
        h5py.h5t.OPAQUE: "opaque",
    }
    if kind.get_class() in named:
        return named[kind.get_class()]
    if kind.get_class() == h5py.h5t.STRING and kind.is_variable_str():
        return "text of variable length"
    try:
        return str(kind.dtype)
    except (TypeError, ValueError):
        return f"of class {kind.get_class()}"


def _offset(dataset: Any, name: str, dtype: np.dtype, shape: tuple[int, ...], file_bytes: int) -> int | None:
    """First byte of the values in the file, None where they do not lie in one piece.

    ValueError for a layout that is refused.
    """
    import h5py

    plan = dataset.id.get_create_plist()
    layout, need = (
        plan.get_layout(),
        int(np.prod([int(length) for length in shape], dtype=object)) * dtype.itemsize,
    )
    if plan.get_external_count() or layout not in (h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED, h5py.h5d.COMPACT):
        raise ValueError(f"the values of {name!r:.60} lie in another file, need them in this one")
    if layout == h5py.h5d.CHUNKED:
        numbers = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
        if odd := next((number for number in numbers if number not in FILTERS), None):
            raise ValueError(
                f"{name!r:.60} is packed by filter {odd}, need one of {', '.join(FILTERS.values())}"
            )
        size = int(np.prod([int(length) for length in plan.get_chunk()], dtype=object)) * dtype.itemsize
        if size > MOST_CHUNK:
            raise ValueError(f"{name!r:.60} has chunks of {size:,} bytes, need at most {MOST_CHUNK:,}")
    if layout != h5py.h5d.CONTIGUOUS or not need:
        return None
    offset, stored = dataset.id.get_offset(), dataset.id.get_storage_size()
    if stored != need or offset is None or not 0 < offset <= file_bytes - need:
        raise ValueError(
            f"{name!r:.60} has {stored:,} bytes from {offset} on in a file of {file_bytes:,}, need {need:,}"
            f" for {dtype} {shape}"
        )
    return offset


def stored(group: Any, name: str, dtype: str, row: tuple[int | None, ...], *, file_bytes: int) -> Stored:
    """Where the dataset of a name lies.

    ValueError where it is not exactly of that type, or has not rows of that shape.

    row: the lengths of the axes behind the first, None for any from 1 on.
    """
    import h5py

    dataset, need = _dataset(group, name), np.dtype(dtype).newbyteorder("<")
    kind = dataset.id.get_type()
    if not kind.equal(h5py.h5t.py_create(need)):
        raise ValueError(f"{name} has type {_said(kind)}, need {need}")
    shape = dataset.shape
    if shape is None or len(shape) != 1 + len(row) or any(
        not 0 < got <= MOST_WIDTH if want is None else got != want for got, want in zip(shape[1:], row)
    ):  # fmt: skip
        asked = ", ".join("any" if want is None else str(want) for want in row)
        raise ValueError(f"{name} has shape {shape}, need rows of ({asked})")
    return Stored(need, shape, _offset(dataset, name, need, shape, file_bytes))


def table(group: Any, name: str, columns: dict[str, type]) -> list[tuple]:
    """Rows of a table of texts of fixed length and whole numbers.

    `columns` says str or int of each, in order.
    """
    dataset = _dataset(group, name)
    dtype, shape = dataset.dtype, dataset.shape
    if dtype.names != tuple(columns) or dtype.hasobject:
        raise ValueError(
            f"{name} has columns {str(dtype.names)[:200]} of type {_said(dataset.id.get_type())}, need"
            f" {', '.join(columns)}"
        )
    for column, kind in columns.items():
        own = dtype[column]
        if own.kind != ("S" if kind is str else "i") or own.shape or own.itemsize > MOST_TEXT:
            raise ValueError(
                f"{name}: column {column} has type {own!s:.40}, need"
                f" {'text of fixed length' if kind is str else 'whole numbers'}"
            )
    if shape is None or len(shape) != 1 or not 0 < shape[0] <= MOST_TABLE:
        raise ValueError(f"{name} has shape {shape}, need 1 to {MOST_TABLE:,} rows")
    _offset(dataset, name, dtype, shape, file_bytes=1 << 62)
    return [
        tuple(cell.decode() if isinstance(cell, bytes) else cell for cell in row.tolist())
        for row in dataset[()]
    ]


def numbers(group: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A small array of numbers (float64); ValueError where it is something else or has another shape."""
    dataset = _dataset(group, name)
    if dataset.shape != shape or dataset.dtype.kind not in "fiu":
        raise ValueError(
            f"{name} has type {_said(dataset.id.get_type())} and shape {dataset.shape}, need numbers {shape}"
        )
    _offset(dataset, name, dataset.dtype, shape, file_bytes=1 << 62)
    return np.asarray(dataset[()], float)


def attributes(holder: Any) -> dict[str, Any]:
    """All attributes of a file, group or dataset by name: numbers, texts, and arrays of them.

    ValueError for any other.
    """
    import h5py

    if len(holder.attrs) > MOST_ATTRIBUTES:
        raise ValueError(f"it has {len(holder.attrs):,} attributes, need at most {MOST_ATTRIBUTES:,}")
    found = {}
    for name in holder.attrs:
        kept = holder.attrs.get_id(name)
        kind, count = kept.get_type(), kept.get_space().get_simple_extent_npoints()
        if kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM):
            raise ValueError(f"attribute {name!r:.60} is of type {_said(kind)}, need numbers or text")
        if not 0 < count <= MOST_TABLE:
            raise ValueError(f"attribute {name!r:.60} has {count:,} elements, need 1 to {MOST_TABLE:,}")
        found[str(name)] = holder.attrs[name]
    return found


def texts(value: Any, what: str) -> list[str]:
    """An attribute that is a list of texts."""
    values = [
        part.decode() if isinstance(part, bytes) else part
        for part in np.atleast_1d(np.asarray(value, object)).tolist()
    ]
    if not all(isinstance(part, str) and 0 < len(part) <= MOST_ATTRIBUTE for part in values):
        raise ValueError(f"{what} is {str(value)[:60]!r}, need a list of texts")
    return values


def whole_number(value: Any, what: str) -> int:
    """An attribute that is one whole number, or an array of one."""
    found = np.asarray(value)
    if found.size != 1 or found.dtype.kind not in "iu":
        raise ValueError(f"{what} is {str(value)[:60]!r}, need a whole number")
    return int(found.reshape(-1)[0])


def relative_path(text: str, what: str) -> str:
    """A text that names a file below a folder: parts between slashes, none of which leads up or is empty."""
    if any(part in ("", ".", "..") for part in text.split("/")) or re.search(r"[\x00-\x1f\x7f\\]", text):
        raise ValueError(f"{what} is {text!r:.80}, need the path of a file within its folder")
    return text
