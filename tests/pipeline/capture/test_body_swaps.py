from dataclasses import replace

import numpy as np
import pytest
from helpers.bodies import FPS, faults_of, standing

from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import chain


@pytest.mark.parametrize("side", ["Left", "Right"])
@pytest.mark.parametrize("pair", [("Index", "Middle"), ("Ring", "Pinky")])
@pytest.mark.parametrize("by", ["rotations", "places"])
def test_fingers_that_change_places(side, pair, by):
    motion = standing()
    one, other = ([motion.names.index(f"{side}Hand{finger}{k}") for k in (1, 2, 3)] for finger in pair)
    if by == "rotations":
        motion.rotations[200:330, one + other] = motion.rotations[200:330, other + one]
    else:  # each finger's joints stand where the other's were
        keep = chain(motion.parents, motion.positions_cm, motion.rotations)[0]
        wanted = keep.copy()
        wanted[200:330, one + other] = keep[200:330, other + one]
        world = chain(motion.parents, motion.positions_cm, motion.rotations)[1]
        for j in one + other:
            parent = motion.parents[j]
            motion.positions_cm[200:330, j] = rotations.rotate(
                rotations.inverse(world[200:330, parent]), (wanted[:, j] - wanted[:, parent])[200:330]
            )
    swaps = faults_of(motion, "swap")
    assert [(f.first, f.stop, f.note) for f in swaps] == [(200, 330, f"{side}{pair[0]} and {side}{pair[1]}")]
    assert not faults_of(motion, "jump") and not faults_of(motion, "flicker")


def test_a_swap_that_never_ends_is_one_frame():
    motion = standing()
    one, other = (
        [motion.names.index(f"LeftHand{finger}{k}") for k in (1, 2, 3)] for finger in ("Index", "Middle")
    )
    motion.rotations[200:, one + other] = motion.rotations[200:, other + one]
    swaps = faults_of(motion, "swap")
    assert [(f.first, f.stop) for f in swaps] == [(200, 201)] and "does not change back" in swaps[0].note


def alike(degrees: float) -> tuple[Motion, list[int], list[int]]:
    """A motion whose left index and middle finger move slowly, and their joints.

    The fingers differ by `degrees` at each joint.
    """
    motion = standing()
    one, other = (
        [motion.names.index(f"LeftHand{finger}{k}") for k in (1, 2, 3)] for finger in ("Index", "Middle")
    )
    curl = -0.3 - 0.02 * np.sin(np.arange(motion.num_frames) / FPS)
    motion.rotations[:, one] = rotations.about("z", curl)[:, None]
    motion.rotations[:, other] = rotations.about("z", curl + np.deg2rad(degrees))[:, None]
    return motion, one, other


@pytest.mark.parametrize(("degrees", "seen"), [(0.05, False), (0.5, True), (0.9, True)])
def test_fingers_that_are_alike_and_change_places_for_good(degrees, seen):
    motion, one, other = alike(degrees)
    motion.rotations[200:, one + other] = motion.rotations[200:, other + one]
    assert [(f.first, f.stop) for f in faults_of(motion, "swap")] == ([(200, 201)] if seen else [])


@pytest.mark.parametrize("noise_deg", [0.05, 0.3])
def test_noise_is_no_swap(noise_deg):
    motion, _, _ = alike(0.5)
    turns = np.deg2rad(noise_deg) * np.random.default_rng(0).standard_t(3, (*motion.rotations.shape[:2], 3))
    assert not faults_of(
        replace(motion, rotations=rotations.multiply(motion.rotations, rotations.from_expmap(turns))), "swap"
    )


@pytest.mark.parametrize(("fidgets", "found"), [(0.0, [(100, 200)]), (4.0, [])])
def test_hands_that_lie_together_change_sides_only_where_it_is_calm_around(fidgets, found):
    motion = standing()
    hands = [motion.names.index(name) for name in ("LeftHand", "RightHand")]
    places, world = chain(motion.parents, motion.positions_cm, motion.rotations)
    middle = places[:, hands].mean(1, keepdims=True) + [[6.0, 0, 0], [-6.0, 0, 0]]
    middle[::2] += [0, fidgets, 0]
    middle[100:200] = middle[100:200, ::-1]
    arms = motion.parents[hands]
    motion.positions_cm[:, hands] = rotations.rotate(
        rotations.inverse(world[:, arms]), middle - places[:, arms]
    )
    assert [(f.first, f.stop) for f in faults_of(motion, "side_swap")] == found


def test_hands_that_change_sides():
    motion = standing()
    both = [motion.names.index(name) for name in ("LeftShoulder", "RightShoulder")]
    motion.positions_cm[100:200, both] = motion.positions_cm[100:200, both[::-1]]
    arms = [motion.names.index(name) for name in ("LeftArm", "RightArm")]
    motion.positions_cm[100:200, arms] = motion.positions_cm[100:200, arms[::-1]]
    assert [(f.first, f.stop, f.note) for f in faults_of(motion, "side_swap")] == [
        (100, 200, "left and right hand")
    ]
