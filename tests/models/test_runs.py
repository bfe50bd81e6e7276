"""Weights belong to the code that made them: edited model code trains afresh, and the old code gets its old weights back."""

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_shards import FACE
from workflow_project import REPOSITORY, make_project

from models import train
from models.data import shards_of
from pipeline.workflow import code

STEPS = 3
FLAGS = f"--steps {STEPS} --batch-size 2 --window-frames 24 --channels 16 --blocks 1 --heads 2 --device cpu".split()
NOT_IN_THE_HASH = {
    "models/description.py",
    "pipeline/array_files.py",
    "pipeline/bvh.py",
    "pipeline/clock.py",
    "pipeline/files.py",
    "pipeline/hdf5_heap.py",
    "pipeline/hdf5_layout.py",
    "pipeline/ids.py",
    "pipeline/joint_map.py",
    "pipeline/reading.py",
}
"""They hand training what lies in the shards, which are in the hash by their sources and have a format version."""


def trained_by(project: Path, shards: Path, out: Path) -> tuple[bytes, str]:
    """Weights and log of `python -m models.train` with the code of a copy of the repository."""
    command = [sys.executable, "-m", "models.train", "body_lower", "--shards", str(shards), "--out", str(out), *FLAGS]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-4000:]
    return (out / "model.safetensors").read_bytes(), result.stderr


def test_an_edited_model_file_never_yields_old_weights(shards, tmp_path):
    project, out = make_project(tmp_path), tmp_path / "run"
    module = project / "models" / "diffusion.py"
    source = module.read_text()
    edited = source.replace("last: float = 0.7", "last: float = 0.5")
    assert edited != source
    first, log = trained_by(project, shards, out)
    assert "goes on" not in log
    module.write_text(edited)
    second, log = trained_by(project, shards, out)
    assert "goes on" not in log, "it resumed what other code had trained"
    assert second != first
    module.write_text(source)
    third, log = trained_by(project, shards, out)
    assert third == first
    assert f"goes on from step {STEPS} of {STEPS}" in log and len(list((out / "checkpoints").iterdir())) == 2


@pytest.mark.parametrize("name", sorted(set(code("models.train")) - NOT_IN_THE_HASH))
def test_every_file_that_training_computes_with_is_in_the_hash(name, shards, monkeypatch):
    opened, _ = shards_of(shards)
    before = train.run_hash("face", FACE, opened, [shards / "stats.json"])
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + (b"\n# a remark\n" if path == REPOSITORY / name else b""))
    assert train.run_hash("face", FACE, opened, [shards / "stats.json"]) != before
