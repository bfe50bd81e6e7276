"""Arrow columns hold the rows of arrays, in the memory of the arrays."""

import json

import numpy as np
import pyarrow as pa
import pytest

from pipeline.shards import arrow


@pytest.mark.parametrize("dtype", ["float32", "uint8", "float16"])
def test_a_column_is_the_array_itself(dtype):
    rows = np.arange(24).reshape(2, 3, 4).astype(dtype)
    found = arrow.column(rows)
    assert found.type == arrow.field("x", (3, 4), dtype, {}).type
    assert found.to_pylist() == rows.reshape(2, 12).tolist()
    assert np.shares_memory(found.flatten().to_numpy(), rows)


def test_a_ragged_column_begins_where_it_is_told():
    values = np.arange(10, dtype=np.float32).reshape(5, 2)
    found = arrow.ragged_column(values, np.array([0, 1, 1, 5]))
    assert found.type == arrow.field("x", (None, 2), "float32", {}).type
    assert found.to_pylist() == [[[0, 1]], [], [[2, 3], [4, 5], [6, 7], [8, 9]]]
    assert np.shares_memory(found.values.flatten().to_numpy(), values)


def test_a_field_says_its_shape():
    found = arrow.field("x", (None, 2, 3), "bool", {"unit": "cm"})
    assert json.loads(found.metadata[b"shape"]) == [None, 2, 3] and found.metadata[b"unit"] == b"cm"
    assert found.type == pa.list_(pa.list_(pa.bool_(), 6)) and not found.nullable


def test_what_is_told_has_its_columns():
    told = {"take": ["t", "t"], "performances": [("a", "b"), ("a", "c")], "start_frame": [0, 4]}
    told |= {"actors": [np.array([0, 1]), np.array([0, -1])], "emotion": ["", "joy"]}
    fields = {field.name: field.type for field in arrow.told_fields(["emotion"])}
    for name, column in arrow.told_columns(told).items():
        assert column.type == fields[name]
        assert column.to_pylist() == [
            list(v) if name in ("performances", "actors") else v for v in told[name]
        ]
