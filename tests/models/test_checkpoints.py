"""A checkpoint that is damaged, however, costs the steps since the one before and no more.

A run is never frozen by one file.
"""

import json
import logging
import os
import shutil

import pytest
import torch
from helpers.tiny_shards import BODY
from safetensors.torch import load_file, save_file

from models import train
from models.checkpoints import NEWEST, PREVIOUS
from models.weights import write_tensors
from pipeline.errors import InputError
from pipeline.files import sha256

LAST = "step-00000030.safetensors"


def go(shards, out, **changes):
    train.run(model="body_lower", shards=shards, out=out, options=BODY.model_copy(update=changes))
    return (out / "model.safetensors").read_bytes()


@pytest.fixture
def run(trained, tmp_path):
    """A copy of a finished run and the folder of its checkpoints."""
    out = shutil.copytree(trained.runs / "body_lower", tmp_path / "run")
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
    """Change a checkpoint's tensors and let its record name the new file's SHA-256, as a program with a bug
    would.
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
    "a weight missing": lambda folder: edit_tensors(folder, lambda tensors: tensors.pop("model.last.bias")),
    "a moment missing": lambda folder: edit_tensors(
        folder, lambda tensors: tensors.pop("adam.exp_avg.last.bias")
    ),
    "another shape": lambda folder: edit_tensors(
        folder, lambda tensors: tensors.update({"model.last.bias": torch.zeros(2)})
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
    arguments = ["body_lower", "--shards", trained.shards, "--out", out]
    arguments += [
        word for key, value in BODY.model_dump().items() for word in (f"--{key.replace('_', '-')}", value)
    ]
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
