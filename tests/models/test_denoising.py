"""What diffusion recipes share: nulls of what is not told, narrowed words, smoothing."""

import pytest
import torch
from helpers.tiny_shards import FACE, LOWER, UPPER, meta
from pydantic import ValidationError

from models import runs
from models.denoising import Smoothing, Told
from models.draws import Draws
from pipeline.config import Generate

CHOICES = [FACE, LOWER, UPPER]


def built(shards, options, **changes):
    """An untrained model, the same at each call, whose output is not zero."""
    options = options.model_copy(update=changes)
    recipe = "face" if options.makes == ("face",) else "body"
    torch.manual_seed(0)
    model = runs.build(recipe, options, meta(shards, options))
    torch.nn.init.normal_(model.network.last.weight)
    return model.eval()


def test_parts_stand_side_by_side_and_a_null_for_what_is_not_told():
    told = Told({"mel": 3, "text": 5}, narrow={"text": 2}, learned=True)
    torch.nn.init.constant_(told.nulls["mel"], 7.0)
    torch.nn.init.constant_(told.nulls["text"], 9.0)
    parts = {"mel": torch.randn(2, 4, 2, 3), "text": torch.randn(2, 4, 2, 5)}
    whole = told(parts, {})
    assert whole.shape == (2, 4, 2, 5) and torch.equal(whole[..., :3], parts["mel"])
    assert torch.allclose(whole[..., 3:], parts["text"] @ told.narrow["text"].weight.T, atol=1e-6)
    less = told(parts, {"mel": torch.tensor([[True], [False]]), "text": torch.tensor([[False, True]] * 2)})
    assert (less[0, ..., :3] == 7).all() and torch.equal(less[1, ..., :3], parts["mel"][1])
    assert (less[:, :, 1, 3:] == 9).all() and torch.equal(
        less[:, :, 0], torch.cat([less[:, :, 0, :3], whole[:, :, 0, 3:]], -1)
    )


def test_a_mean_null_is_zero_and_has_no_weights():
    told = Told({"mel": 3}, narrow={}, learned=False)
    assert not list(told.parameters())
    assert not told({"mel": torch.ones(1, 2, 2, 3)}, {"mel": torch.ones(1, 1, dtype=torch.bool)}).any()


@pytest.mark.parametrize("options", CHOICES, ids=lambda options: "-".join(options.makes))
def test_of_what_is_not_told_nothing_comes_through(shards, batch, options):
    model = built(shards, options)
    count = model.parts * 2
    untold = model.untold(torch.ones(count, dtype=torch.bool))
    other = {name: value.flip(0) for name, value in batch.items()}
    one, two = model.condition(batch, untold)[0], model.condition(other, untold)[0]
    assert torch.equal(one, two) and not torch.equal(model.condition(batch)[0], model.condition(other)[0])


def test_nulls_are_learned(shards, batch):
    model = built(shards, LOWER, condition_dropout=0.9)
    model.loss(batch, Draws(0, 0, 2, "cpu"))["loss"].backward()
    grads = {name: null.grad for name, null in model.told.nulls.items()}
    assert set(grads) == {"mel", "text", "action"} and all(grad.abs().sum() > 0 for grad in grads.values())


def test_words_of_an_actor_are_left_out_by_themselves(shards):
    model = built(shards, LOWER, condition_dropout=0.0, text_dropout=0.5)
    untold = [model.forget(Draws(0, step, 4, "cpu")) for step in range(100)]
    assert all(set(one) == {"text"} and one["text"].shape == (4, 2) for one in untold)
    share = torch.cat([one["text"].float() for one in untold])
    assert float(share.mean()) == pytest.approx(0.5, abs=0.06)
    assert (share[:, 0] != share[:, 1]).any(), "actors are drawn apart"
    assert built(shards, LOWER, condition_dropout=0.0, text_dropout=0.0).forget(Draws(0, 0, 4, "cpu")) == {}


def test_swapped_actors_change_places_in_all_that_they_do_and_say(shards, batch):
    model = built(shards, LOWER, swap=True)
    for step in range(20):
        varied = model.varied(batch, Draws(0, step, 2, "cpu"))
        for item in range(2):
            flipped = {name: value[item].flip(0 if name == "actors" else 1) for name, value in batch.items()}
            same = all(torch.equal(varied[name][item], value[item]) for name, value in batch.items())
            swapped = all(torch.equal(varied[name][item], value) for name, value in flipped.items())
            assert same != swapped
    seen = [torch.equal(model.varied(batch, Draws(0, k, 2, "cpu"))["mel"], batch["mel"]) for k in range(20)]
    assert any(seen) and not all(seen)
    assert built(shards, LOWER, swap=False).varied(batch, Draws(0, 0, 2, "cpu")) is batch


@pytest.mark.parametrize("output", [True, False])
def test_smoothing_begins_as_a_narrow_window_and_passes_a_constant(output):
    smoothing = Smoothing(3, output=output)
    x, step = torch.tensor([1.0, -2.0, 5.0]).expand(2, 40, 3), torch.tensor([0.0, 900.0])
    assert torch.allclose(smoothing(x, 2 * x, step), 3 * x, atol=1e-5)
    noise, none = torch.randn(2, 400, 3), torch.zeros(2, 400, 3)
    smooth = smoothing(noise, none, step)
    assert smooth.var() < 0.5 * noise.var()
    assert torch.equal(smoothing(none, noise, step), smooth if output else noise), (
        "of the network's, if asked"
    )


def test_channels_and_items_are_smoothed_by_windows_of_their_own():
    smoothing = Smoothing(2, output=True)
    torch.nn.init.normal_(smoothing.last.weight)
    x, out, step = torch.randn(3, 50, 2), torch.randn(3, 50, 2), torch.tensor([1.0, 500.0, 990.0])
    whole = smoothing(x, out, step)
    for i in range(3):
        assert torch.allclose(
            whole[i], smoothing(x[i : i + 1], out[i : i + 1], step[i : i + 1])[0], atol=1e-5
        )
    changed = x.clone()
    changed[..., 1] = 0
    assert torch.allclose(smoothing(changed, out, step)[..., 0], whole[..., 0], atol=1e-6)


def test_a_network_without_a_skip_is_the_network_alone(shards, batch):
    model = built(shards, LOWER, skip="none")
    x, step = torch.randn(2, 24, len(model.feature_names)), torch.tensor([3, 9])
    assert model.smoothing is None and not any("smoothing" in name for name in model.state_dict())
    condition = model.condition(batch)
    assert torch.equal(model.denoise(x, step, *condition), model.network(x, step, *condition))


def test_a_skip_needs_clean_prediction():
    with pytest.raises(ValidationError, match="needs prediction clean"):
        LOWER.__class__(prediction="noise", skip="smoothed")
    assert LOWER.__class__(prediction="noise", skip="none").prediction == "noise"


@pytest.mark.parametrize("options", [FACE, LOWER], ids=["face", "body"])
def test_guidance_goes_away_from_what_is_told_nothing(shards, batch, options):
    """Scale 0 is the model that is told nothing, so its sample does not depend on what is told."""
    model = built(shards, options, condition_dropout=0.5, sample_steps=2)
    told = {name: value for name, value in batch.items() if name not in ("face", "body", "relative")}
    other = {name: value.flip(1) if name != "actors" else value for name, value in told.items()}
    other["facing"] = told["facing"]

    def sampled(told, scale):
        made = model.sample(told, Draws(0, 0, 2, "cpu"), Generate(guidance=scale))
        return next(iter(made.values()))

    assert torch.equal(sampled(told, 0.0), sampled(other, 0.0))
    assert not torch.equal(sampled(told, 1.0), sampled(other, 1.0))
    assert not torch.equal(sampled(told, 2.0), sampled(told, 1.0))
