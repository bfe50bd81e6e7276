"""Channels of streams: split by joints, standardised and back again, and what a network is told."""

import pytest
import torch
from helpers.tiny_shards import JOINTS, NUM_MELS, TEXT_WIDTH
from helpers.tiny_shards import LOWER as OPTIONS
from helpers.tiny_shards import meta as meta_of
from torch import Tensor

from models.channels import (
    Moments,
    body_columns,
    drop,
    identities,
    lower_joints,
    maybe_drop,
    said,
    styles,
    upper_joints,
)
from models.draws import Draws
from pipeline.errors import InputError
from pipeline.motion.joints import RELEASE_JOINTS


def test_lower_and_upper_share_out_the_joints():
    names = RELEASE_JOINTS
    lower = [names[j] for j in lower_joints(names)]
    assert lower == ["Hips"] + [
        f"{side}{part}" for side in ("Left", "Right") for part in ("UpLeg", "Leg", "Foot", "ToeBase")
    ]
    assert sorted(lower_joints(names) + upper_joints(names)) == list(range(60))
    cmu = [
        "Hips",
        "LHipJoint",
        "LeftUpLeg",
        "LeftLeg",
        "LeftFoot",
        "LeftToeBase",
        "RHipJoint",
        "RightUpLeg",
        "RightLeg",
        "RightFoot",
        "RightToeBase",
        "LowerBack",
    ]
    assert [cmu[j] for j in upper_joints(cmu)] == ["LowerBack"]


def test_columns_of_both_halves_are_all_columns():
    lower, upper = body_columns(JOINTS)
    assert sorted(lower + upper) == list(range(3 * len(JOINTS)))
    assert lower[:3] == [0, 1, 2] and upper[-1] == 3 * JOINTS.index("RightArm") + 2
    with pytest.raises(InputError, match="legs"):
        body_columns([f"bone{i}" for i in range(len(JOINTS))])
    with pytest.raises(InputError, match="and some others"):
        body_columns(["Hips", "LeftUpLeg", "LeftLeg"])


def test_an_unseen_actor_is_a_mixture_of_all():
    assert identities(["002", "009"], ["001", "002", "003"]).tolist() == [1, -1]
    assert torch.allclose(
        styles(torch.tensor([[1, -1]]), 3), torch.tensor([[[0, 1, 0], [1 / 3] * 3]]).float()
    )


def test_constant_channels_are_not_scaled():
    moments = Moments({"mean": [1.0, 2.0], "std": [1e-5, 0.5]})
    assert moments.scale.tolist() == [1.0, 0.5]
    assert torch.allclose(moments.standardise(torch.tensor([1.0, 3.0])), torch.tensor([0.0, 2.0]))
    assert moments.invert(torch.tensor([0.7, 2.0])).tolist() == [1.0, 3.0]
    assert moments.state_dict() == {} and len(moments) == 2


def test_what_is_said_is_voice_word_and_action_of_both(batch, shards):
    stats = meta_of(shards, OPTIONS).stats
    told = said(batch, Moments(stats["mel"]), Moments(stats["text"]))
    own = NUM_MELS + TEXT_WIDTH + 3
    assert told.shape == (2, 24, 2 * own)
    mel = (batch["mel"] - torch.tensor(stats["mel"]["mean"])) / torch.tensor(stats["mel"]["std"])
    for k in range(2):
        actor = told[..., k * own : (k + 1) * own]
        assert torch.allclose(actor[..., :NUM_MELS], mel[:, :, k].float(), atol=1e-4)
        silent = ~batch["spoken"][..., k]
        assert silent.any() and not actor[..., NUM_MELS : NUM_MELS + TEXT_WIDTH][silent].any()
        assert actor[..., NUM_MELS : NUM_MELS + TEXT_WIDTH][~silent].any(-1).all()
        assert torch.equal(actor[..., -3:].argmax(-1), batch["action"][..., k].long())
        assert (actor[..., -3:].sum(-1) == 1).all()


@pytest.fixture
def condition() -> tuple[Tensor, ...]:
    """Audio of four items that is nowhere 0, and their styles."""
    return torch.rand(4, 24, 5) + 1, torch.eye(4)


def test_dropping_the_condition_leaves_identities(condition):
    audio, style = drop(condition, torch.tensor([True, False, False, False]))
    assert not audio[0].any() and torch.equal(audio[1:], condition[0][1:])
    assert torch.equal(style, condition[1])
    assert not drop(condition)[0].any() and torch.equal(drop(condition)[1], condition[1])


def test_a_share_of_the_items_is_told_nothing(condition):
    draws = Draws(0, 0, 4, "cpu")
    states = [own.get_state() for own in draws.generators]
    assert maybe_drop(condition, draws, 0.0) is condition
    assert all(torch.equal(own.get_state(), state) for own, state in zip(draws.generators, states))
    assert not maybe_drop(condition, draws, 1.0)[0].any()
    kept = [maybe_drop(condition, draws, 0.3)[0].any((1, 2)).float().mean() for _ in range(500)]
    assert float(torch.stack(kept).mean()) == pytest.approx(0.7, abs=0.05)
