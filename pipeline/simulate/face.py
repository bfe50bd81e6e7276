"""What a face does: ARKit weights of a speaking, blinking, looking actor at any time.

In: turns (phonemes with times) and an emotion. Out: weights (N, 51) in [0, 1], pipeline.formats.arkit.NAMES
order. Phones blend by dominance (Cohen and Massaro 1993): each pulls the face towards its viseme with a
bell-shaped force around its middle, and the weights are the mean of all pulls, so that neighbouring sounds
colour each other.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.formats.arkit import NAMES
from pipeline.simulate.dialogue import Turn
from pipeline.simulate.noise import Drift, bump, drift, ease
from pipeline.simulate.visemes import CLASS_OF, CLOSURE, SIDES, STRENGTH, VISEMES, phones

INDEX = {name: i for i, name in enumerate(NAMES)}
REST = 0.25  # the pull of the resting mouth, which wins in silence
VOWELS = ("ah", "uh", "ae", "eh", "er", "ee", "oh", "oo")

_MOODS = {
    "happy": {"mouthSmile": 0.32, "cheekSquint": 0.18, "mouthDimple": 0.10},
    "sad": {"mouthFrown": 0.28, "browInnerUp": 0.32, "eyeSquint": 0.10},
    "angry": {"browDown": 0.42, "noseSneer": 0.22, "mouthPress": 0.12, "eyeSquint": 0.20},
    "afraid": {"browInnerUp": 0.36, "eyeWide": 0.28, "mouthStretch": 0.16},
    "surprised": {"browInnerUp": 0.30, "browOuterUp": 0.34, "eyeWide": 0.30},
    "dull": {"mouthFrown": 0.12, "eyeSquint": 0.20, "mouthShrugLower": 0.12},
    "calm": {"mouthSmile": 0.14, "mouthDimple": 0.06},
}
_MOOD_OF = {
    "Joy": "happy", "Amusement": "happy", "Excitement": "happy", "Admiration": "happy", "Adoration": "happy",
    "Romance": "happy", "Satisfaction": "happy", "Relief": "happy", "Sadness": "sad", "Pain": "sad",
    "Nostalgia": "sad", "Anger": "angry", "Disgust": "angry", "Fear": "afraid", "Horror": "afraid",
    "Anxiety": "afraid", "Surprise": "surprised", "Awe": "surprised", "Confusion": "surprised",
    "Boredom": "dull", "Awkwardness": "dull",
}  # fmt: skip


@dataclass(frozen=True)
class FacePlan:
    """Everything a face does in a take, drawn once, so that it can be evaluated at any times.

    phones: (class, start, end, stressed); blinks: (time, depth); raises: (time, height) of the brows; gazes:
    (time, x, y) targets in [-1, 1], x to the actor's left; mood: {shape: weight}; idle: a slow drift per
    shape; articulation: factor.
    """

    phones: list[tuple[str, float, float, bool]]
    blinks: list[tuple[float, float]]
    raises: list[tuple[float, float]]
    gazes: list[tuple[float, float, float]]
    mood: dict[str, float]
    mood_drift: Drift
    idle: list[Drift]
    articulation: float


def _both_sides(weights: dict[str, float]) -> dict[str, float]:
    """{"mouthSmile": w} -> {"mouthSmileLeft": w, "mouthSmileRight": w}; names that have no sides stay."""
    return {name + side: w for name, w in weights.items() for side in (("",) if name in INDEX else SIDES)}


def timed_phones(turns: list[Turn]) -> list[tuple[str, float, float, bool]]:
    """(class, start, end, stressed) of each phone of the turns; diphthongs are divided evenly."""
    result = []
    for turn in turns:
        for phoneme in turn.utterance.phonemes:
            parts = phones(phoneme.ipa)
            edges = np.linspace(phoneme.start, phoneme.end, len(parts) + 1) + turn.start
            result += [
                (CLASS_OF[p], a, b, phoneme.stressed)
                for p, a, b in zip(parts, edges[:-1], edges[1:], strict=True)
            ]
    return result


def stressed_times(turns: list[Turn]) -> list[float]:
    """Middle of each stressed syllable's vowel, seconds."""
    return [
        turn.start + (p.start + p.end) / 2 for turn in turns for p in turn.utterance.phonemes if p.stressed
    ]


def plan_face(
    turns: list[Turn], emotion: str, start: float, stop: float, rng: np.random.Generator
) -> FacePlan:
    """Draw what one actor's face does between `start` and `stop` seconds; `turns` are the actor's own."""
    blinks, time = [], start + rng.uniform(0, 2)
    while time < stop:
        blinks.append((time, rng.uniform(0.85, 1.0)))
        time += 1.2 + rng.gamma(2.0, 1.3)
    raises = [(t, rng.uniform(0.25, 0.6)) for t in stressed_times(turns) if rng.random() < 0.3]
    gazes, time = [(start - 1.0, 0.0, 0.0)], start
    while time < stop:
        away = rng.random() < 0.35
        gazes.append((time, *(rng.uniform(-0.6, 0.6, 2) * (1.0 if away else 0.25))))
        time += rng.uniform(0.5, 2.5)
    mood = _both_sides(_MOODS[_MOOD_OF.get(emotion, "calm")])
    scale = rng.uniform(0.7, 1.1)
    return FacePlan(
        phones=timed_phones(turns),
        blinks=blinks,
        raises=raises,
        gazes=gazes,
        mood={k: scale * w for k, w in mood.items()},
        mood_drift=drift(rng, 0.05, 0.3),
        idle=[drift(rng, 0.1, 0.8, 3) for _ in NAMES],
        articulation=rng.uniform(0.85, 1.1),
    )


def _mouth(plan: FacePlan, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Viseme weights (N, 51), how shut the lips are (N,) and how much the mouth speaks (N,).

    The latter two are in [0, 1].
    """
    pulled, force, shut = np.zeros((len(times), len(NAMES))), np.full(len(times), REST), np.zeros(len(times))
    for name, start, end, stressed in plan.phones:
        middle, width = (start + end) / 2, 0.45 * (end - start) + 0.030
        low, high = np.searchsorted(times, [middle - 3 * width, middle + 3 * width])
        if low == high:
            continue
        reach = (times[low:high] - middle) / width
        pull = STRENGTH.get(name, 1.0) * np.exp(-(reach**2))
        force[low:high] += pull
        loud = plan.articulation * (1.15 if stressed and name in VOWELS else 1.0)
        for shape, weight in VISEMES[name].items():
            pulled[low:high, INDEX[shape]] += pull * weight * loud
        if name in CLOSURE:
            # lips meet for most of the sound, not at one moment only
            near = 1 - ease((np.abs(times[low:high] - middle) - 0.3 * (end - start)) / 0.055)
            shut[low:high] = np.maximum(shut[low:high], CLOSURE[name] * near)
    return pulled / force[:, None], shut, 1 - REST / force


def evaluate_face(plan: FacePlan, times: np.ndarray) -> np.ndarray:
    """Weights (N, 51) in [0, 1] at `times` (N,), ascending seconds on the clock of the plan."""
    times = np.asarray(times, float)
    weights, shut, speaking = _mouth(plan, times)
    for name in ("jawOpen", "mouthFunnel"):
        weights[:, INDEX[name]] *= 1 - (0.75 if name == "jawOpen" else 0.6) * shut
    for name in ("mouthLowerDown", "mouthUpperUp"):
        for side in SIDES:
            weights[:, INDEX[name + side]] *= 1 - shut
    # mouthClose is by definition what brings the lips together on an open jaw, so that it follows the jaw
    weights[:, INDEX["mouthClose"]] = shut * weights[:, INDEX["jawOpen"]]
    mood = np.clip(0.75 + 0.35 * plan.mood_drift(times), 0, 1)
    for name, weight in plan.mood.items():
        calmer = 0.5 * speaking if name.startswith("mouth") else 0.0
        weights[:, INDEX[name]] += weight * mood * (1 - calmer)
    for time, depth in plan.blinks:
        lid = depth * bump(times, time - 0.09, time - 0.01, time + 0.03, time + 0.18)
        for side in SIDES:
            i = INDEX["eyeBlink" + side]
            weights[:, i] = np.maximum(weights[:, i], lid)
    for time, height in plan.raises:
        lift = height * bump(times, time - 0.2, time - 0.02, time + 0.08, time + 0.4)
        for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"):
            weights[:, INDEX[name]] += lift
    _add_gaze(plan, times, weights)
    for i, (name, wander) in enumerate(zip(NAMES, plan.idle, strict=True)):
        if name != "mouthClose":
            lips = name in (
                "jawOpen",
                "mouthFunnel",
                "mouthUpperUpLeft",
                "mouthUpperUpRight",
                "mouthLowerDownLeft",
                "mouthLowerDownRight",
            )
            weights[:, i] += (0.015 * (1 - shut) if lips else 0.05) * np.maximum(wander(times), 0)
    return np.clip(weights, 0.0, 1.0)


def _add_gaze(plan: FacePlan, times: np.ndarray, weights: np.ndarray) -> None:
    """Add the eyes' direction to the weights: quick moves between targets that are held."""
    gaze = np.zeros((len(times), 2))
    for (_, *before), (time, *after) in zip(plan.gazes[:-1], plan.gazes[1:], strict=True):
        gaze += ease((times - time) / 0.07)[:, None] * (np.array(after) - np.array(before))
    left, up = np.maximum(gaze, 0).T
    right, down = np.maximum(-gaze, 0).T
    for side, outwards, inwards in (("Left", left, right), ("Right", right, left)):
        for name, value in (("Out", outwards), ("In", inwards), ("Up", up), ("Down", down)):
            weights[:, INDEX[f"eyeLook{name}{side}"]] += value
