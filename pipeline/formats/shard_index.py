"""The index of a folder of shards, which pipeline.shards.index writes: a row per take, with its labels."""

import re
from pathlib import Path

from pipeline.errors import InputError
from pipeline.ids import check_ids
from pipeline.reading import plain, reading

LABELS = ("relationship", "emotion")
MOST_BYTES = 1 << 30
"""Bytes of an index, unpacked: a take has some hundred."""
_FIX = "write it again (python -m pipeline.shards.index)"


def read_index(path: Path) -> list[dict]:
    """Rows of index.parquet; InputError where it is none, or its takes are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain(path, most=MOST_BYTES)
    with reading(path, "index of shards", fix=_FIX):
        with pq.ParquetFile(path) as f:
            if odd := next(
                (
                    field
                    for field in f.schema_arrow
                    if not (pa.types.is_string(field.type) or pa.types.is_int64(field.type))
                ),
                None,
            ):
                raise ValueError(
                    f"column {odd.name!r:.60} has type {str(odd.type):.60}, need texts and whole numbers"
                )
            if missing := [name for name in ("take", "shard") if name not in f.schema_arrow.names]:
                raise ValueError(f"no column {missing[0]}")
            size = sum(f.metadata.row_group(i).total_byte_size for i in range(f.metadata.num_row_groups))
            if size > MOST_BYTES:
                raise ValueError(f"it unpacks to {size:,} bytes, need at most {MOST_BYTES:,}")
            rows = f.read().to_pylist()
    check_ids([row["take"] for row in rows], "take", path, fix=_FIX)
    for row in rows:
        odd = next((name for name, value in row.items() if isinstance(value, int) and value < 0), None)
        if odd or not re.fullmatch(r"shard-\d+\.h5", row["shard"] or ""):
            got = f"{odd} {row[odd]}" if odd else f"shard {row['shard']!r:.60}"
            raise InputError(
                f"{path}: take {row['take']} has {got}, need the name of a shard and places from 0 on; {_FIX}"
            )
    return rows


def labels_of(folder: Path, takes: list[str]) -> dict[str, dict[str, str]]:
    """Labels of takes by the index beside the shards, empty where there is none or it has no labels.

    InputError where the index lacks a take.
    """
    path = folder / "index.parquet"
    if not path.exists():
        return {}
    found = {
        row["take"]: {name: row[name] or "" for name in LABELS if name in row} for row in read_index(path)
    }
    if missing := [take for take in takes if take not in found]:
        raise InputError(f"{path}: no take {missing[0]}, which the shards have; {_FIX}")
    return {take: found[take] for take in takes}
