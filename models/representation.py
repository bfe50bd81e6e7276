"""What the networks see: standardised channels out of a shard's streams, and back.

In: a batch of windows as float tensors, body (B, T, 2, 3 J) radians, relative (B, T, 2, 4) relative root, mel
(B, T, 2, M), text (B, T, 2, E) with spoken (B, T, 2), action, facing (B, T, 2), face (B, T, 2, 51), actors
(B, 2). Out: what a network predicts (B, T, D) and what it is told. speech (B, T, 2, E), features of a frozen
encoder, for faces that hear those.

body_lower: per actor the expmaps of hips, legs and feet and the relative root; told, per actor, log-mel,
embedding of the word being said (zeros in silence) and one-hot action. body_upper: the expmaps of all other
joints; told the same and the lower body of both. face: one actor's ARKit weights; told both actors' speech
features or log-mel (own first), identities and facing. Channels are standardised by the moments of the train
split; one-hots are left alone.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.motion.joints import SIDES, aliases

MODELS = ("face", "body_lower", "body_upper")
NUM_ACTIONS = 3
ROOT_NAMES = ("dx", "dz", "dheading", "y")
MIN_STD = 1e-4
"""A channel that varies less than this over the train split is constant: it is centred, not scaled."""
_LOWER = (
    ["Hips"]
    + [f"{side}{part}" for side in SIDES for part in ("UpLeg", "Leg", "Foot", "ToeBase")]
    + ["LHipJoint", "RHipJoint"]
)


def lower_joints(names: list[str]) -> list[int]:
    """Indices of the joints of the lower body, in order: hips, hip joints, legs, feet and toes, by canonical
    names.
    """
    found = aliases(names)
    return sorted(found[name] for name in _LOWER if name in found)


def upper_joints(names: list[str]) -> list[int]:
    """Indices of all joints that are not of the lower body, in order."""
    lower = set(lower_joints(names))
    return [j for j in range(len(names)) if j not in lower]


def joint_columns(joints: list[int]) -> list[int]:
    """Columns of joints in a row of 3 J exponential map values."""
    return [3 * j + axis for j in joints for axis in range(3)]


@dataclass(frozen=True)
class Moments:
    """Mean and scale (D,) of a stream's channels, and which of them are constant."""

    mean: Tensor
    scale: Tensor
    constant: Tensor

    @classmethod
    def of(cls, stats: dict) -> "Moments":
        """From {"mean": [...], "std": [...]} of stats.json; constant channels get scale 1."""
        std = torch.tensor(stats["std"], dtype=torch.float32)
        return cls(
            torch.tensor(stats["mean"], dtype=torch.float32),
            torch.where(std < MIN_STD, 1.0, std),
            std < MIN_STD,
        )

    def apply(self, x: Tensor) -> Tensor:
        """Standardise (..., D)."""
        return (x - self.mean.to(x)) / self.scale.to(x)

    def invert(self, x: Tensor) -> Tensor:
        """Undo `apply`; a constant channel gets its mean, whatever a network made of it."""
        return torch.where(
            self.constant.to(x.device), self.mean.to(x), x * self.scale.to(x) + self.mean.to(x)
        )


class Representation:
    """Channels of one of the three networks.

    model: face, body_lower or body_upper; stats: as stats.json; joint_names: J names; actors: the identities
    known; audio: what a face hears, the stream mel or speech.
    """

    def __init__(
        self, model: str, *, stats: dict, joint_names: list[str], actors: list[str], audio: str = "mel"
    ):
        if model not in MODELS:
            raise InputError(f"model {model!r}: need one of {', '.join(MODELS)}")
        self.model, self.joint_names, self.actors = model, list(joint_names), list(actors)
        self.audio = audio if model == "face" else "mel"
        names = ("face", audio) if model == "face" else ("body", "relative_root", "mel", "text")
        self.stats = {name: {key: list(stats[name][key]) for key in ("mean", "std")} for name in names}
        self.moments = {name: Moments.of(stats[name]) for name in names}
        self.lower, self.upper = (
            joint_columns(lower_joints(joint_names)),
            joint_columns(upper_joints(joint_names)),
        )
        if model != "face" and not (self.lower and self.upper):
            raise InputError(
                f"joints {', '.join(joint_names[:8])}, ...: need some of the lower body (legs) and some"
                " others; rename them to the release's names"
            )

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that a batch must have."""
        return (
            ("face", self.audio, "facing")
            if self.model == "face"
            else ("body", "root", "mel", "action", "text")
        )

    @property
    def feature_names(self) -> list[str]:
        """Names of what the network predicts, D of them."""
        if self.model == "face":
            return list(arkit.NAMES)
        columns = self.lower if self.model == "body_lower" else self.upper
        own = [f"{self.joint_names[c // 3]}_{'xyz'[c % 3]}" for c in columns]
        own += ROOT_NAMES if self.model == "body_lower" else ()
        return [f"{actor}.{name}" for actor in "ab" for name in own]

    @property
    def condition_size(self) -> int:
        """Channels that a network is told per frame (facing and identities of the face model aside)."""
        heard = len(self.moments[self.audio].mean)
        if self.model == "face":
            return 2 * heard
        lower = 2 * (len(self.lower) + len(ROOT_NAMES)) if self.model == "body_upper" else 0
        return 2 * (heard + len(self.moments["text"].mean) + NUM_ACTIONS) + lower

    def lower_body(self, batch: dict[str, Tensor]) -> Tensor:
        """Standardised lower bodies of both actors (B, T, 2 (3 L + 4)), actor a first."""
        body = self.moments["body"].apply(batch["body"])[..., self.lower]
        return torch.cat([body, self.moments["relative_root"].apply(batch["relative"])], -1).flatten(2)

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """What the network predicts, standardised: (B, T, D), for faces (2 B, T, 51), actors a and b of an
        item in a row.
        """
        if self.model == "face":
            return self.moments["face"].apply(batch["face"]).transpose(1, 2).flatten(0, 1)
        if self.model == "body_lower":
            return self.lower_body(batch)
        return self.moments["body"].apply(batch["body"])[..., self.upper].flatten(2)

    def condition(self, batch: dict[str, Tensor], lower: Tensor | None = None) -> tuple[Tensor, ...]:
        """What the network takes after x and the step.

        Bodies: one tensor (B, T, C); body_upper's ends with `lower`, standardised lower bodies, by default
        those of the batch (teacher forcing). Faces: audio (2 B, T, 2 M or 2 E), styles of actor and partner
        (2 B, A), facing (2 B, T, 2).
        """
        heard = self.moments[self.audio].apply(batch[self.audio])
        if self.model == "face":
            both = lambda x: torch.stack([x, x.flip(2)], 1).flatten(0, 1)  # noqa: E731  own first, then the other way round
            style = self.styles(batch["actors"])
            return (
                both(heard).flatten(2),
                style.flatten(0, 1),
                style.flip(1).flatten(0, 1),
                both(batch["facing"]),
            )
        text = self.moments["text"].apply(batch["text"]) * batch["spoken"][..., None].to(heard)
        action = F.one_hot(batch["action"].long(), NUM_ACTIONS).to(heard)
        told = torch.cat([heard, text, action], -1).flatten(2)
        if self.model == "body_lower":
            return (told,)
        return (torch.cat([told, self.lower_body(batch) if lower is None else lower], -1),)

    def styles(self, actors: Tensor) -> Tensor:
        """Identities (B, 2), -1 for an actor whom training has not seen, as weights (B, 2, A): one-hot, or
        all alike.
        """
        known = F.one_hot(actors.clamp(min=0), len(self.actors)).float()
        return torch.where(actors[..., None] >= 0, known, torch.full_like(known, 1 / len(self.actors)))

    def identities(self, actors: list[str]) -> np.ndarray:
        """Numbers of actors by id, -1 for an actor whom training has not seen."""
        return np.array([self.actors.index(actor) if actor in self.actors else -1 for actor in actors])

    def unconditional(self, condition: tuple[Tensor, ...], drop: Tensor | None = None) -> tuple[Tensor, ...]:
        """The condition with its first tensor (audio, or all that a body is told) zeroed, for all items or
        where `drop` (B,).
        """
        first = condition[0]
        keep = torch.zeros(len(first), dtype=torch.bool, device=first.device) if drop is None else ~drop
        return first * keep[:, None, None].to(first), *condition[1:]

    def weights(self, sample: Tensor) -> Tensor:
        """ARKit weights (..., 51) of a standardised sample of the face model."""
        return self.moments["face"].invert(sample)

    def bodies(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Poses (B, T, 2, 3 J) radians and relative roots (B, T, 2, 4) of standardised samples of the two
        body models.
        """
        lower, upper = lower.unflatten(2, (2, -1)), upper.unflatten(2, (2, -1))
        body = torch.zeros(
            *lower.shape[:3], 3 * len(self.joint_names), dtype=lower.dtype, device=lower.device
        )
        body[..., self.lower], body[..., self.upper] = lower[..., : len(self.lower)], upper
        return self.moments["body"].invert(body), self.moments["relative_root"].invert(
            lower[..., len(self.lower) :]
        )
