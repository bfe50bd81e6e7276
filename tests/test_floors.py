"""The floors of the house: a room imports itself and rooms below it; no module imports itself by a detour."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from pipeline.source import changes_nothing

REPOSITORY = Path(__file__).resolve().parents[1]
FLOORS = (
    ("frame",),  # the modules of pipeline/ itself
    ("motion",),
    ("signals",),
    ("formats",),
    ("figures", "simulate"),
    ("capture", "rigs", "shards"),
    ("annotate", "release"),
    ("statistics", "view"),
    ("report",),
    ("planning",),
)
"""Rooms of pipeline/ from the ground up. Rooms of one floor do not import each other."""
MODELS = {
    "models.speech": {
        "frame",
        "motion.clock",
        "signals",
        "formats.arkit",
        "formats.pretrained",
        "models.checkpoints",
        "models.threads",
        "models.weights",
    },
    "models": {
        "frame",
        "motion",
        "signals",
        "formats",
        "shards",
        "annotate",
        "capture.blendshape_fit",
        "models.speech",
    },
}
"""Rooms of models/, and the rooms and modules that they import beside themselves."""
RUN_NETWORKS = {
    "pipeline.capture.separation_neural",
    "pipeline.capture.train_separation",
    "pipeline.shards.speech",
}
"""Modules of pipeline/ that import models, where they run a network: inside of functions."""
LIGHT = {"planning": {"models.recipes"}}
"""Packages that a room imports beside those below it: they load neither torch nor what is in them."""
SOURCES = sorted(path for package in ("pipeline", "models") for path in (REPOSITORY / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


PATHS = {name_of(path): path for path in SOURCES}
PACKAGES = {name for name, path in PATHS.items() if path.name == "__init__.py"}
WITH_CODE = {
    name
    for name in PACKAGES
    if any(
        isinstance(node, ast.FunctionDef) for node in ast.parse(PATHS[name].read_text(encoding="utf-8")).body
    )
}
"""Packages that are modules too."""
MODULES = sorted(PATHS.keys() - PACKAGES | WITH_CODE)


def tree_of(module: str) -> ast.Module:
    return ast.parse(PATHS[module].read_text(encoding="utf-8"))


def imported(nodes: Iterator[ast.AST]) -> frozenset[str]:
    """Modules of the repository that the import statements among `nodes` name."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}"} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names & set(MODULES))


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of the repository that a module imports, at its top or in a function."""
    return imported(ast.walk(tree_of(module)))


def at_the_top(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one that run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not (
            isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        ):
            yield child
            yield from at_the_top(child)


def room_of(module: str) -> str:
    """`motion` of pipeline.motion.pose, `frame` of pipeline.files, `models.speech` of models.speech.unet."""
    package, *folders, _ = module.split(".")
    if package == "models":
        return "models.speech" if folders == ["speech"] else "models"
    return folders[0] if folders and folders[0] != "config" else "frame"


def may_import(module: str, other: str) -> bool:
    """Whether the table of floors lets a module import another."""
    room, below = room_of(module), room_of(other)
    if room == below:
        return True
    if other in LIGHT.get(room, ()):
        return True
    if room in MODELS:
        return below in MODELS[room] or other.removeprefix("pipeline.") in MODELS[room]
    if below in MODELS:
        return module in RUN_NETWORKS
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    return floor[below] < floor[room]


def test_the_table_has_every_room_and_no_other():
    rooms = [room for names in FLOORS for room in names] + list(MODELS)
    assert sorted(rooms) == sorted({room_of(module) for module in MODULES})
    assert RUN_NETWORKS == {
        module
        for module in MODULES
        if module.startswith("pipeline.")
        and any(name.startswith("models.") for name in imports(module) - LIGHT.get(room_of(module), set()))
    }
    assert WITH_CODE == {"models.recipes", "pipeline.config"}


@pytest.mark.parametrize(
    ("module", "other", "allowed"),
    [
        ("pipeline.files", "pipeline.errors", True),
        ("pipeline.files", "pipeline.motion.pose", False),
        ("pipeline.formats.bvh", "pipeline.motion.pose", True),
        ("pipeline.motion.pose", "pipeline.formats.bvh", False),
        ("pipeline.capture.body", "pipeline.shards.plan", False),
        ("pipeline.planning.status", "pipeline.simulate.plan", True),
        ("pipeline.shards.speech", "models.speech.unet", True),
        ("pipeline.shards.features", "models.speech.unet", False),
        ("models.speech.unet", "pipeline.motion.clock", True),
        ("models.speech.unet", "pipeline.motion.pose", False),
        ("models.speech.unet", "models.data", False),
        ("models.data", "pipeline.capture.body", False),
        ("models.train", "pipeline.source", True),
        ("models.runs", "models.recipes", True),
        ("pipeline.planning.runs", "models.recipes", True),
        ("pipeline.planning.runs", "models.recipes.face", False),
        ("pipeline.planning.runs", "models.runs", False),
        ("pipeline.files", "models.recipes", False),
    ],
)
def test_the_table_tells_up_from_down(module, other, allowed):
    assert may_import(module, other) == allowed


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_itself_and_rooms_below(module):
    assert not [name for name in sorted(imports(module)) if not may_import(module, name)]


@pytest.mark.parametrize("module", sorted(RUN_NETWORKS))
def test_a_network_is_loaded_where_it_runs(module):
    assert not [name for name in imported(at_the_top(tree_of(module))) if name.startswith("models.")]


@pytest.mark.parametrize("module", MODULES)
def test_no_import_circles(module):
    seen, waiting = set(), list(imports(module))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += imports(name)
    assert module not in seen


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_name_their_module_in_full(path):
    """Else they would be no input of a rule: pipeline.source."""
    found = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]
    assert not [node.lineno for node in found if node.level]
    if path.name == "__init__.py" and not changes_nothing(name_of(path)):
        assert not {name for name in imported(iter(found)) if not changes_nothing(name)}, (
            "what a package imports is imported with each of its modules"
        )


def test_the_readme_has_the_floors():
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert rows == [(f"{floor}", room) for floor, rooms in enumerate(FLOORS, 1) for room in rooms]
