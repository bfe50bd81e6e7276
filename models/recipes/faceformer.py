"""FaceFormer (Fan et al. 2022) on ARKit weights or on vertices: the baseline that speaks frame after frame.

A sample is one actor's face, made of the actor's own voice and style. Frame i is decoded from the frames that
were decoded before it: self-attention sees the past alone, with a bias that grows by whole periods (ALiBi),
and cross-attention sees the voice of that frame alone. Nothing is drawn: all samples of a take are alike. The
partner is not heard.

What it predicts is the option `target`:

- `weights`: standardised ARKit weights, of which a neutral head is no part.
- `vertices`, as published: offsets of a head's vertices from the actor's neutral, its template. The network
  is fed the offsets of the frame before and begins as a neutral face, since its last layer begins at zero.
  Real offsets are made of the shards' weights on the actor's rig, batch by batch. A sample is the neutral
  plus the offsets, fitted back to ARKit weights on the rig (models.fitted), so that all that read faces read
  it: the fit is a part of the method, and what no shape of the rig shows is lost in it.

Offsets are divided by one number, their root mean square over the train split, all vertices and axes
(models.heads): a neutral face has an error of about 1, and vertices count as they do in space. The published
code learns them as its data has them, unscaled, and its users tell of trainings that end in a face which does
not move. A scale for each vertex would blow up those that hardly move.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from models import recipe
from models.channels import Moments, styles
from models.diffusion import mean_square
from models.draws import Draws
from models.layers import DROPOUT, bias_slopes, periodic_encoding
from pipeline.config import Generate, Training
from pipeline.errors import InputError
from pipeline.formats import arkit


class Options(Training):
    """FaceFormer: one actor's face from the own voice, frame after frame (Fan et al. 2022)."""

    target: Literal["weights", "vertices"] = Field(
        default="weights",
        description=(
            "what is predicted: weights, ARKit weights; vertices, those of the actor's rig, as published,"
            " which samples fit back to ARKit weights"
        ),
    )
    audio: Literal["speech", "mel"] = Field(
        default="speech",
        description=(
            "what the face hears: speech, features of the frozen encoder of `speech`;"
            " mel, the log-mel of `features`"
        ),
    )
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="dropout in the network, as in the published code"
    )
    dim: int = Field(default=64, ge=8, description="width of the model, as published for 30 fps")
    heads: int = Field(default=4, ge=1, validate_default=True, description="attention heads")
    period: int = Field(default=30, ge=1, description="period of positions and of the bias, frames")
    teacher_forcing: bool = Field(
        default=False,
        description="learn each frame from the real frames before it, in one pass; the published training"
        " decodes from its own, as generation does",
    )
    min_std: float = Field(
        default=0.003,
        ge=0,
        description="weights that vary less over the train split are left out and get their mean",
    )
    min_scale: float = Field(default=0.01, ge=0, description="least number that a weight is divided by")

    @property
    def streams(self) -> tuple[str, ...]:
        """What the model reads of shards."""
        return ("face", self.audio)

    @property
    def makes(self) -> tuple[str, ...]:
        """What its samples hold."""
        return ("face",)

    @property
    def on_rigs(self) -> bool:
        """Whether training and sampling read the actors' rigs."""
        return self.target == "vertices"

    @field_validator("heads")
    @classmethod
    def _divides(cls, heads: int, info: ValidationInfo) -> int:
        dim = info.data.get("dim", heads)
        if dim % heads:
            raise ValueError(f"dim is {dim}, need a multiple of heads ({heads}); change one of them")
        return heads


class FaceFormer(nn.Module):
    """The decoder, without the speech encoder: voice (B, T, A) and style (B, I) -> (B, T, D).

    The public size: dim 64, heads 4, feed-forward of twice the width, one post-norm layer. Its layer holds
    the weights of torch's; frames are decoded here one by one, with the keys and values of those before kept,
    so that T frames cost T steps and not T passes. What the layer makes of a frame goes out by `last` and
    back in by `first`, two linear maps that are one of C numbers to C: no step depends on D, and the frames
    themselves are made at the end, or by parts (`states`).
    """

    def __init__(
        self,
        features: int,
        audio: int,
        identities: int,
        *,
        dim: int = 64,
        heads: int = 4,
        period: int = 30,
        dropout: float = DROPOUT,
    ):
        super().__init__()
        self.heads, self.period, self.dropout = heads, period, dropout
        self.audio = nn.Linear(audio, dim)
        self.first = nn.Linear(features, dim)
        self.style = nn.Linear(identities, dim, bias=False)
        self.layer = nn.TransformerDecoderLayer(dim, heads, 2 * dim, dropout, batch_first=True)
        self.last = nn.Linear(dim, features)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)

    def _apart(self, x: Tensor) -> Tensor:
        """(B, C) -> (B, H, C / H)."""
        return x.unflatten(-1, (self.heads, -1))

    def _positions(self, num_frames: int, like: Tensor) -> Tensor:
        width = self.first.out_features
        return periodic_encoding(num_frames, width, self.period, device=like.device, dtype=like.dtype)

    def bias(self, num_frames: int, like: Tensor) -> Tensor:
        """What self-attention adds (H, T, T), [head, query, key]: -inf for what is to come."""
        place = torch.arange(num_frames, device=like.device)
        back = place[:, None] - place
        slopes = bias_slopes(self.heads).to(like)[:, None, None]
        return torch.where(back >= 0, -slopes * (back // self.period), -math.inf)

    def forward(self, audio: Tensor, style: Tensor) -> Tensor:
        """The frames (B, T, D), each decoded from those before it."""
        return self.last(self.states(audio, style))

    def states(self, audio: Tensor, style: Tensor, report: Callable = iter) -> Tensor:
        """What the layer makes of each frame (B, T, C), decoded from those before it; `last` makes frames."""
        memory, start = self.audio(audio), self.style(style.to(audio))
        positions = self._positions(audio.shape[1], memory)
        slopes = bias_slopes(self.heads).to(memory)
        keys: list[Tensor] = []
        values: list[Tensor] = []
        made: list[Tensor] = []
        back, shift = self.first.weight @ self.last.weight, self.first(self.last.bias) + start
        token = start
        for frame in report(range(audio.shape[1])):
            x = self._step(self._drop(token + positions[frame]), memory[:, frame], keys, values, slopes)
            made.append(x)
            token = F.linear(x, back) + shift
        return torch.stack(made, 1)

    def _step(
        self, x: Tensor, memory: Tensor, keys: list[Tensor], values: list[Tensor], slopes: Tensor
    ) -> Tensor:
        """One frame (B, C) through the layer; its key and value join those of the frames before."""
        layer, own = self.layer, self.layer.self_attn
        query, key, value = map(self._apart, F.linear(x, own.in_proj_weight, own.in_proj_bias).chunk(3, -1))
        keys.append(key)
        values.append(value)
        back = torch.arange(len(keys) - 1, -1, -1, device=x.device)
        logits = torch.einsum("bhc,tbhc->bht", query, torch.stack(keys)) / math.sqrt(query.shape[-1])
        weights = self._drop((logits - slopes[:, None] * (back // self.period)).softmax(-1))
        seen = torch.einsum("bht,tbhc->bhc", weights, torch.stack(values)).flatten(1)
        x = layer.norm1(x + self._drop(own.out_proj(seen)))
        other, width = layer.multihead_attn, x.shape[-1]
        # of one key, the weight is 1
        heard = self._apart(F.linear(memory, other.in_proj_weight[-width:], other.in_proj_bias[-width:]))
        heard = heard * self._drop(torch.ones_like(heard[..., :1]))
        x = layer.norm2(x + self._drop(other.out_proj(heard.flatten(1))))
        return layer.norm3(x + self._drop(layer.linear2(self._drop(F.relu(layer.linear1(x))))))

    def forced(self, audio: Tensor, style: Tensor, target: Tensor) -> Tensor:
        """The frames (B, T, D), each from the real ones before it (B, T, D), in one pass."""
        frames, start = audio.shape[1], self.style(style.to(audio))[:, None]
        tokens = torch.cat([start, self.first(target[:, :-1]) + start], 1) + self._positions(frames, audio)
        apart = ~torch.eye(frames, dtype=torch.bool, device=audio.device)
        mask = self.bias(frames, audio).repeat(len(audio), 1, 1)
        return self.last(self.layer(self._drop(tokens), self.audio(audio), tgt_mask=mask, memory_mask=apart))


class Model(recipe.Model):
    """One actor's face at a time: items 2 b and 2 b + 1 are the two actors of window b."""

    columns: Tensor

    def __init__(self, options: Options, meta: recipe.Meta):
        super().__init__(options, meta)
        self.face = Moments(meta.stats["face"], min_std=options.min_std, min_scale=options.min_scale)
        self.heard = Moments(meta.stats[options.audio])
        columns = self.face.moving
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64), persistent=False)
        self.feature_names = [arkit.NAMES[c] for c in columns]
        features = len(columns)
        if options.target == "vertices":
            assert meta.rigs is not None
            self.feature_names = ["x", "y", "z"]  # of each vertex
            features = 3 * meta.rigs["num_vertices"]
        self.network = FaceFormer(
            features,
            len(self.heard),
            len(meta.actors),
            dim=options.dim,
            heads=options.heads,
            period=options.period,
            dropout=options.dropout,
        )

    def compiled(self) -> list[nn.Module]:
        """Nothing: a loop over frames compiles into as many pieces."""
        return []

    def condition(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The own voice (2 B, T, A) and style (2 B, I) of both actors."""
        heard = self.heard.standardise(batch[self.options.audio]).transpose(1, 2).flatten(0, 1)
        return heard, styles(batch["actors"], len(self.meta.actors)).flatten(0, 1)

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """Standardised weights (2 B, T, D), or offsets of vertices (2 B, T, 3 V) in their scale."""
        if self.meta.rigs is None:
            return self.face.standardise(batch["face"])[..., self.columns].transpose(1, 2).flatten(0, 1)
        assert self.heads is not None
        weights, places = batch["face"].transpose(1, 2).flatten(0, 1), batch["rigs"].flatten()
        return self.heads.offsets(weights, places) / self.meta.rigs["scale_cm"]

    def loss(self, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """Squared error of the decoded frames."""
        target, (heard, style) = self.target(batch), self.condition(batch)
        made = (
            self.network.forced(heard, style, target)
            if self.options.teacher_forcing and self.training
            else self.network(heard, style)
        )
        there = batch["present"].reshape(-1, 1, 1) if "present" in batch else None
        return {"loss": mean_square(made - target, there)}

    @torch.no_grad()
    def sample(
        self, told: dict[str, Tensor], draws: Draws, options: Generate, report: Callable = iter
    ) -> dict[str, Tensor]:
        """ARKit weights (B, T, 2, 51) of both actors; not clipped, and the same in all samples.

        Of vertices a block of frames is there at a time. InputError where the model lacks its rigs.
        """
        states = self.network.states(*self.condition(told), report=report)
        if self.meta.rigs:
            from models.fitted import fit_vertices

            if self.heads is None:
                raise InputError("a model of vertices lacks the actors' rigs; give their folder (--rigs)")
            rigs = [self.heads.rigs[place] for place in told["rigs"].flatten().tolist()]
            scale = self.meta.rigs["scale_cm"]
            fitted = fit_vertices(
                lambda a, b: self.network.last(states[:, a:b]) * scale, states.shape[1], rigs
            )
            return {"face": fitted.to(states).unflatten(0, (-1, 2)).transpose(1, 2)}
        drawn = self.network.last(states)
        face = drawn.new_zeros(*drawn.shape[:2], len(self.face))
        face[..., self.columns] = drawn
        return {"face": self.face.invert(face).unflatten(0, (-1, 2)).transpose(1, 2)}
