"""Shards of the tiny dataset, as the stage builds them."""

from pathlib import Path

from pipeline.config import Shards
from pipeline.shards import build

SPLITS = {"20260101_001": "train", "20260101_002": "test", "20260102_001": "train"}


def build_shard(tiny, out: Path, takes: list[str], **options) -> Path:
    """A shard of some of the tiny dataset's takes, by the splits above."""
    folders = {"dataset": tiny.dataset, "annotations": tiny.annotations, "features": tiny.features}
    build.run(
        **folders,
        takes=takes,
        splits=[SPLITS[take] for take in takes],
        out=out,
        text=tiny.text,
        options=Shards(**options),
    )
    return out
