import json

import numpy as np
import pytest
from helpers.built_shards import build_shard

from pipeline.errors import InputError
from pipeline.formats import shard_file
from pipeline.shards import index, stats


def test_statistics_are_those_of_the_train_takes(folder):
    stats = json.loads((folder / "stats.json").read_text())
    opened = shard_file.open_shards(folder)
    parts = [(shard, span) for shard in opened for span in shard.takes if span.split == "train"]
    assert (stats["takes"], stats["frames"]) == (2, 111)
    for name in ("body", "face", "mel"):
        rows = np.concatenate(
            [
                shard[name][span.start_frame : span.stop_frame].reshape(-1, shard[name].shape[-1])
                for shard, span in parts
            ]
        ).astype(float)
        np.testing.assert_allclose(stats[name]["mean"], rows.mean(0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(stats[name]["std"], rows.std(0), rtol=1e-9, atol=1e-12)
    nearest = []
    for shard, span in parts:
        roots = np.asarray(shard["root"][span.start_frame : span.stop_frame], float)
        nearest.append(min(np.hypot(*(one[1] - one[0])[[0, 2]]) for one in roots))
    assert stats["closest"] == {
        "mean": [pytest.approx(np.mean(nearest))], "std": [pytest.approx(np.std(nearest))]
    }  # fmt: skip
    assert len(stats["relative_root"]["mean"]) == 4 and len(stats["text"]["std"]) == 384


def test_moments_merge_without_loss():
    rows = np.random.default_rng(0).normal(1e6, 1.0, (1000, 3))
    moments = stats.Moments()
    for part in np.array_split(rows, [1, 1, 10, 500]):
        moments.add(part)
    np.testing.assert_allclose(moments.as_dict(3)["std"], rows.std(0), rtol=1e-9)
    np.testing.assert_allclose(moments.as_dict(3)["mean"], rows.mean(0), rtol=1e-12)


def test_statistics_need_a_train_take(tiny, tmp_path):
    build_shard(tiny, tmp_path / "shard-000.h5", ["20260101_002"])
    with pytest.raises(InputError, match="no take in the train split"):
        index.run(shards=[tmp_path / "shard-000.h5"], index=tmp_path / "i", stats=tmp_path / "s")
