import numpy as np
import pytest
from helpers.commands import refused
from helpers.pictures import height_of
from helpers.tiny_shoot import ACTORS

from pipeline.files import write_json
from pipeline.reading import read_json
from pipeline.report import take

TAKE = "20260101_001"
NAMES = [f"20260101_{actor}_001" for actor in ACTORS]


@pytest.fixture
def labels(captured, tmp_path):
    """Arguments of `take` with made-up labels and words."""
    num_frames = read_json(captured / "dataset" / "dataset.json")["takes"][TAKE]["frames"]
    for k, name in enumerate(NAMES):
        np.save(tmp_path / f"{name}.action.npy", (np.arange(num_frames) // 20 % 3).astype(np.uint8))
        np.save(tmp_path / f"{name}.facing.npy", (np.arange(num_frames) % 50 > 20 + k).astype(np.uint8))
        write_json(
            tmp_path / f"{name}.json",
            {"words": [{"word": " $5 héllo", "start": 0.1, "end": 0.4, "confidence": 0.5}]},
        )
    arguments = []
    for flag, suffix in (("--actions", "action.npy"), ("--facing", "facing.npy"), ("--transcripts", "json")):
        arguments += [flag, *(tmp_path / f"{name}.{suffix}" for name in NAMES)]
    return [*arguments, "--out", tmp_path / "out" / f"{TAKE}.png"]


@pytest.fixture
def streams(captured, shoot):
    """Further arguments of `take` for a take that was captured here."""
    microphones = [shoot.folder / TAKE / f"{name}.wav" for name in NAMES]
    voices = [captured / "dataset" / "wav" / f"{name}.wav" for name in NAMES]
    return [
        "--sync",
        captured / "annotations" / "sync" / f"{TAKE}.json",
        "--microphones",
        *microphones,
        "--voices",
        *voices,
    ]


def call(arguments) -> None:
    take.main([str(argument) for argument in arguments])


def test_a_captured_take_has_more_panels_than_a_download_and_bytes_repeat(labels, streams):
    out = labels[-1]
    call(labels)
    lower = height_of(out)
    call([*labels, *streams])
    first = out.read_bytes()
    call([*labels, *streams])
    assert out.read_bytes() == first and height_of(out) > 1.6 * lower > 300


def test_half_of_the_capture_is_refused(labels, streams, capsys):
    refused(
        take.main,
        [*labels, *streams[:2]],
        capsys,
        "1 --sync, 0 --microphones, 0 --voices",
        "need 1, 2 and 2",
        outputs=[labels[-1]],
    )
    refused(
        take.main,
        [*labels, *streams[:-2], "a.wav", "b.wav"],
        capsys,
        "a.wav: not a readable WAV",
        outputs=[labels[-1]],
    )


def test_stretches_cover_all_frames_once():
    labels = np.repeat([0, 2, 1, 0], [3, 1, 5, 2]).astype(np.uint8)
    assert take.stretches(labels) == [(0, 3, 0), (3, 4, 2), (4, 9, 1), (9, 11, 0)]
    assert take.stretches(labels[:0]) == [] and take.stretches(labels[:1]) == [(0, 1, 0)]


def test_the_busiest_stretch_and_the_envelope():
    x = np.zeros(1000, np.float32)
    x[600:650] = 1
    start = take.busiest(x, 100)
    assert start <= 600 and start + 100 >= 650 and take.busiest(x, 2000) == 0
    rng = np.random.default_rng(0)
    noise = rng.normal(size=1001).astype(np.float32)
    low, high = take.envelope(noise, 10)
    assert len(low) == 10 and low.min() == noise.min() and high.max() == noise.max() and (low <= high).all()
    assert len(take.envelope(noise[:4], 10)[0]) == 4
    assert np.allclose(take.signed_square(take.signed_root(noise)), noise, atol=1e-6)
