"""Recipes: one file per kind of model, found by its name.

`models/recipes/<name>.py` holds `Options`, the options of a run as a section of the config, and `Model`, the
network with its loss and its samples (models.recipe says what is asked of both). Planning reads `Options`
alone, without the rest of the file: torch takes seconds to load, and nothing of it is needed to plan.
"""

import ast
import importlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pipeline.config import Training
from pipeline.errors import InputError

FOLDER = Path(__file__).parent
FINAL = ("face", "body")
"""What files of generated motion are made of."""
LIGHT = ("pydantic", "typing", "pipeline.config", "pipeline.errors")
"""Modules that the class Options of a recipe may use."""


def names() -> list[str]:
    """Names of all recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def _file(recipe: str, where: str) -> Path:
    if recipe not in names():
        raise InputError(f"{where}: no recipe {recipe!r:.60}; the recipes are {', '.join(names())}")
    return FOLDER / f"{recipe}.py"


@cache
def options_of(recipe: str, where: str = "recipe") -> type[Training]:
    """The class Options of a recipe, out of its file, of which nothing else is run.

    Raises InputError, which begins with `where`, for a name that no recipe has.
    """
    path = _file(recipe, where)
    tree = ast.parse(path.read_text(encoding="utf-8"), path)

    def needed(node: ast.stmt) -> bool:
        if isinstance(node, ast.ImportFrom):
            return node.module in LIGHT
        return isinstance(node, ast.ClassDef) and node.name == "Options"

    body = [node for node in tree.body if needed(node)]
    namespace: dict[str, object] = {"__name__": f"models.recipes.{recipe}"}
    exec(compile(ast.Module(body, []), path, "exec"), namespace)
    found = namespace.get("Options")
    if not (isinstance(found, type) and issubclass(found, Training)):
        raise TypeError(f"{path}: need a class Options of pipeline.config.Training")
    return found


def made_by(row: Iterable[tuple[str, Training]], where: str) -> tuple[str, ...]:
    """What the runs of a row, names and options in the order in which they sample, make of FINAL.

    Raises InputError, which begins with `where`: a run stands twice, lacks what an earlier one must make, or
    makes what is made already; or nothing of FINAL is made.
    """
    made: dict[str, str] = {}
    seen: set[str] = set()
    for name, options in row:
        if name in seen:
            raise InputError(
                f"{where}: run {name} stands twice; name it once, or give the other one another name"
            )
        seen.add(name)
        if missing := [part for part in options.needs if part not in made]:
            raise InputError(f"{where}: run {name} needs a run before it that makes {missing[0]}; name one")
        if twice := [part for part in options.makes if part in made]:
            raise InputError(
                f"{where}: {twice[0]} is made by {made[twice[0]]} and by {name}; leave one of them out"
            )
        made |= dict.fromkeys(options.makes, name)
    if not any(part in made for part in FINAL):
        raise InputError(
            f"{where}: its runs make {', '.join(sorted(made))}, need face or body; name another run as well"
        )
    return tuple(part for part in FINAL if part in made)


def load(recipe: str, where: str = "recipe"):
    """The module of a recipe; InputError, which begins with `where`, for a name that no recipe has."""
    _file(recipe, where)
    return importlib.import_module(f"{__name__}.{recipe}")
