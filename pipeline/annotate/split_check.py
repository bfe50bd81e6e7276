"""What a split does: leaks of takes, scenes on both sides, and how evenly labels and actors are spread.

    python -m pipeline.annotate.split_check --dataset data/dataset --split data/annotations/split.tsv

In: the takes of a dataset or a download, and split.tsv. A leak, or a take without a side, is a fault. The
rest is told: a scenario that was recorded on several days may stand on both sides, and so do actors, by
design.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from pipeline import stage
from pipeline.formats.split_file import read_rows
from pipeline.formats.takes import Take, dataset_takes

SIDES = ("train", "test")


def faults(takes: list[Take], rows: list[tuple[str, str]]) -> Iterator[str]:
    """Takes on both sides, twice, on none or on a side that is no side, and sides without a take.

    Sides are train and test.
    """
    sides = defaultdict(list)
    for name, side in rows:
        sides[name].append(side)
    for name, values in sorted(sides.items()):
        if set(SIDES) <= set(values):
            yield f"take {name}: leak: got both train and test, need one of them"
        elif len(values) > 1:
            yield f"take {name}: got {len(values)} rows, need one"
        for odd in sorted(set(values) - set(SIDES)):
            yield f"take {name}: got split {odd!r}, need train or test"
    for take in takes:
        if take.name not in sides:
            yield f"take {take.name}: got no row, need train or test"
    for side in SIDES:
        if not any(side in sides.get(take.name, []) for take in takes):
            yield f"{side}: got no take, need at least one"


def _spread(takes: list[Take], side: dict[str, str], values: list[list[str]]) -> dict[str, Counter]:
    """How many takes of each value are on each side; `values` are those of each take."""
    found: dict[str, Counter] = defaultdict(Counter)
    for take, own in zip(takes, values, strict=True):
        for value in own:
            found[value][side[take.name]] += 1
    return dict(sorted(found.items()))


def report(takes: list[Take], side: dict[str, str]) -> Iterator[str]:
    """Lines on how takes, labels, actors and scenes are spread over train and test.

    `side` is train or test by take.
    """
    total = Counter(side[take.name] for take in takes)
    share = total["test"] / max(total.total(), 1)
    yield f"takes: {total['train']} train, {total['test']} test ({100 * share:.1f} %)"
    for key in ("relationship", "emotion"):
        found = _spread(takes, side, [[take.row[key]] if take.row[key] else [] for take in takes])
        missing = [value for value, count in found.items() if not count["train"]]
        off = {
            value: count for value, count in found.items() if abs(count["test"] - share * count.total()) > 1
        }
        yield (
            f"{key}: {len(found)} values, {sum(1 for count in found.values() if count['test'])} of them in"
            " test"
        )
        yield from (f"{key} {value!r}: in test only, no model has seen it" for value in missing)
        for value, count in off.items():
            yield (
                f"{key} {value!r}: {count['test']} of {count.total()} takes in test, its share would be"
                f" {share * count.total():.1f}"
            )
    actors = _spread(takes, side, [list(take.actors) for take in takes])
    shared = [actor for actor, count in actors.items() if count["train"] and count["test"]]
    yield (
        f"actors: {len(shared)} of {len(actors)} are in both, by design: takes are split, so a score says"
        " nothing about strangers"
    )
    yield "".join(
        f"  {actor}: {count['train']} train, {count['test']} test\n" for actor, count in actors.items()
    ).rstrip("\n")
    scenes = _spread(takes, side, [[take.scenario] for take in takes])
    mixed = [scenario for scenario, count in scenes.items() if count["train"] and count["test"]]
    for scenario in mixed:
        names = [f"{take.name} ({side[take.name]})" for take in takes if take.scenario == scenario]
        yield (
            f"scene {scenario}: recorded more than once, in train and in test: {', '.join(names)}; takes.tsv"
            " can give all one side"
        )
    yield f"scenes: {len(mixed)} of {len(scenes)} are in both"


def run(*, dataset: Path, split: Path) -> None:
    """Print faults and the report; exit with 1 where there are faults."""
    takes, rows = dataset_takes(dataset), read_rows(split)
    found = list(faults(takes, rows))
    if found:
        print("\n".join(found))
        print(f"{split}: {len(found)} faults")
        sys.exit(1)
    side = dict(rows)
    known = {take.name for take in takes}
    print("\n".join(report(takes, side)))
    if gone := sorted(set(side) - known):
        print(f"{len(gone)} takes of {split} are not in {dataset}, such as {gone[0]}: they keep their side")
    print(f"{split}: no leak")


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="a dataset or a download")
    parser.add_argument("--split", type=Path, required=True, help="split.tsv of its annotations")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
