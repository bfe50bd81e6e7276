"""Tiny shards and models that the tests of this folder share."""

from pathlib import Path

import pytest
from helpers.tiny_shards import BODY, FACE, Trained, make_shards

from models import train


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    """Tiny shards, read only."""
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="session")
def trained(shards, tmp_path_factory) -> Trained:
    """Tiny models, read only."""
    runs = tmp_path_factory.mktemp("runs")
    for model, options in (("face", FACE), ("body_lower", BODY), ("body_upper", BODY)):
        train.run(model=model, shards=shards, out=runs / model, options=options)
    return Trained(shards, runs)
