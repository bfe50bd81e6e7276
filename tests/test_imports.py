"""No module imports itself by a detour, and a stage depends on no code that cannot change what it writes."""

import ast
from functools import cache
from pathlib import Path

import pytest

from pipeline.planning.code import code

REPOSITORY = Path(__file__).resolve().parents[1]
MODULES = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for package in ("pipeline", "models")
    for path in (REPOSITORY / package).rglob("*.py")
    if path.name != "__init__.py"
)


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of the repository that a module imports, at its top or in a function."""
    names = set()
    for node in ast.walk(ast.parse(REPOSITORY.joinpath(*module.split(".")).with_suffix(".py").read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names & set(MODULES))


@pytest.mark.parametrize("module", MODULES)
def test_no_import_circles(module):
    seen, waiting = set(), list(imports(module))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += imports(name)
    assert module not in seen


@pytest.mark.parametrize(
    ("module", "others"),
    [
        (
            "models.train",
            {
                "pipeline/shards/features.py",
                "pipeline/shards/build.py",
                "pipeline/formats/takes.py",
                "models/generate.py",
            },
        ),
        (
            "pipeline.shards.index",
            {"pipeline/shards/features.py", "pipeline/shards/build.py", "pipeline/shards/validate.py"},
        ),
        ("pipeline.shards.plan", {"pipeline/shards/build.py"}),
        (
            "pipeline.shards.build",
            {f"pipeline/shards/{name}.py" for name in ("index", "stats", "validate", "export")},
        ),
        ("pipeline.shards.features", {"pipeline/shards/build.py", "pipeline/formats/shard_file.py"}),
    ],
)
def test_a_stage_is_not_rerun_for_code_that_it_does_not_use(module, others):
    assert code(module) and not others & set(code(module))
