"""The code of a stage as inputs of its rule, and what it holds.

Light: this module is imported while the Snakefile is read.
"""

import hashlib
import json
from functools import cache
from pathlib import Path

from pipeline.source import PACKAGES, REPOSITORY, TABLE_SUFFIXES, changes_nothing, closure


def code(*modules: str, sampling: bool = True) -> list[str]:
    """Files whose edit can change what `python -m module` writes: pipeline.source.closure."""
    return [str(path.relative_to(REPOSITORY)) for path in closure(*modules, sampling=sampling)]


@cache
def content(path: str) -> str | None:
    """Digest of a file of the repository, by its path within it; None for any other."""
    file = REPOSITORY / path
    inside = not path.startswith("/") and path.split("/")[0] in PACKAGES and file.is_file()
    return hashlib.sha256(file.read_bytes()).hexdigest() if inside else None


@cache
def all_code() -> str:
    """Digest of all code and tables that can change what a stage writes."""
    files = [path for name in PACKAGES for path in sorted(Path(REPOSITORY, name).rglob("*"))]
    files = [path for path in files if path.suffix in (".py", *TABLE_SUFFIXES)]
    names = [str(path.relative_to(REPOSITORY)) for path in files]
    known = {
        name: content(name)
        for name in names
        if not changes_nothing(name.removesuffix(".py").replace("/", "."))
    }
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]
