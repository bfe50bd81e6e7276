from dataclasses import replace

import numpy as np
import pytest
from helpers.bodies import FPS, standing, turned

from pipeline.capture import body_quality
from pipeline.capture.body import without_reference
from pipeline.capture.body_quality import inspect, mend_flicker, runs, summary
from pipeline.formats.bvh import load_bvh
from pipeline.motion import rotations
from pipeline.motion.motion import Motion


def found_of(motion: Motion, kind: str) -> list[body_quality.Fault]:
    return [fault for fault in inspect(motion).faults if fault.kind == kind]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fps", [30.0, 60.0, 120.0])
def test_smooth_motion_has_no_fault(seed, fps):
    found = inspect(standing(fps=fps, seed=seed))
    assert [fault for fault in found.faults if fault.kind != "slide"] == []
    assert not [line for line in found.not_judged if "never moves" not in line]


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
    assert body_quality.angle_deg(mended.rotations[300, j], clean) < 0.1


def test_a_spike_of_the_hips_amid_noise_is_not_mended():
    for around, mended in ((0.5, True), (1.8, False)):
        motion = standing()
        motion.positions_cm[203, 0] += [0, around, 0]
        motion.positions_cm[200, 0] += [0, 0, 3]
        faults = mend_flicker(motion, inspect(motion).faults)[1]
        assert [(f.first, f.mended) for f in faults if f.kind == "flicker"] == [(200, mended)]


@pytest.mark.parametrize("name", ["LeftHandIndex2", "RightArm", "Head"])
def test_a_jump_that_stays(name):
    faults = found_of(turned(standing(), name, slice(250, None), 40), "jump")
    assert [(f.joint, f.first, f.stop) for f in faults] == [(name, 250, 251)] and faults[
        0
    ].value == pytest.approx(40, abs=1)


@pytest.mark.parametrize("side", ["Left", "Right"])
@pytest.mark.parametrize("pair", [("Index", "Middle"), ("Ring", "Pinky")])
@pytest.mark.parametrize("by", ["rotations", "places"])
def test_fingers_that_change_places(side, pair, by):
    motion = standing()
    one, other = ([motion.names.index(f"{side}Hand{finger}{k}") for k in (1, 2, 3)] for finger in pair)
    if by == "rotations":
        motion.rotations[200:330, one + other] = motion.rotations[200:330, other + one]
    else:  # each finger's joints stand where the other's were
        keep = body_quality.chain(motion.parents, motion.positions_cm, motion.rotations)[0]
        wanted = keep.copy()
        wanted[200:330, one + other] = keep[200:330, other + one]
        world = body_quality.chain(motion.parents, motion.positions_cm, motion.rotations)[1]
        for j in one + other:
            parent = motion.parents[j]
            motion.positions_cm[200:330, j] = rotations.rotate(
                rotations.inverse(world[200:330, parent]), (wanted[:, j] - wanted[:, parent])[200:330]
            )
    swaps = found_of(motion, "swap")
    assert [(f.first, f.stop, f.note) for f in swaps] == [(200, 330, f"{side}{pair[0]} and {side}{pair[1]}")]
    assert not found_of(motion, "jump") and not found_of(motion, "flicker")


def test_a_swap_that_never_ends_is_one_frame():
    motion = standing()
    one, other = (
        [motion.names.index(f"LeftHand{finger}{k}") for k in (1, 2, 3)] for finger in ("Index", "Middle")
    )
    motion.rotations[200:, one + other] = motion.rotations[200:, other + one]
    swaps = found_of(motion, "swap")
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
    assert [(f.first, f.stop) for f in found_of(motion, "swap")] == ([(200, 201)] if seen else [])


@pytest.mark.parametrize("noise_deg", [0.05, 0.3])
def test_noise_is_no_swap(noise_deg):
    motion, _, _ = alike(0.5)
    turns = np.deg2rad(noise_deg) * np.random.default_rng(0).standard_t(3, (*motion.rotations.shape[:2], 3))
    assert not found_of(
        replace(motion, rotations=rotations.multiply(motion.rotations, rotations.from_expmap(turns))), "swap"
    )


@pytest.mark.parametrize(("fidgets", "found"), [(0.0, [(100, 200)]), (4.0, [])])
def test_hands_that_lie_together_change_sides_only_where_it_is_calm_around(fidgets, found):
    motion = standing()
    hands = [motion.names.index(name) for name in ("LeftHand", "RightHand")]
    places, world = body_quality.chain(motion.parents, motion.positions_cm, motion.rotations)
    middle = places[:, hands].mean(1, keepdims=True) + [[6.0, 0, 0], [-6.0, 0, 0]]
    middle[::2] += [0, fidgets, 0]
    middle[100:200] = middle[100:200, ::-1]
    arms = motion.parents[hands]
    motion.positions_cm[:, hands] = rotations.rotate(
        rotations.inverse(world[:, arms]), middle - places[:, arms]
    )
    assert [(f.first, f.stop) for f in found_of(motion, "side_swap")] == found


def test_hands_that_change_sides():
    motion = standing()
    both = [motion.names.index(name) for name in ("LeftShoulder", "RightShoulder")]
    motion.positions_cm[100:200, both] = motion.positions_cm[100:200, both[::-1]]
    arms = [motion.names.index(name) for name in ("LeftArm", "RightArm")]
    motion.positions_cm[100:200, arms] = motion.positions_cm[100:200, arms[::-1]]
    assert [(f.first, f.stop, f.note) for f in found_of(motion, "side_swap")] == [
        (100, 200, "left and right hand")
    ]


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
    faults = found_of(motion, "limit")
    assert [f.note for f in faults] == [note] and 200 < faults[0].first < faults[0].stop < 320
    assert not found_of(motion, "jump") and not found_of(motion, "flicker")


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
        [(f.joint, f.first, f.stop, round(f.value, 2)) for f in found_of(m, "limit") if "knee" in f.note]
        for m in (motion, other)
    ]
    assert pick[0] == pick[1] and len(pick[0]) == 1


@pytest.mark.parametrize("stop", [331, None])
def test_a_held_joint_is_frozen(stop):
    motion = standing()
    j = motion.names.index("LeftForeArm")
    motion.rotations[280:stop, j] = motion.rotations[280, j]
    frozen = found_of(motion, "freeze")
    assert [(f.joint, f.stop) for f in frozen] == [("LeftForeArm", stop or motion.num_frames)] and frozen[
        0
    ].first in (280, 281)
    assert not found_of(motion, "jump")


def test_a_held_body_is_one_fault_and_a_joint_that_never_moves_is_none():
    motion = standing()
    motion.rotations[:, motion.names.index("Spine2")] = [0, 0, 0, 1]
    motion.rotations[200:300] = motion.rotations[200]
    motion.positions_cm[200:300] = motion.positions_cm[200]
    assert [(f.joint, f.index, f.stop) for f in found_of(motion, "freeze")] == [
        (body_quality.WHOLE_BODY, -1, 300)
    ]
    assert "Spine2: never moves" in inspect(motion).not_judged


def test_a_movement_that_comes_to_rest_is_not_frozen():
    motion = standing()
    j = motion.names.index("LeftLeg")
    t = np.clip((np.arange(motion.num_frames) - 100) / 200, 0, 1)
    motion.rotations[:, j] = rotations.about("x", 0.5 + 0.8 * t**3 * (10 - 15 * t + 6 * t**2))
    assert found_of(motion, "freeze") == []


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


def test_summary_counts_times_and_reasons():
    motion = turned(standing(), "Head", slice(200, None), 40)
    report = summary(
        inspect(motion), fps=FPS, num_frames=motion.num_frames, first_frame=1000, start_seconds=-0.5
    )
    fault = next(f for f in report["faults"] if f["kind"] == "jump")
    assert any("slides in" in reason for reason in report["reasons"]), "its feet sway"
    assert (
        report["verdict"] == "check"
        and report["counts"]["jump"] == 1
        and "1 jumps, such as Head at 1.17 s" in report["reasons"]
    )
    assert (fault["first"], fault["stop"]) == (1200, 1201) and fault["start_seconds"] == pytest.approx(
        200 / FPS - 0.5, abs=1e-3
    )
    clean = standing()
    assert summary(inspect(clean, slide_cm_s=99.0), fps=FPS, num_frames=clean.num_frames)["verdict"] == "good"


def test_runs_join_and_drop():
    mask = np.array([1, 1, 0, 1, 0, 0, 0, 1], bool)
    assert (
        runs(mask) == [(0, 2), (3, 4), (7, 8)]
        and runs(mask, join=1) == [(0, 4), (7, 8)]
        and runs(mask, least=2) == [(0, 2)]
    )
    assert runs(mask[:0]) == []


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
