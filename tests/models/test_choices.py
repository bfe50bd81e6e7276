"""What the paper leaves open of the face, as choices: where the noise is, style and facing tokens."""

from itertools import product

import pytest
import torch
from helpers.tiny_shards import FACE, meta
from pydantic import ValidationError

from models import runs
from models.draws import Draws
from models.recipes.face import FaceDenoiser, level
from pipeline.config import Generate

CHOICES = {
    "noise_on": ("weights", "latent"),
    "styles": ("two", "merged"),
    "facing": ("both", "token", "frame", "none"),
    "skip": ("smoothed", "none"),
}


def built(shards, **choices):
    options = FACE.model_copy(update=choices)
    torch.manual_seed(0)
    model = runs.build("face", options, meta(shards, options)).eval()
    torch.nn.init.normal_(model.network.last.weight, std=0.1)
    return model


@pytest.mark.parametrize("choices", [dict(zip(CHOICES, row)) for row in product(*CHOICES.values())], ids=str)
def test_each_choice_learns_and_samples(shards, batch, choices):
    model = built(shards, **choices, sample_steps=2)
    told = batch if "facing" in model.options.streams else {k: v for k, v in batch.items() if k != "facing"}
    loss = model.loss(told, Draws(0, 0, 2, "cpu"))["loss"]
    loss.backward()
    idle = [name for name, own in model.network.named_parameters() if own.grad is None or not own.grad.any()]
    assert torch.isfinite(loss) and not idle
    face = model.sample(told, Draws(0, 0, 2, "cpu"), Generate(window_frames=16, overlap_frames=4))["face"]
    assert face.shape == batch["face"].shape and torch.isfinite(face).all()


def test_tokens_are_as_many_as_are_chosen(monkeypatch):
    counts = {}
    told = torch.zeros(1, 8, 20), torch.eye(3)[:1], torch.eye(3)[1:2], torch.ones(1, 8, 2)
    for styles, facing in product(("own", "two", "merged"), CHOICES["facing"]):
        network = FaceDenoiser(51, 20, 3, dim=32, feedforward=32, styles=styles, facing=facing)
        layer = network.layer.forward

        def counted(x, memory, prefix, key=(styles, facing), layer=layer):
            counts[key] = prefix.shape[1]
            return layer(x, memory, prefix)

        network.layer.forward = counted
        network(torch.zeros(1, 8, 51), torch.tensor([3]), *told)
    for (styles, facing), count in counts.items():
        assert count == (2 if styles == "two" else 1) + (facing in ("both", "token")) + 1


def test_a_merged_token_is_the_sum_of_both_and_knows_who_is_who():
    torch.manual_seed(0)
    network = FaceDenoiser(51, 20, 3, dim=32, feedforward=32, styles="merged", facing="none").eval()
    torch.nn.init.normal_(network.last.weight)
    x, step, audio = torch.randn(1, 8, 51), torch.tensor([3]), torch.zeros(1, 8, 20)
    one, other = torch.eye(3)[:1], torch.eye(3)[1:2]
    with torch.no_grad():
        assert not torch.allclose(network(x, step, audio, one, other), network(x, step, audio, other, one))


def test_an_encoding_neither_grows_nor_collapses(shards, batch):
    """Its frames have variance 1 whatever the encoder has learned, and it goes on telling faces apart."""
    model = built(shards, noise_on="latent", skip="none", dropout=0.0)
    assert model.width == 32 and len(model.feature_names) == 51
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for step in range(40):
        optimiser.zero_grad()
        loss = model.loss(batch, Draws(0, step, 2, "cpu"))["loss"]
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    with torch.no_grad():
        clean = model.target(batch)
        encoded = model.encode(clean)
        assert torch.allclose(encoded.var(-1, correction=0), torch.ones(()), atol=1e-3)
        spread = encoded.flatten(0, 1).var(0).mean()
        error = (model.decode(encoded) - clean).square().mean() / clean.square().mean()
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    assert spread > 0.1, "all faces have one encoding"
    assert error < 0.5, "the encoding has lost the face"


def test_noise_on_an_encoding_needs_clean_prediction():
    with pytest.raises(ValidationError, match="needs prediction clean"):
        FACE.__class__(prediction="v", skip="none", noise_on="latent")


def test_level_has_no_weights():
    x = torch.randn(2, 5, 16) * 7 + 3
    assert torch.allclose(level(x).mean(-1), torch.zeros(()), atol=1e-5)
    assert torch.allclose(level(3 * x), level(x), atol=1e-4)
