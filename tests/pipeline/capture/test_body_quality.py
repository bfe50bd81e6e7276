import numpy as np
import pytest
from helpers.bodies import faults_of, standing, turned

from pipeline.capture import body_quality
from pipeline.capture.body import without_reference
from pipeline.capture.body_faults import WHOLE_BODY
from pipeline.capture.body_quality import inspect
from pipeline.formats.bvh import load_bvh
from pipeline.motion import rotations


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
def test_smooth_motion_has_no_fault(seed, fps):
    found = inspect(standing(fps=fps, seed=seed))
    assert [fault for fault in found.faults if fault.kind != "slide"] == []
    assert not [line for line in found.not_judged if "never moves" not in line]


@pytest.mark.parametrize("stop", [331, None])
def test_a_held_joint_is_frozen(stop):
    motion = standing()
    j = motion.names.index("LeftForeArm")
    motion.rotations[280:stop, j] = motion.rotations[280, j]
    frozen = faults_of(motion, "freeze")
    assert [(f.joint, f.stop) for f in frozen] == [("LeftForeArm", stop or motion.num_frames)] and frozen[
        0
    ].first in (280, 281)
    assert not faults_of(motion, "jump")


def test_a_held_body_is_one_fault_and_a_joint_that_never_moves_is_none():
    motion = standing()
    motion.rotations[:, motion.names.index("Spine2")] = [0, 0, 0, 1]
    motion.rotations[200:300] = motion.rotations[200]
    motion.positions_cm[200:300] = motion.positions_cm[200]
    assert [(f.joint, f.index, f.stop) for f in faults_of(motion, "freeze")] == [(WHOLE_BODY, -1, 300)]
    assert "Spine2: never moves" in inspect(motion).not_judged


def test_a_movement_that_comes_to_rest_is_not_frozen():
    motion = standing()
    j = motion.names.index("LeftLeg")
    t = np.clip((np.arange(motion.num_frames) - 100) / 200, 0, 1)
    motion.rotations[:, j] = rotations.about("x", 0.5 + 0.8 * t**3 * (10 - 15 * t + 6 * t**2))
    assert faults_of(motion, "freeze") == []


def test_feet_that_slide_are_measured():
    motion = standing(10)
    for j in range(1, len(motion.names)):
        if "Leg" in motion.names[j] or "Foot" in motion.names[j] or "Toe" in motion.names[j]:
            motion.rotations[:, j] = rotations.about(
                "x", np.full(motion.num_frames, 0.02 * np.sin(np.arange(motion.num_frames) / 100))
            )
    motion.rotations[:, 0] = [0, 0, 0, 1]
    motion.positions_cm[:, 0] = [0, 95, 0]
    assert all(
        foot["sliding_share"] == 0 and foot["contact_frames"] > 1000 for foot in inspect(motion).feet.values()
    )
    motion.positions_cm[:, 0, 0] += np.interp(np.arange(motion.num_frames), [300, 420], [0, 30])
    found = inspect(motion)
    slides = [f for f in found.faults if f.kind == "slide"]
    assert [f.joint for f in slides] == ["LeftToeBase", "RightToeBase"] and slides[0].value == pytest.approx(
        30, abs=1
    )
    assert found.feet["LeftToeBase"]["sliding_share"] == pytest.approx(0.1, abs=0.01)


def test_nan_is_a_fault_of_its_own():
    motion = standing()
    motion.rotations[100:110] = np.nan
    motion.positions_cm[300] = np.nan
    faults = [f for f in inspect(motion).faults if f.kind != "slide"]
    assert [(f.kind, f.first, f.stop) for f in faults] == [("nan", 100, 110), ("nan", 300, 301)]
    motion.rotations[:] = np.nan
    assert inspect(motion).not_judged == ["fewer than two frames without NaN"]


def test_blocks_do_not_change_what_is_found(monkeypatch):
    motion = turned(turned(standing(), "Head", slice(254, 257), 25), "LeftArm", slice(128, None), 40)
    once = inspect(motion)
    monkeypatch.setattr(body_quality, "BLOCK_FRAMES", 128)
    assert inspect(motion) == once and len(once.faults) >= 2


@pytest.mark.parametrize("name", ["cmu_01_01", "cmu_02_05", "cmu_02_10", "cmu_03_03"])
def test_real_bodies_have_spikes_and_little_else(real_data, name):
    """Thin marker sets: one marker on the toes and one on the fingers flicker.

    Of all other joints, a few spikes of single frames.
    """
    motion, reference = without_reference(load_bvh(real_data / "bvh" / f"{name}.bvh"))
    faults = [fault for fault in inspect(motion).faults if fault.kind not in ("nan", "slide")]
    assert reference == (name == "cmu_01_01")
    assert {fault.kind for fault in faults} <= {"flicker", "jump"}
    body = [
        fault for fault in faults if not fault.joint.endswith(("ToeBase", "FingerBase", "Thumb", "Fingers"))
    ]
    assert len(body) < 25 * motion.num_frames / motion.fps / 60 and all(fault.value < 15 for fault in body)
