"""Split: which takes train the models and which are held out.

    python -m pipeline.annotate.split --takes takes.tsv --out split.tsv

In: takes with relationship, emotion and, where given, their split. Out: split.tsv, columns take and split
(train or test).

The rule. A take whose `split` column says train or test is that. A take that an earlier split.tsv names stays
what it was, so that a take never moves between train and test when others are added. Of the rest so many go
to test that round(test_share * takes) are test in all, at least one and never all. They are drawn by
systematic sampling: the rest is sorted by relationship, then emotion, then a hash of seed and take, and every
k-th is taken from a start that the seed decides; so each relationship, and within it each emotion, gives its
share. Takes with one of `test_actors` are test before that, so that no model learns from these actors; a row
or an earlier split.tsv that calls such a take train is an error.

Light: this module is imported while the Snakefile is read.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files import write_tsv
from pipeline.formats.split_file import VALUES, read_split

ACTORS = ("actor_a", "actor_b")


def _hash(seed: int, text: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {text}".encode()).digest()[:8], "big")


def assign(
    takes: list[dict],
    frozen: dict[str, str],
    *,
    test_share: float,
    seed: int,
    test_actors: Sequence[str] = (),
) -> dict[str, str]:
    """`train` or `test` by take, in the order of `takes`, by the rule above.

    takes: dicts with `take`, and `actor_a`, `actor_b`, `relationship`, `emotion`, `split` where known;
    frozen: an earlier result. Raises InputError that names the take where a split is neither train, test nor
    empty, or is train with one of `test_actors`; for a test actor who is in no take; and where they leave no
    take to train on.
    """
    playing = {row.get(key) for row in takes for key in ACTORS}
    if absent := [actor for actor in test_actors if actor not in playing]:
        known = ", ".join(sorted(actor for actor in playing if actor))
        raise InputError(f"split.test_actors: no take with actor {absent[0]!r:.70}; the actors are {known}")
    result: dict[str, str] = {}
    for row in takes:
        name, given = row["take"], row.get("split") or frozen.get(row["take"], "")
        if given and given not in VALUES:
            raise InputError(f"take {name}: split is {given!r}, need train, test or empty; correct its row")
        if held := [row[key] for key in ACTORS if row.get(key) in test_actors]:
            if given == "train":
                raise InputError(
                    f"take {name}: is train, and its actor {held[0]} is one of split.test_actors, whose takes"
                    " are test; take another root (or remove split.tsv there), or correct its row"
                )
            given = "test"
        result[name] = given
    free = [row for row in takes if not result[row["take"]]]
    if test_actors and not free and "train" not in result.values():
        raise InputError(
            f"split.test_actors: got {', '.join(test_actors)}, and each take has one of them, need one to"
            " train on; name fewer"
        )
    free.sort(
        key=lambda row: (
            row.get("relationship") or "",
            row.get("emotion") or "",
            _hash(seed, row["take"]),
            row["take"],
        )
    )
    wanted = min(max(round(test_share * len(takes)), 1), len(takes) - 1)
    needed = min(max(wanted - sum(value == "test" for value in result.values()), 0), len(free))
    first = _hash(seed, "start") / 2**64
    chosen = {int((i + first) * len(free) / needed) for i in range(needed)}
    for i, row in enumerate(free):
        result[row["take"]] = "test" if i in chosen else "train"
    return result


def run(*, takes: Path, out: Path, seed: int, options) -> None:
    """Write split.tsv; takes that an existing one names and that are not among `takes` keep their rows."""
    from pipeline.formats.takes import read_takes

    frozen = read_split(out) if out.exists() else {}
    found = [take.row for take in read_takes(takes)]
    rows = frozen | assign(
        found, frozen, test_share=options.test_share, test_actors=options.test_actors, seed=seed
    )
    write_tsv(out, ["take", "split"], [{"take": name, "split": rows[name]} for name in sorted(rows)])


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    from pipeline import stage
    from pipeline.config import Split

    parser = stage.parser(__doc__, section=Split)
    parser.add_argument("--takes", type=Path, required=True, help="takes.tsv; the rule is applied")
    parser.add_argument("--seed", type=int, default=0, help="seed of the rule (default: 0)")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="split.tsv to write; one that exists is extended, its takes stay as they are",
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
