"""What code a command runs: the repository's files that a module imports, and a digest that no comment
changes.

Light: planning and training both ask.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "models")
TABLE_SUFFIXES = (".txt", ".tsv", ".json")
CANNOT_CHANGE_RESULTS = (
    "pipeline.errors",
    "pipeline.stage",
    "pipeline.config",
    "pipeline.source",
    "pipeline.planning",
)
"""Modules that are no input of any rule, and a room of such.

Errors, the command line, the config, whose values reach rules as flags, and what is known before any job
runs.
"""
SAMPLING = "sample"
"""The method of a recipe's Model that only generation calls."""


def changes_nothing(module: str) -> bool:
    """Whether an edit of a module can change no file that a stage writes."""
    return any(module == name or module.startswith(f"{name}.") for name in CANNOT_CHANGE_RESULTS)


def module_file(module: str) -> Path | None:
    """The file of a module of the repository.

    None where there is none, as of a package or a name in a module.
    """
    path = REPOSITORY.joinpath(*module.split(".")).with_suffix(".py")
    return path if path.exists() else None


def _tree(path: Path, content: bytes, sampling: bool) -> ast.Module:
    """A file's syntax tree without docstrings, and without the methods that only generation calls if not
    `sampling`.
    """
    tree = ast.parse(content, path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        if isinstance(node, ast.ClassDef) and not sampling:
            body[:] = [
                part for part in body if not (isinstance(part, ast.FunctionDef) and part.name == SAMPLING)
            ]
        # a text that stands alone does nothing: a docstring of a module, class, function or name
        body[:] = [
            part
            for part in body
            if not (
                isinstance(part, ast.Expr)
                and isinstance(part.value, ast.Constant)
                and isinstance(part.value.value, str)
            )
        ]
    return tree


@cache
def _read(path: Path, sampling: bool) -> ast.Module:
    return _tree(path, path.read_bytes(), sampling)


@cache
def _imports(path: Path, sampling: bool) -> frozenset[str]:
    names = set()
    for node in ast.walk(_read(path, sampling)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] in PACKAGES)


@cache
def closure(*modules: str, sampling: bool = True) -> tuple[Path, ...]:
    """Files that `python -m` of these modules runs, in order of their paths.

    The modules (of a package its `__main__`), all that they import, in functions too, and the tables that
    bear the name of one of these. Without `sampling`, what only the method `sample` of a recipe's Model
    imports is left out.
    """
    seen: dict[str, Path] = {}
    waiting = [name for module in modules for name in (module, f"{module}.__main__")]
    while waiting:
        name = waiting.pop()
        path = module_file(name)
        if name in seen or changes_nothing(name) or path is None:
            continue
        seen[name] = path
        waiting += sorted(_imports(path, sampling))
    tables = [
        table
        for path in seen.values()
        for suffix in TABLE_SUFFIXES
        if (table := path.with_suffix(suffix)).exists()
    ]
    return tuple(sorted([*seen.values(), *tables]))


def _plain(node: object) -> object:
    """A syntax tree as nested lists that do not depend on the version of Python: fields that say something,
    no places.
    """
    if isinstance(node, ast.AST):
        fields = [
            [name, _plain(value)]
            for name, value in ast.iter_fields(node)
            if value is not None and value != []
        ]
        return [type(node).__name__, *fields]
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return repr(node)


def digest(files: Iterable[Path], *, sampling: bool = True) -> str:
    """What the code of these files does, in 32 hexadecimal digits: comments, docstrings and line breaks do
    not count.
    """
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(str(path.relative_to(REPOSITORY)).encode())
        content = path.read_bytes()
        if path.suffix == ".py":
            content = repr(_plain(_tree(path, content, sampling))).encode()
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()[:32]
