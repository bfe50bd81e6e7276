"""Channels of streams as networks see them: standardised, split by joints, and what a network is told.

In: a batch of windows as float tensors, body (B, T, 2, 3 J) radians, relative (B, T, 2, 4) relative root,
relation (B, T, 2, 4) as of pipeline.motion.pose.partner_seen, mel (B, T, 2, M), speech (B, T, 2, E), text
(B, T, 2, E) with spoken (B, T, 2), action and facing (B, T, 2), face (B, T, 2, 51), actors (B, 2). Channels
are standardised by the moments of the train split; one-hots are left alone.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import InputError
from pipeline.motion.joints import RELEASE_JOINTS, SIDES, aliases

NUM_ACTIONS = 3
ROOT_NAMES = ("dx", "dz", "dheading", "y")
RELATION_NAMES = ("partner_x", "partner_z", "partner_sine", "partner_cosine")
MIN_STD = 1e-4
"""A channel that varies less than this over the train split is constant: it is centred, not scaled."""
STATISTICS = {
    "face": ("face",),
    "body": ("body",),
    "root": ("relative_root", "relation", "lower_foot", "closest"),
    "mel": ("mel",),
    "speech": ("speech",),
    "text": ("text",),
}
"""The statistics that standardise a stream; streams of labels have none."""
_LOWER = [
    "Hips",
    *(f"{side}{part}" for side in SIDES for part in ("UpLeg", "Leg", "Foot", "ToeBase")),
    "LHipJoint",
    "RHipJoint",
]


_LEFT_OUT = [f"{side}{part}" for side in SIDES for part in ("ToeBase", "HandIndex", "HandRing", "HandPinky")]
"""Toes and metacarpals."""
PAPER_LOWER = [name for name in RELEASE_JOINTS if name in _LOWER and name not in _LEFT_OUT]
"""Hips and six joints of the legs."""
PAPER_UPPER = [name for name in RELEASE_JOINTS if name not in _LOWER and name not in _LEFT_OUT]
"""Trunk, head, arms and three joints of each finger: 45."""
PAPER_ROOT = ("dx", "dz")
"""With 7 and 45 joints 158 values an actor, 316 of both. What of LDA's root the paper keeps is not said."""


def statistics_of(streams: Iterable[str]) -> list[str]:
    """Names of the statistics that standardise these streams, in their order."""
    return [own for name in streams for own in STATISTICS.get(name, ())]


def lower_joints(names: list[str]) -> list[int]:
    """Indices of the joints of the lower body, in order.

    Those are hips, hip joints, legs, feet and toes, found by their canonical names.
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


def _named(names: list[str], wanted: Iterable[str], option: str) -> list[int]:
    """Indices of joints by name, in the skeleton's order; InputError for one that it does not have."""
    found = aliases(names) | {name: j for j, name in enumerate(names)}
    if missing := [name for name in wanted if name not in found]:
        raise InputError(f"{option}: no joint {missing[0]!r:.60}; name some of {', '.join(names)!s:.400}")
    return sorted({found[name] for name in wanted})


def body_columns(
    names: list[str],
    *,
    representation: str = "complete",
    lower: Iterable[str] = (),
    upper: Iterable[str] = (),
) -> tuple[list[int], list[int]]:
    """Columns of the lower and of the upper body, of joints by name, or of the representation's.

    complete: all joints; paper: those of the paper's 316 channels that the skeleton has. InputError where
    one half has no joint, both have the same, or a name is unknown.
    """
    below, above = lower_joints(names), upper_joints(names)
    if representation == "paper":
        found = aliases(names)
        below = sorted(found[name] for name in PAPER_LOWER if name in found)
        above = sorted(found[name] for name in PAPER_UPPER if name in found)
    if lower:
        below = _named(names, lower, "lower_joints")
    if upper:
        above = _named(names, upper, "upper_joints")
    if not (below and above):
        raise InputError(
            f"joints {', '.join(names[:8])}, ...: need some of the lower body (legs) and some others;"
            " rename them to the release's names"
        )
    if twice := sorted({*below} & {*above}):
        raise InputError(
            f"lower_joints, upper_joints: {names[twice[0]]} is of both halves, need it in one; take it out"
            " of one list"
        )
    return joint_columns(below), joint_columns(above)


class Moments(nn.Module):
    """Mean and scale (D,) of a stream's channels, and which of them are constant.

    No part of a model's weights.
    """

    mean: Tensor
    scale: Tensor
    constant: Tensor

    def __init__(self, stats: dict, *, min_std: float = MIN_STD, min_scale: float = 0.0):
        """From {"mean": [...], "std": [...]} of stats.json.

        Channels whose deviation is below `min_std` are constant and get scale 1, others `min_scale` at least.
        `moving` are the numbers of those others.
        """
        super().__init__()
        self.moving = [c for c, std in enumerate(stats["std"]) if std >= min_std]
        std = torch.tensor(stats["std"], dtype=torch.float32)
        constant = torch.tensor([std < min_std for std in stats["std"]], dtype=torch.bool)
        self.register_buffer("mean", torch.tensor(stats["mean"], dtype=torch.float32), persistent=False)
        scale = torch.where(constant, 1.0, std.clamp(min=min_scale))
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("constant", constant, persistent=False)

    def __len__(self) -> int:
        return len(self.mean)

    def standardise(self, x: Tensor) -> Tensor:
        """Standardise (..., D)."""
        return (x - self.mean.to(x)) / self.scale.to(x)

    def invert(self, x: Tensor) -> Tensor:
        """Undo `standardise`; a constant channel gets its mean, whatever a network made of it."""
        return torch.where(
            self.constant.to(x.device), self.mean.to(x), x * self.scale.to(x) + self.mean.to(x)
        )


def said(batch: dict[str, Tensor], mel: Moments, text: Moments) -> dict[str, Tensor]:
    """What both actors say and do, standardised, by parts (B, T, 2, C).

    `mel` (C = M): the log-mel; `text` (E): the word, zeros in silence; `action` (3): one-hot.
    """
    heard = mel.standardise(batch["mel"])
    return {
        "mel": heard,
        "text": text.standardise(batch["text"]) * batch["spoken"][..., None].to(heard),
        "action": F.one_hot(batch["action"].long(), NUM_ACTIONS).to(heard),
    }


def styles(actors: Tensor, num_actors: int) -> Tensor:
    """Identities (B, 2), -1 for an unknown actor, as weights (B, 2, A): one-hot, or all alike."""
    known = F.one_hot(actors.clamp(min=0), num_actors).float()
    return torch.where(actors[..., None] >= 0, known, torch.full_like(known, 1 / num_actors))


def identities(actors: Iterable[str], known: list[str]) -> np.ndarray:
    """Places of actors among the known ones, -1 for an actor whom training has not seen."""
    return np.array([known.index(actor) if actor in known else -1 for actor in actors])
