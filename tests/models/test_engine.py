"""What the training loop does beside learning: parts of batches, processes, rates, faults, what it logs."""

import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.kills import Killed, kill_after
from helpers.tiny_shards import RUNS, TINY
from safetensors.torch import load_file

from models import train
from models.checkpoints import NEWEST, read_record
from models.data import Batches
from models.processes import Processes
from models.recipes import face, faceformer
from models.train import learning_rate
from pipeline import stage
from pipeline.config import Training
from pipeline.errors import InputError

DROPS = {"condition_dropout": 0.3, "steps": 12, "checkpoint_steps": 5, "batch_size": 4}
FACEFORMER = faceformer.Options(**TINY, dropout=0, audio="mel", dim=16, heads=2, period=5)


def options_of(name, **changes) -> tuple[str, Training]:
    """Recipe and options of a tiny run; what is told is dropped where the recipe can do that."""
    recipe, options = {**RUNS, "faceformer": ("faceformer", FACEFORMER)}[name]
    known = {key: value for key, value in DROPS.items() if key in type(options).model_fields}
    return recipe, options.model_copy(update=known | changes)


def go(name, shards, out, **changes):
    recipe, options = options_of(name, **changes)
    train.run(recipe=recipe, shards=shards, out=out, options=options)
    return load_file(out / "model.safetensors"), out


def lines_of(out, key="loss") -> list[dict]:
    return [
        line for text in (out / "log.jsonl").read_text().splitlines() if key in (line := json.loads(text))
    ]


def assert_near(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], tolerance=2e-4):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=tolerance, atol=tolerance, msg=name)


def told(recipe: str, options: Training) -> list[str]:
    """The command line of a run of these options."""
    words = [recipe]
    for key, value in options.model_dump().items():
        words += [stage.flag(key), json.dumps(value) if not isinstance(value, str) else value]
    return words


@pytest.mark.parametrize("model", ["face", "body_upper"])
def test_a_batch_in_pieces_learns_what_the_whole_batch_learns(model, shards, tmp_path):
    whole, first = go(model, shards, tmp_path / "whole")
    pieces, second = go(model, shards, tmp_path / "pieces", pieces=4)
    assert_near(whole, pieces)
    losses = [[line["loss"] for line in lines_of(out)] for out in (first, second)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize("model", ["face", "body_lower", "faceformer"])
def test_two_processes_learn_what_one_learns_and_go_on_where_it_stopped(model, shards, tmp_path):
    """By torchrun, from a checkpoint of one process, with nothing told of some items."""
    recipe, options = options_of(model)
    whole, alone = go(model, shards, tmp_path / "alone" / model)
    _, out = go(model, shards, tmp_path / "two" / model, steps=7)
    [made], [there] = ((folder / "checkpoints").iterdir() for folder in (out, alone))
    assert read_record(made / NEWEST)["step"] == 7
    shutil.move(made, made.with_name(there.name))  # of other options: put where these look for theirs
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", "models.train"]
    run = subprocess.run(
        [*command, *told(recipe, options), "--shards", str(shards), "--out", str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "goes on from step 7 of 12" in run.stderr
    assert_near(whole, load_file(out / "model.safetensors"))
    losses = [[line["loss"] for line in lines_of(folder)] for folder in (alone, out)]
    assert len(losses[0]) == len(losses[1]) == 12
    np.testing.assert_allclose(*losses, rtol=2e-4)


def test_processes_share_a_batch():
    assert [Processes(rank, 3, rank).share(6) for rank in range(3)] == [slice(0, 2), slice(2, 4), slice(4, 6)]
    with pytest.raises(InputError, match="got 7 windows for 3 processes, need a multiple of 3"):
        Processes(0, 3, 0).share(7)
    assert Processes(3, 4, 1).device("cuda") == "cuda:1" and Processes().device("cuda") == "cuda"


def test_dropout_differs_between_parts_and_resumes(shards, tmp_path, monkeypatch):
    whole, _ = go("face", shards, tmp_path / "whole" / "face", dropout=0.3, pieces=2)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 8)
        go("face", shards, tmp_path / "face", dropout=0.3, pieces=2)
    again, _ = go("face", shards, tmp_path / "face", dropout=0.3, pieces=2)
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    seeds = [train.step_seed(0, step, first) for step in range(5) for first in (0, 1, 2)]
    assert len(set(seeds)) == 15


def test_pieces_that_do_not_divide_are_refused(shards, tmp_path):
    with pytest.raises(InputError, match="pieces: got 3 for 4 windows"):
        go("face", shards, tmp_path / "face", pieces=3)


@pytest.mark.parametrize(
    "decay, shares",
    [
        ("none", [0.5, 1, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 1, 0.7, 0.4, 0.1]),
        ("cosine", [0.5, 1, 1, 0.775, 0.325, 0.1]),
        ("exponential", [0.5, 1, 1, 0.1 ** (1 / 3), 0.1 ** (2 / 3), 0.1]),
    ],
)
def test_the_rate_rises_and_falls(decay, shares):
    options = Training(learning_rate=2e-3, warmup_steps=2, steps=6, decay=decay, final_rate=0.1)
    rates = [learning_rate(options, step) for step in range(6)]
    np.testing.assert_allclose(rates, 2e-3 * np.array(shares), rtol=1e-12)


def test_the_rates_are_those_of_the_log(shards, tmp_path):
    _, out = go("face", shards, tmp_path / "face", decay="cosine", final_rate=0.5)
    options = RUNS["face"][1].model_copy(update=DROPS | {"decay": "cosine", "final_rate": 0.5})
    logged = [line["learning_rate"] for line in lines_of(out)]
    assert logged == [learning_rate(options, step) for step in range(12)] and logged[-1] < max(logged)


def test_weights_decay_apart_from_the_gradient(shards, tmp_path):
    plain, _ = go("face", shards, tmp_path / "plain")
    smaller, _ = go("face", shards, tmp_path / "smaller", weight_decay=5.0)
    name = "network.first.weight"
    assert smaller[name].norm() < 0.98 * plain[name].norm()


def test_a_loss_that_is_no_number_names_the_windows(shards, tmp_path, monkeypatch):
    real = face.Model.loss
    seen = []

    def broken(model, batch, draws):
        if model.training:
            seen.append(1)
        result = real(model, batch, draws)
        return {"loss": result["loss"] * (np.nan if len(seen) == 3 else 1)}

    monkeypatch.setattr(face.Model, "loss", broken)
    with pytest.raises(InputError, match="the loss is nan at step 3, of ") as error:
        go("face", shards, tmp_path / "face")
    from models.data import Windows, actors_of, shards_of

    opened, _ = shards_of(shards)
    options = RUNS["face"][1]
    windows = Windows(opened, window=24, stride=4, streams=options.streams, actors=actors_of(opened))
    [numbers] = Batches(len(windows), 4, seed=0, first_step=2, last_step=3)
    for number in numbers:
        assert windows.name(number) in str(error.value)


@pytest.mark.parametrize(
    "fits, words", [(2, "2 fit: set pieces to 2"), (0, "too small for one window of 24")]
)
def test_out_of_memory_says_what_fits(shards, tmp_path, monkeypatch, fits, words):
    real = face.Model.loss

    def hungry(model, batch, draws):
        if len(batch["actors"]) > fits:
            raise torch.OutOfMemoryError("no room")
        return real(model, batch, draws)

    monkeypatch.setattr(face.Model, "loss", hungry)
    with pytest.raises(InputError, match=words):
        go("face", shards, tmp_path / "face")
    if fits:
        monkeypatch.setattr(face.Model, "held_out", lambda *_: {"loss": 1.0})
        go("face", shards, tmp_path / "face", pieces=2)


def test_a_fault_of_another_kind_stays_one(shards, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(face.Model, "loss", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        go("face", shards, tmp_path / "face")


def test_what_is_compiled_is_the_network_alone(shards, tmp_path, monkeypatch):
    """That a compiled network learns the same takes minutes to see; benchmarks/train_face.py sees it."""
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))
    go("face", shards, tmp_path / "face", steps=2, compile=True)
    assert [type(module) for module in compiled] == [face.FaceDenoiser]


def test_the_last_weights_are_kept_beside_the_best(shards, tmp_path):
    watched = {"validation_share": 0.4, "held_out_steps": 3, "steps": 12, "learning_rate": 0.05}
    best, out = go("face", shards, tmp_path / "face", **watched)
    validation = [line["validation"] for line in lines_of(out, "validation") if "step" in line]
    assert int(np.argmin(validation)) < len(validation) - 1, "the last weights are not the best ones here"
    last = load_file(out / "last.safetensors")
    assert last.keys() == best.keys() and any(not torch.equal(last[name], best[name]) for name in best)
    go("face", shards, tmp_path / "face", **watched | {"validation_share": 0.0})
    assert not (out / "last.safetensors").exists()


def test_tensorboard_gets_what_the_log_gets(shards, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    plain, first = go("face", shards, tmp_path / "plain" / "face")
    weights, out = go("face", shards, tmp_path / "face", tensorboard=True)
    assert all(torch.equal(value, weights[name]) for name, value in plain.items())
    assert (first / "log.jsonl").read_bytes() == (out / "log.jsonl").read_bytes()
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    losses = [event.value for event in events.Scalars("loss")]
    np.testing.assert_allclose(losses, [line["loss"] for line in lines_of(out)], rtol=1e-6)
    assert len(events.Scalars("windows a second")) == 11


@pytest.mark.parametrize("model, kind", [("face", "face"), ("body_lower", "body"), ("faceformer", "face")])
def test_tensorboard_gets_a_sample_at_each_measurement(model, kind, shards, tmp_path):
    pytest.importorskip("tensorboard")
    from PIL import Image
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    measured = {"held_out_steps": 6, "steps": 18}
    plain, first = go(model, shards, tmp_path / "plain" / model, **measured)
    weights, out = go(model, shards, tmp_path / model, tensorboard=True, **measured)
    assert all(torch.equal(value, weights[name]) for name, value in plain.items())
    assert (first / "log.jsonl").read_bytes() == (out / "log.jsonl").read_bytes()
    assert not (first / "tensorboard").exists()
    events = EventAccumulator(str(out / "tensorboard"), size_guidance={"images": 0, "audio": 0})
    events.Reload()
    assert events.Tags()["images"] == [f"sample/{kind}"] and events.Tags()["audio"] == ["sample/voices"]
    images = events.Images(f"sample/{kind}")
    assert [image.step for image in images] == [6, 12, 18]
    pictures = [np.array(Image.open(io.BytesIO(image.encoded_image_string))) for image in images]
    assert not np.array_equal(pictures[0], pictures[2]) and pictures[0].std() > 0
    (voices,) = events.Audio("sample/voices")
    assert voices.sample_rate == 16000 and voices.length_frames == 24 * 16000 // 30


def test_without_tensorboard_no_sample_is_made(shards, tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("a sample is made that nobody sees")

    monkeypatch.setattr(face.Model, "sample", never)
    go("face", shards, tmp_path / "face", held_out_steps=6)


def test_without_tensorboard_its_extra_is_named(shards, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install 'interact-pipeline\\[tensorboard\\]'"):
        go("face", shards, tmp_path / "face", tensorboard=True)
