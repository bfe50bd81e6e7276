"""The face: DiffSpeaker's denoiser (Ma et al. 2024) for one actor, told of both voices (paper 4.1).

A sample is one actor's ARKit weights. A frame's token is the actor's own and the partner's features of
speech, or log-mel, side by side. A condition is a prefix token of the biased conditional attention: style of
the actor, style of the partner, whether the actor faces the partner in this window (the majority of its
frames), diffusion step. The facing of every frame also enters with the audio: a generated take is longer than
a training window and actors turn within it, which one token cannot say.
"""

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn

from models import denoising, recipe
from models.channels import Moments, styles
from models.denoising import Told
from models.draws import Draws
from models.layers import DROPOUT, BiasedDecoderLayer, periodic_encoding, sinusoid
from pipeline.config import Denoising, Generate
from pipeline.formats import arkit

STEP_WIDTH = 768
"""Width of the sinusoid of the diffusion step, as in the public code."""


class Options(Denoising):
    """The face: DiffSpeaker's denoiser for one actor, told of both voices (paper 4.1)."""

    audio: Literal["speech", "mel"] = Field(
        default="speech",
        description=(
            "what the face hears: speech, features of the frozen encoder of `speech`;"
            " mel, the log-mel of `features`"
        ),
    )
    steps: int = Field(default=1000, ge=1, description="optimiser steps")
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="dropout in the network; the published code has 0.1"
    )
    validation_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the train takes that is not learned from: the weights that do best on them are"
        " kept; 0 learns from all and keeps the last weights. The error of all channels is least before lips"
        " have learned enough from the voice",
    )
    dim: int = Field(default=96, ge=8, description="width of the model; the paper's is 512")
    heads: int = Field(default=4, ge=1, validate_default=True, description="attention heads")
    feedforward: int = Field(
        default=192, ge=8, description="width of the feed-forward layer; the paper's is 1024"
    )
    period: int = Field(default=30, ge=1, description="period of the positional encoding, frames")
    velocity_weight: float = Field(
        default=1.0, ge=0, description="weight of the error of frame-to-frame differences in the loss"
    )
    sample_steps: int = Field(
        default=20, ge=1, description="network calls at generation: DDIM steps; DiffSpeaker's is 50"
    )

    @property
    def streams(self) -> tuple[str, ...]:
        """What the model reads of shards."""
        return ("face", self.audio, "facing")

    @property
    def makes(self) -> tuple[str, ...]:
        """What its samples hold."""
        return ("face",)

    @field_validator("heads")
    @classmethod
    def _divides(cls, heads: int, info: ValidationInfo) -> int:
        dim = info.data.get("dim", 2 * heads)
        if dim % (2 * heads):
            raise ValueError(
                f"dim is {dim}, need a multiple of twice heads ({2 * heads}); change one of them"
            )
        return heads


class FaceDenoiser(nn.Module):
    """DiffSpeaker's denoiser. The public size: dim 512, heads 4, feedforward 1024, period 30.

    features D; audio A, all audio features of a frame; identities, the number of known actors; partner: a
    second style token; facing: a facing token, and facing per frame of actor and partner beside the audio.
    With neither it is the published single-person network.
    """

    def __init__(
        self,
        features: int,
        audio: int,
        identities: int,
        *,
        dim: int = 512,
        heads: int = 4,
        feedforward: int = 1024,
        period: int = 30,
        partner: bool = True,
        facing: bool = True,
        dropout: float = DROPOUT,
    ):
        super().__init__()
        self.period = period
        self.first = nn.Linear(features, dim)
        self.audio = nn.Linear(audio + 2 * facing, dim)
        self.style = nn.Parameter(torch.randn(identities, dim))
        self.partner_style = nn.Parameter(torch.randn(identities, dim)) if partner else None
        self.facing = nn.Parameter(torch.randn(2, dim)) if facing else None
        self.step = nn.Sequential(nn.Linear(STEP_WIDTH, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.layer = BiasedDecoderLayer(dim, heads, feedforward, period=period, dropout=dropout)
        self.last = nn.Linear(dim, features)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(
        self,
        x: Tensor,
        step: Tensor,
        audio: Tensor,
        style: Tensor,
        partner: Tensor | None = None,
        facing: Tensor | None = None,
    ) -> Tensor:
        """The clean weights.

        x (B, T, D), step (B,), audio (B, T, A); style and partner (B, identities), one-hot, or a mixture for
        an actor whom training has not seen; facing (B, T, 2), 1 where the actor (the partner) faces the
        other. Raises ValueError where the network has a partner or facing token and is not told of it.
        """
        tokens = [style.to(x) @ self.style]
        if self.partner_style is not None:
            if partner is None:
                raise ValueError("this network has a partner token: give partner")
            tokens.append(partner.to(x) @ self.partner_style)
        if self.facing is not None:
            if facing is None:
                raise ValueError("this network has a facing token: give facing")
            facing = facing.to(x)
            majority = (facing[..., 0].mean(1) >= 0.5).to(x)[:, None]
            tokens.append(torch.cat([1 - majority, majority], 1) @ self.facing)
            audio = torch.cat([audio, facing], -1)
        tokens.append(self.step(sinusoid(step, STEP_WIDTH).to(x)))
        place = periodic_encoding(
            x.shape[1], self.last.in_features, self.period, device=x.device, dtype=x.dtype
        )
        frames = self.dropout(self.first(x) + place)
        return self.last(self.layer(frames, self.audio(audio), torch.stack(tokens, 1)))


class Model(denoising.Model):
    """One actor's face at a time: items 2 b and 2 b + 1 are the two actors of window b."""

    parts = 2
    columns: Tensor

    def __init__(self, options: Options, meta: recipe.Meta):
        super().__init__(options, meta)
        self.face = Moments(meta.stats["face"], min_std=options.min_std, min_scale=options.min_scale)
        self.heard = Moments(meta.stats[options.audio])
        columns = self.face.moving
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64), persistent=False)
        self.feature_names = [arkit.NAMES[c] for c in columns]
        self.told = Told({"audio": len(self.heard)}, narrow={}, learned=options.untold == "learned")
        network = FaceDenoiser(
            len(columns),
            2 * len(self.heard),
            len(meta.actors),
            dim=options.dim,
            heads=options.heads,
            feedforward=options.feedforward,
            period=options.period,
            dropout=options.dropout,
        )
        self._join(network, len(columns))

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """What the network predicts, standardised: (2 B, T, D), actors a and b of an item in a row."""
        return self.face.standardise(batch["face"])[..., self.columns].transpose(1, 2).flatten(0, 1)

    def condition(
        self, batch: dict[str, Tensor], untold: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, ...]:
        """What the network is told: audio, styles of actor and partner, and facing.

        Their shapes are (2 B, T, C), (2 B, A) for each style, and (2 B, T, 2).
        """

        def own_first(x: Tensor) -> Tensor:
            return torch.stack([x, x.flip(2)], 1).flatten(0, 1)

        heard = {"audio": own_first(self.heard.standardise(batch[self.options.audio]))}
        style = styles(batch["actors"], len(self.meta.actors))
        return (
            self.told(heard, untold or {}).flatten(2),
            style.flatten(0, 1),
            style.flip(1).flatten(0, 1),
            own_first(batch["facing"]),
        )

    def untold(self, dropped: Tensor) -> dict[str, Tensor]:
        """Both voices of the items that are dropped (2 B,)."""
        return {"audio": dropped[:, None]}

    def sample(
        self, told: dict[str, Tensor], draws: Draws, options: Generate, report: Callable = iter
    ) -> dict[str, Tensor]:
        """ARKit weights (B, T, 2, 51) of both actors; not clipped."""
        from models.sampling import long_take

        drawn = long_take(self, told, draws, options=options, multiple=self.options.period, report=report)
        face = drawn.new_zeros(*drawn.shape[:2], len(self.face))
        face[..., self.columns] = drawn
        return {"face": self.face.invert(face).unflatten(0, (-1, 2)).transpose(1, 2)}
