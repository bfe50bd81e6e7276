"""How well a diffusion model denoises motion that it has not learned from, level by level of the noise.

In: pairs of batches, held-out windows and windows of other takes. Out: per level of alpha_bar (the share of
the signal's variance: at 0.9 a tenth of what is seen is noise) mean squared errors of the clean, standardised
motion:

- `model`: of the network, told what was said and done.
- `other`: of the same network, told what was said and done in another take. A model that learned what a voice
  has to do with motion is worse by it; one that answers from the motion alone is not.
- `mean`: of the train split's mean, which is zero.
- `shrinkage`: of the best linear shrinkage of the noisy input, per channel: with v the channel's mean square
  over these windows, the least of E (a x_t - x_0)^2 over a is v (1 - alpha_bar) / (alpha_bar v + 1 -
  alpha_bar). It knows v of the held-out windows, which the network does not.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from models.diffusion import Diffusion
from models.draws import Draws

LEVELS = (0.9, 0.5, 0.1)
ERRORS = ("model", "other", "shrinkage", "mean")
SAME = ("actors", "relationship", "emotion")
"""What stays where another take's conditions are told: the people and their scene."""


class Denoises(Protocol):
    """What is asked of a model: see `models.denoising.Model`."""

    diffusion: Diffusion
    parts: int

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """What the network predicts."""

    def condition(self, batch: dict[str, Tensor]) -> tuple[Tensor | None, ...]:
        """What it is told."""

    def denoise(self, x: Tensor, step: Tensor, *condition: Tensor | None) -> Tensor:
        """What it makes of noisy x."""

    def encode(self, clean: Tensor) -> Tensor:
        """What noise is added to."""

    def decode(self, made: Tensor) -> Tensor:
        """What is predicted."""


@torch.no_grad()
def held_out(
    model: Denoises, pairs: Iterable[tuple[dict[str, Tensor], dict[str, Tensor]]], seed: int
) -> dict[str, Any]:
    """{"loss": one number, "levels": {"0.9": {"model", "other", "mean", "shrinkage"}, ..}}.

    Noise is drawn from (seed, level, place of the window), alike at each call. `loss`, by which the best
    weights are chosen, is the mean over levels of the model's error as a share of the shrinkage's.
    """
    engine = model.diffusion
    steps = {level: int((engine.alpha_bar - level).abs().argmin()) for level in LEVELS}
    sums = {(level, name): 0.0 for level in LEVELS for name in ("model", "other")}
    squares, rows, first = torch.zeros(()), 0, 0
    for batch, other in pairs:
        count = len(batch["actors"])
        clean = model.target(batch)
        same = {name: batch[name] for name in SAME if name in batch}
        told, told_other = model.condition(batch), model.condition(other | same)
        encoded = model.encode(clean)
        squares = squares + clean.double().square().sum((0, 1)).cpu()
        rows += clean.shape[0] * clean.shape[1]
        for number, level in enumerate(LEVELS):
            draws = Draws(seed, number, count, clean.device, first=first).split(model.parts)
            step = torch.full((len(clean),), steps[level], device=clean.device)
            x = engine.q_sample(encoded, step, draws.normal(encoded.shape[1:]))
            for name, condition in (("model", told), ("other", told_other)):
                made = model.decode(engine.clean_of(model.denoise(x, step, *condition), x, step))
                sums[level, name] += float((made - clean).square().sum())
        first += count
    power = (squares / rows).numpy()
    levels = {}
    for level in LEVELS:
        bar = float(engine.alpha_bar[steps[level]])
        shrunk = power * (1 - bar) / (bar * power + 1 - bar)
        own = {name: sums[level, name] / (rows * len(power)) for name in ("model", "other")}
        levels[str(level)] = own | {"mean": float(power.mean()), "shrinkage": float(shrunk.mean())}
    loss = float(np.mean([errors["model"] / errors["shrinkage"] for errors in levels.values()]))
    return {"loss": loss, "levels": levels}
