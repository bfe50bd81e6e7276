import numpy as np
import pytest
from helpers.bodies import faults_of, standing, turned

from pipeline.capture.body_quality import inspect
from pipeline.capture.body_spikes import mend_flicker
from pipeline.motion import rotations


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("name", ["LeftHandIndex2", "Spine1", "RightFoot"])
def test_a_spike_is_found_with_its_width_and_size(width, name):
    faults = inspect(turned(standing(), name, slice(300, 300 + width), 25)).faults
    assert [(f.kind, f.joint, f.first, f.stop) for f in faults if f.kind in ("flicker", "jump")] == [
        ("flicker", name, 300, 300 + width)
    ]
    assert next(f.value for f in faults if f.kind == "flicker") == pytest.approx(25, abs=1)


def test_hips_that_leave_for_a_frame_are_flicker_and_for_good_a_jump():
    motion = standing()
    motion.positions_cm[200, 0] += [0, 0, 8]
    motion.positions_cm[400:, 0] += [30, 0, 0]
    faults = [f for f in inspect(motion).faults if f.kind in ("flicker", "jump")]
    assert [(f.kind, f.joint, f.first, f.unit) for f in faults] == [
        ("flicker", "Hips", 200, "cm"),
        ("jump", "Hips", 400, "cm"),
    ]
    assert [f.value for f in faults] == pytest.approx([8, 30], abs=0.3)


def test_only_lone_spikes_are_mended():
    clean = standing()
    motion = turned(standing(), "Spine1", slice(100, 101), 20)
    motion = turned(turned(motion, "Neck", slice(200, 201), 20), "Neck", slice(202, 203), 20)
    motion = turned(motion, "Head", slice(300, 302), 30)
    mended, faults = mend_flicker(motion, inspect(motion).faults)
    assert [f.joint for f in faults if f.mended] == ["Spine1"]
    changed = np.argwhere((mended.rotations != motion.rotations).any(-1))
    assert changed.tolist() == [[100, motion.names.index("Spine1")]]
    assert np.abs(mended.rotations[100] - clean.rotations[100]).max() < 1e-3
    assert np.isclose(np.linalg.norm(mended.rotations, axis=-1), 1).all()


@pytest.mark.parametrize(("around", "mended"), [(0.0, True), (4.0, True), (7.0, False)])
def test_a_spike_amid_noise_is_not_mended(around, mended):
    motion = standing()
    for t, way in zip(
        (194, 195, 196, 205, 206), (1, -1, 1, -1, 1)
    ):  # each too small to be a spike of its own
        turned(motion, "LeftHand", slice(t, t + 1), way * around / 2)
    faults = mend_flicker(motion, inspect(turned(motion, "LeftHand", slice(200, 201), 9)).faults)[1]
    assert [(f.first, f.mended) for f in faults if f.kind == "flicker"] == [(200, mended)]


def test_a_spike_in_a_fast_turn_is_mended():
    motion = standing()
    j = motion.names.index("RightArm")
    motion.rotations[:, j] = rotations.about("y", np.deg2rad(3.0) * np.arange(motion.num_frames))
    clean = motion.rotations[300, j].copy()
    mended, faults = mend_flicker(motion, inspect(turned(motion, "RightArm", slice(300, 301), 14)).faults)
    assert [(f.first, f.mended) for f in faults if f.kind == "flicker"] == [(300, True)]
    assert rotations.angle_deg(mended.rotations[300, j], clean) < 0.1


def test_a_spike_of_the_hips_amid_noise_is_not_mended():
    for around, mended in ((0.5, True), (1.8, False)):
        motion = standing()
        motion.positions_cm[203, 0] += [0, around, 0]
        motion.positions_cm[200, 0] += [0, 0, 3]
        faults = mend_flicker(motion, inspect(motion).faults)[1]
        assert [(f.first, f.mended) for f in faults if f.kind == "flicker"] == [(200, mended)]


@pytest.mark.parametrize("name", ["LeftHandIndex2", "RightArm", "Head"])
def test_a_jump_that_stays(name):
    faults = faults_of(turned(standing(), name, slice(250, None), 40), "jump")
    assert [(f.joint, f.first, f.stop) for f in faults] == [(name, 250, 251)] and faults[
        0
    ].value == pytest.approx(40, abs=1)
