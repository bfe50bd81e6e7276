"""Files of a folder that others filled.

One rule for all readers of what is a file of theirs and what a system left there.

A Mac leaves `._<name>` beside every file that it copies to a disk of another system, `.DS_Store` and
`__MACOSX`; Windows leaves Thumbs.db and desktop.ini. They end like the files beside them (`._x.bvh`) and are
none. They are never read, linked, copied or removed; whoever checks a folder says how many there are.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.errors import InputError

LEFTOVERS = {
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "__macosx",
    "icon\r",
    "$recycle.bin",
    "system volume information",
}
"""Names, in lower case, of what systems leave in folders.

All names that begin with a dot are left out as well.
"""


def is_leftover(path: Path) -> bool:
    """Whether a file or folder is hidden or was left by a system, by its own name."""
    return path.name.startswith(".") or path.name.lower() in LEFTOVERS


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(Path(folder, name) for name in os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be listed ({error.strerror}); check the path and who may read it"
        ) from None


def files_in(folder: Path, ending: str = "") -> list[Path]:
    """Files and folders of a folder whose names end with `ending`, by name, without leftovers.

    None where there is no such folder.
    """
    return [path for path in _entries(folder) if path.name.endswith(ending) and not is_leftover(path)]


def files_below(folder: Path) -> list[Path]:
    """Files of a folder and of the folders in it, by path, without leftovers.

    Links to folders are not followed.
    """
    found: list[Path] = []
    for path in files_in(folder):
        if path.is_dir():
            found += [] if path.is_symlink() else files_below(path)
        elif path.is_file():
            found.append(path)
    return sorted(found)


def leftovers(folders: Iterable[Path]) -> Iterator[Path]:
    """Hidden files and what systems left directly in folders, by path."""
    for folder in folders:
        yield from (path for path in _entries(folder) if is_leftover(path))
