"""The lips network is trained on a shoot and separates its takes, without a hand but the command's."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.commands import refused

from pipeline.capture import separation, train_separation
from pipeline.files import write_json
from pipeline.planning.code import code
from pipeline.planning.study import Study
from pipeline.reading import read_json

TINY = ["--steps", "2", "--batch-size", "1", "--width", "4", "--widest", "4", "--lip-width", "4"]
REPOSITORY = Path(__file__).resolve().parents[3]
NAMES = ["20260101_001_001", "20260101_002_001"]


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    """A take of 8 s: two microphones, fitted faces and the sync JSON."""
    folder = tmp_path_factory.mktemp("take")
    rng, size = np.random.default_rng(0), 8 * 48_000
    times = np.arange(size) / 48_000
    voices = [rng.normal(0, 0.05, size) * ((times + 1.8 * k) % 4 < 2) for k in range(2)]
    for k, name in enumerate(NAMES):
        soundfile.write(
            folder / f"{name}.wav",
            voices[k] + 0.1 * np.roll(voices[1 - k], 200) + rng.normal(0, 1e-4, size),
            48_000,
            subtype="PCM_24",
        )
        np.save(folder / f"{name}.npy", rng.uniform(0, 0.5, (240, 51)).astype(np.float32))
    stream = {"start": 100.0, "end": 108.0}
    performances = [
        {
            "actor": actor,
            "body": stream | {"rate": 120},
            "face": stream | {"rate": 60},
            "audio": stream | {"rate": 48_000.0, "channel": 1},
        }
        for actor in ("001", "002")
    ]
    write_json(
        folder / "sync.json",
        {
            "take": "20260101_001",
            "start_seconds": 100.0,
            "frames": 240,
            "fps": 30,
            "performances": performances,
        },
    )
    return folder


def files(take, suffix):
    return [take / f"{name}{suffix}" for name in NAMES]


@pytest.fixture(scope="module")
def weights(take):
    arguments = [
        "--wav",
        *files(take, ".wav"),
        "--face",
        *files(take, ".npy"),
        "--sync",
        take / "sync.json",
        "--out",
        take / "run",
        *TINY,
    ]
    train_separation.main([str(a) for a in arguments])
    return take / "run" / "model.safetensors"


def separated(take, out, *more):
    arguments = ["--wav", *files(take, ".wav"), "--sync", take / "sync.json", "--performance", *NAMES]
    return [
        *arguments,
        "--out",
        *(out / f"{n}.wav" for n in NAMES),
        "--out-report",
        *(out / f"{n}.json" for n in NAMES),
        *more,
    ]


def test_a_trained_network_separates_the_take_and_says_so(take, weights, tmp_path):
    arguments = separated(
        take, tmp_path, "--method", "lips", "--weights", weights, "--face", *files(take, ".npy")
    )
    separation.main([str(a) for a in arguments])
    first = [(tmp_path / f"{n}.wav").read_bytes() for n in NAMES]
    assert all(
        read_json(tmp_path / f"{n}.json")["method"] == "lips"
        and read_json(tmp_path / f"{n}.json")["removed_db"] < -5
        for n in NAMES
    )
    separation.main([str(a) for a in arguments])
    assert [(tmp_path / f"{n}.wav").read_bytes() for n in NAMES] == first


def test_what_a_method_needs_to_see_is_named_where_it_is_missing(take, weights, tmp_path, capsys):
    out = tmp_path / "out"
    refused(
        separation.main,
        separated(take, out, "--method", "lips"),
        capsys,
        "--method lips needs --weights",
        outputs=[out],
    )
    refused(
        separation.main,
        separated(take, out, "--method", "lips", "--weights", weights),
        capsys,
        "0 --face, method lips needs",
        outputs=[out],
    )
    absent = ["--method", "lips", "--weights", tmp_path / "no.safetensors", "--face", *files(take, ".npy")]
    refused(
        separation.main,
        separated(take, out, *absent),
        capsys,
        "no.safetensors",
        "snakemake train_separation",
        outputs=[out],
    )
    refused(
        separation.main,
        separated(take, out, "--method", "visualvoice"),
        capsys,
        "--method visualvoice needs --checkpoints",
        outputs=[out],
    )
    seen = [
        "--method",
        "visualvoice",
        "--checkpoints",
        tmp_path,
        "--mouth",
        "a.npz",
        "b.npz",
        "--picture",
        "a.npy",
        "b.npy",
    ]
    refused(
        separation.main,
        separated(take, out, *seen),
        capsys,
        "lacks lipreading_best.safetensors",
        "facial_best.pth",
        outputs=[out],
    )


def test_faces_of_another_length_are_refused(take, tmp_path, capsys):
    np.save(tmp_path / "short.npy", np.zeros((239, 51), np.float32))
    arguments = [
        "--wav",
        *files(take, ".wav"),
        "--face",
        tmp_path / "short.npy",
        files(take, ".npy")[1],
        "--sync",
        take / "sync.json",
    ]
    refused(
        train_separation.main,
        [*arguments, "--out", tmp_path / "run", *TINY],
        capsys,
        "short.npy: face weights (239, 51), need",
        outputs=[],
    )


def test_only_a_method_that_sees_faces_depends_on_networks():
    lips, mask = (Study({"root": "data", "separation": {"method": method}}) for method in ("lips", "mask"))
    assert {
        "data/runs/separation/model.safetensors",
        "data/runs/separation/model.json",
        "models/speech/unet.py",
    } <= set(lips.separation_files)
    assert lips.config.separation.weights == "data/runs/separation/model.safetensors"
    named = Study({"separation": {"method": "lips", "weights": "mine/model.safetensors"}})
    assert "mine/model.safetensors" in named.separation_files
    assert mask.separation_files == [] and mask.config.separation.weights is None
    assert not any(name.startswith("models/") for name in code("pipeline.capture.separation"))
    where = type("Wildcards", (), {"performance": next(iter(lips.performances))})
    assert (
        len(lips.seen("lips", "{performance}.npy")(where)) == 2
        and mask.seen("lips", "{performance}.npy")(where) == []
    )


def test_the_mask_separates_without_torch(take, tmp_path):
    arguments = [str(a) for a in separated(take, tmp_path)]
    program = (
        f"import sys; from pipeline.capture import separation; separation.main({arguments!r});"
        " sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False).returncode == 0
