"""The command that the page of a room begins with runs as written after `make run`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.workflow_project import REPOSITORY

ROOMS = sorted({path.parent.name for path in (REPOSITORY / "pipeline").glob("*/__init__.py")} - {"config"})


@pytest.mark.parametrize("room", ROOMS)
def test_the_first_command_of_a_page_runs(finished, tmp_path, room):
    project, _ = finished
    opening = (REPOSITORY / "docs" / f"{room}.md").read_text().split("\n## ")[0]
    command = re.search(r"^```\n(.*?)^```", opening, re.MULTILINE | re.DOTALL)[1]
    folder = project
    if not command.startswith("snakemake"):  # which finds no Snakefile elsewhere
        folder = tmp_path
        shutil.copy(project / "config.yaml", folder)
        (folder / "data").symlink_to(project / "data")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(project),
    }
    result = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stdout + result.stderr
    for out in re.findall(r"--(?:out[\w-]*|truth|report) (\S+)", command):
        assert (folder / out).exists(), out
