"""Channels of streams: split by joints, standardised and back again, and what a network is told."""

import pytest
import torch
from helpers.tiny_shards import JOINTS
from helpers.tiny_shards import LOWER as OPTIONS
from helpers.tiny_shards import meta as meta_of

from models.channels import (
    Moments,
    body_columns,
    identities,
    lower_joints,
    said,
    styles,
    upper_joints,
)
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


def test_the_papers_joints_are_those_without_toes_and_metacarpals():
    lower, upper = body_columns(RELEASE_JOINTS, representation="paper")
    assert len(lower) == 3 * 7 and len(upper) == 3 * 45
    named = [RELEASE_JOINTS[c // 3] for c in (lower + upper)[::3]]
    left_out = {"ToeBase", "HandIndex", "HandRing", "HandPinky"}
    assert {
        name.removeprefix("Left").removeprefix("Right") for name in {*RELEASE_JOINTS} - {*named}
    } == left_out
    prefixed = [f"mixamorig:{name}" for name in RELEASE_JOINTS]
    assert body_columns(prefixed, representation="paper") == (lower, upper)


def test_halves_may_be_named():
    lower, upper = body_columns(RELEASE_JOINTS, lower=["LeftLeg", "Hips"], upper=["Head"])
    assert lower == [0, 1, 2, *(3 * RELEASE_JOINTS.index("LeftLeg") + axis for axis in range(3))]
    assert upper == [3 * RELEASE_JOINTS.index("Head") + axis for axis in range(3)]
    with pytest.raises(InputError, match="upper_joints: no joint 'Tail'; name some of Hips, Spine"):
        body_columns(RELEASE_JOINTS, upper=["Tail"])
    with pytest.raises(InputError, match="Hips is of both halves"):
        body_columns(RELEASE_JOINTS, upper=["Hips"])


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
    mel = (batch["mel"] - torch.tensor(stats["mel"]["mean"])) / torch.tensor(stats["mel"]["std"])
    assert torch.allclose(told["mel"], mel.float(), atol=1e-4)
    silent = ~batch["spoken"]
    assert silent.any() and not told["text"][silent].any()
    assert told["text"][~silent].any(-1).all()
    assert torch.equal(told["action"].argmax(-1), batch["action"].long())
    assert (told["action"].sum(-1) == 1).all()


def test_channels_that_hardly_move_are_constant_or_divided_by_the_least_scale():
    stats = {"mean": [1.0, 2.0, 3.0], "std": [0.001, 0.005, 0.5]}
    moments = Moments(stats, min_std=0.003, min_scale=0.01)
    assert moments.constant.tolist() == [True, False, False]
    assert moments.scale.tolist() == pytest.approx([1.0, 0.01, 0.5])
    x = torch.tensor([[1.5, 2.02, 3.5]])
    assert moments.standardise(x)[0].tolist() == pytest.approx([0.5, 2.0, 1.0], abs=1e-4)
    assert moments.invert(moments.standardise(x))[0].tolist() == pytest.approx([1.0, 2.02, 3.5])
