import ast
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers.tiny_release import write_tables

from pipeline.config import ReleaseIn
from pipeline.errors import InputError
from pipeline.formats import database
from pipeline.formats.takes import dataset_takes
from pipeline.planning.code import REPOSITORY
from pipeline.release.check_tables import read_tables
from pipeline.release.finding import Check

TAKES = [("20231101", "051", ("003", "005"))]


def download(folder: Path, actor_ids=str) -> Path:
    """A download's tables and the names of its bodies."""
    (folder / "bvhs").mkdir(parents=True)
    write_tables(folder, TAKES)
    for date, scenario, pair in TAKES:
        for actor in pair:
            (folder / "bvhs" / f"{date}_{actor}_{scenario}.bvh").write_text("")
    with closing(sqlite3.connect(folder / "actors.db")) as connection, connection:
        rows = connection.execute("SELECT actor_id, gender FROM actors").fetchall()
        connection.execute("DROP TABLE actors")
        connection.execute("CREATE TABLE actors(actor_id, gender)")
        connection.executemany(
            "INSERT INTO actors VALUES (?, ?)", [(actor_ids(actor), gender) for actor, gender in rows]
        )
    return folder


@pytest.mark.parametrize("name", ["plain", "a#b", "a?b", "a%41", "a%20b", "a b", "a'b", "{1}", "é"])
@pytest.mark.parametrize(
    "actor_ids", [str, int, float, lambda actor: actor.lstrip("0")], ids=["text", "integer", "real", "short"]
)
def test_every_reader_takes_any_path_and_any_form_of_ids_and_makes_nothing(tmp_path, name, actor_ids):
    folder = download(tmp_path / name, actor_ids)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert database.genders(folder, ["003", "005"]) == {"003": "male", "005": "female"}
    (take,) = dataset_takes(folder)
    assert take.row["relationship"] and take.row["scenario_design"] == "scene 051"
    findings = []
    tables = read_tables(Check(folder, ReleaseIn()), findings)
    assert findings == [] and tables.genders["3"] == "male"
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_an_actor_of_two_genders_and_a_scene_of_two_texts_are_told(tmp_path):
    folder = download(tmp_path / "x")
    for name, statement in (
        ("actors.db", "INSERT INTO actors VALUES (3, 'female')"),
        ("scenarios.db", "ALTER TABLE scenarios RENAME TO old"),
    ):
        with closing(sqlite3.connect(folder / name)) as connection, connection:
            connection.execute(statement)
            if name == "scenarios.db":
                connection.execute("CREATE TABLE scenarios AS SELECT * FROM old")
                connection.execute(
                    "INSERT INTO scenarios SELECT id, relationship_id, primary_emotion_id, character_setup,"
                    " 'another' FROM old"
                )
    with pytest.raises(InputError, match="actor 3 is male and female"):
        database.genders(folder, ["003"])
    with pytest.raises(InputError, match="scenario 51 has two rows"):
        dataset_takes(folder)


def test_texts_of_several_lines_become_cells(tmp_path):
    folder = download(tmp_path / "x")
    with closing(sqlite3.connect(folder / "scenarios.db")) as connection, connection:
        connection.execute(
            "UPDATE scenarios SET scenario = ?, character_setup = ?",
            ('one\r\ntwo\tthree\x0b"four', b"\xff bytes"),
        )
    (take,) = dataset_takes(folder)
    assert (
        take.row["scenario_design"] == 'one two three "four' and take.row["character_setup"] == "\ufffd bytes"
    )


def test_two_bodies_that_claim_the_same_scene_are_told(tmp_path):
    folder = download(tmp_path / "x")
    for actor in ("003", "005"):
        (folder / "bvhs" / f"20231101_{actor}_0051.bvh").write_text("")
    with pytest.raises(InputError, match="takes 20231101_0051 and 20231101_051 are of one scenario, 51"):
        dataset_takes(folder)
    assert [take.name for take in dataset_takes(folder, exclude=["20231101_0051"])] == ["20231101_051"]


def test_sqlite_is_opened_by_the_door_alone():
    """Whoever reads SQLite goes through `pipeline.reading`; the dataset and the fuzz write it."""
    users = set()
    for path in sorted(
        [
            *REPOSITORY.glob("pipeline/**/*.py"),
            *REPOSITORY.glob("models/**/*.py"),
            *REPOSITORY.glob("benchmarks/*.py"),
        ]
    ):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(
            isinstance(node, ast.Attribute)
            and node.attr == "connect"
            and ast.unparse(node.value) == "sqlite3"
            for node in ast.walk(tree)
        ):
            users.add(str(path.relative_to(REPOSITORY)))
    assert users == {"pipeline/reading.py", "pipeline/capture/dataset.py", "benchmarks/fuzz_readers.py"}
