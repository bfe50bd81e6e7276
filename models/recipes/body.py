"""Bodies: the network of Listen, Denoise, Action! (Alexanderson et al. 2023) for two people (paper 4.2).

A sample is both actors' joints, one actor after the other: `joints: lower` are hips, legs and feet with the
relative root, `upper` all others, which is told the lower bodies as well, `all` is one network for
everything. All are told both actors' log-mel, the word being said and the action. In training the upper body
is told the real lower bodies (teacher forcing); in generation those that an earlier run of the row has made.
`people: one` is the base as it was published: one actor at a time, who is told nothing of the other.
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from models import denoising, recipe
from models.channels import (
    NUM_ACTIONS,
    PAPER_ROOT,
    RELATION_NAMES,
    ROOT_NAMES,
    Moments,
    body_columns,
    said,
)
from models.denoising import Told
from models.draws import Draws
from models.labels import Labels, label_numbers
from models.layers import DROPOUT, StepEmbedding, TisaTransformer
from models.legs_error import LegPlaces
from pipeline.config import Denoising, Generate
from pipeline.errors import InputError
from pipeline.motion.mirror import RELATION_SIGNS, ROOT_SIGNS, mirrored_columns
from pipeline.motion.pose import Skeleton

DILATIONS = (0, 1, 2)
RELATION_SCALE = 0.3
"""Deviation of what each sees of the partner, as the network makes it.

It changes slowly and no voice tells it: at the scale of the joints, a small network learns it at their cost.
"""


class Options(Denoising):
    """Bodies: Listen, Denoise, Action! for two people, lower body first (paper 4.2)."""

    joints: Literal["lower", "upper", "all"] = Field(
        default="lower",
        description=(
            "lower: legs and root; upper: the rest, told the lower body; all: one network for the body"
        ),
    )
    people: Literal["two", "one"] = Field(
        default="two",
        description="two: both actors together, each told of the other; one: each alone, told the own voice,"
        " words and action, as the paper's base is",
    )
    representation: Literal["complete", "paper"] = Field(
        default="complete",
        description="complete: all joints, and four values of the root; paper: 316 channels of two people, 52"
        " joints of each and dx and dz of the root. What is left out has its mean, and turns not at all",
    )
    lower_joints: tuple[str, ...] = Field(
        default=(), description="joints of the lower body by name; none: those of the representation"
    )
    upper_joints: tuple[str, ...] = Field(
        default=(), description="joints of the upper body by name; none: those of the representation"
    )
    root_values: tuple[Literal["dx", "dz", "dheading", "y"], ...] = Field(
        default=(), description="values of the relative root; none: those of the representation"
    )
    relation: bool = Field(
        default=True,
        description="make where each sees the partner (place and heading) beside the root: generation holds"
        " the two to it, so that they do not drift apart; not of representation paper or people one",
    )
    channels: int = Field(
        default=64, ge=8, description="width of the residual blocks; the paper's base has 256"
    )
    blocks: int = Field(default=4, ge=1, description="residual blocks; the paper's base has 20")
    heads: int = Field(
        default=4, ge=1, validate_default=True, description="attention heads; the paper's base has 8"
    )
    text_channels: int = Field(
        default=8,
        ge=0,
        description="channels that a word's embedding is narrowed to, by a learned map; 0 takes all of it, as"
        " the paper does: in few takes a whole embedding names the frame",
    )
    mel_channels: int = Field(
        default=8,
        ge=0,
        description="channels that a frame of the log-mel is narrowed to, by a learned map; 0 takes all of"
        " it, as the paper does: beside so many a small network is late to heed the action",
    )
    action_scale: float = Field(
        default=3.0,
        gt=0,
        description="what an action is told by; the paper has 1, which is heeded late where steps are few",
    )
    text_dropout: float = Field(
        default=0.5, ge=0, lt=1, description="share of training items whose actor's words are not told"
    )
    swap: bool = Field(
        default=True,
        description="learn from copies in which the two actors change places as well, not of people: one",
    )
    smooth_output: bool = Field(
        default=True,
        description="smooth the network's output with the same window, if skip is smoothed: voices change"
        " faster than bodies do",
    )
    velocity_weight: float = Field(
        default=30.0,
        ge=0,
        description="weight of the error of frame-to-frame differences in the loss; the paper has none",
    )
    legs_weight: float = Field(
        default=0.2,
        ge=0,
        description="weight of the error of where knees, ankles and toes are, in square decimetres; the paper"
        " has none. Nothing to joints upper, nor where noise is predicted",
    )
    mirror: bool = Field(
        default=False,
        description="learn from copies with left and right exchanged as well; needs skeletons that are alike"
        " on both sides",
    )
    diffusion_steps: int = Field(default=150, ge=2, description="steps of the diffusion")
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
    a training window (it sets the widest head's field of view, window // 2), labels the known labels of the
    take by name, whose embeddings are added to that of the diffusion step, as classes are elsewhere (Dhariwal
    and Nichol 2021).
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
        labels: Mapping[str, list[str]] | None = None,
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
        self.labels = Labels(labels, 2 * channels, std=0.0) if labels else None

    def forward(self, x: Tensor, step: Tensor, condition: Tensor, labels: Tensor | None = None) -> Tensor:
        """x (B, T, D), step (B,), condition (B, T, C), labels (B, L) numbers -> (B, T, D)."""
        x = F.relu(self.first(x))
        embedded = self.step(step)
        if self.labels is not None:
            if labels is None:
                raise ValueError("this network is told labels: give labels")
            embedded = embedded + self.labels(labels).sum(1)
        total = torch.zeros_like(x)
        for block in self.blocks:
            x, skip = block(x, embedded, condition)
            total = total + skip
        total = total / math.sqrt(len(self.blocks))
        return self.last(F.relu(self.middle(total)))


def _where(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """`one` (B, ...) where an item is chosen (B,), else `other`."""
    return torch.where(chosen.reshape(-1, *[1] * (one.ndim - 1)), one, other)


class Model(denoising.Model):
    """Both actors' bodies, or the part of them that `joints` names.

    With `people: one` items 2 b and 2 b + 1 are the two actors of window b.
    """

    own_columns: Tensor
    lower_columns: Tensor
    root_columns: Tensor
    mirrored_columns: Tensor
    mirrored_signs: Tensor
    root_signs: Tensor
    relation_signs: Tensor

    def __init__(self, options: Options, meta: recipe.Meta):
        super().__init__(options, meta)
        self.body = Moments(meta.stats["body"], min_std=options.min_std, min_scale=options.min_scale)
        self.relative = Moments(meta.stats["relative_root"])
        sees = options.relation and options.representation == "complete" and options.people == "two"
        self.relation = Moments(meta.stats["relation"]) if sees else None
        self.mel, self.text = Moments(meta.stats["mel"]), Moments(meta.stats["text"])
        lower, upper = body_columns(
            meta.joint_names,
            representation=options.representation,
            lower=options.lower_joints,
            upper=options.upper_joints,
        )
        moving = {"lower": lower, "upper": upper, "all": lower + upper}
        moving = {part: sorted({*columns} & {*self.body.moving}) for part, columns in moving.items()}
        columns = moving[options.joints]
        # where the weights lie: a list would be sent to the device at each step
        self.register_buffer("own_columns", torch.tensor(columns, dtype=torch.int64), persistent=False)
        lower_columns = torch.tensor(moving["lower"], dtype=torch.int64)
        self.register_buffer("lower_columns", lower_columns, persistent=False)
        root = options.root_values or (PAPER_ROOT if options.representation == "paper" else ROOT_NAMES)
        self.root = [name for name in ROOT_NAMES if name in root]
        root_columns = torch.tensor([ROOT_NAMES.index(name) for name in self.root], dtype=torch.int64)
        self.register_buffer("root_columns", root_columns, persistent=False)
        self.has_root = options.joints != "upper"
        self.legs: LegPlaces | None = None
        own = [f"{meta.joint_names[c // 3]}_{'xyz'[c % 3]}" for c in columns]
        placed = [*(RELATION_NAMES if self.relation is not None else ()), *self.root]
        own += placed if self.has_root else []
        self.parts = 2 if options.people == "one" else 1
        together = 2 // self.parts
        self.feature_names = own if self.parts == 2 else [f"{actor}.{name}" for actor in "ab" for name in own]
        widths = {"mel": len(self.mel), "text": len(self.text), "action": NUM_ACTIONS}
        if options.joints == "upper":
            widths["lower"] = len(moving["lower"]) + len(placed)
        narrow = {"mel": options.mel_channels, "text": options.text_channels}
        self.told = Told(widths, narrow=narrow, learned=options.untold == "learned")
        network = BodyDenoiser(
            len(self.feature_names),
            together * sum(self.told.widths.values()),
            channels=options.channels,
            blocks=options.blocks,
            heads=options.heads,
            window=options.window_frames,
            dropout=options.dropout,
            labels=meta.labels,
        )
        self._join(network)

    def _part(self, batch: dict[str, Tensor], columns: Tensor, *, root: bool) -> Tensor:
        """Standardised columns of both bodies (B, T, 2, D).

        If asked, each with what it sees of the partner, and with the relative root.
        """
        parts = [self.body.standardise(batch["body"])[..., columns]]
        if root and self.relation is not None:
            parts.append(RELATION_SCALE * self.relation.standardise(batch["relation"]))
        if root:
            parts.append(self.relative.standardise(batch["relative"])[..., self.root_columns])
        return torch.cat(parts, -1)

    def _items(self, both: Tensor) -> Tensor:
        """Of both actors (B, T, 2, D) the network's items: as they are, or an actor each (2 B, T, 1, D)."""
        return both if self.parts == 1 else both.transpose(1, 2).flatten(0, 1)[:, :, None]

    def _both(self, drawn: Tensor) -> Tensor:
        """Of what the network makes both actors (B, T, 2, D): the inverse of `target`'s shape."""
        return drawn.unflatten(2, (2, -1)) if self.parts == 1 else drawn.unflatten(0, (-1, 2)).transpose(1, 2)

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """What the network predicts, standardised: (B, T, D), actor a first, or (2 B, T, D)."""
        return self._items(self._part(batch, self.own_columns, root=self.has_root)).flatten(2)

    def condition(
        self, batch: dict[str, Tensor], untold: dict[str, Tensor] | None = None
    ) -> tuple[Tensor | None, ...]:
        """What the network is told (B, T, C), actor a first; an upper body the lower ones of the batch too.

        Then numbers of labels (B, L), if it is told any. With `people: one` there are 2 B of all. The lower
        bodies are `lower`, which an earlier run of the row has made, or else the real ones.
        """
        parts = said(batch, self.mel, self.text)
        parts["action"] = self.options.action_scale * parts["action"]
        if self.options.joints == "upper":
            real = "lower" not in batch
            parts["lower"] = (
                self._part(batch, self.lower_columns, root=True)
                if real
                else batch["lower"].unflatten(2, (2, -1))
            )
        untold = untold or {}
        parts = {name: self._items(part) for name, part in parts.items()}
        labels = label_numbers(batch, self.options.told, untold, self.parts)
        return (self.told(parts, untold).flatten(2), *labels)

    def also(self, batch: dict[str, Tensor]) -> Callable[[Tensor], Tensor] | None:
        """Where legs are, if that is learned from."""
        if self.legs is None:
            return None
        legs, whole = self.legs, self.body.standardise(batch["body"])

        def error(clean: Tensor) -> Tensor:
            made = whole.clone()
            made[..., self.own_columns] = self._both(clean)[..., : len(self.own_columns)].to(made)
            apart = legs.error(self.body.invert(made), batch["body"].to(made), batch["actors"])
            return self.options.legs_weight * apart

        return error

    def forget(self, draws: Draws) -> dict[str, Tensor]:
        """Everything of some items, and the words of some actors."""
        untold = super().forget(draws)
        if share := self.options.text_dropout:
            silent = torch.stack([draws.uniform() for _ in range(2 // self.parts)], 1) < share
            untold["text"] = silent | untold["text"] if "text" in untold else silent
        return untold

    def prepare(self, skeletons: dict[str, Skeleton]) -> None:
        """Which columns mirrored copies are made of, and how long legs are."""
        moves = self.options.joints != "upper" and self.options.prediction != "noise"
        if self.options.legs_weight and moves:
            self.legs = LegPlaces.of({actor: skeletons[actor] for actor in self.meta.actors})
        if not self.options.mirror:
            return
        found = {
            tuple(np.concatenate(mirrored_columns(own.names, own.offsets_cm)).tolist())
            for own in skeletons.values()
        }
        if len(found) > 1:
            raise InputError(
                "mirror: the actors' skeletons have other axes, need those of one rig; train without mirror"
            )
        columns, signs = np.split(np.array(found.pop()), 2)
        self.register_buffer("mirrored_columns", torch.tensor(columns, dtype=torch.int64), persistent=False)
        self.register_buffer("mirrored_signs", torch.tensor(signs, dtype=torch.float32), persistent=False)
        self.register_buffer("root_signs", torch.tensor(ROOT_SIGNS, dtype=torch.float32), persistent=False)
        of_partner = torch.tensor(RELATION_SIGNS, dtype=torch.float32)
        self.register_buffer("relation_signs", of_partner, persistent=False)

    def varied(self, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """Half of the windows with the actors swapped, in all that they do and say, and half mirrored."""
        if self.options.swap and self.parts == 1:
            swapped = draws.uniform() < 0.5
            batch = {
                # (B, T, 2, ...), `actors` (B, 2), or of the take (B,)
                name: _where(swapped, value.flip(min(value.ndim - 1, 2)), value) if value.ndim > 1 else value
                for name, value in batch.items()
            }
        if self.options.mirror:
            turned = draws.uniform() < 0.5
            body, relative = batch["body"], batch["relative"]
            image = body[..., self.mirrored_columns] * self.mirrored_signs.to(body)
            batch = batch | {
                "body": _where(turned, image, body),
                "relative": _where(turned, relative * self.root_signs.to(relative), relative),
            }
            if "relation" in batch:
                seen = batch["relation"]
                batch["relation"] = _where(turned, seen * self.relation_signs.to(seen), seen)
        return batch

    def _relative(self, lower: Tensor) -> Tensor:
        """Relative roots (B, T, 2, 4) of lower bodies, whose last channels they are, standardised.

        Of what the root is not made of, the height is the mean, and steps and turns are 0: mean ones would go
        on for ever.
        """
        relative = lower.new_zeros(*lower.shape[:3], len(ROOT_NAMES))
        relative[..., self.root_columns] = lower[..., -len(self.root) :]
        relative = self.relative.invert(relative)
        for column, name in enumerate(ROOT_NAMES):
            if name != "y" and name not in self.root:
                relative[..., column] = 0
        return relative

    def sample(
        self, told: dict[str, Tensor], draws: Draws, options: Generate, report: Callable = iter
    ) -> dict[str, Tensor]:
        """Whole bodies and relative roots, or the standardised lower bodies."""
        from models.sampling import long_take

        if self.options.joints == "upper" and "lower" not in told:
            raise InputError(
                "an upper body needs a lower one; name a run that makes it before this one in the row"
            )
        if self.options.joints == "upper":
            got, need = told["lower"].shape[2], 2 * (len(self.lower_columns) + self._placed)
            if got != need:
                raise InputError(
                    f"an upper body: got a lower one of {got} channels, need the {need} that it learned from;"
                    " train both with the same representation, relation and min_std"
                )
        own = self._both(long_take(self, told, draws, options=options, report=report))
        if self.options.joints == "lower":
            return {"lower": own.flatten(2)}
        lower = own if self.has_root else told["lower"].unflatten(2, (2, -1))
        body = torch.zeros(*own.shape[:3], 3 * len(self.meta.joint_names), dtype=own.dtype, device=own.device)
        if not self.has_root:
            body[..., self.lower_columns] = lower[..., : len(self.lower_columns)]
        body[..., self.own_columns] = own[..., : len(self.own_columns)]
        return {"body": self.body.invert(body), "relative": self._relative(lower)} | self._seen(lower)

    @property
    def _placed(self) -> int:
        """Channels of a lower body that say where it is: of the partner and of the root."""
        return len(self.root) + (len(RELATION_NAMES) if self.relation is not None else 0)

    def _seen(self, lower: Tensor) -> dict[str, Tensor]:
        """Where each sees the partner, `relation` (B, T, 2, 4), of lower bodies that are made of it too."""
        if self.relation is None:
            return {}
        columns = slice(lower.shape[-1] - self._placed, lower.shape[-1] - len(self.root))
        return {"relation": self.relation.invert(lower[..., columns] / RELATION_SCALE)}

    def preview(self, batch: dict[str, Tensor], draws: Draws, options: Generate) -> dict[str, Tensor]:
        """Whole bodies: sampled upper ones on the real lower ones, or sampled lower ones below the real."""
        if self.options.joints == "upper":
            batch = batch | {"lower": self._part(batch, self.lower_columns, root=True).flatten(2)}
        told = {name: value for name, value in batch.items() if name not in recipe.FINAL}
        made = self.sample(told, draws, options)
        if self.options.joints != "lower":
            return made
        own = made["lower"].unflatten(2, (2, -1))
        body = self.body.standardise(batch["body"])
        body[..., self.own_columns] = own[..., : len(self.own_columns)]
        return {"body": self.body.invert(body), "relative": self._relative(own)}
