"""A made-up download through the whole workflow: its check, annotations, features, shards, tiny models and tables.

    python benchmarks/release.py --takes 241 --cores 2 [--rig rig.npz] [--fps 120] [--keep DIR]

Prints seconds of each step, and whether the download's files have the checksums that they had before. 241 takes of 2 s are about
3,000 jobs of 1 to 4 s each: more than an hour on two cores.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "pipeline"), str(REPOSITORY / "tests")]

from tiny_release import make_release  # noqa: E402
from tiny_shoot import make_rig  # noqa: E402
from workflow_project import make_project  # noqa: E402

from pipeline.config import ReleaseIn  # noqa: E402
from pipeline.files import sha256  # noqa: E402
from pipeline.release_check import inspect, quiet  # noqa: E402


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    return {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Make, check and read a download in `folder`."""
    download, begin = folder / "download", time.perf_counter()

    def told(what: str) -> None:
        nonlocal begin
        print(f"{time.perf_counter() - begin:8.1f} s  {what}", flush=True)
        begin = time.perf_counter()

    takes = make_release(download, num_takes=arguments.takes, fps=arguments.fps, num_simulated=min(3, arguments.takes))
    told(f"made up {len(takes)} takes, {2 * len(takes)} performances, {len(list(download.rglob('*.*')))} files")
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
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    told(f"snakemake all: exit code {result.returncode}")
    if result.returncode:
        print((result.stdout + result.stderr)[-3000:])
    else:
        print((project / "out/results/table.csv").read_text())
    print("the download is", "as it was" if sums(download) == before else "CHANGED")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, default=8, help="takes of the download (default: 8; the release has 241)")
    parser.add_argument("--fps", type=int, default=30, help="rate of its bodies (default: 30)")
    parser.add_argument("--cores", type=int, default=2, help="cores of the workflow (default: 2)")
    parser.add_argument("--rig", type=Path, help="rig for face metrics (default: a random one)")
    parser.add_argument("--config", nargs="*", default=[], metavar="KEY=VALUE", help="more of the config, such as 'face_model={audio: mel}'")
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
