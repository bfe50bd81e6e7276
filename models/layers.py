"""Layers of the two published architectures: TISA transformers and biased conditional attention.

The first are those of LDA (Listen, Denoise, Action!), the second is that of DiffSpeaker.

Tensors are (B, T, C) float; nothing here knows about motion. Distances between frames enter through biases
only, so every layer takes any number of frames. Tables that follow from sizes alone are made once for each
device, where calls share them: nobody may change them in place.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NUM_KERNELS = 21
DROPOUT = 0.1
KEPT_TABLES = 16
"""Rows of numbers that are kept, of the last sizes asked for."""
KEPT_BIASES = 2
"""Matrices (H, T, T) that are kept: windows of a long take have one length, and the last one another."""


def tisa_slopes(num_heads: int, min_view: float = 5, max_view: float = 75) -> Tensor:
    """Slopes (H,) of TISA's linear decay, from each head's field of view.

    A head whose field of view is v frames has lost ln(1e-8) at distance v / 2. Fields of view go
    geometrically from `min_view` to `max_view` frames (half a training window in the public code).
    """
    first, last = (math.log10(-math.log(1e-8) / (view / 2)) for view in (min_view, max_view))
    return torch.logspace(first, last, num_heads, dtype=torch.float64).float()


@lru_cache(maxsize=KEPT_TABLES)
def _distances(num_frames: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Distances T - 1 .. -(T - 1) as (2 T - 1, 1)."""
    return torch.arange(num_frames - 1, -num_frames, -1, device=device, dtype=dtype)[:, None]


class TisaScore(nn.Module):
    """Position score (H, T, T) of translation-invariant self-attention, version 2.

    See Wennberg and Henter 2021, and LDA.

    Of the distance d = query - key: log(sum_k |a_k| sigmoid(sign(a_k) (d - o_k) / s_k) + |b| + 1e-8) - |d| m
    per head, with learnt a, o, s, b and fixed slopes m. Computed once per distance, then spread.
    """

    slopes: Tensor

    def __init__(self, num_heads: int, *, max_view: float = 75, dropout: float = DROPOUT):
        super().__init__()
        self.offsets = nn.Parameter(torch.randn(NUM_KERNELS, num_heads) * 15)
        self.amplitudes = nn.Parameter(torch.randn(NUM_KERNELS, num_heads) * 0.01)
        self.sharpness = nn.Parameter(torch.full((NUM_KERNELS, num_heads), 5.0))
        self.bias = nn.Parameter(torch.ones(num_heads))
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("slopes", tisa_slopes(num_heads, 5, max_view), persistent=False)

    def forward(self, num_frames: int) -> Tensor:
        """Scores (H, T, T), [head, query, key]."""
        distance = _distances(num_frames, self.bias.device, self.bias.dtype)
        kernels = self.amplitudes.abs() * torch.sigmoid(
            self.amplitudes.sign() * (distance[:, None] - self.offsets) / self.sharpness
        )
        near = (self.dropout(kernels).sum(1) + 1e-8 + self.bias.abs()).log()
        score = near - distance.abs() * self.slopes  # (2T-1, H)
        # row i of the matrix is the table from the distance i on: a sliding window, far cheaper than a gather
        return score.T.contiguous().unfold(1, num_frames, 1).flip(1)


class TisaAttention(nn.Module):
    """Self-attention with TISA's position score, then Linear and GLU: (B, T, C) -> (B, T, C)."""

    def __init__(self, channels: int, num_heads: int, *, max_view: float, dropout: float = DROPOUT):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.project = nn.Linear(channels, 3 * channels, bias=False)
        self.score = TisaScore(num_heads, max_view=max_view, dropout=dropout)
        self.out = nn.Linear(channels, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Attend over all frames."""
        batch, frames, channels = x.shape
        key, value, query = (
            self.project(x).reshape(batch, frames, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        )
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(
            query, key, value, attn_mask=self.score(frames)[None].to(x), dropout_p=dropout
        )
        return F.glu(self.out(y.transpose(1, 2).reshape(batch, frames, channels)))


class FeedForward(nn.Module):
    """C -> 4 C -> C with ReLU, without biases.

    It works per frame (dilation 0), or by convolutions over 3 frames with a dilation.
    """

    def __init__(self, channels: int, dilation: int, *, dropout: float = DROPOUT):
        super().__init__()
        self.dilation, self.dropout = dilation, nn.Dropout(dropout)

        def layer(inner: int, outer: int) -> nn.Module:
            if dilation:
                return nn.Conv1d(inner, outer, 3, padding=dilation, dilation=dilation, bias=False)
            return nn.Linear(inner, outer, bias=False)

        self.first, self.second = layer(channels, 4 * channels), layer(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        if not self.dilation:
            return self.second(self.dropout(F.relu(self.first(x))))
        return self.second(self.dropout(F.relu(self.first(x.transpose(1, 2))))).transpose(1, 2)


class TisaBlock(nn.Module):
    """Attention and feed-forward, each with residual and layer norm after it."""

    def __init__(
        self, channels: int, num_heads: int, dilation: int, *, max_view: float, dropout: float = DROPOUT
    ):
        super().__init__()
        self.attention = TisaAttention(channels, num_heads, max_view=max_view, dropout=dropout)
        self.feedforward = FeedForward(channels, dilation, dropout=dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        x = self.norms[0](x + self.dropout(self.attention(x)))
        return self.norms[1](x + self.dropout(self.feedforward(x)))


class TisaTransformer(nn.Module):
    """Linear, two TISA blocks, Linear: (B, T, C) -> (B, T, 2 C)."""

    def __init__(
        self, channels: int, num_heads: int, dilation: int, *, max_view: float, dropout: float = DROPOUT
    ):
        super().__init__()
        self.first = nn.Linear(channels, channels)
        self.blocks = nn.ModuleList(
            TisaBlock(channels, num_heads, dilation, max_view=max_view, dropout=dropout) for _ in range(2)
        )
        self.last = nn.Linear(channels, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, 2 C)."""
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


@lru_cache(maxsize=KEPT_TABLES)
def _step_frequencies(device: torch.device) -> Tensor:
    """DiffWave's frequencies (64,)."""
    return 10.0 ** (torch.arange(64, device=device, dtype=torch.float32) * 4.0 / 63.0)


class StepEmbedding(nn.Module):
    """Diffusion step (B,) -> (B, C), by sines, cosines and two layers.

    DiffWave's 128 sines and cosines of t 10^(4 k / 63) go through Linear, SiLU, Linear, SiLU.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = nn.Linear(128, channels), nn.Linear(channels, channels)

    def forward(self, step: Tensor) -> Tensor:
        """Embed steps in float32, as the public code does: float64 would change the highest frequencies."""
        angle = step.float()[:, None] * _step_frequencies(step.device)
        x = torch.cat([angle.sin(), angle.cos()], 1).to(self.first.weight)
        return F.silu(self.second(F.silu(self.first(x))))


@lru_cache(maxsize=KEPT_TABLES)
def _sinusoid_frequencies(half: int, device: torch.device) -> Tensor:
    return torch.exp(-math.log(10_000) * torch.arange(half, device=device, dtype=torch.float32) / half)


def sinusoid(step: Tensor, width: int) -> Tensor:
    """Diffusion step (B,) -> (B, width), cosines first, frequencies 10000^(-k / (width / 2)).

    This is the Transformer's encoding, as in diffusers.
    """
    angle = step.float()[:, None] * _sinusoid_frequencies(width // 2, step.device)
    return torch.cat([angle.cos(), angle.sin()], 1)


@lru_cache(maxsize=KEPT_TABLES)
def periodic_encoding(
    num_frames: int,
    width: int,
    period: int,
    *,
    start: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """FaceFormer's positional encoding (T, width): sines and cosines of (start + frame) mod period."""
    place = (torch.arange(start, start + num_frames, device="cpu") % period).float()[:, None]
    frequency = torch.exp(torch.arange(0, width, 2, device="cpu").float() * (-math.log(10_000) / width))
    table = torch.stack([(place * frequency).sin(), (place * frequency).cos()], -1).flatten(1)[:, :width]
    return table.to(device, dtype)


def bias_slopes(num_heads: int) -> Tensor:
    """ALiBi's slopes (H,): 2^(-8 h / H) for h = 1 .. H (Press et al. 2022)."""
    return 2.0 ** (-8.0 * torch.arange(1, num_heads + 1, device="cpu") / num_heads)


@lru_cache(maxsize=KEPT_BIASES)
def temporal_bias(
    num_heads: int,
    num_frames: int,
    period: int,
    *,
    prefix: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """DiffSpeaker's self-attention bias (H, T, P + T), [head, query, key], 0 for P prefix tokens.

    It is minus the slope times the whole periods between query i and key j: floor((i - j) / period) for keys
    j <= i, floor((j - i - 1) / period) for later ones. Attention is not causal.
    """
    place = torch.arange(num_frames, device="cpu")
    distance = place[:, None] - place
    periods = torch.where(distance >= 0, distance, -distance - 1) // period
    bias = -bias_slopes(num_heads)[:, None, None] * periods
    return F.pad(bias, (prefix, 0)).to(device, dtype)


class BiasedDecoderLayer(nn.Module):
    """DiffSpeaker's decoder layer with biased conditional attention.

    It is pre-norm, with GELU, and with prefix tokens in keys and values.

    x (B, T, C) frames, memory (B, T, C) one token per frame, prefix (B, P, C) condition tokens (style,
    facing, step). Self-attention sees all frames with the temporal bias, and the prefix. Cross-attention of a
    frame sees the memory's token of that frame and the prefix only, so it is computed over 1 + P keys instead
    of a masked T x T matrix.
    """

    def __init__(
        self, channels: int, num_heads: int, feedforward: int, *, period: int, dropout: float = DROPOUT
    ):
        super().__init__()
        self.num_heads, self.period = num_heads, period
        self.self_in, self.cross_in = nn.Linear(channels, 3 * channels), nn.Linear(channels, 3 * channels)
        self.self_out, self.cross_out = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.first, self.second = nn.Linear(channels, feedforward), nn.Linear(feedforward, channels)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
        for layer in (self.self_in, self.cross_in):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def _heads(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, H, T, C / H)."""
        return x.reshape(*x.shape[:2], self.num_heads, -1).transpose(1, 2)

    def _self_attention(self, x: Tensor, prefix: Tensor) -> Tensor:
        tokens = torch.cat([prefix, x], 1)
        query_weight, key_value_weight = self.self_in.weight.tensor_split([x.shape[-1]])
        query_bias, key_value_bias = self.self_in.bias.tensor_split([x.shape[-1]])
        query = self._heads(F.linear(x, query_weight, query_bias))
        key, value = (
            self._heads(part) for part in F.linear(tokens, key_value_weight, key_value_bias).chunk(2, -1)
        )
        bias = temporal_bias(
            self.num_heads, x.shape[1], self.period, prefix=prefix.shape[1], device=x.device, dtype=x.dtype
        )
        y = F.scaled_dot_product_attention(
            query, key, value, attn_mask=bias[None], dropout_p=self.dropout.p if self.training else 0.0
        )
        return self.self_out(y.transpose(1, 2).flatten(2))

    def _cross_attention(self, x: Tensor, memory: Tensor, prefix: Tensor) -> Tensor:
        query_weight, key_value_weight = self.cross_in.weight.tensor_split([x.shape[-1]])
        query_bias, key_value_bias = self.cross_in.bias.tensor_split([x.shape[-1]])
        query = self._heads(F.linear(x, query_weight, query_bias))
        key, value = (
            self._heads(part) for part in F.linear(memory, key_value_weight, key_value_bias).chunk(2, -1)
        )
        prefix_key, prefix_value = (
            self._heads(part) for part in F.linear(prefix, key_value_weight, key_value_bias).chunk(2, -1)
        )
        own = (query * key).sum(-1, keepdim=True)  # (B, H, T, 1)
        logits = torch.cat([own, query @ prefix_key.transpose(-1, -2)], -1) / math.sqrt(query.shape[-1])
        weights = self.dropout(logits.softmax(-1))
        y = weights[..., :1] * value + weights[..., 1:] @ prefix_value
        return self.cross_out(y.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor, memory: Tensor, prefix: Tensor) -> Tensor:
        """(B, T, C), (B, T, C), (B, P, C) -> (B, T, C)."""
        x = x + self.dropout(self._self_attention(self.norms[0](x), prefix))
        x = x + self.dropout(self._cross_attention(self.norms[1](x), memory, prefix))
        return x + self.dropout(self.second(self.dropout(F.gelu(self.first(self.norms[2](x))))))
