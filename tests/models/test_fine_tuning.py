"""Fine-tuning on a lip-accurate set: its shard, whose errors count, and the swap of the denoiser's layer."""

import json
import shutil

import numpy as np
import pytest
import torch
from helpers.kills import Killed, kill_after
from helpers.tiny_shards import FACE, NUM_MELS
from safetensors.torch import load_file
from scipy.io import wavfile

from models import data, runs, swap, train
from models.draws import Draws
from pipeline.config import Features
from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.formats.shard_file import Shard
from pipeline.motion.clock import sample_of
from pipeline.shards import lips, stats
from pipeline.shards.features import MEL_FLOOR
from pipeline.shards.validate import validate

NAMES = ["20240105_001_1", "20240105_003_1", "20240105_001_2"]
FRAMES = {"20240105_001_1": 70, "20240105_003_1": 50, "20240105_001_2": 61}
MEL = {"num_mels": NUM_MELS, "mel_fft": 1024, "mel_fmax": 8000.0}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """The dataset of a set of three readings, two of one sentence."""
    folder, rng = tmp_path_factory.mktemp("data") / "dataset", np.random.default_rng(3)
    for part in ("face_arkit", "wav"):
        (folder / "lip_acc" / part).mkdir(parents=True)
    for name, frames in FRAMES.items():
        face = np.cumsum(rng.normal(0, 0.02, (frames, 51)), 0).astype(np.float32)
        np.save(folder / "lip_acc" / "face_arkit" / f"{name}.npy", face)
        voice = rng.normal(0, 0.1, int(sample_of(frames, 48_000))).astype(np.float32)
        wavfile.write(folder / "lip_acc" / "wav" / f"{name}.wav", 48_000, voice)
    return folder


@pytest.fixture(scope="module")
def lip_shards(dataset):
    folder = dataset.parent / "lip_shards"
    path = folder / "shard-000.h5"
    lips.run(dataset=dataset, performances=NAMES, out=path, options=Features(**MEL))
    stats.run(shards=[path], out=folder / "stats.json")
    return folder


@pytest.fixture(scope="module")
def tuned(trained, lip_shards, tmp_path_factory):
    """The tiny face, and the same fine-tuned on lips, in one folder."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(trained.runs / "face", folder / "face")
    tune(lip_shards, folder / "finetune_face", folder / "face")
    return folder


def tune(shards, out, start, **changes):
    options = FACE.model_copy(update={"loss_on": "lips", "steps": 8, "checkpoint_steps": 3} | changes)
    train.run(recipe="face", shards=shards, out=out, options=options, start=start)
    return load_file(out / "model.safetensors")


def test_a_reading_is_a_take_whose_partner_is_not_there(dataset, lip_shards):
    shard = Shard(lip_shards / "shard-000.h5")
    assert [span.take for span in shard.takes] == ["20240105_1-001", "20240105_1-003", "20240105_2"]
    assert {(span.actor_a, span.split) for span in shard.takes} == {("-", "train")}
    for span, name in zip(shard.takes, NAMES):
        frames = slice(span.start_frame, span.stop_frame)
        face = np.load(dataset / "lip_acc" / "face_arkit" / f"{name}.npy")
        assert np.array_equal(shard["face"][frames, 1], face) and not shard["face"][frames, 0].any()
        assert span.actor_b == name.split("_")[1] and not shard["facing"][frames].any()
        samples = slice(span.start_sample, span.stop_sample)
        assert not shard["audio"][samples, 0].any() and shard["audio"][samples, 1].std() > 0.05
        origin = shard.origin(("face", "mel"), [span])
        assert [path for path, _ in origin] == [
            f"dataset/lip_acc/face_arkit/{name}.npy",
            f"dataset/lip_acc/wav/{name}.wav",
        ]
    assert (shard["mel"][:, 0] == np.float32(np.log(np.float32(MEL_FLOOR)))).all()
    assert (shard["text_index"][:] == -1).all() and data.actors_of([shard]) == ["001", "003"]
    assert validate(lip_shards) == []


def test_the_shard_is_the_same_twice_and_faults_have_names(dataset, lip_shards, tmp_path):
    def again(**changes):
        given = {"dataset": dataset, "performances": NAMES, "options": Features(**MEL)}
        lips.run(out=tmp_path / "again.h5", **given | changes)

    again()
    assert (tmp_path / "again.h5").read_bytes() == (lip_shards / "shard-000.h5").read_bytes()
    with pytest.raises(InputError, match="20240105_002_1.npy: is missing"):
        again(performances=["20240105_002_1"])
    with pytest.raises(InputError, match="performance is 'x', need"):
        again(performances=["x"])
    broken = shutil.copytree(dataset, tmp_path / "dataset")
    face = np.load(broken / "lip_acc" / "face_arkit" / f"{NAMES[0]}.npy")
    face[7, 3] = np.nan
    np.save(broken / "lip_acc" / "face_arkit" / f"{NAMES[0]}.npy", face)
    with pytest.raises(InputError, match="frame 7: got NaN"):
        again(dataset=broken)


@pytest.mark.parametrize("loss_on", ["all", "lips"])
def test_only_lips_of_those_who_are_there_are_learned(trained, lip_shards, loss_on):
    opened, _ = data.shards_of(lip_shards)
    found = data.Windows(opened, window=24, stride=4, streams=FACE.streams, actors=["001", "002", "003"])
    batch = data.collate([found[0], found[-1]])
    assert batch["actors"].tolist() == [[-2, 0], [-2, 0]] and batch["present"].tolist() == [[False, True]] * 2
    options = FACE.model_copy(update={"loss_on": loss_on})
    model = runs.build("face", options, runs.load(trained.runs / "face").model.meta)
    face = batch["face"].clone().requires_grad_()
    target, counted = model.target(batch | {"face": face}), model.counted(batch)
    draws = Draws(0, 0, 4, torch.device("cpu"))
    # a network that says zero is wrong by the target itself
    found = model.diffusion.loss(
        lambda x, step: torch.zeros_like(x), target, draws, velocity_weight=2.0, counted=counted
    )
    chosen = target[1::2][..., model.lips] if loss_on == "lips" else target[1::2]
    assert torch.allclose(found, chosen.square().mean() + 2 * chosen.diff(dim=1).square().mean())
    found.backward()
    learned = [name for name in model.feature_names if loss_on == "all" or name.startswith(("jaw", "mouth"))]
    moved = face.grad[:, :, 1].abs().sum((0, 1)) > 0
    assert {arkit.NAMES[c] for c in torch.nonzero(moved).flatten()} == {*learned}
    assert not face.grad[:, :, 0].any()


def test_fine_tuning_keeps_moments_and_actors_of_its_start(tuned):
    base, own = (json.loads((tuned / name / "model.json").read_text()) for name in ("face", "finetune_face"))
    for key in ("stats", "actors", "joint_names", "skeletons", "features", "feature_names"):
        assert own[key] == base[key], key
    assert own["start"] == "face" and own["hash"] != base["hash"]
    before, after = (load_file(tuned / name / "model.safetensors") for name in ("face", "finetune_face"))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.startswith("network.layer.") for name in moved) and "network.audio.weight" in moved


def test_a_killed_fine_tuning_ends_with_the_same_bytes(tuned, lip_shards, tmp_path, monkeypatch):
    start = tuned / "face"
    with monkeypatch.context() as patch:
        kill_after(patch, 5)
        with pytest.raises(Killed):
            tune(lip_shards, tmp_path / "finetune_face", start)
    tune(lip_shards, tmp_path / "finetune_face", start)
    whole = (tuned / "finetune_face" / "model.safetensors").read_bytes()
    assert (tmp_path / "finetune_face" / "model.safetensors").read_bytes() == whole


def test_the_swap_takes_the_layer_and_leaves_the_rest(tuned, tmp_path):
    out = tmp_path / "swap_face"
    for _ in range(2):
        swap.run(base=tuned / "face", tuned=tuned / "finetune_face", out=out)
    base, other, own = (
        load_file(path / "model.safetensors") for path in (tuned / "face", tuned / "finetune_face", out)
    )
    assert own.keys() == base.keys()
    for name, value in own.items():
        assert torch.equal(value, (other if name.startswith("network.layer.") else base)[name]), name
    run = runs.load(out)
    assert (run.name, run.description["start"]) == ("swap_face", "face")
    assert run.description["hash"] not in (
        runs.load(tuned / "face").description["hash"],
        runs.load(tuned / "finetune_face").description["hash"],
    )
    assert "those of finetune_face" in (out / "CARD.md").read_text()


@pytest.mark.parametrize(
    "base, tuned_by, said",
    [
        ("finetune_face", "face", "run face: began with no other run, need finetune_face"),
        ("body_lower", "face", "run body_lower: nothing of recipe body is swapped"),
    ],
)
def test_runs_that_do_not_fit_are_not_swapped(trained, tuned, tmp_path, base, tuned_by, said):
    folders = {"body_lower": trained.runs / "body_lower"} | {
        name: tuned / name for name in ("face", "finetune_face")
    }
    with pytest.raises(InputError, match=said):
        swap.run(base=folders[base], tuned=folders[tuned_by], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_of_other_moments_is_not_swapped(tuned, tmp_path):
    other = shutil.copytree(tuned / "finetune_face", tmp_path / "finetune_face")
    description = json.loads((other / "model.json").read_text())
    description["stats"]["face"]["mean"][0] += 0.5
    (other / "model.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="run finetune_face: its stats differs from that of face"):
        swap.run(base=tuned / "face", tuned=other, out=tmp_path / "out")


@pytest.mark.parametrize(
    "start, changes, said",
    [
        ("body_lower", {}, "its recipe is body, need face"),
        ("face", {"dim": 48}, "model.safetensors"),
        ("face", {"facing": "none"}, "reads face, mel, facing, need face, mel, as this run does"),
    ],
)
def test_a_start_that_does_not_fit_is_one_line(trained, lip_shards, tmp_path, start, changes, said):
    with pytest.raises(InputError, match=said):
        tune(lip_shards, tmp_path / "finetune_face", trained.runs / start, **changes)


def test_a_start_of_another_mel_is_one_line(trained, dataset, tmp_path):
    folder = tmp_path / "lip_shards"
    options = Features(**MEL | {"mel_fmax": 4000.0})
    lips.run(
        dataset=dataset,
        performances=NAMES,
        out=folder / "shard-000.h5",
        options=options,
    )
    stats.run(shards=[folder / "shard-000.h5"], out=folder / "stats.json")
    with pytest.raises(InputError, match="its features is .*8000.*, need .*4000"):
        tune(folder, tmp_path / "finetune_face", trained.runs / "face")
