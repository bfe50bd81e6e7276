from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_dataset import body

from pipeline.annotate import actions
from pipeline.annotate.actions import (
    SIT,
    STAND,
    WALK,
    Step,
    beside,
    hysteresis,
    join_short,
    label_actions,
    posture,
    steps_over_ground,
    stretches,
)
from pipeline.config import Actions
from pipeline.errors import InputError
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.motion import rotations
from pipeline.motion.motion import Motion


def seated(motion: Motion, share: np.ndarray) -> Motion:
    """The body going down onto a chair: share (T,) 0 stands, 1 sits with thighs level and shins upright."""
    index = motion.aliases()
    for side in ("Left", "Right"):
        motion.rotations[:, index[f"{side}UpLeg"]] = rotations.about("x", -share * np.pi / 2)
        motion.rotations[:, index[f"{side}Leg"]] = rotations.about("x", share * np.pi / 2)
    thigh = -motion.offsets_cm[index["LeftLeg"], 1]
    motion.positions_cm[:, 0, 1] -= thigh * (1 - np.cos(share * np.pi / 2))
    return motion


def stepping(motion: Motion, moves: np.ndarray, *, both_feet: bool = False) -> Motion:
    """The body travelling along z at 1.2 m/s where `moves`.

    Each leg swings while the other rests, or both hop.
    """
    fps, index = motion.fps, motion.aliases()
    way = 120.0 * np.cumsum(moves) / fps
    motion.positions_cm[:, 0, 2] += way
    leg = motion.positions_cm[0, 0, 1] - 7
    for k, side in enumerate(("Left", "Right")):
        phase = way / 60.0 + (
            0.0 if both_feet else 0.5 * k
        )  # a foot rests for half of its 60 cm, then swings
        ahead = 15.0 - 60.0 * (phase % 1) * ((phase % 1) < 0.5) - (15.0 if both_feet else 0.0)
        swing = (phase % 1) >= 0.5
        ahead = np.where(swing, -15.0 + 60.0 * ((phase % 1) - 0.5), ahead)
        motion.rotations[:, index[f"{side}UpLeg"]] = rotations.about(
            "x", -np.arcsin(np.clip(ahead / leg, -0.5, 0.5)) * moves.astype(float)
        )
    return motion


def crouched(
    motion: Motion,
    share: np.ndarray,
    *,
    thigh_deg: float = 100.0,
    shin_deg: float = 25.0,
    lean_deg: float = 40.0,
) -> Motion:
    """The body going down on its feet, soles on the floor.

    share (T,) 0 standing, 1 with thighs, shins and trunk so far from upright.
    """
    index = motion.aliases()
    thigh, shin, lean = (share * np.radians(value) for value in (thigh_deg, shin_deg, lean_deg))
    for side in ("Left", "Right"):
        motion.rotations[:, index[f"{side}UpLeg"]] = rotations.about("x", -thigh)
        motion.rotations[:, index[f"{side}Leg"]] = rotations.about("x", thigh + shin)
        motion.rotations[:, index[f"{side}Foot"]] = rotations.about("x", -shin)
    motion.rotations[:, index["Spine"]] = rotations.about("x", lean)
    lengths = -motion.offsets_cm[[index["LeftLeg"], index["LeftFoot"]], 1]
    motion.positions_cm[:, 0, 1] -= lengths[0] * (1 - np.cos(thigh)) + lengths[1] * (1 - np.cos(shin))
    return motion


def down_and_up(fps: float, seconds: float = 12.0) -> np.ndarray:
    """Share (T,) of the way down: standing, down from 4.5 to 8 s, standing."""
    at = np.arange(int(seconds * fps)) / fps
    return np.clip((at - 3) / 1.5, 0, 1) - np.clip((at - 8) / 1.5, 0, 1)


@pytest.mark.parametrize("fps", [10.0, 24.0, 30.0, 60.0, 120.0])
def test_sit_down_and_get_up(fps):
    seconds = np.arange(int(12 * fps)) / fps
    share = np.clip((seconds - 3) / 1.5, 0, 1) - np.clip((seconds - 8) / 1.5, 0, 1)
    labels = label_actions(seated(body(len(seconds), fps=fps), share))
    assert labels.dtype == np.uint8 and labels.shape == seconds.shape
    clear = np.abs(seconds[:, None] - [3.75, 8.75]).min(1) > 1.0
    np.testing.assert_array_equal(labels[clear], np.where(share > 0.5, SIT, STAND)[clear])


@pytest.mark.parametrize("thigh_deg, shin_deg, lean_deg", [(100, 25, 40), (85, 30, 30), (115, 30, 45)])
@pytest.mark.parametrize("fps", [30.0, 120.0])
def test_a_motionless_crouch_is_no_sitting(fps, thigh_deg, shin_deg, lean_deg):
    share = down_and_up(fps)
    motion = crouched(
        body(len(share), fps=fps), share, thigh_deg=thigh_deg, shin_deg=shin_deg, lean_deg=lean_deg
    )
    low = posture(motion).height < Actions().sit_hip_height
    assert low.sum() > 4 * fps, "as low as on a chair"
    assert (label_actions(motion) == STAND).all()


def test_who_leans_forward_on_a_chair_stays_seated():
    share = down_and_up(30.0)
    motion = seated(body(len(share)), share)
    for side in ("Left", "Right"):  # the feet a little under the chair
        motion.rotations[:, motion.names.index(f"{side}Leg")] = rotations.about("x", share * np.radians(110))
    forward = np.zeros(len(share))
    forward[170:220] = 1.2  # the centre of mass is above the feet for a while
    motion.rotations[:, motion.names.index("Spine")] = rotations.about("x", forward)
    assert (posture(motion).beside[170:220] < 0.12).all() and (posture(motion).beside[150:165] > 0.12).all()
    labels = label_actions(motion)
    assert (labels[150:230] == SIT).all()


@pytest.mark.parametrize("knee_deg", [0.0, 100.0])
def test_on_the_floor_one_sits_whatever_the_legs_do(knee_deg):
    motion = body(120)
    index = motion.aliases()
    for side in ("Left", "Right"):
        motion.rotations[:, index[f"{side}UpLeg"]] = rotations.about(
            "x", np.full(120, -np.radians(90 + knee_deg / 2))
        )
        motion.rotations[:, index[f"{side}Leg"]] = rotations.about("x", np.full(120, np.radians(knee_deg)))
    assert (label_actions(motion) == SIT).all()


def test_distance_from_the_feet_is_that_of_their_hull():
    square = np.array([[0, 0, 0], [2, 9, 0], [0, 0, 2], [2, 0, 2]], float)[None]
    for point, distance in (([1, 5, 1], 0), ([3, 5, 1], 1), ([1, 5, -2], 2), ([2 + 3, 0, 2 + 4], 5)):
        assert beside(np.array([point], float), square)[0] == pytest.approx(distance, abs=0.02)


def test_a_skeleton_of_legs_alone_can_sit_and_stand():
    share = down_and_up(30.0)
    motion = seated(body(len(share)), share)
    legs = [j for j, name in enumerate(motion.names) if name not in ("Spine", "Neck", "Head")]
    parents = np.array([-1 if motion.parents[j] < 0 else legs.index(motion.parents[j]) for j in legs])
    bare = Motion(
        [motion.names[j] for j in legs],
        parents,
        motion.offsets_cm[legs],
        motion.fps,
        motion.positions_cm[:, legs],
        motion.rotations[:, legs],
        {},
        ["zxy"] * len(legs),
    )
    np.testing.assert_array_equal(label_actions(bare), label_actions(motion))


@pytest.mark.parametrize("fps", [24.0, 30.0, 120.0])
@pytest.mark.parametrize("scale", [0.6, 1.0])
def test_walk_and_stop(fps, scale):
    seconds = np.arange(int(9 * fps)) / fps
    moves = (seconds > 3) & (seconds < 6)
    labels = label_actions(stepping(body(len(seconds), fps=fps, scale=scale), moves))
    clear = np.abs(seconds[:, None] - [3, 6]).min(1) > 0.4
    np.testing.assert_array_equal(labels[clear], np.where(moves, WALK, STAND)[clear])


def test_a_glide_without_steps_is_no_walk():
    motion = body(300)
    motion.positions_cm[:, 0, 2] += np.linspace(0, 1000, 300)  # on a cart: both feet travel with the hips
    assert (label_actions(motion) == STAND).all()


def test_place_heading_and_prefix_do_not_matter():
    seconds = np.arange(300) / 30
    motion = stepping(body(300), (seconds > 3) & (seconds < 6))
    moved = replace(
        motion,
        names=[f"mixamorig:{name}" for name in motion.names],
        positions_cm=motion.positions_cm.copy(),
        rotations=motion.rotations.copy(),
    )
    turn = rotations.about("y", 2.0)
    moved.positions_cm[:, 0] = rotations.rotate(turn, motion.positions_cm[:, 0]) + [500, -130, 90]
    moved.rotations[:, 0] = rotations.multiply(turn, motion.rotations[:, 0])
    np.testing.assert_array_equal(label_actions(motion), label_actions(moved))


def test_one_frame():
    assert label_actions(body(1)).tolist() == [STAND]


def test_hysteresis_and_short_stretches():
    on, stay = np.array([0, 0, 1, 0, 0, 0, 0], bool), np.array([0, 1, 0, 1, 0, 1, 0], bool)
    assert hysteresis(on, stay).tolist() == [False, True, True, True, False, False, False]
    assert join_short(np.array([2, 2, 2, 1, 2, 2, 0, 0, 0, 0, 1]), 2).tolist() == [
        2,
        2,
        2,
        2,
        2,
        2,
        0,
        0,
        0,
        0,
        0,
    ]
    assert join_short(np.array([1, 2, 1, 2]), 99).tolist() in ([1] * 4, [2] * 4)


WALKS = {"cmu_01_01": [], "cmu_02_05": [], "cmu_02_10": [], "cmu_03_03": [(0, 1141)]}
"""Walking stretches of the real recordings, first frame and frame after the last at 30 fps.

They are set by eye from drawings of the bodies and curves of hips and feet: from the first heel that leaves
the floor for a step to the last foot that is planted.

cmu_03_03 walks from the recording's first frame (the right foot is in the air) to its last (it has left the
floor again) and never stops. cmu_02_05 boxes and cmu_02_10 washes, both on resting feet. cmu_01_01 jumps with
both feet, and turns half round twice, from 260 to 297 and from 489 to 520, each with three steps that move
the body by 0.3 and 0.5 legs: turning on the spot, which is standing.
"""


@pytest.mark.parametrize("name", WALKS)
@pytest.mark.parametrize("fps", [120, 60, 30])
def test_real_walks_begin_and_end_where_the_eye_saw_it(real_data, name, fps):
    motion = load_bvh(real_data / "bvh" / f"{name}.bvh", unit="in/0.45" if name == "cmu_01_01" else None)
    labels = label_actions(replace(motion.frames(slice(None, None, 120 // fps)), fps=float(fps)))
    found = stretches(labels == WALK) * 30 / fps
    assert len(found) == len(WALKS[name]) and not (labels == SIT).any()
    for ends, seen in zip(found, WALKS[name], strict=True):
        assert np.abs(ends - seen).max() <= 5


CLIMBER_WALKS = [(0, 80), (371, 440), (560, 606), (829, 913), (1093, 1128)]
"""Walking stretches of tests/recordings/cmu_01_03.bvh.

Set by eye as those above and before the labels were looked at.

0: in the air, the first foot; the T-pose of frame 0 counts to it. 80: the right foot is on its way to the
ladder's rung and the body stops. 371: the right foot leaves for the first step away from the ladder, 440: the
left foot closes below the bar. 560: after a turn on the spot the right foot leaves, 606: before the ladder
again, as at 80. 829: down again, the right foot leaves; 913: the left foot closes below the bar. Two small
steps back from 938 to 964 take a run-up on the bar: standing. 1093: the left foot leaves; the recording ends
in the walk.
"""


@pytest.mark.parametrize("rate", [1.0, 0.8, 1.25])
def test_real_walks_begin_and_end_between_climbing_and_swinging(rate):
    motion = load_bvh(Path(__file__).parents[2] / "recordings" / "cmu_01_03.bvh")
    labels = label_actions(replace(motion, fps=rate * motion.fps))
    found = stretches(labels == WALK)
    assert len(found) == len(CLIMBER_WALKS) and not (labels == SIT).any()
    assert np.abs(found - CLIMBER_WALKS).max() <= (5 if rate == 1 else 8)


@pytest.mark.parametrize(
    "slope, walks", [(0.0, True), (0.3, True), (0.6, True), (-0.6, True), (1.2, False), (-1.2, False)]
)
def test_stairs_are_walked_and_ladders_climbed(slope, walks):
    seconds = np.arange(300) / 30
    motion = stepping(body(300), (seconds > 3) & (seconds < 7))
    # this body takes its resting foot along upwards, so that a swing has half of the slope of the hips
    motion.positions_cm[:, 0, 1] += 2 * slope * (motion.positions_cm[:, 0, 2] - motion.positions_cm[0, 0, 2])
    assert (label_actions(motion)[120:180] == WALK).all() == walks and (
        label_actions(motion) == WALK
    ).any() == walks


def test_one_steep_step_is_none():
    flat, up = Step(0, 0, 10, 1.0, 0.1, 0.4), Step(1, 12, 22, 0.6, 0.3, 0.2)
    higher, ladder, later = (
        Step(0, 24, 34, 0.6, 0.3, 0.2),
        Step(0, 24, 34, 0.5, 0.5, 0.2),
        Step(0, 99, 109, 0.6, 0.3, 0.2),
    )
    down, shuffle = Step(0, 24, 34, 0.6, -0.3, 0.2), Step(0, 24, 34, 0.1, 0.0, 0.1)
    for second, kept in (
        (higher, [flat, up, higher]),
        (ladder, [flat]),
        (later, [flat]),
        (down, [flat]),
        (shuffle, [flat]),
    ):
        assert steps_over_ground([flat, up, second], 30.0, Actions()) == kept


def test_without_the_smallest_radius_a_real_turn_on_the_spot_is_a_walk(real_data):
    motion = load_bvh(real_data / "bvh" / "cmu_01_01.bvh", unit="in/0.45")
    found = stretches(label_actions(motion, Actions(walk_radius=0.0, walk_step=0.3)) == WALK) / 4
    assert len(found) == 2  # and nothing of the ten jumps
    assert np.abs(found - [(260, 297), (489, 520)]).max() <= 10


def test_command_line(tmp_path, capsys):
    paths = [tmp_path / f"{name}.bvh" for name in "ab"]
    save_bvh(paths[0], body(40))
    save_bvh(paths[1], seated(body(50), np.ones(50)))
    outs = [path.with_suffix(".npy") for path in paths]
    actions.main(["--bvh", *map(str, paths), "--out", *map(str, outs)])
    assert np.load(outs[0]).tolist() == [STAND] * 40 and np.load(outs[1]).tolist() == [SIT] * 50
    for argv, message in (
        (["--bvh", *map(str, paths), "--out", str(outs[0])], "2 BVH files and 1 outputs"),
        (["--bvh", str(paths[0]), "--out", str(outs[0]), "--walk-speed", "-1"], "--walk-speed"),
    ):
        with pytest.raises(SystemExit) as stop:
            actions.main(argv)
        assert stop.value.code == 2 and message in capsys.readouterr().err


def test_missing_joints_and_nan_are_named(tmp_path):
    motion = body(5)
    motion.names[motion.names.index("LeftToeBase")] = "Tail"
    save_bvh(tmp_path / "a.bvh", motion)
    with pytest.raises(InputError, match=r"a.bvh: skeleton: joints not found: LeftToeBase"):
        actions.run(bvh=[tmp_path / "a.bvh"], out=[tmp_path / "a.npy"], options=actions.Actions())
    motion = body(5)
    motion.positions_cm[3, 0] = np.nan
    with pytest.raises(InputError, match="1 frames with NaN, the first is 3"):
        label_actions(motion)
