"""Index of a folder of shards, and the labels of its takes.

    python -m pipeline.shards.index --shards shard-*.h5 --dataset D --index index.parquet

In: all shards; the dataset that they were built from. Out: index.parquet, one row per take: what its shard's
table says, the shard's name, and the take's labels, relationship and emotion, as takes.tsv has them. The
labels stand here and not in the shards, so that a label that is corrected makes another index and no other
shard, and what was trained on the shards stays.
"""

from dataclasses import asdict
from pathlib import Path

from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats.shard_file import Shard, TakeSpan, check_alike
from pipeline.formats.shard_index import LABELS
from pipeline.formats.takes import Take, dataset_takes
from pipeline.shards import stats as shard_stats


def row_of(shard: Shard, span: TakeSpan, take: Take | None) -> dict[str, str | int]:
    """What the index says of a take; without its labels where no dataset is at hand."""
    labels = {name: take.row[name] for name in LABELS} if take else {}
    return {"take": span.take, "shard": shard.path.name} | asdict(span) | labels


def run(*, shards: list[Path], index: Path, stats: Path | None = None, dataset: Path | None = None) -> None:
    """Write the index of the shards, and the statistics where they are asked for.

    With the labels of the dataset's takes where one is given.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened = check_alike([Shard(path) for path in sorted(shards)])
    labelled = {take.name: take for take in dataset_takes(dataset)} if dataset else {}
    rows = []
    for shard in opened:
        for span in shard.takes:
            if dataset and span.take not in labelled:
                raise InputError(
                    f"{shard.path}: take {span.take} is not among the takes of {dataset}; name the dataset"
                    " that it was built from"
                )
            rows.append(row_of(shard, span, labelled.get(span.take)))
    if stats:
        shard_stats.run(shards=shards, out=stats)
    with whole(index) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--index", type=Path, required=True, help="Parquet table to write, a row per take")
    parser.add_argument(
        "--dataset", type=Path, help="the dataset, whose takes' labels the index gets; default: no labels"
    )
    parser.add_argument("--stats", type=Path, help="JSON to write as well: moments of the train takes")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
