"""The face network: DiffSpeaker's denoiser (Ma et al. 2024) for one actor, with the InterAct paper's
conditions.

In: noisy ARKit weights (B, T, D), standardised; diffusion step (B,); one audio token per frame (B, T, A): the
actor's own and the partner's features side by side; identities. Out: the clean weights (B, T, D),
standardised.

A condition is a prefix token of the biased conditional attention: style of the actor, style of the partner,
whether the actor faces the partner in this window (the majority of its frames), diffusion step. The facing of
every frame also enters with the audio: a generated take is longer than a training window and actors turn
within it, which one token cannot say.
"""

import torch
from torch import Tensor, nn

from models.layers import DROPOUT, BiasedDecoderLayer, periodic_encoding, sinusoid

STEP_WIDTH = 768
"""Width of the sinusoid of the diffusion step, as in the public code."""


class FaceDenoiser(nn.Module):
    """DiffSpeaker's denoiser. The public size: dim 512, heads 4, feedforward 1024, period 30.

    features D; audio A, all audio features of a frame; identities, the number of known actors; partner: a
    second style token; facing: a facing token, and facing per frame of actor and partner beside the audio.
    With neither it is the published single-person network.
    """

    def __init__(self, features: int, audio: int, identities: int, *, dim: int = 512, heads: int = 4, feedforward: int = 1024,
                 period: int = 30, partner: bool = True, facing: bool = True, dropout: float = DROPOUT):  # fmt: skip
        super().__init__()
        self.period = period
        self.first = nn.Linear(features, dim)
        self.audio = nn.Linear(audio + 2 * facing, dim)
        self.style = nn.Parameter(torch.randn(identities, dim))
        self.partner_style = nn.Parameter(torch.randn(identities, dim)) if partner else None
        self.facing = nn.Parameter(torch.randn(2, dim)) if facing else None
        self.step = nn.Sequential(nn.Linear(STEP_WIDTH, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.layer = BiasedDecoderLayer(dim, heads, feedforward, period=period, dropout=dropout)
        self.last = nn.Linear(dim, features)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(
        self,
        x: Tensor,
        step: Tensor,
        audio: Tensor,
        style: Tensor,
        partner: Tensor | None = None,
        facing: Tensor | None = None,
    ) -> Tensor:
        """The clean weights.

        x (B, T, D), step (B,), audio (B, T, A); style and partner (B, identities), one-hot, or a mixture for
        an actor whom training has not seen; facing (B, T, 2), 1 where the actor (the partner) faces the
        other. Raises ValueError where the network has a partner or facing token and is not told of it.
        """
        tokens = [style.to(x) @ self.style]
        if self.partner_style is not None:
            if partner is None:
                raise ValueError("this network has a partner token: give partner")
            tokens.append(partner.to(x) @ self.partner_style)
        if self.facing is not None:
            if facing is None:
                raise ValueError("this network has a facing token: give facing")
            facing = facing.to(x)
            majority = (facing[..., 0].mean(1) >= 0.5).to(x)[:, None]
            tokens.append(torch.cat([1 - majority, majority], 1) @ self.facing)
            audio = torch.cat([audio, facing], -1)
        tokens.append(self.step(sinusoid(step, STEP_WIDTH).to(x)))
        place = periodic_encoding(x.shape[1], self.last.in_features, self.period).to(x)
        frames = self.dropout(self.first(x) + place)
        return self.last(self.layer(frames, self.audio(audio), torch.stack(tokens, 1)))
