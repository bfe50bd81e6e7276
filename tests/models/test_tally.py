"""Sums that add up: parts merge into the whole, and intervals are those of the textbook."""

import numpy as np
import pytest

from models import tally


def test_moments_of_parts_are_those_of_the_whole():
    rows = np.random.default_rng(0).normal(1e3, 1, (50, 4))  # far from 0, where sums of squares lose digits
    parts = [tally.Gaussian(rows[:7]), tally.Gaussian(rows[:0]), tally.Gaussian(rows[7:])]
    found = tally.Gaussian()
    for part in parts:
        found.merge(part)
    assert np.allclose(found.mean, rows.mean(0))
    assert np.allclose(found.covariance(), np.cov(rows.T), rtol=1e-9)
    repeated = np.cov(np.repeat(rows, 3, 0).T)
    assert np.allclose(found.covariance(repeats=3), repeated, rtol=1e-9)
    assert np.allclose(found.root(repeats=3) @ found.root(repeats=3), repeated, rtol=1e-9)
    found.merge(tally.Gaussian(rows))
    assert np.allclose(found.root() @ found.root(), np.cov(np.tile(rows, (2, 1)).T)), (
        "the root is kept no longer"
    )
    assert np.array_equal(tally.Gaussian(rows[:7]).scatter, parts[0].scatter), "parts are left alone"


def test_tallies_merge():
    one, two = tally.Tally(), tally.Tally()
    one.add_mean("a", 1.0, 30)
    two.add_mean("a", 5.0, 10)
    two.add_values("b", np.arange(4).reshape(2, 2))
    both = tally.merged([one, two, tally.Tally()])
    assert both.average("a") == 2.0 and both.average("c") is None
    assert both.distribution("b").tolist() == [0, 1, 2, 3] and one.distribution("b") is None
    assert one.average("a") == 1.0, "parts are left alone"


def test_pairs_are_those_of_rows_read_at_once():
    rows = np.random.default_rng(1).normal(size=(60, 3))
    pairs = tally.Pairs(60, 25, np.random.default_rng(2))
    for start, stop in ((40, 60), (0, 13), (13, 40)):
        pairs.add(start, rows[start:stop])
    first, second = pairs.drawn
    want = np.linalg.norm(rows[first] - rows[second], axis=1)
    assert pairs.distance() == pytest.approx(want.mean())
    chosen = first < 30
    assert pairs.distance(chosen, chosen) == pytest.approx(want[chosen].mean())
    assert pairs.distance(chosen, np.zeros(25, bool)) is None


def test_intervals():
    values = [3.0, 4.0, 8.0]
    # t with 2 degrees of freedom is 4.3027
    assert tally.half_width(values) == pytest.approx(4.302653 * np.std(values, ddof=1) / 3**0.5, rel=1e-6)
    left_out = [np.mean(values[:i] + values[i + 1 :]) for i in range(3)]
    assert tally.jackknife_half_width(left_out) == pytest.approx(tally.half_width(values), rel=1e-12)
    assert tally.half_width([1.0]) is None and tally.jackknife_half_width([]) is None


@pytest.mark.parametrize("score", [np.mean, np.var])
def test_an_interval_over_takes_holds_the_truth_as_often_as_it_says(score):
    """Of takes drawn at random, scored together, 95 % of the intervals hold the score of endless takes."""
    rng, held = np.random.default_rng(3), []
    for _ in range(300):
        takes = rng.normal(2, 1, (40, 1)) + rng.normal(0, 1, (40, 10))
        width = tally.jackknife_half_width([float(score(np.delete(takes, i, 0))) for i in range(40)])
        held.append(abs(float(score(takes)) - {np.mean: 2.0, np.var: 2.0}[score]) < width)
    assert 0.88 < np.mean(held) < 0.99
