"""Commands of the README and the docs on one stage alone run as they are written.

On tiny files of the names that they use.
"""

import importlib
import re
import shlex
import shutil
from pathlib import Path

import pytest
from helpers.example_files import make_examples
from helpers.pages import PAGES, README, blocks, commands

ALONE = {
    *("capture.blendshapes", "capture.separation", "capture.body"),
    *("annotate.body_labels", "annotate.actions", "annotate.facing", "annotate.contacts"),
}
"""Stages that work on files without a take."""
EXAMPLES = [
    (page, line) for page, line in commands("python -m pipeline.", PAGES)
    if line.split()[2].removeprefix("pipeline.") in ALONE and not re.search("--sync|--help|data/", line)
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_examples(tmp_path_factory.mktemp("examples"))


@pytest.mark.parametrize("command", sorted({line for _, line in EXAMPLES}))
def test_the_command_runs_as_written(folder, tmp_path, monkeypatch, command):
    shutil.copytree(folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    before = {path: path.read_bytes() for path in Path().rglob("*.*") if path.is_file()}
    module, *argv = shlex.split(command)[2:]
    importlib.import_module(module).main(argv)
    out = [Path(word) for flag, word in zip(argv, argv[1:]) if flag.startswith("--out")]
    assert out and all(path.exists() and (path.is_file() or any(path.iterdir())) for path in out)
    assert all(path.read_bytes() == content for path, content in before.items()), "an input was changed"


def test_the_readme_has_an_example_of_each_kind():
    named = [line.split()[2].removeprefix("pipeline.") for page, line in EXAMPLES if page == "README.md"]
    assert {"capture.blendshapes", "capture.separation", "annotate.body_labels"} <= set(named) and len(
        named
    ) >= 6
    assert {line.split()[2].removeprefix("pipeline.") for _, line in EXAMPLES} == ALONE


def test_the_script_of_the_readme_reads_what_its_commands_write(folder, tmp_path, monkeypatch, capsys):
    shutil.copytree(folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    for command in (
        "capture.blendshapes take.csv --out face.npy",
        "annotate.body_labels walk.bvh --joint-map mixamo --out labels",
    ):
        line = next(
            line
            for page, line in EXAMPLES
            if page == "README.md" and line.startswith(f"python -m pipeline.{command}")
        )
        module, *argv = shlex.split(line)[2:]
        importlib.import_module(module).main(argv)
    (script,) = [text for language, text in blocks(README) if language == "python" and "face.npy" in text]
    exec(compile(script, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert re.fullmatch(r"jaw open in \d+% of the frames, walking in \d+%\n", said), said
