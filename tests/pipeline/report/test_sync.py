import csv

from helpers.tiny_shoot import ACTORS

from pipeline.report import sync


def call(arguments) -> None:
    sync.main([str(argument) for argument in arguments])


def test_sync_rows_say_what_lies_outside_the_window(captured, tmp_path):
    files = sorted((captured / "annotations" / "sync").glob("*.json"))
    out, page = tmp_path / "sync.csv", tmp_path / "sync.html"
    table = captured / "dataset" / "takes.tsv"
    call(["--takes", table, "--sync", files[0].parent, "--out", out, "--out-page", page])
    with open(out, newline="") as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0]) == sync.SYNC_COLUMNS and len(rows) == 6 * len(files) == page.read_text().count(
        "<tr><td>"
    )
    for path in files:
        mine = [row for row in rows if row["take"] == path.stem]
        assert {(row["actor"], row["stream"]) for row in mine} == {
            (a, s) for a in ACTORS for s in ("body", "face", "audio")
        }
        # one stream begins the window and one ends it, less than a frame later
        assert min(float(row["before_ms"]) for row in mine) == 0
        assert 0 <= min(float(row["after_ms"]) for row in mine) < 1000 / 30
        assert {row["dropped"] for row in mine if row["stream"] == "face"} == {"1"}
        assert {row["dropped"] for row in mine if row["stream"] != "face"} == {""}
