"""A made-up download through the whole workflow.

Its check, annotations, features, shards, tiny models and tables.

    python benchmarks/release.py --takes 241 --cores 2 [--rig rig.npz] [--fps 120] [--keep DIR]

Prints seconds of each step, and whether the download's files have the checksums that they had before. 241
takes of 2 s are about 3,300 jobs of about a second each, nearly all of it the start of an interpreter: three
quarters of an hour on two cores. `--in-process` runs the same commands, as Snakemake's dry run prints them,
in as many processes as there are cores; then Snakemake itself, which must find nothing left to do.
"""

import argparse
import contextlib
import importlib
import logging
import multiprocessing
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

from helpers.tiny_release import make_release  # noqa: E402
from helpers.tiny_shoot import make_rig  # noqa: E402
from helpers.workflow_project import make_project  # noqa: E402

from pipeline.config import ReleaseIn  # noqa: E402
from pipeline.files import sha256  # noqa: E402
from pipeline.release.check import inspect  # noqa: E402
from pipeline.release.finding import quiet  # noqa: E402


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    return {
        str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def run_commands(commands: list[str], project: Path) -> None:
    """Run `python -m module arguments > log` commands one after the other in this process.

    In a project's folder.
    """
    os.chdir(project)
    for command in commands:
        words = shlex.split(command)
        module, log = words[2], Path(words[words.index(">") + 1])
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w") as f, contextlib.redirect_stdout(f), contextlib.redirect_stderr(f):
            logging.getLogger("interact").handlers.clear()
            try:
                importlib.import_module(module).main(words[3 : words.index(">")])
            except SystemExit as stop:
                if stop.code:
                    raise SystemExit(f"{command}: {log.read_text()[-500:]}") from None


def in_process(project: Path, command: list[str], cores: int) -> None:
    """Run what a dry run of `command` prints.

    What names one take only runs in `cores` processes, the rest after it in order.
    """
    printed = subprocess.run([*command, "-n", "-p"], cwd=project, capture_output=True, text=True, check=True)
    commands = re.findall(r"python -m [^\n]*? > \S+ 2>&1", printed.stdout + printed.stderr)
    per_take: dict[str, list[str]] = {}
    joined = []
    for line in dict.fromkeys(commands):
        date_scenario = {(m[1], m[2]) for m in re.finditer(r"\b(\d{8})_(?:\d+_)?(\d+)\b", line)}
        if len(date_scenario) == 1 and "models." not in line and "--generated" not in line:
            per_take.setdefault("_".join(date_scenario.pop()), []).append(line)
        else:
            joined.append(line)
    print(
        f"           {sum(map(len, per_take.values()))} commands of single takes, {len(joined)} that join"
        " them",
        flush=True,
    )
    groups = [[line for take in list(per_take)[k::cores] for line in per_take[take]] for k in range(cores)]
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        pool.starmap(run_commands, [(group, project) for group in groups])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.starmap(run_commands, [(joined, project)])


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Make, check and read a download in `folder`."""
    download, begin = folder / "download", time.perf_counter()

    def told(what: str) -> None:
        nonlocal begin
        print(f"{time.perf_counter() - begin:8.1f} s  {what}", flush=True)
        begin = time.perf_counter()

    takes = make_release(
        download, num_takes=arguments.takes, fps=arguments.fps, num_simulated=min(3, arguments.takes)
    )
    told(
        f"made up {len(takes)} takes, {2 * len(takes)} performances, {len(list(download.rglob('*.*')))} files"
    )
    with quiet():
        faults = [finding for finding in inspect(download, ReleaseIn()) if finding.kind]
    told(f"check: {len(faults)} faults")
    before = sums(download)
    rig = arguments.rig
    if rig is None:
        rig = folder / "rig.npz"
        make_rig(rig, np.random.default_rng(0))
    project = make_project(folder)
    begin = time.perf_counter()
    keys = [f"dataset={download.resolve()}", f"rig={Path(rig).resolve()}", "root=out", *arguments.config]
    command = [sys.executable, "-m", "snakemake", "--cores", str(arguments.cores), "all", "--config", *keys]
    if arguments.in_process:
        in_process(project, command, arguments.cores)
        told("all commands, in process")
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    if arguments.in_process and "Nothing to be done" not in result.stdout + result.stderr:
        print((result.stdout + result.stderr)[-2000:])
    told(f"snakemake all: exit code {result.returncode}")
    if result.returncode:
        print((result.stdout + result.stderr)[-3000:])
    else:
        print((project / "out/results/table.csv").read_text())
    print("the download is", "as it was" if sums(download) == before else "CHANGED")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--takes", type=int, default=8, help="takes of the download (default: 8; the release has 241)"
    )
    parser.add_argument("--fps", type=int, default=30, help="rate of its bodies (default: 30)")
    parser.add_argument("--cores", type=int, default=2, help="cores of the workflow (default: 2)")
    parser.add_argument("--rig", type=Path, help="rig for face metrics (default: a random one)")
    parser.add_argument(
        "--in-process", action="store_true", help="run the commands without an interpreter each"
    )
    parser.add_argument(
        "--config",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="more of the config, such as 'recipes={face: {audio: mel}}'",
    )
    parser.add_argument("--keep", type=Path, help="folder to work in, kept (default: a temporary one)")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True)
        measure(arguments.keep, arguments)
        return
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), arguments)


if __name__ == "__main__":
    main()
