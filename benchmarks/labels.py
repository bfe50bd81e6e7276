"""How well action and facing labels agree with the truth of simulated takes.

    python benchmarks/labels.py

The defaults of pipeline/config.py were tuned on seeds 0 to 11; those measured here are 20 to 27.

Each setting animates the same scripts with other bodies, speeds, frame rates, units and joint names. A row
tells macro F1 of sit, walk and stand (mean of the three F1 over all frames of all takes), each class's F1,
the distance in 1/30 s of a true border from the nearest found one of the same kind (median, 95 %, share
beyond half a second), and the share of frames whose facing is right.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.annotate.actions import NAMES, label_actions
from pipeline.annotate.facing import label_facing
from pipeline.motion.motion import Motion
from pipeline.simulate.figure import Figure
from pipeline.simulate.motion import FPS, animate, plan_manner
from pipeline.simulate.script import plan_scripts
from pipeline.simulate.take import facing

ACTORS = ("001", "002", "003", "005")
FAR_SECONDS = 0.5
KNEE_NAMES = {"UpLeg": "Hip", "Leg": "Knee", "Foot": "Ankle", "ToeBase": "Toe"}


@dataclass(frozen=True)
class Played:
    """A take: both bodies, and the true actions and facing (T,) of each."""

    motions: list[Motion]
    actions: list[np.ndarray]
    facing: list[np.ndarray]

    def each(self, change: Callable[[Motion], Motion]) -> "Played":
        """The take with both bodies changed."""
        return replace(self, motions=[change(motion) for motion in self.motions])

    def every(self, step: int) -> "Played":
        """The take with every `step`-th frame."""
        thin = [[values[::step] for values in labels] for labels in (self.actions, self.facing)]
        return Played(
            [replace(m.frames(slice(None, None, step)), fps=m.fps / step) for m in self.motions], *thin
        )


def build(actor: str, legs: float, trunk: float) -> Figure:
    """An actor's skeleton with legs and trunk as much longer."""
    figure = Figure(actor)
    for name, j in figure.index.items():
        part = name.removeprefix("Left").removeprefix("Right")
        figure.offsets_cm[j] *= (
            legs if part in ("Leg", "Foot") else trunk if part.startswith(("Spine", "Neck")) else 1.0
        )
    return figure


def play(seed: int, seconds: float, *, legs: float = 1.0, trunk: float = 1.0) -> Played:
    """Two actors at 120 fps who sit, walk, stand, turn and gesture at times that the seed draws."""
    rng = np.random.default_rng([seed, 4711])
    scripts = plan_scripts(0.0, seconds, rng)
    size, motions = int(seconds * FPS), []
    for k, actor in enumerate(rng.permutation(ACTORS)[:2]):
        begins = np.sort(rng.uniform(0, seconds, 4))
        manner = plan_manner([(t, t + 1.5) for t in begins], list(begins + 0.5), 0.0, seconds, rng)
        motions.append(animate(build(actor, legs, trunk), scripts[k], scripts[1 - k], manner, 0.0, size))
    times = np.arange(size) / FPS
    return Played(
        motions, [script.action_at(times) for script in scripts], facing(motions, [0.0, 0.0], times)
    )


def scaled(motion: Motion, scale: float) -> Motion:
    """The body in another unit, or as much larger."""
    return replace(motion, offsets_cm=motion.offsets_cm * scale, positions_cm=motion.positions_cm * scale)


def paced(motion: Motion, pace: float) -> Motion:
    """The body moving that much faster."""
    return replace(motion, fps=motion.fps * pace)


def renamed(motion: Motion) -> Motion:
    """The body under names such as prefix:LeftKnee."""
    names = []
    for name in motion.names:
        side = next((side for side in ("Left", "Right") if name.startswith(side)), "")
        part = name.removeprefix(side)
        names.append(f"actor:{side}{KNEE_NAMES.get(part, part)}")
    return replace(motion, names=names)


SETTINGS: dict[str, tuple[dict, Callable[[Played], Played]]] = {
    "30 fps": ({}, lambda take: take.every(4)),
    "60 fps": ({}, lambda take: take.every(2)),
    "120 fps": ({}, lambda take: take),
    "metres": ({}, lambda take: take.every(4).each(lambda motion: scaled(motion, 0.01))),
    "a child, 0.6 x": ({}, lambda take: take.every(4).each(lambda motion: scaled(motion, 0.6))),
    "legs 1.2 x": ({"legs": 1.2}, lambda take: take.every(4)),
    "legs 0.85 x": ({"legs": 0.85}, lambda take: take.every(4)),
    "trunk 1.25 x": ({"trunk": 1.25}, lambda take: take.every(4)),
    "0.7 x as fast": ({}, lambda take: take.every(4).each(lambda motion: paced(motion, 0.7))),
    "1.4 x as fast": ({}, lambda take: take.every(4).each(lambda motion: paced(motion, 1.4))),
    "other joint names": ({}, lambda take: take.every(4).each(renamed)),
}


def borders(labels: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Frames at which labels (T,) change, by what they change from and to."""
    at = np.flatnonzero(np.diff(labels.astype(int))) + 1
    kinds = [(int(labels[i - 1]), int(labels[i])) for i in at]
    return {kind: at[[k == kind for k in kinds]] for kind in set(kinds)}


def border_errors(found: np.ndarray, true: np.ndarray) -> list[float]:
    """Frames from each true border to the nearest found one of its kind; infinite where there is none."""
    near, errors = borders(found), []
    for kind, at in borders(true).items():
        errors += [float(np.abs(near[kind] - i).min()) if kind in near else np.inf for i in at]
    return errors


def f1_scores(found: np.ndarray, true: np.ndarray) -> list[float]:
    """F1 of each class over all frames."""
    both = [
        2 * np.sum((found == c) & (true == c)) / max(np.sum(found == c) + np.sum(true == c), 1)
        for c in range(len(NAMES))
    ]
    return [float(value) for value in both]


@dataclass(frozen=True)
class Score:
    """F1 of each class, errors of borders in 1/30 s, and the share of frames whose facing is right."""

    f1: list[float]
    border_frames: np.ndarray
    facing: float

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes."""
        return float(np.mean(self.f1))


def score(setting: str, seeds: list[int], seconds: float) -> Score:
    """Scores over the takes of all seeds in one setting."""
    shape, change = SETTINGS[setting]
    found, true, errors, right = [], [], [], []
    for seed in seeds:
        take = change(play(seed, seconds, **shape))
        for motion, actions in zip(take.motions, take.actions, strict=True):
            found.append(label_actions(motion))
            true.append(actions)
            errors += [30 / motion.fps * error for error in border_errors(found[-1], actions)]
        right += [np.mean(a == b) for a, b in zip(label_facing(take.motions), take.facing, strict=True)]
    return Score(
        f1_scores(np.concatenate(found), np.concatenate(true)), np.array(errors), float(np.mean(right))
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Score action and facing labels on simulated takes.")
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=list(range(20, 28)),
        help="seeds of takes; the defaults were tuned on 0 to 11",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a take")
    arguments = parser.parse_args()
    print(
        f"{'setting':<20}{'macro F1':>10}"
        + "".join(f"{name:>8}" for name in NAMES)
        + "  borders: median    95 %    far   facing"
    )
    for name in SETTINGS:
        result = score(name, arguments.seeds, arguments.seconds)
        off = result.border_frames
        print(
            f"{name:<20}{result.macro_f1:>10.4f}"
            + "".join(f"{value:>8.3f}" for value in result.f1)
            + f"{np.median(off):>17.1f}{np.percentile(off, 95, method='lower'):>8.1f}"
            f"{100 * np.mean(off > 30 * FAR_SECONDS):>6.1f} %{100 * result.facing:>7.2f} %"
        )


if __name__ == "__main__":
    main()
