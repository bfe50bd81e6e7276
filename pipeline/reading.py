"""Doors for files that others wrote.

Opened only where they are plain files of a sane size, and every fault of one is one line.

Whoever reads a file of an input, a download or a model goes through a function of this module, or through a
reader that does (tests/test_doors.py lists them all and finds what goes round them); arrays have theirs in
pipeline.formats.array_files. What a door promises:

- a folder, a pipe or a device in place of the file, a link in a circle, a name that is too long: an
  InputError, no hang;
- no more is held than the file has: a header that claims more than follows it is refused before memory is
  taken;
- whatever the parser of the format throws at bytes that it does not know is an InputError that names the
  file;
- nothing is executed and no other file is opened: no pickle, no link or external storage in HDF5, no view in
  SQLite.

Light: this module is imported while the Snakefile is read.
"""

import contextlib
import json
import math
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, TextIO

from pipeline.errors import InputError

MEBIBYTE = 1 << 20
MOST_TEXT_BYTES = 256 * MEBIBYTE
"""Largest text file that is read at once: a table, a JSON, a transcript.

A day of two people's words has 5 MB.
"""


def line_of(error: BaseException) -> str:
    """What an error says, on one line that is not longer than a reader bears and moves no terminal.

    Its kind where it says nothing.
    """
    said = " ".join("".join(sign if sign.isprintable() else " " for sign in str(error)[:2000]).split())
    return (said if len(said) <= 240 else f"{said[:237]}...") or type(error).__name__


@contextlib.contextmanager
def reading(path: Path, need: str, *, fix: str = "copy or export it again") -> Iterator[None]:
    """Whatever goes wrong while `path` is parsed becomes an InputError.

    `<path>: not a readable <need> (<why>); <fix>`.

    Only the parsing itself belongs inside: a mistake of our own would be called one of the file.
    """
    try:
        yield
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{path}: not a readable {need} (nested too deeply); {fix}") from None
    except MemoryError:
        raise InputError(
            f"{path}: not a readable {need} (it asks for more memory than there is); {fix}"
        ) from None
    except Exception as error:  # bytes from elsewhere: a parser may throw anything
        raise InputError(f"{path}: not a readable {need} ({line_of(error)}); {fix}") from error


def plain(path: Path, *, most: int | None = None) -> os.stat_result:
    """The status of a plain file.

    InputError where there is none, where it is something else, or larger than `most` bytes.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except (
        OSError,
        ValueError,
    ) as error:  # a circle of links, a name too long or with a NUL, a folder that may not be entered
        said = getattr(error, "strerror", None) or line_of(error)
        raise InputError(f"{path!s:.300}: cannot be opened ({said}); check the path") from None
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"{path}: is a folder, need a file; check the path")
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: is a pipe or device, need a plain file; copy the content into one")
    if most is not None and found.st_size > most:
        raise InputError(f"{path}: has {found.st_size:,} bytes, need at most {most:,}; is it the right file?")
    return found


@contextlib.contextmanager
def open_plain(path: Path, *, most: int | None = None) -> Iterator[BufferedReader]:
    """A plain file, opened to read bytes."""
    plain(path, most=most)
    try:
        f = open(path, "rb")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened ({error.strerror}); check the path and who may read it"
        ) from None
    with f:
        yield f


@contextlib.contextmanager
def open_text(path: Path, need: str, *, fix: str = "save it again as UTF-8 text") -> Iterator[TextIO]:
    """A plain file, opened to read UTF-8 text line by line; what goes wrong inside is `reading`'s line."""
    plain(path)
    with reading(path, need, fix=fix), open(path, newline="", encoding="utf-8-sig") as f:
        yield f


def read_bytes(path: Path, *, most: int = MOST_TEXT_BYTES) -> bytes:
    """All bytes of a plain file that is not larger than `most`."""
    with open_plain(path, most=most) as f, reading(path, "file"):
        return f.read()


def read_text(
    path: Path,
    *,
    most: int = MOST_TEXT_BYTES,
    need: str = "text in UTF-8",
    fix: str = "save it again as UTF-8 text",
) -> str:
    """Text of a plain file in UTF-8, with or without a byte order mark; line ends become \\n."""
    content = read_bytes(path, most=most)
    with reading(path, need, fix=fix):
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON; ValueError where a key stands twice, since one of the values would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r:.60} stands twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.40} is larger than numbers go")
    return value


def _whole(text: str) -> int:
    """An integer that 64 bits hold: another would be no float and no element of an array."""
    if len(text) > 20 or not -(2**63) <= (value := int(text)) < 2**63:
        raise ValueError(f"{text:.40} is larger than numbers go")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON")


def _long(text: str) -> int:
    """An integer that is a float at least, as tokenizers have for a length without a limit."""
    if len(text) > 300:
        raise ValueError(f"{text:.40} is larger than numbers go")
    return int(text)


def parse_json(
    text: str | bytes,
    where: str | Path,
    *,
    kind: type | None = None,
    fix: str = "mend or replace the file",
    long: bool = False,
) -> Any:
    """The value of a JSON text.

    InputError for what is none, for keys that stand twice, for numbers without end, and for another `kind`.

    Integers are of 64 bits, or with `long` of 300 digits.
    """
    with reading(Path(where), "JSON", fix=fix):
        value = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_long if long else _whole,
        )
    if kind is not None and not isinstance(value, kind):
        names = {
            dict: "an object",
            list: "a list",
            str: "a text",
            int: "a number",
            float: "a number",
            bool: "true or false",
        }
        raise InputError(f"{where}: got {names.get(type(value), 'null')}, need {names[kind]}; {fix}")
    return value


def read_json(
    path: Path,
    *,
    kind: type | None = None,
    most: int = MOST_TEXT_BYTES,
    fix: str = "mend or replace the file",
    long: bool = False,
) -> Any:
    """The value of a JSON file, as `parse_json`."""
    return parse_json(read_text(path, most=most, need="JSON", fix=fix), path, kind=kind, fix=fix, long=long)


def rows_of(
    path: Path, table: str, columns: list[str], *, most: int = 1_000_000, fix: str = "download it again"
) -> list[tuple]:
    """Rows of a table of a SQLite file, columns by name, in the order of the table.

    InputError where it is no such table.

    The file is neither locked nor written, and nothing is made beside it. A view in place of the table is
    refused: its query would run.
    """
    import sqlite3

    plain(path)
    uri = f"{Path(path).resolve().as_uri()}?mode=ro&immutable=1"  # quotes #, ? and % of the path
    with reading(path, f"SQLite file with a table {table}({', '.join(columns)})", fix=fix):
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 16 * MEBIBYTE)
            connection.execute("PRAGMA trusted_schema = OFF")
            made = connection.execute(
                "SELECT type, sql FROM sqlite_master WHERE name = ?", (table,)
            ).fetchall()
            if not made or made[0][0] != "table" or "VIRTUAL" in str(made[0][1]).upper().split()[:2]:
                raise ValueError(
                    f"{table} is {f'a {made[0][0]} that is computed' if made else 'not there'}, need a plain"
                    " table"
                )
            there = [row[1] for row in connection.execute("SELECT * FROM pragma_table_info(?)", (table,))]
            if missing := [column for column in columns if column not in there]:
                raise ValueError(f"no column {', '.join(missing)}, it has {', '.join(map(str, there))}")
            rows = connection.execute(
                f"SELECT {', '.join(columns)} FROM {table} LIMIT ?", (most + 1,)
            ).fetchall()
            if len(rows) > most:
                raise ValueError(f"more than {most:,} rows")
            return rows


def inside(folder: Path, path: Path, *, what: str) -> Path:
    """`path` where it lies in `folder` once links are followed; InputError where it would lead out of it."""
    try:
        home, target = Path(folder).resolve(), Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a name too long or with a NUL
        raise InputError(
            f"{what} leads nowhere ({line_of(error)}); nothing is read or written there: correct it"
        ) from None
    if target == home or not target.is_relative_to(home):
        raise InputError(
            f"{what} leads to {target}, which is outside {folder}; nothing is read or written there:"
            " correct it"
        )
    return Path(path)
