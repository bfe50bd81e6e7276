"""Simulated bodies for tests of what reads motion."""

from dataclasses import replace

import numpy as np

from helpers.tiny_shoot import Truth, make_motion
from pipeline.capture.body_faults import Fault
from pipeline.capture.body_quality import inspect
from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.simulate.figure import ORDER, Figure

FPS = 120


def standing(seconds: float = 5.0, fps: float = FPS, seed: int = 0) -> Motion:
    """A simulated actor's skeleton whose joints all sway smoothly.

    Knees and elbows bend, fingers curl, each its own way.
    """
    rng = np.random.default_rng(seed)
    figure = Figure("001")
    t = np.arange(round(seconds * fps)) / fps

    def sway(middle, size):
        return middle + size * np.sin(2 * np.pi * rng.uniform(0.2, 0.5) * t + rng.uniform(0, 6))

    local = rotations.from_expmap(
        np.stack([np.stack([sway(0, 0.04) for _ in range(3)], -1) for _ in figure.names], 1)
    )
    for side, s in (("Left", 1), ("Right", -1)):
        local[:, figure.index[f"{side}Leg"]] = rotations.about("x", sway(0.7, 0.3))
        local[:, figure.index[f"{side}ForeArm"]] = rotations.about("x", sway(-0.9, 0.4))
        for i, finger in enumerate(("Index", "Middle", "Ring", "Pinky")):
            for k in (1, 2, 3):
                local[:, figure.index[f"{side}Hand{finger}{k}"]] = rotations.about(
                    "z", -s * sway(0.3 + 0.12 * i, 0.1)
                )
    places = np.repeat(figure.offsets_cm[None], len(t), 0)
    places[:, 0] = np.stack([sway(0, 2), sway(95, 1), sway(0, 2)], -1)
    return Motion(
        figure.names,
        figure.parents,
        figure.offsets_cm,
        fps,
        places,
        local,
        figure.ends_cm,
        [ORDER] * len(figure.names),
    )


def turned(motion: Motion, name: str, frames: slice, degrees: float, axis: str = "x") -> Motion:
    j = motion.names.index(name)
    motion.rotations[frames, j] = rotations.multiply(
        motion.rotations[frames, j], rotations.about(axis, np.array(np.deg2rad(degrees)))
    )
    return motion


def example(num_frames=7, *, seed=0) -> Motion:
    """A body with a rotation order per joint and position channels on two joints."""
    rng = np.random.default_rng(seed)
    hips, turns = rng.normal(0, 50, (2, 3)), rng.normal(0, 1.0, (2, 16, 3))
    motion = make_motion(
        Truth({}, hips, turns, np.zeros((2, 51)), np.zeros(0)), 36_000 + np.arange(num_frames) / 120
    )
    motion.positions_cm[:, 5] += rng.normal(0, 3, (num_frames, 3))
    return replace(motion, free=frozenset({0, 5}))


def faults_of(motion: Motion, kind: str) -> list[Fault]:
    """The faults of one kind that are found in a motion."""
    return [fault for fault in inspect(motion).faults if fault.kind == kind]
