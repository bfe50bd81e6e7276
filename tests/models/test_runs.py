"""Weights belong to the code that made them: edited model code trains afresh, and the old code gets its old
weights back.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from helpers.tiny_shards import BODY, FACE
from helpers.workflow_project import REPOSITORY, make_project

from models import runs, train
from models.data import actors_of, shards_of
from pipeline.planning.code import code

STEPS = 3
FLAGS = (
    f"--steps {STEPS} --batch-size 2 --window-frames 24 --channels 16 --blocks 1 --heads 2 --device cpu"
).split()
NOT_IN_THE_HASH = {
    "models/description.py",
    "pipeline/formats/array_files.py",
    "pipeline/formats/bvh.py",
    "pipeline/motion/clock.py",
    "pipeline/files.py",
    "pipeline/formats/hdf5_heap.py",
    "pipeline/formats/hdf5_layout.py",
    "pipeline/ids.py",
    "pipeline/motion/joint_map.py",
    "pipeline/ownership.py",
    "pipeline/reading.py",
}
"""They hand training what lies in the shards, which are in the hash by their sources and have a format
version.
"""


def trained_by(project: Path, shards: Path, out: Path) -> tuple[bytes, str]:
    """Weights and log of `python -m models.train` with the code of a copy of the repository."""
    command = [
        sys.executable,
        "-m",
        "models.train",
        "body_lower",
        "--shards",
        str(shards),
        "--out",
        str(out),
        *FLAGS,
    ]
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
    opened, stats = shards_of(shards)
    channels = runs.represent("face", FACE, stats, opened[0].joint_names, actors_of(opened))
    before = train.run_hash(channels, FACE, opened)
    read = Path.read_bytes
    monkeypatch.setattr(
        Path,
        "read_bytes",
        lambda path: read(path) + (b"\n# a remark\n" if path == REPOSITORY / name else b""),
    )
    assert train.run_hash(channels, FACE, opened) != before


READ = {
    "features/20240101_001.h5": {"face", "body_lower", "body_upper"},
    "features/20240101_004.h5": set(),
    "features/shard-000.text.h5": {"body_lower", "body_upper"},
    "dataset/face_arkit/20240101_001_001.npy": {"face"},
    "annotations/facing/20240101_002_001.npy": {"face"},
    "annotations/actions/20240101_001_001.npy": {"body_lower", "body_upper"},
    "annotations/actions/20240101_002_004.npy": set(),
}
"""Which models learn from a file; take 004 is held out."""


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("model", ["face", "body_lower", "body_upper"])
def test_a_model_starts_afresh_where_what_it_reads_has_changed(shards, tmp_path, model, name):
    """A corrected word trains bodies again and leaves the face as it is."""

    def hashed(folder: Path) -> str:
        opened, stats = shards_of(folder)
        options = FACE if model == "face" else BODY
        return train.run_hash(
            runs.represent(model, options, stats, opened[0].joint_names, actors_of(opened)), options, opened
        )

    changed = Path(shutil.copytree(shards, tmp_path / "shards"))
    for path in changed.glob("*.h5"):
        with h5py.File(path, "r+") as f:
            table = f["sources"][()]
            table["sha256"][table["file"] == name.encode()] = b"0" * 64
            f["sources"][...] = table
            f.attrs["source_sha256"] = "another"
    assert (hashed(changed) != hashed(shards)) == (model in READ[name])


def test_statistics_that_a_model_does_not_read_leave_it(shards, tmp_path):
    changed = Path(shutil.copytree(shards, tmp_path / "shards"))
    stats = json.loads((changed / "stats.json").read_text())
    stats["text"]["mean"][0] += 1
    (changed / "stats.json").write_text(json.dumps(stats))
    found = {}
    for model, options in (("face", FACE), ("body_lower", BODY)):
        for folder in (shards, changed):
            opened, stats = shards_of(folder)
            found[model, folder] = train.run_hash(
                runs.represent(model, options, stats, opened[0].joint_names, actors_of(opened)),
                options,
                opened,
            )
    assert (
        found["face", shards] == found["face", changed]
        and found["body_lower", shards] != found["body_lower", changed]
    )
