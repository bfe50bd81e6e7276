"""The body network of Listen, Denoise, Action! (Alexanderson et al. 2023) for any number of channels.

In: noisy motion (B, T, D), diffusion step (B,), condition (B, T, C), all standardised. Out: the noise or the
clean motion (B, T, D). For two people D and C are both actors' channels, one after the other.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers import DROPOUT, StepEmbedding, TisaTransformer

DILATIONS = (0, 1, 2)


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

    def __init__(self, features: int, condition: int, *, channels: int = 256, blocks: int = 20, heads: int = 8, window: int = 150,
                 dropout: float = DROPOUT):  # fmt: skip
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
