from dataclasses import replace

import numpy as np
import pytest
from tiny_dataset import body

from pipeline import actions, rotations
from pipeline.actions import SIT, STAND, WALK, hysteresis, join_short, label_actions
from pipeline.bvh import Motion, load_bvh, save_bvh
from pipeline.errors import InputError


def seated(motion: Motion, share: np.ndarray) -> Motion:
    """The body going down onto a chair: share (T,) 0 standing, 1 seated with thighs level and shins upright."""
    index = motion.aliases()
    for side in ("Left", "Right"):
        motion.rotations[:, index[f"{side}UpLeg"]] = rotations.about("x", -share * np.pi / 2)
        motion.rotations[:, index[f"{side}Leg"]] = rotations.about("x", share * np.pi / 2)
    thigh = -motion.offsets_cm[index["LeftLeg"], 1]
    motion.positions_cm[:, 0, 1] -= thigh * (1 - np.cos(share * np.pi / 2))
    return motion


def stepping(motion: Motion, moves: np.ndarray, *, both_feet: bool = False) -> Motion:
    """The body travelling along z at 1.2 m/s where `moves`, each leg swinging while the other rests, or hopping."""
    fps, index = motion.fps, motion.aliases()
    way = 120.0 * np.cumsum(moves) / fps
    motion.positions_cm[:, 0, 2] += way
    leg = motion.positions_cm[0, 0, 1] - 7
    for k, side in enumerate(("Left", "Right")):
        phase = way / 60.0 + (0.0 if both_feet else 0.5 * k)  # a foot rests for half of its 60 cm, then swings
        ahead = 15.0 - 60.0 * (phase % 1) * ((phase % 1) < 0.5) - (15.0 if both_feet else 0.0)
        swing = (phase % 1) >= 0.5
        ahead = np.where(swing, -15.0 + 60.0 * ((phase % 1) - 0.5), ahead)
        motion.rotations[:, index[f"{side}UpLeg"]] = rotations.about("x", -np.arcsin(np.clip(ahead / leg, -0.5, 0.5)) * moves.astype(float))
    return motion


@pytest.mark.parametrize("fps", [10.0, 24.0, 30.0, 60.0, 120.0])
def test_sit_down_and_get_up(fps):
    seconds = np.arange(int(12 * fps)) / fps
    share = np.clip((seconds - 3) / 1.5, 0, 1) - np.clip((seconds - 8) / 1.5, 0, 1)
    labels = label_actions(seated(body(len(seconds), fps=fps), share))
    assert labels.dtype == np.uint8 and labels.shape == seconds.shape
    clear = np.abs(seconds[:, None] - [3.75, 8.75]).min(1) > 1.0
    np.testing.assert_array_equal(labels[clear], np.where(share > 0.5, SIT, STAND)[clear])


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
        motion, names=[f"mixamorig:{name}" for name in motion.names], positions_cm=motion.positions_cm.copy(), rotations=motion.rotations.copy()
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
    assert join_short(np.array([2, 2, 2, 1, 2, 2, 0, 0, 0, 0, 1]), 2).tolist() == [2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0]
    assert join_short(np.array([1, 2, 1, 2]), 99).tolist() in ([1] * 4, [2] * 4)


@pytest.mark.parametrize(
    "name, label, first, last", [("cmu_03_03", WALK, 0.35, 15.0), ("cmu_02_10", STAND, 0.0, 22.0), ("cmu_02_05", STAND, 0.0, 15.4)]
)
@pytest.mark.parametrize("fps", [120, 30])
def test_real_bodies(real_data, name, label, first, last, fps):
    motion = load_bvh(real_data / "bvh" / f"{name}.bvh")
    motion = replace(motion.frames(slice(None, None, 120 // fps)), fps=float(fps))
    labels = label_actions(motion)[round(first * fps) : round(last * fps)]
    assert np.mean(labels == label) >= 0.95


def test_real_jumps_are_no_walk(real_data):
    labels = label_actions(load_bvh(real_data / "bvh" / "cmu_01_01.bvh", unit="in/0.45"))
    assert np.mean(labels == STAND) > 0.8 and not (labels == SIT).any()


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
