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
from pipeline.pose import relative_root
from pipeline.shard_file import STREAMS, open_shards

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
    batch = found.__getitems__(numbers)
    for row, i in enumerate(numbers):
        shard, span, start = found._place(i)
        a = span.start_frame + start
        for name in ("body", "face", "mel", "action"):
            if name in batch:
                assert np.array_equal(batch[name][row], shard[name][a : a + found.window]), name
        root = np.asarray(shard["root"][span.start_frame : span.stop_frame], float)
        whole = np.stack([relative_root(root[:, k]) for k in range(2)], 1)
        assert np.allclose(batch["relative"][row][start == 0 :], whole[start : start + found.window][start == 0 :], atol=1e-4)
        assert np.array_equal(batch["relative"][row], found[i]["relative"])


def test_the_first_window_of_a_take_does_not_look_into_the_take_before(shards):
    found = windows(shards)
    item = found[(150 - 24) // 4 + 1]
    assert np.array_equal(item["relative"][0, :, :3], item["relative"][1, :, :3])


def test_memory_is_used_again_only_when_nothing_refers_to_it():
    memory = data.Memory()

    def place_of_the_next() -> int:
        return memory.empty((3, 4), np.dtype(np.int32)).ctypes.data

    array = memory.empty((4, 3), np.dtype(np.float32))
    place, users = array.ctypes.data, [torch.from_numpy(array)[1], array[2]]
    del array
    while users:
        assert place_of_the_next() != place
        users.pop()
    assert memory.empty((5, 3), np.dtype(np.float32)).ctypes.data != place
    assert place_of_the_next() == place


def test_a_batch_that_is_kept_stays_as_it_is(shards):
    found = windows(shards, streams=("mel", "root"))
    kept = [(batch, {name: np.array(batch[name]) for name in batch}) for batch in data.loader(found, batch_size=3, seed=1, first_step=0, last_step=9)]
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
    for name, values in plain.__getitems__([0, 7]).items():
        assert np.array_equal(values, packed.__getitems__([0, 7])[name]), name


def test_splits_are_kept_apart(shards):
    names = {split: [span.take for _, span in data.takes_of(open_shards(shards), split)] for split in ("train", "test")}
    assert names == {"train": ["20240101_001", "20240101_002", "20240101_003"], "test": ["20240101_004", "20240101_005"]}
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
    alone, threads = (list(data.loader(found, batch_size=3, seed=1, first_step=2, last_step=15, workers=workers)) for workers in (0, 2))
    sampler = data.Batches(len(found), 3, seed=1, first_step=2, last_step=15)
    processes = list(DataLoader(found, batch_sampler=sampler, collate_fn=data.collate, num_workers=2))
    for a, b, c in zip(alone, threads, processes, strict=True):
        assert np.array_equal(a["mel"], b["mel"]) and np.array_equal(a["mel"], c["mel"])


def test_a_fault_in_a_thread_reaches_the_trainer(shards, monkeypatch):
    found = windows(shards, streams=("mel",))
    monkeypatch.setattr(data, "_rows", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(data.loader(found, batch_size=3, seed=1, first_step=0, last_step=5, workers=2))


def test_takes_that_are_too_short(shards, caplog):
    assert {span.take for _, span in windows(shards, window=140).takes} == {"20240101_001", "20240101_002", "20240101_003"}
    assert "1 of 3 train takes are shorter" in caplog.text
    with pytest.raises(InputError, match="the longest of 3 has 170 frames, need 500"):
        windows(shards, window=500)
