"""Motion through space: paths, turns, distances, facing and feet whose numbers are known."""

import numpy as np
import pytest
from helpers.bodies import standing, turned
from helpers.tiny_shards import BONES, JOINTS, offsets
from helpers.walkers import two_people

from models import space
from pipeline.annotate.actions import label_actions
from pipeline.config import Facing
from pipeline.formats.bvh import load_bvh
from pipeline.motion import pose
from pipeline.motion.skeleton import forward_kinematics

FPS, FRAMES = 30, 90
WINDOWS = [(0, 40), (40, 80)]
PARENTS = np.array([-1 if BONES[name][0] is None else JOINTS.index(BONES[name][0]) for name in JOINTS])
SKELETON = pose.Skeleton(JOINTS, PARENTS, offsets(), {}, ["zxy"] * len(JOINTS))


def body(x=0.0, z=0.0, heading_deg=0.0, bend=None):
    """A stiff body at places in cm with headings in degrees; `bend` (T, 3 J) are its joints."""
    root = np.zeros((FRAMES, 4))
    root[:, 0], root[:, 1], root[:, 2], root[:, 3] = x, 83, z, np.radians(heading_deg)
    return pose.decode(np.zeros((FRAMES, 3 * len(JOINTS))) if bend is None else bend, root, SKELETON)


def measured(*bodies):
    return space.measure(list(bodies), WINDOWS, Facing())


def test_two_who_stand_face_to_face_and_turn_away():
    found, pushed = measured(body(heading_deg=90), body(x=150, heading_deg=-90))
    for name in ("path", "speed", "turn", "angle", "slide"):
        assert np.allclose(found[name], 0, atol=1e-5), name
    assert np.allclose(found["distance"], 150) and (found["facing"] == 1).all()
    assert pushed == pytest.approx(0, abs=1e-9)
    found, _ = measured(body(heading_deg=90 - 50), body(x=150, heading_deg=90))
    angles, faces = found["angle"].reshape(2, -1), found["facing"].reshape(2, -1)
    assert np.allclose(angles[0], 50) and np.allclose(angles[1], 180)
    assert not faces.any()  # 45 degrees is the largest angle of the label


def test_one_who_glides_sideways_while_the_other_turns():
    seconds = np.arange(FRAMES) / FPS
    found, pushed = measured(body(x=20 * seconds), body(z=100, heading_deg=179 + 60 * seconds))
    speed, turn, slide = (found[name].reshape(2, -1) for name in ("speed", "turn", "slide"))
    assert np.allclose(speed[0], 20) and np.allclose(speed[1], 0)
    assert np.allclose(found["path"], [12, 12, 0, 0])  # 20 cm a second are 12 m a minute
    assert np.allclose(turn[0], 0) and np.allclose(turn[1], 60)  # over the jump from 180 to -180 too
    assert np.allclose(slide[0], 20)
    assert np.allclose(found["distance"], np.hypot(20 * seconds, 100))
    assert 0 < pushed < 0.1


def test_the_foot_that_carries_does_not_slide_and_the_one_that_swings_does_not_count():
    feet = np.zeros((FRAMES, 2, 3))
    feet[:, 0, 0], feet[:, 0, 1] = np.arange(FRAMES) * 5, 10  # the left foot swings, 10 cm high
    assert np.allclose(space.sliding_cm_s(feet, fps=FPS), 0)
    feet[:, 1, 1] = 20  # now it is the lower one
    assert np.allclose(space.sliding_cm_s(feet, fps=FPS), 5 * FPS)
    assert np.allclose(space.sliding_cm_s(feet + [0, 400, 0], fps=FPS), 5 * FPS)


def test_feet_are_over_and_under_the_floor_of_the_real_performance():
    """The floor is the lowest of the real body's feet, whatever height it has in the room."""
    real = body(bend=None)
    known = [space.real_of(real)] * 2
    assert known[0].floor_cm == pytest.approx(0)  # hips at 83 cm, legs of 42 and 41 cm
    root = np.zeros((FRAMES, 4))
    root[:, 1] = 83 + np.where(np.arange(FRAMES) < 30, -3, 2)
    moved = pose.decode(np.zeros((FRAMES, 3 * len(JOINTS))), root, SKELETON)
    found, _ = space.measure([moved, body(x=200)], WINDOWS, Facing(), real=known)
    foot, sunk = found["foot"].reshape(2, -1), found["sunk"].reshape(2, -1)
    assert np.allclose(foot[0], root[:, 1] - 83) and np.allclose(foot[1], 0)
    assert sunk[0].mean() == pytest.approx(1) and np.allclose(sunk[1], 0, atol=1e-9)
    assert "foot" not in measured(real, body(x=200))[0], "without the real performances there is no floor"


def test_the_floor_is_not_that_of_a_single_frame():
    root = np.zeros((FRAMES * 10, 4))
    root[:, 1] = 83
    root[7, 1] = 40  # a spike
    motion = pose.decode(np.zeros((len(root), 3 * len(JOINTS))), root, SKELETON)
    assert space.real_of(motion).floor_cm == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("apart, depth", [(60, 0), (30, 0), (20, None), (10, None)])
def test_bodies_that_stand_in_each_other_overlap_by_what_is_missing(apart, depth):
    """Two trunks side by side overlap by their two radii less their distance."""
    one, other = standing(0.2), standing(0.2)
    other.positions_cm[:, 0] = one.positions_cm[:, 0] + [0, 0, apart]
    world = [forward_kinematics(motion)[0] for motion in (one, other)]
    found = space.overlap_cm([one, other], world)
    legs = np.linalg.norm(one.offsets_cm, axis=1)
    thigh_and_shin = np.mean([
        legs[one.names.index(f"{side}{part}")] for side in ("Left", "Right") for part in ("Leg", "Foot")
    ])  # fmt: skip
    trunk = 0.50 * 0.146 / 0.491 * 2 * thigh_and_shin
    assert 10 < trunk < 15
    if depth == 0:
        assert apart > 2 * trunk and (found == depth).all()
    else:
        assert found.min() >= 2 * trunk - apart - 0.5 > 0
    again = space.overlap_cm([other, one], world[::-1])
    assert np.allclose(found, again)


def test_a_forearm_may_be_in_a_chest():
    """Whose trunks are an arm's length from each other."""
    one, other = standing(0.2), standing(0.2)
    wrist = forward_kinematics(one)[0][:, one.names.index("LeftHand")]
    chest = forward_kinematics(other)[0][:, other.names.index("Spine2")]
    other.positions_cm[:, 0] += wrist - chest
    worlds = [forward_kinematics(motion)[0] for motion in (one, other)]
    assert space.overlap_cm([one, other], worlds).min() > 5
    assert (space.overlap_cm([one, other], [worlds[0], worlds[1] + [400, 0, 0]]) == 0).all()


def test_joints_beyond_their_limits_are_seen_by_the_axes_of_the_real_motion():
    real = standing(5.0, 30.0)
    known = space.real_of(real)
    assert {hinge.name for hinge in known.hinges} >= {"knee", "elbow", "finger"} and known.twists

    def share(motion):
        return space.beyond_limits(motion, forward_kinematics(motion), known)

    assert not share(real).any()
    bent = turned(standing(5.0, 30.0), "LeftLeg", slice(10, 40), -110)
    assert share(bent)[10:40].mean() > 0.9 and not share(bent)[40:].any()
    owl = turned(standing(5.0, 30.0), "Neck", slice(0, 20), 150, axis="y")
    assert share(owl)[:20].all() and not share(owl)[20:].any()


@pytest.mark.parametrize("name", ["cmu_02_05", "cmu_03_03"])
def test_a_recorded_body_is_within_its_own_limits_and_on_its_own_floor(real_data, name):
    motion = load_bvh(real_data / "bvh" / f"{name}.bvh", unit="cm").frames(slice(None, None, 4))
    known = space.real_of(motion)
    assert space.beyond_limits(motion, forward_kinematics(motion), known).mean() < 0.02
    feet = space.feet_of(motion, forward_kinematics(motion)[0])
    assert np.mean(feet[..., 1].min(1) < known.floor_cm) == pytest.approx(0.01, abs=0.01)
    far = forward_kinematics(motion)[0] + [500, 0, 0]
    assert (space.overlap_cm([motion, motion], [forward_kinematics(motion)[0], far]) == 0).all()


def test_acceleration_is_that_of_the_joints():
    """A body that falls freely: every joint has 9.81 m/s^2."""
    root = np.zeros((FRAMES, 4))
    root[:, 1] = 5000 - 981 / 2 * (np.arange(FRAMES) / FPS) ** 2
    falling = pose.decode(np.zeros((FRAMES, 3 * len(JOINTS))), root, SKELETON)
    assert measured(falling, falling)[1] == pytest.approx(9.81, rel=1e-6)


def test_a_skeleton_without_feet_has_no_sliding():
    keep = [i for i, name in enumerate(JOINTS) if not name.endswith("Foot")]
    names = [JOINTS[i] for i in keep]
    parents = np.array([-1 if BONES[name][0] is None else names.index(BONES[name][0]) for name in names])
    bare = pose.Skeleton(names, parents, offsets()[keep], {}, ["zxy"] * len(names))
    motion = pose.decode(np.zeros((FRAMES, 3 * len(names))), np.zeros((FRAMES, 4)), bare)
    found, _ = measured(motion, motion)
    assert "slide" not in found and "speed" in found


def test_what_was_asked_is_what_the_labeller_sees():
    people = two_people(seconds=12.0)
    motion = pose.decode(people.poses[:, 0], people.root[:, 0], people.skeletons[0])
    own = label_actions(motion)
    assert space.as_asked(motion, own).all() and len({*own.tolist()}) > 1
    asked = own.copy()
    asked[: len(own) // 4] = (own[: len(own) // 4] + 1) % 3
    assert space.as_asked(motion, asked).mean() == pytest.approx(0.75, abs=0.01)
    assert space.as_asked(body(), np.full(FRAMES, 2)) is None  # without toes
