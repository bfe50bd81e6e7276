"""Two people who talk with each other, without files, bodies and heads.

Faces and dry voices of a simulated conversation.
"""

from functools import cache

import numpy as np

from pipeline.motion.clock import FPS
from pipeline.simulate.dialogue import draw_sentences, place
from pipeline.simulate.face import evaluate_face, plan_face
from pipeline.simulate.speech import RATE, speak

ACTORS = ("001", "002")


@cache
def talk(seed: int, seconds: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """ARKit weights (N, 51) at 30 fps and voices (S,) at 48 kHz of two actors, read only."""
    rng = np.random.default_rng(seed)
    sentences = draw_sentences(seconds, rng)
    said = [
        speak(texts, actor, int(rng.integers(1, 2**31)))
        for texts, actor in zip(sentences, ACTORS, strict=True)
    ]
    turns = place(said, 0.0, seconds, rng)
    times = np.arange(int(seconds * FPS)) / FPS
    faces, voices = [], []
    for k in range(2):
        own = [turn for turn in turns if turn.actor == k]
        faces.append(evaluate_face(plan_face(own, "Joy", 0.0, seconds, rng), times))
        voice = 1e-4 * rng.standard_normal(round(seconds * RATE))
        for turn in own:
            at = round(turn.start * RATE)
            voice[at : at + len(turn.utterance.samples)] += turn.utterance.samples
        voices.append(voice)
    return faces, voices


def late(voice: np.ndarray, seconds: float) -> np.ndarray:
    """A voice (S,) at 48 kHz that comes `seconds` later, as long as it was."""
    by = round(seconds * RATE)
    return (
        np.concatenate([np.zeros(by), voice[: len(voice) - by]])
        if by >= 0
        else np.concatenate([voice[-by:], np.zeros(-by)])
    )
