"""Which takes a training is measured on, and what stands beside each of their windows."""

import numpy as np
import pytest

from models.data import Windows, actors_of, shards_of, takes_of
from models.watch import MOST_WINDOWS, Watched, left_out


class Span:
    def __init__(self, take, actor_a, actor_b):
        self.take, self.actor_a, self.actor_b = take, actor_a, actor_b


def takes(*pairs):
    return [(None, Span(f"take{i}", *pair)) for i, pair in enumerate(pairs)]


def test_a_share_of_the_takes_validates():
    many = takes(*[("001", "002"), ("002", "003"), ("001", "003")] * 10)
    assert left_out(many, 0.0, 0) == []
    chosen = left_out(many, 0.1, 0)
    assert len(chosen) == 3 and chosen == left_out(many, 0.1, 0) and chosen == sorted(chosen)
    assert any(left_out(many, 0.1, seed) != chosen for seed in range(1, 5))


def test_nobody_validates_who_is_not_learned_from():
    few = takes(("001", "002"), ("001", "002"), ("003", "004"))
    for seed in range(10):
        assert set(left_out(few, 0.5, seed)) <= {"take0", "take1"} and len(left_out(few, 0.9, seed)) <= 1
    assert left_out(takes(("001", "002")), 0.9, 0) == []


@pytest.fixture
def windows(shards):
    opened, _ = shards_of(shards)
    return lambda split, **more: Windows(
        opened, window=24, stride=4, streams=("face", "mel"), actors=actors_of(opened), split=split, **more
    )


def test_beside_each_window_stands_one_of_another_take(windows):
    train = windows("train")
    names = sorted({span.take for _, span in train.takes})
    for watched in (Watched(train, train), Watched(windows("train", names=names[:1]), train)):
        assert 1 <= len(watched.numbers) <= MOST_WINDOWS and len(watched.partners) == len(watched.numbers)
        for number, partner in zip(watched.numbers, watched.partners):
            assert watched.windows.places[number][1].take != watched.others.places[partner][1].take
        batches = list(watched.pairs("cpu"))
        assert sum(len(own["actors"]) for own, _ in batches) == len(watched.numbers)
        own, other = batches[0]
        assert own.keys() == other.keys() and own["mel"].shape == other["mel"].shape
        first = watched.windows.batch(watched.numbers[:1])
        assert np.array_equal(own["mel"][0].numpy(), first["mel"][0])


def test_windows_of_some_takes_only(windows, shards):
    opened, _ = shards_of(shards)
    names = [span.take for _, span in takes_of(opened, "train")]
    some = windows("train", names=names[1:])
    assert [span.take for _, span in some.takes] == names[1:] and len(some) < len(windows("train"))


def test_a_take_with_a_single_window_stands_beside_those_of_a_long_one(windows, monkeypatch):
    monkeypatch.setattr("models.watch.MOST_WINDOWS", 1)
    monkeypatch.setattr("models.watch._spread", lambda count, most=1: [0])
    test = windows("test")
    watched = Watched(test, windows("train"))
    (number,), (partner,) = watched.numbers, watched.partners
    assert test.places[number][1].take != watched.others.places[partner][1].take
