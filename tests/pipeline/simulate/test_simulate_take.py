"""Whole takes: layout, clocks, truth, and the same bytes twice."""

import hashlib
import json
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline import config
from pipeline.files import read_tsv
from pipeline.formats import bvh
from pipeline.formats.arkit import NAMES
from pipeline.formats.timecode import parse_timecode
from pipeline.simulate import cast, plan, recording, take
from pipeline.simulate.script import Script

SHORT = config.Simulate(num_takes=2, seconds=6, num_vertices=400, drop_rate=0.05)
TAKE = "20240108_001"
NAMES_OF = ["20240108_001_001", "20240108_002_001"]


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def read_bwf(path: Path) -> tuple[np.ndarray, int]:
    """Samples in [-1, 1] and TimeReference of a 24-bit mono Broadcast Wave."""
    data, at, chunks = path.read_bytes(), 12, {}
    while at < len(data):
        name, size = data[at : at + 4], struct.unpack("<I", data[at + 4 : at + 8])[0]
        chunks[name] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert struct.unpack("<HHIIHH", chunks[b"fmt "]) == (1, 1, 48_000, 144_000, 3, 24)
    raw = np.frombuffer(chunks[b"data"], np.uint8).reshape(-1, 3).astype(np.int32)
    pcm = (raw[:, 0] << 8 | raw[:, 1] << 16 | raw[:, 2] << 24) >> 8
    return pcm / 2**23, struct.unpack("<Q", chunks[b"bext"][338:346])[0]


@pytest.fixture(scope="module")
def shoot(tmp_path_factory):
    pytest.importorskip("espeakng_loader", reason="simulated speech needs the extra `demo`")
    root = tmp_path_factory.mktemp("simulated")
    cast.run(out=root / "shoot", seed=3, options=SHORT)
    take.run(take=TAKE, out=root / "shoot", truth=root / "truth", seed=3, options=SHORT)
    return root


@pytest.fixture(scope="module")
def truth(shoot):
    return json.loads((shoot / "truth" / TAKE / "truth.json").read_text())


def test_same_bytes_twice(shoot, tmp_path):
    cast.run(out=tmp_path / "shoot", seed=3, options=SHORT)
    take.run(take=TAKE, out=tmp_path / "shoot", truth=tmp_path / "truth", seed=3, options=SHORT)
    assert hashes(tmp_path) == hashes(shoot)


def test_layout(shoot):
    folder = shoot / "shoot"
    wanted = {
        "takes.tsv",
        "actors.tsv",
        "lip_acc/lip_acc.tsv",
        *(f"rigs/{a}.npz" for a in ("001", "002", "003", "005")),
        f"{TAKE}/timecode.json",
    }
    wanted |= {f"{TAKE}/{name}{suffix}" for name in NAMES_OF for suffix in (".bvh", ".mesh.h5", ".wav")}
    assert set(hashes(folder)) == wanted
    columns, rows = read_tsv(folder / "takes.tsv")
    assert columns == plan.TAKE_COLUMNS and [row["take"] for row in rows] == [TAKE, "20240109_002"]
    apart = {
        f"{name}{suffix}"
        for name in NAMES_OF
        for suffix in (".arkit.npy", ".seconds.npy", ".wav", ".actions.npy", ".facing.npy")
    }
    assert set(hashes(shoot / "truth" / TAKE)) == apart | {"truth.json"}


def test_mesh_is_the_rig_times_the_truth(shoot):
    for name, actor in zip(NAMES_OF, ("001", "002"), strict=True):
        with (
            np.load(shoot / "shoot" / "rigs" / f"{actor}.npz", allow_pickle=False) as rig,
            h5py.File(shoot / "shoot" / TAKE / f"{name}.mesh.h5") as f,
        ):
            weights = np.load(shoot / "truth" / TAKE / f"{name}.arkit.npy")
            assert rig["names"].tolist() == list(NAMES) and rig["deltas"].shape[0] == weights.shape[1] == 51
            assert weights.dtype == np.float32 and weights.min() >= 0 and weights.max() <= 1
            error = f["vertices"][()] - rig["neutral"] - np.einsum("nk,kvc->nvc", weights, rig["deltas"])
            assert abs(error.std() / SHORT.mesh_noise_cm - 1) < 0.02
            assert (
                f["vertices"].dtype == np.float32
                and f.attrs["timecode_rate"] == 60
                and f.attrs["units"] == "cm"
            )


def test_phonemes_follow_each_other_once(truth):
    for actor in ("001", "002"):
        phonemes, words = truth["phonemes"][actor], truth["words"][actor]
        assert [p["word"] for p in phonemes] == sorted(p["word"] for p in phonemes) and phonemes[-1][
            "word"
        ] == len(words) - 1
        assert all(a["end"] <= b["end"] and a["start"] < b["start"] for a, b in zip(phonemes, phonemes[1:]))


def test_clocks_agree_with_the_truth(shoot, truth):
    codes = json.loads((shoot / "shoot" / TAKE / "timecode.json").read_text())
    starts, stops = [], []
    for name, actor in zip(NAMES_OF, ("001", "002"), strict=True):
        start = truth["start"][actor]
        assert codes["body"][actor]["rate"] == 120
        assert abs(parse_timecode(codes["body"][actor]["start"], 120) - start["body"]) < 1e-6
        frames, fps = bvh.read_header(shoot / "shoot" / TAKE / f"{name}.bvh")
        motion = bvh.load_bvh(shoot / "shoot" / TAKE / f"{name}.bvh")
        assert motion.fps == fps == 120 and frames == motion.num_frames
        seconds = np.load(shoot / "truth" / TAKE / f"{name}.seconds.npy")
        with h5py.File(shoot / "shoot" / TAKE / f"{name}.mesh.h5") as f:
            stamped = [parse_timecode(code.decode(), 60) for code in f["timecode"][()]]
        assert np.abs(np.array(stamped) - seconds).max() < 1e-3 and abs(seconds[0] - start["face"]) < 1e-6
        steps = np.diff(seconds) * 60
        assert (
            np.abs(steps - steps.round()).max() < 1e-2 and steps.max() > 1.5 and np.diff(seconds).max() < 0.1
        )
        samples, reference = read_bwf(shoot / "shoot" / TAKE / f"{name}.wav")
        assert reference / 48_000 == pytest.approx(start["audio"], abs=1e-9)
        starts += [start["body"], seconds[0], start["audio"]]
        stops += [
            start["body"] + (motion.num_frames - 1) / 120,
            seconds[-1],
            start["audio"] + (len(samples) - 1) / 48_000,
        ]
    assert truth["window"] == pytest.approx([max(starts), min(stops)], abs=1e-6)
    assert abs(truth["window"][1] - truth["window"][0] - SHORT.seconds) < 0.6
    assert np.ptp(starts) > 0.1 and all(t >= max(starts) - 1.5 for t in starts)


def test_voices_are_where_the_words_are(shoot, truth):
    low, high = truth["window"]
    own, level = {}, {}
    for name, actor in zip(NAMES_OF, ("001", "002"), strict=True):
        mic, reference = read_bwf(shoot / "shoot" / TAKE / f"{name}.wav")
        clean, same = read_bwf(shoot / "truth" / TAKE / f"{name}.wav")
        assert reference == same and len(mic) == len(clean) and 0.6 < np.abs(mic).max() < 0.8
        spoken = np.zeros(len(clean), bool)
        for sentence in truth["said"][actor]:
            assert low <= sentence["start"] < sentence["end"] <= high
            a, b = (
                round((sentence[key] - truth["start"][actor]["audio"]) * 48_000) for key in ("start", "end")
            )
            spoken[max(a - 2400, 0) : b + 4800] = (
                True  # a sound begins a little before its first phoneme is named
            )
        assert np.all(clean[~spoken] == 0)
        assert [w["word"] for w in truth["words"][actor]] == [
            w for s in truth["said"][actor] for w in s["text"].rstrip(".?").replace(",", "").split()
        ]
        own[actor], level[actor] = (clean, mic - clean), np.sqrt(np.mean(clean[spoken] ** 2))
    for clean, rest in own.values():
        if np.any(rest):
            leak = 20 * np.log10(np.sqrt(np.mean(rest**2)) / np.sqrt(np.mean(clean**2)))
            assert -40 < leak < -8


def test_labels_cover_the_window(shoot, truth):
    low, high = truth["window"]
    for name in NAMES_OF:
        actions, facing = (
            np.load(shoot / "truth" / TAKE / f"{name}.{kind}.npy") for kind in ("actions", "facing")
        )
        assert (
            len(actions) == len(facing) == int((high - low) * 30) + 1
            and actions.dtype == facing.dtype == np.uint8
        )
        assert set(actions) <= {0, 1, 2} and set(facing) <= {0, 1}


def test_facing_follows_the_heads():
    from pipeline.simulate.figure import Figure
    from pipeline.simulate.motion import animate, plan_manner

    rng = np.random.default_rng(0)
    scripts = [
        Script(np.array([0.0, -100.0]), 0.0, False),
        Script(np.array([0.0, 100.0]), 0.0, False),
    ]  # the second looks away
    motions = []
    for k in range(2):
        manner = plan_manner([], [], 5.0, 7.0, rng)
        motions.append(animate(Figure("001"), scripts[k], scripts[1 - k], manner, 5.0, 240))
    seen = take.facing(motions, [5.0, 5.0], np.linspace(5, 6.9, 40))
    assert seen[0].all() and not seen[1].any()


def test_drops_are_never_long():
    kept = recording.kept_frames(20_000, 0.1, np.random.default_rng(0))
    lost = 20_000 - len(kept)
    assert (
        kept[0] == 0 and kept[-1] == 19_999 and np.diff(kept).max() <= 5 and abs(lost / 20_000 - 0.1) < 0.01
    )
    assert len(recording.kept_frames(100, 0.0, np.random.default_rng(0))) == 100
    assert np.diff(recording.kept_frames(5000, 0.9, np.random.default_rng(0))).max() == 5


def test_convolution_in_blocks_is_convolution():
    rng = np.random.default_rng(0)
    x, h = rng.standard_normal(5000), rng.standard_normal(300)
    assert np.allclose(recording.convolve(x, h, size=1024), np.convolve(x, h)[:5000], atol=1e-4)
    assert np.linalg.norm(recording.room(200.0, rng)) == pytest.approx(1)


def test_another_seed_is_another_take(tmp_path, shoot):
    take.run(take=TAKE, out=tmp_path / "shoot", truth=tmp_path / "truth", seed=4, options=SHORT)
    old, new = hashes(shoot / "shoot"), hashes(tmp_path / "shoot")
    assert all(old[name] != digest for name, digest in new.items())


def test_command_line_names_the_takes_there_are(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        take.main(["--take", "20240108_999", "--out", str(tmp_path), "--truth", str(tmp_path)])
    assert error.value.code == 2 and "20240108_999" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
