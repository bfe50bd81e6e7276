"""Bodies: the network of Listen, Denoise, Action! (Alexanderson et al. 2023) for two people (paper 4.2).

A sample is both actors' joints, one actor after the other: `joints: lower` are hips, legs and feet with the
relative root, `upper` all others, which is told the lower bodies as well, `all` is one network for
everything. All are told both actors' log-mel, the word being said and the action. In training the upper body
is told the real lower bodies (teacher forcing); in generation those that an earlier run of the row has made.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from models import recipe
from models.channels import NUM_ACTIONS, ROOT_NAMES, Moments, body_columns, maybe_drop, said
from models.diffusion import Diffusion, linear_betas
from models.draws import Draws
from models.layers import DROPOUT, StepEmbedding, TisaTransformer
from pipeline.config import Generate, Training
from pipeline.errors import InputError

DILATIONS = (0, 1, 2)


class Options(Training):
    """Bodies: Listen, Denoise, Action! for two people, lower body first (paper 4.2)."""

    joints: Literal["lower", "upper", "all"] = Field(
        default="lower",
        description=(
            "lower: legs and root; upper: the rest, told the lower body; all: one network for the body"
        ),
    )
    channels: int = Field(
        default=64, ge=8, description="width of the residual blocks; the paper's base has 256"
    )
    blocks: int = Field(default=4, ge=1, description="residual blocks; the paper's base has 20")
    heads: int = Field(
        default=4, ge=1, validate_default=True, description="attention heads; the paper's base has 8"
    )
    diffusion_steps: int = Field(default=150, ge=2, description="steps of the diffusion")
    prediction: Literal["noise", "clean"] = Field(
        default="clean",
        description=(
            "what the network predicts;"
            " the paper's base predicts noise, which needs channels > predicted ones"
        ),
    )
    sample_steps: int = Field(
        default=25,
        ge=1,
        description=(
            "network calls at generation:"
            " DDIM, or the ancestral sampler of the paper's base if as many as diffusion_steps"
        ),
    )

    @property
    def streams(self) -> tuple[str, ...]:
        """What the model reads of shards."""
        return ("body", "root", "mel", "action", "text")

    @property
    def makes(self) -> tuple[str, ...]:
        """What its samples hold."""
        return ("lower",) if self.joints == "lower" else ("body", "relative")

    @property
    def needs(self) -> tuple[str, ...]:
        """What an earlier run of the row must have made."""
        return ("lower",) if self.joints == "upper" else ()

    @field_validator("heads")
    @classmethod
    def _divides(cls, heads: int, info: ValidationInfo) -> int:
        channels = info.data.get("channels", heads)
        if channels % heads:
            raise ValueError(
                f"channels is {channels}, need a multiple of heads ({heads}); change one of them"
            )
        return heads


class ResidualBlock(nn.Module):
    """DiffWave's gated block with a TISA transformer in place of the dilated convolution."""

    def __init__(
        self,
        channels: int,
        step_channels: int,
        condition: int,
        num_heads: int,
        dilation: int,
        *,
        max_view: float,
        dropout: float,
    ):
        super().__init__()
        self.step = nn.Linear(step_channels, channels)
        self.condition = nn.Linear(condition, channels)
        self.transformer = TisaTransformer(channels, num_heads, dilation, max_view=max_view, dropout=dropout)
        self.out = nn.Linear(channels, 2 * channels)

    def forward(self, x: Tensor, step: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, C), step (B, E), condition (B, T, K) -> next x and skip, (B, T, C) each."""
        y = x + self.step(step)[:, None] + self.condition(condition)
        gate, value = self.transformer(y).chunk(2, -1)
        residual, skip = self.out(gate.sigmoid() * value.tanh()).chunk(2, -1)
        return (x + residual) / math.sqrt(2), skip


class BodyDenoiser(nn.Module):
    """The whole network. The paper's base: channels 256, blocks 20, heads 8, windows of 150 frames.

    features D, condition C; channels is the width, blocks the number of residual blocks, window the frames of
    a training window (it sets the widest head's field of view, window // 2).
    """

    def __init__(
        self,
        features: int,
        condition: int,
        *,
        channels: int = 256,
        blocks: int = 20,
        heads: int = 8,
        window: int = 150,
        dropout: float = DROPOUT,
    ):
        super().__init__()
        options = {"max_view": max(window // 2, 6), "dropout": dropout}
        self.first = nn.Linear(features, channels)
        self.step = StepEmbedding(2 * channels)
        stack = [
            ResidualBlock(channels, 2 * channels, condition, heads, DILATIONS[i % len(DILATIONS)], **options)
            for i in range(blocks)
        ]
        self.blocks = nn.ModuleList(stack)
        self.middle = nn.Linear(channels, channels)
        self.last = nn.Linear(channels, features)
        for layer in (self.first, self.middle, *(block.out for block in stack)):
            nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """x (B, T, D), step (B,), condition (B, T, C) -> (B, T, D)."""
        x = F.relu(self.first(x))
        embedded = self.step(step)
        total = torch.zeros_like(x)
        for block in self.blocks:
            x, skip = block(x, embedded, condition)
            total = total + skip
        total = total / math.sqrt(len(self.blocks))
        return self.last(F.relu(self.middle(total)))


class Model(recipe.Model):
    """Both actors' bodies, or the part of them that `joints` names."""

    own_columns: Tensor
    lower_columns: Tensor

    def __init__(self, options: Options, meta: recipe.Meta):
        super().__init__(options, meta)
        self.body, self.relative = Moments(meta.stats["body"]), Moments(meta.stats["relative_root"])
        self.mel, self.text = Moments(meta.stats["mel"]), Moments(meta.stats["text"])
        self.lower, self.upper = body_columns(meta.joint_names)
        every = list(range(3 * len(meta.joint_names)))
        self.columns = {"lower": self.lower, "upper": self.upper, "all": every}[options.joints]
        # where the weights lie: a list would be sent to the device at each step
        self.register_buffer("own_columns", torch.tensor(self.columns), persistent=False)
        self.register_buffer("lower_columns", torch.tensor(self.lower), persistent=False)
        self.has_root = options.joints != "upper"
        own = [f"{meta.joint_names[c // 3]}_{'xyz'[c % 3]}" for c in self.columns]
        own += ROOT_NAMES if self.has_root else ()
        self.feature_names = [f"{actor}.{name}" for actor in "ab" for name in own]
        told = 2 * (len(self.mel) + len(self.text) + NUM_ACTIONS)
        if options.joints == "upper":
            told += 2 * (len(self.lower) + len(ROOT_NAMES))
        self.network = BodyDenoiser(
            len(self.feature_names),
            told,
            channels=options.channels,
            blocks=options.blocks,
            heads=options.heads,
            window=options.window_frames,
            dropout=options.dropout,
        )
        self.diffusion = Diffusion(linear_betas(options.diffusion_steps), prediction=options.prediction)

    def _part(self, batch: dict[str, Tensor], columns: Tensor, *, root: bool) -> Tensor:
        """Standardised columns of both bodies (B, T, 2 D), actor a first.

        Each comes with the relative root if asked.
        """
        body = self.body.standardise(batch["body"])[..., columns]
        if root:
            body = torch.cat([body, self.relative.standardise(batch["relative"])], -1)
        return body.flatten(2)

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """What the network predicts, standardised: (B, T, D)."""
        return self._part(batch, self.own_columns, root=self.has_root)

    def condition(self, batch: dict[str, Tensor]) -> tuple[Tensor]:
        """What the network is told (B, T, C).

        An upper body the lower ones last, `lower` or those of the batch.
        """
        told = said(batch, self.mel, self.text)
        if self.options.joints != "upper":
            return (told,)
        lower = batch["lower"] if "lower" in batch else self._part(batch, self.lower_columns, root=True)
        return (torch.cat([told, lower], -1),)

    def loss(self, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """Error of what the network predicts, noise or clean motion."""
        clean = self.target(batch)
        told = maybe_drop(self.condition(batch), draws, self.options.condition_dropout)
        return {"loss": self.diffusion.loss(lambda x, step: self.network(x, step, *told), clean, draws)}

    def sample(
        self, told: dict[str, Tensor], draws: Draws, options: Generate, report: Callable = iter
    ) -> dict[str, Tensor]:
        """Whole bodies and relative roots, or the standardised lower bodies."""
        from models.sampling import long_take

        if self.options.joints == "upper" and "lower" not in told:
            raise InputError(
                "an upper body needs a lower one; name a run that makes it before this one in the row"
            )
        drawn = long_take(
            self.diffusion,
            self.network,
            self.condition(told),
            len(self.feature_names),
            draws,
            training=self.options,
            options=options,
            report=report,
        )
        if self.options.joints == "lower":
            return {"lower": drawn}
        own = drawn.unflatten(2, (2, -1))
        lower = own if self.has_root else told["lower"].unflatten(2, (2, -1))
        body = torch.zeros(*own.shape[:3], 3 * len(self.meta.joint_names), dtype=own.dtype, device=own.device)
        if not self.has_root:
            body[..., self.lower] = lower[..., : len(self.lower)]
        body[..., self.columns] = own[..., : len(self.columns)]
        relative = lower[..., -len(ROOT_NAMES) :]
        return {"body": self.body.invert(body), "relative": self.relative.invert(relative)}
