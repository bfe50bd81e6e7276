"""How long Snakemake plans, and with how much memory, for many takes.

    python benchmarks/dry_run.py --takes 8 241 1000

Prints seconds, peak memory and jobs of a dry run per number of takes, and the seconds as a multiple of the
first row's.
"""

import argparse
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def dry_run(num_takes: int) -> tuple[float, float, int]:
    """Seconds, peak megabytes and jobs of a dry run of `all` for a simulated shoot of `num_takes` takes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("workflow", "rules", "pipeline", "models"):
            shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPOSITORY / "environment.yml", folder)
        (folder / "config.yaml").write_text(f"simulate: {{num_takes: {num_takes}}}\n")
        begin = time.perf_counter()
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "all", "-n"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - begin
    jobs = int(re.search(r"^total\s+(\d+)", result.stdout + result.stderr, re.MULTILINE)[1])
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, jobs


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--takes",
        type=int,
        nargs="+",
        default=[8, 241, 1000],
        help="numbers of takes, ascending (default: 8 241 1000)",
    )
    first = None
    print(f"{'takes':>8}{'jobs':>8}{'seconds':>10}{'MB':>8}{'x first':>9}")
    for num_takes in sorted(parser.parse_args().takes):
        seconds, megabytes, jobs = dry_run(num_takes)
        first = first or seconds
        print(f"{num_takes:>8}{jobs:>8}{seconds:>10.1f}{megabytes:>8.0f}{seconds / first:>9.1f}")


if __name__ == "__main__":
    main()
