"""A bad file in one take: its line, the other takes in the dataset, what status says, and the way on."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.tiny_shoot import make_shoot  # noqa: E402
from helpers.workflow_project import make_project, snakemake


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project with a three-take shoot whose second take has a BVH that breaks its own header."""
    folder = make_project(tmp_path_factory.mktemp("failure"))
    make_shoot(folder / "shoot", num_takes=3, seconds=4.0)
    bad = sorted((folder / "shoot").glob("20260101_002/*.bvh"))[0]
    bad.write_text(bad.read_text().replace("Frames: ", "Frames: 1"))
    return folder


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Up to the table: pictures and statistics would show the same."""
    talks = [f"out/annotations/dialogue/20260101_{number}.json" for number in ("001", "003")]
    return snakemake(project, "evaluate", *talks, *arguments, "--config", "shoot=shoot", "root=out")


def status(project: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pipeline.planning.status", "--config", "shoot=shoot", "root=out"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


def test_one_bad_take_does_not_stop_the_others(project):
    result = run(project, "--keep-going")
    assert result.returncode == 1
    line = "'Frames: 1"
    assert line in result.stdout + result.stderr
    assert "Traceback" not in (project / "out/logs/sync/20260101_002.log").read_text()
    written = sorted(path.name for path in (project / "out/dataset/bvhs").iterdir())
    assert "20260101_001_002.bvh" not in written
    assert sum("_001.bvh" in name for name in written) == sum("_003.bvh" in name for name in written) == 2
    assert not (project / "out/dataset/dataset.json").exists() and not list(
        (project / "out/shards").glob("*.h5")
    )
    told = status(project)
    assert told.returncode == 1
    assert "20260101_002  failed at" in told.stdout and line in told.stdout
    assert "2 of 3 takes done, 1 failed" in told.stdout
    assert "dataset waits; text waits; speech waits; shards_build waits; shards_index waits" in told.stdout
    assert "shoot/takes.tsv set its `exclude` to yes" in told.stdout


def test_after_excluding_it_the_run_completes(project):
    path = project / "shoot/takes.tsv"
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    column = header.split("\t").index("exclude")
    for i, row in enumerate(rows):
        cells = row.split("\t")
        if cells[0] == "20260101_002":
            cells[column] = "yes"
        rows[i] = "\t".join(cells)
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    result = run(project)
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    assert (project / "out/results/table.csv").exists()
    assert not [path for path in (project / "out/dataset").rglob("*_002.*")], (
        "streams of the excluded take stay in the dataset"
    )
    told = status(project)
    assert told.returncode == 0 and "2 of 2 takes done, 0 failed" in told.stdout


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("separation={method: visualvoice}", "separation.method visualvoice needs separation.checkpoints"),
        (
            "separation={method: visualvoice, checkpoints: vv}",
            ".mouth.npz, which is not there (and ",
        ),
        (
            "transcripts={text: texts}",
            "transcripts.text needs texts/20260101_001_001.txt, which is not there (and ",
        ),
    ],
)
def test_files_that_the_config_asks_for_are_missed_before_any_job(project, key, line):
    result = snakemake(project, "all", "-n", "--config", "shoot=shoot", "root=out", key)
    assert result.returncode == 2 and line in result.stderr
