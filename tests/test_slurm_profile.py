"""What the jobs of a run would ask Slurm for, by dry runs: no Slurm is needed."""

import re
from pathlib import Path

import pytest
import yaml
from helpers.workflow_project import REPOSITORY, TINY, WITH_LIPS, make_project, snakemake

from pipeline.config.models import ROWS
from pipeline.planning.requests import ENGINE_MB, memory, minutes

RULE = re.compile(r"^ *(?:local)?rule (\w+):$(.*?)^ *resources: (.*?)$", re.MULTILINE | re.DOTALL)


def asked(project: Path, *arguments: str) -> list[tuple[str, dict[str, str]]]:
    """The rule of each job that the profile plans, and its resources."""
    result = snakemake(project, "all", "--profile", "slurm", "-n", *arguments)
    text = result.stdout + result.stderr
    assert result.returncode == 0, text
    return [
        (name, dict(word.split("=", 1) for word in words.split(", ") if "=" in word))
        for name, _, words in RULE.findall(text)
    ]


def test_only_who_trains_or_generates_asks_for_a_gpu(tmp_path):
    jobs = asked(make_project(tmp_path, config=WITH_LIPS))
    on_gpu = {name for name, words in jobs if "gres" in words or "gpu" in words}
    assert on_gpu == {
        "train_run", "generate_trained_models", "generate_fine_tuned_on_lips", "generate_fine_tuned_swapped",
    }  # fmt: skip
    for name, words in jobs:
        assert words.get("slurm_partition") == ("gpu" if name in on_gpu else "cpu"), name
        assert int(words["mem_mb"]) > ENGINE_MB and int(words["runtime"]) > 0, name
    trains = [words for name, words in jobs if name == "train_run"]
    assert {words["cpus_per_task"] for words in trains} == {"1"}
    assert {words["slurm_extra"] for words in trains} == {"--signal=TERM@120"}


def test_the_profile_knows_every_row_and_names_no_rule_that_is_not_there():
    profile = yaml.safe_load((REPOSITORY / "slurm" / "config.yaml").read_text())
    configs = [yaml.safe_load(path.read_text()) for path in sorted((REPOSITORY / "config").glob("*.yaml"))]
    names = [*ROWS, *(name for config in configs for name in config.get("rows", {}))]
    rows = {"generate_" + re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") for name in names}
    told, grouped = set(profile["set-resources"]), set(profile["groups"])
    assert {name for name in told if name.startswith("generate_")} == rows
    rules = "".join(path.read_text() for path in sorted((REPOSITORY / "rules").glob("*.smk")))
    assert (told | grouped) - rows <= set(re.findall(r"rule (\w+)", rules))
    assert set(profile["group-components"]) <= set(profile["groups"].values())


def test_a_run_on_several_gpus_and_nodes(tmp_path):
    runs = "runs: {face: {processes: 2, threads: 3}, body_lower: {nodes: 2, processes: 4}}\n"
    project = make_project(tmp_path, config=TINY + runs)
    jobs = [words for name, words in asked(project, "-p") if name == "train_run"]
    assert sorted(
        (words["cpus_per_task"], words["mem_mb"], words.get("nodes"), words.get("mpi")) for words in jobs
    ) == [
        ("1", str(3000 + ENGINE_MB), None, None),
        ("4", str(4 * 3000 + ENGINE_MB), "2", "srun"),
        ("6", str(2 * 3000 + ENGINE_MB), None, None),
    ]
    result = snakemake(project, "train", "-n", "-p")
    commands = dict(
        re.findall(r"(exec .*) -m models\.train .*--out data/runs/(\w+)", result.stdout + result.stderr)
    )
    by_run = {run: command for command, run in commands.items()}
    assert by_run["body_upper"] == "exec python"
    together = "python -m torch.distributed.run --nproc-per-node 2 --standalone"
    assert by_run["face"] == f"exec env TORCH_ELASTIC_SHUTDOWN_TIMEOUT=600 {together}"
    assert "srun --nodes 2 --ntasks 2 " in by_run["body_lower"]
    assert "--nproc-per-node 4 --nnodes 2" in by_run["body_lower"]


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_a_further_attempt_asks_for_more(attempt, tmp_path):
    (tmp_path / "mesh").write_bytes(bytes(2_500_000))
    paths = [str(tmp_path / "mesh"), str(tmp_path / "not_made_yet")]
    assert memory(300)(None, attempt) == (300 + ENGINE_MB) * attempt
    assert memory(lambda wildcards: 2 * wildcards)(50, attempt) == (100 + ENGINE_MB) * attempt
    assert memory(300, grows=False)(None, attempt) == 300 + ENGINE_MB
    assert minutes(5)(None, paths, attempt) == 5 * attempt
    assert minutes(5, mb_a_minute=1)(None, paths, attempt) == 8 * attempt
