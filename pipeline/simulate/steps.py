"""Where the feet are: steps that keep up with a script, each foot still while it carries.

In: a script and a skeleton's measures. Out: paths of both feet at any times. A foot is placed where the body
will be in the middle of its stance, so that it is ahead of the body when it lands and behind when it leaves.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.simulate.noise import bump, ease
from pipeline.simulate.script import Script

STEP_S = 0.52
SWING = 0.8  # share of a step in which the foot is in the air
HEEL_OFF = 0.35  # the heel leaves the floor that long before the toes, in steps
TOE_OUT = 0.10  # radians


@dataclass(frozen=True)
class Step:
    """One foot (0 left, 1 right) from one place to another.

    Ball of the foot (2,) in cm, heading, lift-off and landing.
    """

    foot: int
    start: float
    stop: float
    step_seconds: float
    ball_from: np.ndarray
    ball_to: np.ndarray
    heading_from: float
    heading_to: float


@dataclass(frozen=True)
class Feet:
    """Ball of each foot (N, 2, 3) in cm, heading and raise of the heel (N, 2) in radians.

    The left foot comes first.
    """

    ball: np.ndarray
    heading: np.ndarray
    heel: np.ndarray


def _stand(
    script: Script, time: float, foot: int, spread_cm: float, ball_cm: float
) -> tuple[np.ndarray, float]:
    """Ball (2,) and heading of a foot that stands under the body as it is at `time`."""
    heading = float(script.heading_at(np.array([time]))[0])
    side = 1 if foot == 0 else -1
    left, ahead = np.array([np.cos(heading), -np.sin(heading)]), np.array([np.sin(heading), np.cos(heading)])
    return (
        script.place_at(np.array([time]))[0] + side * spread_cm * left + ball_cm * ahead,
        heading + side * TOE_OUT,
    )


def plan_steps(script: Script, start: float, *, spread_cm: float, ball_cm: float) -> tuple[list, list[Step]]:
    """Where both feet stand at `start`, [(ball, heading)] * 2, and the steps of the script.

    spread_cm: distance of a foot from the middle; ball_cm: how far the ball of the foot is ahead of the hips.
    """
    feet = [_stand(script, start, foot, spread_cm, ball_cm) for foot in range(2)]
    first, steps = list(feet), []
    for begin, end in script.strolls:
        turning = script.heading_at(np.array([begin, (begin + end) / 2]))
        foot = 0 if turning[1] >= turning[0] else 1
        count = max(2, round((end - begin + 0.3) / STEP_S))
        length = (end - begin + 0.3) / count
        for k in range(count):
            lift = begin - 0.05 + k * length
            to = _stand(script, lift + 1.4 * length, foot, spread_cm, ball_cm)
            steps.append(
                Step(foot, lift, lift + SWING * length, length, feet[foot][0], to[0], feet[foot][1], to[1])
            )
            feet[foot], foot = to, 1 - foot
    return first, steps


def evaluate_feet(first: list, steps: list[Step], times: np.ndarray, *, lift_cm: float = 5.0) -> Feet:
    """Both feet at `times` (N,). The ball of a foot does not move between a landing and the next lift-off."""
    times = np.asarray(times, float)
    ball = np.zeros((len(times), 2, 3))
    heading, heel = np.zeros((len(times), 2)), np.zeros((len(times), 2))
    for foot, (place, turn) in enumerate(first):
        ball[:, foot, 0], ball[:, foot, 2] = place
        heading[:, foot] = turn
    for step in steps:
        way, part = step.ball_to - step.ball_from, ease((times - step.start) / (step.stop - step.start))
        ball[:, step.foot, 0] += part * way[0]
        ball[:, step.foot, 2] += part * way[1]
        heading[:, step.foot] += part * (step.heading_to - step.heading_from)
        long = min(float(np.linalg.norm(way)) / 100.0, 1.0)
        middle = (step.start + step.stop) / 2
        ball[:, step.foot, 1] += (
            lift_cm * (0.5 + 0.5 * long) * bump(times, step.start, middle, middle, step.stop)
        )
        off = step.step_seconds
        heel[:, step.foot] += (0.12 + 0.5 * long) * bump(
            times, step.start - HEEL_OFF * off, step.start, step.start + 0.02, step.start + 0.6 * off
        )
    return Feet(ball, heading, heel)
