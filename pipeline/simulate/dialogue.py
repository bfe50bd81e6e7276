"""Who says what when.

In: an actor's sentences as utterances. Out: turns with times on the take's clock. Turns alternate; between
them lies a gap, now and then a small overlap, so that one of the two speaks for 60 to 75 % of the time.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.simulate.speech import RATE, Utterance

SHORTEST_SENTENCE = 1.2
OVERLAP_SHARE = 0.2


@dataclass(frozen=True)
class Turn:
    """One utterance of actor 0 or 1, from `start` seconds on."""

    actor: int
    start: float
    utterance: Utterance


def sentences() -> list[str]:
    """The sentences that actors can say, one per line of dialogue.txt."""
    return Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()


def draw_sentences(seconds: float, rng: np.random.Generator) -> list[list[str]]:
    """Sentences for both actors, enough for `seconds`, none said twice before all were said."""
    pool, count = sentences(), math.ceil(seconds / SHORTEST_SENTENCE / 2) + 2
    rounds = [rng.permutation(len(pool)) for _ in range(math.ceil(2 * count / len(pool)))]
    order = np.concatenate(rounds)[: 2 * count]
    return [[pool[i] for i in order[k::2]] for k in range(2)]


def place(
    utterances: list[list[Utterance]], start: float, stop: float, rng: np.random.Generator
) -> list[Turn]:
    """Turns of both actors between `start` and `stop` seconds, starting on whole samples of the clock.

    Each actor says the own utterances in order, and towards the end the first that still fits.
    """
    share = rng.uniform(0.64, 0.74)
    actor, left = int(rng.integers(2)), [list(row) for row in utterances]
    turns: list[Turn] = []
    time, owed = start + rng.uniform(0.2, 0.7), 0.0
    while True:
        at = round(time * RATE) / RATE
        fits = [i for i, utterance in enumerate(left[actor]) if at + utterance.seconds <= stop]
        if not fits:
            return turns
        utterance = left[actor].pop(fits[0])
        turns.append(Turn(actor, at, utterance))
        gap = utterance.seconds * (1 / share - 1) * rng.uniform(0.6, 1.4) + owed
        overlap, shift = rng.uniform(0.15, 0.45), rng.random() < OVERLAP_SHARE
        pause = -overlap if shift else gap
        owed = gap - pause
        time = at + utterance.seconds + pause
        if shift or rng.random() < 0.8:
            actor = 1 - actor  # otherwise the same actor goes on
