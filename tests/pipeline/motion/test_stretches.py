import numpy as np

from pipeline.motion.stretches import runs, stretches


def test_stretches_reach_both_ends():
    assert stretches(np.array([1, 0, 1, 1], bool)).tolist() == [[0, 1], [2, 4]]
    assert stretches(np.zeros(3, bool)).shape == stretches(np.zeros(0, bool)).shape == (0, 2)


def test_runs_join_and_drop():
    mask = np.array([1, 1, 0, 1, 0, 0, 0, 1], bool)
    assert (
        runs(mask) == [(0, 2), (3, 4), (7, 8)]
        and runs(mask, join=1) == [(0, 4), (7, 8)]
        and runs(mask, least=2) == [(0, 2)]
    )
    assert runs(mask[:0]) == []
