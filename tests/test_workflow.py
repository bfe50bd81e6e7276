"""The whole workflow on a two-take simulated shoot with tiny models: run, run again, edit a module, bad tables."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
TINY = """
root: data
simulate: {num_takes: 2, seconds: 8, num_vertices: 300}
face_model: {steps: 6, checkpoint_steps: 3, dim: 16, feedforward: 32, diffusion_steps: 50, sample_steps: 4, batch_size: 2, window_frames: 30}
body_model: {steps: 6, checkpoint_steps: 3, channels: 8, blocks: 2, heads: 2, diffusion_steps: 10, batch_size: 2, window_frames: 30}
evaluate: {window_frames: 60}
"""


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake in a copy of the repository, output captured."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def planned(folder: Path, *arguments: str) -> set[str]:
    """Names of the rules that a dry run would execute."""
    result = snakemake(folder, "-n", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return set(re.findall(r"^(?:local)?rule (\w+):", result.stdout + result.stderr, re.MULTILINE))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the repository whose `all` has run once."""
    folder = tmp_path_factory.mktemp("project") / "interact"
    folder.mkdir()
    for name in ("workflow", "rules", "pipeline", "models", "slurm"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "environment.yml", folder)
    (folder / "config.yaml").write_text(TINY)
    result = snakemake(folder, "all")
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    return folder


def test_everything_is_there(project):
    data = project / "data"
    assert {p.name for p in (data / "shards").iterdir()} == {"plan.json", "shard-000.h5", "index.parquet", "stats.json"}
    table = (data / "results" / "table.csv").read_text().splitlines()
    assert len(table) >= 5 and not any("nan" in line.lower() for line in table)
    accuracy = (data / "results" / "accuracy.csv").read_text()
    assert "mean,,face_weight_rms" in accuracy
    assert list((data / "results" / "strips").glob("*.png"))
    assert not list(data.rglob(".*-*")), "temporary files stay behind"


def test_second_run_has_nothing_to_do(project):
    result = snakemake(project, "all")
    assert result.returncode == 0
    assert "Nothing to be done" in result.stdout + result.stderr


def test_shards_are_valid(project):
    result = subprocess.run([sys.executable, "-m", "pipeline.shards", "validate", "data/shards"], cwd=project, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_edit_reruns_its_stage_and_what_follows(project):
    module = project / "pipeline" / "facing.py"
    before = {path: path.read_bytes() for path in (project / "data" / "runs").rglob("model.safetensors")}
    module.write_text(module.read_text() + "\n# a remark\n")
    rules = planned(project, "all")
    assert {"facing", "shards", "shard_index", "train_face", "generate", "evaluate"} <= rules
    assert rules.isdisjoint({"sync", "body", "blendshapes", "separation", "transcripts", "text", "features", "dataset"})
    result = snakemake(project, "all")
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    assert {path: path.read_bytes() for path in before} == before, "the same data and model code give the same weights"
    log = (project / "data" / "logs" / "train_face.log").read_text()
    assert "goes on from step 6 of 6" in log, "training that had finished is exported again, not repeated"
    assert planned(project, "all") == set()


def test_slurm_profile_plans_as_typed(project):
    result = snakemake(project, "train_face", "--profile", "slurm", "-n", "--forceall")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "slurm_partition=gpu" in result.stdout + result.stderr


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
