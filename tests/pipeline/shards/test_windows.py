"""Memory of windows, and the places where they begin."""

import pickle

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.formats.shard_file import open_shards
from pipeline.shards import windows


def test_memory_is_used_again_only_when_nothing_refers_to_it():
    memory = windows.Memory()

    def place_of_the_next() -> int:
        return memory.empty((3, 4), np.dtype(np.int32)).ctypes.data

    array = memory.empty((4, 3), np.dtype(np.float32))
    place, users = array.ctypes.data, [memoryview(array), array[2]]
    del array
    while users:
        assert place_of_the_next() != place
        users.pop()
    assert memory.empty((5, 3), np.dtype(np.float32)).ctypes.data != place
    assert place_of_the_next() == place


def test_memory_travels_empty():
    memory = windows.Memory()
    memory.empty((3,), np.dtype(np.float32))
    assert pickle.loads(pickle.dumps(memory))._free == {}


def test_places_are_those_of_the_takes_in_order(folder):
    takes = windows.takes_of(open_shards(folder), None)
    lengths = [span.stop_frame - span.start_frame for _, span in takes]
    places = windows.Places(takes, window=min(lengths), stride=7, what="all", fix="wait")
    found = [(span.take, start) for _, span, start in (places[i] for i in range(len(places)))]
    assert found == [
        (span.take, start)
        for (_, span), length in zip(takes, lengths)
        for start in range(0, length - min(lengths) + 1, 7)
    ]
    assert places[-1] == places[len(places) - 1]
    with pytest.raises(IndexError, match=f"window {len(places)} of {len(places)}"):
        places[len(places)]
    with pytest.raises(InputError, match="need 100000 for a window; wait"):
        windows.Places(takes, window=100_000, stride=1, what="all", fix="wait")


def test_numbers_are_those_of_the_list(folder):
    _, span = windows.takes_of(open_shards(folder), None)[0]
    assert windows.numbers_of(span, ["x", span.actor_b]) == [-1, 1]
