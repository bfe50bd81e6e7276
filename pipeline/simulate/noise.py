"""Smooth curves: steps without corners and slow random drift, both defined at any time."""

from dataclasses import dataclass

import numpy as np


def ease(x: np.ndarray) -> np.ndarray:
    """Smooth step from 0 at x <= 0 to 1 at x >= 1, 6x^5 - 15x^4 + 10x^3.

    Its speed and acceleration are zero at both ends.
    """
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (x * (6 * x - 15) + 10)


def bump(times: np.ndarray, start: float, peak: float, hold: float, end: float) -> np.ndarray:
    """A rise from `start` to 1 at `peak`, 1 until `hold`, and back to 0 at `end` (seconds)."""
    return ease((times - start) / (peak - start)) * (1 - ease((times - hold) / (end - hold)))


@dataclass(frozen=True)
class Drift:
    """A sum of sines with random frequencies and phases, about within [-1, 1]."""

    hertz: np.ndarray
    phases: np.ndarray

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """Values (N,) at `times` (N,) in seconds."""
        angles = 2 * np.pi * np.asarray(times, float)[:, None] * self.hertz + self.phases
        return np.sin(angles).sum(1) / np.sqrt(2 * len(self.hertz))


def drift(rng: np.random.Generator, slowest: float, fastest: float, terms: int = 4) -> Drift:
    """A random drift with frequencies between two bounds in hertz."""
    return Drift(
        np.exp(rng.uniform(np.log(slowest), np.log(fastest), terms)), rng.uniform(0, 2 * np.pi, terms)
    )
