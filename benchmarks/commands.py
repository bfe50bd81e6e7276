"""Tries every command of README.md and docs/*.md, as it is written.

    python benchmarks/commands.py [PROJECT] [--pages README.md models.md] [--keep DIR]

PROJECT: a folder in which the default has run (`make run`, or tests/helpers/workflow_project.py), by default
this one. All commands run one after the other in a copy of it, with small files of the names that the pages
use: a shoot with a lip-accurate set, a download, recordings. Nothing outside the copy is written. Prints a
row for each command: page, what came of it, seconds, the command.

ok: it ran. planned: a Snakemake command that has work to do, as a dry run. parsed: a command that would take
minutes, as far as its flags. skipped: what a machine may lack. failed: with its last line; the exit code is
then 1. Ten minutes on two cores.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

from helpers.example_files import make_examples  # noqa: E402
from helpers.pages import FORM, PAGES, blocks, in_sentences, runnable  # noqa: E402
from helpers.tiny_encoders import tiny_wav2vec  # noqa: E402
from helpers.tiny_release import make_release  # noqa: E402
from helpers.tiny_shoot import make_lip_acc, make_shoot  # noqa: E402

from pipeline.formats.obj import write_obj  # noqa: E402

TAKES = ("20240108_001", "20240109_002")
"""The first two takes of the default; A, B are the performances of the first, C, D of the second."""
SKIPPED = [
    (r"^pip ", "installs from the Internet"),
    (r"pipeline\.fetch", "fetches from the Internet"),
    (r"^make test$|-m pytest", "tests, which take minutes and are run by themselves"),
    (r"models\.speech\.visualvoice|method: visualvoice", "needs VisualVoice's weights"),
    (r"mouth_crop", "needs a video and its landmarks"),
    (r"import FaceXModel", "needs a copy of ICT FaceKit"),
    (r"^snakemake --report .* --config", "needs a finished run of a shoot of one's own"),
]
"""Commands by pattern, with the reason why they are not tried."""
PARSED = (
    r"(\w+=\S+ )*python (benchmarks/|-m (models\.train|pipeline\.capture\.train_separation|pipeline\.view)"
    r"( |$)|.* --weights )"
)
"""Commands that take minutes, that wait for Ctrl-C, or that need trained weights.

Their flags alone are tried.
"""
ALWAYS_RUN = r"^snakemake .*--(report|unlock|rulegraph)\b"
"""Snakemake commands that run no job."""
WORDS = {
    "/path/to/shoot": "shoot",
    "/path/to/output": "output",
    "/path/to/interact": "interact",
    "/path/to/rig.npz": "data/dataset/rigs/001.npz",
    "/my shoot": "shoot",
    "20231119_051": "20231101_003",
    "TAKE OTHER": " ".join(TAKES),
    "train_wide": "train_wide --configfile wide.yaml",
}
"""What stands in the copy for what a page leaves to its reader."""
PARSE = """
import argparse, runpy, sys
whole = argparse.ArgumentParser.parse_args
def parse(*given, **named):
    whole(*given, **named)
    print("parsed")
    sys.exit()
argparse.ArgumentParser.parse_args = parse
is_module, name, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = name
if is_module == "-m":
    runpy.run_module(name, run_name="__main__", alter_sys=True)
else:
    sys.path.insert(0, name.rpartition("/")[0])
    runpy.run_path(name, run_name="__main__")
"""
"""Runs a script or module until its command line is parsed."""


def copy_project(project: Path, folder: Path) -> None:
    """A copy of a project with its run, and with all that the commands name of this repository.

    Its .venv is this Python's, so that make finds an environment and installs none.
    """
    leave = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "*.egg-info")
    shutil.copytree(project, folder, ignore=leave, symlinks=True)
    for name in ("Makefile", "README.md", "pyproject.toml", "constraints.txt", "environment.yml"):
        shutil.copy2(REPOSITORY / name, folder)
    for name in ("benchmarks", "config", "docs", "slurm", "tests"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=leave, dirs_exist_ok=True)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.prefix, "bin"))
    for name in ("run", "test"):
        (folder / ".venv" / f"{name}.stamp").touch()


def take_files(folder: Path, project: Path) -> None:
    """Files of the run under the short names that commands use."""
    data = project / "data"
    performances = [path.stem for take in TAKES for path in sorted((data / "shoot" / take).glob("*.bvh"))]
    for letter, name in zip("ABCD", performances, strict=True):
        shutil.copy(data / "dataset" / "bvhs" / f"{name}.bvh", folder / f"{letter}.bvh")
        shutil.copy(data / "dataset" / "wav" / f"{name}.wav", folder / f"{letter}.wav")
        shutil.copy(data / "dataset" / "face_arkit" / f"{name}.npy", folder / f"{letter}.npy")
        shutil.copy(data / "annotations" / "transcripts" / f"{name}.json", folder / f"{letter}.json")
    for part, names in (("sync", TAKES[:1]), ("fit", performances[:2])):
        (folder / part).mkdir()
        for name, new in zip(names, ("TAKE",) if part == "sync" else "AB", strict=True):
            shutil.copy(data / "annotations" / part / f"{name}.json", folder / part / f"{new}.json")
    shutil.copy(data / "annotations" / "sync" / f"{TAKES[0]}.json", folder / "sync.json")
    shutil.copy(data / "dataset" / "takes.tsv", folder)
    (folder / "rigs").mkdir()
    shutil.copy(data / "shoot" / "rigs" / "001.npz", folder / "rigs")
    shutil.copy(data / "shoot" / "rigs" / "002.npz", folder / "GENERIC.npz")
    with np.load(folder / "rigs" / "001.npz") as rig:
        write_obj(folder / "001.obj", rig["neutral"], rig["faces"])
    (folder / "shards").mkdir()
    build = "python -m pipeline.shards.build --dataset data/dataset --annotations data/annotations"
    build += f" --features data/features --takes {' '.join(TAKES)} --splits train test"
    checked(f"{build} --out {shlex.quote(str(folder.resolve()))}/shards/shard-000.h5", project)


def make_files(folder: Path) -> None:
    """Files that commands name and that no run of the default makes."""
    shoot = folder / "shoot"
    make_examples(folder)
    make_release(folder / "interact", num_takes=3)
    tiny_wav2vec(folder / "FOLDER", num_hidden_layers=6)
    configs = [text for language, text in blocks(REPOSITORY / "docs" / "models.md") if language == "yaml"]
    (folder / "wide.yaml").write_text(next(text for text in configs if "  wide:" in text))
    make_shoot(shoot)
    make_lip_acc(shoot)
    for suffix in ("mesh.h5", "wav"):
        shutil.copy(shoot / "lip_acc" / f"20260102_003_1.{suffix}", folder / f"20231119_006_17.{suffix}")
    shutil.copy(shoot / "rigs" / "003.npz", folder / "006.npz")


def as_run(command: str, project: Path) -> str:
    """A command with the copy's files for the words that a page leaves to its reader."""
    for word, ours in WORDS.items():
        command = command.replace(word, ours)
    (encoder,) = (project / "data" / "shards").glob("speech-*")
    return command.replace("data/shards/speech-HASH", f"data/shards/{encoder.name}")


def call(command: str, project: Path) -> subprocess.CompletedProcess:
    """Run a command in the copy as a shell does that has the environment activated."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("SNAKEMAKE", "PYTHON"))
    }
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=project, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def checked(command: str, project: Path) -> None:
    """Run a command without which the others cannot be tried."""
    done = call(command, project)
    if done.returncode:
        sys.exit(f"{command}:\n{done.stdout}")


def commands_of(page: Path) -> list[tuple[str, bool]]:
    """Commands of a page, each once, and whether one is the first of its code block.

    Commands of one block may read what those before them wrote.
    """
    groups = [*runnable(page), *([command] for command in in_sentences(page))]
    found: dict[str, bool] = {}
    for group in groups:
        for k, command in enumerate(group):
            found.setdefault(command, k == 0)
    return list(found.items())


def attempt(command: str, project: Path) -> tuple[str, str]:
    """What came of a command, and its last line or the reason."""
    if FORM.search(command):
        return "skipped", "shows a form"
    for pattern, reason in SKIPPED:
        if re.search(pattern, command):
            return "skipped", reason
    command, state = as_run(command, project), "ok"
    if re.match(PARSED, command):
        before, _, after = command.partition("python ")
        words = shlex.split(after)
        words = words if words[0] == "-m" else ["", *words]
        command, state = f"{before}python -c {shlex.quote(PARSE)} {shlex.join(words)}", "parsed"
    elif command.startswith("snakemake ") and not re.match(ALWAYS_RUN, command):
        dry = call(command.replace("snakemake", "snakemake -n", 1), project)
        jobs = re.search(r"^total +(\d+)", dry.stdout, re.MULTILINE)
        if dry.returncode:
            return "failed", last_line(dry.stdout)
        if jobs and not re.search(r"--(cores|profile)\b", command):  # which a dry run does without
            return "failed", "no --cores"
        if jobs:
            return "planned", f"{jobs[1]} jobs"
    done = call(command, project)
    told = last_line(done.stdout)
    lacks = re.match(r"ModuleNotFoundError: No module named '(\w+)", told)
    if lacks and not (project / lacks[1]).exists():
        return "skipped", f"needs {lacks[1]}, which is not installed"
    return (state if done.returncode == 0 else "failed"), told


def last_line(text: str) -> str:
    """The last line of what a command said that is not empty."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", nargs="?", type=Path, default=REPOSITORY, help="where the default has run")
    parser.add_argument("--pages", nargs="+", help="names of the pages, by default all")
    parser.add_argument("--keep", type=Path, help="folder for the copy, which then stays")
    arguments = parser.parse_args(argv)
    pages = [page for page in PAGES if not arguments.pages or page.name in arguments.pages]
    folder = arguments.keep or Path(tempfile.mkdtemp())
    came = Counter()
    try:
        project, files = folder / "project", folder / "files"
        copy_project(arguments.project, project)
        make_files(files)
        take_files(files, project)
        for page in pages:
            for command, is_first in commands_of(page):
                if is_first:
                    shutil.copytree(files, project, dirs_exist_ok=True)
                begin = time.monotonic()
                state, told = attempt(command, project)
                came[state] += 1
                shown = textwrap.shorten(command, 150, placeholder=" [...]")
                print(
                    f"{page.name}\t{state}\t{time.monotonic() - begin:.1f} s\t{shown}", end="\t", flush=True
                )
                print("" if state in ("ok", "parsed") else told[-300:], flush=True)
    finally:
        if not arguments.keep:
            shutil.rmtree(folder)
    print(f"{came.total()} commands: " + ", ".join(f"{number} {state}" for state, number in came.items()))
    return 1 if came["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
