"""Release takes: the table of a download's takes, beside it.

In: a download. Out: takes.tsv, from the download's own or from its bodies and SQLite tables, without the takes that are
excluded. Streams beside it of takes that it does not have, since they were excluded, are removed.
"""

import logging
from pathlib import Path

from pipeline import stage
from pipeline.dataset import remove_strangers
from pipeline.errors import InputError
from pipeline.files import write_tsv
from pipeline.takes import TAKE_COLUMNS, dataset_takes

log = logging.getLogger("interact")


def run(*, dataset: Path, takes: list[str], exclude: list[str], out: Path) -> None:
    """Write the rows of a download's takes, which must be `takes`."""
    found = dataset_takes(dataset, exclude=exclude)
    if odd := sorted({take.name for take in found} ^ set(takes)):
        raise InputError(f"{dataset}: take {odd[0]} came or went meanwhile; run again")
    remove_strangers(out.parent, {name for take in found for name in take.performances})
    write_tsv(out, TAKE_COLUMNS, [take.row for take in found])
    log.info("%d takes of %s, %d excluded", len(found), dataset, len(exclude))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="the download")
    parser.add_argument("--takes", nargs="+", required=True, help="all takes that are read")
    parser.add_argument("--exclude", nargs="*", default=[], help="takes that are left out, and files of bvhs that are no performance")
    parser.add_argument("--out", type=Path, required=True, help="takes.tsv to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
