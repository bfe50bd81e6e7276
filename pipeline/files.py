"""Files written whole or not at all, and the small text tables that stages share."""

import csv
import glob
import hashlib
import json
import logging
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import InputError


def need_file(path: Path) -> None:
    """InputError where a file that is to be written has a folder's name, or a file's name in place of a folder on its way."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder, need the name of a file to write; correct the command")
    blocked = next((parent for parent in path.parents if parent.exists() and not parent.is_dir()), None)
    if blocked:
        raise InputError(f"{path}: {blocked} is a file, need a folder there; correct the command")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on an error it is removed.

    The temporary file is created with `path`'s suffix, so that writers which look at it work. What a killed process of
    this machine left behind for the same path is removed first.
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
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def give_name(path: Path, make: Callable[[Path], object]) -> None:
    """Let `make` create a link at a free name beside `path`, which it then replaces; what it leads to is not touched.

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
    """Hold a folder for this process; another one that wants it waits. The system lets go when the process ends, however."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: another process works here, waiting for it", folder)
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


def write_json(path: Path, value) -> None:
    """Write `value` as indented JSON with sorted keys; NaN is refused, since JSON has none."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path):
    """Parse a JSON file; an unreadable one is an InputError that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path}: no such file; check the path") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); mend or replace the file") from None


def write_tsv(path: Path, columns: list[str], rows: list[dict]) -> None:
    """Write a table of strings with a header row, tab separated."""
    with whole(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, columns, delimiter="\t", lineterminator="\n", extrasaction="raise")
        writer.writeheader()
        writer.writerows(rows)


def write_csv(path: Path, columns: list[str], rows: list[dict]) -> None:
    """Write a table of strings with a header row, comma separated, as results have it."""
    with whole(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, columns, lineterminator="\n", extrasaction="raise")
        writer.writeheader()
        writer.writerows(rows)


def read_tsv(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows of a tab-separated table; a row of another width is an InputError."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as f:
            lines = list(csv.reader(f, delimiter="\t"))
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"{path}: no such file; check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a tab-separated table in UTF-8 ({error}); save it again as UTF-8 text") from None
    if not lines:
        raise InputError(f"{path}: empty file, need a header row")
    columns, rows = lines[0], []
    if len(set(columns)) != len(columns):
        twice = sorted({column for column in columns if columns.count(column) > 1})
        raise InputError(f"{path}: column {', '.join(twice)} stands twice; remove one")
    for number, cells in enumerate(lines[1:], 2):
        if not any(cells):
            if any(map(any, lines[number:])):
                raise InputError(f"{path}, line {number}: empty row between rows; remove it")
            break
        if len(cells) > len(columns):
            raise InputError(f"{path}, line {number}: got {len(cells)} cells, need {len(columns)}; columns are separated by one tab")
        rows.append(dict(zip(columns, cells + [""] * (len(columns) - len(cells)))))
    return columns, rows


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
