"""Lips on heads whose lips are known, and closures that are counted by hand."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from models import lips
from models.lips import Closures, closures, gap_of, shut_below
from pipeline.formats.arkit import NAMES
from pipeline.formats.rig_file import Rig
from pipeline.simulate.head import make_head


@cache
def rig(num_vertices: int = 600) -> Rig:
    head = make_head("003", num_vertices)
    return Rig(head.neutral, head.deltas, head.faces)


def weights(**named: float) -> np.ndarray:
    face = np.zeros((1, 51))
    for name, value in named.items():
        face[0, [i for i, shape in enumerate(NAMES) if shape.startswith(name)]] = value
    return face


def test_the_gap_lies_in_the_middle_between_the_lips():
    head = rig(6000)
    upper, lower = gap_of(head).pairs.T
    assert np.abs(head.neutral[upper, 0]).max() < 2 and len(upper) == lips.NUM_PAIRS
    np.testing.assert_allclose(head.neutral[upper], head.neutral[lower], atol=1e-6)  # the slit of this head


@pytest.mark.parametrize("num_vertices", [200, 600, 6000])
def test_the_gap_opens_and_closes_as_lips_do(num_vertices):
    gap = gap_of(rig(num_vertices))
    rest, wide = gap.of(weights())[0], gap.of(weights(jawOpen=1))[0]
    assert wide - rest > 1.5
    assert gap.of(weights(jawOpen=1, mouthClose=1))[0] - rest < 0.15 * (wide - rest)
    assert gap.of(weights(mouthUpperUp=1))[0] > rest < gap.of(weights(mouthLowerDown=1))[0]
    for name in ("mouthRoll", "mouthPress", "browDown", "mouthSmile"):
        assert abs(gap.of(weights(**{name: 1}))[0] - rest) < 0.15 * (wide - rest), name


def test_the_gap_is_that_of_the_mesh():
    head, gap = rig(), gap_of(rig())
    face = np.random.default_rng(0).random((5, 51))
    mesh = head.neutral + np.einsum("tk,kvc->tvc", face, head.deltas)
    across = (mesh[:, gap.pairs[:, 0]] - mesh[:, gap.pairs[:, 1]]).mean(1)
    np.testing.assert_allclose(across[:, 1], gap.of(face), atol=0.05)  # this head's lips part upwards


def test_a_turned_and_larger_head_has_the_same_lips():
    turn = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    head = rig()
    moved = replace(head, neutral=3 * head.neutral @ turn + 7, deltas=3 * head.deltas @ turn)
    one, other = gap_of(head), gap_of(moved)
    assert np.array_equal(one.pairs, other.pairs)
    np.testing.assert_allclose(other.per_weight, 3 * one.per_weight, atol=1e-5)


def test_shapes_that_move_the_other_lip_a_little_do_not_matter():
    head = rig()
    deltas = head.deltas.copy()
    for side in ("Left", "Right"):
        up, down = NAMES.index(f"mouthUpperUp{side}"), NAMES.index(f"mouthLowerDown{side}")
        deltas[up] += 0.8 * head.deltas[down]
        deltas[down] += 0.8 * head.deltas[up]
    assert np.array_equal(gap_of(replace(head, deltas=deltas)).pairs, gap_of(head).pairs)


def test_a_rig_without_lips_has_no_gap():
    head = rig()
    for name in ("mouthUpperUp", "mouthLowerDown", "jawOpen"):
        deltas = head.deltas.copy()
        deltas[[i for i, shape in enumerate(NAMES) if shape.startswith(name)]] = 0
        assert gap_of(replace(head, deltas=deltas)) is None, name


def test_lips_are_shut_low_in_the_actors_own_range():
    gaps = np.linspace(0, 2, 1001)
    assert shut_below(gaps) == pytest.approx(0.04 + 0.15 * 1.92)
    assert shut_below(3 * gaps + 1) == pytest.approx(1 + 3 * shut_below(gaps))


def shut_in(*frames: int, count: int = 60) -> np.ndarray:
    shut = np.zeros(count, bool)
    shut[list(frames)] = True
    return shut


SAID = [("AH", 0.5, 0.7), ("P", 0.7, 0.8), ("IY", 0.8, 1.1), ("M", 1.1, 1.2)]
"""P at 0.75 s, frame 22.5; M at 1.15 s, frame 34.5. Sounds last from frame 15 to frame 36."""


def test_closures_are_found_at_their_instants():
    assert closures(shut_in(22, 35), SAID) == Closures(instants=2, closed=2, frames=11, shut=0)
    assert closures(shut_in(21), SAID).closed == closures(shut_in(24), SAID).closed == 1
    assert closures(shut_in(20), SAID).closed == closures(shut_in(25), SAID).closed == 0


def test_shut_lips_elsewhere_are_false_while_something_is_said():
    # frames 20 to 25 and 32 to 36 are near P and M
    assert closures(shut_in(*range(60)), SAID) == Closures(instants=2, closed=2, frames=11, shut=11)
    assert closures(shut_in(14, 20, 25, 32, 37), SAID).shut == 0
    assert closures(shut_in(15, 19, 26, 31), SAID).shut == 4


def test_what_is_said_after_the_last_frame_does_not_count():
    assert closures(shut_in(count=30), SAID) == Closures(instants=1, closed=0, frames=9, shut=0)
    assert closures(shut_in(), []) == Closures(0, 0, 0, 0)
