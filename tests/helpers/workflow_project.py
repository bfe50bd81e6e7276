"""A small project for workflow tests.

A copy of the repository with a two-take simulated shoot and tiny models.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from helpers import forks

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = """
root: data
simulate: {num_takes: 2, seconds: 8, num_vertices: 300, lip_passages: 0}
recipes:
  face:
    {steps: 6, checkpoint_steps: 3, dim: 16, feedforward: 32, diffusion_steps: 50, sample_steps: 4,
     batch_size: 2, window_frames: 30}
  body:
    {steps: 6, checkpoint_steps: 3, channels: 8, blocks: 2, heads: 2, diffusion_steps: 10,
     batch_size: 2, window_frames: 30}
evaluate: {window_frames: 60}
"""
WITH_LIPS = TINY.replace("lip_passages: 0", "lip_passages: 1")
"""The same with a lip-accurate set, and what is trained on it."""


def make_project(folder: Path, config: str | None = None) -> Path:
    """A copy of what a run needs, in `folder`/interact, with a config (default: the tiny one)."""
    project = folder / "interact"
    project.mkdir(parents=True)
    for name in ("workflow", "rules", "pipeline", "models", "slurm"):
        # what is compiled too, but no file that is being compiled beside us
        shutil.copytree(REPOSITORY / name, project / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copy(REPOSITORY / "environment.yml", project)
    (project / "config.yaml").write_text(config or TINY)
    return project


def snakemake(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake in a project, output captured."""
    told = ["--cores", "2", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE")}
    if sys.platform == "linux":  # elsewhere a process with threads of the system's may not be forked
        return forks.run(project, told, environment)
    command = [sys.executable, "-m", "snakemake", *told]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=3600)


def planned(project: Path, *arguments: str) -> list[str]:
    """The rule of every job that a dry run would execute; every job's command can be written out."""
    result = snakemake(project, "-n", "-p", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return re.findall(r"^(?:local)?rule (\w+):", result.stdout + result.stderr, re.MULTILINE)
