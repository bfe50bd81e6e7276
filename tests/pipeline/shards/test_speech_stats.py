import pickle
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from helpers.commands import refused

from pipeline.config import Shards
from pipeline.errors import InputError
from pipeline.formats.shard_file import Shard, write_sidecar
from pipeline.reading import read_json
from pipeline.shards import build, index, inspect, speech_stats, validate

WIDTH = 5


ENCODER = {"model": "package", "layer": "last", "model_sha256": "aa", "window_seconds": 30.0}


@pytest.fixture
def built(tiny, tmp_path):
    """Two shards of the tiny takes, features of each take, and the sidecars' folder."""
    rng = np.random.default_rng(0)
    values = {
        take: rng.normal(3, 2, (count, 2, WIDTH)).astype(np.float16) for take, count in tiny.takes.items()
    }
    takes = list(tiny.takes)
    files = []
    for number, (group, splits) in enumerate(((takes[:2], ["train", "test"]), (takes[2:], ["train"]))):
        files.append(tmp_path / "shards" / f"shard-{number:03d}.h5")
        parts = build.sources(tiny.dataset, tiny.annotations, tiny.features, group, tiny.text)
        build.build(parts, splits, files[-1], **Shards().model_dump(include={"compression", "chunk_frames"}))
    return SimpleNamespace(values=values, shards=files, out=tmp_path / "shards" / "speech-0a1b2c3d")


def build_all(built, **encoders: dict):
    found = []
    for path in built.shards:
        lengths = {span.take: span.stop_frame - span.start_frame for span in Shard(path).takes}
        described = encoders.get(path.stem.replace("-", "_"), ENCODER)
        write_sidecar(
            built.out / path.name, "speech", lengths, [(built.values[take], described) for take in lengths]
        )
        found.append(built.out / path.name)
    return found


def test_a_sidecar_lies_on_the_frames_of_its_shard(built):
    paths = build_all(built)
    for path, beside in zip(built.shards, paths, strict=True):
        shard = Shard(path)
        assert shard.attach(beside) == "speech"
        assert isinstance(shard["speech"].base, np.memmap)
        assert shard["speech"].dtype == np.float16
        for copy in (shard, pickle.loads(pickle.dumps(shard))):
            for span in copy.takes:
                np.testing.assert_array_equal(
                    copy["speech"][span.start_frame : span.stop_frame], built.values[span.take]
                )
        assert shard.sidecar_attributes("speech") == {
            "model": "package", "layer": "last", "model_sha256": "aa", "window_seconds": 30.0, "width": WIDTH,
        }  # fmt: skip
        assert shard["mel"].shape[0] == len(shard["speech"])


def test_the_same_features_give_the_same_bytes(built):
    first = [path.read_bytes() for path in build_all(built)]
    assert first == [path.read_bytes() for path in build_all(built)]


def test_moments_are_those_of_the_train_takes(built):
    paths = build_all(built)
    flags = [
        "--shards",
        *map(str, built.shards),
        "--sidecars",
        *map(str, paths),
        "--out",
        str(built.out / "stats.json"),
    ]
    speech_stats.main(flags)
    found = read_json(built.out / "stats.json")
    train = [values for take, values in built.values.items() if take != "20260101_002"]
    rows = np.concatenate([values.reshape(-1, WIDTH) for values in train]).astype(float)
    np.testing.assert_allclose(found["speech"]["mean"], rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found["speech"]["std"], rows.std(0), rtol=1e-12)
    assert found["encoder"]["model_sha256"] == "aa"


def test_shards_are_the_same_with_and_without_sidecars(built):
    before = sorted(path.name for path in built.shards)
    build_all(built)
    from pipeline.formats.shard_file import shard_paths

    assert [path.name for path in shard_paths(built.shards[0].parent)] == before


def test_a_sidecar_that_breaks_off_is_not_left_behind(built):
    def features():
        yield built.values["20260101_001"], ENCODER
        raise InputError("the second take")

    with pytest.raises(InputError, match="the second take"):
        write_sidecar(
            built.out / "shard-000.h5", "speech", {"20260101_001": 61, "20260101_002": 40}, features()
        )
    assert not list(built.out.iterdir())


def test_a_sidecar_of_another_shard_or_none_is_refused(built, tmp_path, capsys):
    paths = build_all(built)
    shard = Shard(built.shards[0])
    with pytest.raises(InputError, match="its takes are not those of"):
        shard.attach(paths[1])
    with pytest.raises(InputError, match="nothing.h5: no such file"):
        shard.attach(tmp_path / "nothing.h5")
    with pytest.raises(InputError, match="sidecar version None"):
        shard.attach(built.shards[0])
    build_all(built, shard_001=ENCODER | {"model_sha256": "bb"})
    arguments = ["--shards", *built.shards, "--sidecars", *paths, "--out", tmp_path / "stats.json"]
    refused(
        speech_stats.main,
        arguments,
        capsys,
        "another encoder than that of",
        outputs=[tmp_path / "stats.json"],
    )


def test_inspect_and_validate_know_sidecars(built, tiny, capsys):
    folder = built.shards[0].parent
    index.run(shards=built.shards, index=folder / "index.parquet", stats=folder / "stats.json")
    paths = build_all(built)
    assert validate.validate(folder, features=tiny.features) == []
    inspect.run(file=built.shards[0], take=None, plot=None)
    assert "speech-0a1b2c3d/shard-000.h5: sidecar with speech (101, 2, 5)" in capsys.readouterr().out
    with h5py.File(paths[0], "r+") as f:
        f["speech"][70, 1, 2] = np.nan
    paths[1].write_bytes(paths[1].read_bytes()[:700])
    faults = validate.validate(folder, features=tiny.features)
    assert len(faults) == 2 and "not finite" in faults[0] and "not a readable sidecar" in faults[1]
