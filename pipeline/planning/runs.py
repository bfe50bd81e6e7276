"""The runs and rows of a config: what is trained, of what it is made, and which of them together make a row.

Light: options of recipes are read without torch (models.recipes).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from models import recipes
from pipeline.config import Config, Run, Training, said
from pipeline.errors import InputError

ALWAYS = ("real", "mean pose", "nearest training clip")
"""Rows of the table that are there without a model: no other row has their names."""


@dataclass(frozen=True)
class PlannedRun:
    """A run with its options complete: the recipe's defaults, those of all its runs, its own."""

    name: str
    recipe: str
    options: Training
    given: tuple[str, ...]
    start: str | None
    mem_mb: int
    runtime_minutes: int

    @property
    def target(self) -> str:
        """The name of the rule that stands for it."""
        return f"train_{self.name}"

    @property
    def hears(self) -> bool:
        """Whether it hears the frozen speech encoder."""
        return "speech" in self.options.streams

    @property
    def is_told_labels(self) -> bool:
        """Whether it is told labels of the takes."""
        return bool(getattr(self.options, "told", ()))

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Runs that are trained before it."""
        return (*self.given, *([self.start] if self.start else []))


@dataclass(frozen=True)
class PlannedRow:
    """A row of the table: its name, its folder's name, its runs in the order in which they sample."""

    name: str
    folder: str
    runs: tuple[PlannedRun, ...]
    makes: tuple[str, ...]
    """face and body, or one of them."""
    num_samples: int
    mem_mb: int
    runtime_minutes: int


def plan_run(name: str, run: Run, config: Config) -> PlannedRun:
    """A run of a config; InputError for an unknown recipe, and for options that the recipe does not have."""
    options_class = recipes.options_of(run.recipe, f"config key runs.{name}.recipe")
    own = run.model_extra or {}
    shared = config.recipes.get(run.recipe, {})
    for prefix, values in ((f"recipes.{run.recipe}", shared), (f"runs.{name}", own)):
        if odd := next((key for key in values if not isinstance(key, str)), None):
            raise InputError(f"config key {prefix}.{odd!r}: unknown; write a name")
    try:
        options = options_class(**(shared | own))
    except ValidationError as error:
        key = error.errors()[0]["loc"][0]
        where = f"runs.{name}" if key in own else f"recipes.{run.recipe}" if shared else f"runs.{name}"
        raise said(error, options_class, prefix=where) from None
    return PlannedRun(name, run.recipe, options, run.given, run.start, run.mem_mb, run.runtime_minutes)


def plan_runs(config: Config) -> dict[str, PlannedRun]:
    """All runs of a config by name."""
    if unknown := next((name for name in config.recipes if name not in recipes.names()), None):
        raise InputError(
            f"config key recipes.{unknown}: no such recipe; the recipes are {', '.join(recipes.names())}"
        )
    used = {run.recipe for run in config.runs.values()}
    for name, options in config.recipes.items():  # what no run reads is looked at all the same
        if name not in used:
            plan_run("of_no_run", Run(recipe=name), config.model_copy(update={"recipes": {name: options}}))
    return {name: plan_run(name, run, config) for name, run in config.runs.items()}


def plan_rows(config: Config, runs: dict[str, PlannedRun]) -> list[PlannedRow]:
    """All rows of a config.

    InputError for a row that makes nothing, or whose runs lack what earlier ones must make.
    """
    rows: list[PlannedRow] = []
    for name, row in config.rows.items():
        where = f"config key rows.{name}"
        folder = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
        if not folder or len(folder) > 64 or not name.isprintable():
            raise InputError(f"{where}: need a name with letters or digits, of at most 64; rename the row")
        if name in ALWAYS:
            raise InputError(f"{where}: the table has a row of this name always; rename the row")
        if name.startswith("-"):
            raise InputError(f"{where}: a name does not begin with a hyphen, as flags do; rename the row")
        if twin := next((other.name for other in rows if other.folder == folder), None):
            raise InputError(f"{where}: its folder {folder} is that of row {twin!r} too; rename one of them")
        parts = [runs[part] for part in row.runs]
        makes = recipes.made_by([(run.name, run.options) for run in parts], where)
        num_samples = row.num_samples or config.generate.num_samples
        rows.append(
            PlannedRow(name, folder, tuple(parts), makes, num_samples, row.mem_mb, row.runtime_minutes)
        )
    return rows


def with_needs(names: Iterable[str], runs: dict[str, PlannedRun]) -> list[str]:
    """Runs of these names and all that are trained before them, in the order of the config."""
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += runs[name].waits_for
    return [name for name in runs if name in needed]
