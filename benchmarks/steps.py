"""What a step of a training takes: shared by train_face.py and train_body.py, which say what is measured.

`plain` is what one would write first: batches read between the steps, Adam in float32, no clipping, no
average, no log. `engine` is models.train's loop with the options of the run. Each has a process of its own.
Seconds are those of the clock on a GPU, of processors on a CPU.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from snakemake.utils import update_config

from models import runs
from models.checkpoints import State
from models.data import Windows, loader
from models.draws import Draws
from models.processes import Processes
from models.recipe import Meta
from models.threads import fixed_threads
from models.train import optimise
from models.watch import Watch
from pipeline import config
from pipeline.planning.runs import plan_runs

REPOSITORY = Path(__file__).resolve().parents[1]
Build = Callable[[Path, Path, dict[str, Any]], tuple[str, Any, list, Meta]]
"""Of a project, a folder and changes of options: recipe, options, shards, what the model knows of them."""


class Timed(State):
    """A training's state that notes when each step has ended."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.times: list[float] = []

    def advance(self) -> None:
        """Count a step, once the device is done with it."""
        super().advance()
        wait()
        self.times.append(clock())

    def save(self, live_log: Path) -> None:
        """Nothing: checkpoints are no part of a step."""


def wait() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def clock() -> float:
    """Seconds, on a CPU those of processors: others' work on the machine does not count."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def paper(run: str) -> Any:
    """Options of a run of the paper's configuration."""
    values = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    for name in ("release.yaml", "paper.yaml"):
        update_config(values, yaml.safe_load((REPOSITORY / "config" / name).read_text()))
    return plan_runs(config.parse(values))[run].options


def measure(project: Path, folder: Path, build: Build, loop: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Seconds of each step of a loop, memory, and how many parameters learn."""
    recipe, options, shards, meta = build(project, folder, changes)
    device = runs.pick_device("auto")
    torch.manual_seed(0)
    model = runs.build(recipe, options, meta).to(device)
    model.initialise({})
    sizes = {"window": options.window_frames, "stride": 5}  # enough windows, however few takes there are
    windows = Windows(shards, streams=options.streams, actors=meta.actors, **sizes)
    times = [clock()]
    if loop == "engine":
        optimiser = model.optimiser(model.groups(), options.learning_rate)
        state = Timed(model, optimiser, folder, last_step=options.steps, average=options.average)
        torch.set_float32_matmul_precision("highest" if options.precision == "float32" else "high")
        told: dict[str, Any] = {"device": device, "label": loop, "processes": Processes()}
        watch = Watch(None, None, options.seed, device)
        optimise(model, state, windows, watch, folder / f"{os.getpid()}.jsonl", options, **told)
        times += state.times
    else:
        adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=options.learning_rate)
        order = {"batch_size": options.batch_size, "seed": 0, "first_step": 0, "last_step": options.steps}
        for step, read in enumerate(loader(windows, **order)):
            batch = {name: value.to(device) for name, value in read.items()}
            adam.zero_grad()
            model.train().loss(batch, Draws(0, step, options.batch_size, device))["loss"].backward()
            adam.step()
            wait()
            times.append(clock())
    on_gpu = device.startswith("cuda")
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": [after - before for before, after in zip(times, times[1:])],
        "memory": torch.cuda.max_memory_allocated() if on_gpu else 1024 * used.ru_maxrss,
        "learning": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "device": torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads",
    }


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Command line of a benchmark of steps."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("project", type=Path, help="root of a run with shards")
    result.add_argument(
        "--batch-sizes", type=int, nargs="+", help="windows of two people (default: the paper's)"
    )
    result.add_argument(
        "--precisions", nargs="+", default=["float32"], help="of the engine; plain is float32"
    )
    result.add_argument("--compile", action="store_true", help="compile the engine's network")
    result.add_argument("--steps", type=int, default=8)
    result.add_argument("--skip", type=int, default=3, help="first steps that are not counted")
    result.add_argument("--repeats", type=int, default=1, help="how often the loops are run in turn")
    result.add_argument("--threads", type=int, default=2, help="on a CPU")
    result.add_argument("--child", help=argparse.SUPPRESS)
    return result


def run(
    given: argparse.Namespace,
    build: Build,
    variants: dict[str, dict[str, Any]],
    *,
    what: str,
    epoch_windows: int,
    prepare: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Print the table, or, as a process of one loop, what that took.

    variants: changes of options by what they are called in the column `what`; epoch_windows: windows of two
    people in an epoch of the paper; prepare: writes what all need into a temporary folder.
    """
    with fixed_threads(given.threads):
        if given.child:
            asked = json.loads(given.child)
            changes = asked["changes"] | {"steps": given.steps}
            print(json.dumps(measure(given.project, Path(asked["folder"]), build, asked["loop"], changes)))
            return
        with tempfile.TemporaryDirectory(prefix="interact-") as name:
            prepare(Path(name))
            _table(given, Path(name), variants, what, epoch_windows)


def _table(
    given: argparse.Namespace,
    folder: Path,
    variants: dict[str, dict[str, Any]],
    what: str,
    epoch_windows: int,
) -> None:
    head = what, "windows", "loop", "learn", "s/step", "s/epoch", "memory (MB)", "of plain"
    begun = False
    for name, own in variants.items():
        for size in given.batch_sizes:
            kinds: list[tuple[str, str, dict[str, Any]]] = [("plain", "plain, float32", {})]
            for precision in given.precisions:
                label = f"engine, {precision}{', compiled' * given.compile}"
                kinds.append(("engine", label, {"precision": precision, "compile": given.compile}))
            found: dict[str, list[dict[str, Any]]] = {label: [] for _, label, _ in kinds}
            for _ in range(given.repeats):
                for loop, label, more in kinds:
                    found[label].append(_apart(given, folder, loop, own | {"batch_size": size} | more))
            plain = 0.0
            for label, took in found.items():
                if not begun:
                    print(f"{took[0]['device']}; torch {torch.__version__}\n\n| " + " | ".join(head) + " |")
                    print("|" + " --- |" * len(head))
                    begun = True
                step = median(seconds for one in took for seconds in one["seconds"][given.skip :])
                plain = plain or step
                memory = max(one["memory"] for one in took) / 1e6
                cells = name, str(size), label, f"{took[0]['learning']:,}", f"{step:.3f}"
                cells += f"{step * epoch_windows / size:.0f}", f"{memory:.0f}", f"{step / plain:.2f}"
                print("| " + " | ".join(cells) + " |", flush=True)


def _apart(given: argparse.Namespace, folder: Path, loop: str, changes: dict[str, Any]) -> dict[str, Any]:
    """`measure` in a process of its own."""
    child = json.dumps({"folder": str(folder), "loop": loop, "changes": changes})
    command = [sys.executable, sys.argv[0], str(given.project), "--child", child]
    command += ["--steps", str(given.steps), "--threads", str(given.threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])
