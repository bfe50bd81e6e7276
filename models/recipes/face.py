"""The face: DiffSpeaker's denoiser (Ma et al. 2024) for one actor, told of both voices (paper 4.1).

A sample is one actor's ARKit weights. A frame's token is the actor's own and the partner's features of
speech, or log-mel, side by side. A condition is a prefix token of the biased conditional attention: style of
the actor, style of the partner, whether the actor faces the partner in this window (the majority of its
frames), diffusion step. The facing of every frame also enters with the audio: a generated take is longer than
a training window and actors turn within it, which one token cannot say.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from models import denoising, recipe
from models.channels import Moments, styles
from models.denoising import Told
from models.diffusion import Network
from models.draws import Draws
from models.labels import Labels, label_numbers
from models.layers import DROPOUT, BiasedDecoderLayer, periodic_encoding, sinusoid
from pipeline.config import Denoising, Generate
from pipeline.formats import arkit

if TYPE_CHECKING:
    from models.learned_encoder import LearnedEncoder

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
    encoder: Literal["frozen", "trained"] = Field(
        default="frozen",
        validate_default=True,
        description="frozen: features of speech are made once, beside the shards; trained: the encoder hears"
        " windows of the voices and learns along, but for its convolutions, as the paper's does",
    )
    encoder_rate: float = Field(
        default=1.0,
        ge=0,
        description="learning rate of a trained encoder, as a share of learning_rate; 0 leaves it as it is",
    )
    encoder_dropout: float = Field(
        default=0.1, ge=0, lt=1, description="dropout in a trained encoder, where its config.json has some"
    )
    encoder_mask: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="share of a trained encoder's features that are hidden in training (SpecAugment); not of"
        " a Whisper",
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
    loss_on: Literal["all", "lips"] = Field(
        default="all",
        description="weights whose errors are learned: all, or those of jaw and mouth, to fine-tune lips",
    )
    noise_on: Literal["weights", "latent"] = Field(
        default="weights",
        validate_default=True,
        description="what noise is added to: weights, which are then projected to dim channels, as in the"
        " public code of the base; latent, an encoding of them in dim channels that is learned along, as the"
        " paper says",
    )
    facing: Literal["both", "token", "frame", "none"] = Field(
        default="both",
        description="how the face is told who faces whom: one token for the whole window, as the paper does;"
        " in every frame beside the voices; both; or not at all",
    )
    styles: Literal["two", "merged"] = Field(
        default="two",
        description="whether the styles of actor and partner are two tokens or the sum of them is one; the"
        " paper does not say",
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
        heard = "audio" if self.trains_encoder else self.audio
        return ("face", heard, *(("facing",) if self.facing != "none" else ()))

    @property
    def trains_encoder(self) -> bool:
        """Whether the speech encoder is a part of the model."""
        return self.encoder == "trained"

    @property
    def makes(self) -> tuple[str, ...]:
        """What its samples hold."""
        return ("face",)

    @field_validator("encoder")
    @classmethod
    def _of_voices(cls, encoder: str, info: ValidationInfo) -> str:
        if encoder == "trained" and info.data.get("audio") == "mel":
            raise ValueError("encoder is trained, and audio is mel, which needs none; take audio speech")
        return encoder

    @field_validator("noise_on")
    @classmethod
    def _of_clean(cls, noise_on: str, info: ValidationInfo) -> str:
        if noise_on == "latent" and info.data.get("prediction") in ("noise", "v"):
            raise ValueError("noise_on is latent, which needs prediction clean: its error is that of weights")
        return noise_on

    @field_validator("heads")
    @classmethod
    def _divides(cls, heads: int, info: ValidationInfo) -> int:
        dim = info.data.get("dim", 2 * heads)
        if dim % (2 * heads):
            raise ValueError(
                f"dim is {dim}, need a multiple of twice heads ({2 * heads}); change one of them"
            )
        return heads


def level(encoding: Tensor) -> Tensor:
    """An encoding (B, T, C) with mean 0 and variance 1 in each frame."""
    return F.layer_norm(encoding, encoding.shape[-1:])


class FaceDenoiser(nn.Module):
    """DiffSpeaker's denoiser. The public size: dim 512, heads 4, feedforward 1024, period 30.

    features D; audio A, all audio features of a frame; identities, the number of known actors; styles: tokens
    for the styles of actor and partner ("two"), one for their sum ("merged"), or the actor's alone ("own");
    facing: a facing token ("token"), facing per frame of actor and partner beside the audio ("frame"),
    "both", or "none"; labels: known labels of the take by name, a token each. With the own style, without
    facing and labels it is the published single-person network.

    latent: noise is on an encoding (B, T, dim) of the weights and not on the weights. Then `first` encodes
    and `last` decodes, as many parameters as before. Each frame's encoding has mean 0 and variance 1, so that
    it can neither grow out of the noise nor vanish in it.
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
        styles: str = "two",
        facing: str = "both",
        labels: Mapping[str, list[str]] | None = None,
        latent: bool = False,
        dropout: float = DROPOUT,
    ):
        super().__init__()
        self.period, self.latent, self.merged = period, latent, styles == "merged"
        self.first = nn.Linear(features, dim)
        self.by_frame = facing in ("frame", "both")
        self.audio = nn.Linear(audio + 2 * self.by_frame, dim)
        self.style = nn.Parameter(torch.randn(identities, dim))
        self.partner_style = nn.Parameter(torch.randn(identities, dim)) if styles != "own" else None
        self.facing = nn.Parameter(torch.randn(2, dim)) if facing in ("token", "both") else None
        self.step = nn.Sequential(nn.Linear(STEP_WIDTH, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.layer = BiasedDecoderLayer(dim, heads, feedforward, period=period, dropout=dropout)
        self.last = nn.Linear(dim, features)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.labels = Labels(labels, dim, std=1.0) if labels else None

    def encode(self, weights: Tensor) -> Tensor:
        """The encoding (B, T, dim) of weights (B, T, D), which noise is added to; of a latent network."""
        return level(self.first(weights))

    def decode(self, encoding: Tensor) -> Tensor:
        """Weights (B, T, D) of an encoding (B, T, dim); of a latent network."""
        return self.last(encoding)

    def forward(
        self,
        x: Tensor,
        step: Tensor,
        audio: Tensor,
        style: Tensor,
        partner: Tensor | None = None,
        facing: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """The clean weights (B, T, D), or of a latent network their encoding (B, T, dim).

        x as what is returned, step (B,), audio (B, T, A); style and partner (B, identities), one-hot, or a
        mixture for an actor whom training has not seen; facing (B, T, 2), 1 where the actor (the partner)
        faces the other; labels (B, L), numbers. Raises ValueError where the network is not told of what it
        has a token or an input for.
        """
        return self.made(x, step, *self.remembered(audio, style, partner, facing, labels))

    def remembered(
        self,
        audio: Tensor,
        style: Tensor,
        partner: Tensor | None = None,
        facing: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """What is told, as far as it is the same at every step: memory (B, T, dim) and tokens (B, P, dim)."""
        tokens = [style.to(audio) @ self.style]
        if self.partner_style is not None:
            if partner is None:
                raise ValueError("this network has a partner token: give partner")
            other = partner.to(audio) @ self.partner_style
            tokens = [tokens[0] + other] if self.merged else [*tokens, other]
        if self.facing is not None or self.by_frame:
            if facing is None:
                raise ValueError("this network is told facing: give facing")
            facing = facing.to(audio)
            if self.facing is not None:
                majority = (facing[..., 0].mean(1) >= 0.5).to(audio)[:, None]
                tokens.append(torch.cat([1 - majority, majority], 1) @ self.facing)
            if self.by_frame:
                audio = torch.cat([audio, facing], -1)
        if self.labels is not None:
            if labels is None:
                raise ValueError("this network is told labels: give labels")
            tokens += self.labels(labels).unbind(1)
        return self.audio(audio), torch.stack(tokens, 1)

    def made(self, x: Tensor, step: Tensor, memory: Tensor, tokens: Tensor) -> Tensor:
        """What `forward` makes of noisy x at steps (B,), of what is remembered."""
        token = self.step(sinusoid(step, STEP_WIDTH).to(x))
        place = periodic_encoding(
            x.shape[1], self.last.in_features, self.period, device=x.device, dtype=x.dtype
        )
        frames = self.dropout((x if self.latent else self.first(x)) + place)
        made = self.layer(frames, memory, torch.cat([tokens, token[:, None]], 1))
        return made if self.latent else self.last(made)


class Model(denoising.Model):
    """One actor's face at a time: items 2 b and 2 b + 1 are the two actors of window b."""

    parts = 2
    columns: Tensor
    lips: Tensor
    swapped = ("network.layer.",)

    def __init__(self, options: Options, meta: recipe.Meta):
        super().__init__(options, meta)
        self.face = Moments(meta.stats["face"], min_std=options.min_std, min_scale=options.min_scale)
        self.encoder = self._encoder() if options.encoder == "trained" else None
        self.heard = None if self.encoder else Moments(meta.stats[options.audio])
        columns = self.face.moving
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64), persistent=False)
        self.feature_names = [arkit.NAMES[c] for c in columns]
        width = self.encoder.width if self.encoder else len(cast(Moments, self.heard))
        self.told = Told({"audio": width}, narrow={}, learned=options.untold == "learned")
        network = FaceDenoiser(
            len(columns),
            2 * width,
            len(meta.actors),
            dim=options.dim,
            heads=options.heads,
            feedforward=options.feedforward,
            period=options.period,
            styles=options.styles,
            facing=options.facing,
            labels=meta.labels,
            latent=options.noise_on == "latent",
            dropout=options.dropout,
        )
        self.latent = network.latent
        self._join(network)
        lips = [column in arkit.MOUTH for column in columns]
        self.register_buffer("lips", torch.tensor(lips), persistent=False)

    def _encoder(self) -> "LearnedEncoder":
        """The speech encoder that learns along; its library is imported for it alone."""
        from models.learned_encoder import LearnedEncoder

        options = self.options
        return LearnedEncoder(
            self.meta.encoder,
            dropout=options.encoder_dropout,
            mask=options.encoder_mask,
            learns=options.encoder_rate > 0,
        )

    def initialise(self, given: dict[str, recipe.Model]) -> None:
        """Take the weights of the speech encoder that learns along."""
        if self.encoder is not None:
            self.encoder.load_pretrained()

    def groups(self) -> list[dict[str, Any]]:
        """The encoder's weights have a rate of their own."""
        if self.encoder is None:
            return super().groups()
        heard = {id(parameter) for parameter in self.encoder.parameters()}
        own = [p for p in self.parameters() if p.requires_grad and id(p) not in heard]
        learned = [p for p in self.encoder.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": own}]
        return [*groups, {"params": learned, "rate": self.options.encoder_rate}] if learned else groups

    def varied(self, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """The windows, with what is hidden of their voices from an encoder that learns along."""
        if self.encoder is None or not self.training:
            return batch
        hidden = self.encoder.hidden_spans(draws, batch["audio"].shape[1])
        return batch if hidden is None else batch | {"hidden": hidden}

    def hears(self, batch: dict[str, Tensor]) -> Tensor:
        """What is heard of both voices (B, T, 2, C), standardised.

        Of an encoder that learns there are no moments: each of its features has mean 0 and variance 1.
        """
        if self.encoder is None:
            assert self.heard is not None
            return self.heard.standardise(batch[self.options.audio])
        voices = batch["audio"].transpose(1, 2).flatten(0, 1)
        hidden = batch["hidden"].flatten(0, 1) if "hidden" in batch else None
        return level(self.encoder(voices, hidden)).unflatten(0, (-1, 2)).transpose(1, 2)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of what can be untold: the voices, both styles, and labels of the take."""
        return (*self.told.names, "style", *self.options.told)

    @property
    def width(self) -> int:
        """Channels of what noise is added to."""
        return self.options.dim if self.latent else super().width

    def counted(self, batch: dict[str, Tensor]) -> Tensor | None:
        """Errors that count: of who is present, (2 B, 1, 1), and of lips alone, (2 B, 1, D)."""
        there = batch["present"].reshape(-1, 1, 1) if "present" in batch else None
        if self.options.loss_on == "all":
            return there
        lips = self.lips.expand(2 * len(batch["actors"]), 1, -1)
        return lips if there is None else lips & there

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """What the network predicts, standardised: (2 B, T, D), actors a and b of an item in a row."""
        return self.face.standardise(batch["face"])[..., self.columns].transpose(1, 2).flatten(0, 1)

    def condition(
        self, batch: dict[str, Tensor], untold: dict[str, Tensor] | None = None
    ) -> tuple[Tensor | None, ...]:
        """What the network is told: audio, styles of actor and partner, facing, and labels if any.

        Their shapes are (2 B, T, C), (2 B, A) for each style, (2 B, T, 2) or None, and (2 B, L). Whose style
        is untold has the mean of all, as a stranger.
        """
        untold = untold or {}

        def own_first(x: Tensor) -> Tensor:
            return torch.stack([x, x.flip(2)], 1).flatten(0, 1)

        heard = {"audio": own_first(self.hears(batch))}
        style = styles(batch["actors"], len(self.meta.actors))
        own, other = style.flatten(0, 1), style.flip(1).flatten(0, 1)
        if "style" in untold:
            mean = torch.full_like(own, 1 / own.shape[1])
            own, other = (torch.where(untold["style"], mean, value) for value in (own, other))
        return (
            self.told(heard, untold).flatten(2),
            own,
            other,
            own_first(batch["facing"]) if self.options.facing != "none" else None,
            *label_numbers(batch, self.options.told, untold, self.parts),
        )

    def _face(self) -> FaceDenoiser:
        assert isinstance(self.network, FaceDenoiser)
        return self.network

    def encode(self, clean: Tensor) -> Tensor:
        """What noise is added to, of standardised weights (2 B, T, D)."""
        return self._face().encode(clean) if self.latent else clean

    def decode(self, made: Tensor) -> Tensor:
        """Standardised weights (2 B, T, D)."""
        return self._face().decode(made) if self.latent else made

    def smoothed(self, output: Tensor, x: Tensor, step: Tensor) -> Tensor:
        """What is clean: weights, or an encoding as `encode` gives it."""
        made = super().smoothed(output, x, step)
        return level(made) if self.latent else made

    def told_once(self, *condition: Tensor | None) -> Network:
        """`denoise` with a condition, whose projections are worked out once for all steps."""
        network, told = self._face(), cast(Any, condition)
        remembered = network.remembered(*told)
        return lambda x, step: self.smoothed(network.made(x, step, *remembered), x, step)

    def sample(
        self, told: dict[str, Tensor], draws: Draws, options: Generate, report: Callable = iter
    ) -> dict[str, Tensor]:
        """ARKit weights (B, T, 2, 51) of both actors; not clipped."""
        from models.sampling import long_take

        drawn = long_take(self, told, draws, options=options, multiple=self.options.period, report=report)
        face = drawn.new_zeros(*drawn.shape[:2], len(self.face))
        face[..., self.columns] = drawn
        return {"face": self.face.invert(face).unflatten(0, (-1, 2)).transpose(1, 2)}
