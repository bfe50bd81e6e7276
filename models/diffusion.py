"""One diffusion engine for faces and bodies: noise schedules, prediction types, training loss.

In: a network as a function (x (B, T, D), step (B,) int64) -> (B, T, D) and models.draws for every draw. Out:
losses; models.sampling draws samples. Notation: beta_t is the noise of step t = 0 .. N-1, alpha_bar_t
the product of 1 - beta up to and with t; x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise (Ho et al.
2020).
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from models.draws import Draws
from pipeline.errors import InputError

Network = Callable[[Tensor, Tensor], Tensor]
Code = Callable[[Tensor], Tensor]
PREDICTIONS = ("noise", "clean", "v")


def linear_betas(num_steps: int, first: float = 0.01, last: float = 0.7) -> np.ndarray:
    """Betas (N,) in equal steps; 150 steps from 0.01 to 0.7 is the schedule of Listen, Denoise, Action!."""
    return np.linspace(first, last, num_steps)


def scaled_linear_betas(num_steps: int, first: float = 0.00085, last: float = 0.012) -> np.ndarray:
    """Betas (N,) whose roots go in equal steps.

    1000 steps from 0.00085 to 0.012 is DiffSpeaker's schedule.
    """
    return np.linspace(math.sqrt(first), math.sqrt(last), num_steps) ** 2


def cosine_betas(num_steps: int, offset: float = 0.008, largest: float = 0.999) -> np.ndarray:
    """Betas (N,) for alpha_bar that falls as cos^2 (Nichol and Dhariwal 2021)."""
    bar = np.cos((np.arange(num_steps + 1) / num_steps + offset) / (1 + offset) * np.pi / 2) ** 2
    return np.minimum(1 - bar[1:] / bar[:-1], largest)


SCHEDULES = {"linear": linear_betas, "scaled_linear": scaled_linear_betas, "cosine": cosine_betas}


class Diffusion:
    """A schedule with what the network predicts: "noise", "clean" (x_0), or "v".

    v is sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x_0 (Salimans and Ho 2022).

    `betas` and `alpha_bar` are float64 on the CPU. What multiplies a sample is computed in float64 and kept
    for each type and device of samples, where a step looks it up without waiting for the device.
    """

    def __init__(self, betas: np.ndarray, *, prediction: str = "noise"):
        betas = np.asarray(betas, np.float64)
        if betas.ndim != 1 or not len(betas) or not ((betas > 0) & (betas < 1)).all():
            raise InputError(
                f"diffusion: got betas of shape {betas.shape}, need a list of numbers between 0 and 1"
            )
        if prediction not in PREDICTIONS:
            raise InputError(
                f"diffusion: got prediction {prediction!r}, need one of {', '.join(PREDICTIONS)}"
            )
        self.betas = torch.from_numpy(betas)
        self.alpha_bar = torch.cumprod(1 - self.betas, 0)
        self.prediction = prediction
        self._tables: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    @property
    def num_steps(self) -> int:
        """Number of steps, N."""
        return len(self.betas)

    def signal_and_noise(self, step: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(alpha_bar) and sqrt(1 - alpha_bar) of steps (B,), shaped to multiply `like` (B, ...)."""
        place = like.device, like.dtype
        if place not in self._tables:
            self._tables[place] = self.alpha_bar.sqrt().to(like), (1 - self.alpha_bar).sqrt().to(like)
        signal, level = (table[step].reshape(-1, *[1] * (like.ndim - 1)) for table in self._tables[place])
        return signal, level

    def q_sample(self, clean: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        """x_t of clean samples (B, ...) at steps (B,) with standard normal noise (B, ...)."""
        signal, level = self.signal_and_noise(step, clean)
        return signal * clean + level * noise

    def clean_of(self, output: Tensor, x: Tensor, step: Tensor) -> Tensor:
        """The x_0 that a network's output at x_t means."""
        if self.prediction == "clean":
            return output
        signal, level = self.signal_and_noise(step, x)
        if self.prediction == "v":
            return signal * x - level * output
        return (x - level * output) / signal

    def noise_of(self, output: Tensor, x: Tensor, step: Tensor) -> Tensor:
        """The noise that a network's output at x_t means."""
        if self.prediction == "noise":
            return output
        signal, level = self.signal_and_noise(step, x)
        if self.prediction == "v":
            return level * x + signal * output
        return (x - signal * output) / level

    def loss(
        self,
        network: Network,
        clean: Tensor,
        draws: Draws,
        *,
        velocity_weight: float = 0.0,
        encode: Code | None = None,
        decode: Code | None = None,
        counted: Tensor | None = None,
        also: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Mean squared error of what the network predicts at one random step per item.

        counted: (B, 1, D) or (B, 1, 1), 1 for errors that count and 0 for others; None counts all.

        clean: (B, T, D), with as many rows as the draws have. The velocity term (DiffSpeaker's, weight 1
        there) adds the mean squared error of differences of successive frames of the predicted quantity.

        encode, decode: noise is added to an encoding of what is clean, and the network predicts that
        encoding; the errors are those of what is decoded. An error of the encoding is added, whose target is
        fixed: it holds what the network makes to where encodings lie, from which a sampler goes on, and the
        encoding learns nothing from it, so that it cannot shrink to please it.

        also: a further error of the clean samples (B, T, D) that the network's output means, to be added; of
        a network that predicts them.
        """
        if len(draws) != len(clean):
            raise ValueError(f"got draws of {len(draws)} rows for {len(clean)} items; split them")
        step = draws.integers(self.num_steps)
        if encode and decode:
            encoded = encode(clean)
            noise = draws.normal(tuple(encoded.shape[1:])).to(clean)
            made = network(self.q_sample(encoded, step, noise), step)
            who = None if counted is None else counted.amax(-1, keepdim=True)
            held = mean_square(made - encoded.detach(), who)
            return held + _error(decode(made), clean, velocity_weight, counted)
        noise = draws.normal(tuple(clean.shape[1:])).to(clean)
        x = self.q_sample(clean, step, noise)
        output = network(x, step)
        target = noise if self.prediction == "noise" else clean
        if self.prediction == "v":
            signal, level = self.signal_and_noise(step, clean)
            target = signal * noise - level * clean
        error = _error(output, target, velocity_weight, counted)
        return error if also is None else error + also(self.clean_of(output, x, step))


def mean_square(error: Tensor, counted: Tensor | None) -> Tensor:
    """Mean square of errors (B, T, D), or of those that count: `counted` (B, 1, D) or (B, 1, 1) is 1."""
    if counted is None:
        return error.square().mean()
    weight = counted.to(error).expand_as(error)
    return (weight * error.square()).sum() / weight.sum().clamp(min=1)


def _error(output: Tensor, target: Tensor, velocity_weight: float, counted: Tensor | None) -> Tensor:
    """Mean squared error, and that of differences between frames times a weight."""
    result = mean_square(output - target, counted)
    if velocity_weight:
        result = result + velocity_weight * mean_square(output.diff(dim=1) - target.diff(dim=1), counted)
    return result
