"""The report's page of the accuracy: a row for each performance instead of one for each value.

    python -m pipeline.report.accuracy_page --table accuracy.csv --out accuracy.html

In: the table that pipeline.report.accuracy writes. Out: an HTML page.
"""

import csv
from pathlib import Path

from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.reading import open_text
from pipeline.report.page import page, shown


def by_performance(rows: list[dict[str, str]]) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a table with a row for each take and actor.

    From rows of take, actor, measure, value.

    Measures keep the order in which they first appear; one that a row lacks is an empty cell.
    """
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    wide: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        key = (row["take"], row["actor"])
        wide.setdefault(key, {"take": key[0], "actor": key[1], **dict.fromkeys(measures, "")})[
            row["measure"]
        ] = shown(row["value"])
    return ["take", "actor", *measures], list(wide.values())


def run(*, table: Path, out: Path) -> None:
    """Write the accuracy table as a page with a row for each performance and one for the means."""
    with open_text(table, "CSV", fix="make it with pipeline.report.accuracy") as f:
        rows = list(csv.DictReader(f))
    if not rows or not {"take", "actor", "measure", "value"} <= set(rows[0]):
        raise InputError(
            f"{table}: need rows with the columns take, actor, measure, value; make it with"
            " pipeline.report.accuracy"
        )
    with whole(out) as temporary:
        temporary.write_text(page("Accuracy against the truth", *by_performance(rows)), encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--table", type=Path, required=True, help="accuracy.csv")
    parser.add_argument("--out", type=Path, required=True, help="HTML page to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
