"""Windows out of shards: right content, only train takes, and an order that the step alone restores."""

import itertools
import pickle

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from models import data
from pipeline.errors import InputError
from pipeline.formats.shard_file import STREAMS, open_shards, write_sidecar
from pipeline.motion.clock import sample_of
from pipeline.motion.pose import relative_root
from pipeline.shards import windows as windows_of_shards

BODY_STREAMS = ("body", "root", "mel", "action", "text")


def windows(shards, **options):
    chosen = {"window": 24, "stride": 4, "streams": BODY_STREAMS, "actors": ["001", "002", "003"]} | options
    return data.Windows(open_shards(shards), **chosen)


def test_windows_hold_the_shards_rows(shards):
    found = windows(shards)
    assert len(found) == sum((n - 24) // 4 + 1 for n in (150, 170, 130))
    first_take = (150 - 24) // 4 + 1
    item = found[first_take + 2]  # third window of the second take
    shard, span = found.takes[1]
    a = span.start_frame + 8
    assert span.take == "20240101_002" and item["actors"].tolist() == [0, 2]
    for name in ("body", "mel", "action"):
        assert np.array_equal(item[name], shard[name][a : a + 24])
    whole = relative_root(np.asarray(shard["root"][span.start_frame : span.stop_frame, 1]))
    assert np.allclose(item["relative"][:, 1], whole[8:32], atol=1e-4)
    index = np.asarray(shard["text_index"][a : a + 24])
    assert np.array_equal(item["spoken"], index >= 0) and (index >= 0).any() and (index < 0).any()
    assert np.array_equal(item["text"][index >= 0], np.asarray(shard["text"])[index[index >= 0]])
    assert not item["text"][index < 0].any()


def test_a_batch_holds_what_the_shards_do_at_each_window(shards):
    found = windows(shards)
    numbers = [0, 1, len(found) - 1, (150 - 24) // 4 + 1]
    batch = found.batch(numbers)
    for row, i in enumerate(numbers):
        shard, span, start = found.places[i]
        a = span.start_frame + start
        for name in ("body", "face", "mel", "action"):
            if name in batch:
                assert np.array_equal(batch[name][row], shard[name][a : a + found.window]), name
        root = np.asarray(shard["root"][span.start_frame : span.stop_frame], float)
        whole = np.stack([relative_root(root[:, k]) for k in range(2)], 1)
        assert np.allclose(
            batch["relative"][row][start == 0 :], whole[start : start + found.window][start == 0 :], atol=1e-4
        )
        assert np.array_equal(batch["relative"][row], found[i]["relative"])


def test_the_first_window_of_a_take_does_not_look_into_the_take_before(shards):
    found = windows(shards)
    item = found[(150 - 24) // 4 + 1]
    assert np.array_equal(item["relative"][0, :, :3], item["relative"][1, :, :3])


def test_torch_joins_windows_as_numpy_does(shards):
    opened = open_shards(shards)
    places = [(opened[0], opened[0].takes[1], start) for start in (0, 7, 100)]
    streams = ("body", "root", "mel", "face", "action", "text", "audio")
    joined = data.read(places, streams, 20, data.Rows())
    for name, values in data.read(places, streams, 20).items():
        assert values.dtype == joined[name].dtype and np.array_equal(values, joined[name]), name


def test_a_batch_that_is_kept_stays_as_it_is(shards):
    found = windows(shards, streams=("mel", "root"))
    kept = [
        (batch, {name: np.array(batch[name]) for name in batch})
        for batch in data.loader(found, batch_size=3, seed=1, first_step=0, last_step=9)
    ]
    assert all(np.array_equal(batch[name], copy[name]) for batch, copy in kept for name in copy)


def test_windows_of_compressed_shards_are_the_same(shards, tmp_path):
    with h5py.File(shards / "shard-000.h5") as source, h5py.File(tmp_path / "shard-000.h5", "w") as target:
        for key, value in source.attrs.items():
            target.attrs[key] = value
        for name in source:
            if name in STREAMS:
                target.create_dataset(name, data=source[name][()], compression="gzip", chunks=True)
            else:
                source.copy(name, target)
    plain, packed = windows(shards), windows(tmp_path)
    for name, values in plain.batch([0, 7]).items():
        assert np.array_equal(values, packed.batch([0, 7])[name]), name


def test_splits_are_kept_apart(shards):
    names = {
        split: [span.take for _, span in data.takes_of(open_shards(shards), split)]
        for split in ("train", "test")
    }
    assert names == {
        "train": ["20240101_001", "20240101_002", "20240101_003"],
        "test": ["20240101_004", "20240101_005"],
    }
    assert [span.take for _, span in windows(shards).takes] == names["train"]
    assert data.actors_of(open_shards(shards)) == ["001", "002", "003"]


def test_batches_depend_on_the_step_alone():
    whole = list(data.Batches(10, 4, seed=3, first_step=0, last_step=8))
    assert list(data.Batches(10, 4, seed=3, first_step=5, last_step=8)) == whole[5:]
    stream = list(itertools.chain(*whole))
    assert sorted(stream[:10]) == sorted(stream[10:20]) == list(range(10))
    assert stream[:10] != stream[10:20]
    assert list(data.Batches(10, 4, seed=4, first_step=0, last_step=8)) != whole


def test_windows_travel_to_workers(shards):
    found = windows(shards)
    found[0]
    copy = pickle.loads(pickle.dumps(found))
    assert np.array_equal(copy[5]["body"], found[5]["body"])


def test_loader_is_the_same_with_workers(shards):
    found = windows(shards, streams=("mel",))
    alone, threads = (
        list(data.loader(found, batch_size=3, seed=1, first_step=2, last_step=15, workers=workers))
        for workers in (0, 2)
    )
    sampler = data.Batches(len(found), 3, seed=1, first_step=2, last_step=15)
    processes = list(DataLoader(found, batch_sampler=sampler, collate_fn=data.collate, num_workers=2))
    for a, b, c in zip(alone, threads, processes, strict=True):
        assert np.array_equal(a["mel"], b["mel"]) and np.array_equal(a["mel"], c["mel"])


def test_a_fault_in_a_thread_reaches_the_trainer(shards, monkeypatch):
    found = windows(shards, streams=("mel",))
    monkeypatch.setattr(windows_of_shards, "_rows", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(data.loader(found, batch_size=3, seed=1, first_step=0, last_step=5, workers=2))


def test_takes_that_are_too_short(shards, caplog):
    assert {span.take for _, span in windows(shards, window=140).takes} == {
        "20240101_001",
        "20240101_002",
        "20240101_003",
    }
    assert "1 of 3 train takes are shorter" in caplog.text
    with pytest.raises(InputError, match="the longest of 3 has 170 frames, need 500"):
        windows(shards, window=500)


@pytest.mark.parametrize("window", [30, 31, 32])
def test_audio_comes_by_samples(shards, window):
    """One sample to the next: 16 kHz are not 30 fps, and a window's last sample is still one of its take."""
    found = windows(shards, window=window, stride=1, streams=("audio",))
    count = window * 16000 // 30
    for i in (0, 1, 2, 50, 150 - window, 151 - window, len(found) - 1, len(found) - 2):
        shard, span, start = found.places[i]
        first = span.start_sample + round(start * 16000 / 30)
        assert first + count <= span.start_sample + sample_of(start + window) <= span.stop_sample
        assert np.array_equal(found[i]["audio"], shard["audio"][first : first + count])
        assert found[i]["audio"].shape == (count, 2)


def test_every_stream_lies_on_the_same_time(shards):
    """What a window holds of each stream is what plain slices of the shard hold at its time.

    That holds whatever the stream's rate.
    """
    found = windows(shards, streams=("body", "face", "mel", "action", "facing", "audio"))
    rates = dict.fromkeys(found.streams, 30) | {"audio": 16000}
    for i in (3, len(found) - 1):
        shard, span, start = found.places[i]
        for name, rate in rates.items():
            whole = (
                shard[name][span.start_sample : span.stop_sample]
                if rate == 16000
                else shard[name][span.start_frame : span.stop_frame]
            )
            seconds = start / 30
            first = round(seconds * rate)
            assert np.array_equal(found[i][name], whole[first : first + len(found[i][name])]), name
            assert abs(len(found[i][name]) / rate - found.window / 30) < 1 / rate


def test_windows_are_numbered_as_a_list(shards):
    found = windows(shards, streams=("mel",))
    assert len(list(found)) == len(found)
    assert np.array_equal(found[-1]["mel"], found[len(found) - 1]["mel"]) and np.array_equal(
        found[np.int64(3)]["mel"], found[3]["mel"]
    )
    for i in (len(found), -len(found) - 1):
        with pytest.raises(IndexError, match=f"window {i} of {len(found)}"):
            found[i]
    for i in (slice(0, 3), 1.0, "1"):
        with pytest.raises(TypeError):
            found[i]
    assert found.__getitems__([]) == []


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"streams": ("speech",)}, "no stream 'speech'; it has body, root, face, mel"),
        ({"streams": ("relative",)}, "no stream 'relative'"),
        ({"streams": ("takes",)}, "no stream 'takes'"),
        ({"streams": ("text_index",)}, "take text, which brings spoken"),
        ({"streams": "mel"}, "need a list of names"),
        ({"split": "val"}, "split: got 'val', need train or test"),
        ({"window": 0}, "window 0, stride 4: need at least 2 and 1"),
        ({"window": -5, "streams": ("mel",)}, "window -5"),
        ({"stride": 0}, "stride 0"),
        ({"window": 1}, "window 1"),
    ],
)
def test_what_windows_cannot_be_is_said(shards, options, line):
    with pytest.raises(InputError, match=line):
        windows(shards, **options)


def test_a_shard_twice_is_refused(shards):
    opened = open_shards(shards)
    with pytest.raises(InputError, match="the same one stands twice"):
        data.Windows([*opened, opened[0]], window=24, stride=4, streams=("root",), actors=[])


@pytest.mark.parametrize(
    "change",
    [
        {"window": 24.5},
        {"window": True},
        {"stride": "4"},
        {"actors": "001"},
        {"actors": [1, 2]},
        {"actors": ["1", "1"]},
    ],
)
def test_numbers_and_ids_of_another_kind_are_said(shards, change):
    options = {"window": 24, "stride": 4, "streams": ("root",), "actors": ["001"]} | change
    with pytest.raises(InputError, match=f"{next(iter(change))}: got"):
        data.Windows(open_shards(shards), **options)


def test_shards_that_differ_are_refused(shards, tmp_path):
    for number, shard in enumerate(open_shards(shards)):
        lengths = {span.take: span.stop_frame - span.start_frame for span in shard.takes}
        features = [(np.zeros((count, 2, 4 + number), np.float16), {}) for count in lengths.values()]
        write_sidecar(tmp_path / shard.path.name, "speech", lengths, features)
    opened = open_shards(shards)
    options = {"window": 24, "stride": 4, "streams": ("speech",), "actors": []}
    opened[0].attach(tmp_path / "shard-000.h5")
    with pytest.raises(InputError, match="shard-001.h5: no stream 'speech'"):
        data.Windows(opened, **options)
    opened[1].attach(tmp_path / "shard-001.h5")
    with pytest.raises(InputError, match=r"speech has rows of \(2, 5\), .*shard-000.h5 of \(2, 4\)"):
        data.Windows(opened, **options)


def test_actors_whom_nobody_knows_have_no_number(shards):
    found = windows(shards, split="test")
    assert {tuple(item["actors"].tolist()) for item in found} == {(0, 1), (1, -1)}


def test_a_take_in_two_shards_is_refused(shards, tmp_path):
    for name in ("shard-000.h5", "shard-001.h5"):
        (tmp_path / name).write_bytes((shards / "shard-000.h5").read_bytes())
    with pytest.raises(InputError, match="shard-001.h5: take 20240101_001 is in .*shard-000.h5 as well"):
        open_shards(tmp_path)


def test_words_that_the_shard_does_not_have_are_said(shards, tmp_path):
    (tmp_path / "shard-000.h5").write_bytes((shards / "shard-000.h5").read_bytes())
    with h5py.File(tmp_path / "shard-000.h5", "r+") as f:
        f["text_index"][6, 0] = 2**31 - 1
    with pytest.raises(InputError, match="text_index names row 2147483647 of text, which has 80"):
        windows(tmp_path, streams=("text",))[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": True},
        {"collate_fn": data.collate},
        {"num_workers": 2},
        {"num_workers": 1, "multiprocessing_context": "spawn", "collate_fn": data.collate},
        {"batch_size": None, "sampler": range(0, 9)},
    ],
    ids=lambda options: " ".join(options) or "plain",
)
def test_torch_reads_windows_with_its_own_loader(shards, options):
    found = windows(shards, streams=("body", "root", "mel", "action", "text", "audio"))
    torch.manual_seed(0)
    loader = DataLoader(found, **{"batch_size": 4, **options})
    seen = 0
    for batch in loader:
        assert all(isinstance(values, torch.Tensor) for values in batch.values())
        for row in range(len(batch["actors"]) if options.get("batch_size", 4) else 1):
            item = {
                name: values[row] if options.get("batch_size", 4) else values
                for name, values in batch.items()
            }
            if not options.get("shuffle"):
                assert all(np.array_equal(item[name], values) for name, values in found[seen].items())
            seen += 1
    assert seen == (9 if "sampler" in options else len(found))
