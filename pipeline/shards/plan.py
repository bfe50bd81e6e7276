"""Which takes go into which shard: a frozen plan, so that a shard's content never moves once it exists.

    python -m pipeline.shards.plan --table takes.tsv --out plan.json
    python -m pipeline.shards.plan --takes T1 T2 ... --out plan.json

In: names of takes, or the takes.tsv that lists them, and the plan that is already there. Out: plan.json, a
list with the takes of each shard.

Light: the Snakefile imports it while it is parsed.
"""

from pathlib import Path

from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.ids import check_ids
from pipeline.reading import read_json


def read_plan(path: Path) -> list[list[str]]:
    """The takes of each shard that plan.json has frozen, none where there is no such file.

    InputError where it is no plan.
    """
    if not Path(path).exists():
        return []
    fix = "restore it from a copy, or remove it and the shards beside it to plan them anew"
    groups = read_json(path, kind=list, fix=fix)
    if odd := next((i for i, group in enumerate(groups) if not isinstance(group, list)), None):
        raise InputError(f"{path}: group {odd} is {str(groups[odd])!r:.60}, need a list of takes; {fix}")
    check_ids([take for group in groups for take in group], "take", path, fix=fix)
    return groups


def extend(takes: list[str], frozen: list[list[str]], takes_per_shard: int) -> list[list[str]]:
    """The plan with new takes added: frozen groups as they are, new takes in sorted order in new groups.

    Parameters: `takes` names all takes of the dataset; `frozen` is the earlier plan; `takes_per_shard` is the
    size of new groups only. A last group that is not full stays so: filling it up would change a shard that
    exists.
    """
    known = {take for group in frozen for take in group}
    new = sorted(set(takes) - known)
    return [list(group) for group in frozen] + [
        new[i : i + takes_per_shard] for i in range(0, len(new), takes_per_shard)
    ]


def plan(takes: list[str], frozen: list[list[str]], takes_per_shard: int) -> list[list[str]]:
    """The takes of each shard, by shard number, of those takes that are there.

    As `extend`, less takes of the frozen plan that are not in `takes` (excluded since). A group may so become
    empty; it keeps its place, that later shards keep their numbers, and has no shard file.
    """
    here = set(takes)
    return [[take for take in group if take in here] for group in extend(takes, frozen, takes_per_shard)]


def run(*, takes: list[str] | None, table: Path | None, out: Path, options) -> None:
    """Write the shard plan of named takes, or of those of a takes.tsv.

    Groups of a plan that is already there stay.
    """
    from pipeline.formats.takes import read_takes

    if table:
        takes = [take.name for take in read_takes(table)]
    write_json(out, extend(check_ids(takes or [], "take", "plan"), read_plan(out), options.takes_per_shard))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    from pipeline import stage
    from pipeline.config import Shards

    parser = stage.parser(__doc__, section=Shards)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--takes", nargs="+", help="all takes")
    given.add_argument("--table", type=Path, help="takes.tsv that lists them")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="plan (JSON list of lists of takes); one that exists is extended",
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
