"""What our writer of tables accepts our reader gives back as it was, whatever the text.

What it does not accept is one line.
"""

import random
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.files import MOST_CELL, one_line, read_tsv, write_tsv
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.formats.takes import read_takes

PIECES = [
    '"', '""', "'", ",", ";", "|", "\\", "=1+1", "-", "+", "@", "#", " ", "  ", "\t", "\n", "\r", "\r\n",
    "\x00", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\ufeff", "\u00a0", "\u3000", "\u00e9",
    "e\u0301", "\U0001f600", "\ud800", "\x7f", "\x1b", "word", "0", "NA", "null", "x" * 50, "",
]  # fmt: skip


def test_what_is_written_is_read_back(tmp_path):
    rng, path, taken, refused = random.Random(0), tmp_path / "x.tsv", 0, 0
    for _ in range(3000):
        columns = ["a", "b", "c"][: rng.randint(1, 3)]
        rows = [
            {name: "".join(rng.choices(PIECES, k=rng.randint(0, 2))) for name in columns}
            for _ in range(rng.randint(0, 2))
        ]
        if rng.random() < 0.5:
            rows = [
                {name: one_line(cell.replace("\ud800", "")) for name, cell in row.items()} for row in rows
            ]
        try:
            write_tsv(path, columns, rows)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and str(error).startswith(f"{path}, row ")
            continue
        taken += 1
        assert read_tsv(path) == (columns, rows)
    assert taken > 500 and refused > 500


@pytest.mark.parametrize("length", [131_072, 200_000])
def test_a_cell_that_is_too_long_is_refused_by_the_writer_too(tmp_path, length):
    with pytest.raises(
        InputError, match=f"row 2, column a: got {length:,} characters, need at most {MOST_CELL:,}"
    ):
        write_tsv(tmp_path / "x.tsv", ["a"], [{"a": "x" * length}])
    assert not (tmp_path / "x.tsv").exists()


def three_takes(texts):
    rows = []
    for i, text in enumerate(texts, 1):
        row = {
            "take": f"20260101_{i:03d}",
            "date": "20260101",
            "scenario": f"{i:03d}",
            "actor_a": "001",
            "actor_b": "002",
        }
        rows.append(row | {"scenario_design": text, "split": "train" if i < 3 else "test"})
    return (
        "\n".join(
            ["\t".join(TAKE_COLUMNS)]
            + ["\t".join(row.get(column, "") for column in TAKE_COLUMNS) for row in rows]
        )
        + "\n"
    )


@pytest.mark.parametrize(
    "save",
    [
        lambda t: t.encode(),
        lambda t: t.encode("utf-8-sig"),
        lambda t: t.encode("utf-16"),
        lambda t: t.replace("\n", "\r\n").encode(),
        lambda t: t.replace("\n", "\r").encode(),
    ],
)
def test_a_quotation_mark_swallows_no_row(tmp_path, save):
    texts = ['"No!" she says', '"', 'the last "word"']
    (tmp_path / "takes.tsv").write_bytes(save(three_takes(texts)))
    takes = read_takes(tmp_path / "takes.tsv")
    assert [(take.name[-3:], take.row["split"], take.row["scenario_design"]) for take in takes] == [
        ("001", "train", texts[0]), ("002", "train", texts[1]), ("003", "test", texts[2]),
    ]  # fmt: skip


def test_the_input_of_the_field(request):
    folder = Path(request.config.rootpath).parent / "shared/field/tsv-quote"
    found = sorted(folder.rglob("takes.tsv")) if folder.is_dir() else []
    if not found:
        pytest.skip("the inputs of the field are not here")
    takes = read_takes(found[0])
    assert [(take.name.split("_")[1], take.row["split"]) for take in takes] == [
        ("001", "train"),
        ("002", "train"),
        ("003", "test"),
    ]
