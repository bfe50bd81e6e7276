"""The takes of a shoot or of a dataset, and who acts in them.

Light: this module is imported while the Snakefile is read.
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files import read_tsv

TAKE_COLUMNS = "take date scenario actor_a actor_b relationship emotion character_setup scenario_design split exclude reason".split()
ACTOR_COLUMNS = ["actor", "gender"]
_YES, _NO = {"yes", "true", "1", "x"}, {"", "no", "false", "0"}
_PERFORMANCE = re.compile(r"^(\d{8})_([^_]+)_([^_]+)$")


@dataclass(frozen=True)
class Take:
    """One recorded scene. `actors` are in id order, as everywhere; `row` is its line of takes.tsv."""

    name: str
    date: str
    scenario: str
    actors: tuple[str, str]
    row: dict[str, str]

    @property
    def performances(self) -> tuple[str, str]:
        """Names of the two performances, `<date>_<actor>_<scenario>`, in actor order."""
        first, second = self.actors
        return f"{self.date}_{first}_{self.scenario}", f"{self.date}_{second}_{self.scenario}"


def in_order(one: str, other: str) -> tuple[str, str]:
    """Two actor ids in id order."""
    return (one, other) if one <= other else (other, one)


def performance_actor(name: str) -> str | None:
    """Actor id in a name `<date>_<actor>_<scenario>`, None for any other name."""
    match = _PERFORMANCE.match(name)
    return match[2] if match else None


def actor_of(performance: str) -> str:
    """Actor id of a performance `<date>_<actor>_<scenario>`; InputError for any other name."""
    actor = performance_actor(performance)
    if actor is None:
        raise InputError(f"performance {performance!r}: need <date>_<actor>_<scenario>, such as 20231119_001_051; correct it")
    return actor


def _check_columns(path: Path, columns: list[str], needed: list[str]) -> None:
    unknown = [column for column in columns if column not in needed]
    missing = [column for column in needed if column not in columns]
    if unknown:
        near = difflib.get_close_matches(unknown[0], missing or needed, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known columns: {', '.join(needed)}"
        raise InputError(f"{path}: unknown column {unknown[0]!r}{hint}")
    if missing:
        raise InputError(f"{path}: missing column {', '.join(missing)}; need {', '.join(needed)}")


def read_actors(path: Path) -> dict[str, str]:
    """Gender by actor id, from actors.tsv."""
    columns, rows = read_tsv(path)
    _check_columns(path, columns, ACTOR_COLUMNS)
    result: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        if row["actor"] in result:
            raise InputError(f"{path}, row {number}: actor {row['actor']} stands twice; remove one")
        result[row["actor"]] = row["gender"]
    return result


def read_takes(path: Path, *, actors: dict[str, str] | None = None) -> list[Take]:
    """Takes of takes.tsv that are not excluded, in name order.

    Raises InputError that names file and row for a misspelt column, a take that stands twice, a name that is not
    `<date>_<scenario>`, or an actor that actors.tsv lacks.
    """
    columns, rows = read_tsv(path)
    _check_columns(path, columns, TAKE_COLUMNS)
    takes: dict[str, Take] = {}
    for number, row in enumerate(rows, 2):
        name, where = row["take"], f"{path}, row {number}"
        if name in takes:
            raise InputError(f"{where}: take {name} stands twice; remove one row or give it another scenario")
        if name != f"{row['date']}_{row['scenario']}" or not re.fullmatch(r"\d{8}_[A-Za-z0-9-]+", name):
            raise InputError(
                f"{where}: take {name!r}, need <date>_<scenario> of its row ({row['date']}_{row['scenario']}), date as YYYYMMDD; correct the row"
            )
        pair = in_order(row["actor_a"], row["actor_b"])
        if pair[0] == pair[1] or not all(re.fullmatch(r"[A-Za-z0-9-]+", actor) for actor in pair):
            raise InputError(f"{where}: actors {row['actor_a']!r} and {row['actor_b']!r}, need two different ids; correct the row")
        for actor in pair:
            if actors is not None and actor not in actors:
                raise InputError(f"{where}: actor {actor} is not in actors.tsv; add a row with the actor's gender")
        if row["exclude"].lower() not in _YES | _NO:
            raise InputError(f"{where}: exclude is {row['exclude']!r}, need yes or empty; correct the row")
        if row["split"] not in ("", "train", "test"):
            raise InputError(f"{where}: split is {row['split']!r}, need train, test or empty; correct the row")
        takes[name] = Take(name, row["date"], row["scenario"], pair, row)
    kept = [take for take in takes.values() if take.row["exclude"].lower() in _NO]
    if not kept:
        raise InputError(f"{path}: no take is left, {len(takes)} listed and excluded; clear an exclude cell or add a take")
    return sorted(kept, key=lambda take: take.name)


def shoot_takes(folder: Path) -> list[Take]:
    """Takes of a shoot folder, from its takes.tsv and actors.tsv."""
    folder = Path(folder)
    return read_takes(folder / "takes.tsv", actors=read_actors(folder / "actors.tsv"))


def dataset_takes(folder: Path) -> list[Take]:
    """Takes of a dataset folder: its takes.tsv where it has one, else its BVH files and SQLite tables (the public release)."""
    folder = Path(folder)
    if (folder / "takes.tsv").exists():
        return read_takes(folder / "takes.tsv")
    if not (folder / "bvhs").is_dir():
        raise InputError(f"{folder}: no takes.tsv and no bvhs folder, need a dataset in the public release's layout; check the path")
    labels = _scenario_labels(folder / "scenarios.db")
    actors: dict[tuple[str, str], list[str]] = {}
    for path in sorted((folder / "bvhs").glob("*.bvh")):
        match = _PERFORMANCE.match(path.stem)
        if not match:
            raise InputError(f"{path}: name is not <date>_<actor>_<scenario>.bvh; rename or remove it")
        actors.setdefault((match[1], match[3]), []).append(match[2])
    takes = []
    for (date, scenario), pair in sorted(actors.items()):
        if len(pair) != 2:
            raise InputError(
                f"{folder / 'bvhs'}: take {date}_{scenario} has {len(pair)} performances ({', '.join(pair)}), need 2; add or remove files"
            )
        relationship, emotion, setup, design = labels.get(scenario.lstrip("0") or "0", ("", "", "", ""))
        values = [f"{date}_{scenario}", date, scenario, *pair, relationship, emotion, setup, design, "", "", ""]
        takes.append(Take(f"{date}_{scenario}", date, scenario, in_order(*pair), dict(zip(TAKE_COLUMNS, values))))
    return takes


def _scenario_labels(path: Path) -> dict[str, tuple[str, ...]]:
    """Relationship, emotion, character setup and scenario text by scenario id, from the release's scenarios.db."""
    import sqlite3

    if not path.exists():
        return {}
    query = """SELECT s.id, r.name, e.name, s.character_setup, s.scenario FROM scenarios s
               LEFT JOIN relationships r ON r.id = s.relationship_id LEFT JOIN emotions e ON e.id = s.primary_emotion_id"""
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            return {str(row[0]).lstrip("0") or "0": tuple(cell or "" for cell in row[1:]) for row in connection.execute(query)}
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path}: cannot be read ({error}); download it again") from None
