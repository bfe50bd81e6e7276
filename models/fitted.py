"""Predicted vertices back to ARKit weights, by the fit that captured faces go through."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.capture.blendshape_fit import BlendshapeFit
from pipeline.formats.rig_file import Rig

BLOCK_FRAMES = 64
"""Frames whose vertices are in memory at a time."""


def fit_vertices(made: Callable[[int, int], Tensor], num_frames: int, rigs: Sequence[Rig]) -> Tensor:
    """ARKit weights (B, T, 51) of vertices of B heads, whose rigs these are.

    made: of a first frame and the one after a last, offsets from the neutrals (B, n, 3 V), cm. What shapes of
    a rig cannot show is lost: of all weights these leave the least squared error of the vertices.
    """
    fits = [BlendshapeFit(rig.neutral, rig.deltas) for rig in rigs]
    parts = []
    for first in range(0, num_frames, BLOCK_FRAMES):
        offsets = made(first, min(first + BLOCK_FRAMES, num_frames)).float().cpu().numpy()
        heads = [
            rig.neutral + own.reshape(len(own), *rig.neutral.shape)
            for rig, own in zip(rigs, offsets, strict=True)
        ]
        parts.append(np.stack([fit(head).weights for fit, head in zip(fits, heads)]))
    return torch.from_numpy(np.concatenate(parts, 1))
