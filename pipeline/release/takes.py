"""Release takes: the table of a download's takes, beside it.

In: a download. Out: takes.tsv, from the download's own or from its bodies and SQLite tables, without the
takes that are excluded, and a link to its actors.db where it has one. Streams beside it of takes that it does
not have, since they were excluded, are removed.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline import ownership, stage
from pipeline.errors import InputError
from pipeline.files import give_name, write_tsv
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.formats.takes import download_takes

log = logging.getLogger("interact")


def _link(target: Path, name: Path) -> None:
    name.symlink_to(target)


def run(
    *,
    dataset: Path,
    takes: list[str],
    exclude: list[str],
    reports: Path,
    out: Path,
    actors: Sequence[Path] = (),
    out_actors: Sequence[Path] = (),
) -> None:
    """Write the rows of a download's takes, which must be `takes`, and link its table of actors."""
    if len(actors) != len(out_actors):
        raise InputError(
            f"release_takes: {len(actors)} --actors and {len(out_actors)} --out-actors, need one of both or"
            " none; correct the command"
        )
    found = download_takes(dataset, exclude=exclude)
    if odd := sorted({take.name for take in found} ^ set(takes)):
        raise InputError(f"{dataset}: take {odd[0]} came or went meanwhile; run again")
    performances = [name for take in found for name in take.performances]
    ownership.remove_recorded(out.parent, reports, performances, table="the download, or excluded")
    for path, link in zip(actors, out_actors, strict=True):
        give_name(link, partial(_link, path.resolve()))
    write_tsv(out, TAKE_COLUMNS, [take.row for take in found])
    log.info("%d takes of %s, %d excluded", len(found), dataset, len(exclude))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="the download")
    parser.add_argument("--takes", nargs="+", required=True, help="all takes that are read")
    # extended: a name that begins with a hyphen is given alone, as --exclude=NAME
    parser.add_argument(
        "--exclude",
        nargs="*",
        action="extend",
        default=[],
        help="takes that are left out, and files of streams that are of no take",
    )
    parser.add_argument(
        "--reports",
        type=Path,
        required=True,
        help="folder of the reports of the stage that took the streams in",
    )
    parser.add_argument("--out", type=Path, required=True, help="takes.tsv to write")
    parser.add_argument(
        "--actors", nargs="*", type=Path, default=[], help="the download's actors.db, if it has one"
    )
    parser.add_argument("--out-actors", nargs="*", type=Path, default=[], help="link to write for it")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
