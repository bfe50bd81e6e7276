"""What a training shows beside its numbers: a window that it does not learn from, captured and sampled.

In: a model, and the windows that it is measured on, of which the middle one is shown. Out: figures, and what
is said in the window. Faces are curves of the jaw, bodies film strips. The noise is the same at every
measurement, so pictures differ by the weights alone, and it is none of the training's draws.
"""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from models.data import collate, read
from models.draws import Draws
from models.recipe import FINAL, Model
from models.watch import Watched
from pipeline import config
from pipeline.formats import arkit
from pipeline.ids import ABSENT
from pipeline.motion import pose
from pipeline.motion.clock import FPS
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics

JAW = arkit.NAMES.index("jawOpen")
KINDS = ("captured", "generated")
COLOURS = ("#c2410c", "#1d4ed8")
NUM_MOMENTS, MARGIN_CM = 6, 10.0


class Preview:
    """The middle one of the windows that are measured, and samples of it."""

    def __init__(self, watched: Watched):
        windows, number = watched.windows, watched.numbers[len(watched.numbers) // 2]
        self.shard, self.span, self.first = windows.places[number]
        self.batch = windows.batch([number])
        self.frames = windows.window
        self.actors = self.span.actor_a, self.span.actor_b
        self.present = [k for k in range(2) if self.actors[k] != ABSENT]

    @property
    def name(self) -> str:
        """Take and seconds of the window."""
        begin, end = (frame / FPS for frame in (self.first, self.first + self.frames))
        return f"{self.span.take}, {begin:.1f} to {end:.1f} s"

    def voices(self) -> np.ndarray:
        """What both say in the window: the sum of their voices (S,), at pipeline.motion.clock.AUDIO_RATE."""
        voices = read([(self.shard, self.span, self.first)], ("audio",), self.frames)["audio"][0]
        return voices.sum(1).clip(-1, 1)

    @torch.no_grad()
    def figures(self, model: Model, seed: int) -> dict[str, Figure]:
        """Figures of what the model makes: `face`, `body`, or neither where it alone makes no such motion.

        None of a sample that is not finite.
        """
        batch = {name: value.to(model.device) for name, value in collate(self.batch).items()}
        options = config.Generate(seed=seed, num_samples=1)
        made = model.preview(batch, Draws(seed, 0, 1, model.device), options)
        pairs = {
            name: [value[name][0].float().cpu().numpy() for value in (batch, made)]
            for name in FINAL
            if name in made and name in batch
        }
        if not all(np.isfinite(values).all() for pair in pairs.values() for values in pair):
            return {}
        figures = {}
        if "face" in pairs:
            figures["face"] = self._curves(pairs["face"])
        if "body" in pairs and "relative" in pairs:
            figures["body"] = self._strip(pairs["body"], pairs["relative"])
        return figures

    def _curves(self, faces: Sequence[np.ndarray]) -> Figure:
        """How far the jaws are open, of faces (T, 2, 51), captured and generated."""
        count = len(self.present)
        fig = Figure(figsize=(6, 1.6 * count + 0.6), layout="constrained")
        axes = fig.subplots(count, sharex=True, sharey=True, squeeze=False)[:, 0]
        seconds = (self.first + np.arange(self.frames)) / FPS
        for ax, k in zip(axes, self.present):
            for face, kind, colour in zip(faces, KINDS, ("#737373", COLOURS[k])):
                ax.plot(seconds, face[:, k, JAW], color=colour, label=kind)
            ax.set_ylabel(f"jawOpen of {self.actors[k]}", fontsize=8)
            ax.legend(loc="upper right", fontsize=7)
        axes[-1].set_xlabel("seconds", fontsize=8)
        fig.suptitle(self.name, fontsize=9)
        return fig

    def _strip(self, bodies: Sequence[np.ndarray], relative: Sequence[np.ndarray]) -> Figure:
        """Bodies (T, 2, 3 J) with relative roots (T, 2, 4) at moments of the window, as the curves.

        All are at one scale, seen from the side that spreads the captured hips most, about the middle between
        the two.
        """
        moments = np.linspace(0, self.frames - 1, NUM_MOMENTS).round().astype(int)
        motions = [self._motions(*pair, moments) for pair in zip(bodies, relative)]
        worlds = [np.stack([forward_kinematics(own)[0] for own in pair]) for pair in motions]
        hips = worlds[0][:, :, 0][..., [0, 2]].reshape(-1, 2)
        right = np.linalg.svd(hips - hips.mean(0))[2][0]
        screens = [np.stack([world[..., [0, 2]] @ right, world[..., 1]], -1) for world in worlds]
        for screen in screens:
            screen[..., 0] -= screen[:, :, :1, 0].mean(0)
        parents = np.asarray(motions[0][0].parents)
        bones = np.stack([np.flatnonzero(parents >= 0), parents[parents >= 0]], 1)
        seen = np.concatenate(screens, 1)
        fig = Figure(figsize=(2 * NUM_MOMENTS, 2.2 * len(KINDS)), layout="constrained")
        axes = fig.subplots(len(KINDS), NUM_MOMENTS, sharex=True, sharey=True)
        for row, screen, kind in zip(axes, screens, KINDS):
            for place, (ax, frame) in enumerate(zip(row, moments)):
                for k, points in zip(self.present, screen[:, place]):
                    ax.add_collection(LineCollection(list(points[bones]), colors=COLOURS[k]))
                ax.set_title(f"{kind}, {(self.first + frame) / FPS:.1f} s", fontsize=7)
                ax.set_aspect("equal")
                ax.tick_params(labelsize=6)
        axes[0, 0].set_xlim(seen[..., 0].min() - MARGIN_CM, seen[..., 0].max() + MARGIN_CM)
        axes[0, 0].set_ylim(seen[..., 1].min() - MARGIN_CM, seen[..., 1].max() + MARGIN_CM)
        axes[0, 0].set_ylabel("cm", fontsize=7)
        fig.suptitle(self.name, fontsize=9)
        return fig

    def _motions(self, body: np.ndarray, relative: np.ndarray, moments: np.ndarray) -> list[Motion]:
        """Both actors at moments, each from where the captured one stands in the first frame."""
        start = self.shard["root"][self.span.start_frame + self.first]
        result = []
        for k in self.present:
            root = pose.integrate_root(relative[:, k], start[k])
            skeleton = self.shard.skeleton(self.span.performances[k])
            result.append(pose.decode(body[moments, k], root[moments], skeleton))
        return result
