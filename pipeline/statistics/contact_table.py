"""Contact tables: how long and how often hands touch (the paper's tables 8 and 9).

By gender, meta-relationship and meta-emotion.

In: the contacts of a dataset's takes, its takes and its actors' genders. Out: a CSV with a row per table and
group: seconds of contact of each type, and minutes of contact per hour.

The rule (paper, A.5). A performance is in contact of a type in the frames in which either hand of its actor,
or both, touches any such part: of the actor (self-contacts) or of the partner (cross-contacts). Seconds add
up over performances; a cross-contact of hand and hand is both actors', and counts once where both are in a
group. The rate divides by the hours of all performances of the group, as the paper's numbers do: an hour of
two people is two hours.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.annotate.contacts import TYPES
from pipeline.errors import InputError
from pipeline.files import write_csv
from pipeline.formats.meta_groups import take_groups, tell_unlisted
from pipeline.formats.takes import Take, dataset_takes
from pipeline.reading import read_json
from pipeline.statistics.groups import genders_of, group_order

log = logging.getLogger("interact")
TABLES = ("self", "cross")
GROUPINGS = ("gender", "meta-relationship", "meta-emotion", "aggregate")
COLUMNS = [
    *("contacts", "grouping", "group", "performances", "seconds"),
    *(f"{name.replace('-', '_')}_{unit}" for name in TYPES for unit in ("seconds", "minutes_per_hour")),
]


@dataclass(frozen=True)
class Share:
    """What one performance adds: its groups, its length, and its seconds of contact by table and type."""

    take: str
    groups: dict[str, str]
    seconds: float
    contact: dict[tuple[str, str], float]


def contact_seconds(record: dict, actor: str) -> dict[tuple[str, str], float]:
    """Seconds of contact of an actor's hands by table and type, from a take's contacts."""
    masks = {(table, kind): np.zeros(record["frames"], bool) for table in TABLES for kind in TYPES}
    for contact in record["contacts"]:
        own = contact["actor"] == contact["of"]
        mutual = not own and contact["type"] == "hand-hand"  # listed once, as the first actor's
        if contact["actor"] == actor or mutual:
            masks["self" if own else "cross", contact["type"]][contact["start"] : contact["stop"]] = True
    return {key: float(mask.sum() / record["fps"]) for key, mask in masks.items()}


def shares(takes: Iterable[Take], contacts: Path, genders: dict[str, str]) -> list[Share]:
    """What each performance adds, in take and actor order."""
    result = []
    for take in takes:
        path = contacts / f"{take.name}.json"
        record = read_json(path)
        if record["actors"] != list(take.actors):
            raise InputError(
                f"{path}: contacts of {', '.join(record['actors'])}, need those of {', '.join(take.actors)};"
                " find them again"
            )
        if record["lacking"]:
            log.warning("take %s is left out: its bodies lack joints that contacts need", take.name)
            continue
        for actor in take.actors:
            groups = {"gender": genders[actor], "aggregate": "total"} | take_groups(take)
            result.append(
                Share(take.name, groups, record["frames"] / record["fps"], contact_seconds(record, actor))
            )
    return result


def total(parts: list[Share], table: str, kind: str) -> float:
    """Seconds of contact of a group's performances.

    Hand-hand cross-contacts of two partners who are both in it count once.
    """
    if (table, kind) != ("cross", "hand-hand"):
        return sum(part.contact[table, kind] for part in parts)
    return sum({part.take: part.contact[table, kind] for part in parts}.values())


def table_rows(parts: list[Share]) -> list[dict[str, str]]:
    """Rows of both tables."""
    rows = []
    for table in TABLES:
        for grouping in GROUPINGS:
            for group in group_order(
                grouping, {part.groups[grouping] for part in parts if grouping in part.groups}
            ):
                chosen = [part for part in parts if part.groups.get(grouping) == group]
                seconds = sum(part.seconds for part in chosen)
                row = {
                    "contacts": table,
                    "grouping": grouping,
                    "group": group,
                    "performances": str(len(chosen)),
                    "seconds": f"{seconds:.2f}",
                }
                for kind in TYPES:
                    touched, name = total(chosen, table, kind), kind.replace("-", "_")
                    row |= {
                        f"{name}_seconds": f"{touched:.2f}",
                        f"{name}_minutes_per_hour": f"{60 * touched / seconds:.3f}",
                    }
                rows.append(row)
    return rows


def run(*, dataset: Path, contacts: Path, out: Path) -> None:
    """Write the tables of a dataset."""
    takes = dataset_takes(dataset)
    tell_unlisted(takes)
    rows = table_rows(shares(takes, contacts, genders_of(dataset, takes)))
    write_csv(out, COLUMNS, rows)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="the dataset folder")
    parser.add_argument("--contacts", type=Path, required=True, help="folder of {take}.json")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
