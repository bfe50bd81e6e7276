"""split.tsv: which take is on which side. The one module that reads it; pipeline.annotate.split writes it.

Light: this module is imported while the Snakefile is read.
"""

from pathlib import Path

from pipeline.errors import InputError
from pipeline.files import read_tsv
from pipeline.ids import check_id

VALUES = ("train", "test")


def read_rows(path: Path) -> list[tuple[str, str]]:
    """Take and split of every row of a split.tsv as they stand.

    InputError where it has other columns or a take is none.
    """
    columns, rows = read_tsv(path)
    if columns != ["take", "split"]:
        raise InputError(
            f"{path}: columns {', '.join(columns):.100}, need take and split; correct it, or remove it to"
            " split all takes anew"
        )
    return [
        (check_id(row["take"], "take", f"{path}, row {number}"), row["split"])
        for number, row in enumerate(rows, 2)
    ]


def read_split(path: Path) -> dict[str, str]:
    """`train` or `test` by take, from a split.tsv; InputError where a take stands twice or is neither."""
    found: dict[str, str] = {}
    for number, (take, side) in enumerate(read_rows(path), 2):
        if take in found:
            raise InputError(f"{path}, row {number}: take {take} stands twice; remove one row")
        if side not in VALUES:
            raise InputError(
                f"{path}, row {number}: split is {side!r:.60}, need train or test; correct the row"
            )
        found[take] = side
    return found
