"""Where legs are in space, against the forward kinematics of the pipeline."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.walkers import two_people

from models import recipe
from models.legs_error import LegPlaces, matrices
from models.recipes.body import Model, Options
from pipeline.motion import pose, rotations
from pipeline.motion.legs import Legs
from pipeline.motion.skeleton import forward_kinematics


@pytest.fixture(scope="module")
def people():
    """Two walkers as skeletons, poses (T, 2, 3 J) and places of joints (T, 2, J, 3) in the own heading."""
    found = two_people(seconds=4.0)
    places = []
    for k, skeleton in enumerate(found.skeletons):
        world = forward_kinematics(pose.decode(found.poses[:, k], found.root[:, k], skeleton))[0]
        seen = world - found.root[:, k, None, :3]
        places.append(rotations.rotate(rotations.about("y", -found.root[:, k, 3])[:, None], seen))
    return dict(zip(("001", "005"), found.skeletons)), found.poses, np.stack(places, 1)


def test_places_of_legs_are_those_of_forward_kinematics(people):
    skeletons, poses, places = people
    legs = LegPlaces.of(skeletons).double()
    body = torch.tensor(np.stack([poses, poses[:, ::-1]]))
    actors = torch.tensor([[0, 1], [1, 0]])
    made = legs(body, actors).numpy()
    own = Legs.of(skeletons["001"])
    joints = [own.joints[k] for k in sorted({*own.knee, *own.ankle, *own.toe})]
    assert len(joints) == 6
    assert np.abs(made[0] - places[:, :, joints]).max() < 1e-4
    assert np.abs(made[1] - places[:, ::-1][:, :, joints]).max() < 1e-4


def test_hips_may_have_axes_of_their_own(people):
    """In the public release those of a standing person are turned by half a turn."""
    skeletons, poses, places = people
    own, turn = skeletons["001"], rotations.about("x", np.pi)
    motion = pose.decode(poses[:, 0], np.zeros((len(poses), 4)), own)
    below = [j for j, parent in enumerate(own.parents) if parent == 0]
    offsets, local = own.offsets_cm.copy(), motion.rotations.copy()
    offsets[below] = rotations.rotate(turn, offsets[below])
    local[:, below] = rotations.multiply(turn, local[:, below])
    local[:, 0] = rotations.multiply(local[:, 0], rotations.inverse(turn))
    positions = np.repeat(offsets[None], len(poses), 0)
    turned = replace(motion, offsets_cm=offsets, positions_cm=positions, rotations=local)
    again, _ = pose.encode(turned)
    legs = LegPlaces.of({"001": pose.skeleton_of(turned)}).double()
    body = torch.tensor(np.stack([again, again], 1)[None])
    found = legs(body, torch.tensor([[0, 0]])).numpy()[0, :, 0]
    known = LegPlaces.of(skeletons).double()(torch.tensor(poses[None]), torch.tensor([[0, 1]])).numpy()
    assert np.abs(found - known[0, :, 0]).max() < 1e-3


def test_the_error_is_of_distances_and_has_a_gradient_at_no_rotation(people):
    skeletons, poses, _ = people
    legs, actors = LegPlaces.of(skeletons), torch.tensor([[0, 1]])
    real = torch.tensor(poses[None], dtype=torch.float32)
    assert legs.error(real, real, actors) == 0
    own = Legs.of(skeletons["001"])
    bent = real.clone()
    knee = 3 * own.joints[own.knee[0]]
    bent[..., knee : knee + 3] += 0.1
    apart = (legs(bent, actors) - legs(real, actors)).square().sum(-1).mean() / 100
    assert torch.isclose(legs.error(bent, real, actors), apart) and apart > 0
    flat = torch.zeros_like(real, requires_grad=True)
    legs.error(flat, real, actors).backward()
    assert torch.isfinite(flat.grad).all() and flat.grad.abs().max() > 0


def test_rotation_matrices_are_those_of_quaternions():
    turns = np.random.default_rng(0).normal(size=(50, 3))
    turns[0] = 0
    found = matrices(torch.tensor(turns)).numpy()
    axes = rotations.rotate(rotations.from_expmap(turns)[:, None], np.eye(3)).transpose(0, 2, 1)
    assert np.abs(found - axes).max() < 1e-9


def test_an_unknown_actor_has_the_mean_legs(people):
    skeletons, poses, _ = people
    legs = LegPlaces.of(skeletons).double()
    body = torch.tensor(poses[None, :1, [0, 0]])
    both = [legs(body, torch.tensor([[k, k]])) for k in (0, 1, -1)]
    assert torch.allclose(both[2], (both[0] + both[1]) / 2)


def test_skeletons_without_legs_or_of_several_kinds_go_without(people, caplog):
    skeletons, _, _ = people
    own = skeletons["001"]
    names = [name.replace("LeftFoot", "LeftPaw") for name in own.names]
    odd = replace(own, names=names)
    assert LegPlaces.of({"001": odd}) is None and "the skeleton of actor 001 lacks" in caplog.text
    turned = replace(own, names=[name.replace("ToeBase", "Tip") for name in own.names])
    assert LegPlaces.of({"001": own, "005": turned}) is None and "of several kinds" in caplog.text


def test_legs_are_learned_from_but_by_upper_bodies_and_noise(people):
    """The error is added with its weight, whatever copies of the windows are learned from."""
    skeletons, poses, _ = people
    names = skeletons["001"].names
    width, root = poses.shape[2], 4
    stats = {
        "body": {"mean": [0.1] * width, "std": [0.4] * width},
        "relative_root": {"mean": [0.0] * root, "std": [1.0] * root},
        "relation": {"mean": [0.0] * 4, "std": [1.0] * 4},
        "mel": {"mean": [0.0] * 4, "std": [1.0] * 4},
        "text": {"mean": [0.0] * 3, "std": [1.0] * 3},
    }
    meta = recipe.Meta(stats, names, ["001", "005"])
    batch = {"body": torch.tensor(poses[None], dtype=torch.float32), "actors": torch.tensor([[0, 1]])}
    noise = {"prediction": "noise", "skip": "none"}
    for joints, more in (("lower", {}), ("all", {}), ("upper", {}), ("lower", noise)):
        model = Model(Options(joints=joints, legs_weight=0.5, **more), meta)
        model.prepare(skeletons)
        error = model.also(batch)
        if joints == "upper" or more:
            assert error is None
            continue
        own = batch | {"relation": torch.zeros(1, 120, 2, 4), "relative": torch.zeros(1, 120, 2, 4)}
        target = model.target(own)
        assert error(target) < 1e-8
        knee = [k for k, name in enumerate(model.feature_names) if name == "b.LeftLeg_x"]
        bent = target.clone()
        bent[..., knee] += 1.0
        real = model.legs(batch["body"], batch["actors"])
        moved = batch["body"].clone()
        moved[:, :, 1, 3 * names.index("LeftLeg")] += 0.4
        apart = (model.legs(moved, batch["actors"]) - real).square().sum(-1).mean() / 100
        assert torch.isclose(error(bent), 0.5 * apart, rtol=1e-3) and apart > 0.01
