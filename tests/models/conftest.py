"""Tiny shards and models that the tests of this folder share."""

from pathlib import Path

import pytest
from helpers.rig_files import QUADS, head
from helpers.tiny_shards import RUNS, TAKES, Trained, make_shards
from torch import Tensor

from models import data, train
from pipeline.formats.rig_file import Rig, save_rig


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    """Tiny shards, read only."""
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="session")
def rigs(tmp_path_factory) -> Path:
    """A small rig of each actor of the tiny shards, all of one topology, read only."""
    folder = tmp_path_factory.mktemp("rigs")
    neutral, deltas = head()
    for number, actor in enumerate(sorted({actor for a, b, *_ in TAKES.values() for actor in (a, b)})):
        size = 1 + 0.1 * number
        save_rig(folder / f"{actor}.npz", Rig(size * neutral, size * deltas, QUADS))
    return folder


@pytest.fixture(scope="session")
def trained(shards, tmp_path_factory) -> Trained:
    """Tiny models, read only."""
    folder = tmp_path_factory.mktemp("runs")
    for name, (recipe, options) in RUNS.items():
        train.run(recipe=recipe, shards=shards, out=folder / name, options=options)
    return Trained(shards, folder)


@pytest.fixture
def batch(shards) -> dict[str, Tensor]:
    """Two windows of all streams but speech and voices."""
    opened, _ = data.shards_of(shards)
    streams = ("body", "root", "mel", "action", "text", "face", "facing")
    found = data.Windows(opened, window=24, stride=4, streams=streams, actors=["001", "002", "003"])
    return data.collate([found[0], found[60]])
