"""Any recipe goes on as if it had never stopped, also where a kill met it while it wrote a checkpoint."""

import json
import signal
from functools import partial

import pytest
import torch
from helpers.kills import Killed, die_at_write, kill_after
from helpers.tiny_shards import TINY

from models import recipes, train
from models.checkpoints import NEWEST, State, read_record

SIZES = TINY | {
    "steps": 6,
    "checkpoint_steps": 2,
    "average": 0.9,
    "validation_share": 0.4,
    "held_out_steps": 3,
    "dropout": 0.2,
    "condition_dropout": 0.2,
    "audio": "mel",
    "dim": 16,
    "feedforward": 16,
    "channels": 16,
    "blocks": 2,
    "heads": 2,
}
"""Small sizes of any recipe, by the names of options; a recipe is given those that it has."""
ON_RIGS = ("faceformer", {"target": "vertices"})
"""A recipe and its options that make it learn vertices of rigs."""


def small(recipe: str) -> dict:
    return {key: value for key, value in SIZES.items() if key in recipes.options_of(recipe).model_fields}


def go(recipe, shards, out, *, start=None, rigs=None, **changes):
    options = recipes.load(recipe).Options(**small(recipe) | changes)
    train.run(recipe=recipe, shards=shards, out=out, options=options, start=start, rigs=rigs)
    return {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}


@pytest.mark.parametrize("begun", [False, True], ids=["afresh", "begun with a run"])
@pytest.mark.parametrize(("recipe", "changes"), [*((name, {}) for name in recipes.names()), ON_RIGS])
def test_every_recipe_goes_on_bit_for_bit(recipe, changes, begun, shards, rigs, tmp_path, monkeypatch):
    """Stopped between two checkpoints, with dropout, an average, and weights that did best before that."""
    keep = State.keep_best
    monkeypatch.setattr(State, "keep_best", lambda own, loss: keep(own, loss if own.step == 3 else 1e9))
    start = tmp_path / "first" if begun else None
    told = changes | {"rigs": rigs}
    if start:
        go(recipe, shards, start, **told | {"steps": 2, "seed": 1})
    whole = go(recipe, shards, tmp_path / "whole" / "run", start=start, **told)
    out = tmp_path / "stopped" / "run"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 5)
        go(recipe, shards, out, start=start, **told)
    assert not (out / "model.safetensors").exists()
    torch.manual_seed(1234)  # the state of the global generator must not matter
    again = go(recipe, shards, out, start=start, **told)
    assert [name for name in whole if again[name] != whole[name]] == []
    assert whole.keys() == again.keys() >= {"model.safetensors", "last.safetensors", "log.jsonl"}
    steps = [json.loads(line).get("step") for line in whole["log.jsonl"].splitlines()]
    assert [step for step in steps if step] == [1, 2, 3, 3, 4, 5, 6, 6]


def test_a_kill_while_a_checkpoint_is_written_loses_that_one_at_most(shards, tmp_path):
    """By signal 9, before each of the writes in turn, each time in a new process that goes on."""
    changes = {"steps": 12, "checkpoint_steps": 1, "held_out_steps": 0, "threads": 1}
    whole = go("face", shards, tmp_path / "whole" / "run", **changes)
    out = tmp_path / "killed" / "run"
    before, ends = 0, []
    while not ends or ends[-1]:
        assert len(ends) < 30
        ends.append(die_at_write(len(ends), partial(go, "face", shards, out, **changes)))
        [folder] = (out / "checkpoints").iterdir()
        step = read_record(folder / NEWEST)["step"] if (folder / NEWEST).exists() else 0
        assert step in (before, before + 1), "it was writing the checkpoint of one step"
        before = step
    assert set(ends[:-1]) == {-signal.SIGKILL} and ends[-1] == 0
    assert 2 <= before < len(ends), "some kills lost their checkpoint and some did not"
    again = go("face", shards, out, **changes)
    assert again == whole
    assert not [path for path in folder.iterdir() if path.name.startswith(".")], "no remains of the killed"
