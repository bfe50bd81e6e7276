"""README and docs against the code: links lead somewhere, commands parse, names are those of rules, stages
and make targets.
"""

import importlib
import re
import shlex

import pytest
from helpers.pages import PAGES, README, REPOSITORY, commands

from pipeline import stage
from pipeline.formats.takes import TABLES, column_table

RULES = {
    name
    for path in (REPOSITORY / "rules").glob("*.smk")
    for name in re.findall(r"^\s*rule (\w+):", path.read_text(), re.MULTILINE)
}


class Parsed(Exception):
    """Thrown in place of running a stage, once its flags are parsed."""


def is_stage(module: str) -> bool:
    """Whether a module's command line goes through `stage.execute`, which the test can stop before it does
    anything.
    """
    path = REPOSITORY / (module.replace(".", "/") + ".py")
    return not path.exists() or "stage.execute(" in path.read_text()


STAGES = [
    (page, line)
    for page, line in commands("python -m ", PAGES)
    if line.split()[2] != "pytest" and is_stage(line.split()[2])
]


@pytest.mark.parametrize("page, command", STAGES)
def test_command_parses(page, command, monkeypatch, capsys):
    def parse(parser, run, argv=None):
        parser.parse_args(argv)
        raise Parsed

    monkeypatch.setattr(stage, "execute", parse)
    module, *argv = shlex.split(command)[2:]
    try:
        importlib.import_module(module).main(argv)
    except Parsed:
        return
    except SystemExit as error:
        assert not error.code, f"{page}: {command}: {capsys.readouterr().err}"


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
    assert set(targets) <= RULES | {"all"}, command


def test_stages_of_the_table_are_modules():
    rows = [
        line
        for line in README.read_text().splitlines()
        if line.startswith("| `") and "](docs/" in line and "/" not in line.split("|")[1]
    ]
    stages = [name for line in rows for name in re.findall(r"`([a-z_.]+)`", line.split("|")[1])]
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
    rules = "\n".join(path.read_text() for path in (REPOSITORY / "rules").glob("*.smk"))
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
