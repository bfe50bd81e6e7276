"""Scripts and bodies: planted feet, bounded speeds, honest labels."""

import numpy as np
import pytest

from pipeline.formats import bvh
from pipeline.motion import skeleton
from pipeline.motion.joints import RELEASE_JOINTS, RELEASE_PARENTS
from pipeline.simulate.figure import Figure
from pipeline.simulate.motion import FPS, _at_most, animate, plan_manner, solve_limb
from pipeline.simulate.script import SIT, STAND, WALK, Script, plan_scripts
from pipeline.simulate.steps import evaluate_feet, plan_steps

SECONDS = 24


def perform(seed: int):
    """Scripts, motions and world positions (T, J, 3) of both actors."""
    rng = np.random.default_rng(seed)
    scripts = plan_scripts(0.0, SECONDS, rng)
    motions = []
    for k, actor in enumerate(("001", "005")):
        manner = plan_manner([(2.0, 5.0), (9.0, 12.0)], [2.3, 3.0, 4.1, 9.5, 10.2], 0.0, SECONDS, rng)
        motions.append(animate(Figure(actor), scripts[k], scripts[1 - k], manner, 0.0, int(SECONDS * FPS)))
    return scripts, motions, [skeleton.forward_kinematics(motion)[0] for motion in motions]


@pytest.fixture(scope="module", params=[0, 1, 2])
def scene(request):
    return perform(request.param)


def test_skeleton_is_the_release(scene):
    for motion in scene[1]:
        assert motion.names == list(RELEASE_JOINTS)
        assert [motion.names[p] if p >= 0 else None for p in motion.parents] == list(RELEASE_PARENTS.values())
        assert set(motion.orders) == {"xzy"} and motion.free == {0}
    lengths = [np.linalg.norm(Figure(a).offsets_cm, axis=1) for a in ("001", "002", "003", "005")]
    assert all(np.abs(a - b).max() > 1 for i, a in enumerate(lengths) for b in lengths[:i])


def test_sides_mirror():
    figure = Figure("002")
    for name in figure.names:
        if name.startswith("Left"):
            left, right = (
                figure.offsets_cm[figure.index[name]],
                figure.offsets_cm[figure.index["Right" + name[4:]]],
            )
            assert np.allclose(left, right * (-1, 1, 1))


def test_planted_feet_do_not_slide(scene):
    for script, motion, positions in zip(*scene, strict=True):
        figure = Figure("001" if motion is scene[1][0] else "005")
        toe = figure.offsets_cm[figure.index["LeftToeBase"]]
        spread = figure.offsets_cm[figure.index["LeftUpLeg"], 0] * 1.1
        _, steps = plan_steps(script, 0.0, spread_cm=spread, ball_cm=toe[2] - 3.0)
        times = np.arange(len(positions)) / FPS
        for foot, side in enumerate(("Left", "Right")):
            own = [step for step in steps if step.foot == foot]
            edges = [0.0, *[t for step in own for t in (step.start, step.stop)], SECONDS]
            path = positions[:, motion.names.index(side + "ToeBase")]
            ankle = positions[:, motion.names.index(side + "Foot")]
            for a, b in zip(edges[::2], edges[1::2], strict=True):
                stance = path[(times >= a) & (times <= b)]
                if len(stance):
                    assert np.ptp(stance, axis=0).max() < 0.5
                # until the heel rises the ankle stands still too
                flat = ankle[(times >= a) & (times <= b - 0.25)]
                if len(flat):
                    assert np.ptp(flat, axis=0).max() < 0.5


def test_feet_are_on_the_floor_and_legs_bend_forward(scene):
    for motion, positions in zip(scene[1], scene[2], strict=True):
        names = motion.names
        assert positions[..., 1].min() > 0.5
        heading = skeleton.heading(names, motion.offsets_cm, motion.rotations[:, 0])
        ahead = np.stack([np.sin(heading), np.zeros_like(heading), np.cos(heading)], -1)
        for side in ("Left", "Right"):
            hip, knee, ankle = (positions[:, names.index(side + part)] for part in ("UpLeg", "Leg", "Foot"))
            share = np.sum((knee - hip) * (ankle - hip), -1) / np.sum((ankle - hip) ** 2, -1)
            bow = np.sum((knee - hip - share[:, None] * (ankle - hip)) * ahead, -1)
            assert bow.min() > 0
            assert np.linalg.norm(ankle - positions[:, names.index(side + "ToeBase")], axis=1).std() < 1e-6


def test_no_pops(scene):
    for motion, positions in zip(scene[1], scene[2], strict=True):
        cosine = np.clip(np.abs(np.sum(motion.rotations[1:] * motion.rotations[:-1], -1)), 0, 1)
        assert (2 * np.arccos(cosine) * FPS).max() < 12  # rad/s; a knee in walking reaches 8
        assert (np.linalg.norm(np.diff(positions[:, 0], axis=0), axis=1) * FPS).max() < 180


def test_actors_keep_their_distance_and_stay_on_the_floor(scene):
    a, b = (positions[:, :, [0, 2]] for positions in scene[2])
    assert np.linalg.norm(a[:, 0] - b[:, 0], axis=1).min() > 80
    assert max(np.abs(a[:, 0]).max(), np.abs(b[:, 0]).max()) < 250


def test_sitting_has_low_hips_and_bent_knees(scene):
    for script, motion, positions in zip(*scene, strict=True):
        times = np.arange(len(positions)) / FPS
        actions = script.action_at(times)
        names = motion.names
        hips = positions[:, 0, 1]
        for side in ("Left", "Right"):
            hip, knee, ankle = (positions[:, names.index(side + part)] for part in ("UpLeg", "Leg", "Foot"))
            thigh, shin = hip - knee, ankle - knee
            angle = np.degrees(
                np.arccos(
                    np.sum(thigh * shin, -1) / np.linalg.norm(thigh, axis=-1) / np.linalg.norm(shin, axis=-1)
                )
            )
            assert np.all(np.abs(angle[actions == SIT] - 90) < 20)
            assert np.all(
                angle[(actions == STAND) & (script.seat_at(times) == 0) & (script.speed_at(times) == 0)] > 120
            )
        assert np.all((hips[actions == SIT] > 42) & (hips[actions == SIT] < 58))
        speed = np.linalg.norm(np.gradient(positions[:, 0][:, [0, 2]], axis=0), axis=1) * FPS
        assert (
            speed[actions == WALK].mean() > 50 > 10 > speed[actions == SIT].mean()
            if (actions == SIT).any()
            else True
        )


def test_labels_say_all_three_actions():
    seen = {
        int(v)
        for seed in range(6)
        for s in plan_scripts(0, 20, np.random.default_rng(seed))
        for v in s.action_at(np.arange(0, 20, 0.1))
    }
    assert seen == {SIT, WALK, STAND}


def test_getting_up_and_turning_count_as_standing():
    script = Script(np.zeros(2), 0.0, True, turns=[(6.0, 7.0, 2.0)], postures=[(2.0, 3.6, -1.0)])
    actions = script.action_at(np.array([1.0, 2.5, 3.0, 4.0, 6.5]))
    assert actions.tolist() == [SIT, STAND, STAND, STAND, STAND]


def test_walks_arrive():
    script = Script(np.array([10.0, -5.0]), 0.3, False, walks=[(1.0, 3.0, np.array([100.0, 50.0]))])
    assert np.allclose(script.place_at(np.array([0.5, 3.5])), [[10, -5], [110, 45]])
    way = script.place_at(np.linspace(1, 3, 400))[:, 0]
    assert np.all(np.diff(way) >= 0) and script.action_at(np.array([2.0])).item() == WALK


def test_feet_stand_still_without_a_stroll():
    script = Script(np.zeros(2), 1.0, False)
    feet = evaluate_feet(*plan_steps(script, 0.0, spread_cm=10, ball_cm=10), np.linspace(0, 5, 50))
    assert np.ptp(feet.ball, axis=0).max() == 0 and np.ptp(feet.heading, axis=0).max() == 0


def test_leg_reaches_the_ankle():
    rng = np.random.default_rng(0)
    hip = np.array([0, 85.0, 0]) + rng.uniform(-3, 3, (50, 3))
    ankle = np.array([0, 15.0, 5.0]) + rng.uniform(-14, 10, (50, 3))
    thigh, shin = solve_limb(hip, ankle, np.repeat([[0, 0, 1.0]], 50, 0), 45.0, 44.0)
    knee = hip + skeleton.rotations.rotate(thigh, np.array([0, -45.0, 0]))
    assert np.abs(knee + skeleton.rotations.rotate(shin, np.array([0, -44.0, 0])) - ankle).max() < 1e-9


def test_smooth_bound_is_never_exceeded():
    rng = np.random.default_rng(0)
    bound = 90 + rng.standard_normal(500)
    low = _at_most(bound, np.full(500, 90.5), 10)
    assert np.all(low <= np.minimum(bound, 90.5) + 1e-9) and np.abs(np.diff(low)).max() < 0.5


def test_motion_survives_bvh(scene, tmp_path):
    motion = scene[1][0].frames(slice(0, 600, 7))
    bvh.save_bvh(tmp_path / "a.bvh", motion)
    again = skeleton.forward_kinematics(bvh.load_bvh(tmp_path / "a.bvh", unit="cm"))[0]
    assert np.abs(again - scene[2][0][0:600:7]).max() < 1e-3
