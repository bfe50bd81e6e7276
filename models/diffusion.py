"""One diffusion engine for faces and bodies: noise schedules, prediction types, training loss, samplers,
guidance.

In: a network as a function (x (B, T, D), step (B,) int64) -> (B, T, D) and a torch Generator for every draw.
Out: losses and samples. Notation: beta_t is the noise of step t = 0 .. N-1, alpha_bar_t the product of 1 -
beta up to and with t; x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise (Ho et al. 2020).
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import InputError

Network = Callable[[Tensor, Tensor], Tensor]
PREDICTIONS = ("noise", "clean")
MIN_SIGNAL = 1e-3
"""DDIM starts at the last step whose alpha_bar is at least this: later ones are noise to 3 % and x_0 = (x -
..) / sqrt(alpha_bar) explodes.
"""


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


def guided(conditional: Network, unconditional: Network, scale: float) -> Network:
    """Classifier-free guidance (Ho and Salimans 2022): u + scale (c - u).

    Scale 1 is the conditional network alone.
    """
    if scale == 1:
        return conditional

    def network(x: Tensor, step: Tensor) -> Tensor:
        away = unconditional(x, step)
        return away + scale * (conditional(x, step) - away)

    return network


class Diffusion:
    """A schedule with what the network predicts: "noise", or "clean" (x_0).

    Tables are float64 on the CPU; what multiplies a sample is cast to the sample's type and device.
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

    @property
    def num_steps(self) -> int:
        """Number of steps, N."""
        return len(self.betas)

    def _signal_and_noise(self, step: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(alpha_bar) and sqrt(1 - alpha_bar) of steps (B,), shaped to multiply `like` (B, ...)."""
        bar = self.alpha_bar[step.cpu()].reshape(-1, *[1] * (like.ndim - 1))
        return bar.sqrt().to(like), (1 - bar).sqrt().to(like)

    def q_sample(self, clean: Tensor, step: Tensor, noise: Tensor) -> Tensor:
        """x_t of clean samples (B, ...) at steps (B,) with standard normal noise (B, ...)."""
        signal, level = self._signal_and_noise(step, clean)
        return signal * clean + level * noise

    def clean_of(self, output: Tensor, x: Tensor, step: Tensor) -> Tensor:
        """The x_0 that a network's output at x_t means."""
        if self.prediction == "clean":
            return output
        signal, level = self._signal_and_noise(step, x)
        return (x - level * output) / signal

    def noise_of(self, output: Tensor, x: Tensor, step: Tensor) -> Tensor:
        """The noise that a network's output at x_t means."""
        if self.prediction == "noise":
            return output
        signal, level = self._signal_and_noise(step, x)
        return (x - signal * output) / level

    def loss(
        self, network: Network, clean: Tensor, generator: torch.Generator, *, velocity_weight: float = 0.0
    ) -> Tensor:
        """Mean squared error of what the network predicts at one random step per item, plus that of its
        differences over time.

        clean: (B, T, D). Steps and noise are drawn on the CPU, so that they are the same on every device. The
        velocity term (DiffSpeaker's, weight 1 there) compares differences of successive frames of the
        predicted quantity.
        """
        step = torch.randint(self.num_steps, (len(clean),), generator=generator).to(clean.device)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        output = network(self.q_sample(clean, step, noise), step)
        target = noise if self.prediction == "noise" else clean
        result = (output - target).square().mean()
        if velocity_weight:
            result = result + velocity_weight * (output.diff(dim=1) - target.diff(dim=1)).square().mean()
        return result

    def sample(
        self,
        network: Network,
        shape: tuple[int, ...],
        generator: torch.Generator,
        *,
        num_steps: int,
        device="cpu",
        report=iter,
    ) -> Tensor:
        """A sample of the given shape in `num_steps` network calls: ancestral where that is all steps, else
        DDIM.

        `report` wraps the list of steps and shows progress.
        """
        noise = torch.randn(shape, generator=generator).to(device)
        if num_steps >= self.num_steps:
            return self.sample_ddpm(network, noise, generator, report=report)
        return self.sample_ddim(network, noise, num_steps=num_steps, report=report)

    @torch.no_grad()
    def sample_ddpm(self, network: Network, x: Tensor, generator: torch.Generator, *, report=iter) -> Tensor:
        """Ancestral sampling from standard normal x (B, T, D) over all steps (Ho et al. 2020, algorithm 2).

        x <- (x - beta / sqrt(1 - alpha_bar) noise) / sqrt(1 - beta) + sigma z with sigma^2 = beta (1 -
        alpha_bar_{t-1}) / (1 - alpha_bar_t); nothing is added after step 0 and nothing is clipped.
        """
        for t in report(list(range(self.num_steps - 1, -1, -1))):
            step = torch.full((len(x),), t, dtype=torch.int64, device=x.device)
            noise = self.noise_of(network(x, step), x, step)
            beta, bar = float(self.betas[t]), float(self.alpha_bar[t])
            x = (x - beta / math.sqrt(1 - bar) * noise) / math.sqrt(1 - beta)
            if t:
                sigma = math.sqrt(beta * (1 - float(self.alpha_bar[t - 1])) / (1 - bar))
                x = x + sigma * torch.randn(x.shape, generator=generator).to(x)
        return x

    def ddim_steps(self, num_steps: int, *, min_signal: float = MIN_SIGNAL) -> list[int]:
        """Descending steps of DDIM: equally spaced over the steps whose alpha_bar is at least `min_signal`,
        ending at 1.

        For DiffSpeaker's schedule, whose alpha_bar never falls below that, 50 steps are 981, 961, .., 21, 1.
        """
        usable = max(int((self.alpha_bar >= min_signal).sum()), 1)
        num_steps = min(num_steps, usable)
        stride = usable // num_steps
        offset = min(1, usable - 1 - (num_steps - 1) * stride)
        return [i * stride + offset for i in range(num_steps)][::-1]

    @torch.no_grad()
    def sample_ddim(
        self, network: Network, x: Tensor, *, num_steps: int, min_signal: float = MIN_SIGNAL, report=iter
    ) -> Tensor:
        """Deterministic sampling from standard normal x (B, T, D) (Song et al. 2021, eta 0).

        Returns the last x_0.

        x_s = sqrt(alpha_bar_s) x_0 + sqrt(1 - alpha_bar_s) noise with both taken from the network's output at
        x_t. The result is the x_0 of the last step, so none of the noise that alpha_bar_0 < 1 leaves is in
        it.
        """
        steps = self.ddim_steps(num_steps, min_signal=min_signal)
        for t, following in zip(report(steps), [*steps[1:], None]):
            step = torch.full((len(x),), t, dtype=torch.int64, device=x.device)
            output = network(x, step)
            clean, noise = self.clean_of(output, x, step), self.noise_of(output, x, step)
            if following is not None:
                x = self.q_sample(clean, torch.full_like(step, following), noise)
        return clean


def windowed(
    network: Callable[[Tensor, Tensor, int, int], Tensor], *, window: int, overlap: int, multiple: int = 1
) -> Network:
    """A network for takes of any length out of one that sees at most `window` frames: overlapping windows,
    cross-faded.

    `network` is called with (x[:, a:b], step, a, b). Predictions of overlapping windows are averaged with
    weights that fall linearly towards a window's ends, at every diffusion step, so the windows agree on one
    sample instead of being joined afterwards, and memory does not grow with the take but for the sample
    itself. Window starts are multiples of `multiple` (a period that positions repeat with); the last window
    is moved back, rounded up to a multiple, so that it ends at the take's end.
    """
    hop = max((window - overlap) // multiple, 1) * multiple

    def run(x: Tensor, step: Tensor) -> Tensor:
        frames = x.shape[1]
        if frames <= window:
            return network(x, step, 0, frames)
        total, weights = torch.zeros_like(x), torch.zeros(frames, 1, dtype=x.dtype, device=x.device)
        starts = list(range(0, frames - window, hop)) + [-(-(frames - window) // multiple) * multiple]
        for a in starts:
            b = min(a + window, frames)
            place = torch.arange(b - a, device=x.device)
            weight = torch.minimum(place + 1, b - a - place).clamp(max=max(overlap, 1)).to(x)[:, None]
            total[:, a:b] += network(x[:, a:b], step, a, b) * weight
            weights[a:b] += weight
        return total / weights

    return run
