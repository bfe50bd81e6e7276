"""Touches: when, where the palm lies, what stays as it was, and that the contact stage finds them."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.annotate.contacts import find_contacts
from pipeline.motion import rotations
from pipeline.motion.skeleton import forward_kinematics
from pipeline.simulate.figure import Figure
from pipeline.simulate.motion import FPS, animate, plan_manner
from pipeline.simulate.script import plan_scripts
from pipeline.simulate.touch import NEAR_CM, REACH_S, Touch, blend, plan_touches, reach

SECONDS, MEETINGS = 40.0, (6.0, 24.0)
ACTORS = ("001", "002")


@pytest.fixture(scope="module")
def scene():
    """Two actors who meet twice, without a touch."""
    rng = np.random.default_rng(5)
    scripts = plan_scripts(0.0, SECONDS, rng, meetings=MEETINGS)
    figures = [Figure(actor) for actor in ACTORS]
    motions = []
    for k in range(2):
        manner = plan_manner([(2.0, 5.0), (20.0, 23.0)], [2.5, 3.5, 21.0], 0.0, SECONDS, rng)
        motions.append(animate(figures[k], scripts[k], scripts[1 - k], manner, 0.0, int(SECONDS * FPS)))
    return SimpleNamespace(scripts=scripts, figures=figures, motions=motions)


def calm(scene, k: int, seconds: float) -> float:
    """The first time from which actor k neither walks nor sits down nor meets for `seconds`."""
    script = scene.scripts[k]
    busy = [(a, b) for a, b, _ in (*script.walks, *script.postures)] + script.meetings
    return next(t for t in np.arange(1.0, SECONDS, 0.1) if all(b < t or t + seconds < a for a, b in busy))


def own(scene, kind: str) -> Touch:
    start = calm(scene, 0, 2 * REACH_S + 1.4) + REACH_S + 0.1
    hand, part = {"Hand": ("LeftHand", "RightHand"), "Head": ("LeftHand", "Head")}.get(
        kind, ("LeftHand", f"Right{kind}")
    )
    return Touch(0, 0, hand, part, start, start + 1.2)


def of_partner(scene, kind: str) -> Touch:
    begin, end = scene.scripts[0].meetings[0]
    if kind == "Hand":
        return Touch(0, 1, "RightHand", "RightHand", begin + REACH_S, end - REACH_S)
    k = (
        1 if kind == "Elbow" else 0
    )  # the smaller one's shoulders are near the partner's elbows, the taller one's near head and shoulders
    return Touch(
        k, 1 - k, "RightHand", "Head" if kind == "Head" else f"Left{kind}", begin + REACH_S, end - REACH_S
    )


def touched(scene, touch):
    return reach(scene.motions, scene.figures, [0.0, 0.0], [touch])


def test_touches_are_drawn_in_calm_moments_and_meetings(scene):
    touches = [
        touch
        for seed in range(20)
        for touch in plan_touches(scene.scripts, 0.0, SECONDS, np.random.default_rng(seed))
    ]
    assert {(touch.kind, touch.actor == touch.of) for touch in touches} == {
        (kind, same) for kind in ("Head", "Shoulder", "Elbow", "Hand") for same in (True, False)
    }
    for touch in touches:
        assert 0 < touch.start < touch.stop < SECONDS
        script = scene.scripts[touch.actor]
        inside = [
            a <= touch.start - REACH_S + 1e-9 and touch.stop + REACH_S <= b + 1e-9 for a, b in script.meetings
        ]
        assert any(inside) == (touch.actor != touch.of)
        if touch.actor == touch.of:
            assert all(
                b <= touch.start - REACH_S or touch.stop + REACH_S <= a
                for a, b, _ in (*script.walks, *script.postures)
            )
    one = [
        touch
        for touch in plan_touches(scene.scripts, 0.0, SECONDS, np.random.default_rng(0))
        if touch.actor == touch.of == 0
    ]
    assert all(a.stop + 2 * REACH_S <= b.start for a, b in zip(one, one[1:]))


@pytest.mark.parametrize("kind", ["Head", "Shoulder", "Elbow", "Hand"])
@pytest.mark.parametrize("make", [own, of_partner])
def test_a_touch_is_found_at_its_time_and_nothing_else_moves(scene, make, kind):
    touch = make(scene, kind)
    motions, (done,) = touched(scene, touch)
    assert (
        touch.start - 0.3 < done.start <= touch.start + 0.01
        and touch.stop - 0.01 <= done.stop < touch.stop + 0.3
    )
    parts = [motion.frames(slice(0, None, 4)) for motion in motions]
    found = [
        c
        for c in find_contacts(parts)
        if (c["actor"], c["of"], c["hand"], c["part"]) == (touch.actor, touch.of, touch.hand, touch.part)
    ]
    near = [c for c in found if c["start"] / 30 < done.stop and done.start < c["stop"] / 30]
    assert (
        len(near) == 1
        and abs(near[0]["start"] / 30 - done.start) < 0.25
        and abs(near[0]["stop"] / 30 - done.stop) < 0.25
    )
    moving = {f"{side}{part}" for side in ("Left", "Right") for part in ("Arm", "ForeArm", "Hand")} | {
        "Spine",
        "Spine1",
        "Spine2",
        "Spine3",
    }
    for before, after in zip(scene.motions, motions, strict=True):
        changed = np.abs(after.rotations - before.rotations).max(-1) > 0
        assert {before.names[j] for j in np.flatnonzero(changed.any(0))} <= moving
        times = np.flatnonzero(changed.any(1)) / FPS
        assert not len(times) or (times[0] >= touch.start - REACH_S and times[-1] <= touch.stop + REACH_S)
        turned = np.clip(np.abs(np.sum(after.rotations[1:] * after.rotations[:-1], -1)), 0, 1)
        arms = [j for j, name in enumerate(after.names) if "Arm" in name]
        assert (2 * np.arccos(turned[:, arms]) * FPS).max() < 13


def test_the_palm_lies_on_the_head(scene):
    touch = own(scene, "Head")
    motions, _ = touched(scene, touch)
    index = scene.figures[0].index
    points, turned = forward_kinematics(
        motions[0].frames(slice(int(touch.start * FPS) + 1, int(touch.stop * FPS)))
    )
    palm = (points[:, index["LeftHand"]] + points[:, index["LeftHandMiddle1"]]) / 2
    seen = rotations.rotate(rotations.inverse(turned[:, index["Head"]]), palm - points[:, index["Head"]])
    assert np.ptp(seen, axis=0).max() < 0.2 and 7 < seen[0, 0] < 11, (
        "it moves with the head, beside the left cheek"
    )


def test_the_hand_on_an_elbow_passes_in_front_of_the_trunk(scene):
    touch = own(scene, "Elbow")
    motions, _ = touched(scene, touch)
    index = scene.figures[0].index
    points, turned = forward_kinematics(
        motions[0].frames(slice(int(touch.start * FPS) + 1, int(touch.stop * FPS)))
    )
    for name in ("LeftForeArm", "LeftHand"):
        ahead = rotations.rotate(
            rotations.inverse(turned[:, index["Spine1"]]), points[:, index[name]] - points[:, index["Spine1"]]
        )
        assert abs(ahead[:, 0]).max() > 14 or ahead[:, 2].min() > 12, f"{name} beside the trunk or before it"
    middle = (points[:, index["LeftForeArm"]] + points[:, index["LeftHand"]]) / 2
    assert (
        rotations.rotate(rotations.inverse(turned[:, index["Spine1"]]), middle - points[:, index["Spine1"]])[
            :, 2
        ].min()
        > 12
    )


def test_what_is_out_of_reach_is_no_touch(scene):
    far = replace(of_partner(scene, "Shoulder"), start=1.0, stop=2.0)  # before the two have met
    motions, done = touched(scene, far)
    assert done == []
    for before, after in zip(scene.motions, motions, strict=True):
        np.testing.assert_array_equal(before.rotations, after.rotations)


def test_a_touch_lasts_while_the_palm_is_near(scene):
    touch = own(scene, "Elbow")
    motions, (done,) = touched(scene, touch)
    index = scene.figures[0].index
    times = np.array([done.start - 1 / FPS, done.start, (done.start + done.stop) / 2])
    points, _ = forward_kinematics(motions[0].frames(np.round(times * FPS).astype(int)))
    palm = (points[:, index["LeftHand"]] + points[:, index["LeftHandMiddle1"]]) / 2 - points[
        :, index["RightForeArm"]
    ]
    away = np.linalg.norm(palm - palm[-1], axis=1)
    assert away[0] > 0.8 * NEAR_CM > 0.3 and away[1] < 1.2 * NEAR_CM


def test_blend_goes_one_way_round():
    start = rotations.about("x", np.zeros(5))
    stop = rotations.about("x", np.deg2rad([150.0, 170.0, 178.0, 185.0, 190.0]))
    half = np.rad2deg(2 * np.arctan2(*blend(start, stop, np.array([0.2, 0.5, 1.0, 0.5, 0.5]))[:, [0, 3]].T))
    np.testing.assert_allclose(half, [30.0, 85.0, 178.0, 92.5, 95.0], atol=1e-9)


def test_meetings_bring_both_within_an_arms_length(scene):
    (begin, end), _ = scene.scripts[0].meetings
    assert (
        scene.scripts[1].meetings == scene.scripts[0].meetings
        and begin >= MEETINGS[0]
        and 2 < end - begin < 4
    )
    times = np.linspace(begin, end, 20)
    apart = np.linalg.norm(scene.scripts[0].place_at(times) - scene.scripts[1].place_at(times), axis=1)
    np.testing.assert_allclose(apart, 60.0)
