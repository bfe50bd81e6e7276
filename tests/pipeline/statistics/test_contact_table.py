import csv
import sqlite3

import pytest
from helpers.commands import refused

from pipeline.files import write_json, write_tsv
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.statistics import contact_table

MINUTE = 1800
"""Frames in a minute."""
TAKES = {
    "20260101_001": ("001", "002", "Joy", "Siblings", 2 * MINUTE),
    "20260101_002": ("001", "003", "Fear", "Cousins", MINUTE),
    "20260102_003": ("002", "004", "Awe", "Penguins", MINUTE),
}
GENDERS = {"001": "male", "002": "female", "003": "male"}


def contact(kind, actor, of, hand, part, start, stop) -> dict:
    return {"type": kind, "actor": actor, "of": of, "hand": hand, "part": part, "start": start, "stop": stop}


CONTACTS = {
    "20260101_001": [
        contact(
            "hand-head", "001", "001", "LeftHand", "Head", 0, 300
        ),  # with the next: 15 s, of which 5 with both hands
        contact("hand-head", "001", "001", "RightHand", "Head", 150, 450),
        contact("hand-hand", "002", "002", "LeftHand", "RightHand", 0, 900),  # 30 s
        contact("hand-elbow", "001", "002", "LeftHand", "RightElbow", 0, 60),  # 2 s
        contact("hand-elbow", "002", "001", "RightHand", "LeftElbow", 0, 30),  # 1 s
        contact("hand-hand", "001", "002", "LeftHand", "RightHand", 300, 600),  # 10 s, of both
    ],
    "20260101_002": [contact("hand-hand", "001", "003", "LeftHand", "LeftHand", 0, 60)],  # 2 s, of two men
    "20260102_003": [contact("hand-shoulder", "004", "002", "LeftHand", "LeftShoulder", 0, 150)],  # 5 s
}


@pytest.fixture
def study(tmp_path):
    rows = []
    for take, (one, other, emotion, relationship, num_frames) in TAKES.items():
        date, scenario = take.split("_")
        row = {"take": take, "date": date, "scenario": scenario, "actor_a": one, "actor_b": other}
        rows.append(
            dict.fromkeys(TAKE_COLUMNS, "") | row | {"emotion": emotion, "relationship": relationship}
        )
        record = {
            "actors": [one, other],
            "frames": num_frames,
            "fps": 30.0,
            "lacking": {},
            "contacts": CONTACTS[take],
        }
        write_json(tmp_path / "contacts" / f"{take}.json", record)
    write_tsv(tmp_path / "takes.tsv", TAKE_COLUMNS, rows)
    with sqlite3.connect(tmp_path / "actors.db") as connection:
        connection.execute("CREATE TABLE actors(actor_id TEXT PRIMARY KEY, gender TEXT)")
        connection.executemany("INSERT INTO actors VALUES(?, ?)", GENDERS.items())
    connection.close()
    return tmp_path


def arguments(study) -> list:
    return ["--dataset", study, "--contacts", study / "contacts", "--out", study / "out" / "contacts.csv"]


def test_the_tables_hold_seconds_and_minutes_per_hour_of_every_group(study, caplog):
    contact_table.main([str(a) for a in arguments(study)])
    with open(study / "out" / "contacts.csv", newline="", encoding="utf-8") as f:
        rows = {(row["contacts"], row["grouping"], row["group"]): row for row in csv.DictReader(f)}
    genders = [("gender", "male"), ("gender", "female"), ("gender", "unknown")]
    relationships = [("meta-relationship", "Family"), ("meta-relationship", "other")]
    emotions = [
        ("meta-emotion", name) for name in ("Surprise-related", "Fear-related", "Primitive (Positive)")
    ]
    groups = [*genders, *relationships, *emotions, ("aggregate", "total")]
    assert list(rows) == [(table, *group) for table in ("self", "cross") for group in groups]

    def cells(table, group, kind):
        row = rows[table, *group]
        return float(row[f"{kind}_seconds"]), float(row[f"{kind}_minutes_per_hour"])

    hours = {group: float(rows["self", *group]["seconds"]) / 3600 for group in groups}
    assert (
        hours["aggregate", "total"] == pytest.approx(8 / 60)
        and rows["self", "aggregate", "total"]["performances"] == "6"
    )
    assert hours["gender", "male"] == pytest.approx(4 / 60) and hours["gender", "female"] == pytest.approx(
        3 / 60
    )
    expected = {
        ("self", ("gender", "male"), "hand_head"): 15,
        ("self", ("gender", "female"), "hand_head"): 0,
        ("self", ("gender", "female"), "hand_hand"): 30,
        ("self", ("meta-relationship", "Family"), "hand_hand"): 30,
        ("self", ("meta-emotion", "Primitive (Positive)"), "hand_head"): 15,
        ("self", ("aggregate", "total"), "hand_head"): 15,
        ("cross", ("gender", "male"), "hand_elbow"): 2,
        ("cross", ("gender", "female"), "hand_elbow"): 1,
        ("cross", ("aggregate", "total"), "hand_elbow"): 3,
        ("cross", ("gender", "male"), "hand_hand"): 12,  # 10 s with a woman, and 2 s of two men, once
        ("cross", ("gender", "female"), "hand_hand"): 10,
        ("cross", ("aggregate", "total"), "hand_hand"): 12,
        ("cross", ("meta-emotion", "Fear-related"), "hand_hand"): 2,
        ("cross", ("gender", "unknown"), "hand_shoulder"): 5,
        ("cross", ("gender", "female"), "hand_shoulder"): 0,  # she is touched
        ("cross", ("meta-relationship", "other"), "hand_shoulder"): 5,
    }
    for (table, group, kind), seconds in expected.items():
        assert cells(table, group, kind) == pytest.approx(
            (seconds, seconds / 60 / hours[group]), abs=0.001
        ), (table, group, kind)
    assert (
        "actors.db has no gender for 1 of 4 actors, such as 004" in caplog.text
        and "Penguins (1)" in caplog.text
    )


def test_takes_whose_bodies_lack_joints_are_left_out(study, caplog):
    path = study / "contacts" / "20260101_002.json"
    write_json(
        path,
        {
            "actors": ["001", "003"],
            "frames": 900,
            "fps": 30.0,
            "lacking": {"003": ["LeftHand"]},
            "contacts": [],
        },
    )
    contact_table.main([str(a) for a in arguments(study)])
    with open(study / "out" / "contacts.csv", newline="", encoding="utf-8") as f:
        (whole,) = [
            row for row in csv.DictReader(f) if (row["contacts"], row["grouping"]) == ("self", "aggregate")
        ]
    assert whole["performances"] == str(2 * len(TAKES) - 2) and "take 20260101_002 is left out" in caplog.text


def test_contacts_of_other_actors_are_refused(study, capsys):
    path = study / "contacts" / "20260101_002.json"
    write_json(path, {"actors": ["001", "002"], "frames": 9, "fps": 30.0, "lacking": {}, "contacts": []})
    refused(
        contact_table.main,
        arguments(study),
        capsys,
        "20260101_002.json: contacts of 001, 002, need those of 001, 003",
    )
    path.unlink()
    refused(
        contact_table.main,
        arguments(study),
        capsys,
        "20260101_002.json: no such file",
        outputs=[study / "out" / "contacts.csv"],
    )
