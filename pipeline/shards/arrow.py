"""Rows of takes as Arrow columns.

In: arrays whose first axis counts rows. Out: fields and columns of lists of a fixed size. Their values are
the arrays' memory and are not copied, but for truth values, which Arrow packs into bits.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

Shape = tuple[int | None, ...]
"""Shape of what a row holds; its first axis is None where it differs from row to row."""


def field(name: str, shape: Shape, dtype: str, about: dict[str, str]) -> "pa.Field":
    """A column of arrays of this shape, which its metadata names (`shape`, JSON) beside what it is told.

    A list of a fixed size in C order; where the first axis differs, a list of such lists.
    """
    import pyarrow as pa

    values = pa.from_numpy_dtype(np.dtype(dtype))
    kind = pa.list_(values, math.prod(n for n in shape if n is not None))
    metadata = {"shape": json.dumps(shape)} | about
    return pa.field(name, pa.list_(kind) if shape[0] is None else kind, nullable=False, metadata=metadata)


def told_fields(labels: Iterable[str]) -> "list[pa.Field]":
    """Columns of what a row says of itself: take, actors, place, length, and these labels of the take."""
    import pyarrow as pa

    kinds = {"take": pa.string(), "split": pa.string(), "performances": pa.list_(pa.string(), 2)}
    kinds |= dict.fromkeys(("start_frame", "start_sample", "num_frames", "num_samples"), pa.int64())
    kinds |= {"actors": pa.list_(pa.int64(), 2)} | dict.fromkeys(labels, pa.string())
    return [pa.field(name, kind, nullable=False) for name, kind in kinds.items()]


def told_columns(told: Mapping[str, Sequence]) -> "dict[str, pa.Array]":
    """The columns of `told_fields`, of a value for each row."""
    import pyarrow as pa

    columns = {}
    for name, values in told.items():
        if name == "performances":
            names = pa.array([each for pair in values for each in pair], pa.string())
            columns[name] = pa.FixedSizeListArray.from_arrays(names, 2)
        elif name == "actors":
            columns[name] = column(np.stack([np.asarray(pair) for pair in values]))
        else:
            columns[name] = pa.array(values, pa.string() if isinstance(values[0], str) else pa.int64())
    return columns


def column(rows: np.ndarray) -> "pa.Array":
    """A column of the rows (R, ...) of an array, each a list of a fixed size."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), math.prod(rows.shape[1:]))


def ragged_column(values: np.ndarray, starts: np.ndarray) -> "pa.Array":
    """A column of lists of rows: list i holds rows starts[i] .. starts[i + 1] - 1 of `values` (N, ...)."""
    import pyarrow as pa

    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), column(values))
