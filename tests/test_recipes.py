"""A recipe is one file: two of them go through train, generate, evaluate and report.

The second is given the first.

What an edit of code plans and trains: its own runs, and nothing for a comment.
"""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers.workflow_project import REPOSITORY, planned, snakemake
from safetensors.torch import load_file

from models import recipes
from pipeline.planning.status import main as status

RECIPES = REPOSITORY / "tests" / "recipes"
TRAINED = ("face", "body_lower", "body_upper")
CONFIG = """
runs:
  linear: {recipe: linear, steps: 4, checkpoint_steps: 2, batch_size: 2, window_frames: 30}
  residual: {recipe: residual, given: [linear], steps: 4, batch_size: 2, window_frames: 30}
rows:
  linear face: [linear]
  both: {runs: [residual, body_lower, body_upper], num_samples: 1}
"""


@pytest.fixture(scope="module")
def project(finished, tmp_path_factory) -> Path:
    """A copy of the finished project with both recipes in their folder and their lines in the config.

    `all` has run.
    """
    copy = tmp_path_factory.mktemp("recipes") / "interact"
    shutil.copytree(finished[0], copy, symlinks=True)
    for path in RECIPES.glob("*.py"):
        shutil.copy(path, copy / "models" / "recipes")
    with open(copy / "config.yaml", "a", encoding="utf-8") as f:
        f.write(CONFIG)
    before = {name: weights(copy)[name] for name in TRAINED}
    result = snakemake(copy, "all")
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    assert {name: weights(copy)[name] for name in TRAINED} == before, "other runs were trained again"
    assert set(re.findall(r"^(?:local)?rule (\w+):", result.stdout + result.stderr, re.MULTILINE)) == {
        "train_run", "generate_linear_face", "generate_both", "evaluate", "report_losses", "view_take",
        "viewer", "all",
    }  # fmt: skip
    return copy


def weights(project: Path) -> dict[str, bytes]:
    """model.safetensors of every run that is there."""
    return {
        path.parent.name: path.read_bytes()
        for path in (project / "data" / "runs").glob("*/model.safetensors")
    }


def steps_of(project: Path) -> dict[str, int]:
    """When each checkpoint's file was written, ns: another time or file is a step that was trained."""
    found = (project / "data" / "runs").glob("*/checkpoints/*/step-*")
    return {str(path): path.stat().st_mtime_ns for path in found}


def test_a_row_for_each_that_the_config_names(project):
    with open(project / "data" / "results" / "table.csv", encoding="utf-8", newline="") as f:
        table = {row["method"]: row for row in csv.DictReader(f)}
    assert list(table) == [
        "real", "trained models", "fine-tuned on lips", "fine-tuned, swapped", "linear face", "both",
        "mean pose", "nearest training clip", "training takes",
    ]  # fmt: skip
    assert table["trained models"]["samples"] == "5" and table["both"]["samples"] == "1"
    assert float(table["linear face"]["LVE_cm2"]) > 0 and table["linear face"]["FD_g"] == ""
    assert float(table["both"]["LVE_cm2"]) != float(table["linear face"]["LVE_cm2"])
    assert float(table["both"]["FD_g"]) > 0
    page = (project / "data" / "results" / "table.html").read_text(encoding="utf-8")
    assert "5 (linear face), 1 (both) samples a take" in page


def test_motion_is_what_the_recipe_makes(project):
    folder = project / "data" / "results" / "generated"
    assert {path.name for path in folder.iterdir()} == {
        "trained_models", "fine_tuned_on_lips", "fine_tuned_swapped", "linear_face", "both",
    }  # fmt: skip
    assert not (folder / "linear_face" / "bvhs").exists() and (folder / "both" / "bvhs").is_dir()
    (first, *_), (same, *_) = (
        sorted((folder / "linear_face" / name).glob("*.npy"))
        for name in ("face_arkit", "sample-01/face_arkit")
    )
    assert np.array_equal(np.load(first), np.load(same)) and np.isfinite(np.load(first)).all()


def test_a_run_is_built_on_the_one_that_it_is_given(project):
    runs = project / "data" / "runs"
    own, given = (load_file(runs / name / "model.safetensors") for name in ("residual", "linear"))
    assert all(torch.equal(own[f"base.{name}"], value) for name, value in given.items())
    assert own["map.weight"].abs().max() > 0
    described = json.loads((runs / "residual" / "model.json").read_text())
    assert (
        described["given"]["linear"]["hash"]
        == json.loads((runs / "linear" / "model.json").read_text())["hash"]
    )
    assert "given linear" in (runs / "residual" / "CARD.md").read_text()
    logged = [json.loads(line) for line in (runs / "linear" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in logged[:-1]] == [1, 2, 3, 4, 4] and all(
        "loss_a" in line or "loss" in line["held_out"] for line in logged[:-1]
    )


def test_status_and_report_know_every_run_and_row(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    monkeypatch.setattr(recipes, "FOLDER", project / "models" / "recipes")
    status([])
    told = capsys.readouterr().out
    for name in ("train_linear", "train_residual", "train_face", "generate_linear_face", "generate_both"):
        assert f"{name} done" in told
    assert (project / "data" / "results" / "report" / "losses.png").stat().st_size > 10_000


def test_nothing_is_left_to_do(project):
    assert planned(project, "all") == []


def edited(project: Path, name: str, old: str, new: str) -> None:
    path = project / name
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def trained_by(project: Path) -> list[str]:
    """Runs that a dry run would train, by the folders that it would write."""
    result = snakemake(project, "-n", "-p", "all")
    assert result.returncode == 0, result.stdout + result.stderr
    return sorted(
        set(re.findall(r"python -m models.train \w+ .*--out data/runs/(\w+)", result.stdout + result.stderr))
    )


def test_an_edit_of_a_recipe_plans_its_runs_and_what_is_built_on_them(project):
    edits = {
        "residual": (".square().mean()}", ".abs().mean()}", ["residual"]),
        "linear": ('{"loss": error.mean(),', '{"loss": 2 * error.mean(),', ["linear", "residual"]),
    }
    for name, (old, new, trained) in edits.items():
        module = f"models/recipes/{name}.py"
        edited(project, module, old, new)
        assert trained_by(project) == trained
        edited(project, module, new, old)
    assert planned(project, "all") == []


def test_an_edit_that_changes_no_training_trains_nothing(project):
    """A comment of the loop, a docstring of a recipe, and the way it samples."""
    before, steps = weights(project), steps_of(project)
    old = "    learning = [parameter"
    edited(project, "models/train.py", old, f"    # what the optimiser moves\n{old}")
    recipe = "models/recipes/linear.py"
    edited(project, recipe, '"""One linear layer."""', '"""A linear layer, and no other."""')
    edited(
        project, recipe, "self.face.invert(self.predict(told))", "0.5 * self.face.invert(self.predict(told))"
    )
    faces = sorted((project / "data" / "results" / "generated" / "linear_face" / "face_arkit").glob("*.npy"))
    sampled = [np.load(path) for path in faces]
    result = snakemake(project, "train", "generate_linear_face")
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    assert weights(project) == before and steps_of(project) == steps
    assert all(np.allclose(np.load(path), old / 2) for path, old in zip(faces, sampled, strict=True))


def test_options_of_a_recipe_are_read_without_the_rest_of_it():
    for name in recipes.names():
        light, full = recipes.options_of(name), recipes.load(name).Options
        assert light is not full and light.model_json_schema() == full.model_json_schema()
        assert (light().streams, light().makes, light().needs) == (full().streams, full().makes, full().needs)


def test_the_config_of_the_test_names_what_stands_in_the_folder():
    runs = yaml.safe_load(CONFIG)["runs"]
    assert {run["recipe"] for run in runs.values()} == {path.stem for path in RECIPES.glob("*.py")}
