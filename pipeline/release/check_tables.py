"""Findings about the SQLite files of a release: scenarios, labels, actors and sessions."""

from collections import defaultdict
from dataclasses import dataclass

from pipeline.errors import InputError
from pipeline.formats import database
from pipeline.formats.database import MAGIC, TABLES, plain_id
from pipeline.reading import open_plain
from pipeline.release.finding import Check, Finding


@dataclass(frozen=True)
class Tables:
    """Ids that the SQLite files know, without leading zeros; None where a table could not be read."""

    scenarios: set[str] | None
    genders: dict[str, str] | None
    sessions: dict[str, list[tuple[str, str]]] | None


def read_tables(check: Check, findings: list[Finding]) -> Tables:
    """What the SQLite files say; faults of theirs are added to `findings`."""
    rows: dict[str, list[tuple] | None] = {}
    for name, tables in TABLES.items():
        path = check.folder / name
        rows |= dict.fromkeys(tables)
        if not path.exists():
            findings.append(
                check.fault(path, "table", f"got no file, need a SQLite file of {', '.join(tables)}")
            )
            continue
        with open_plain(path) as f:
            if f.read(len(MAGIC)) != MAGIC:
                findings.append(check.fault(path, "table", "got no SQLite file, need one; download it again"))
                continue
        for table in tables:
            try:
                rows[table] = database.rows(check.folder, name, table)
            except InputError as error:
                findings.append(check.refused(path, "table", error))
    _labels(check, rows, findings)
    scenarios, actors, sessions = rows["scenarios"], rows["actors"], rows["sessions"]
    pairs = defaultdict(list)
    for date, male, female in sessions or []:
        pairs[str(date).replace("-", "")].append((plain_id(male), plain_id(female)))
    genders = None if actors is None else {plain_id(actor): str(gender) for actor, gender in actors}
    if genders is not None:
        _sessions(check, genders, pairs, findings)
    return Tables(
        None if scenarios is None else {plain_id(row[0]) for row in scenarios},
        genders,
        None if sessions is None else dict(pairs),
    )


def _labels(check: Check, rows: dict[str, list[tuple] | None], findings: list[Finding]) -> None:
    """Faults of scenarios whose relationship or emotion is in no table."""
    for column, table, what in (
        (1, "relationships", "relationship_id"),
        (2, "emotions", "primary_emotion_id"),
    ):
        scenarios, names = rows["scenarios"], rows[table]
        if scenarios is None or names is None:
            continue
        known = {row[0] for row in names}
        for row in scenarios:
            if row[column] is not None and row[column] not in known:
                findings.append(
                    check.fault(
                        check.folder / "scenarios.db",
                        "label",
                        f"scenario {row[0]}: got {what} {row[column]}, need an id of {table}",
                    )
                )


def _sessions(
    check: Check, genders: dict[str, str], sessions: dict[str, list[tuple[str, str]]], findings: list[Finding]
) -> None:
    """Faults of sessions whose actors are unknown, or stand in each other's column.

    A pair of one gender may stand either way.
    """
    path = check.folder / "actors.db"
    for date, pairs in sorted(sessions.items()):
        for male, female in pairs:
            if unknown := [actor for actor in (male, female) if actor not in genders]:
                findings.append(
                    check.fault(
                        path,
                        "actor",
                        f"session {date}: got actor {', '.join(unknown)}, need ids of the table actors",
                    )
                )
            elif (genders[male], genders[female]) == ("female", "male"):
                got = f"male_id {male} ({genders[male]}) and female_id {female} ({genders[female]})"
                findings.append(
                    check.fault(path, "gender", f"session {date}: got {got}, need each in its column")
                )
