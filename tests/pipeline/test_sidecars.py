import pickle
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from commands import refused

from pipeline import shards, sidecars
from pipeline.config import Shards
from pipeline.errors import InputError
from pipeline.files import read_json
from pipeline.shard_file import Shard

WIDTH = 5


def write_features(path, num_frames: int, seed: int, **attributes) -> np.ndarray:
    values = np.random.default_rng(seed).normal(3, 2, (num_frames, 2, WIDTH)).astype(np.float16)
    with h5py.File(path, "w") as f:
        f["speech"] = values
        for key, value in ({"fps": 30, "model": "package", "layer": "last", "model_sha256": "aa", "window_seconds": 30.0} | attributes).items():
            f.attrs[key] = value
    return values


@pytest.fixture
def built(tiny, tmp_path):
    """Two shards of the tiny takes, features that a test may damage, and the sidecars' folder."""
    features = tmp_path / "features"
    features.mkdir()
    values = {take: write_features(features / f"{take}.speech.h5", count, seed) for seed, (take, count) in enumerate(tiny.takes.items())}
    takes = list(tiny.takes)
    files = []
    for number, (group, splits) in enumerate(((takes[:2], ["train", "test"]), (takes[2:], ["train"]))):
        files.append(tmp_path / "shards" / f"shard-{number:03d}.h5")
        parts = shards.sources(tiny.dataset, tiny.annotations, tiny.features, group)
        shards.build(parts, splits, files[-1], **Shards().model_dump(include={"compression", "chunk_frames"}))
    return SimpleNamespace(features=features, values=values, shards=files, out=tmp_path / "shards" / "speech-0a1b2c3d")


def build_all(built):
    found = []
    for path in built.shards:
        sidecars.build(shard=path, features=built.features, stream="speech", out=built.out / path.name)
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
                np.testing.assert_array_equal(copy["speech"][span.start_frame : span.stop_frame], built.values[span.take])
        assert shard.sidecar_attributes("speech") == {
            "model": "package", "layer": "last", "model_sha256": "aa", "window_seconds": 30.0, "width": WIDTH,
        }  # fmt: skip
        assert shard["mel"].shape[0] == len(shard["speech"])


def test_the_same_features_give_the_same_bytes(built):
    first = [path.read_bytes() for path in build_all(built)]
    assert first == [path.read_bytes() for path in build_all(built)]


def test_moments_are_those_of_the_train_takes(built):
    paths = build_all(built)
    flags = ["--shards", *map(str, built.shards), "--sidecars", *map(str, paths), "--out", str(built.out / "stats.json")]
    sidecars.main(["stats", *flags])
    found = read_json(built.out / "stats.json")
    train = [values for take, values in built.values.items() if take != "20260101_002"]
    rows = np.concatenate([values.reshape(-1, WIDTH) for values in train]).astype(float)
    np.testing.assert_allclose(found["speech"]["mean"], rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found["speech"]["std"], rows.std(0), rtol=1e-12)
    assert found["encoder"]["model_sha256"] == "aa"


def test_shards_are_the_same_with_and_without_sidecars(built):
    before = sorted(path.name for path in built.shards)
    build_all(built)
    from pipeline.shard_file import shard_paths

    assert [path.name for path in shard_paths(built.shards[0].parent)] == before


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda folder: (folder / "20260101_002.speech.h5").unlink(), "cannot be read .*write it with python -m pipeline.speech"),
        (lambda folder: write_features(folder / "20260101_002.speech.h5", 41, 0), r"speech has shape \(41, 2, 5\), need 40 frames"),
        (lambda folder: write_features(folder / "20260101_002.speech.h5", 40, 0, model_sha256="bb"), "model_sha256 of its speech is bb, .* aa"),
        (lambda folder: break_values(folder / "20260101_002.speech.h5"), "values that are not finite"),
    ],
)
def test_features_that_do_not_fit_are_refused(built, damage, message):
    damage(built.features)
    with pytest.raises(InputError, match=message):
        build_all(built)
    assert not built.out.exists() or not list(built.out.iterdir())


def break_values(path):
    with h5py.File(path, "r+") as f:
        f["speech"][3, 1, 2] = np.nan


def test_a_sidecar_of_another_shard_or_none_is_refused(built, tmp_path, capsys):
    paths = build_all(built)
    shard = Shard(built.shards[0])
    with pytest.raises(InputError, match="its takes are not those of"):
        shard.attach(paths[1])
    with pytest.raises(InputError, match="no whole sidecar"):
        shard.attach(tmp_path / "nothing.h5")
    with pytest.raises(InputError, match="sidecar version None"):
        shard.attach(built.shards[0])
    write_features(built.features / "20260102_001.speech.h5", 50, 0, model_sha256="bb")
    sidecars.build(shard=built.shards[1], features=built.features, stream="speech", out=paths[1])
    arguments = ["stats", "--shards", *built.shards, "--sidecars", *paths, "--out", tmp_path / "stats.json"]
    refused(sidecars.main, arguments, capsys, "another encoder than that of", outputs=[tmp_path / "stats.json"])


def test_inspect_and_validate_know_sidecars(built, tiny, capsys):
    from pipeline import shard_index, shard_tools

    folder = built.shards[0].parent
    shard_index.run(shards=built.shards, index=folder / "index.parquet", stats=folder / "stats.json")
    paths = build_all(built)
    assert shard_tools.validate(folder, features=tiny.features) == []
    shard_tools.inspect(file=built.shards[0], take=None, plot=None)
    assert "speech-0a1b2c3d/shard-000.h5: sidecar with speech (101, 2, 5)" in capsys.readouterr().out
    with h5py.File(paths[0], "r+") as f:
        f["speech"][70, 1, 2] = np.nan
    paths[1].write_bytes(paths[1].read_bytes()[:700])
    faults = shard_tools.validate(folder, features=tiny.features)
    assert len(faults) == 2 and "not finite" in faults[0] and "no whole sidecar" in faults[1]
