import pytest
from helpers.commands import refused

from pipeline.annotate import split_check
from pipeline.files import write_tsv
from pipeline.formats.tables import TAKE_COLUMNS


@pytest.fixture
def study(tmp_path):
    """A dataset of 12 takes, of which the last is the first's scene on another day, and the command."""
    names = [f"20260101_{i:03d}" for i in range(1, 12)] + ["20260102_001"]
    rows = []
    for i, name in enumerate(names):
        date, scenario = name.split("_")
        row = {
            "take": name,
            "date": date,
            "scenario": scenario,
            "actor_a": "001",
            "actor_b": "003" if i == 5 else "002",
        }
        rows.append(
            dict.fromkeys(TAKE_COLUMNS, "")
            | row
            | {
                "relationship": "Friends" if i % 2 else "Siblings",
                "emotion": "Awe" if i == 1 else "Joy",
            }
        )
    write_tsv(tmp_path / "dataset" / "takes.tsv", TAKE_COLUMNS, rows)

    def check(sides, capsys):
        write_tsv(
            tmp_path / "split.tsv", ["take", "split"], [{"take": name, "split": side} for name, side in sides]
        )
        capsys.readouterr()
        try:
            split_check.main(["--dataset", str(tmp_path / "dataset"), "--split", str(tmp_path / "split.tsv")])
        except SystemExit as stop:
            return stop.code, capsys.readouterr().out.splitlines()
        return 0, capsys.readouterr().out.splitlines()

    return names, check


def sides_of(names, test):
    return [(name, "test" if name in test else "train") for name in names]


def test_a_split_without_leaks_is_told_and_ends_with_0(study, capsys):
    names, check = study
    code, lines = check(sides_of(names, names[2:4]), capsys)
    assert code == 0 and lines[-1].endswith("split.tsv: no leak")
    assert lines[0] == "takes: 10 train, 2 test (16.7 %)"
    assert (
        "relationship: 2 values, 2 of them in test" in lines
        and "emotion: 2 values, 1 of them in test" in lines
    )
    assert (
        "actors: 2 of 3 are in both, by design: takes are split, so a score says nothing about strangers"
        in lines
    )
    assert (
        "  001: 10 train, 2 test" in lines
        and "  003: 1 train, 0 test" in lines
        and "scenes: 0 of 11 are in both" in lines
    )


def test_a_scene_on_both_sides_is_told_and_is_no_fault(study, capsys):
    names, check = study
    code, lines = check(sides_of(names, ["20260102_001"]), capsys)
    assert code == 0 and "scenes: 1 of 11 are in both" in lines
    assert [
        line
        for line in lines
        if line.startswith(
            "scene 001: recorded more than once, in train and in test: 20260101_001 (train), 20260102_001"
            " (test)"
        )
    ]


def test_uneven_labels_are_told(study, capsys):
    names, check = study
    lines = check(sides_of(names, names[1::2]), capsys)[1]
    assert "relationship 'Friends': 6 of 6 takes in test, its share would be 3.0" in lines
    assert (
        "relationship 'Friends': in test only, no model has seen it" in lines
        and "emotion 'Awe': in test only, no model has seen it" in lines
    )


def test_a_take_on_both_sides_is_a_leak(study, capsys):
    names, check = study
    code, lines = check([*sides_of(names, names[2:4]), (names[2], "train")], capsys)
    assert (
        code == 1
        and lines[0] == "take 20260101_003: leak: got both train and test, need one of them"
        and lines[-1].endswith(": 1 faults")
    )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda sides: sides[1:], "take 20260101_001: got no row, need train or test"),
        (
            lambda sides: [(sides[0][0], "dev"), *sides[1:]],
            "take 20260101_001: got split 'dev', need train or test",
        ),
        (lambda sides: [sides[0], *sides], "take 20260101_001: got 2 rows, need one"),
        (lambda sides: [(name, "train") for name, _ in sides], "test: got no take, need at least one"),
    ],
)
def test_a_take_without_its_side_is_a_fault(study, capsys, change, line):
    names, check = study
    code, lines = check(change(sides_of(names, names[2:4])), capsys)
    assert code == 1 and lines[0] == line


def test_takes_that_are_gone_keep_their_side(study, capsys):
    names, check = study
    code, lines = check([*sides_of(names, names[2:4]), ("20250101_007", "test")], capsys)
    assert code == 0 and lines[-2].startswith("1 takes of") and "such as 20250101_007" in lines[-2]


def test_a_split_that_is_missing_is_one_line(tmp_path, capsys):
    write_tsv(
        tmp_path / "takes.tsv",
        TAKE_COLUMNS,
        [
            dict.fromkeys(TAKE_COLUMNS, "")
            | {"take": "20260101_1", "date": "20260101", "scenario": "1", "actor_a": "1", "actor_b": "2"}
        ],
    )
    refused(
        split_check.main,
        ["--dataset", tmp_path, "--split", tmp_path / "split.tsv"],
        capsys,
        "split.tsv: no such file",
    )
