from dataclasses import replace

import numpy as np
import pytest
from helpers.bodies import faults_of, standing, turned

from pipeline.motion import rotations


@pytest.mark.parametrize(
    ("name", "degrees", "axis", "note"),
    [
        ("LeftLeg", -100, "x", "knee bent backwards"),
        ("RightForeArm", 130, "x", "elbow bent backwards"),
        ("LeftHandIndex2", 70, "z", "finger bent backwards"),
        ("RightHandIndex3", -80, "z", "finger bent backwards"),
        ("RightHandPinky2", 120, "z", "finger bent too far"),
        ("Neck", 130, "y", "neck twisted"),
        ("Spine1", -100, "y", "spine twisted"),
    ],
)
def test_joints_beyond_their_limits(name, degrees, axis, note):
    motion = standing()
    j = motion.names.index(name)
    ease = np.clip(np.minimum(np.arange(120), np.arange(120)[::-1]) / 30, 0, 1)
    motion.rotations[200:320, j] = rotations.multiply(
        motion.rotations[200:320, j], rotations.about(axis, np.deg2rad(degrees * ease))
    )
    faults = faults_of(motion, "limit")
    assert [f.note for f in faults] == [note] and 200 < faults[0].first < faults[0].stop < 320
    assert not faults_of(motion, "jump") and not faults_of(motion, "flicker")


def test_bends_are_independent_of_the_joints_own_axes():
    """The same movement in bones whose axes are turned at random: the same bends."""
    motion = turned(standing(), "LeftLeg", slice(200, 320), -100)
    rng = np.random.default_rng(1)
    turn = rotations.normalise(rng.normal(size=(len(motion.names), 4)))
    turn[0] = [0, 0, 0, 1]
    parent = np.where(motion.parents[:, None] < 0, [0, 0, 0, 1.0], turn[motion.parents])
    other = replace(
        motion,
        rotations=rotations.multiply(rotations.inverse(parent), rotations.multiply(motion.rotations, turn)),
        positions_cm=rotations.rotate(
            np.broadcast_to(rotations.inverse(parent), motion.rotations.shape), motion.positions_cm
        ),
        offsets_cm=rotations.rotate(rotations.inverse(parent), motion.offsets_cm),
        ends_cm={j: rotations.rotate(rotations.inverse(turn[j]), end) for j, end in motion.ends_cm.items()},
    )
    pick = [
        [(f.joint, f.first, f.stop, round(f.value, 2)) for f in faults_of(m, "limit") if "knee" in f.note]
        for m in (motion, other)
    ]
    assert pick[0] == pick[1] and len(pick[0]) == 1
