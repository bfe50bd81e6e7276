"""What two are asked to do: words, spans of seconds, files, and what of them cannot be."""

import numpy as np
import pytest

from models.asked_actions import asked_actions, spans_of
from pipeline.errors import InputError


def test_one_value_is_for_both_and_two_are_for_each():
    assert asked_actions(None, 4).tolist() == [[2, 2]] * 4
    assert asked_actions(["sit"], 3).tolist() == [[0, 0]] * 3
    assert asked_actions(["walk", "stand"], 2).tolist() == [[1, 2]] * 2


def test_spans_of_seconds_between_which_one_stands():
    found = asked_actions(["sit:0-1,walk:1-1.5,sit:2-9", "walk:0.5-1"], 90)
    first = np.r_[np.zeros(30), np.ones(15), np.full(15, 2), np.zeros(30)]
    second = np.r_[np.full(15, 2), np.ones(15), np.full(60, 2)]
    assert np.array_equal(found, np.stack([first, second], 1)) and found.dtype == np.uint8


def test_labels_as_a_value_give_the_labels_again():
    rng = np.random.default_rng(0)
    for frames in (1, 7, 1201):
        labels = np.repeat(rng.integers(0, 3, frames), rng.integers(1, 9, frames))[:frames].astype(np.uint8)
        assert np.array_equal(asked_actions([spans_of(labels)], frames)[:, 0], labels)
    assert spans_of(np.ones(5, np.uint8)) == "walk"


def test_labels_of_a_file(tmp_path):
    labels = np.array([0, 1, 2, 1, 0], np.uint8)
    np.save(tmp_path / "a.npy", labels)
    found = asked_actions([str(tmp_path / "a.npy"), "sit"], 4)
    assert found.tolist() == [[0, 0], [1, 0], [2, 0], [1, 0]]
    with pytest.raises(
        InputError, match="a.npy: got 5 frames of labels, need the take's 6; give a longer file"
    ):
        asked_actions([str(tmp_path / "a.npy")], 6)
    for odd in (labels.astype(float), labels[None], labels + 1):
        np.save(tmp_path / "odd.npy", odd)
        with pytest.raises(InputError, match="odd.npy: got .*, need uint8 .T,. of 0 sit, 1 walk, 2 stand"):
            asked_actions([str(tmp_path / "odd.npy")], 4)


@pytest.mark.parametrize(
    "value, message",
    [
        ("fly", "--actions: got 'fly'; need sit, walk or stand, spans"),
        ("fly:0-5", "--actions: got 'fly:0-5'; need"),
        ("sit:0-5,walk", "--actions: got 'walk'; need"),
        ("sit:5-0", "--actions: got sit:5-0 after 0 s, need spans one after the other"),
        ("sit:1-1.01", "--actions: got sit:1-1.01 after 0 s, .* each of a frame of 1/30 s or more"),
        ("sit:0-2,walk:1-3", "--actions: got walk:1-3 after 2 s"),
        ("sit:0-1,walk:3-4", "--actions: got walk:3-4, and the take ends at 3.00 s; leave that span out"),
    ],
)
def test_what_cannot_be_asked(value, message):
    with pytest.raises(InputError, match=message):
        asked_actions([value], 90)


def test_three_values_are_too_many():
    with pytest.raises(InputError, match="--actions: got 3 values, need one for both or one for each"):
        asked_actions(["sit"] * 3, 9)
