"""The face: one actor an item, told of the own voice first; what is predicted is the standardised weights."""

import torch
from helpers.tiny_shards import FACE, NUM_MELS, meta

from models import runs, sampling
from pipeline.config import Generate
from pipeline.formats import arkit


def test_items_are_actors_with_their_own_voice_first(batch, shards):
    model = runs.build("face", FACE, meta(shards, FACE))
    target, (audio, style, partner, facing) = model.target(batch), model.condition(batch)
    assert target.shape == (4, 24, 51) and audio.shape == (4, 24, 2 * NUM_MELS)
    assert torch.allclose(model.face.invert(target[3]), batch["face"][1, :, 1], atol=1e-5)
    mel = model.heard.standardise(batch["mel"])
    assert torch.equal(audio[3], torch.cat([mel[1, :, 1], mel[1, :, 0]], -1)) and torch.equal(
        audio[2], torch.cat([mel[1, :, 0], mel[1, :, 1]], -1)
    )
    assert (
        style.argmax(-1).tolist() == batch["actors"].flatten().tolist()
        and partner.argmax(-1).tolist() == batch["actors"].flip(1).flatten().tolist()
    )
    assert torch.equal(facing[3, :, 0], batch["facing"][1, :, 1]) and torch.equal(
        facing[3, :, 1], batch["facing"][1, :, 0]
    )


def test_a_sample_is_the_inverse_of_the_target(batch, shards, monkeypatch):
    """Where the sampler gives what training aims at, the real weights come out, each at its actor."""
    model = runs.build("face", FACE, meta(shards, FACE))
    monkeypatch.setattr(sampling, "long_take", lambda *_, **__: model.target(batch))
    sampled = model.sample(batch, torch.Generator(), Generate())
    assert sampled.keys() == set(FACE.makes)
    assert torch.allclose(sampled["face"], batch["face"], atol=1e-5)
    assert model.feature_names == list(arkit.NAMES)
