"""A face whose speech encoder learns along: trained, gone on with, begun with, and generated."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from helpers.kills import Killed, kill_after
from helpers.tiny_encoders import tiny_wav2vec
from helpers.tiny_shards import FACE, make_shards
from safetensors.torch import load_file

from models import generate, runs, train
from models.data import shards_of
from models.draws import Draws
from pipeline.config import Generate
from pipeline.errors import InputError

TRAINED = FACE.model_copy(
    update={
        "audio": "speech",
        "encoder": "trained",
        "steps": 6,
        "checkpoint_steps": 2,
        "average": 0.9,
        "encoder_mask": 0.2,
    }
)
NOTHING = dict.fromkeys("takes transcripts actions facing actors placement".split()) | {
    "name": "00000000_000",
    "options": Generate(num_samples=1, window_frames=48, overlap_frames=16, device="cpu"),
}
CONVOLUTIONS = "encoder.network.feature_extractor."


def go(made, out, options=TRAINED, *, start=None, model="one"):
    train.run(
        recipe="face",
        shards=made / "shards",
        out=out,
        options=options,
        speech_model=str(made / model),
        start=start,
    )
    return load_file(out / "model.safetensors")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder with shards, an encoder `one`, and runs/face, trained with it."""
    folder = tmp_path_factory.mktemp("learning")
    make_shards(folder / "shards")
    tiny_wav2vec(folder / "one")
    go(folder, folder / "runs" / "face")
    return folder


def test_the_encoder_learns_along_but_for_its_convolutions(made):
    before, after = (
        load_file(made / "one" / "model.safetensors"),
        load_file(made / "runs" / "face" / "model.safetensors"),
    )
    own = {
        name.removeprefix("encoder.network."): value for name, value in after.items() if "encoder." in name
    }
    changed = {name for name in before if not torch.equal(before[name], own[name])}
    assert changed == {name for name in before if not name.startswith("feature_extractor.")}
    described = json.loads((made / "runs" / "face" / "model.json").read_text())
    assert described["speech_encoder"] is None and "speech" not in described["stats"]
    assert described["learned_encoder"]["model"] == str(made / "one")


def test_it_hears_the_encoder_before_its_first_step(made, tmp_path):
    """The face of no step hears features of the pretrained encoder, each of mean 0 and variance 1."""
    from models.learned_encoder import LearnedEncoder

    still = go(made, tmp_path / "still", TRAINED.model_copy(update={"encoder_rate": 0.0, "steps": 2}))
    before = load_file(made / "one" / "model.safetensors")
    assert all(torch.equal(still[f"encoder.network.{name}"], value) for name, value in before.items())
    model = runs.load(tmp_path / "still").model
    batch = {"audio": torch.randn(1, 12_800, 2, generator=torch.Generator().manual_seed(0))}
    heard = model.hears(batch)
    assert heard.shape == (1, 24, 2, 12)
    alone = LearnedEncoder(model.meta.encoder)
    alone.load_pretrained()
    need = alone.eval()(batch["audio"][0].T)
    need = (need - need.mean(-1, keepdim=True)) / need.std(-1, keepdim=True, correction=0)
    torch.testing.assert_close(heard[0].transpose(0, 1), need, atol=1e-3, rtol=1e-3)


def test_it_goes_on_bit_for_bit_and_is_generated_without_the_encoders_folder(made, tmp_path, monkeypatch):
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copytree(made / "one", moved / "one")
    shutil.copytree(made / "shards", moved / "shards")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 5)
        go(moved, moved / "runs" / "face")
    torch.manual_seed(1234)
    again = go(moved, moved / "runs" / "face")
    whole = load_file(made / "runs" / "face" / "model.safetensors")
    assert {name for name in whole if not torch.equal(whole[name], again[name])} == set()
    # what starts from it takes all its weights, and needs no encoder either
    shutil.rmtree(moved / "one")
    options = TRAINED.model_copy(update={"loss_on": "lips", "learning_rate": 1e-12, "average": 0.0})
    tuned = go(moved, moved / "tuned", options, start=moved / "runs" / "face")
    torch.testing.assert_close(tuned, whole, atol=1e-6, rtol=0)
    generate.run(**NOTHING, runs=[moved / "runs"], shards=moved / "shards", audio=None, out=moved / "out")
    face = np.load(moved / "out" / "face_arkit" / "20240101_002_005.npy")
    assert face.shape == (90, 51) and np.isfinite(face).all()
    rng = np.random.default_rng(0)
    for name in "ab":
        soundfile.write(moved / f"{name}.wav", rng.normal(0, 0.1, 40_000), 16_000)
    audio = [moved / "a.wav", moved / "b.wav"]
    generate.run(**NOTHING, runs=[moved / "runs"], shards=None, audio=audio, out=moved / "spoken")
    assert np.load(moved / "spoken" / "face_arkit" / "00000000_001_000.npy").shape == (75, 51)


def test_the_face_follows_the_voice_and_a_long_take_is_one_sample(made):
    found = generate.load_runs([made / "runs"], "cpu")
    opened, _ = shards_of(made / "shards")
    streams = (*generate.STREAMS, "audio")
    scene = generate.scene_of(opened[1], opened[1].find("20240101_005"), streams)
    before = generate.sample(found, scene, number=0, options=NOTHING["options"])["face"]
    scene.batch["audio"] = scene.batch["audio"][::-1].copy()
    assert (
        np.abs(generate.sample(found, scene, number=0, options=NOTHING["options"])["face"] - before).max()
        > 1e-3
    )


def test_a_batch_in_pieces_hides_and_learns_the_same(made, tmp_path):
    options = TRAINED.model_copy(update={"encoder_dropout": 0.0, "steps": 3})
    whole = go(made, tmp_path / "whole", options)
    pieces = go(made, tmp_path / "pieces", options.model_copy(update={"pieces": 2}))
    torch.testing.assert_close(pieces, whole, atol=2e-5, rtol=1e-4)


def test_what_training_hides_is_drawn_by_its_draws(made):
    model = runs.load(made / "runs" / "face").model.train()
    batch = {"audio": torch.zeros(2, 12_800, 2)}
    hidden = model.varied(batch, Draws(0, 1, 2, "cpu"))["hidden"]
    assert hidden.dtype == torch.bool and hidden.shape[:2] == (2, 2) and hidden.any()
    assert torch.equal(hidden, model.varied(batch, Draws(0, 1, 2, "cpu"))["hidden"])
    assert "hidden" not in model.eval().varied(batch, Draws(0, 1, 2, "cpu"))


@pytest.mark.parametrize(
    "model, message",
    [
        ("nowhere", "speech model .*nowhere.*: not found, and nothing is downloaded by itself"),
        ("empty", "speech model .*: the folder has no config.json"),
    ],
)
def test_an_encoder_that_is_not_there(made, tmp_path, model, message):
    (made / "empty").mkdir(exist_ok=True)
    with pytest.raises(InputError, match=message):
        go(made, tmp_path / "run", model=model)
    assert not (tmp_path / "run" / "model.json").exists()


def test_a_description_of_an_encoder_that_cannot_be(made, tmp_path):
    shutil.copytree(made / "runs" / "face", tmp_path / "face")
    path = tmp_path / "face" / "model.json"
    described = json.loads(path.read_text())
    for change, message in [
        ({"auto_map": {"AutoModel": "evil.Model"}}, "names code of its own"),
        ({"model_type": "llama"}, "need a model of type"),
        ({"num_hidden_layers": 5000}, "num_hidden_layers of config.json is 5000, need at most 1,000"),
        ({"num_attention_heads": 5}, "no network can be built"),
    ]:
        own = described["learned_encoder"]
        odd = described | {"learned_encoder": own | {"config": own["config"] | change}}
        path.write_text(json.dumps(odd))
        with pytest.raises(InputError, match=message):
            runs.load(tmp_path / "face")
    path.write_text(json.dumps(described | {"learned_encoder": None}))
    with pytest.raises(InputError, match="learned_encoder is not that of its options"):
        runs.load(tmp_path / "face")
