"""The paths of a config: spelt as Snakemake is to know them, and checked before any job.

Light: this module is imported while the Snakefile is read.
"""

import os
import re
from pathlib import Path

from pipeline import config
from pipeline.errors import InputError
from pipeline.planning.code import REPOSITORY

PATHS = ("root", "shoot", "dataset", "rig")
"""Keys of the config whose values are paths."""
WRITTEN = ("annotations", "features", "shards", "lip_shards", "runs", "results", "logs", "timings")
"""Folders under root that a study writes, whatever its dataset comes from."""


def spelled(path: str) -> str:
    """One spelling of a path that Snakemake is to know again.

    No slashes or dots to spare, and from here where it lies below here.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    path = ("/" if path.startswith("/") else "") + "/".join(parts) or "."
    here = f"{os.getcwd()}/"
    return path.removeprefix(here)


def check_paths(parsed: config.Config) -> None:
    """InputError for a path that Snakemake would not take as it is written.

    It is in the config, or of the repository.
    """
    if "{" in str(REPOSITORY) or "}" in str(REPOSITORY):
        raise InputError(
            f"{REPOSITORY}: braces in this path stand for wildcards in Snakemake; move or rename the folder"
            " of the repository"
        )
    for name in PATHS:
        value = getattr(parsed, name)
        if value and value.startswith("~"):
            raise InputError(
                f"config: {name} {value!r}: a shell does not put your home folder in place of that ~; write"
                " the path in full"
            )
    root = Path(parsed.root)
    if blocked := next(
        (folder for folder in root.parents if os.path.lexists(folder) and not folder.is_dir()), None
    ):
        raise InputError(f"config: root {root}: {blocked} is no folder; set another root")
    for folder in (root, *(root / name for name in ("dataset", *WRITTEN))):
        if os.path.lexists(folder) and not folder.is_dir():
            raise InputError(
                f"config: {folder} is {'a link to nothing' if folder.is_symlink() else 'a file'}, need a"
                " folder there; set another root"
            )
    for section in (parsed, parsed.body, parsed.separation, parsed.transcripts):
        for name, value in section:
            if isinstance(value, str) and (odd := re.search(r"[{}\x00-\x1f\x7f]", value)):
                raise InputError(
                    f"config: {name} {value!r} has {odd[0]!r}, which stands for a wildcard or ends a line in"
                    " Snakemake; rename the folder or file"
                )


def need_all(paths: list[str], key: str, hint: str) -> None:
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        raise InputError(
            f"config: {key} needs {missing[0]}, which is not"
            f" there{f' (and {len(missing) - 1} more)' if missing[1:] else ''}; {hint}"
        )
