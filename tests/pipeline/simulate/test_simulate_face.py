"""Heads and what faces do."""

import numpy as np
import pytest

from pipeline.formats.arkit import NAMES
from pipeline.simulate.dialogue import Turn
from pipeline.simulate.face import INDEX, evaluate_face, plan_face
from pipeline.simulate.head import EYE, MOUTH, make_head
from pipeline.simulate.speech import Phoneme, Utterance
from pipeline.simulate.visemes import VISEMES


def talk(sounds: list[str], seconds: float = 0.12) -> list[Turn]:
    """One turn that says `sounds`, each as long."""
    phonemes = [Phoneme(ipa, i * seconds, (i + 1) * seconds, 0, False) for i, ipa in enumerate(sounds)]
    return [Turn(0, 10.0, Utterance("x", ["x"], np.zeros(1), phonemes))]


def plan(turns, seed: int = 0, emotion: str = "Joy"):
    return plan_face(turns, emotion, 9.0, 30.0, np.random.default_rng(seed))


def lip_gap(head, weights: np.ndarray) -> np.ndarray:
    """Distance (N,) between the middles of the two lips at the slit, cm."""
    places, counts = np.unique(head.neutral.round(4), axis=0, return_counts=True)
    slit = places[counts == 2]
    middle = slit[np.abs(slit[:, 0]).argmin()]
    pair = np.flatnonzero(np.abs(head.neutral - middle).max(1) < 1e-3)
    assert len(pair) == 2
    moved = np.einsum("nk,kvc->nvc", weights, head.deltas[:, pair])
    return np.linalg.norm(moved[:, 0] - moved[:, 1], axis=1)


@pytest.mark.parametrize("num_vertices", [500, 1500, 6000])
def test_shapes_are_independent_and_heads_have_about_the_vertices_asked_for(num_vertices):
    head = make_head("001", num_vertices)
    assert abs(len(head.neutral) / num_vertices - 1) < 0.1
    assert head.deltas.shape == (51, len(head.neutral), 3)
    assert head.faces.shape[1] == 4 and set(np.unique(head.faces)) == set(range(len(head.neutral)))
    assert np.linalg.cond(head.deltas.reshape(51, -1).astype(float)) < 200


def test_small_heads_still_have_independent_shapes():
    head = make_head("002", 200)
    assert np.linalg.cond(head.deltas.reshape(51, -1).astype(float)) < 500


def test_shapes_are_local():
    head = make_head("003", 1500)
    x, y, z = head.neutral.T
    size = np.linalg.norm(head.deltas, axis=2)
    assert np.all(size[:, z < -1] == 0)
    for name, moved in zip(NAMES, size, strict=True):
        top = moved > 0.5 * moved.max()
        if name.startswith(("mouth", "jaw")):
            assert y[top].max() < -1.5, name
        if name.startswith("brow"):
            assert y[top].min() > 2.5, name
        if name.startswith("eye"):
            away = np.hypot(np.abs(x[top]) - EYE[0], y[top] - EYE[1])
            assert away.max() < 2.6, name
        if not name.startswith("jaw"):
            assert (moved > 0.01).mean() < 0.35, name


def test_left_is_the_actors_left():
    head = make_head("001", 1500)
    size = np.linalg.norm(head.deltas, axis=2)
    for name, moved in zip(NAMES, size, strict=True):
        centre = (moved * head.neutral[:, 0]).sum() / moved.sum()
        if name.endswith("Left") and name not in ("jawLeft", "mouthLeft"):
            assert centre > 0.5, name
        elif name.endswith("Right") and name not in ("jawRight", "mouthRight"):
            assert centre < -0.5, name
    for name, sign in (("jawLeft", 1), ("mouthLeft", 1), ("jawRight", -1), ("mouthRight", -1)):
        assert sign * head.deltas[INDEX[name], :, 0].sum() > 0
    assert head.deltas[INDEX["jawOpen"], :, 1].sum() < 0
    assert head.deltas[INDEX["mouthSmileLeft"], :, 1].sum() > 0


def test_heads_differ_between_actors_and_not_between_calls():
    a, b = make_head("001", 800), make_head("002", 800)
    assert np.array_equal(a.neutral, make_head("001", 800).neutral)
    assert 0.1 < np.sqrt(np.mean((a.neutral - b.neutral) ** 2)) < 2


def test_mouth_close_shuts_an_open_jaw():
    head = make_head("001", 3000)
    weights = np.zeros((3, 51))
    weights[1:, INDEX["jawOpen"]] = 0.6
    weights[2, INDEX["mouthClose"]] = 0.6
    gap = lip_gap(head, weights)
    assert gap[0] == 0 and gap[1] > 1.0 and gap[2] < 0.2 * gap[1]
    assert (
        abs(head.neutral[np.linalg.norm(head.deltas[INDEX["mouthClose"]], axis=1).argmax(), 1] - MOUTH[1])
        < 1.0
    )


@pytest.mark.parametrize("stop", ["p", "b", "m"])
def test_plosives_close_the_lips_between_open_vowels(stop):
    head = make_head("002", 3000)
    weights = evaluate_face(
        plan(talk(["ɑː", stop, "ɑː", "t", "ɑː"])), 10 + 0.12 * np.array([0.5, 1.5, 2.5, 3.5, 4.5])
    )
    gap = lip_gap(head, weights)
    assert gap[1] < 0.15 * gap[[0, 2]].min()
    assert gap[3] > 2 * gap[1]
    assert weights[1, INDEX["mouthPressLeft"]] > 0.2


def test_vowels_differ_as_lips_do():
    middle = 10 + 0.2 * np.array([0.5])
    shown = {v: evaluate_face(plan(talk([v], 0.2)), middle)[0] for v in ("ɑː", "iː", "uː")}
    assert shown["ɑː"][INDEX["jawOpen"]] > 2 * shown["iː"][INDEX["jawOpen"]]
    assert shown["uː"][INDEX["mouthPucker"]] > 0.3 > shown["ɑː"][INDEX["mouthPucker"]]
    assert shown["iː"][INDEX["mouthStretchLeft"]] > shown["uː"][INDEX["mouthStretchLeft"]] + 0.1


@pytest.mark.parametrize("emotion", ["Joy", "Anger", "Surprise", "Boredom", "Calmness"])
def test_weights_are_in_range_smooth_and_all_alive(emotion):
    sounds = ["ɑː", "m", "iː", "f", "uː", "s", "ʃ", "w", "p", "æ", "oʊ", "l"] * 10
    times = np.arange(9.0, 30.0, 1 / 60)
    weights = evaluate_face(plan(talk(sounds), emotion=emotion), times)
    assert weights.shape == (len(times), 51) and weights.min() >= 0 and weights.max() <= 1
    assert np.all(weights.std(0) > 1e-3)
    assert np.abs(np.diff(weights, axis=0)).max() < 0.6
    assert (weights[:, INDEX["eyeBlinkLeft"]] > 0.8).any()


def test_weights_do_not_depend_on_the_times_asked_for():
    own = plan(talk(["m", "ɑː", "t"] * 20))
    times = np.arange(9.0, 20.0, 1 / 60)
    assert np.allclose(evaluate_face(own, times)[::2], evaluate_face(own, times[::2]), atol=1e-12)


def test_emotions_show():
    times = np.arange(15.0, 30.0, 0.1)
    smile = {
        e: evaluate_face(plan(talk(["m"]), emotion=e), times)[:, INDEX["mouthSmileLeft"]].mean()
        for e in ("Joy", "Sadness")
    }
    assert smile["Joy"] > smile["Sadness"] + 0.1


def test_visemes_name_known_shapes():
    for shapes in VISEMES.values():
        assert set(shapes) <= set(NAMES) and all(0 < w <= 1 for w in shapes.values())
        assert all(name.replace("Left", "Right") in shapes for name in shapes)
