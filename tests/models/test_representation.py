"""Channels of the networks: what is where, standardised, and back again."""

import numpy as np
import pytest
import torch
from helpers.tiny_shards import JOINTS, NUM_MELS, TEXT_WIDTH

from models import data
from models.representation import Moments, Representation, lower_joints, upper_joints
from pipeline.errors import InputError
from pipeline.motion.joints import RELEASE_JOINTS


@pytest.fixture
def batch(shards):
    opened, stats = data.shards_of(shards)
    streams = ("body", "root", "mel", "action", "text", "face", "facing")
    found = data.Windows(opened, window=24, stride=4, streams=streams, actors=["001", "002", "003"])
    return data.collate([found[0], found[60]]), stats


def make(model, stats):
    return Representation(model, stats=stats, joint_names=JOINTS, actors=["001", "002", "003"])


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


def test_bodies_survive_the_round_trip(batch):
    batch, stats = batch
    lower, upper = make("body_lower", stats), make("body_upper", stats)
    assert lower.target(batch).shape == (2, 24, len(lower.feature_names)) and upper.target(batch).shape == (
        2,
        24,
        len(upper.feature_names),
    )
    assert len(lower.feature_names) == 2 * (3 * 7 + 4) and len(upper.feature_names) == 2 * 3 * 4
    body, relative = lower.bodies(lower.target(batch), upper.target(batch))
    assert torch.allclose(body, batch["body"], atol=1e-5) and torch.allclose(
        relative, batch["relative"], atol=1e-4
    )


def test_feature_names_say_what_a_column_is(batch):
    batch, stats = batch
    lower = make("body_lower", stats)
    target = lower.target(batch)
    column = lower.feature_names.index("b.LeftLeg_y")
    own = 3 * JOINTS.index("LeftLeg") + 1
    want = (batch["body"][..., 1, own] - stats["body"]["mean"][own]) / stats["body"]["std"][own]
    assert torch.allclose(target[..., column], want, atol=1e-4)
    assert lower.feature_names[-4:] == ["b.dx", "b.dz", "b.dheading", "b.y"]


def test_body_condition(batch):
    batch, stats = batch
    (lower,), (upper,) = (
        make("body_lower", stats).condition(batch),
        make("body_upper", stats).condition(batch),
    )
    own = NUM_MELS + TEXT_WIDTH + 3
    assert lower.shape[-1] == make("body_lower", stats).condition_size == 2 * own
    assert upper.shape[-1] == make("body_upper", stats).condition_size
    assert torch.equal(upper[..., : 2 * own], lower) and torch.equal(
        upper[..., 2 * own :], make("body_lower", stats).target(batch)
    )
    silent = ~batch["spoken"][..., 1]
    assert not lower[..., own + NUM_MELS : own + NUM_MELS + TEXT_WIDTH][silent].any()
    assert (
        torch.equal(lower[..., -3:].argmax(-1), batch["action"][..., 1].long())
        and (lower[..., -3:].sum(-1) == 1).all()
    )


def test_face_items_are_actors_with_their_own_voice_first(batch):
    batch, stats = batch
    face = make("face", stats)
    target, (audio, style, partner, facing) = face.target(batch), face.condition(batch)
    assert target.shape == (4, 24, 51) and audio.shape == (4, 24, 2 * NUM_MELS)
    assert torch.allclose(face.weights(target[3]), batch["face"][1, :, 1], atol=1e-5)
    mel = face.moments["mel"].apply(batch["mel"])
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


def test_an_unseen_actor_is_a_mixture_of_all(batch):
    face = make("face", batch[1])
    assert face.identities(["002", "009"]).tolist() == [1, -1]
    assert torch.allclose(
        face.styles(torch.tensor([[1, -1]])), torch.tensor([[[0, 1, 0], [1 / 3] * 3]]).float()
    )


def test_constant_channels_are_not_scaled():
    moments = Moments.of({"mean": [1.0, 2.0], "std": [1e-5, 0.5]})
    assert moments.scale.tolist() == [1.0, 0.5]
    assert torch.allclose(moments.apply(torch.tensor([1.0, 3.0])), torch.tensor([0.0, 2.0]))
    assert moments.invert(torch.tensor([0.7, 2.0])).tolist() == [1.0, 3.0]


def test_dropping_the_condition_leaves_identities(batch):
    face = make("face", batch[1])
    condition = face.condition(batch[0])
    audio, style, *_ = face.unconditional(condition, torch.tensor([True, False, False, False]))
    assert (
        not audio[0].any() and torch.equal(audio[1:], condition[0][1:]) and torch.equal(style, condition[1])
    )
    assert not face.unconditional(condition)[0].any()


def test_bad_requests_are_named(batch):
    with pytest.raises(InputError, match="need one of face"):
        make("hands", batch[1])
    with pytest.raises(InputError, match="legs"):
        Representation(
            "body_lower", stats=batch[1], joint_names=[f"bone{i}" for i in range(len(JOINTS))], actors=["001"]
        )
    assert np.isfinite(batch[1]["body"]["mean"]).all()
