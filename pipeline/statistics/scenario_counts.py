"""Scenario counts: how takes spread over relationships, emotions and genders (the paper's figure 2).

Genders are those of their actors.

In: a dataset's takes, its actors' genders, the headers of its BVHs. Out: a table with a row per group, and a
picture.

A take counts once in each grouping in which it has a label. Relationships and emotions that the paper does
not list are in the meta-group `other`, whose row names them. The paper's meta-groups have rows where no take
is in them, too. Shares are of the takes that have a label, and a take is as long as the shorter of its two
bodies.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline import stage
from pipeline.figures.bars import Bar, Panel, draw_bars
from pipeline.files import write_csv
from pipeline.formats import bvh
from pipeline.formats.meta_groups import META, OTHER, meta_group, meta_groups, take_groups, tell_unlisted
from pipeline.formats.takes import Take, dataset_takes
from pipeline.statistics.groups import genders_of, group_order

GROUPINGS = ("genders", "meta-relationship", "meta-emotion", "relationship", "emotion")
COLUMNS = [
    "grouping",
    "group",
    "meta_group",
    "labels",
    "takes",
    "share_of_takes",
    "minutes",
    "share_of_minutes",
]


def scenario_groups(take: Take, genders: dict[str, str]) -> dict[str, str]:
    """A take's group in each of GROUPINGS in which it has a label."""
    return {"genders": " and ".join(sorted(genders[actor] for actor in take.actors)), **take_groups(take)}


def table_rows(
    takes: Sequence[Take], minutes: dict[str, float], genders: dict[str, str]
) -> list[dict[str, str]]:
    """Rows of all groupings; minutes by take name."""
    groups = {take.name: scenario_groups(take, genders) for take in takes}
    rows = []
    for grouping in GROUPINGS:
        labelled = [take for take in takes if grouping in groups[take.name]]
        names = {groups[take.name][grouping] for take in labelled}
        if grouping in META and labelled:
            names |= set(meta_groups(META[grouping])) - {OTHER}
        total = sum(minutes[take.name] for take in labelled)
        for name in group_order(grouping, names):
            chosen = [take for take in labelled if groups[take.name][grouping] == name]
            length = sum(minutes[take.name] for take in chosen)
            row = {
                "grouping": grouping,
                "group": name,
                "meta_group": meta_group(grouping, name) if grouping in META.values() else "",
                "labels": (
                    "; ".join(sorted({take.row[META[grouping]] for take in chosen}))
                    if grouping in META
                    else ""
                ),
                "takes": str(len(chosen)),
                "share_of_takes": f"{len(chosen) / len(labelled):.4f}",
                "minutes": f"{length:.2f}",
                "share_of_minutes": f"{length / total:.4f}",
            }
            rows.append(row)
    return rows


def panels(rows: list[dict[str, str]]) -> list[Panel]:
    """What the picture shows: takes by group."""
    found = []
    for grouping in GROUPINGS:
        bars = []
        for row in rows:
            if row["grouping"] == grouping:
                note = (
                    f"{row['takes']} ({100 * float(row['share_of_takes']):.0f} %, {float(row['minutes']):.1f}"
                    " min)"
                )
                unlisted = row["meta_group"] == OTHER or (grouping in META and row["group"] == OTHER)
                bars.append(
                    Bar(row["group"], float(row["takes"]), note + (", not in the paper" if unlisted else ""))
                )
        if grouping in META.values():
            bars.sort(key=lambda bar: -bar.value)
        found.append(Panel(f"by {grouping}", bars))
    return found


def take_minutes(dataset: Path, take: Take) -> float:
    """Length of a take in minutes, by what the headers of its two bodies claim."""
    headers = [bvh.read_header(dataset / "bvhs" / f"{name}.bvh") for name in take.performances]
    return min(frames / fps for frames, fps in headers) / 60


def run(*, dataset: Path, out: Path, out_picture: Path) -> None:
    """Write table and picture of a dataset."""
    takes = dataset_takes(dataset)
    minutes = {
        take.name: take_minutes(dataset, take) for take in stage.progress(takes, label="scenario counts")
    }
    tell_unlisted(takes)
    rows = table_rows(takes, minutes, genders_of(dataset, takes))
    write_csv(out, COLUMNS, rows)
    draw_bars(
        f"{len(takes)} takes, {sum(minutes.values()):.1f} minutes",
        "takes",
        panels(rows),
        out_picture,
        one_scale=False,
    )


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="the dataset folder")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--out-picture", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
