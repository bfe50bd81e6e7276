"""Fixtures of the tests of shards."""

import shutil
from pathlib import Path

import pytest
from helpers.built_shards import build_shard

from pipeline.formats import shard_file
from pipeline.shards import index
from pipeline.shards.validate import HALVES


@pytest.fixture(scope="session")
def folder(tiny, tmp_path_factory) -> Path:
    """Two shards with index and statistics."""
    folder = tmp_path_factory.mktemp("shards")
    takes = list(tiny.takes)
    build_shard(tiny, folder / "shard-000.h5", takes[:2])
    build_shard(tiny, folder / "shard-001.h5", takes[2:])
    paths = shard_file.shard_paths(folder)
    index.run(shards=paths, index=folder / "index.parquet", stats=folder / "stats.json", dataset=tiny.dataset)
    return folder


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    """A copy of `folder` that a test may break."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture
def halves(tiny, tmp_path) -> dict[str, Path]:
    """Copies of the folders that the shards were built from."""
    return {name: Path(shutil.copytree(getattr(tiny, name), tmp_path / "run" / name)) for name in HALVES}
