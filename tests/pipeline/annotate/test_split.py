import subprocess
import sys

import pytest

from pipeline.annotate import split
from pipeline.annotate.split import assign
from pipeline.errors import InputError
from pipeline.files import read_tsv, write_tsv
from pipeline.formats.tables import TAKE_COLUMNS

SHARE = 33 / 241


def takes(n, kinds=8):
    return [
        {"take": f"2026_{i:03d}", "relationship": f"r{i % kinds}", "emotion": f"e{i % 7}", "split": ""}
        for i in range(n)
    ]


def held_out(result):
    return {take for take, value in result.items() if value == "test"}


def test_share_of_the_paper():
    result = assign(takes(241), {}, test_share=SHARE, seed=0)
    assert len(held_out(result)) == 33 and list(result) == [row["take"] for row in takes(241)]


@pytest.mark.parametrize("n, expected", [(1, 0), (2, 1), (3, 1), (8, 1), (15, 2)])
def test_at_least_one_of_each(n, expected):
    assert len(held_out(assign(takes(n), {}, test_share=SHARE, seed=0))) == expected
    assert len(held_out(assign(takes(n), {}, test_share=0.999, seed=0))) == max(n - 1, 0)


def test_every_relationship_and_emotion_gives_its_share():
    rows = [
        {"take": f"{r}{e}{i}", "relationship": r, "emotion": e}
        for r in "abcd"
        for e in "xyz"
        for i in range(10)
    ]
    held = held_out(assign(rows, {}, test_share=0.2, seed=3))
    assert {sum(take.startswith(r + e) for take in held) for r in "abcd" for e in "xyz"} == {2}


def test_seed_decides_and_order_of_rows_does_not():
    one = assign(takes(100), {}, test_share=SHARE, seed=0)
    assert assign(takes(100)[::-1], {}, test_share=SHARE, seed=0) == one
    assert assign(takes(100), {}, test_share=SHARE, seed=1) != one


def test_old_takes_stay_when_new_ones_come():
    first = assign(takes(50), {}, test_share=SHARE, seed=0)
    second = assign(takes(120), first, test_share=SHARE, seed=0)
    assert all(second[take] == value for take, value in first.items())
    assert len(held_out(second)) == round(SHARE * 120)
    assert assign(takes(20), second, test_share=SHARE, seed=9) == {
        row["take"]: second[row["take"]] for row in takes(20)
    }


def test_the_given_column_wins():
    rows = takes(20)
    rows[3]["split"], rows[4]["split"] = "test", "train"
    result = assign(rows, {rows[3]["take"]: "train"}, test_share=SHARE, seed=0)
    assert (
        result[rows[3]["take"]] == "test"
        and result[rows[4]["take"]] == "train"
        and len(held_out(result)) == 3
    )


@pytest.mark.parametrize("given, frozen", [("val", {}), ("", {"2026_000": "dev"})])
def test_unknown_split(given, frozen):
    rows = takes(2)
    rows[0]["split"] = given
    with pytest.raises(InputError, match="take 2026_000: split is '(val|dev)', need train, test or empty"):
        assign(rows, frozen, test_share=SHARE, seed=0)


def write_takes(path, names):
    rows = [
        dict.fromkeys(TAKE_COLUMNS, "")
        | dict(zip(("date", "scenario"), name.split("_"), strict=True))
        | {
            "take": name,
            "actor_a": "001",
            "actor_b": "002",
        }
        for name in names
    ]
    write_tsv(path, TAKE_COLUMNS, rows)


def test_command_line_freezes(tmp_path):
    names = [f"20260101_{i:03d}" for i in range(12)]
    table, out = tmp_path / "takes.tsv", tmp_path / "split.tsv"
    write_takes(table, names[4:])
    split.main(["--takes", str(table), "--out", str(out), "--seed", "0"])
    first = {row["take"]: row["split"] for row in read_tsv(out)[1]}
    write_takes(table, names)
    split.main(["--takes", str(table), "--out", str(out), "--seed", "1"])
    second = {row["take"]: row["split"] for row in read_tsv(out)[1]}
    assert set(second) == set(names) and all(second[take] == value for take, value in first.items())


def test_light_to_import():
    code = (
        "import sys, pipeline.annotate.split, pipeline.shards.plan; print(sorted({'numpy', 'pydantic',"
        " 'yaml', 'h5py'} & set(sys.modules)))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_no_model_learns_from_test_actors():
    rows = [row | {"actor_a": f"{i % 4}", "actor_b": "9"} for i, row in enumerate(takes(24))]
    result = assign(rows, {}, test_share=0.1, seed=0, test_actors=["3"])
    assert held_out(result) == {row["take"] for row in rows if row["actor_a"] == "3"}
    more = assign(rows, {}, test_share=0.5, seed=0, test_actors=["3"])
    assert held_out(result) < held_out(more) and len(held_out(more)) == 12


@pytest.mark.parametrize(
    "actors, frozen, said",
    [
        (["7"], {}, "no take with actor '7'; the actors are 0, 1"),
        (
            ["0"],
            {"2026_000": "train"},
            "take 2026_000: is train, and its actor 0 is one of",
        ),
        (["0", "1"], {}, "each take has one of them"),
    ],
)
def test_test_actors_that_cannot_be(actors, frozen, said):
    rows = [row | {"actor_a": "0", "actor_b": "1"} for row in takes(3)]
    with pytest.raises(InputError, match=said):
        assign(rows, frozen, test_share=SHARE, seed=0, test_actors=actors)
