"""The release's SQLite tables, scenarios.db and actors.db: the one module that reads them.

Files are read as pipeline.reading says, at any path and without a view. Ids stand there as numbers or as
texts (51, "051", "51") and are compared without leading zeros: `plain_id`.
"""

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import InputError
from pipeline.reading import rows_of

MAGIC = b"SQLite format 3\0"
"""What a SQLite file begins with."""
TABLES = {
    "scenarios.db": {
        "scenarios": ("id", "relationship_id", "primary_emotion_id", "character_setup", "scenario"),
        "relationships": ("id", "name"),
        "emotions": ("id", "name"),
    },
    "actors.db": {"actors": ("actor_id", "gender"), "sessions": ("date", "male_id", "female_id")},
}
"""SQLite files of the release, their tables and columns."""


def rows(folder: Path, name: str, table: str) -> list[tuple]:
    """Rows of a table of TABLES in a folder; InputError where it is no such table."""
    return rows_of(Path(folder, name), table, list(TABLES[name][table]))


def plain_id(value: object) -> str:
    """An id of the release's tables as text without leading zeros: there 51, 51.0 and "051" are one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().lstrip("0") or "0"


def text(value: object) -> str:
    """A cell as one line of text, empty where it has none.

    Numbers are told as such, bytes that are no text as ?.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    return "" if value is None else str(value)


def genders(folder: Path, actors: Iterable[str]) -> dict[str, str]:
    """Gender by actor, of those `actors` of whom a dataset's actors.db says one.

    Empty where there is no such file.

    InputError where it says two of one actor.
    """
    if not Path(folder, "actors.db").exists():
        return {}
    known: dict[str, str] = {}
    for actor, gender in rows(folder, "actors.db", "actors"):
        if gender and known.setdefault(plain_id(actor), text(gender)) != text(gender):
            raise InputError(
                f"{Path(folder, 'actors.db')}: actor {actor} is {known[plain_id(actor)]} and {text(gender)};"
                " correct one row"
            )
    return {actor: known[plain_id(actor)] for actor in actors if plain_id(actor) in known}


def labels(folder: Path) -> dict[str, tuple[str, str, str, str]]:
    """Relationship, emotion, character setup and scenario text by scenario id (`plain_id`).

    Empty where a folder has no scenarios.db.
    """
    if not Path(folder, "scenarios.db").exists():
        return {}
    names = {
        kind: {row[0]: text(row[1]) for row in rows(folder, "scenarios.db", kind)}
        for kind in ("relationships", "emotions")
    }
    found: dict[str, tuple[str, str, str, str]] = {}
    for scenario, relationship, emotion, setup, design in rows(folder, "scenarios.db", "scenarios"):
        own = (
            names["relationships"].get(relationship, ""),
            names["emotions"].get(emotion, ""),
            text(setup),
            text(design),
        )
        if found.setdefault(plain_id(scenario), own) != own:
            raise InputError(
                f"{Path(folder, 'scenarios.db')}: scenario {scenario} has two rows of different labels or"
                " texts; correct one"
            )
    return found
