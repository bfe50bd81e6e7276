"""Commands of the pages against a finished run.

The one that the page of a room begins with runs as written. The others name files that are there;
benchmarks/commands.py, which runs them all, tells what came of each.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import commands as all_commands
import pytest
from helpers.pages import PAGES, REPOSITORY, ROOMS, commands, runnable


@pytest.mark.parametrize("room", ROOMS)
def test_the_first_command_of_a_page_runs(finished, tmp_path, room):
    project, _ = finished
    command = next(line for lines in runnable(REPOSITORY / "docs" / f"{room}.md") for line in lines)
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


def test_files_of_the_run_that_commands_read_are_there(finished):
    project, _ = finished
    read = set()
    pages = [page for page in PAGES if page.name != "lip_acc.md"]  # its commands are of a shoot elsewhere
    for page, command in [*commands("python -m ", pages), *commands("snakemake ", pages)]:
        flag = ""
        for word in shlex.split(command.replace("-HASH", "-*")):
            flag = word if word.startswith("-") else flag
            if word.startswith("data/") and not flag.startswith("--out"):
                assert list(project.glob(word)), f"{page}: {command}: {word}"
                read.add(word)
    assert len(read) > 30


def test_what_came_of_each_command_is_told(finished, tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text(
        """
```
python -m pipeline.planning.status
python -m pipeline.rigs list rigs/none.npz
python -m models.train face --shards data/shards --out data/runs/face
python benchmarks/labels.py --colour red
pip install .
```

In a sentence, `snakemake train_face` has no cores.
"""
    )
    monkeypatch.setattr(all_commands, "PAGES", [page])
    assert all_commands.main([str(finished[0])]) == 1
    *rows, total = capsys.readouterr().out.splitlines()
    states = [row.split("\t")[1] for row in rows]
    assert states == ["ok", "failed", "parsed", "failed", "skipped", "failed"]
    assert "none.npz: no such file" in rows[1] and "--colour" in rows[3] and "cores" in rows[5]
    assert total == "6 commands: 1 ok, 3 failed, 1 parsed, 1 skipped"
