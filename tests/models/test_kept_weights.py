"""Which weights a training keeps: averaged ones, and those that do best on takes left out of the learning."""

import json

import numpy as np
import pytest
import torch
from helpers.kills import Killed, kill_after
from helpers.tiny_shards import RUNS

from models import runs, train
from models.checkpoints import State
from models.data import shards_of, takes_of

WATCHED = {"validation_share": 0.4, "held_out_steps": 5, "checkpoint_steps": 4, "steps": 20, "average": 0.9}


def go(name, shards, out, **changes):
    recipe, options = RUNS[name]
    train.run(recipe=recipe, shards=shards, out=out, options=options.model_copy(update=WATCHED | changes))
    return (out / "model.safetensors").read_bytes()


def lines_of(out) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_weights_are_averaged_with_a_decay_that_grows(tmp_path):
    network = torch.nn.Linear(1, 1, bias=False)
    network.register_buffer("seen", torch.zeros(()))
    torch.nn.init.zeros_(network.weight)
    state = State(network, torch.optim.SGD(network.parameters()), tmp_path, last_step=9, average=0.6)
    state.begin()
    expected = 0.0
    for step in range(9):
        torch.nn.init.constant_(network.weight, step + 1.0)
        network.seen += 1
        state.advance()
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step + 1.0)
        assert float(state.kept.weight) == pytest.approx(expected)
    assert float(state.kept.seen) == 9 and not state.kept.weight.requires_grad
    assert float(network.weight) == 9 and expected < 9
    state.finish()
    assert float(network.weight) == pytest.approx(expected)


def test_without_an_average_the_model_itself_is_kept(tmp_path):
    network = torch.nn.Linear(1, 1)
    state = State(network, torch.optim.SGD(network.parameters()), tmp_path, last_step=1)
    assert state.kept is network


def test_the_best_weights_on_validation_takes_are_kept(shards, tmp_path, monkeypatch):
    """Those of the step with the least loss there: what a training that ends at that step writes."""
    found = iter([5.0, 3.0, 4.0, 3.0])
    measure = train.Watch.measure

    def measured(watch, state):
        held_out = type(state.kept).held_out
        monkeypatch.setattr(
            type(state.kept), "held_out", lambda *_: {"loss": next(found) if watch.test is None else 0.0}
        )
        line = measure(watch, state)
        monkeypatch.setattr(type(state.kept), "held_out", held_out)
        return line

    watch = train._windows

    def windows(*arguments):
        found, watched = watch(*arguments)
        return found, train.Watch(None, watched.validation, watched.seed, watched.device)

    with monkeypatch.context() as patch:
        patch.setattr(train.Watch, "measure", measured)
        patch.setattr(train, "_windows", windows)
        kept = go("body_lower", shards, tmp_path / "run")
    told = [line for line in lines_of(tmp_path / "run") if "validation" in line]
    assert [(line["step"], line["validation"], line["best"]) for line in told] == [
        (5, 5.0, True),
        (10, 3.0, True),
        (15, 4.0, False),
        (20, 3.0, False),
    ]
    assert "of step 10, which did best" in (tmp_path / "run" / "CARD.md").read_text()
    assert kept == go("body_lower", shards, tmp_path / "ten", steps=10, held_out_steps=0)


def test_what_validates_is_not_learned_from(shards, tmp_path, monkeypatch):
    learned = {}
    loader = train.loader

    def watched(windows, **arguments):
        learned["takes"] = [span.take for _, span in windows.takes]
        return loader(windows, **arguments)

    monkeypatch.setattr(train, "loader", watched)
    go("face", shards, tmp_path / "face")
    opened, _ = shards_of(shards)
    every = [span.take for _, span in takes_of(opened, "train")]
    (left,) = set(every) - set(learned["takes"])
    card = (tmp_path / "face" / "CARD.md").read_text()
    assert f"left out of the learning: {left}." in card.replace("\n", " ")
    assert f"trained on {len(every) - 1} takes" in card


@pytest.mark.parametrize("step", [3, 9, 19])
def test_a_killed_run_ends_with_the_same_bytes(shards, tmp_path, monkeypatch, step):
    """Average and best weights stand in the checkpoints."""
    whole = go("body_lower", shards, tmp_path / "a" / "body_lower")
    out = tmp_path / "b" / "body_lower"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, step)
        go("body_lower", shards, out)
    assert go("body_lower", shards, out) == whole
    for name in ("log.jsonl", "CARD.md", "model.json"):
        assert (out / name).read_bytes() == (tmp_path / "a" / "body_lower" / name).read_bytes()


def test_the_log_and_the_card_tell_the_held_out_error(shards, tmp_path):
    go("body_lower", shards, tmp_path / "run", validation_share=0)
    lines = lines_of(tmp_path / "run")
    measured = [line for line in lines if "held_out" in line and "step" in line]
    assert [line["step"] for line in measured] == [5, 10, 15, 20]
    assert all("validation" not in line for line in lines)
    assert lines[-1]["held_out"] == measured[-1]["held_out"] and lines[-1]["best"] is None
    levels = lines[-1]["held_out"]["levels"]
    card = (tmp_path / "run" / "CARD.md").read_text()
    for level, error in levels.items():
        cells = [f"{error[name]:.4f}" for name in ("model", "other", "shrinkage", "mean")]
        assert f"| {level} | {' | '.join(cells)} |" in card
    assert "no train take was left out" in card


def test_takes_shorter_than_a_window_are_not_measured(shards, tmp_path):
    go("face", shards, tmp_path / "run", window_frames=110, steps=4, validation_share=0)
    assert lines_of(tmp_path / "run")[-1]["held_out"] is None
    assert "No test take is as long as a window" in (tmp_path / "run" / "CARD.md").read_text()


def test_a_best_that_the_file_lacks_is_a_damaged_checkpoint(shards, tmp_path):
    go("body_lower", shards, tmp_path / "run")
    (folder,) = (tmp_path / "run" / "checkpoints").iterdir()
    record = json.loads((folder / "state.json").read_text())
    assert record["best"]["step"] in (5, 10, 15, 20) and np.isfinite(record["best"]["loss"])
    for name in ("state.json", "previous.json"):
        other = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(other | {"best": None}))
    with pytest.raises(train.InputError, match="has not the averaged or best weights"):
        go("body_lower", shards, tmp_path / "run")
    for name in ("state.json", "previous.json"):
        other = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(other | {"best": {"step": 5, "loss": "low"}}))
    with pytest.raises(train.InputError, match="best is .*, need a step and a loss"):
        go("body_lower", shards, tmp_path / "run")


def test_kept_weights_are_those_that_load(shards, tmp_path):
    go("face", shards, tmp_path / "run")
    run = runs.load(tmp_path / "run")
    (folder,) = (tmp_path / "run" / "checkpoints").iterdir()
    record = json.loads((folder / "state.json").read_text())
    from models.weights import read_tensors

    tensors = read_tensors(folder / record["file"], fix="x")
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, tensors[f"best.{name}"])
        assert tensors[f"average.{name}"].shape == tensors[f"model.{name}"].shape == value.shape
