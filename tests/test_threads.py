"""The same weights whatever the number of cores.

Threads that compute come from the config, and cores only schedule.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.workflow_project import REPOSITORY, make_project, snakemake

SAME_WITH_ANY_THREADS = {"blendshapes"}
"""Rules that pass Snakemake's threads on.

Their threads share whole blocks, which do not depend on each other.
"""
TRAIN = """
import sys
from pathlib import Path
from helpers.tiny_shards import LOWER, make_shards
from models import train

out, threads = Path(sys.argv[1]), int(sys.argv[2])
options = LOWER.model_copy(
    update={"steps": 4, "batch_size": 8, "window_frames": 48, "channels": 64, "threads": threads}
)
train.run(recipe="body", shards=make_shards(out / "shards"), out=out / "run", options=options)
"""


def weights(folder: Path, *, cores: int, threads: int) -> bytes:
    """Weights of a training that is told of `cores` as a job of Snakemake is."""
    told = {f"{name}_NUM_THREADS": str(cores) for name in ("OMP", "OPENBLAS", "MKL", "GOTO")}
    told["PYTHONPATH"] = str(REPOSITORY / "tests")  # for helpers
    subprocess.run(
        [sys.executable, "-c", TRAIN, str(folder), str(threads)],
        cwd=REPOSITORY,
        env=os.environ | told,
        check=True,
        timeout=300,
    )
    return (folder / "run" / "model.safetensors").read_bytes()


def test_cores_do_not_change_weights_and_threads_of_the_config_do(tmp_path):
    one, two = (weights(tmp_path / str(cores), cores=cores, threads=2) for cores in (1, 2))
    assert one == two
    assert weights(tmp_path / "other", cores=2, threads=1) != one  # or this test could not fail


def commands(project: Path, cores: int) -> list[str]:
    """The commands of all jobs of training and sampling that a dry run with so many cores plans."""
    result = snakemake(project, "-n", "-p", "--cores", str(cores), "generate")
    assert result.returncode == 0, result.stdout + result.stderr
    return sorted(re.findall(r"python -m models\.(?:train|generate) .*", result.stdout + result.stderr))


def test_any_number_of_cores_plans_the_same_training(tmp_path):
    project = make_project(tmp_path)
    one, many = commands(project, 1), commands(project, 64)
    assert len(one) == 4 and one == many
    assert all("--threads 1" in command for command in one)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "rules").glob("*.smk")), ids=lambda path: path.name)
def test_no_command_takes_its_threads_from_snakemake(path):
    rules = re.split(r"^ *rule (\w+):$", path.read_text(), flags=re.MULTILINE)[1:]
    assert {
        name for name, text in zip(rules[::2], rules[1::2]) if "{threads}" in text
    } <= SAME_WITH_ANY_THREADS


@pytest.mark.parametrize("profile", ["slurm/config.yaml", "workflow/profiles/default/config.yaml"])
def test_no_profile_sets_threads(profile):
    assert "set-threads" not in yaml.safe_load((REPOSITORY / profile).read_text())
