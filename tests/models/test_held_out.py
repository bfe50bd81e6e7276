"""Held-out error by noise level: what a constant, the input alone and another take's conditions score."""

import numpy as np
import pytest
import torch
from helpers.tiny_shards import FACE, LOWER, meta

from models import runs
from models.draws import Draws
from models.held_out import ERRORS, LEVELS, held_out


@pytest.fixture(params=[FACE, LOWER], ids=["face", "body"])
def model(request, shards):
    options = request.param.model_copy(update={"skip": "none"})
    torch.manual_seed(0)
    return runs.build("face" if request.param is FACE else "body", options, meta(shards, options)).eval()


def split_up(batch):
    return [({name: value[i : i + 1] for name, value in batch.items()},) * 2 for i in range(2)]


def test_a_model_that_says_nothing_scores_the_mean(model, batch):
    torch.nn.init.zeros_(model.network.last.weight)
    torch.nn.init.zeros_(model.network.last.bias)
    found = held_out(model, [(batch, batch)], 0)
    clean = model.target(batch)
    for error in found["levels"].values():
        assert set(error) == set(ERRORS)
        assert error["model"] == pytest.approx(error["mean"], rel=1e-5)
        assert error["mean"] == pytest.approx(float(clean.square().mean()), rel=1e-5)


def test_shrinkage_is_the_best_factor_per_channel(model, batch, monkeypatch):
    """A network that multiplies each channel by the best factor comes out at what is said of it."""
    power = model.target(batch).double().square().mean((0, 1))

    def shrink(x, step, *_):
        bar = model.diffusion.alpha_bar[step[0]]
        return x * (bar.sqrt() * power / (bar * power + 1 - bar)).to(x)

    monkeypatch.setattr(model, "denoise", shrink)
    many = [(batch, batch)] * 200
    for level, error in held_out(model, many, 0)["levels"].items():
        assert error["model"] == pytest.approx(error["shrinkage"], rel=0.03), level
        assert error["model"] < error["mean"]


def test_another_takes_conditions_change_only_what_the_network_is_told(model, batch):
    torch.nn.init.normal_(model.network.last.weight)
    other = {name: value.flip(0) for name, value in batch.items()}
    same, swapped = held_out(model, [(batch, batch)], 0), held_out(model, [(batch, other)], 0)
    for level in same["levels"]:
        assert same["levels"][level]["other"] == same["levels"][level]["model"]
        assert swapped["levels"][level]["model"] == same["levels"][level]["model"]
        assert swapped["levels"][level]["other"] != same["levels"][level]["model"]


def test_windows_draw_the_same_noise_in_any_batch(model, batch):
    torch.nn.init.normal_(model.network.last.weight)
    whole, parts = held_out(model, [(batch, batch)], 0), held_out(model, split_up(batch), 0)
    assert whole["loss"] == pytest.approx(parts["loss"], rel=1e-5)
    assert held_out(model, [(batch, batch)], 1)["loss"] != whole["loss"]


def test_levels_are_found_on_the_schedule(model, batch):
    for level in LEVELS:
        assert float((model.diffusion.alpha_bar - level).abs().min()) < 0.05
    ratio = [
        error["model"] / error["shrinkage"]
        for error in held_out(model, [(batch, batch)], 0)["levels"].values()
    ]
    assert held_out(model, [(batch, batch)], 0)["loss"] == pytest.approx(np.mean(ratio))


def test_a_recipe_without_noise_has_a_held_out_loss(model, batch):
    from models.recipe import Model as Base

    found = Base.held_out(model, [(batch, batch)], 3)
    with torch.no_grad():
        want = float(model.loss(batch, Draws(3, 0, 2, "cpu"))["loss"])
    assert found == {"loss": pytest.approx(want)}
