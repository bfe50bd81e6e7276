"""How long a shoot takes to its shards with 1, 2, ... cores, and what a job costs more through Slurm.

    python benchmarks/scaling.py --takes 8 --seconds 20 --cores 1 2

Simulates a shoot once, then makes its shards with each number of cores, in a root of its own: first all that
needs no words, then the words (`transcripts`), then what needs them. Prints wall seconds of the three runs
together, how many times faster than with the first number, the efficiency (that by how many times as many
cores), the real time factor (seconds of takes by wall seconds), and seconds and factor without the second
run, which is speech recognition alone. Below stand the ten rules whose jobs took longest, and the seconds of
each run, wall and processor. `--slurm` also runs the stages up to `body` through Slurm by the profile, one
job at a time and in no batch, and prints the seconds that a job takes more.
"""

import argparse
import os
import re
import resource
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
PARTS = (("--omit-from", "transcripts", "--"), ("--until", "transcripts", "--"), ())
"""Runs that make the shards one after the other; the second is speech recognition."""


def project(folder: Path, config: str) -> Path:
    """A copy of what a run needs, with a config."""
    folder.mkdir(parents=True)
    for part in ("workflow", "rules", "pipeline", "models", "slurm"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copy(REPOSITORY / "environment.yml", folder)
    (folder / "config.yaml").write_text(config)
    return folder


def run(folder: Path, *arguments: str) -> tuple[float, float, int]:
    """Wall seconds and processor seconds of a run, and how many jobs it had."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    # Python keeps what it compiles, as in every environment that does not forbid it
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        env=kept | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - begin
    told = result.stdout + result.stderr
    if result.returncode:
        sys.exit(f"error: snakemake {' '.join(arguments)} ended with {result.returncode}:\n{told[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used, int(re.search(r"^total\s+(\d+)", told, re.MULTILINE)[1])


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
        "--status", default="squeue", help="what tells the state of jobs (default: squeue; or sacct)"
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
            heads = ("cores", "jobs", "seconds", "faster", "efficiency", "real time", "no words", "real time")
            print("".join(f"{head:>11}" for head in heads))
        first: tuple[int, float] | None = None
        for cores in told.cores:
            folder = project(Path(name) / f"cores_{cores}", config)
            parts = [run(folder, "--cores", str(cores), *part, *TARGETS) for part in PARTS]
            seconds, _, jobs = (sum(values) for values in zip(*parts, strict=True))
            first = first or (cores, seconds)
            faster = first[1] / seconds
            share = faster / (cores / first[0])
            times, wordless = told.takes * told.seconds, seconds - parts[1][0]
            print(f"{cores:>11}{jobs:>11}{seconds:>11.1f}{faster:>11.2f}{share:>11.0%}", end="")
            print(f"{times / seconds:>11.2f}{wordless:>11.1f}{times / wordless:>11.2f}")
            print(longest(folder / "data" / "timings"))
            for what, place in (("wall", 0), ("processor", 1)):
                each = " + ".join(f"{part[place]:.1f}" for part in parts)
                print(f"    {what} seconds: {each} = {sum(part[place] for part in parts):.1f}", flush=True)
        if told.slurm:
            alone, *_ = run(project(Path(name) / "few", config), "--cores", "1", *FEW, *TARGETS)
            asked = (*SLURM, "--slurm-status-command", told.status, *ALONE, *FEW, *TARGETS)
            seconds, _, jobs = run(project(Path(name) / "slurm", config), *asked)
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
