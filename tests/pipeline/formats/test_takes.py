import sqlite3

import pytest

from pipeline.errors import InputError
from pipeline.files import write_tsv
from pipeline.formats.tables import ACTOR_COLUMNS, LIP_COLUMNS, TAKE_COLUMNS
from pipeline.formats.takes import (
    actor_of,
    dataset_takes,
    read_actors,
    read_lip_acc,
    read_takes,
    shoot_lip_acc,
    shoot_takes,
)

ROW = dict.fromkeys(TAKE_COLUMNS, "") | {
    "take": "20260101_001",
    "date": "20260101",
    "scenario": "001",
    "actor_a": "002",
    "actor_b": "001",
}


def table(tmp_path, *rows: dict):
    write_tsv(tmp_path / "takes.tsv", TAKE_COLUMNS, [ROW | row for row in rows])
    return tmp_path / "takes.tsv"


def take(scenario: str, **cells) -> dict:
    return {"take": f"20260101_{scenario}", "scenario": scenario} | cells


def test_actors_and_takes_are_in_order_and_excluded_ones_left_out(tmp_path):
    path = table(tmp_path, take("003"), take("001"), take("002", exclude="yes", reason="fell"))
    takes = read_takes(path, actors={"001": "male", "002": "female"})
    assert [t.name for t in takes] == ["20260101_001", "20260101_003"]
    assert takes[0].actors == ("001", "002") and takes[0].performances == (
        "20260101_001_001",
        "20260101_002_001",
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"take": "20260101_002"},
            "row 2: take '20260101_002', need <date>_<scenario> of its row (20260101_001)",
        ),
        ({"take": "260101_001", "date": "260101"}, "row 2: take '260101_001'"),
        ({"take": "20260101_\xe9", "scenario": "\xe9"}, "row 2: take"),
        ({"actor_b": "002"}, "row 2: actors '002' and '002', need two different ids"),
        ({"actor_b": ""}, "row 2: actors '002' and ''"),
        (
            {"actor_a": "0 2"},
            "row 2: actors '0 2' and '001', need two different ids of 1 to 64 letters, digits and hyphens",
        ),
        ({"actor_b": "003"}, "row 2: actor 003 is not in actors.tsv (column actor_b); add a row"),
        ({"exclude": "maybe"}, "row 2: exclude is 'maybe', need yes, no or empty; correct the row"),
        ({"exclude": "Yes"}, "row 2: exclude is 'Yes'"),
        ({"split": "val"}, "row 2: split is 'val', need train, test or empty; correct the row"),
        ({"split": "train "}, "row 2: split is 'train '"),
        (
            {"take": "20260230_001", "date": "20260230"},
            "row 2: date is '20260230', need a day of the calendar as YYYYMMDD; correct the row",
        ),
        ({"take": "20261301_001", "date": "20261301"}, "row 2: date is '20261301'"),
        ({"date": "2026-01-01"}, "row 2: date is '2026-01-01'"),
        ({"date": "٢٠٢٦٠١٠١"}, "row 2: date is"),
        (
            {"scenario": "0_1"},
            (
                "row 2: scenario is '0_1', need 1 to 64 letters, digits and hyphens, not a hyphen first;"
                " correct the row"
            ),
        ),
        ({"scenario": ""}, "row 2: scenario is ''"),
        ({"exclude": "yes"}, "no take is left"),
    ],
)
def test_bad_rows_are_named(tmp_path, row, message):
    with pytest.raises(InputError) as error:
        read_takes(table(tmp_path, row), actors={"001": "male", "002": "female"})
    assert message in str(error.value) and "takes.tsv" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "row",
    [
        {"take": "20240229_a-B", "date": "20240229", "scenario": "a-B"},
        {"exclude": "no", "split": "test"},
        {"relationship": "Waiter (Waitress) / Diner", "emotion": "ärger", "reason": "none"},
    ],
)
def test_good_rows_come_back_as_they_stand(tmp_path, row):
    assert read_takes(table(tmp_path, row))[0].row == ROW | row


def test_a_row_is_counted_from_the_header(tmp_path):
    with pytest.raises(InputError, match="row 4: split is 'val'"):
        read_takes(table(tmp_path, take("001"), take("002"), take("003", split="val")))


def test_a_take_that_stands_twice_is_named(tmp_path):
    with pytest.raises(InputError, match="row 3: take 20260101_001 stands twice"):
        read_takes(table(tmp_path, {}, {}))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("relationship", None),
        ("relatonship", "unknown column 'relatonship'; did you mean 'relationship'?"),
        ("Relationship", "unknown column 'Relationship'; did you mean 'relationship'?"),
        ("weather", "unknown column 'weather'"),
    ],
)
def test_misspelt_columns_name_the_nearest(tmp_path, header, message):
    path = table(tmp_path, {})
    path.write_text(path.read_text().replace("relationship", header))
    if message is None:
        assert len(read_takes(path)) == 1
        return
    with pytest.raises(InputError) as error:
        read_takes(path)
    assert message in str(error.value)


def test_missing_columns_are_named(tmp_path):
    (tmp_path / "takes.tsv").write_text("take\tdate\n")
    with pytest.raises(InputError, match="missing column scenario, actor_a"):
        read_takes(tmp_path / "takes.tsv")


def test_actors(tmp_path):
    path = tmp_path / "actors.tsv"
    write_tsv(path, ACTOR_COLUMNS, [{"actor": "001", "gender": "male"}, {"actor": "002", "gender": "female"}])
    assert read_actors(path) == {"001": "male", "002": "female"}
    table(tmp_path, {})
    assert [t.name for t in shoot_takes(tmp_path)] == ["20260101_001"]
    write_tsv(path, ACTOR_COLUMNS, [{"actor": "001", "gender": "male"}] * 2)
    with pytest.raises(InputError, match="row 3: actor 001 stands twice"):
        read_actors(path)


@pytest.mark.parametrize("actor", ["", "0 1", "001 ", "a_b"])
def test_bad_actors_are_named(tmp_path, actor):
    write_tsv(
        tmp_path / "actors.tsv",
        ACTOR_COLUMNS,
        [{"actor": "001", "gender": "male"}, {"actor": actor, "gender": "female"}],
    )
    with pytest.raises(InputError) as error:
        read_actors(tmp_path / "actors.tsv")
    need = "need 1 to 64 letters, digits and hyphens, not a hyphen first; correct the row"
    assert str(error.value) == f"{tmp_path / 'actors.tsv'}, row 3: actor is {actor!r}, {need}"


LIP_ROW = {
    "date": "20260101",
    "actor": "003",
    "scenario": "7",
    "sentence": "She had your dark suit.",
    "exclude": "",
    "reason": "",
}


def lip_table(tmp_path, *rows: dict):
    write_tsv(tmp_path / "lip_acc.tsv", LIP_COLUMNS, [LIP_ROW | row for row in rows])
    return tmp_path / "lip_acc.tsv"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"scenario": "007"},
            (
                "row 3: scenario is '007', need a whole number from 1 to 99999 without leading zeros; correct"
                " the row"
            ),
        ),
        ({"scenario": "0"}, "row 3: scenario is '0'"),
        ({"scenario": "100000"}, "row 3: scenario is '100000'"),
        ({"scenario": "7a"}, "row 3: scenario is '7a'"),
        ({"scenario": ""}, "row 3: scenario is ''"),
        (
            {"sentence": ""},
            "row 3: sentence is '', need text on one line, without spaces at its ends; correct the row",
        ),
        ({"sentence": " one"}, "row 3: sentence is ' one'"),
        (
            {"date": "20260230"},
            "row 3: date is '20260230', need a day of the calendar as YYYYMMDD; correct the row",
        ),
        ({"date": "2026-01-01"}, "row 3: date is '2026-01-01'"),
        ({"actor": "0 3"}, "row 3: actor is '0 3', need an id of actors.tsv; correct the row"),
        ({"actor": "004"}, "row 3: actor 004 is not in actors.tsv; add a row"),
        ({"exclude": "maybe"}, "row 3: exclude is 'maybe', need yes, no or empty; correct the row"),
        ({"scenario": "6"}, "row 3: performance 20260101_003_6 stands twice"),
        (
            {"date": "20260102", "scenario": "6", "sentence": "Other."},
            "row 3: scenario 6 is 'Other.' here and 'She had your dark suit.' above",
        ),
    ],
)
def test_bad_rows_of_the_lip_accurate_set_are_named(tmp_path, row, message):
    with pytest.raises(InputError) as error:
        read_lip_acc(lip_table(tmp_path, {"scenario": "6"}, row), actors={"003": "male"})
    assert message in str(error.value) and "lip_acc.tsv" in str(error.value) and "\n" not in str(error.value)


def test_the_lip_accurate_set_is_in_name_order_and_excluded_rows_are_left_out(tmp_path):
    again = {"date": "20260102", "exclude": "no"}  # the same sentence on another day
    path = lip_table(
        tmp_path,
        {"scenario": "10", "sentence": "ten"},
        {},
        {"scenario": "8", "exclude": "yes", "sentence": "eight"},
        again,
    )
    found = read_lip_acc(path, actors={"003": "male"})
    assert list(found) == ["20260101_003_10", "20260101_003_7", "20260102_003_7"]
    assert found["20260102_003_7"].model_dump() == LIP_ROW | again
    with pytest.raises(InputError, match="lip_acc.tsv: no performance is left, 1 listed and excluded"):
        read_lip_acc(lip_table(tmp_path, {"exclude": "yes"}), actors={"003": "male"})


def test_a_shoot_has_a_lip_accurate_set_where_it_has_the_folder(tmp_path):
    write_tsv(tmp_path / "actors.tsv", ACTOR_COLUMNS, [{"actor": "003", "gender": "male"}])
    assert shoot_lip_acc(tmp_path) == {}
    (tmp_path / "lip_acc").mkdir()
    with pytest.raises(InputError, match="lip_acc.tsv: no such file"):
        shoot_lip_acc(tmp_path)
    lip_table(tmp_path / "lip_acc", {})
    assert list(shoot_lip_acc(tmp_path)) == ["20260101_003_7"]


@pytest.mark.parametrize("name", ["", "20260101_001", "20260101_001_051_x", "2026_001_051", "a/b"])
def test_actor_of_a_performance(name):
    assert actor_of("20260101_001_051") == "001"
    with pytest.raises(InputError, match="need <date>_<actor>_<scenario>"):
        actor_of(name)


def release(folder, names: list[str]):
    (folder / "bvhs").mkdir()
    for name in names:
        (folder / "bvhs" / f"{name}.bvh").write_text("")
    connection = sqlite3.connect(folder / "scenarios.db")
    connection.executescript(
        """CREATE TABLE scenarios(id INTEGER, relationship_id INTEGER, primary_emotion_id INTEGER,
            character_setup TEXT, scenario TEXT);
        CREATE TABLE relationships(id INTEGER, name TEXT); CREATE TABLE emotions(id INTEGER, name TEXT);
        INSERT INTO scenarios VALUES (51, 1, 2, 'setup', 'text');
        INSERT INTO relationships VALUES (1, 'Friends'); INSERT INTO emotions VALUES (2, 'Joy');"""
    )
    connection.close()


def test_a_download_without_takes_tsv(tmp_path):
    release(tmp_path, ["20231119_002_051", "20231119_001_051", "20231119_001_007", "20231119_002_007"])
    takes = dataset_takes(tmp_path)
    assert [t.name for t in takes] == ["20231119_007", "20231119_051"] and takes[1].actors == ("001", "002")
    assert (takes[1].row["relationship"], takes[1].row["emotion"], takes[1].row["scenario_design"]) == (
        "Friends",
        "Joy",
        "text",
    )
    assert takes[0].row["relationship"] == "" and list(takes[0].row) == TAKE_COLUMNS


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["20231119_001_051"], "take 20231119_051 has 1 performances"),
        (["notes"], "notes.bvh: name is not"),
        (["20231119_001_1", "20231119_002_1", "20231119_003_1"], "has 3"),
    ],
)
def test_a_download_with_odd_files(tmp_path, names, message):
    release(tmp_path, names)
    with pytest.raises(InputError, match=message):
        dataset_takes(tmp_path)


def test_a_download_that_is_none(tmp_path):
    with pytest.raises(InputError, match="need a dataset in the public release's layout"):
        dataset_takes(tmp_path)
    release(tmp_path, ["20231119_001_051", "20231119_002_051"])
    (tmp_path / "scenarios.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(InputError, match="scenarios.db: not a readable SQLite file"):
        dataset_takes(tmp_path)
