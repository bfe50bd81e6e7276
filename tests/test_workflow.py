"""The whole workflow on a two-take simulated shoot with tiny models.

Run, run again, edit a module, bad tables.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.workflow_project import make_project, planned, snakemake

from pipeline.formats.tables import TAKE_COLUMNS

MODELS = ("face", "body_lower", "body_upper")


@pytest.fixture
def project(finished) -> Path:
    """The project whose `all` has run."""
    return finished[0]


def test_everything_is_there(project):
    data = project / "data"
    (sidecars,) = (data / "shards").glob("speech-*")
    assert {p.name for p in (data / "shards").glob("[!.]*")} == {
        "plan.json",
        "shard-000.h5",
        "index.parquet",
        "stats.json",
        sidecars.name,
    }
    assert {p.name for p in sidecars.iterdir()} == {"shard-000.h5", "stats.json"}
    table = (data / "results" / "table.csv").read_text().splitlines()
    assert len(table) >= 5 and not any("nan" in line.lower() for line in table)
    accuracy = (data / "results" / "accuracy.csv").read_text()
    assert "mean,,face_weight_rms" in accuracy
    assert list((data / "results" / "strips").glob("*.png"))
    links = re.findall(r'href="(viewer/[^"#]+)', (data / "results" / "table.html").read_text())
    assert links and all((data / "results" / link).is_file() for link in links)
    assert (data / "results" / "viewer" / "index.html").is_file()
    assert not list(data.rglob(".*-*")), "temporary files stay behind"


def test_second_run_has_nothing_to_do(project):
    result = snakemake(project, "all")
    assert result.returncode == 0
    assert "Nothing to be done" in result.stdout + result.stderr


def test_shards_are_valid(project):
    result = subprocess.run(
        [sys.executable, "-m", "pipeline.shards", "validate", "data/shards"],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def checkpoints(project: Path) -> dict[Path, int]:
    """When each training checkpoint was written, ns."""
    return {path: path.stat().st_mtime_ns for path in (project / "data" / "runs").glob("*/checkpoints/*/*")}


def test_an_edit_reruns_its_stage_and_what_follows(project):
    module = project / "pipeline" / "annotate" / "facing.py"
    before = {path: path.read_bytes() for path in (project / "data" / "runs").rglob("model.safetensors")}
    written = checkpoints(project)
    trained = (*MODELS, "finetune_face")
    assert {path.parent.name for path in before} == {*trained, "swap_face"}
    assert len(written) == 4 * len(trained)  # the newest and the one before it
    module.write_text(module.read_text() + "\n# a remark\n")
    rules = set(planned(project, "all"))
    assert {
        "facing",
        "shards_build",
        "shards_index",
        "train_run",
        "generate_trained_models",
        "evaluate",
    } <= rules
    assert rules.isdisjoint(
        {"sync", "body", "blendshapes", "separation", "transcripts", "text", "speech", "features", "dataset"}
    )
    result = snakemake(project, "all")
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    assert {path: path.read_bytes() for path in before} == before, (
        "the same data and model code give the same weights"
    )
    assert checkpoints(project) == written, (
        "nothing was trained: every model has the checkpoint that it had, and no other"
    )
    for model in MODELS:
        log = (project / "data" / "logs" / "train_run" / f"{model}.log").read_text()
        assert "goes on from step 6 of 6" in log, (
            f"training of {model} that had finished is exported again, not repeated"
        )
    assert planned(project, "all") == []


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ("simulat: {}\n", "error: config key simulat: unknown; did you mean simulate?"),
        ("simulate: {num_takes: none}\n", "error: config key simulate.num_takes: got 'none'"),
        ("shoot: nowhere\n", "error: nowhere/actors.tsv: no such file"),
    ],
)
def test_a_mistake_in_the_config_is_one_line_and_exit_code_2(project, tmp_path, config, line):
    path = tmp_path / "bad.yaml"
    path.write_text(config)
    result = snakemake(project, "all", "-n", "--configfile", str(path))
    assert result.returncode == 2
    assert line in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("header", "names", "line"),
    [
        ("emotoin", ["20260101_001"], "unknown column 'emotoin'; did you mean 'emotion'?"),
        ("emotion", ["20260101_001", "20260101_001"], "row 3: take 20260101_001 stands twice"),
        (
            "emotion",
            ["20260101_001", "20260230_002"],
            "row 3: date is '20260230', need a day of the calendar as YYYYMMDD",
        ),
    ],
)
def test_a_mistake_in_the_tables_is_one_line_and_exit_code_2(project, tmp_path, header, names, line):
    columns = [header if column == "emotion" else column for column in TAKE_COLUMNS]
    rows = [[name, *name.split("_"), "001", "002", "", "", "", "", "", "", ""] for name in names]
    (tmp_path / "takes.tsv").write_text("".join("\t".join(row) + "\n" for row in [columns, *rows]))
    (tmp_path / "actors.tsv").write_text("actor\tgender\n001\tmale\n002\tfemale\n")
    result = snakemake(project, "all", "-n", "--config", f"shoot={tmp_path}", "root=other")
    assert result.returncode == 2
    assert (
        result.stderr.strip().splitlines()[-1].startswith(f"error: {tmp_path / 'takes.tsv'}")
        and line in result.stderr
    )
    assert "Traceback" not in result.stderr


def test_no_command_grows_with_the_number_of_takes(tmp_path):
    """A command is one argument of the shell, which holds 128 KiB.

    1,500 takes once were too many for a list of their files.
    """
    longest = []
    for num_takes in (24, 72):
        project = make_project(tmp_path / str(num_takes), config=f"simulate: {{num_takes: {num_takes}}}\n")
        result = snakemake(project, "-n", "-p", "all")
        assert result.returncode == 0, result.stdout + result.stderr
        rules: dict[str, int] = {}
        for command in re.findall(r"python -m [^\n]*", result.stdout + result.stderr):
            module, first = command.split()[2:4]
            name = f"{module} {first}" if first.startswith("-") else module
            rules[name] = max(rules.get(name, 0), len(command))
        longest.append(rules)
    few, many = longest
    grown = {name for name, length in many.items() if length > few[name] + 200}
    named = {"models.generate --runs", "pipeline.view.viewer --takes"}
    assert grown <= named, "held-out takes are named one by one, an eighth of all"
