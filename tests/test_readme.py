"""README and docs against the code.

Links lead somewhere, commands parse, names are those of rules, stages and make targets.
"""

import argparse
import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from helpers.pages import PAGES, README, REPOSITORY, ROOMS, commands

from pipeline import stage
from pipeline.config import Config
from pipeline.formats.tables import TABLES, column_table
from pipeline.planning.runs import plan_runs

RULES = {
    name
    for path in (REPOSITORY / "rules").glob("*.smk")
    for name in re.findall(r"^\s*rule (\w+):", path.read_text(), re.MULTILINE)
}


class Parsed(Exception):
    """Thrown in place of running a stage, once its flags are parsed."""


def module_of(command: str) -> str:
    """The module that a command runs: of a package its `__main__`."""
    name = shlex.split(command)[2]
    return f"{name}.__main__" if (REPOSITORY / name.replace(".", "/") / "__main__.py").exists() else name


def is_stage(command: str) -> bool:
    """Whether a module's command line goes through `stage.execute`.

    The test can stop that before it does anything.
    """
    path = REPOSITORY / (module_of(command).replace(".", "/") + ".py")
    return not path.exists() or "stage.execute" in path.read_text()


STAGES = [
    (page, line)
    for page, line in commands("python -m ", PAGES)
    if line.split()[2] != "pytest" and is_stage(line)
]


@pytest.mark.parametrize("page, command", STAGES)
def test_command_parses(page, command, monkeypatch, capsys):
    def parse(parser, run, argv=None):
        parser.parse_args(argv)
        raise Parsed

    monkeypatch.setattr(stage, "execute", parse)
    try:
        importlib.import_module(module_of(command)).main(shlex.split(command)[3:])
    except Parsed:
        return
    except SystemExit as error:
        assert not error.code, f"{page}: {command}: {capsys.readouterr().err}"


@pytest.mark.parametrize("page, command", commands("python benchmarks/", PAGES))
def test_command_of_a_benchmark_parses(page, command, monkeypatch, capsys):
    whole = argparse.ArgumentParser.parse_args

    def parse(parser, *given):
        whole(parser, *given)
        raise Parsed

    _, script, *argv = shlex.split(command)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(sys, "argv", [script, *argv])
    monkeypatch.setattr(sys, "path", list(sys.path))
    try:
        with pytest.raises(Parsed):
            runpy.run_path(str(REPOSITORY / script), run_name="__main__")
    except SystemExit:
        pytest.fail(f"{page}: {command}: {capsys.readouterr().err}")


def test_commands_are_found():
    assert len(commands("python -m ", [README])) >= 6
    assert len(commands("snakemake ", [README])) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        file, _, heading = target.partition("#")
        path = page.parent / file if file else page
        assert path.exists(), target
        headings = (
            {
                re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
                for line in path.read_text().splitlines()
                if line[:1] == "#"
            }
            if heading
            else set()
        )
        assert not heading or heading in headings, target


@pytest.mark.parametrize("page, command", commands("snakemake ", PAGES))
def test_snakemake_targets_and_overlays_exist(page, command):
    words = shlex.split(command)
    for word in words:
        assert not word.startswith("config/") or (REPOSITORY / word).exists(), word
    flag = next((i for i, word in enumerate(words) if word.startswith("--config")), len(words))
    targets = [
        word
        for before, word in zip(words, words[1:flag], strict=False)
        if re.fullmatch(r"[a-z]\w*", word) and not before.startswith("-")
    ]
    assert set(targets) <= RULES | {"all", *(run.target for run in plan_runs(Config()).values())}, command


def tables(page: Path) -> dict[str, list[list[str]]]:
    """Cells of the rows of a page's tables, by the table's first cell."""
    found = {}
    for table in re.findall(r"(?:^\|.*\n)+", page.read_text(), re.MULTILINE):
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]
        found.setdefault(rows[0][0], []).extend(rows[2:])
    return found


def opening(room: str) -> str:
    """What a room's page says before its first heading."""
    return (REPOSITORY / "docs" / f"{room}.md").read_text().split("\n## ")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_found_by_its_name(room):
    (row,) = [row for row in tables(README)["floor"] if row[1] == room]
    rules = REPOSITORY / "rules" / f"{room}.smk"
    assert row[2] == (f"`rules/{room}.smk`" if rules.exists() else "")
    assert row[3] == f"`pipeline/{room}/`" and f"(docs/{room}.md)" in row[4] and row[5]


def test_every_row_of_the_rooms_leads_somewhere():
    rows = tables(README)["floor"]
    assert {row[1] for row in rows} == {*ROOMS, "frame", "models"}
    for row in rows:
        for path in re.findall(r"`([^`]+)`", row[2] + row[3]):
            assert list(REPOSITORY.glob(path)), path
    named = {path for row in rows for path in re.findall(r"`rules/(\w+)\.smk`", row[2])}
    assert named == {path.stem for path in (REPOSITORY / "rules").glob("*.smk")}


@pytest.mark.parametrize("room", ROOMS)
def test_the_page_of_a_room_begins_with_what_goes_in_what_comes_out_and_a_command(room):
    text = opening(room)
    assert "**In:**" in text and "**Out:**" in text
    assert re.search(r"^```\n(python -[mc] |snakemake )", text, re.MULTILINE)
    assert text.index("```") < text.index("\n| ")


@pytest.mark.parametrize("room", ROOMS)
def test_the_page_of_a_room_names_its_modules(room):
    """Every command of a room, and of a room without commands every module, is in the page's first table."""
    modules = {
        path.stem: "\ndef main(" in path.read_text()
        for path in (REPOSITORY / "pipeline" / room).glob("*.py")
        if not path.stem.startswith("__")
    }
    wanted = [name for name, is_command in modules.items() if is_command or not any(modules.values())]
    assert wanted and not [name for name in wanted if f"`{room}.{name}`" not in opening(room)]


def test_names_for_scripts_can_be_imported():
    names = [
        name.partition("(")[0] for row in tables(README)["name"] for name in re.findall(r"`([^`]+)`", row[0])
    ]
    assert len(names) >= 10
    module = ""
    for name in names:
        module = name.rpartition(".")[0] or module
        assert callable(getattr(importlib.import_module(module), name.rpartition(".")[2])), name


def test_stages_of_the_table_are_modules():
    stages = [name for row in tables(README)["stages"] for name in re.findall(r"`([a-z_.]+)`", row[0])]
    assert len(stages) > 15
    for name in stages:
        path = name if name.startswith("models.") else f"pipeline.{name}"
        assert (REPOSITORY / (path.replace(".", "/") + ".py")).exists(), name


def test_every_stage_that_a_rule_runs_is_in_the_readme():
    rules = "\n".join(path.read_text() for path in (REPOSITORY / "rules").glob("*.smk"))
    stages = {name.removeprefix("pipeline.") for name in re.findall(r"python -m ([\w.]+)", rules)}
    assert len(stages) > 15
    assert not [name for name in stages if f"`{name}`" not in README.read_text()]


def test_make_targets_exist():
    targets = re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    for _, command in commands("make ", PAGES):
        assert shlex.split(command)[1] in targets, command


def test_outputs_are_what_rules_write():
    files = [*(REPOSITORY / "rules").glob("*.smk"), REPOSITORY / "pipeline" / "planning" / "facts.py"]
    rules = "\n".join(path.read_text() for path in files)
    rows = re.findall(
        r"^\| `((?:dataset|annotations|shards|runs|results)/[^`]*)`", README.read_text(), re.MULTILINE
    )
    assert len(rows) > 12
    for path in rows:
        folder = re.match(r"[\w/]+", path)[0].rsplit("/", 1)[0]
        assert folder in rules, path


@pytest.mark.parametrize("name", TABLES)
def test_columns_of_the_shoot_are_documented(name):
    text = (REPOSITORY / "docs" / ("lip_acc.md" if name == "lip_acc" else "shoot.md")).read_text()
    if name != "actors":
        assert column_table(TABLES[name]) in text
    for column in TABLES[name].model_fields:
        assert f"`{column}`" in text
