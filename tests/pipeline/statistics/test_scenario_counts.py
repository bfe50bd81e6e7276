import csv
import logging
import sqlite3

import pytest
from helpers.commands import refused
from helpers.tiny_dataset import body, make_tiny

from pipeline.files import read_tsv, write_tsv
from pipeline.formats.bvh import save_bvh
from pipeline.formats.meta_groups import meta_groups
from pipeline.formats.takes import dataset_takes
from pipeline.statistics import scenario_counts
from pipeline.statistics.scenario_counts import panels, take_minutes

LABELS = {
    "20260101_001": ("Siblings", "Joy"),
    "20260101_002": ("Siblings", "Awe"),
    "20260102_003": ("Pen Pals", "Joy"),
    "20260102_004": ("", "Joy"),
}
"""Relationship and emotion by take; the paper lists no Pen Pals."""


@pytest.fixture
def dataset(tmp_path):
    """Four takes of 90 frames with LABELS, a woman and a man in each."""
    dataset = make_tiny(tmp_path, dict.fromkeys(LABELS, 90)).dataset
    columns, rows = read_tsv(dataset / "takes.tsv")
    write_tsv(
        dataset / "takes.tsv",
        columns,
        [row | dict(zip(("relationship", "emotion"), LABELS[row["take"]])) for row in rows],
    )
    write_genders(dataset, [("001", "male"), ("002", "female")])
    return dataset


def write_genders(dataset, rows) -> None:
    (dataset / "actors.db").unlink(missing_ok=True)
    connection = sqlite3.connect(dataset / "actors.db")
    with connection:
        connection.execute("CREATE TABLE actors(actor_id TEXT, gender TEXT)")
        connection.executemany("INSERT INTO actors VALUES (?, ?)", rows)
    connection.close()


def arguments(dataset, out) -> list[str]:
    return [
        str(word)
        for word in ["--dataset", dataset, "--out", out / "counts.csv", "--out-picture", out / "counts.png"]
    ]


def counted(dataset, out) -> dict[tuple[str, str], dict[str, str]]:
    scenario_counts.main(arguments(dataset, out))
    with open(out / "counts.csv", newline="", encoding="utf-8") as f:
        return {(row["grouping"], row["group"]): row for row in csv.DictReader(f)}


def test_takes_are_counted_by_their_labels_and_meta_groups(dataset, tmp_path):
    rows = counted(dataset, tmp_path / "out")
    takes = {key: int(row["takes"]) for key, row in rows.items() if row["takes"] != "0"}
    assert takes == {
        ("genders", "female and male"): 4,
        ("meta-relationship", "Family"): 2,
        ("meta-relationship", "other"): 1,
        ("meta-emotion", "Surprise-related"): 1,
        ("meta-emotion", "Primitive (Positive)"): 3,
        ("relationship", "Pen Pals"): 1,
        ("relationship", "Siblings"): 2,
        ("emotion", "Awe"): 1,
        ("emotion", "Joy"): 3,
    }
    assert rows["relationship", "Siblings"]["share_of_takes"] == "0.6667", (
        "of the three takes that have a relationship"
    )
    assert rows["emotion", "Joy"]["share_of_takes"] == "0.7500" == rows["emotion", "Joy"]["share_of_minutes"]
    assert rows["emotion", "Joy"]["minutes"] == "0.15"


def test_what_the_paper_does_not_list_is_other_and_named(dataset, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        rows = counted(dataset, tmp_path / "out")
    assert (
        rows["relationship", "Pen Pals"]["meta_group"] == "other"
        and rows["meta-relationship", "other"]["labels"] == "Pen Pals"
    )
    assert rows["relationship", "Siblings"]["meta_group"] == "Family"
    assert "'other': Pen Pals (1)" in caplog.text and "1 of 4 takes have no relationship" in caplog.text
    notes = {bar.name: bar.note for panel in panels(list(rows.values())) for bar in panel.bars}
    assert [name for name, note in notes.items() if "not in the paper" in note] == ["other", "Pen Pals"]


def test_meta_groups_of_the_paper_without_takes_have_rows_and_other_has_none(dataset, tmp_path):
    rows = counted(dataset, tmp_path / "out")
    assert [group for grouping, group in rows if grouping == "meta-emotion"] == meta_groups("emotion")[:-1]
    assert [group for grouping, group in rows if grouping == "meta-relationship"] == meta_groups(
        "relationship"
    )
    assert (
        rows["meta-relationship", "School"]["takes"] == "0"
        and rows["meta-relationship", "School"]["share_of_minutes"] == "0.0000"
    )


def test_a_take_is_as_long_as_the_shorter_of_its_bodies(dataset):
    take = dataset_takes(dataset)[0]
    save_bvh(dataset / "bvhs" / f"{take.performances[1]}.bvh", body(60))
    assert take_minutes(dataset, take) == pytest.approx(2 / 60)


def test_actors_without_a_gender_are_unknown_and_told(dataset, tmp_path, caplog):
    write_genders(dataset, [("001", "male"), ("002", "")])
    with caplog.at_level(logging.WARNING):
        rows = counted(dataset, tmp_path / "out")
    assert (
        rows["genders", "male and unknown"]["takes"] == "4"
        and "no gender for 1 of 2 actors, such as 002" in caplog.text
    )


def test_takes_without_any_label_are_counted_by_genders_alone(dataset, tmp_path):
    columns, rows = read_tsv(dataset / "takes.tsv")
    write_tsv(dataset / "takes.tsv", columns, [row | {"relationship": "", "emotion": ""} for row in rows])
    assert list(counted(dataset, tmp_path / "out")) == [("genders", "female and male")]


def test_scenario_counts_write_the_same_bytes_twice(dataset, tmp_path):
    for name in ("one", "two"):
        counted(dataset, tmp_path / name)
    for file in ("counts.csv", "counts.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_body_that_is_missing_is_refused_by_name(dataset, tmp_path, capsys):
    path = dataset / "bvhs" / "20260102_002_003.bvh"
    path.unlink()
    refused(
        scenario_counts.main,
        arguments(dataset, tmp_path / "out"),
        capsys,
        path.name,
        outputs=[tmp_path / "out" / "counts.csv"],
    )
