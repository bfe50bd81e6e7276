"""The code of a stage: which files of the repository can change what it writes, and what they hold.

Light: this module is imported while the Snakefile is read.
"""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("pipeline", "models")
TABLE_SUFFIXES = (".txt", ".tsv", ".json")
CANNOT_CHANGE_RESULTS = ("pipeline.errors", "pipeline.stage", "pipeline.config", "pipeline.planning")
"""Modules, and a room, that are no input of any rule.

Errors, the command line, the config, whose values reach rules as flags, and what is known before any job
runs.
"""


def changes_nothing(module: str) -> bool:
    """Whether an edit of a module can change no file that a stage writes."""
    return any(module == name or module.startswith(f"{name}.") for name in CANNOT_CHANGE_RESULTS)


@cache
def imports(path: Path) -> frozenset[str]:
    """Names of the repository's modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] in PACKAGES)


def module_file(module: str) -> Path | None:
    """The file of a module of the repository; None where it has none, as a package or a name in a module."""
    path = REPOSITORY.joinpath(*module.split(".")).with_suffix(".py")
    return path if path.exists() else None


@cache
def code(module: str) -> list[str]:
    """Files of the repository whose edit can change what `python -m module` writes.

    The module (of a package its `__main__`), all that it imports, and the tables that bear the name of one of
    these.
    """
    seen: dict[str, Path] = {}
    waiting = [module, f"{module}.__main__"]
    while waiting:
        name = waiting.pop()
        path = module_file(name)
        if name in seen or changes_nothing(name) or path is None:
            continue
        seen[name] = path
        waiting += sorted(imports(path))
    tables = [
        table
        for path in seen.values()
        for suffix in TABLE_SUFFIXES
        if (table := path.with_suffix(suffix)).exists()
    ]
    return sorted(str(path.relative_to(REPOSITORY)) for path in (*seen.values(), *tables))


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
