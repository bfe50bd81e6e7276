"""What code a command runs: the repository's files that a module imports, and a digest of them.

No comment changes the digest. The module is light: planning and training both ask.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
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
SAMPLING = ("sample", "preview")
"""Methods on which no weights depend: they sample, and show samples while a model trains."""


def changes_nothing(module: str) -> bool:
    """Whether an edit of a module can change no file that a stage writes."""
    return any(module == name or module.startswith(f"{name}.") for name in CANNOT_CHANGE_RESULTS)


def module_file(module: str) -> Path | None:
    """The file of a module of the repository.

    None where there is none, as of a package or a name in a module.
    """
    path = REPOSITORY.joinpath(*module.split(".")).with_suffix(".py")
    return path if path.exists() else None


def _is_sampler(node: ast.stmt, parent: ast.AST) -> bool:
    return isinstance(parent, ast.ClassDef) and isinstance(node, ast.FunctionDef) and node.name in SAMPLING


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a text that stands alone and does nothing, as a docstring."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _tree(content: bytes, sampling: bool) -> ast.Module:
    """A module's syntax tree without docstrings; without what only generation calls if not `sampling`."""
    tree = ast.parse(content)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [
                part for part in body if not _is_text(part) and (sampling or not _is_sampler(part, node))
            ]
    return tree


def _statements(node: ast.AST, sampling: bool) -> Iterator[ast.stmt]:
    """All statements below a node: no expressions, which are most of a tree and import nothing."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for part in getattr(node, field, None) or ():
            if sampling or not _is_sampler(part, node):
                if isinstance(part, ast.stmt):
                    yield part
                yield from _statements(part, sampling)


@cache
def _imports(path: Path, sampling: bool) -> frozenset[str]:
    names = set()
    for node in _statements(ast.parse(path.read_bytes(), path), sampling):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] in PACKAGES)


@cache
def closure(*modules: str, sampling: bool = True) -> tuple[Path, ...]:
    """Files that `python -m` of these modules runs, in order of their paths.

    The modules (of a package its `__main__`), all that they import, in functions too, and the tables that
    bear the name of one of these. Without `sampling`, what only a class's methods
    SAMPLING import is left out.
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
    """A syntax tree as nested lists that do not depend on the version of Python.

    They hold the fields that say something, and no places.
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


@cache
def _code_digest(content: bytes, sampling: bool) -> bytes:
    """SHA-256 of what a module's text does; known again by the text, since files may be edited."""
    return hashlib.sha256(repr(_plain(_tree(content, sampling))).encode()).digest()


def digest(files: Iterable[Path], *, sampling: bool = True) -> str:
    """What the code of these files does, in 32 hexadecimal digits.

    Comments, docstrings and line breaks do not count.
    """
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(str(path.relative_to(REPOSITORY)).encode())
        content = path.read_bytes()
        is_code = path.suffix == ".py"
        total.update(_code_digest(content, sampling) if is_code else hashlib.sha256(content).digest())
    return total.hexdigest()[:32]
