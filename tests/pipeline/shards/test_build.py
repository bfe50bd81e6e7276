import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.built_shards import SPLITS, build_shard
from helpers.commands import refused

from pipeline.config import Shards
from pipeline.errors import InputError
from pipeline.formats import shard_file
from pipeline.shards import build, index, validate


def test_arrays_come_back(tiny, folder):
    shard = shard_file.Shard(folder / "shard-000.h5")
    assert [span.take for span in shard.takes] == list(SPLITS)[:2]
    for span in shard.takes:
        part = slice(span.start_frame, span.stop_frame)
        assert span.stop_frame - span.start_frame == tiny.takes[span.take]
        assert span.stop_sample - span.start_sample == round(tiny.takes[span.take] * 16000 / 30)
        with h5py.File(tiny.features / f"{span.take}.h5") as f:
            for name in ("body", "root", "mel"):
                np.testing.assert_array_equal(shard[name][part], f[name][()])
            np.testing.assert_array_equal(
                shard["audio"][span.start_sample : span.stop_sample], f["audio"][()]
            )
        for actor, performance in enumerate(span.performances):
            np.testing.assert_array_equal(
                shard["face"][part, actor], np.load(tiny.dataset / "face_arkit" / f"{performance}.npy")
            )
            np.testing.assert_array_equal(
                shard["action"][part, actor], np.load(tiny.annotations / "actions" / f"{performance}.npy")
            )


def test_words_keep_their_rows(tiny, folder):
    shard = shard_file.Shard(folder / "shard-000.h5")
    span = shard.takes[1]
    with h5py.File(tiny.text) as f:
        actor, start, text = (f[span.take][name][()] for name in ("actor", "start", "text"))
    for row in range(len(text)):
        frame = span.start_frame + int(np.floor(start[row] * 30 + 0.5))
        found = shard["text_index"][frame, actor[row]]
        later = [
            other
            for other in range(len(text))
            if actor[other] == actor[row] and start[row] < start[other] < start[row] + 0.05
        ]
        assert later or np.array_equal(shard["text"][found], text[row])


def test_text_frames_rounds_and_gives_short_words_a_frame():
    index = shard_file.text_frames(
        np.array([0, 1, 0]), np.array([0.0, 0.1, 0.15]), np.array([0.2, 0.1, 9.0]), 8
    )
    np.testing.assert_array_equal(index[:, 0], [0, 0, 0, 0, 0, 2, 2, 2])
    np.testing.assert_array_equal(index[:, 1], [-1, -1, -1, 1, -1, -1, -1, -1])


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_same_bytes_and_same_values(tiny, folder, tmp_path, compression):
    takes = list(tiny.takes)[:2]
    one, two = (
        build_shard(tiny, tmp_path / name, takes, compression=compression, chunk_frames=16)
        for name in ("a.h5", "b.h5")
    )
    assert one.read_bytes() == two.read_bytes()
    reference, found = shard_file.Shard(folder / "shard-000.h5"), shard_file.Shard(one)
    for name in [*shard_file.STREAMS, "text", "audio"]:
        np.testing.assert_array_equal(reference[name][3:], found[name][3:])
        assert isinstance(getattr(found[name], "base", None), np.memmap) == (compression == "none")


def test_shard_can_be_pickled(folder):
    shard = shard_file.Shard(folder / "shard-000.h5")
    shard["body"][0]
    again = pickle.loads(pickle.dumps(shard))
    np.testing.assert_array_equal(again["body"][5:9], shard["body"][5:9])
    assert again.takes == shard.takes


def test_build_refuses_arrays_that_disagree(tiny, tmp_path):
    annotations = Path(shutil.copytree(tiny.annotations, tmp_path / "annotations"))
    np.save(annotations / "facing" / "20260101_002_001.npy", np.zeros(60, np.uint8))
    parts = build.sources(tiny.dataset, annotations, tiny.features, ["20260101_001"], tiny.text)
    with pytest.raises(InputError, match=r"20260101_002_001.npy: got shape \(60,\), need \(61,\)"):
        build.build(parts, ["train"], tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()
    (annotations / "facing" / "20260101_002_001.npy").unlink()
    with pytest.raises(InputError, match="is missing"):
        build.sources(tiny.dataset, annotations, tiny.features, ["20260101_001"], tiny.text)


def test_a_take_may_have_no_words(tiny, tmp_path):
    features = Path(shutil.copytree(tiny.features, tmp_path / "features"))
    with h5py.File(features / tiny.text.name, "r+") as f:
        words = f["20260101_001"]
        for name in ("text", "actor", "start", "end"):
            values = words[name][:0]
            del words[name]
            words[name] = values
    build.build(
        build.sources(tiny.dataset, tiny.annotations, features, ["20260101_001"], features / tiny.text.name),
        ["train"],
        tmp_path / "shard-000.h5",
    )
    shard = shard_file.Shard(tmp_path / "shard-000.h5")
    assert len(shard["text"]) == 0 and (shard["text_index"][:] == -1).all()
    index.run(shards=[shard.path], index=tmp_path / "index.parquet", stats=tmp_path / "stats.json")
    assert validate.validate(tmp_path) == []


@pytest.mark.parametrize("name", ["20260101_001.h5", "tiny.text.h5"])
def test_features_that_are_cut_short_are_named(tiny, tmp_path, capsys, name):
    features = Path(shutil.copytree(tiny.features, tmp_path / "features"))
    (features / name).write_bytes((features / name).read_bytes()[:3000])
    flags = [
        "--dataset",
        tiny.dataset,
        "--annotations",
        tiny.annotations,
        "--features",
        features,
        "--text",
        features / tiny.text.name,
    ]
    flags += ["--takes", "20260101_001", "--splits", "train", "--out", tmp_path / "a.h5"]
    refused(
        build.main,
        flags,
        capsys,
        f"{features / name}: not a readable HDF5 file",
        outputs=[tmp_path / "a.h5"],
    )


def test_words_of_another_shard_are_refused(tiny, tmp_path):
    with h5py.File(tiny.text) as source, h5py.File(tmp_path / "other.text.h5", "w") as target:
        source.copy("20260101_001", target)
        target.attrs.update(source.attrs)
    parts = build.sources(
        tiny.dataset,
        tiny.annotations,
        tiny.features,
        ["20260101_001", "20260101_002"],
        tmp_path / "other.text.h5",
    )
    with pytest.raises(
        InputError, match="other.text.h5: no words of take 20260101_002; write it for all takes of the shard"
    ):
        build.build(parts, ["train", "test"], tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize(
    ("kind", "value"), [("actions", 3), ("actions", -300), ("facing", 2), ("facing", 0.5)]
)
def test_build_refuses_labels_that_are_none(tiny, tmp_path, kind, value):
    annotations = Path(shutil.copytree(tiny.annotations, tmp_path / "annotations"))
    labels = np.load(annotations / kind / "20260101_002_001.npy").astype(type(value))
    labels[5] = value
    np.save(annotations / kind / "20260101_002_001.npy", labels)
    parts = build.sources(tiny.dataset, annotations, tiny.features, ["20260101_001"], tiny.text)
    with pytest.raises(
        InputError, match=f"20260101_002_001.npy: label {value} at frame 5, need whole numbers from 0"
    ):
        build.build(parts, ["train"], tmp_path / "a.h5")


def test_build_refuses_words_that_nobody_can_hear(tiny, tmp_path):
    features = Path(shutil.copytree(tiny.features, tmp_path / "features"))
    with h5py.File(features / tiny.text.name, "r+") as f:
        f["20260101_001/start"][-1], f["20260101_001/end"][-1] = 500.0, 500.4
    parts = build.sources(
        tiny.dataset, tiny.annotations, features, ["20260101_001"], features / tiny.text.name
    )
    with pytest.raises(InputError, match="has a word at 500.00 s, its streams end at"):
        build.build(parts, ["train"], tmp_path / "a.h5")


def test_build_takes_each_take_once(tiny, tmp_path):
    with pytest.raises(InputError, match="a take stands twice"):
        build_shard(tiny, tmp_path / "a.h5", ["20260101_001", "20260101_001"])


def test_build_refuses_nan(tiny, tmp_path):
    dataset = Path(shutil.copytree(tiny.dataset, tmp_path / "dataset"))
    face = np.load(dataset / "face_arkit" / "20260101_001_001.npy")
    face[5, 2] = np.nan
    np.save(dataset / "face_arkit" / "20260101_001_001.npy", face)
    with pytest.raises(InputError, match="face has 1 rows with NaN, the first is 5"):
        build.build(
            build.sources(dataset, tiny.annotations, tiny.features, ["20260101_001"], tiny.text),
            ["train"],
            tmp_path / "a.h5",
        )


@pytest.mark.parametrize("splits", [["train"], ["train", "val"]])
def test_build_needs_a_split_for_each_take(tiny, tmp_path, splits):
    with pytest.raises(InputError, match="need train or test for each"):
        build.run(
            dataset=tiny.dataset,
            annotations=tiny.annotations,
            features=tiny.features,
            takes=list(tiny.takes)[:2],
            splits=splits,
            out=tmp_path / "a.h5",
            options=Shards(),
        )
