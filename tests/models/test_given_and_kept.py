"""Runs that are built on others, begin with the weights of others, and go on over a change of code."""

import json
import logging
from pathlib import Path

import pytest
import torch
from helpers.kills import Killed, kill_after
from helpers.tiny_shards import TINY
from safetensors.torch import load_file

from models import recipes, runs, train
from pipeline.errors import InputError

FOLDER = Path(__file__).parents[1] / "recipes"


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """The recipes of the tests stand among the others."""
    monkeypatch.setattr(recipes, "FOLDER", FOLDER)
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(FOLDER)])


def options(recipe: str, **changes):
    return recipes.load(recipe).Options(
        **TINY | {"steps": 12, "checkpoint_steps": 3, "learning_rate": 0.02} | changes
    )


def go(recipe, shards, out, *, given=(), start=None, **changes):
    train.run(
        recipe=recipe,
        shards=shards,
        out=out,
        options=options(recipe, **changes),
        given=list(given),
        start=start,
    )
    return load_file(out / "model.safetensors")


def test_a_given_run_is_taken_up_frozen_and_another_one_is_another_training(shards, tmp_path):
    first = go("linear", shards, tmp_path / "linear")
    own = go("residual", shards, tmp_path / "residual", given=[tmp_path / "linear"])
    assert all(torch.equal(own[f"base.{name}"], value) for name, value in first.items())
    go("linear", shards, tmp_path / "linear", seed=1)
    other = go("residual", shards, tmp_path / "residual", given=[tmp_path / "linear"])
    assert not torch.equal(other["base.map.weight"], own["base.map.weight"])
    assert len(list((tmp_path / "residual" / "checkpoints").iterdir())) == 2
    run = runs.load(tmp_path / "residual")
    assert [name for name, p in run.model.named_parameters() if p.requires_grad] == ["map.weight", "map.bias"]


def test_a_killed_run_with_frozen_parts_ends_with_the_bytes_of_an_undisturbed_one(
    shards, tmp_path, monkeypatch
):
    go("linear", shards, tmp_path / "linear")
    given = [tmp_path / "linear"]
    go("residual", shards, tmp_path / "whole" / "residual", given=given)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 7)
        go("residual", shards, tmp_path / "killed" / "residual", given=given)
    go("residual", shards, tmp_path / "killed" / "residual", given=given)
    for name in ("model.safetensors", "model.json", "log.jsonl", "CARD.md"):
        whole, killed = ((tmp_path / kind / "residual" / name).read_bytes() for kind in ("whole", "killed"))
        assert whole == killed


def test_a_run_begins_with_the_weights_of_another(shards, tmp_path):
    first = go("linear", shards, tmp_path / "first")
    near = go(
        "linear", shards, tmp_path / "near", start=tmp_path / "first", steps=1, learning_rate=1e-8, seed=5
    )
    assert all(torch.allclose(near[name], first[name], atol=1e-6) for name in first)
    described = json.loads((tmp_path / "near" / "model.json").read_text())
    assert described["start"] == "first"
    assert "began with the weights of first" in (tmp_path / "near" / "CARD.md").read_text()
    with pytest.raises(InputError, match="does not fit this run.*give both runs the same sizes"):
        go("linear", shards, tmp_path / "x", start=tmp_path / "first", bias=False)
    with pytest.raises(InputError, match="its recipe is linear, need residual"):
        go("residual", shards, tmp_path / "x", given=[tmp_path / "first"], start=tmp_path / "first")


def other_code(monkeypatch, name: str = "0123456789abcdef"):
    monkeypatch.setattr(train, "code_hash", lambda recipe: name)


def test_other_code_starts_afresh_unless_checkpoints_are_kept(shards, tmp_path, monkeypatch, caplog):
    """Killed at step 7, with a checkpoint of step 6; then the code changes."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 7)
        go("linear", shards, tmp_path)
    (before,) = (tmp_path / "checkpoints").iterdir()
    held = {path.name: path.read_bytes() for path in before.iterdir()}
    other_code(monkeypatch)
    caplog.set_level(logging.INFO, logger="interact")
    go("linear", shards, tmp_path, keep_checkpoints=True)
    assert "goes on from step 6 of 12" in caplog.text
    assert f"goes on from steps that other code ({before.name[-16:]}) has trained" in caplog.text
    card = (tmp_path / "CARD.md").read_text()
    assert "its first steps were trained with other code" in card and before.name[-16:] in card
    assert {path.name: path.read_bytes() for path in before.iterdir()} == held, "what other code wrote stays"
    caplog.clear()
    other_code(monkeypatch, "f" * 16)
    go("linear", shards, tmp_path)
    assert "goes on" not in caplog.text, "old weights pass for new"
    assert "other code" not in (tmp_path / "CARD.md").read_text()


def test_kept_checkpoints_are_those_of_the_same_options_and_data(shards, tmp_path, monkeypatch, caplog):
    go("linear", shards, tmp_path)
    other_code(monkeypatch)
    caplog.set_level(logging.INFO, logger="interact")
    go("linear", shards, tmp_path, keep_checkpoints=True, learning_rate=0.03)
    assert "goes on" not in caplog.text


def test_given_runs_of_one_name_are_refused(shards, tmp_path):
    given = [tmp_path / folder / "linear" for folder in ("a", "b")]
    for out in given:
        go("linear", shards, out, steps=1)
    with pytest.raises(InputError, match="--given linear, linear: a name stands twice"):
        go("residual", shards, tmp_path / "residual", given=given)
