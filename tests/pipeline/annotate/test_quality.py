import json

import numpy as np
import pytest
import soundfile
from helpers.talks import talk
from helpers.tiny_dataset import make_tiny, quality_arguments

from pipeline.annotate import quality
from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats.bvh import load_bvh, save_bvh

NAMES = ["20260101_001_001", "20260101_002_001"]


@pytest.fixture
def take(tmp_path):
    """The arguments of `run` for one clean take without reports."""
    return quality_arguments(tmp_path, 60)


def result(take) -> dict:
    quality.run(**take)
    return json.loads(take["out"].read_text())


def report(tmp_path, kind: str, name: str, **values):
    path = tmp_path / kind / f"{name}.json"
    write_json(path, values)
    return path


def test_a_clean_take_is_good(take, tmp_path):
    take["parts"] = [
        report(
            tmp_path,
            "sync",
            "20260101_001",
            frames=60,
            performances=[{"actor": "001", "face": {"dropped": 1, "frames": 400, "rate": 60.002}}],
        ),
        report(tmp_path, "body", NAMES[0], nan_rows_interpolated=0),
        report(tmp_path, "fit", NAMES[0], nan_frames_interpolated=0, residual_rms_cm=0.01),
        report(tmp_path, "separation", NAMES[0], clipped_samples=0, samples=96_000, leak_after_db=-31.0),
    ]
    found = result(take)
    assert found["verdict"] == "good" and found["reasons"] == [] and found["take"] == "20260101_001"
    assert (
        found["performances"][NAMES[1]]["frames"] == 60
        and found["parts"]["fit"][NAMES[0]]["residual_rms_cm"] == 0.01
    )


def test_warnings_of_the_stages_are_named_once(take, tmp_path):
    take["parts"] = [
        report(tmp_path, "sync", "20260101_001", frames=60, warnings=["001: x.wav was cut off"]),
        report(
            tmp_path,
            "body",
            NAMES[0],
            nan_rows_interpolated=9,
            warnings=[f"{NAMES[0]}: 9 body frames with NaN were interpolated"],
        ),
        report(tmp_path, "release_in", NAMES[1], warnings=["trimmed to 60 frames: face by 1"]),
    ]
    found = result(take)
    assert found["verdict"] == "check"
    assert found["reasons"] == [
        f"{NAMES[0]}: 9 body frames with NaN were interpolated",
        "20260101_001: 001: x.wav was cut off",
        f"{NAMES[1]}: trimmed to 60 frames: face by 1",
    ]


@pytest.mark.parametrize(
    "kind, values, reason",
    [
        (
            "sync",
            {"performances": [{"actor": "001", "face": {"dropped": 30, "frames": 400}}]},
            "dropped 30 of 430 frames",
        ),
        (
            "sync",
            {"performances": [{"actor": "001", "face": {"rate": 59.9}}]},
            "59.900 fps, its clock drifts",
        ),
        ("body", {"nan_rows_interpolated": 9}, "9 body frames with NaN were interpolated"),
        ("fit", {"residual_rms_cm": 0.5}, "fit the mesh to 0.500 cm only"),
        (
            "separation",
            {"clipped_samples": 500, "samples": 96_000},
            "x: the microphone is clipped in 500 samples",
        ),
        (
            "separation",
            {"clipped_samples": 0, "samples": 96_000, "leak_after_db": -9.0},
            "heard in the voice, 9 dB below",
        ),
    ],
)
def test_reports_that_need_a_look(take, tmp_path, kind, values, reason):
    take["parts"] = [report(tmp_path, kind, "x", **values)]
    found = result(take)
    assert found["verdict"] == "check" and reason in found["reasons"][0]


def _jump(take):
    motion = load_bvh(take["bvh"][0])
    motion.positions_cm[30:, 0, 0] += 40
    save_bvh(take["bvh"][0], motion)


def _weights(edit):
    def change(take):
        weights = np.load(take["face"][0])
        edit(weights)
        np.save(take["face"][0], weights)

    return change


def _sound(make):
    def change(take):
        soundfile.write(
            take["wav"][0], make(np.random.default_rng(0).normal(0, 0.1, 96_000)), 48_000, subtype="PCM_24"
        )

    return change


@pytest.mark.parametrize(
    "damage, reason",
    [
        (_jump, "hips jump"),
        (_weights(lambda w: w.__setitem__((3, 4), 2.5)), "reach from 0.00 to 2.50"),
        (_weights(lambda w: w.__setitem__(slice(None), 0.3)), "the face is frozen for 2.00 s at 0.00 s"),
        (
            _weights(lambda w: w.__setitem__(slice(None), 0.3 + 1e-4 * np.arange(60)[:, None] % 2e-4)),
            "the face never moves",
        ),
        (_sound(lambda x: 0 * x), "the voice is silent"),
        (_sound(lambda x: np.clip(20 * x, -1, 1)), "samples are clipped"),
        (_sound(lambda x: x[:-480]), "-480 samples off"),
    ],
)
def test_files_that_need_a_look(take, damage, reason):
    damage(take)
    found = result(take)
    assert found["verdict"] == "check" and any(reason in line for line in found["reasons"])


@pytest.mark.parametrize("off", [0, 480])
def test_who_speaks_when_is_found_in_the_take_s_own_voices(tmp_path, off):
    made = make_tiny(tmp_path, {"20260101_001": 360})
    files = {
        kind: [made.dataset / folder / f"{n}.{kind}" for n in NAMES]
        for kind, folder in (("bvh", "bvhs"), ("wav", "wav"))
    }
    for k, x in enumerate(talk(3, 30.0)[1]):
        soundfile.write(files["wav"][k], x[: 12 * 48_000 - k * off], 48_000, subtype="PCM_24")
    quality.run(
        **files,
        face=[made.dataset / "face_arkit" / f"{n}.npy" for n in NAMES],
        parts=[],
        out=tmp_path / "20260101_001.json",
    )
    found = json.loads((tmp_path / "20260101_001.json").read_text())
    first, second = (found["performances"][name] for name in NAMES)
    assert np.allclose(first["speech"], [[0.51, 3.10], [8.07, 10.43]], atol=0.05)
    assert (
        first["speech_share"] == pytest.approx((2.59 + 2.36) / 12, abs=0.01)
        and 0.2 < second["speech_share"] < 0.6
    )
    assert (
        found["talk"]["turns"] == 4
        and found["talk"]["overlap_share"] < 0.05
        and found["talk"]["gap_seconds_median"] < 2
    )


def _short(take):
    for k in range(2):
        save_bvh(take["bvh"][k], load_bvh(take["bvh"][k]).frames(slice(0, 59 if k else 60)))
    np.save(take["face"][1], np.load(take["face"][1])[:59])


@pytest.mark.parametrize(
    "damage, message",
    [
        (_weights(lambda w: w.__setitem__((3, 4), np.nan)), "NaN in 1 frames, the first is 3"),
        (lambda take: np.save(take["face"][1], np.zeros((60, 55))), r"got shape \(60, 55\), need \(60, 51\)"),
        (lambda take: take["face"][1].write_text("x"), "not a readable .npy"),
        (_sound(lambda x: x[:48_000]), "got 48000 samples, need 96000"),
        (_short, "got 59 frames, need 60"),
    ],
)
def test_files_that_do_not_belong_together(take, damage, message):
    damage(take)
    with pytest.raises(InputError, match=message):
        quality.run(**take)
    assert not take["out"].exists()


def test_reports_of_another_run_are_refused(take, tmp_path):
    take["parts"] = [report(tmp_path, "sync", "20260101_001", frames=61)]
    with pytest.raises(InputError, match="sync report 20260101_001 says 61"):
        quality.run(**take)


def test_command_line(take):
    flags = [part for kind in ("bvh", "face", "wav") for part in (f"--{kind}", *map(str, take[kind]))]
    quality.main([*flags, "--parts", "--out", str(take["out"])])
    assert json.loads(take["out"].read_text())["verdict"] == "good"
