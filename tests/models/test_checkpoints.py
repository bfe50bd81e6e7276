"""A checkpoint that is damaged, however, costs the steps since the one before and no more.

A run is never frozen by one file.
"""

import json
import logging
import os
import shutil

import pytest
import torch
from helpers.tiny_shards import LOWER
from safetensors.torch import load_file, save_file
from torch import nn

from models import train
from models.checkpoints import NEWEST, PREVIOUS, State
from models.weights import write_tensors
from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import sha256

LAST = "step-00000030.safetensors"


def go(shards, out, **changes):
    train.run(recipe="body", shards=shards, out=out, options=LOWER.model_copy(update=changes))
    return (out / "model.safetensors").read_bytes()


@pytest.fixture
def run(trained, tmp_path):
    """A copy of a finished run and the folder of its checkpoints."""
    out = shutil.copytree(trained.runs / "body_lower", tmp_path / "body_lower")
    (folder,) = (out / "checkpoints").iterdir()
    return out, folder


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit(path, **changes):
    path.write_text(
        json.dumps(
            {
                key: value
                for key, value in (json.loads(path.read_text()) | changes).items()
                if value is not ...
            }
        )
    )


def edit_tensors(folder, change, name=NEWEST):
    """Change a checkpoint's tensors and let its record name the new file's SHA-256.

    A program with a bug would do this.
    """
    record = json.loads((folder / name).read_text())
    path = folder / record["file"]
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    edit(folder / name, sha256=sha256(path))


def nan(tensors):
    next(value for key, value in tensors.items() if key.startswith("model."))[...] = float("nan")


DAMAGES = {
    "empty": lambda folder: (folder / LAST).write_bytes(b""),
    "cut": lambda folder: cut(folder / LAST),
    "flipped bit": lambda folder: flip(folder / LAST),
    "gone": lambda folder: (folder / LAST).unlink(),
    "a pipe": lambda folder: ((folder / LAST).unlink(), os.mkfifo(folder / LAST)),
    "a folder": lambda folder: ((folder / LAST).unlink(), (folder / LAST).mkdir()),
    "NaN": lambda folder: edit_tensors(folder, nan),
    "a weight missing": lambda folder: edit_tensors(
        folder, lambda tensors: tensors.pop("model.network.last.bias")
    ),
    "a moment missing": lambda folder: edit_tensors(
        folder, lambda tensors: tensors.pop("optimiser.exp_avg.network.last.bias")
    ),
    "another shape": lambda folder: edit_tensors(
        folder, lambda tensors: tensors.update({"model.network.last.bias": torch.zeros(2)})
    ),
    "a moment of no parameter": lambda folder: edit_tensors(
        folder, lambda tensors: tensors.update({"optimiser.exp_avg.network.x": torch.zeros(2)})
    ),
    "a moment of another shape": lambda folder: edit_tensors(
        folder, lambda tensors: tensors.update({"optimiser.exp_avg.network.last.bias": torch.zeros(2)})
    ),
    "names of moments gone": lambda folder: edit(folder / NEWEST, optimiser={}),
    "moments as a list": lambda folder: edit(folder / NEWEST, optimiser=[]),
    "moments of text": lambda folder: edit(
        folder / NEWEST, optimiser={"tensors": [], "numbers": {"step.network.last.bias": "1"}}
    ),
    "record empty": lambda folder: (folder / NEWEST).write_bytes(b""),
    "record cut": lambda folder: cut(folder / NEWEST),
    "record gone": lambda folder: (folder / NEWEST).unlink(),
    "record a list": lambda folder: (folder / NEWEST).write_text("[1]"),
    "record deep": lambda folder: (folder / NEWEST).write_text("[" * 100_000),
    "record with 5,000 digits": lambda folder: (folder / NEWEST).write_text('{"step": ' + "9" * 5000 + "}"),
    "another file": lambda folder: edit(folder / NEWEST, file="../../../elsewhere"),
    "another step": lambda folder: edit(folder / NEWEST, step=31, file="step-00000031.safetensors"),
    "no hash": lambda folder: edit(folder / NEWEST, sha256=...),
    "log of numbers": lambda folder: edit(folder / NEWEST, log=[1, 2]),
    "log of other text": lambda folder: edit(folder / NEWEST, log=["[" * 10_000]),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_training_goes_on_from_the_checkpoint_before_a_damaged_one(damage, run, trained, caplog):
    out, folder = run
    damage(folder)
    if (folder / LAST).is_dir():  # told, and not removed: who knows whose it is
        with pytest.raises(InputError, match="is a folder"):
            go(trained.shards, out)
        (folder / LAST).rmdir()
        caplog.clear()
    with caplog.at_level(logging.WARNING):
        found = go(trained.shards, out)
    (warning,) = (
        record.getMessage() for record in caplog.records if "checkpoint before" in record.getMessage()
    )
    assert "of step 20" in warning and "\n" not in warning
    expected = trained.runs / "body_lower"
    assert found == (expected / "model.safetensors").read_bytes()
    files = {path.relative_to(expected) for path in expected.rglob("*") if path.is_file()}
    assert {path.relative_to(out) for path in out.rglob("*") if path.is_file()} == files
    assert [name for name in files if (out / name).read_bytes() != (expected / name).read_bytes()] == []


def test_where_both_are_damaged_one_line_says_what_to_do(run, trained, monkeypatch, capsys):
    out, folder = run
    flip(folder / LAST)
    cut(folder / PREVIOUS)
    arguments = ["body", "--shards", trained.shards, "--out", out]
    for key, value in LOWER.model_dump().items():
        arguments += [stage.flag(key), value if isinstance(value, str) else json.dumps(value)]
    with pytest.raises(SystemExit) as caught:
        train.main([str(word) for word in arguments])
    said = capsys.readouterr().err.splitlines()
    assert (
        caught.value.code == 2
        and said[-1].startswith("error: ")
        and not any("Traceback" in line for line in said)
    )
    assert f"remove the folder {folder}, and training begins afresh" in said[-1]
    shutil.rmtree(folder)
    assert go(trained.shards, out) == (trained.runs / "body_lower" / "model.safetensors").read_bytes()


def test_a_first_checkpoint_that_is_damaged_is_told_too(shards, tmp_path):
    go(shards, tmp_path, steps=3)
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [NEWEST, "step-00000003.safetensors"]
    flip(folder / "step-00000003.safetensors")
    with pytest.raises(InputError, match="there is none before it; remove the folder"):
        go(shards, tmp_path, steps=3)


def test_weights_that_are_not_finite_are_never_written(tmp_path):
    for odd in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(InputError, match="b is not finite"):
            write_tensors(
                tmp_path / "x.safetensors", {"a": torch.full((9,), 3e38), "b": torch.tensor([1.0, odd, 2.0])}
            )
    assert list(tmp_path.iterdir()) == []
    write_tensors(tmp_path / "x.safetensors", {"a": torch.full((9,), 3e38)})  # large, and its sum runs over


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(shards, tmp_path, monkeypatch):
    calls, sync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(
        os,
        "fsync",
        lambda handle: (calls.append(("sync", os.readlink(f"/proc/self/fd/{handle}"))), sync(handle))[1],
    )
    monkeypatch.setattr(
        os, "replace", lambda a, b: (calls.append(("name", str(b), str(a))), replace(a, b))[1]
    )
    go(shards, tmp_path, steps=2, checkpoint_steps=1)
    names = (
        "state.json",
        "previous.json",
        "model.safetensors",
        "model.json",
        "step-00000001.safetensors",
        "step-00000002.safetensors",
    )
    for name in names:
        (at,) = [i for i, call in enumerate(calls) if call[0] == "name" and call[1].endswith(f"/{name}")][-1:]
        path = calls[at][1]
        assert calls[at - 1] == ("sync", calls[at][2]) and calls[at + 1] == (
            "sync",
            os.path.dirname(path),
        ), name


class Partly(nn.Module):
    """A network with a frozen parameter, and one that never gets a gradient: it has no part in the loss."""

    def __init__(self):
        super().__init__()
        self.first, self.last, self.idle = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2)
        self.first.weight.requires_grad_(False)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


OPTIMISERS = {
    "SGD with momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "SGD without": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.1),
    "Adam with its largest moments": lambda parameters: torch.optim.Adam(parameters, lr=0.1, amsgrad=True),
    "NAdam": lambda parameters: torch.optim.NAdam(parameters, lr=0.1),
    "Rprop": lambda parameters: torch.optim.Rprop(parameters, lr=0.1),
}


def trained_for(make, folder, *, stops: list[int], every_parameter: bool) -> dict[str, torch.Tensor]:
    """Weights after as many steps as the last stop, the process begun anew after each of the stops."""
    folder.mkdir()
    for stop in stops:
        torch.manual_seed(0)
        network = Partly()
        chosen = [p for p in network.parameters() if every_parameter or p.requires_grad]
        state = State(network, make(chosen), folder, last_step=stops[-1])
        state.restore(folder / "log.jsonl")
        while state.step < stop:
            x = torch.randn(8, 3, generator=torch.Generator().manual_seed(state.step))
            state.optimiser.zero_grad()
            (network(x) - x[:, :2]).square().mean().backward()
            state.optimiser.step()
            state.step += 1
        with open(folder / "log.jsonl", "a") as lines:
            lines.write(json.dumps({"step": stop, "loss": 1.0}) + "\n")
        state.save(folder / "log.jsonl")
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("every_parameter", [True, False], ids=["all given", "frozen ones left out"])
@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_any_optimiser_goes_on_as_if_it_had_never_stopped(make, every_parameter, tmp_path):
    whole = trained_for(make, tmp_path / "whole", stops=[12], every_parameter=every_parameter)
    parts = trained_for(make, tmp_path / "parts", stops=[1, 5, 12], every_parameter=every_parameter)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    torch.manual_seed(0)
    begin = Partly().state_dict()
    same = {name for name in whole if torch.equal(whole[name], begin[name])}
    assert same == {"first.weight", "idle.weight", "idle.bias"}, "or these parameters prove nothing"


def test_what_an_optimiser_keeps_matters():
    """Or the test above could not fail: without the moments the weights are others."""
    found = []
    for forget in (False, True):
        torch.manual_seed(0)
        network = Partly()
        optimiser = OPTIMISERS["SGD with momentum"](network.parameters())
        for _ in range(3):
            optimiser.zero_grad()
            network(torch.ones(1, 3)).square().sum().backward()
            optimiser.step()
            if forget:
                optimiser.state.clear()
        found.append(network.last.bias.detach().clone())
    assert not torch.equal(*found)
