import errno
import hashlib
import logging
import os
import random
import shutil
import subprocess
import sys

import pytest

from pipeline.errors import InputError
from pipeline.files import alone_in, one_line, read_tsv, sha256, whole, write_csv, write_json, write_tsv
from pipeline.reading import read_json


def test_whole_makes_folders_and_keeps_the_suffix(tmp_path):
    path = tmp_path / "new" / "x.wav"
    with whole(path) as temporary:
        assert temporary.suffix == ".wav" and temporary.parent == path.parent and temporary != path
        temporary.write_text("content")
        assert not path.exists()
    assert path.read_text() == "content" and list(path.parent.iterdir()) == [path]


def test_whole_leaves_the_old_file_on_an_error(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "free", "full"),
    [
        (OSError(errno.ENOSPC, "no room"), 10**9, True),
        (OSError(errno.EDQUOT, "over the quota"), 10**9, True),
        (
            RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
            10**9,
            True,
        ),
        (OSError("100 requested and 12 written"), 4096, True),
        (OSError("100 requested and 12 written"), 10**9, False),
        (OSError(errno.EACCES, "not yours"), 10**9, False),
        (InputError("take 1: too short"), 0, False),
    ],
)
def test_a_full_disk_is_a_line_whatever_library_meets_it(error, free, full, tmp_path, monkeypatch):
    path = tmp_path / "x.h5"
    path.write_text("old")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=free))
    with pytest.raises(Exception) as raised, whole(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    if full:
        line = str(raised.value)
        assert (
            type(raised.value) is InputError
            and "x.h5: No space left on device, " in line
            and "make room" in line
        )
    else:
        assert raised.value is error


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "x.json").mkdir()
    (tmp_path / "plain").write_text("")
    with pytest.raises(InputError, match=r"x\.json: is a folder, need the name of a file to write"):
        write_json(tmp_path / "x.json", {})
    for path in (tmp_path / "plain" / "y.json", tmp_path / "plain" / "deep" / "y.json"):
        with pytest.raises(InputError, match=r"plain is a file, need a folder there"):
            write_json(path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "x.json"]


def test_whole_files_are_readable_as_others_are(tmp_path):
    (tmp_path / "plain").write_text("")
    with whole(tmp_path / "x") as temporary:
        temporary.write_text("")
    assert os.stat(tmp_path / "x").st_mode == os.stat(tmp_path / "plain").st_mode


def test_json_round_trip_is_sorted_and_refuses_nan(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"b": [1.5, None], "a": "é"})
    assert read_json(path) == {"a": "é", "b": [1.5, None]} and path.read_text().index(
        '"a"'
    ) < path.read_text().index('"b"')
    with pytest.raises(ValueError):
        write_json(tmp_path / "nan.json", float("nan"))
    assert not (tmp_path / "nan.json").exists()


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe\x00garbage", b"[1, 2"])
def test_bad_json_is_named(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match="x.json: not a readable JSON") as error:
        read_json(tmp_path / "x.json")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", [read_json, read_tsv])
def test_missing_files_are_named(tmp_path, read):
    with pytest.raises(InputError, match="gone: no such file"):
        read(tmp_path / "gone")


def test_tsv_round_trip(tmp_path):
    rows = [{"a": "1", "b": "été"}, {"a": "", "b": 'with "quotes", comma'}]
    write_tsv(tmp_path / "x.tsv", ["a", "b"], rows)
    assert read_tsv(tmp_path / "x.tsv") == (["a", "b"], rows)


def test_tsv_of_a_spreadsheet(tmp_path):
    (tmp_path / "x.tsv").write_bytes("\ufeffa\tb\r\n1\t2\r\n3\r\n\r\n\r\n".encode())
    assert read_tsv(tmp_path / "x.tsv") == (["a", "b"], [{"a": "1", "b": "2"}, {"a": "3", "b": ""}])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tsv_in_the_encodings_of_spreadsheets(tmp_path, encoding, end):
    (tmp_path / "x.tsv").write_bytes(end.join(["a\tb", "1\tété", "2\t", ""]).encode(encoding))
    assert read_tsv(tmp_path / "x.tsv") == (["a", "b"], [{"a": "1", "b": "été"}, {"a": "2", "b": ""}])


def test_quotation_marks_are_text_and_swallow_no_row(tmp_path):
    cells = ['"I quit, she says', '"No!" he cries', '"', '""', 'a "b"', "x"]
    (tmp_path / "x.tsv").write_text("a\tb\n" + "".join(f"{i}\t{cell}\n" for i, cell in enumerate(cells)))
    assert [row["b"] for row in read_tsv(tmp_path / "x.tsv")[1]] == cells


def test_quotation_marks_of_a_spreadsheet_are_told(tmp_path, caplog):
    (tmp_path / "x.tsv").write_text('a\tb\n1\t"Lord, but I am glad"\n2\t"she said ""no"""\n3\t"plain"\n')
    assert [row["b"] for row in read_tsv(tmp_path / "x.tsv")[1]] == [
        '"Lord, but I am glad"',
        '"she said ""no"""',
        '"plain"',
    ]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "line 2, column b" in told[0] and "line 3, column b" in told[1]


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\rb", "\x00", "\x85", "\u2029", "x" * 100_001])
def test_a_text_that_no_table_holds_is_refused_by_the_writer(tmp_path, text):
    with pytest.raises(InputError, match=r"x\.tsv, row 2, column a: got"):
        write_tsv(tmp_path / "x.tsv", ["a"], [{"a": text}])
    assert not list(tmp_path.iterdir())
    cell = one_line(text)[:100_000]
    write_tsv(tmp_path / "x.tsv", ["a", "b"], [{"a": cell, "b": "1"}])
    assert read_tsv(tmp_path / "x.tsv")[1] == [{"a": cell, "b": "1"}]


def test_every_cell_comes_back(tmp_path):
    rng = random.Random(0)
    letters = "a\"',;|\\=+-@ \u00e9\u4e2d\U0001f600\ufeff#"
    rows = [{"a": str(i), "b": "".join(rng.choices(letters, k=rng.randrange(12)))} for i in range(500)]
    write_tsv(tmp_path / "x.tsv", ["a", "b"], rows)
    assert read_tsv(tmp_path / "x.tsv") == (["a", "b"], rows)


def test_formulas_of_a_spreadsheet_are_text_in_results(tmp_path):
    rows = [{"a": text} for text in ("=1+1", "+cmd", "-rm", "@sum", "-1.5", "x", "+3")] + [{"a": -2.5}, {}]
    write_csv(tmp_path / "x.csv", ["a"], rows)
    assert (tmp_path / "x.csv").read_text().splitlines() == [
        "a",
        "'=1+1",
        "'+cmd",
        "'-rm",
        "'@sum",
        "-1.5",
        "x",
        "+3",
        "-2.5",
        '""',
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"a\tb\n1\t2\t3\n", "line 2: got 3 cells, need 2"),
        (b"a\tb\n1\t2\n\n3\t4\n", "line 3: empty row between rows"),
        (b"a\ta\n1\t2\n", "column 'a' stands twice"),
        (b"a\tb\n\xe9\t2\n", "UTF-8"),
        (bytes(range(64, 128)) + b"\xff\xff", "line 1: byte 0xff is no UTF-8"),
        (b"a\tb\n1\t2\n3\tJos\xe9\n", "line 3: byte 0xe9 is no UTF-8"),
        ("a\tb\n".encode("utf-16")[:-1], "is no UTF-16"),
        (b"a;b\n1;2\n", "columns are separated by semicolons, need tabs"),
        (b"a,b\n1,2\n", "columns are separated by commas, need tabs"),
        (b"a\tb\n1\t2\r3\n", "line 2, column b: got the control character '\\r' after '2'"),
        (b"a\tb\n1\t2\x003\n", "line 2, column b: got the control character '\\x00'"),
        (b"a\tb\n1\t\x1b[31m\n", "line 2, column b: got the control character '\\x1b'"),
        ("a\tb\n1\tx\u2028y\n".encode(), "line 2, column b: got the control character '\\u2028'"),
        (
            b"a\tb\n1\t" + b"x" * 100_001 + b"\n",
            "line 2, column b: got 100,001 characters, need at most 100,000",
        ),
    ],
)
def test_bad_tables_are_named(tmp_path, content, message):
    (tmp_path / "x.tsv").write_bytes(content)
    with pytest.raises(InputError, match="x.tsv") as error:
        read_tsv(tmp_path / "x.tsv")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_sha256_is_that_of_the_bytes(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(content)
    assert sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from pipeline.files import whole
with whole(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "x.json"
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(path)], check=False)
    assert [left.read_text() for left in tmp_path.iterdir()] == ["half"] and not path.exists()
    with whole(path) as mine, whole(path) as other:  # a writer that lives keeps its file
        assert mine.exists() and other.exists()
        mine.write_text("1")
        other.write_text("2")
    assert [left.name for left in tmp_path.iterdir()] == ["x.json"]


def test_a_second_process_waits_for_the_first(tmp_path):
    script = "import logging, sys; from pathlib import Path; from pipeline.files import alone_in\n"
    script += "with alone_in(Path(sys.argv[1]), logging.getLogger()): print('in')"
    with alone_in(tmp_path, logging.getLogger()):
        second = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=1.5)
    assert second.communicate(timeout=20)[0] == "in\n"


def test_a_file_system_without_locks_is_said_and_used(tmp_path, monkeypatch, caplog):
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refused)
    with alone_in(tmp_path, logging.getLogger()):
        [record] = caplog.records
        assert f"{tmp_path}: cannot be locked (No locks available)" in record.getMessage()
