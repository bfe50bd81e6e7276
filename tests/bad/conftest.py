"""Fixtures of the tests of broken shoots; their helpers are those of the pipeline's tests."""

from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def sound(tmp_path_factory) -> SimpleNamespace:
    """A sound shoot of one take, and the sync JSON of that take."""
    from helpers.tiny_shoot import ACTORS, make_shoot

    from pipeline import config
    from pipeline.capture import sync

    folder = tmp_path_factory.mktemp("sound")
    make_shoot(folder, num_takes=1)
    take = folder / "20260101_001"
    names = [take / f"20260101_{actor}_001" for actor in ACTORS]
    bvh, face, wav = ([Path(f"{name}{suffix}") for name in names] for suffix in (".bvh", ".mesh.h5", ".wav"))
    out = tmp_path_factory.mktemp("sync") / "20260101_001.json"
    sync.run(
        timecode=take / "timecode.json",
        actors=list(ACTORS),
        bvh=bvh,
        face=face,
        wav=wav,
        out=out,
        options=config.Sync(),
    )
    return SimpleNamespace(folder=folder, sync=out)
