"""Groups of takes: by emotion, relationship, meta-emotion and meta-relationship.

The latter two are what the paper sums the former up in.

In: the emotion and the relationship of a take, as in takes.tsv. Out: the names of its groups. Which label
belongs to which meta-group is the paper's tables 6 (emotions) and 7 (relationships), in meta_groups.tsv:
columns kind, label, meta.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pipeline.files import read_tsv
from pipeline.formats.takes import Take

log = logging.getLogger("interact")
TABLE = Path(__file__).with_suffix(".tsv")
KINDS = ("emotion", "relationship")
"""What takes are labelled with: columns of takes.tsv."""
META = {"meta-emotion": "emotion", "meta-relationship": "relationship"}
"""Groupings of the paper's tables, and the label that each sums up."""
TAKE_GROUPINGS = (*KINDS, *META)
"""What takes are grouped by."""
OTHER = "other"
"""Meta-group of labels that the paper does not list."""


def spelling(label: str) -> str:
    """A label as it is compared: letters only, in lower case, without a plural's s.

    So Coworker is Co-workers.
    """
    return "".join(filter(str.isalpha, label.casefold())).removesuffix("s")


@cache
def _table() -> dict[tuple[str, str], str]:
    """Meta-group by kind and spelling, in the paper's order."""
    return {(row["kind"], spelling(row["label"])): row["meta"] for row in read_tsv(TABLE)[1]}


def meta_group(kind: str, label: str) -> str:
    """Meta-group of an emotion or a relationship (`kind` is one of KINDS).

    OTHER where the paper does not list the label.
    """
    return _table().get((kind, spelling(label)), OTHER)


def meta_groups(kind: str) -> list[str]:
    """The meta-groups of a kind in the paper's order, and OTHER."""
    return [*dict.fromkeys(meta for (of, _), meta in _table().items() if of == kind), OTHER]


def take_groups(take: Take) -> dict[str, str]:
    """A take's group in each of TAKE_GROUPINGS, without those in which it has no label.

    The one place that names groups of takes.
    """
    labels = {kind: take.row[kind] for kind in KINDS if take.row[kind]}
    return labels | {
        grouping: meta_group(kind, labels[kind]) for grouping, kind in META.items() if kind in labels
    }


def tell_unlisted(takes: Sequence[Take]) -> None:
    """Log which labels of takes are in no meta-group of the paper's.

    And how many takes have none in a grouping.
    """
    for grouping, kind in META.items():
        if bare := [take.name for take in takes if not take.row[kind]]:
            log.warning(
                "%d of %d takes have no %s and are in none of its groups, such as %s",
                len(bare),
                len(takes),
                kind,
                bare[0],
            )
        unlisted = Counter(take.row[kind] for take in takes if take_groups(take).get(grouping) == OTHER)
        if unlisted:
            names = ", ".join(f"{label} ({count})" for label, count in sorted(unlisted.items()))
            log.warning(
                "the paper lists no %s for these, their takes are in the group %r: %s", grouping, OTHER, names
            )
