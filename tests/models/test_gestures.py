"""Hands that beat with a voice are told from hands that beat at other times, and from hands that rest."""

import numpy as np
import pytest

from models import gestures, scores
from models.tally import Tally
from pipeline.motion.skeleton import forward_kinematics
from pipeline.simulate.figure import Figure
from pipeline.simulate.motion import animate, plan_manner
from pipeline.simulate.script import plan_scripts

FRAMES = 900
ACCENTS = np.arange(30, 880, 37)
"""Frames; neither regular in seconds nor near each other."""


def voice(accents, seed=0, frames=FRAMES):
    """A log-mel whose loudness has a bump at each accent, over noise that is as loud as a room."""
    time = np.arange(frames)
    loud = sum(6 * np.exp(-(((time - accent) / 2.5) ** 2)) for accent in accents)
    return -12 + loud[:, None] + np.random.default_rng(seed).normal(0, 0.3, (frames, 20))


def strokes(ends, frames=FRAMES, length=18, cm=25):
    """Places of a hand that goes there and back in strokes, each of which rests at one of `ends`."""
    place, side = np.zeros((frames, 3)), 1
    for end in ends:
        phase = np.clip((np.arange(frames) - (end - length)) / length, 0, 1)
        place[:, 1] += side * cm * (1 - np.cos(np.pi * phase)) / 2
        side = -side
    return place


def test_onsets_are_where_the_voice_grows_and_not_in_silence():
    onsets = gestures.voice_onsets(voice(ACCENTS))
    assert len(onsets) == len(ACCENTS)
    assert np.abs(onsets - ACCENTS).max() <= 3 and (onsets <= ACCENTS).all(), "just before the loudest"
    half = gestures.voice_onsets(voice(ACCENTS[ACCENTS < 450]))
    assert half.max() < 460, "noise in silence has none"
    assert len(gestures.voice_onsets(np.full((FRAMES, 20), -20.0))) == 0
    assert len(gestures.voice_onsets(voice(ACCENTS)[:2])) == 0


def test_beats_are_ends_of_strokes():
    hand, still = strokes(ACCENTS), np.zeros((FRAMES, 3))
    beats = gestures.hand_beats(still, hand)
    assert np.abs(beats[:, None] - ACCENTS).min(1).max() <= gestures.BEAT_FRAMES
    assert all(np.abs(beats - accent).min() <= 10 for accent in ACCENTS)
    assert len(gestures.hand_beats(still, still + [20, 100, 10])) == 0, "a hand that rests"
    walk = np.cumsum(np.full((FRAMES, 3), [3, 0, 1.0]), 0)
    assert np.array_equal(gestures.hand_beats(walk, walk + hand), beats), "walking is no gesture"
    trembling = 0.3 * np.random.default_rng(0).normal(size=(FRAMES, 3))
    assert len(gestures.hand_beats(still, trembling * 0.2)) == 0
    assert len(gestures.hand_beats(still[:2], hand[:2])) == 0


def test_scores_are_their_formulas():
    found = gestures.together(np.array([30, 100]), np.array([33, 300]), 600)
    near = [np.exp(-((3 / 30) ** 2) / (2 * 0.1**2)), np.exp(-((67 / 30) ** 2) / (2 * 0.1**2))]
    assert found.align == pytest.approx(np.mean(near))
    near = [np.exp(-((3 / 30) ** 2) / (2 * 0.3**2)), np.exp(-((200 / 30) ** 2) / (2 * 0.3**2))]
    assert found.consistency == pytest.approx(np.mean(near))
    assert (found.beats, found.onsets) == (2, 2)
    one = gestures.together(np.array([30]), np.array([30]), 600)
    assert one.align == one.consistency == 1 and one.align_chance < 0.01
    assert gestures.together(np.array([30]), np.zeros(0, int), 600) == (1, 0, None, None, None, None)
    assert gestures.together(np.array([3]), np.array([3]), 30).align_chance is None, "too short to shift"


def test_chance_is_what_beats_at_any_time_score():
    rng = np.random.default_rng(1)
    onsets = gestures.voice_onsets(voice(ACCENTS))
    random = [gestures.together(np.unique(rng.integers(0, FRAMES, 20)), onsets, FRAMES) for _ in range(40)]
    assert np.mean([own.align for own in random]) == pytest.approx(
        np.mean([own.align_chance for own in random]), abs=0.02
    )
    with_voice = gestures.together(
        gestures.hand_beats(np.zeros((FRAMES, 3)), strokes(ACCENTS)), onsets, FRAMES
    )
    off = gestures.together(gestures.hand_beats(np.zeros((FRAMES, 3)), strokes(ACCENTS + 18)), onsets, FRAMES)
    assert with_voice.align > with_voice.align_chance + 0.2 and off.align < off.align_chance
    assert with_voice.consistency > with_voice.consistency_chance and off.consistency < with_voice.consistency


def test_simulated_actors_beat_with_their_own_voices_more_than_with_others():
    """Their hands stop at stressed syllables, which also have the onsets of the voice."""
    gains, others = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        scripts = plan_scripts(0.0, 60.0, rng)
        stresses = np.concatenate([np.arange(a, b, 0.61) for a, b in ((2.3, 22), (31.3, 55))])
        stresses += rng.normal(0, 0.08, len(stresses))
        manner = plan_manner([(2.0, 22.0), (31.0, 55.0)], list(stresses), 0.0, 60.0, rng)
        motion = animate(Figure("001"), scripts[0], scripts[1], manner, 0.0, 60 * 120)
        motion = motion.frames(slice(None, None, 4))
        world = forward_kinematics(motion)[0]
        for shift, kept in ((0.05, gains), (0.35, others)):
            own = Tally()
            scores._gestures(motion, world, voice((stresses + shift) * 30, seed, 1800), own)
            kept.append(own.average("beat_align") - own.average("beat_align_chance"))
            assert own.average("beats_min") > 20
            assert (
                0 < own.average("beat_consistency_chance") < own.average("beat_consistency") < 1
                or kept is others
            )
    assert min(gains) > 0.07 and max(others) < 0.05
