"""What every door promises, on one bad file of each kind."""

import json
import os
import sqlite3
from pathlib import Path

import pytest

from pipeline import reading
from pipeline.errors import InputError
from pipeline.reading import inside, plain, read_json, read_text, rows_of


def message(call, *arguments, **options) -> str:
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_only_plain_files_are_opened(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    os.symlink("loop", tmp_path / "loop")
    os.symlink("gone", tmp_path / "dangling")
    said = {
        name: message(plain, tmp_path / name)
        for name in ("folder", "pipe", "loop", "dangling", "missing", "x" * 300, "nul\0")
    }
    assert "is a folder, need a file" in said["folder"] and "is a pipe or device" in said["pipe"]
    assert "no such file" in said["dangling"] and "no such file" in said["missing"]
    assert all("cannot be opened" in said[name] for name in ("loop", "x" * 300, "nul\0"))
    assert "is a pipe or device" in message(plain, Path("/dev/zero"))


def test_a_file_that_is_larger_than_any_real_one_is_not_read(tmp_path):
    with open(tmp_path / "x.json", "wb") as f:
        f.truncate(300 << 20)
    assert "has 314,572,800 bytes, need at most 268,435,456" in message(read_json, tmp_path / "x.json")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nested too deeply"),
        (f'{{"a": {"9" * 5000}}}', "is larger than numbers go"),
        ('{"a": NaN}', "NaN is no number in JSON"),
        ('{"a": -Infinity}', "-Infinity is no number in JSON"),
        ('{"a": 1, "b": 2, "a": 3}', "key 'a' stands twice"),
        ("{", "Expecting"),
        ("", "Expecting"),
    ],
)
def test_json_that_is_none(tmp_path, text, why):
    (tmp_path / "x.json").write_text(text)
    said = message(read_json, tmp_path / "x.json")
    assert said.startswith(f"{tmp_path / 'x.json'}: not a readable JSON (") and why in said


def test_json_of_another_kind(tmp_path):
    for value, kind, line in (
        ([], dict, "got a list, need an object"),
        ({}, list, "got an object, need a list"),
        (None, dict, "got null"),
    ):
        (tmp_path / "x.json").write_text(json.dumps(value))
        assert line in message(read_json, tmp_path / "x.json", kind=kind)
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf{}")
    assert read_json(tmp_path / "x.json", kind=dict) == {}


def test_text_is_utf8_and_its_lines_end_in_one_way(tmp_path):
    (tmp_path / "x.txt").write_bytes("\ufeffa\r\né\rb".encode())
    assert read_text(tmp_path / "x.txt") == "a\né\nb"
    (tmp_path / "x.txt").write_bytes(b"caf\xe9")
    assert "not a readable text in UTF-8" in message(read_text, tmp_path / "x.txt")


def test_what_a_parser_throws_is_one_line(tmp_path):
    for error in (KeyError("a"), RuntimeError("two\nlines"), AttributeError("x" * 1000), MemoryError()):
        with (
            pytest.raises(InputError, match="x: not a readable thing") as caught,
            reading.reading(Path("x"), "thing"),
        ):
            raise error
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    with pytest.raises(InputError, match="^its own$"), reading.reading(Path("x"), "thing"):
        raise InputError("its own")
    with pytest.raises(KeyboardInterrupt), reading.reading(Path("x"), "thing"):
        raise KeyboardInterrupt


def database(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize("name", ["x.db", "a#b.db", "a?b.db", "a%41.db", "a b'c.db"])
def test_rows_of_a_database_at_any_path(tmp_path, name):
    path = database(
        tmp_path / name, "CREATE TABLE t(id INTEGER, name TEXT)", "INSERT INTO t VALUES (2, 'b'), (1, NULL)"
    )
    assert rows_of(path, "t", ["name", "id"]) == [("b", 2), (None, 1)]
    assert [path.name for path in tmp_path.iterdir()] == [name], "nothing is made beside it"


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (["CREATE TABLE other(id)"], "t is not there"),
        (["CREATE TABLE t(name)"], "no column id, it has name"),
        (
            [
                "CREATE VIEW t AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id"
                " FROM n"
            ],
            "t is a view that is computed",
        ),
        (["CREATE VIRTUAL TABLE t USING fts5(id)"], "that is computed"),
        (["CREATE TABLE t(id)", "INSERT INTO t VALUES (1), (2), (3)"], "more than 2 rows"),
    ],
)
def test_tables_that_are_none(tmp_path, statements, why):
    path = database(tmp_path / "x.db", *statements)
    assert why in message(rows_of, path, "t", ["id"], most=2)


def test_a_database_that_is_none(tmp_path):
    (tmp_path / "x.db").write_bytes(b"no database at all" * 100)
    assert "not a readable SQLite file" in message(rows_of, tmp_path / "x.db", "t", ["id"])


def test_paths_that_lead_out_are_refused(tmp_path):
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    other.mkdir()
    os.symlink(other, home / "link")
    assert inside(home, home / "a" / "b", what="x") == home / "a" / "b"
    for path in (
        home / ".." / "other" / "x",
        home,
        home / "link" / "x",
        tmp_path / "home2" / "x",
        Path("/etc/passwd"),
    ):
        assert "is outside" in message(inside, home, path, what="actor id 'x'")
