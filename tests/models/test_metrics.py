"""Metrics against what the public reference code gives on seeded inputs, and against bad arrays."""

import hashlib

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from models import metrics
from pipeline.errors import InputError


def sha(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array, "<f8").tobytes()).hexdigest()[:16]


def face_case():
    rng = np.random.default_rng(10)
    template = rng.standard_normal((200, 3))
    real = template + 0.05 * rng.standard_normal((30, 200, 3))
    predicted = real + 0.02 * rng.standard_normal((30, 200, 3))
    return template, real, predicted, np.arange(10, 40), np.arange(100, 160)


def test_body_metrics_equal_the_reference():
    rng = np.random.default_rng(0)
    generated = rng.standard_normal((5, 4, 104, 600))
    real = rng.standard_normal((4, 104, 600)) * 1.2 + 0.1
    assert sha(generated) == "52a0b23e78fadfca"
    assert sha(np.repeat(real[None], 5, 0)) == "c0533be8bcaf5b81"
    got = metrics.body_metrics(generated.swapaxes(2, 3), real.swapaxes(1, 2), rng=np.random.RandomState(0))
    want = {
        "FD_g": 6.7637445,
        "FD_k": 13.263263,
        "Div_g": 14.38382,
        "Div_k": 0.99822481,
        "Div_sample": 0.79948754,
    }
    assert {k: got[k] for k in want} == pytest.approx(want, rel=1e-7)
    assert got["num_pairs"] == 10_000 and got["num_rows"] == 12_000


def test_body_metrics_of_moving_bodies_equal_the_reference():
    """Correlated walks of rank 20 of 104, as main() of audio2photoreal's utils/eval.py (449761e) has them.

    Its general root of a singular product errs by 1.3e-7 of FD_g and 1e-6 of FD_k; in the 20 directions that
    move, where nothing is singular, both are what is wanted here.
    """
    rng = np.random.default_rng(30)
    mix = rng.standard_normal((104, 20)) @ rng.standard_normal((20, 104)) / 40

    def walk(*shape):
        steps = rng.standard_normal((*shape, 104, 600))
        return np.einsum("ij,...jt->...ti", mix, np.cumsum(steps, -1) * 0.05)

    generated, real = walk(5, 4), walk(4) * 1.3 + 0.05
    got = metrics.body_metrics(generated, real, rng=np.random.RandomState(4))
    want = {"Div_g": 14.095640498357609, "Div_k": 0.33718050751922, "Div_sample": 0.8638016349687749}
    assert {k: got[k] for k in want} == pytest.approx(want, rel=1e-10)
    public = {"FD_g": 95.4685267511135, "FD_k": 0.030080009034074716}
    assert {k: got[k] for k in public} == pytest.approx(public, rel=1.5e-6)
    moves = np.linalg.svd(mix)[0][:, :20]
    drift = (generated.mean((0, 1, 2)) - real.mean((0, 1))) @ moves
    rest = np.square(generated.mean((0, 1, 2)) - real.mean((0, 1))).sum() - drift @ drift
    own, true = (np.cov(values.reshape(-1, 104) @ moves, rowvar=False) for values in (generated, real))
    true = true * (1 - 1 / 2400) / (1 - 1 / 12000)  # real rows count five times
    root = np.sqrt(np.linalg.eigvals(own @ true).real).sum()
    exact = drift @ drift + rest + np.trace(own) + np.trace(true) - 2 * root
    assert got["FD_g"] == pytest.approx(exact, rel=1e-10)


def test_other_readings_are_their_definitions():
    x = np.random.default_rng(12).standard_normal((3, 4, 9, 5)).cumsum(2)
    real = x[0] * 0.9

    def found(**reading):
        given = metrics.Reading(**reading)
        return metrics.body_metrics(x, real, rng=np.random.RandomState(1), num_pairs=30, reading=given)

    code, steps = found(), np.diff(x, axis=2)
    assert found(rate=30)["FD_k"] == pytest.approx(900 * code["FD_k"])
    assert found(rate=30) | {"FD_k": code["FD_k"]} == code
    assert found(div_k="deviation")["Div_k"] == pytest.approx(x.std(2).mean())
    assert found(div_sample="deviation")["Div_sample"] == pytest.approx(x.std(0).mean())
    apart = [np.linalg.norm(x[i] - x[j], axis=-1).mean() for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found(div_sample="distance")["Div_sample"] == pytest.approx(np.mean(apart))
    rng = np.random.RandomState(1)
    for name, rows in (("Div_g", x.reshape(-1, 5)), ("Div_k", steps.reshape(-1, 5) * 30)):
        one, two = (rows[rng.choice(len(rows), 30, replace=False)] for _ in range(2))
        drawn = found(div_k="distance", rate=30)[name]
        assert drawn == pytest.approx(np.linalg.norm(one - two, axis=1).mean()), name
    inside = found(pairs="window", div_k="distance")
    for name, windows in (("Div_g", x.reshape(12, 9, 5)), ("Div_k", steps.reshape(12, 8, 5))):
        count = windows.shape[1]
        every = [w[i] - w[j] for w in windows for i in range(count) for j in range(i)]
        assert inside[name] == pytest.approx(np.linalg.norm(every, axis=1).mean()), name
    assert inside["FD_g"] == code["FD_g"] and inside["Div_sample"] == code["Div_sample"]
    one = metrics.body_metrics(x[:1], real, rng=rng, reading=metrics.Reading(div_sample="distance"))
    assert one["Div_sample"] == 0


def test_frechet_distance_and_pairs_equal_the_reference():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2000, 16))
    y = rng.standard_normal((1500, 16)) @ np.diag(np.linspace(0.5, 1.5, 16)) + np.linspace(-1, 1, 16)
    assert (sha(x), sha(y)) == ("ca86253877e4a238", "a4d0b34e5e7ffb7b")
    assert metrics.frechet_distance(y, x) == pytest.approx(7.5116237, rel=1e-7)
    assert metrics.frechet_distance(x, y) == pytest.approx(metrics.frechet_distance(y, x), rel=1e-9)
    pairs = metrics.body_metrics(x[None, None], x[None], rng=np.random.RandomState(3), num_pairs=1000)
    assert pairs["Div_g"] == pytest.approx(5.5830475, rel=1e-7)


def test_frechet_of_moments_equals_the_reference():
    got = metrics.frechet_of_moments(
        np.zeros(8), np.diag(np.arange(1.0, 9)), np.ones(8), np.diag(np.arange(8.0, 0, -1))
    )
    assert got == pytest.approx(18.860555, rel=1e-7)


def test_frechet_distance_of_singular_sets():
    x = np.random.default_rng(4).standard_normal((5, 30))  # fewer rows than channels
    assert metrics.frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(x, x + 2) == pytest.approx(4 * 30, rel=1e-6)


def test_face_metrics_equal_the_reference():
    template, real, predicted, lips, upper = face_case()
    assert metrics.lip_vertex_error(predicted, real, lips) == pytest.approx(0.0040988141, rel=1e-7)
    assert metrics.lip_vertex_error(predicted, real, lips, squared=False) == pytest.approx(
        0.063299836, rel=1e-7
    )
    assert metrics.face_dynamics_deviation(predicted, real, template, upper) == pytest.approx(
        -0.0011938794, rel=1e-7
    )
    assert metrics.face_dynamics_deviation(predicted, real, template, upper, squared=False) == pytest.approx(
        -0.003125612, rel=1e-6
    )


def test_face_dynamics_deviation_is_positive_for_a_still_prediction():
    template, real, _, _, upper = face_case()
    still = np.broadcast_to(template, real.shape)
    assert metrics.face_dynamics_deviation(still, real, template, upper) > 0


def test_regions_may_be_masks():
    template, real, predicted, lips, _ = face_case()
    mask = np.zeros(200, bool)
    mask[lips] = True
    assert metrics.lip_vertex_error(predicted, real, mask) == metrics.lip_vertex_error(predicted, real, lips)


def test_windows_may_differ_in_length():
    """Every frame counts alike: a window that is cut in two gives the same frames, and one step less."""
    x = np.random.default_rng(8).standard_normal((2, 3, 8, 4))
    real = x[0] * 0.9
    want = metrics.body_metrics(x, real, rng=np.random.default_rng(0))
    as_lists = metrics.body_metrics([list(sample) for sample in x], list(real), rng=np.random.default_rng(0))
    assert as_lists == want
    made = [[*sample[:2], sample[2, :6]] for sample in x]
    got = metrics.body_metrics(made, [*real[:2], real[2, :6]], rng=np.random.default_rng(0))
    rows = [np.concatenate(sample) for sample in made]
    assert got["num_rows"] == 2 * (8 + 8 + 6)
    assert got["FD_g"] == pytest.approx(
        metrics.frechet_distance(
            np.concatenate(rows), np.tile(np.concatenate([*real[:2], real[2, :6]]), (2, 1))
        )
    )
    assert got["Div_k"] == pytest.approx(
        np.mean([np.average([w.var(0).mean() for w in sample], weights=[8, 8, 6]) for sample in made])
    )
    assert got["Div_sample"] == pytest.approx(np.stack(rows).var(0).mean())


def test_wasserstein_distance():
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=70), rng.normal(0.5, 2, 45)
    assert metrics.wasserstein(x, y) == pytest.approx(wasserstein_distance(x, y), rel=1e-12)
    assert metrics.wasserstein(x, x + 3) == pytest.approx(3) and metrics.wasserstein(x, x[::-1]) == 0
    assert metrics.wasserstein(np.zeros(5), np.array([2.0])) == 2


def test_spread_is_that_of_the_data_however_many_samples():
    rng, std = np.random.default_rng(11), np.array([0.1, 4.0])
    for count in (2, 7):
        samples = rng.normal(0, std, (count, 20_000, 2))
        assert metrics.sample_spread(samples, std) == pytest.approx(1, abs=0.03)


def test_acceleration_is_per_second_squared():
    for fps in (30, 120):
        seconds = np.arange(50) / fps
        assert np.allclose(metrics.acceleration(seconds[:, None] ** 2, fps=fps), 2)


def test_fewer_rows_than_pairs_uses_all_rows_and_says_so():
    x = np.random.default_rng(5).standard_normal((2, 3, 8, 4))
    got = metrics.body_metrics(x, x[0], rng=np.random.default_rng(0))
    assert got["num_pairs"] == got["num_rows"] == 48
    assert got["Div_g"] > 0


def test_one_deterministic_sample_has_no_sample_diversity():
    x = np.random.default_rng(6).standard_normal((1, 3, 8, 4))
    got = metrics.body_metrics(x, x[0], rng=np.random.default_rng(0))
    assert got["Div_sample"] == 0
    assert got["FD_g"] == pytest.approx(0, abs=1e-9) and got["FD_k"] == pytest.approx(0, abs=1e-9)


def test_the_arguments_are_left_alone():
    x = np.random.default_rng(7).standard_normal((2, 3, 8, 4))
    before = x.copy()
    metrics.body_metrics(x, x[0], rng=np.random.default_rng(0))
    assert np.array_equal(x, before)


GOOD = np.zeros((3, 4))
WITH_NAN = np.array([[0.0, 1.0], [np.nan, 1.0], [2.0, 1.0]])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: metrics.frechet_distance(GOOD[:1], GOOD), "got 1 rows, need 2"),
        (lambda: metrics.frechet_distance(GOOD, GOOD[:0]), "got 0 rows, need 2"),
        (lambda: metrics.frechet_distance(WITH_NAN, WITH_NAN), "1 of 6 values that are NaN"),
        (lambda: metrics.frechet_distance(GOOD, GOOD[:, :2]), "got rows of 4 and 2 values"),
        (lambda: metrics.frechet_distance(GOOD[0], GOOD), "need 2 axes"),
        (
            lambda: metrics.body_metrics(np.zeros((1, 2, 5, 3)), np.zeros((2, 4, 3)), rng=None),
            "need \\(S, Q, T, D\\)",
        ),
        (
            lambda: metrics.body_metrics(np.zeros((1, 2, 1, 3)), np.zeros((2, 1, 3)), rng=None),
            "2 or more frames",
        ),
        (
            lambda: metrics.body_metrics(np.full((1, 2, 5, 3), np.inf), np.zeros((2, 5, 3)), rng=None),
            "30 of 30 values",
        ),
        (lambda: metrics.body_metrics([[GOOD]], [GOOD, GOOD], rng=None), "need one or more samples of"),
        (lambda: metrics.body_metrics([], [], rng=None), "need one or more samples of"),
        (lambda: metrics.body_metrics([[GOOD[:1]]], [GOOD[:1]], rng=None), "2 or more frames"),
        (lambda: metrics.wasserstein(np.zeros(0), np.zeros(3)), "got 0 and 3 values"),
        (lambda: metrics.wasserstein(WITH_NAN[:, 0], np.zeros(3)), "1 of 3 values"),
        (lambda: metrics.sample_spread(np.zeros((1, 5, 3)), np.ones(3)), "got 1 samples, need 2"),
        (lambda: metrics.lip_vertex_error(np.zeros((2, 5, 3)), np.zeros((3, 5, 3)), [0]), "need the same"),
        (lambda: metrics.lip_vertex_error(np.zeros((2, 5, 3)), np.zeros((2, 5, 3)), [5]), "need 0 to 4"),
        (lambda: metrics.lip_vertex_error(np.zeros((2, 5, 3)), np.zeros((2, 5, 3)), []), "vertex indices"),
        (
            lambda: metrics.face_dynamics_deviation(
                np.zeros((2, 5, 3)), np.zeros((2, 5, 3)), np.zeros((4, 3)), [0]
            ),
            "template",
        ),
    ],
)
def test_bad_arrays_are_named(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_the_largest_jump_is_that_of_the_seams():
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(0, 0.01, (1001, 3)), 0)
    steps = np.sqrt(np.square(np.diff(values, axis=0)).mean(1))
    largest, others = metrics.largest_jump(values, [500])
    assert largest == max(steps[499], steps[500])
    assert others == pytest.approx(np.quantile(np.delete(steps, [499, 500]), 0.999))
    values[500:] += 1
    largest, same = metrics.largest_jump(values, [500])
    assert largest > 0.9 and same == pytest.approx(others)
    for seams in ([], [1001], [0]):
        with pytest.raises(metrics.ArrayError, match="need some of them"):
            metrics.largest_jump(values, seams)
