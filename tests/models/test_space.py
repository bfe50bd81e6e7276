"""Motion through space: paths, turns, distances, facing and feet whose numbers are known."""

import numpy as np
import pytest
from helpers.tiny_shards import BONES, JOINTS, offsets

from models import space
from pipeline.config import Facing
from pipeline.motion import pose

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
