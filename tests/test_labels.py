"""A corrected label reaches all that stores it, and trains again only what reads it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers.workflow_project import planned, snakemake

TAKE = "data/shoot/takes.tsv"
TRAINING = {"train_run", "generate_trained_models", "evaluate"}
STREAMS = {
    "sync",
    "body",
    "blendshapes",
    "separation",
    "features",
    "text",
    "speech",
    "speech_stats",
    "shards_build",
    "shards_stats",
}


@pytest.fixture
def project(finished, tmp_path) -> Path:
    """A copy of a finished project that keeps every time."""
    project = Path(shutil.copytree(finished[0], tmp_path / "interact", symlinks=True))
    assert planned(project, "all") == []
    return project


def correct(project: Path, column: str, value: str) -> str:
    """Put a label into the first row of takes.tsv; gives the take."""
    path = project / "data" / "shoot" / "takes.tsv"
    header, first, *rest = path.read_text().splitlines()
    cells = dict(zip(header.split("\t"), first.split("\t"), strict=True))
    assert cells[column] != value
    cells[column] = value
    path.write_text("\n".join([header, "\t".join(cells.values()), *rest]) + "\n")
    return cells["take"]


def validate(project: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.shards", "validate", "data/shards"],
        cwd=project,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("column", ["emotion", "relationship"])
def test_a_corrected_label_trains_nothing(project, column):
    correct(project, column, "corrected")
    rules = set(planned(project, "all"))
    assert {"dataset", "split", "shards_index", "scenario_counts"} <= rules
    assert rules & (TRAINING | STREAMS) <= {"evaluate"}, (
        "evaluate reads the rigs, which the rule that writes takes.tsv writes too"
    )


def test_a_corrected_label_reaches_all_that_stores_it(project):
    take = correct(project, "emotion", "corrected")
    for name in ("takes.tsv", "shards_index"):
        target = "data/dataset/takes.tsv" if name == "takes.tsv" else "data/shards/index.parquet"
        assert snakemake(project, target).returncode == 0
        told = validate(project)
        if name == "takes.tsv":
            # the index that was not made again is a fault
            assert told.returncode == 0 or f"take {take}: emotion is" in told.stdout
    rows = {
        row["take"]: row for row in pq.read_table(project / "data" / "shards" / "index.parquet").to_pylist()
    }
    assert (
        rows[take]["emotion"] == "corrected"
        and "corrected" in (project / "data" / "dataset" / "takes.tsv").read_text()
    )
    assert validate(project).returncode == 0
    assert {"train_run", "generate_trained_models"}.isdisjoint(planned(project, "all"))


def test_a_corrected_word_trains_the_bodies_and_not_the_face(project):
    path = next((project / "data" / "annotations" / "transcripts").glob("*.json"))
    words = json.loads(path.read_text())
    words["words"][0]["word"] = "corrected"
    path.write_text(json.dumps(words))
    rules = set(planned(project, "all"))
    assert {"text", "shards_build", "shards_stats", *TRAINING} <= rules
    assert rules.isdisjoint({"sync", "body", "features", "speech", "dataset"})
    weights = {
        name: (project / "data" / "runs" / name / "model.safetensors").read_bytes()
        for name in ("face", "body_lower", "body_upper")
    }
    result = snakemake(project, "train")
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    again = {
        name: (project / "data" / "runs" / name / "model.safetensors").read_bytes() != weights[name]
        for name in weights
    }
    assert again == {"face": False, "body_lower": True, "body_upper": True}
    assert "goes on from step 6 of 6" in (project / "data" / "logs" / "train_run" / "face.log").read_text()


def test_another_split_trains_everything(project):
    path = project / "data" / "annotations" / "split.tsv"
    sides = {line.split("\t")[0]: line.split("\t")[1] for line in path.read_text().splitlines()[1:]}
    first = min(sides)
    path.write_text(
        path.read_text().replace(
            f"{first}\t{sides[first]}", f"{first}\t{'test' if sides[first] == 'train' else 'train'}"
        )
    )
    rules = planned(project, "train")
    assert {"shards_build", "shards_stats"} <= set(rules) and "text" not in rules
    assert rules.count("train_run") == 4  # fine-tuning begins with another face
