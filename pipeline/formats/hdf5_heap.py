"""Texts of variable length in HDF5, looked at before the library follows them.

In a damaged heap it goes on without end.

A dataset of such texts has an element of 16 bytes for each: length, address of a collection of objects,
number of the object there. A collection is `GCOL`, version, size, then objects of number, uses, size and
content, in steps of 8 bytes.
"""

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

MOST_TEXTS = 20_000_000
"""Elements of a dataset of texts: timecodes of days."""
MOST_COLLECTION = 64 << 20
"""Bytes of a collection: 4096, or what one text has."""
_ELEMENT = np.dtype([("length", "<u4"), ("place", "<u8"), ("number", "<u4")])


def _elements(dataset: Any, f: BinaryIO, base: int) -> np.ndarray:
    """The elements (n,) of a dataset as they stand in the file.

    None of parts that are packed, which are not looked at.
    """
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        places = [] if offset is None else [(offset + base, 16 * (dataset.size or 0))]
    else:
        chunks = (
            [dataset.id.get_chunk_info(i) for i in range(dataset.id.get_num_chunks())]
            if not dataset.id.get_create_plist().get_nfilters()
            else []
        )
        places = [(chunk.byte_offset + base, chunk.size) for chunk in chunks]
    parts = [np.zeros(0, _ELEMENT)]
    for place, size in places:
        f.seek(place)
        content = f.read(size)
        parts.append(np.frombuffer(content[: len(content) // 16 * 16], _ELEMENT))
    return np.concatenate(parts)


def _objects(f: BinaryIO, place: int, num_bytes: int) -> dict[int, int]:
    """Bytes of each object of a collection by its number; ValueError where the collection is none."""
    f.seek(place)
    head = f.read(16)
    if len(head) < 16 or head[:5] != b"GCOL\x01":
        raise ValueError(f"no texts at byte {place:,}")
    size = struct.unpack_from("<Q", head, 8)[0]
    if not 16 <= size <= min(MOST_COLLECTION, num_bytes - place):
        raise ValueError(f"{size:,} bytes of texts at byte {place:,} of {num_bytes:,}")
    content, at = head + f.read(size - 16), 16
    found: dict[int, int] = {}
    while at + 16 <= size:
        number, length = struct.unpack_from("<H6xQ", content, at)
        step = (
            length if number == 0 else 16 + (length + 7) // 8 * 8
        )  # number 0 is the free room, its head included
        if step < 16 or at + step > size:
            raise ValueError(f"a text of {length:,} bytes at byte {place + at:,}, where {size - at:,} follow")
        found[number] = length
        at += step
    return found


def fault_of_texts(path: Path, dataset: Any) -> str | None:
    """What is wrong with where a dataset's texts of variable length lie.

    None where nothing is, or it has none.
    """
    import h5py

    kind = dataset.id.get_type()
    variable = kind.get_class() == h5py.h5t.VLEN or (
        kind.get_class() == h5py.h5t.STRING and kind.is_variable_str()
    )
    if not variable or h5py.h5i.get_file_id(dataset.id).get_create_plist().get_sizes() != (8, 8):
        return None
    if dataset.size and dataset.size > MOST_TEXTS:
        return f"{dataset.size:,} texts, need at most {MOST_TEXTS:,}"
    num_bytes, base = path.stat().st_size, dataset.file.userblock_size
    width = 1 if kind.get_class() == h5py.h5t.STRING else kind.get_super().get_size()
    with open(path, "rb") as f:
        elements = _elements(dataset, f, base)
        elements = elements[(elements["length"] > 0) & (elements["place"] > 0)]
        try:
            known = {
                int(place): _objects(f, int(place) + base, num_bytes)
                for place in np.unique(elements["place"])
                if place < num_bytes
            }
        except ValueError as error:
            return str(error)
    for length, place, number in elements.tolist():
        if length * width > known.get(place, {}).get(number, 0):
            return f"a text of {length:,} bytes is not where it should be"
    return None
