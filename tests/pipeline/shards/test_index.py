import pytest
from helpers.commands import refused

from pipeline.errors import InputError
from pipeline.formats import shard_file
from pipeline.formats.shard_index import read_index
from pipeline.shards import index


def test_index_rows(folder):
    rows = read_index(folder / "index.parquet")
    assert [(row["take"], row["shard"], row["split"]) for row in rows] == [
        ("20260101_001", "shard-000.h5", "train"),
        ("20260101_002", "shard-000.h5", "test"),
        ("20260102_001", "shard-001.h5", "train"),
    ]
    assert rows[1]["start_frame"] == 61 and rows[1]["start_sample"] == 32533


def test_the_index_has_the_labels_and_no_shard_does(folder):
    """A corrected label makes another index and no other shard."""
    rows = read_index(folder / "index.parquet")
    assert {row["emotion"] for row in rows} == {"Joy é"}
    assert not {"emotion", "relationship"} & {*shard_file.TAKE_FIELDS}
    assert b"Joy" not in (folder / "shard-000.h5").read_bytes()


def test_an_index_needs_the_dataset_of_its_shards(folder, halves, tmp_path, capsys):
    table = halves["dataset"] / "takes.tsv"
    table.write_text(
        "".join(line for line in table.read_text().splitlines(keepends=True) if "20260102_001" not in line)
    )
    arguments = [
        "--shards",
        *shard_file.shard_paths(folder),
        "--dataset",
        halves["dataset"],
        "--index",
        tmp_path / "i.parquet",
    ]
    refused(
        index.main,
        arguments,
        capsys,
        "take 20260102_001 is not among the takes of",
        outputs=[tmp_path / "i.parquet"],
    )


def test_an_index_of_another_kind_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "index.parquet"
    good = {"take": ["20260101_001"], "shard": ["shard-000.h5"]}
    pq.write_table(pa.table(good), path)
    assert read_index(path) == [{"take": "20260101_001", "shard": "shard-000.h5"}]
    for columns, line in (
        (good | {"take": ["x/../../ESCAPED"]}, "take is 'x/../../ESCAPED'"),
        (good | {"take": pa.array([None], pa.string())}, "take is None"),
        (good | {"emotion": [["a"]]}, "column 'emotion' has type list"),
        (good | {"emotion": [b"a"]}, "column 'emotion' has type binary"),
        ({"take": ["20260101_001"]}, "no column shard"),
        ({"take": ["20260101_001"] * 2, "shard": ["a", "b"]}, "stands twice"),
        (good | {"shard": ["../shard-000.h5"]}, "has shard '../shard-000.h5'"),
        (good | {"start_frame": [-4]}, "has start_frame -4"),
    ):
        pq.write_table(pa.table(columns), path)
        with pytest.raises(InputError, match=line):
            read_index(path)
    content = path.read_bytes()
    for number in range(200):
        flipped = bytearray(content)
        flipped[(number * 7919) % len(content)] ^= 1 << number % 8
        path.write_bytes(flipped)
        try:
            read_index(path)
        except InputError as error:
            assert "\n" not in str(error)
