"""Tiny shards and models that the tests of this folder share."""

from pathlib import Path

import pytest
from helpers.tiny_shards import RUNS, Trained, make_shards
from torch import Tensor

from models import data, train


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    """Tiny shards, read only."""
    return make_shards(tmp_path_factory.mktemp("shards"))


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
