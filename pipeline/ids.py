"""Ids of actors and scenes, and the names of takes and performances that are made of them.

One pattern, asked at every door.

An id becomes part of paths, of commands and of Snakemake's wildcards. Whoever takes ids from a file, be it a
table, a shard's own, a plan, a model.json or a database, asks here before anything is done with them: a path
in place of an id (`x/../../elsewhere`), an option (`-rf`) or a name that no file system takes then ends in
one line.

Standard library only: this module is imported while the Snakefile is read.
"""

import datetime
import re
from collections.abc import Iterable

from pipeline.errors import InputError

ID = "[A-Za-z0-9][A-Za-z0-9-]{0,63}"
"""An actor's or a scene's id: up to 64 letters, digits and hyphens, not a hyphen first.

A command would take a hyphen for an option.
"""
DATE = "[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
TAKE = f"{DATE}_{ID}"
PERFORMANCE = f"{DATE}_{ID}_{ID}"
ABSENT = "-"
"""In place of the id of a partner who is not there. It is no actor's id, and stands before all of them."""
IN_WORDS = "1 to 64 letters, digits and hyphens, not a hyphen first"
NEED = {
    "actor": f"an id of {IN_WORDS}, such as 001",
    "scenario": f"an id of {IN_WORDS}, such as 051",
    "take": "<date>_<scenario>, such as 20231119_051",
    "performance": "<date>_<actor>_<scenario>, such as 20231119_001_051",
}
"""What is asked of each kind of id, as errors say it."""
_PATTERNS = {
    "actor": re.compile(ID),
    "scenario": re.compile(ID),
    "take": re.compile(TAKE),
    "performance": re.compile(PERFORMANCE),
}


def is_id(value: object, kind: str = "actor") -> bool:
    """Whether a value is a text that can be an id of a kind: actor, scenario, take or performance.

    Dates are days of the calendar.
    """
    if not isinstance(value, str) or not _PATTERNS[kind].fullmatch(value):
        return False
    if kind in ("take", "performance"):
        try:
            datetime.datetime.strptime(value[:8], "%Y%m%d")
        except ValueError:
            return False
    return True


def check_id(value: object, kind: str, where: object, *, fix: str = "correct it") -> str:
    """`value` where it can be an id of its kind.

    InputError that begins with `where`, the file or row that it comes from, where not.
    """
    if not is_id(value, kind):
        got = repr(value)
        raise InputError(
            f"{where}: {kind} is {got if len(got) <= 80 else f'{got[:77]}...'}, need {NEED[kind]}; {fix}"
        )
    assert isinstance(value, str)
    return value


def check_ids(values: Iterable[object], kind: str, where: object, *, fix: str = "correct it") -> list[str]:
    """All of `values` as `check_id`; InputError also where they are no list, or one stands twice."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"{where}: got {str(values)!r:.80}, need a list of {kind} ids; {fix}")
    found: list[str] = []
    for value in values:
        found.append(check_id(value, kind, where, fix=fix))
    if len(set(found)) < len(found):
        raise InputError(
            f"{where}: {kind} {next(name for name in found if found.count(name) > 1)} stands twice; {fix}"
        )
    return found
