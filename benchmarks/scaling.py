"""How long a shoot takes to its shards with 1, 2, ... cores, and what a job costs more through Slurm.

    python benchmarks/scaling.py --takes 8 --seconds 20 --cores 1 2

Simulates a shoot once, then makes its shards with each number of cores, in a root of its own. Prints wall
seconds, how many times faster than with the first number, the efficiency (that by how many times as many
cores), and the real time factor (seconds of takes by wall seconds). Below each stand the ten rules whose jobs
took longest. `--slurm` also runs the stages up to `body` through Slurm by the profile, one job at a time and
in no batch, and prints the seconds that a job takes more.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from pipeline.report.timings import read_timings  # noqa: E402

SLURM = ("--profile", "slurm", "--jobs", "1", "--slurm-init-seconds-before-status-checks", "2")
ALONE = ("--groups", "viewer=alone", "--latency-wait", "5")
"""No job in a batch with others: these groups take the place of the profile's."""
FEW = ("--until", "body", "--")
"""A few jobs of a take, a second or two each, tell what each costs more."""


def project(folder: Path, config: str) -> Path:
    """A copy of what a run needs, with a config."""
    folder.mkdir(parents=True)
    for part in ("workflow", "rules", "pipeline", "models", "slurm"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copy(REPOSITORY / "environment.yml", folder)
    (folder / "config.yaml").write_text(config)
    return folder


def run(folder: Path, *arguments: str) -> tuple[float, int]:
    """Wall seconds of a run, and how many jobs it had."""
    begin = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - begin
    told = result.stdout + result.stderr
    if result.returncode:
        sys.exit(f"error: snakemake {' '.join(arguments)} ended with {result.returncode}:\n{told[-3000:]}")
    return seconds, int(re.search(r"^total\s+(\d+)", told, re.MULTILINE)[1])


def longest(timings: Path, count: int = 10) -> str:
    """The rules whose jobs took longest in all: a line each, with jobs and wall seconds."""
    rules = {rule: [s for s, _ in rows] for rule, rows in read_timings(timings).items()}
    most = sorted(rules.items(), key=lambda item: -sum(item[1]))[:count]
    return "\n".join(f"    {rule:<20}{len(rows):>6} jobs{sum(rows):>10.1f} s" for rule, rows in most)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--takes", type=int, default=8, help="takes of the shoot (default: 8)")
    parser.add_argument("--seconds", type=float, default=20, help="length of a take (default: 20)")
    parser.add_argument(
        "--cores", type=int, nargs="*", default=[1, 2], help="numbers of cores (default: 1 2)"
    )
    parser.add_argument("--slurm", action="store_true", help="through Slurm too, where sbatch is found")
    parser.add_argument(
        "--status", default="sacct", help="what tells the state of jobs (default: sacct; or squeue)"
    )
    told = parser.parse_args()
    if told.slurm and not shutil.which("sbatch"):
        parser.error("--slurm: sbatch is not found here; leave it out, or run it on a login node")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        shoot = f"simulate: {{num_takes: {told.takes}, seconds: {told.seconds}, lip_passages: 0}}\n"
        made = project(Path(name) / "shoot", shoot)
        run(
            made,
            "--cores",
            str(max(told.cores, default=1)),
            "--until",
            "simulate_cast",
            *simulated(made),
            "--",
            "all",
        )
        config = f"shoot: {made / 'data' / 'shoot'}\n"
        if told.cores:
            print(f"{'cores':>8}{'jobs':>8}{'seconds':>10}{'faster':>8}{'efficiency':>12}{'real time':>11}")
        first: tuple[int, float, int] | None = None
        for cores in told.cores:
            folder = project(Path(name) / f"cores_{cores}", config)
            seconds, jobs = run(folder, "--cores", str(cores), *TARGETS)
            first = first or (cores, seconds, jobs)
            faster = first[1] / seconds
            share = faster / (cores / first[0])
            factor = told.takes * told.seconds / seconds
            print(f"{cores:>8}{jobs:>8}{seconds:>10.1f}{faster:>8.2f}{share:>12.0%}{factor:>11.2f}")
            print(longest(folder / "data" / "timings"), flush=True)
        if told.slurm:
            alone, _ = run(project(Path(name) / "few", config), "--cores", "1", *FEW, *TARGETS)
            asked = (*SLURM, "--slurm-status-command", told.status, *ALONE, *FEW, *TARGETS)
            seconds, jobs = run(project(Path(name) / "slurm", config), *asked)
            print(f"{jobs} jobs, one at a time: {alone:.1f} s without Slurm, {seconds:.1f} s with it")
            print(f"a job takes {(seconds - alone) / jobs:.1f} s more through Slurm")


TARGETS = ("shards_index", "shards_stats", "speech_stats")
"""What is made last of the shards."""


def simulated(folder: Path) -> list[str]:
    """The rules that simulate takes, one for each pair of actors."""
    listed = subprocess.run(
        [sys.executable, "-m", "snakemake", "--list-rules"], cwd=folder, capture_output=True, text=True
    )
    return re.findall(r"^simulate_take\w*$", listed.stdout + listed.stderr, re.MULTILINE)


if __name__ == "__main__":
    main()
