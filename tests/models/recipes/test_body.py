"""Bodies: which column is what, what each half is told, and that both halves give a whole body again."""

from dataclasses import replace

import pytest
import torch
from helpers.tiny_shards import JOINTS, LOWER, NUM_MELS, TEXT_WIDTH, UPPER, meta

from models import runs, sampling
from models.data import shards_of, takes_of
from models.draws import Draws
from pipeline.config import Generate
from pipeline.errors import InputError
from pipeline.motion.mirror import mirrored_columns

OWN = NUM_MELS + TEXT_WIDTH + 3
"""What is told of one actor, where words are not narrowed."""
LOWER = LOWER.model_copy(update={"text_channels": 0})


@pytest.fixture
def make(shards):
    def build(joints: str):
        options = LOWER.model_copy(update={"joints": joints})
        return runs.build("body", options, meta(shards, options))

    return build


def test_a_sample_is_the_inverse_of_the_target(batch, make, monkeypatch):
    """Where the sampler gives what training aims at, the real bodies come out.

    That holds for two halves, and for one network.
    """
    lower, upper, both = make("lower"), make("upper"), make("all")
    assert lower.target(batch).shape == (2, 24, len(lower.feature_names)) and upper.target(batch).shape == (
        2,
        24,
        len(upper.feature_names),
    )
    still = sum(std < LOWER.min_std for std in lower.meta.stats["body"]["std"])
    own = len(lower.feature_names) + len(upper.feature_names)
    assert still and own == 2 * (3 * len(JOINTS) - still + 4), "all that moves, and no more"
    assert sorted(both.feature_names) == sorted(lower.feature_names + upper.feature_names)

    def sample(model, told):
        monkeypatch.setattr(sampling, "long_take", lambda *_, **__: model.target(batch))
        sampled = model.sample(told, torch.Generator(), Generate())
        assert sampled.keys() == set(model.options.makes)
        return sampled

    told = {key: value for key, value in batch.items() if key not in ("body", "relative")}
    of_halves = sample(upper, told | sample(lower, told))
    for sampled in (of_halves, sample(both, told)):
        assert torch.allclose(sampled["body"], batch["body"], atol=1e-5)
        assert torch.allclose(sampled["relative"], batch["relative"], atol=1e-4)


def test_feature_names_say_what_a_column_is(batch, make):
    lower = make("lower")
    stats = lower.meta.stats["body"]
    column = lower.feature_names.index("b.LeftLeg_y")
    own = 3 * JOINTS.index("LeftLeg") + 1
    want = (batch["body"][..., 1, own] - stats["mean"][own]) / stats["std"][own]
    assert torch.allclose(lower.target(batch)[..., column], want, atol=1e-4)
    assert lower.feature_names[-4:] == ["b.dx", "b.dz", "b.dheading", "b.y"]


def test_an_upper_body_is_told_the_lower_ones_too(batch, make):
    (lower,), (upper,) = make("lower").condition(batch), make("upper").condition(batch)
    assert lower.shape[-1] == make("lower").network.blocks[0].condition.in_features == 2 * OWN
    assert upper.shape[-1] == make("upper").network.blocks[0].condition.in_features
    upper, lower = upper.unflatten(2, (2, -1)), lower.unflatten(2, (2, -1))
    assert torch.equal(upper[..., :OWN], lower)
    real = make("lower").target(batch)
    assert torch.equal(upper[..., OWN:].flatten(2), real), "the real ones in training"
    made = torch.randn_like(real)
    (upper,) = make("upper").condition(batch | {"lower": made})
    told = upper.unflatten(2, (2, -1))[..., OWN:].flatten(2)
    assert torch.equal(told, made), "in generation those that another run made"


def test_channels_that_do_not_move_are_left_out_and_get_their_mean(batch, make, shards, monkeypatch):
    model = make("all")
    stats = model.meta.stats["body"]
    still = [c for c, std in enumerate(stats["std"]) if std < model.options.min_std]
    names = [f"{JOINTS[c // 3]}_{'xyz'[c % 3]}" for c in still]
    assert names and not {name.removeprefix("a.") for name in model.feature_names} & set(names)
    monkeypatch.setattr(sampling, "long_take", lambda *_, **__: torch.randn_like(model.target(batch)))
    body = model.sample(batch, Draws(0, 0, 2, "cpu"), Generate())["body"]
    assert torch.allclose(body[..., still], torch.tensor(stats["mean"])[still].expand_as(body[..., still]))


def test_an_upper_body_without_a_lower_one_is_told(batch, make):
    assert UPPER.needs == LOWER.makes == ("lower",) and LOWER.needs == ()
    with pytest.raises(InputError, match="an upper body needs a lower one"):
        make("upper").sample(batch, torch.Generator(), Generate())


def test_mirrored_copies_are_bodies_and_roots_in_the_mirror(batch, make, shards):
    """Half of the windows, both actors at once, and what is said stays."""
    opened, _ = shards_of(shards)
    _, span = takes_of(opened, "train")[0]
    skeleton = opened[0].skeleton(span.performances[0])
    columns, signs = mirrored_columns(skeleton.names, skeleton.offsets_cm)
    model = make("lower")
    model.options = model.options.model_copy(update={"swap": False, "mirror": True})
    model.prepare({"001": skeleton})
    image = batch["body"][..., columns] * torch.tensor(signs, dtype=torch.float32)
    root = batch["relative"] * torch.tensor([-1.0, 1.0, -1.0, 1.0])
    seen = set()
    for step in range(20):
        varied = model.varied(batch, Draws(0, step, 2, "cpu"))
        assert all(varied[name] is batch[name] for name in ("mel", "text", "action", "actors"))
        for item in range(2):
            turned = torch.equal(varied["body"][item], image[item])
            assert torch.equal(varied["relative"][item], (root if turned else batch["relative"])[item])
            assert turned or torch.equal(varied["body"][item], batch["body"][item])
            seen.add(turned)
    assert seen == {True, False}


def test_skeletons_that_have_no_mirror_image_are_refused(make, shards):
    opened, _ = shards_of(shards)
    _, span = takes_of(opened, "train")[0]
    skeleton = opened[0].skeleton(span.performances[0])
    model = make("lower")
    model.options = model.options.model_copy(update={"mirror": True})
    offsets = skeleton.offsets_cm.copy()
    offsets[skeleton.names.index("LeftLeg")] = [0, 0, 42]
    with pytest.raises(InputError, match="alike on both sides"):
        model.prepare({"001": replace(skeleton, offsets_cm=offsets)})
