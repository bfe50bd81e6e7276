"""Fixtures of the pipeline's tests."""

from pathlib import Path

import pytest
from helpers.tiny_dataset import Tiny, make_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Tiny:
    """Three takes with their features, made once; tests copy what they change."""
    from pipeline.config import Features, Text
    from pipeline.shards import features, text

    made = make_tiny(
        tmp_path_factory.mktemp("tiny"), {"20260101_001": 61, "20260101_002": 40, "20260102_001": 50}
    )
    spoken: list[Path] = []
    for take in made.takes:
        date, scenario = take.split("_")
        names = [f"{date}_{actor}_{scenario}" for actor in ("001", "002")]
        bvh, wav = (
            [made.dataset / folder / f"{n}.{suffix}" for n in names]
            for folder, suffix in (("bvhs", "bvh"), ("wav", "wav"))
        )
        features.run(bvh=bvh, wav=wav, out=made.features / f"{take}.h5", options=Features(num_mels=16))
        spoken += [made.annotations / "transcripts" / f"{n}.json" for n in names]
    text.run(transcripts=spoken, takes=list(made.takes), out=made.text, options=Text())
    return made


@pytest.fixture(scope="session")
def shoot(tmp_path_factory):
    """A tiny shoot (tiny_shoot.make_shoot), read only: its folder, and the truth by performance."""
    from types import SimpleNamespace

    from helpers.tiny_shoot import make_shoot

    folder = tmp_path_factory.mktemp("shoot")
    return SimpleNamespace(folder=folder, truth=make_shoot(folder))


@pytest.fixture(scope="session")
def captured(shoot, tmp_path_factory) -> Path:
    """The tiny shoot's dataset/ and annotations/, made once by the capture half, read only."""
    from helpers.tiny_shoot import capture

    return capture(shoot.folder, tmp_path_factory.mktemp("captured"))
