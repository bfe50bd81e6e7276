"""Labels of simulated takes against their truth, on takes that the defaults were not tuned on."""

import labels as benchmark
import numpy as np
import pytest

from pipeline.annotate.actions import SIT, STAND, WALK


@pytest.mark.parametrize("setting", ["30 fps", "metres", "legs 0.85 x", "1.4 x as fast", "other joint names"])
def test_labels_of_takes_that_were_not_tuned_on_agree_with_the_truth(setting):
    score = benchmark.score(setting, [31, 32], 40.0)
    assert score.macro_f1 >= 0.97 and score.facing >= 0.995
    assert np.median(score.border_frames) <= 3


def test_scores_are_those_of_the_definition():
    true, found = (
        np.array([SIT, SIT, WALK, WALK, STAND, STAND]),
        np.array([SIT, WALK, WALK, WALK, STAND, STAND]),
    )
    assert benchmark.f1_scores(found, true) == pytest.approx([2 / 3, 4 / 5, 1])
    assert benchmark.border_errors(found, true) == [1.0, 0.0]
    assert benchmark.border_errors(np.full(6, SIT), true) == [np.inf, np.inf]
