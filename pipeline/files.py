"""Files written whole or not at all, and the small text tables that stages share."""

import csv
import errno
import glob
import hashlib
import json
import logging
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import InputError
from pipeline.reading import open_plain, read_bytes


def need_file(path: Path) -> None:
    """InputError where a file to write has a folder's name, or a file stands in place of its folder."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder, need the name of a file to write; correct the command")
    blocked = next((parent for parent in path.parents if parent.exists() and not parent.is_dir()), None)
    if blocked:
        raise InputError(f"{path}: {blocked} is a file, need a folder there; correct the command")


log = logging.getLogger("interact")
ALMOST_NOTHING = 65536
"""Bytes free at which a disk is full, whatever a library says: NumPy counts what it wrote, and libsndfile and
SQLite have words of their own."""


def _sync(path: Path) -> None:
    """Wait until what was written to a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on an error it is removed.

    The temporary file is created with `path`'s suffix, so that writers which look at it work. What a killed
    process of this machine left behind for the same path is removed first. InputError where the disk is full,
    however the library that writes says it. A `durable` file is on the disk
    before it has its name, and its name is before this ends: a power cut leaves the old file or the new one,
    never an empty one.
    """
    path = Path(path)
    need_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f".{path.stem}-{platform.node()}-"
    for left in path.parent.glob(f"{glob.escape(own)}*{glob.escape(path.suffix)}"):
        pid = left.name.removeprefix(own).split("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{own}{os.getpid()}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # mkstemp makes private files
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
        if durable:
            _sync(path.parent)
    except InputError:
        raise
    except Exception as error:
        free = shutil.disk_usage(path.parent).free
        if not _says_full(error) and free > ALMOST_NOTHING:
            raise
        raise InputError(
            f"{path}: {os.strerror(errno.ENOSPC)}, {free / 1e6:.1f} MB free beside what was written of it,"
            " which is removed; make room there, and run it again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _says_full(error: Exception) -> bool:
    """Whether an error says that a disk, or the user's share of it, is full; some libraries only quote it."""
    full = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in full or any(os.strerror(number) in str(error) for number in full)


def give_name(path: Path, make: Callable[[Path], object]) -> None:
    """Let `make` create a link at a free name beside `path`, which it then replaces.

    What it leads to is not touched.

    `whole` would not do: it sets the mode of what a link leads to.
    """
    path = Path(path)
    need_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{platform.node()}-{os.getpid()}-link{path.suffix}")
    temporary.unlink(missing_ok=True)
    try:
        make(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process
        return True
    return True


@contextmanager
def alone_in(folder: Path, log: logging.Logger) -> Iterator[None]:
    """Hold a folder for this process; another one that wants it waits.

    The system lets go when the process ends, however.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "wb") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: another process works here, waiting for it", folder)
            fcntl.flock(f, fcntl.LOCK_EX)
        except OSError as error:  # a file system without locks
            log.warning(
                "%s: cannot be locked (%s); see to it that nothing else works here", folder, error.strerror
            )
        yield


def write_json(path: Path, value, *, durable: bool = False) -> None:
    """Write `value` as indented JSON with sorted keys; NaN is refused, since JSON has none.

    `durable` as `whole` has it.
    """
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
    with whole(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MOST_CELL = 100_000
"""Characters of a cell: a scene's description has some thousand."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet takes for a formula."""


def one_line(text: str) -> str:
    """A text of elsewhere as a cell can hold it.

    Every run of white space and control characters is one space, none at the ends.
    """
    return " ".join(_CONTROL.sub(" ", text).split())


def fault_of_cell(text: str) -> str | None:
    """What keeps a text from being a cell of a table, None where nothing does."""
    if len(text) > MOST_CELL:
        return f"{len(text):,} characters, need at most {MOST_CELL:,}"
    if found := _CONTROL.search(text):
        return (
            f"the control character {found[0]!r} after {text[: found.start()][-20:]!r}, need text on one line"
        )
    if any("\ud800" <= mark <= "\udfff" for mark in text):
        return "half of a surrogate pair, which UTF-8 cannot hold, need text"
    return None


def write_tsv(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    """Write a table of texts with a header row by the one rule for tables (docs/shoot.md).

    Tab separated, UTF-8, no quoting.

    InputError names row and column of a text that such a table cannot hold.
    """
    lines = ["\t".join(columns)]
    for number, row in enumerate(rows, 2):
        if row.keys() != set(columns):
            raise ValueError(f"{path}, row {number}: columns {', '.join(row)}, need {', '.join(columns)}")
        for column in columns:
            if fault := fault_of_cell(row[column]):
                raise InputError(
                    f"{path}, row {number}, column {column}: got {fault}; correct it where it comes from"
                )
        if not any(row.values()):
            raise InputError(
                f"{path}, row {number}: got an empty row, need a cell with text, since readers take it for"
                " the end; leave it out"
            )
        lines.append("\t".join(row[column] for column in columns))
    with whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")


def _plain_cell(value: object) -> object:
    """A value of a CSV.

    A text that a spreadsheet would run as a formula gets an apostrophe before it, as spreadsheets do.
    """
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(_FORMULA) and not is_number(value)
        else value
    )


def is_number(text: str) -> bool:
    """Whether a text is a number as Python reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def write_csv(path: Path, columns: list[str], rows: list[dict]) -> None:
    """Write a table with a header row, comma separated and quoted where needed, as results have it.

    What a row lacks is empty.
    """
    with whole(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, columns, lineterminator="\n", extrasaction="raise", restval="")
        writer.writeheader()
        writer.writerows({column: _plain_cell(value) for column, value in row.items()} for row in rows)


def _table_text(path: Path) -> str:
    """Text of a table in UTF-8, or in UTF-16 with a byte order mark as spreadsheets write `Unicode text`."""
    content = read_bytes(path)
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}: byte {content[error.start]:#04x} is no"
            f" {encoding.removesuffix('-sig').upper()}; save it again as UTF-8 text"
        ) from None


def _header(path: Path, line: str) -> list[str]:
    """Names of the columns; InputError where something else than tabs separates them, or one stands twice."""
    columns = line.split("\t")
    other = next(
        (name for mark, name in ((";", "semicolons"), (",", "commas"), ("|", "bars")) if mark in line), None
    )
    if len(columns) == 1 and other:
        raise InputError(
            f"{path}: columns are separated by {other}, need tabs; save the table again as tab-separated text"
        )
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise InputError(f"{path}: column {', '.join(map(repr, twice))} stands twice; remove one")
    return columns


def read_tsv(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows of a table by the one rule for tables (docs/shoot.md).

    Tab separated, UTF-8, no quoting, a row a line.

    Every line is a row and every character of a cell is text, quotation marks too. Lines end with LF or CR
    LF, or all with CR. Cells that are missing at the end of a row are empty. InputError names line and column
    of a cell that no table holds, and the line of a row that is too long or of an empty one between rows.
    """
    text = _table_text(path).replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    lines = text.split("\n")
    while lines and not lines[-1].strip("\t"):
        lines.pop()
    if not lines:
        raise InputError(f"{path}: empty file, need a header row")
    columns, rows = _header(path, lines[0]), []
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if not any(cells):
            raise InputError(f"{path}, line {number}: empty row between rows; remove it")
        if len(cells) > len(columns):
            if any(cells[len(columns) :]):
                raise InputError(
                    f"{path}, line {number}: got {len(cells)} cells, need {len(columns)}; columns are"
                    " separated by one tab"
                )
            del cells[len(columns) :]  # a spreadsheet's empty columns
        for column, cell in zip(columns, cells):
            if fault := fault_of_cell(cell):
                raise InputError(f"{path}, line {number}, column {column}: got {fault}; correct the cell")
            if len(cell) > 2 and cell[0] == cell[-1] == '"' and ('""' in cell[1:-1] or "," in cell):
                log.warning(
                    "%s, line %d, column %s: the quotation marks around the cell are taken as text;"
                    " if a spreadsheet added them, remove them",
                    path,
                    number,
                    column,
                )
        rows.append(dict(zip(columns, cells + [""] * (len(columns) - len(cells)))))
    return columns, rows


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    with open_plain(path) as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


SAMPLED_BYTES, BLOCKS, BLOCK_BYTES = 1 << 20, 16, 64 << 10


def fingerprint(path: Path) -> str:
    """SHA-256 over a file's size and its content.

    A file larger than 1 MiB gives 16 evenly spaced blocks, first and last too.

    It tells one recording from another without reading gigabytes; a change of some bytes in a large file may
    pass unseen.
    """
    with open_plain(path) as f:
        size = os.fstat(f.fileno()).st_size
        digest = hashlib.sha256(f"{size} ".encode())
        if size <= SAMPLED_BYTES:
            digest.update(f.read())
        else:
            for i in range(BLOCKS):
                f.seek((size - BLOCK_BYTES) * i // (BLOCKS - 1))
                digest.update(f.read(BLOCK_BYTES))
    return digest.hexdigest()
