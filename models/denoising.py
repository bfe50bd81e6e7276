"""What recipes that are diffusion models share: what is not told, smoothing, loss, held-out error.

A recipe's `Model` adds its network, what that predicts (`target`) and what it is told (`condition`).
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import recipe
from models.diffusion import SCHEDULES, Diffusion, Network
from models.draws import Draws
from models.held_out import held_out
from models.layers import sinusoid
from pipeline.config import Denoising

TAPS = 15
"""Frames to each side that a window reaches."""
STEP_WIDTH, HIDDEN = 128, 64
SMALLEST_WIDTH = 0.05
"""Of the smoothing windows, frames: the input as it is."""


class Told(nn.Module):
    """What a network is told of both actors, by parts side by side: (B, T, 2, sum of the parts' channels).

    widths: channels of each part as it comes, standardised; narrow: parts that go through a linear map into
    fewer channels. A part that is not told is replaced by its null: learned, or zeros, its mean.
    """

    def __init__(self, widths: dict[str, int], *, narrow: dict[str, int], learned: bool):
        super().__init__()
        self.names = list(widths)
        self.narrow = nn.ModuleDict(
            {name: nn.Linear(widths[name], width, bias=False) for name, width in narrow.items() if width}
        )
        self.widths = widths | {name: width for name, width in narrow.items() if width}
        nulls = {name: nn.Parameter(torch.zeros(self.widths[name])) for name in self.names}
        self.nulls = nn.ParameterDict(nulls if learned else {})

    def forward(self, parts: dict[str, Tensor], untold: dict[str, Tensor]) -> Tensor:
        """parts: (B, T, 2, C) each; untold: by part, for which item (B, 1) or actor (B, 2) it is left out."""
        result = []
        for name in self.names:
            part = self.narrow[name](parts[name]) if name in self.narrow else parts[name]
            if name in untold:
                null = self.nulls[name] if name in self.nulls else part.new_zeros(self.widths[name])
                part = torch.where(untold[name][:, None, :, None], null.to(part), part)
            result.append(part)
        return torch.cat(result, -1)


class Smoothing(nn.Module):
    """Adds the noisy input, smoothed over time, to a network's output: (B, T, D) -> (B, T, D).

    Motion is smooth and noise is not, so a window over time takes most of the noise away. A network that is
    no wider than the motion has channels cannot pass the motion through, and need not with this. Width of
    the window (a Gaussian) and gain of the input are learned, per channel, of the diffusion step alone. What
    is left of the noise does not jitter, as it does behind a bare skip.

    output: the same window smooths what the network makes as well. Voices change faster than bodies do, and
    a network that hears them would have bodies tremble.
    """

    place: Tensor

    def __init__(self, features: int, *, output: bool):
        super().__init__()
        self.output = output
        self.first, self.last = nn.Linear(STEP_WIDTH, HIDDEN), nn.Linear(HIDDEN, 2 * features)
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            self.last.bias.copy_(torch.cat([torch.ones(features), torch.zeros(features)]))
        self.register_buffer("place", torch.arange(-TAPS, TAPS + 1.0), persistent=False)

    def forward(self, signal: Tensor, made: Tensor, step: Tensor) -> Tensor:
        """signal: the input times the signal's share of it; step: (B,), in thousandths of the schedule."""
        batch, frames, features = signal.shape
        told = self.last(F.silu(self.first(sinusoid(step, STEP_WIDTH).to(signal))))
        width, gain = told.chunk(2, -1)
        width = F.softplus(width) + SMALLEST_WIDTH
        window = (-0.5 * (self.place.to(signal) / width[..., None]).square()).softmax(
            -1
        )  # (B, D, 2 TAPS + 1)
        rough = (1 + gain)[:, None] * signal
        if self.output:
            rough = rough + made
        padded = F.pad(rough.transpose(1, 2), (TAPS, TAPS), mode="replicate").reshape(1, batch * features, -1)
        smooth = F.conv1d(padded, window.flatten(0, 1)[:, None], groups=batch * features)
        smooth = smooth.reshape(batch, features, frames).transpose(1, 2)
        return smooth if self.output else smooth + made


class Model(recipe.Model):
    """The base of a diffusion recipe's `Model`; options are a `pipeline.config.Denoising`."""

    network: nn.Module
    """(x (B, T, D), step (B,), *condition) -> (B, T, D)."""
    told: Told
    """What the network is told, by names."""
    by_windows = True
    parts = 1
    """Items that a window becomes: 2 where each actor is one."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of what can be untold, one by one: the parts of `told`, and the labels of the take."""
        return (*self.told.names, *self.options.told)

    latent = False
    """Whether noise is on an encoding of what is predicted."""

    @property
    def width(self) -> int:
        """Channels of what noise is added to."""
        return len(self.feature_names)

    def __init__(self, options: Denoising, meta: recipe.Meta):
        super().__init__(options, meta)
        betas = SCHEDULES[options.schedule](options.diffusion_steps)
        self.diffusion = Diffusion(betas, prediction=options.prediction)

    def _join(self, network: nn.Module) -> None:
        """Take the network, and the smoothing behind it where the options ask for that."""
        self.network = network
        self.smoothing = (
            Smoothing(self.width, output=self.options.smooth_output)
            if self.options.skip == "smoothed"
            else None
        )

    def compiled(self) -> list[nn.Module]:
        """The network: what is around it draws numbers."""
        return [self.network]

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """What the network predicts, standardised (parts B, T, D)."""
        raise NotImplementedError

    def condition(
        self, batch: dict[str, Tensor], untold: dict[str, Tensor] | None = None
    ) -> tuple[Tensor | None, ...]:
        """What the network is told; of what is `untold`, by name, the null."""
        raise NotImplementedError

    def untold(self, dropped: Tensor) -> dict[str, Tensor]:
        """What is untold of items of which nothing (B,) is told."""
        return dict.fromkeys((*self.told.names, *self.options.told), dropped[:, None])

    def forget(self, draws: Draws) -> dict[str, Tensor]:
        """What a training step leaves untold, drawn by the options' shares."""
        share = self.options.condition_dropout
        untold = self.untold(draws.uniform() < share) if share else {}
        if share := self.options.part_dropout:
            for name in self.conditions:
                dropped = (draws.uniform() < share)[:, None]
                untold[name] = dropped | untold[name] if name in untold else dropped
        return untold

    def counted(self, batch: dict[str, Tensor]) -> Tensor | None:
        """Which errors count in training, (parts B, 1, D) or (parts B, 1, 1), 1 or 0; None: all."""
        return None

    def also(self, batch: dict[str, Tensor]) -> Callable[[Tensor], Tensor] | None:
        """A further error of what is predicted (parts B, T, D), to be added to the loss; None: none."""
        return None

    def varied(self, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """The windows, or copies of them that are as good: mirrored, or the actors swapped."""
        return batch

    def encode(self, clean: Tensor) -> Tensor:
        """What noise is added to, of what is predicted (B, T, D)."""
        return clean

    def decode(self, made: Tensor) -> Tensor:
        """The inverse of `encode`."""
        return made

    def denoise(self, x: Tensor, step: Tensor, *condition: Tensor | None) -> Tensor:
        """What the options' `prediction` names, of noisy x (B, T, D) at steps (B,)."""
        return self.smoothed(self.network(x, step, *condition), x, step)

    def told_once(self, *condition: Tensor | None) -> Network:
        """`denoise` with a condition that is the same for many steps."""
        return lambda x, step: self.denoise(x, step, *condition)

    def smoothed(self, output: Tensor, x: Tensor, step: Tensor) -> Tensor:
        """The network's output with the smoothed input, where the options ask for that."""
        if self.smoothing is None:
            return output
        signal, _ = self.diffusion.signal_and_noise(step, x)
        return self.smoothing(signal * x, output, step * (1000 / self.diffusion.num_steps))

    def loss(self, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """Squared error of what is predicted, at a random step per item."""
        batch = self.varied(batch, draws)
        draws = draws.split(self.parts)
        condition = self.condition(batch, self.forget(draws))
        loss = self.diffusion.loss(
            lambda x, step: self.denoise(x, step, *condition),
            self.target(batch),
            draws,
            velocity_weight=self.options.velocity_weight,
            encode=self.encode if self.latent else None,
            decode=self.decode if self.latent else None,
            counted=self.counted(batch),
            also=self.also(batch),
        )
        return {"loss": loss}

    def held_out(
        self, pairs: Iterable[tuple[dict[str, Tensor], dict[str, Tensor]]], seed: int
    ) -> dict[str, Any]:
        """Error by noise level, see `models.held_out`."""
        return held_out(self, pairs, seed)
