"""The runs and rows of a config: what is trained, of what it is made, and which of them together make a row.

Light: options of recipes are read without torch (models.recipes).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from models import recipes
from pipeline.config import ROWS, RUNS, Config, Run, Training, said
from pipeline.errors import InputError

ALWAYS = ("real", "mean pose", "nearest training clip", "training takes")
"""Rows of the table that are there without a model: no other row has their names."""
OF_A_READING = ("face", "mel", "speech", "facing", "audio")
"""Streams of the lip-accurate set."""


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
    processes: int
    nodes: int
    data: str
    swap: str | None
    waits_for: tuple[str, ...]
    """Runs that are made before it."""

    @property
    def target(self) -> str:
        """The name of the rule that stands for it."""
        return self.name if self.name.startswith(("finetune_", "swap_")) else f"train_{self.name}"

    @property
    def launcher(self) -> str:
        """What starts its processes: python, torchrun, or srun with a torchrun on each node of the job.

        The torchruns find each other on the node on which the job began, at a port by the job's number.
        `exec`, so that a signal to the job is one to the training, and not to a shell in between.
        """
        if self.nodes == self.processes == 1:
            return "exec python"
        torchrun = f"python -m torch.distributed.run --nproc-per-node {self.processes}"
        # so long a torchrun waits for processes that it has told to stop; its 30 s may be less than a step
        # and a checkpoint need
        patient = "exec env TORCH_ELASTIC_SHUTDOWN_TIMEOUT=600"
        if self.nodes == 1:
            return f"{patient} {torchrun} --standalone"
        return (
            f"{patient} srun --nodes {self.nodes} --ntasks {self.nodes} --ntasks-per-node 1"
            f" --cpus-per-task {self.cpus} --kill-on-bad-exit=1"
            f" {torchrun} --nnodes {self.nodes} --rdzv-backend c10d --rdzv-id $SLURM_JOB_ID"
            " --rdzv-endpoint $(hostname):$((20000 + SLURM_JOB_ID % 20000))"
        )

    @property
    def cpus(self) -> int:
        """CPUs of a node that all its processes there compute on."""
        return self.options.threads * self.processes

    @property
    def job_mb(self) -> int:
        """Memory of a node that all its processes there need, MB."""
        return self.mem_mb * self.processes

    @property
    def nodes_asked(self) -> int | None:
        """Nodes to ask Slurm for, where it is more than one."""
        return self.nodes if self.nodes > 1 else None

    @property
    def hears(self) -> bool:
        """Whether it hears the frozen speech encoder."""
        return "speech" in self.options.streams

    @property
    def on_rigs(self) -> bool:
        """Whether it reads the actors' rigs."""
        return self.options.on_rigs

    @property
    def is_told_labels(self) -> bool:
        """Whether it is told labels of the takes."""
        return bool(getattr(self.options, "told", ()))


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
    if run.data == "lip_acc" and run.start:  # fine-tuning: what it does not say is as in its start
        own = (config.runs[run.start].model_extra or {}) | own
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
    if run.data == "lip_acc" and (bodies := [name for name in options.streams if name not in OF_A_READING]):
        raise InputError(
            f"config key runs.{name}.data: the lip-accurate set has no {bodies[0]}, which recipe {run.recipe}"
            " reads; take data takes"
        )
    return PlannedRun(
        name,
        run.recipe,
        options,
        run.given,
        run.start,
        run.mem_mb,
        run.runtime_minutes,
        run.processes,
        run.nodes,
        run.data,
        run.swap,
        run.waits_for,
    )


def without_lips(config: Config) -> Config:
    """A config where there is no lip-accurate set: its own runs and rows of one are left out.

    InputError for a run of the user's that learns from one.
    """
    left: set[str] = set()
    for _ in config.runs:  # until no run is left out any more that waits for one that is
        for name, run in config.runs.items():
            if run.data == "lip_acc" or left & {*run.waits_for}:
                left.add(name)
    for name in config.runs:
        if name in left and name not in RUNS:
            raise InputError(
                f"config key runs.{name}: learns from the lip-accurate set, and there is none; set"
                " simulate.lip_passages, or give the shoot or the download a folder lip_acc"
            )
    runs = {name: run for name, run in config.runs.items() if name not in left}
    rows = {name: row for name, row in config.rows.items() if not left & {*row.runs} or name not in ROWS}
    return config.model_copy(update={"runs": runs, "rows": rows})


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
    planned = {name: plan_run(name, run, config) for name, run in config.runs.items() if not run.swap}
    for name, run in config.runs.items():
        if run.swap:
            planned[name] = _plan_swap(name, run, planned)
    return {name: planned[name] for name in config.runs}


def _plan_swap(name: str, run: Run, planned: dict[str, PlannedRun]) -> PlannedRun:
    """A run that is put together of two others; InputError where these do not fit."""
    where, base, tuned = f"config key runs.{name}", planned.get(run.start or ""), planned.get(run.swap or "")
    if base is None or tuned is None:
        raise InputError(f"{where}: its start and swap are runs that are trained, not swapped; name others")
    if run.recipe != base.recipe or tuned.start != base.name:
        raise InputError(
            f"{where}: {tuned.name} starts from {tuned.start or 'no run'} and {base.name} is of recipe"
            f" {base.recipe}, need {base.name} and {run.recipe}; swap a run that was fine-tuned from start"
        )
    if odd := next(iter(run.model_extra or {}), None):
        raise InputError(f"{where}.{odd}: a swapped run has the options of {base.name}; leave it out")
    return PlannedRun(
        name,
        run.recipe,
        base.options,
        (),
        run.start,
        run.mem_mb,
        run.runtime_minutes,
        run.processes,
        run.nodes,
        run.data,
        run.swap,
        run.waits_for,
    )


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
