"""Groups of performances: by actor, by gender, and by the groups of their take.

In: a take, its actor, genders by actor. Out: the names of the performance's groups, and the order in which
tables have them.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.formats import database
from pipeline.formats.meta_groups import META, TAKE_GROUPINGS, meta_groups, take_groups
from pipeline.formats.takes import Take

log = logging.getLogger("interact")
UNKNOWN = "unknown"
"""Gender of actors of whom the dataset says none."""
GROUPINGS = ("all", "actor", "gender", *TAKE_GROUPINGS)
"""What performances are grouped by, in the order of tables."""


def genders_of(dataset: Path, takes: Sequence[Take]) -> dict[str, str]:
    """Gender by actor of a dataset's takes, UNKNOWN where it says none, which is logged."""
    actors = sorted({actor for take in takes for actor in take.actors})
    known = database.genders(dataset, actors)
    if bare := [actor for actor in actors if actor not in known]:
        log.warning(
            "actors.db has no gender for %d of %d actors, such as %s: their gender is %r",
            len(bare),
            len(actors),
            bare[0],
            UNKNOWN,
        )
    return {actor: known.get(actor, UNKNOWN) for actor in actors}


def performance_groups(take: Take, actor: str, genders: dict[str, str]) -> dict[str, str]:
    """A performance's group in each of GROUPINGS, without those in which its take has no label."""
    return {"all": "all", "actor": actor, "gender": genders[actor], **take_groups(take)}


def group_order(grouping: str, names: Iterable[str]) -> list[str]:
    """Groups of a grouping as the paper's tables have them, male before female; others by name."""
    known = (
        ["male", "female"]
        if grouping == "gender"
        else meta_groups(META[grouping])
        if grouping in META
        else []
    )
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))
