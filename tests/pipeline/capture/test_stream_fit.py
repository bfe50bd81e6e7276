import h5py
import numpy as np
from helpers.commands import refused
from helpers.tiny_shoot import write_mesh

from pipeline import config
from pipeline.capture import blendshapes
from pipeline.formats import arkit
from pipeline.formats.timecode import parse_timecode
from pipeline.reading import read_json

NAME = "20260101_001_001"


def test_block_size_and_run_do_not_change_the_bytes(work):
    _, arguments, (out, _) = work
    written = []
    for size in ("64", "64", "5"):
        blendshapes.main([str(a) for a in [*arguments, "--block-frames", size]])
        written.append(np.load(out))
    assert np.array_equal(written[0], written[1]) and np.abs(written[0] - written[2]).max() < 1e-6


def test_bounded_weights_stay_in_their_bounds_on_the_datasets_clock(work):
    path, arguments, (out, report) = work
    with h5py.File(path, "r") as f:
        vertices, codes, attrs = (
            f["vertices"][()],
            [code.decode() for code in f["timecode"][()]],
            dict(f.attrs),
        )
    neutral = np.load(arguments[3])["neutral"] / (100 if attrs["units"] == "m" else 1)
    write_mesh(
        path, neutral + 3 * (vertices - neutral), codes, units=attrs["units"]
    )  # a face that exaggerates
    blendshapes.main([str(a) for a in arguments])
    assert np.load(out).max() > 1
    blendshapes.main([str(a) for a in [*arguments, "--method", "bounded", "--temporal", "0.001"]])
    weights = np.load(out)
    assert weights.min() == 0 and weights.max() == 1 and read_json(report)["method"] == "bounded"


def test_the_temporal_term_calms_noise_and_its_residual_is_told(work):
    _, arguments, (out, report) = work
    blendshapes.main([str(a) for a in arguments])
    plain, plain_residual = np.load(out), read_json(report)["residual_rms_cm"]
    blendshapes.main([str(a) for a in [*arguments, "--temporal", "1"]])
    assert np.abs(np.diff(np.load(out), axis=0)).sum() < np.abs(np.diff(plain, axis=0)).sum()
    assert read_json(report)["residual_rms_cm"] > plain_residual


def test_regions_of_the_config_are_checked(work, capsys):
    _, arguments, outputs = work
    refused(
        blendshapes.main,
        [*arguments, "--region-weights", '{"lip": 4}'],
        capsys,
        "region_weights lip: 4.0, need numbers",
        outputs=outputs,
    )


def test_a_moving_head_is_brought_to_rest_and_its_pose_kept(work, shoot, captured, tmp_path):
    """The head of a rig with a still back turns and moves.

    Weights are those of a head at rest, and the pose is where it was.
    """
    from scipy.spatial.transform import Rotation

    _, arguments, (out, report) = work
    rng = np.random.default_rng(0)
    neutral, deltas = rng.normal(0, 8, (160, 3)), rng.normal(0, 0.5, (51, 160, 3))
    deltas[:, 100:] = 0
    rig, path = tmp_path / "rig.npz", tmp_path / f"{NAME}.mesh.h5"
    np.savez(
        rig, neutral=neutral, names=np.array(arkit.NAMES), deltas=deltas, faces=np.arange(160).reshape(-1, 4)
    )
    with h5py.File(arguments[1], "r") as f:
        codes, rate = [code.decode() for code in f["timecode"][()]], f.attrs["timecode_rate"]
    truth = shoot.truth[NAME]
    seconds = np.array([parse_timecode(code, rate) for code in codes])
    angle = np.deg2rad(20) * np.sin(seconds - seconds[0])
    turns = Rotation.from_rotvec(angle[:, None] * [0, 1, 0])
    moved = neutral + np.tensordot(truth.weights_at(seconds), deltas, 1)
    moved = moved @ turns.as_matrix().transpose(0, 2, 1) + np.sin(seconds - seconds[0])[:, None, None] * [
        5,
        0,
        0,
    ]
    write_mesh(path, moved, codes, units="cm")
    pose = tmp_path / "pose.npy"
    blendshapes.main([str(a) for a in ["--face", path, "--rig", rig, *arguments[4:], "--out-pose", pose]])
    about = read_json(arguments[5])
    times = about["start_seconds"] + np.arange(about["frames"]) / 30
    assert np.abs(np.load(out) - truth.weights_at(times)).max() < 1e-3
    found = np.load(pose)
    expected = Rotation.from_rotvec(np.deg2rad(20) * np.sin(times - seconds[0])[:, None] * [0, 1, 0])
    assert (
        found.shape == (about["frames"], 7)
        and np.abs(found[:, 0] - 5 * np.sin(times - seconds[0])).max() < 0.01
    )
    assert (Rotation.from_quat(found[:, 3:]) * expected.inv()).magnitude().max() < 0.002
    assert read_json(report)["stabilised"] == "rigid" and read_json(report)["head_moved_cm"] > 3


def test_lsqr_on_the_command_line(work):
    _, arguments, (out, report) = work
    blendshapes.main([str(a) for a in arguments])
    normal = np.load(out)
    blendshapes.main([str(a) for a in [*arguments, "--method", "lsqr"]])
    assert np.abs(np.load(out) - normal).max() < 1e-5 and read_json(report)["method"] == "lsqr"


def test_dependent_shapes_are_told(work, caplog, tmp_path):
    _, arguments, (out, _) = work
    with np.load(arguments[3]) as z:
        given = dict(z)
    given["deltas"][5] = given["deltas"][4]
    np.savez(tmp_path / "twin.npz", **given)
    with caplog.at_level("WARNING"):
        blendshapes.run(
            face=arguments[1],
            rig=tmp_path / "twin.npz",
            sync=arguments[5],
            performance=NAME,
            out=out,
            out_report=tmp_path / "r.json",
            options=config.Blendshapes(),
        )
    assert "rank 50 of 51" in caplog.text
