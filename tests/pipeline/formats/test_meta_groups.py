import sqlite3

import pytest

from pipeline.errors import InputError
from pipeline.files import read_tsv
from pipeline.formats import database
from pipeline.formats.meta_groups import (
    KINDS,
    OTHER,
    TABLE,
    TAKE_GROUPINGS,
    meta_group,
    meta_groups,
    spelling,
    take_groups,
    tell_unlisted,
)
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.formats.takes import Take
from pipeline.simulate.plan import EMOTIONS, RELATIONSHIPS


def take(emotion: str, relationship: str) -> Take:
    row = dict.fromkeys(TAKE_COLUMNS, "") | {"emotion": emotion, "relationship": relationship}
    return Take("20260101_001", "20260101", "001", ("001", "002"), row)


def test_the_table_holds_every_label_of_the_paper_once():
    rows = read_tsv(TABLE)[1]
    for kind, labels in zip(KINDS, (EMOTIONS, RELATIONSHIPS), strict=True):
        assert sorted(row["label"] for row in rows if row["kind"] == kind) == sorted(labels)
        assert len({spelling(label) for label in labels}) == len(labels), (
            "spellings that are taken for each other"
        )
    assert meta_groups("emotion") == [
        *(
            "Surprise-related",
            "Fear-related",
            "Social",
            "Self-focused",
            "Primitive (Positive)",
            "Primitive (Negative)",
            OTHER,
        )
    ]
    assert meta_groups("relationship") == ["Family", "Friends", "Work", "School", "Professional", OTHER]
    counts = {meta: sum(row["meta"] == meta for row in rows) for meta in {row["meta"] for row in rows}}
    assert [counts[meta] for kind in KINDS for meta in meta_groups(kind)[:-1]] == [
        4,
        4,
        6,
        7,
        2,
        3,
        6,
        6,
        4,
        5,
        2,
    ]


@pytest.mark.parametrize(
    ("kind", "label", "meta"),
    [
        ("emotion", "Disgust", "Fear-related"),
        ("emotion", "aesthetic  Appreciation", "Self-focused"),
        ("relationship", "Waiter (waitress) / diner", "Professional"),
        ("relationship", "Coworker", "Work"),
        ("relationship", "Churchmates", "Friends"),
        ("relationship", "Disgust", OTHER),
        ("emotion", "Happiness", OTHER),
    ],
)
def test_labels_are_compared_by_their_letters(kind, label, meta):
    assert meta_group(kind, label) == meta


def test_a_take_is_in_the_groups_that_it_has_labels_for(caplog):
    groups = take_groups(take("Joy", "Penguins"))
    assert groups == {
        "emotion": "Joy",
        "relationship": "Penguins",
        "meta-emotion": "Primitive (Positive)",
        "meta-relationship": OTHER,
    }
    assert tuple(groups) == TAKE_GROUPINGS and take_groups(take("", "")) == {}
    tell_unlisted([take("Joy", "Penguins"), take("", "Penguins"), take("Joy", "Cousins")])
    assert caplog.messages == [
        "1 of 3 takes have no emotion and are in none of its groups, such as 20260101_001",
        "the paper lists no meta-relationship for these, their takes are in the group 'other': Penguins (2)",
    ]


def test_genders_come_from_the_dataset(tmp_path):
    assert database.genders(tmp_path, ["001", "002"]) == {}
    with sqlite3.connect(tmp_path / "actors.db") as connection:
        connection.execute("CREATE TABLE actors(actor_id TEXT PRIMARY KEY, gender TEXT)")
        connection.executemany(
            "INSERT INTO actors VALUES(?, ?)", [("002", "female"), ("001", "male"), ("003", "")]
        )
    connection.close()
    assert database.genders(tmp_path, ["001", "002"]) == {"001": "male", "002": "female"}
    (tmp_path / "actors.db").write_bytes(b"no database" * 200)
    with pytest.raises(InputError, match=r"actors.db: not a readable SQLite file"):
        database.genders(tmp_path, ["001", "002"])
