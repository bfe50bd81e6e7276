"""Where knees and feet are, as part of what a body model learns.

Angles that are a little wrong one by one add up along a leg, and it is the foot that must meet the ground. So
the error of places is learned from beside that of angles, as in the human motion diffusion model (Tevet et
al. 2023, equation 3). In: standardised poses turned back into radians. Out: places in the body's own heading,
seen from the hips, in cm. torch, differentiable.
"""

import logging
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.motion import rotations
from pipeline.motion.legs import Legs
from pipeline.motion.pose import Skeleton
from pipeline.motion.skeleton import hips_frame

log = logging.getLogger("interact")
DECIMETRE = 10.0
"""Errors are counted in decimetres: about the deviation of a foot's place."""


def matrices(expmaps: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of exponential maps (..., 3) in radians, by Rodrigues's formula.

    Smooth at no rotation too.
    """
    x, y, z = expmaps.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    angle = (expmaps.square().sum(-1) + 1e-12).sqrt()[..., None, None] / torch.pi
    sine, cosine = torch.sinc(angle), 0.5 * torch.sinc(angle / 2).square()
    return torch.eye(3).to(expmaps) + sine * cross + cosine * (cross @ cross)


class LegPlaces(nn.Module):
    """Places of knees, ankles and toes of actors whose skeletons are known.

    skeletons in the order of the actors' numbers, and the joints of their legs, which are the same for all.
    An actor whose number is -1 has the mean offsets.
    """

    offsets: Tensor
    frames: Tensor
    columns: Tensor

    def __init__(self, skeletons: list[Skeleton], legs: Legs):
        super().__init__()
        self.parents = legs.parents.tolist()
        self.shown = sorted({*legs.knee, *legs.ankle, *legs.toe})
        offsets = np.stack([skeleton.offsets_cm[legs.joints] for skeleton in skeletons])
        offsets = np.concatenate([offsets, offsets.mean(0, keepdims=True)])
        turned = [rotations.inverse(hips_frame(own.names, own.offsets_cm)) for own in skeletons]
        frame = np.stack([rotations.rotate(q, np.eye(3)).T for q in turned])
        frame = np.concatenate([frame, frame[:1]])
        columns = [3 * joint + axis for joint in legs.joints for axis in range(3)]
        self.register_buffer("offsets", torch.tensor(offsets, dtype=torch.float32), persistent=False)
        self.register_buffer("frames", torch.tensor(frame, dtype=torch.float32), persistent=False)
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64), persistent=False)

    @classmethod
    def of(cls, skeletons: Mapping[str, Skeleton]) -> "LegPlaces | None":
        """Of skeletons by actor; None, with a warning, where they lack legs or have several kinds of them."""
        found = [Legs.of(skeleton) for skeleton in skeletons.values()]
        for actor, legs in zip(skeletons, found):
            if legs is None:
                log.warning("the skeleton of actor %s lacks joints of legs: legs_weight is not used", actor)
                return None
        known = [legs for legs in found if legs]
        if len({(tuple(legs.joints), tuple(legs.parents)) for legs in known}) != 1:
            log.warning("the actors' legs are of several kinds: legs_weight is not used")
            return None
        return cls(list(skeletons.values()), known[0])

    def forward(self, body: Tensor, actors: Tensor) -> Tensor:
        """Poses (B, T, 2, 3 J) in radians of actors (B, 2) -> places (B, T, 2, K, 3) in cm."""
        local = matrices(body[..., self.columns].unflatten(-1, (-1, 3)))
        offsets = self.offsets[actors][:, None, :, :, :, None]
        turned = [local[..., 0, :, :] @ self.frames[actors][:, None]]
        places = [torch.zeros_like(turned[0][..., 0])]
        for k, parent in list(enumerate(self.parents))[1:]:
            places.append(places[parent] + (turned[parent] @ offsets[..., k, :, :])[..., 0])
            turned.append(turned[parent] @ local[..., k, :, :])
        return torch.stack([places[k] for k in self.shown], -2)

    def error(self, made: Tensor, real: Tensor, actors: Tensor) -> Tensor:
        """Mean squared distance of joints of poses (B, T, 2, 3 J), in square decimetres."""
        apart = self(made, actors) - self(real, actors)
        return (apart / DECIMETRE).square().sum(-1).mean()
