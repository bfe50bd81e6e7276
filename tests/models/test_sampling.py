"""Samplers: steps of DDIM, a known distribution found, guidance, and windows that agree on a long take."""

import pytest
import torch

from models import diffusion, sampling
from models.diffusion import Diffusion
from models.draws import Draws

LDA = diffusion.linear_betas(150)
DIFFSPEAKER = diffusion.scaled_linear_betas(1000)


def test_ddim_steps():
    steps = sampling.ddim_steps(Diffusion(DIFFSPEAKER), 50)
    assert len(steps) == 50 and steps[:2] == [981, 961] and steps[-2:] == [21, 1]
    assert sampling.ddim_steps(Diffusion(DIFFSPEAKER), 1000) == list(range(999, -1, -1))
    engine = Diffusion(LDA)
    steps = sampling.ddim_steps(engine, 10)
    assert engine.alpha_bar[steps[0]] >= sampling.MIN_SIGNAL and steps[-1] == 1 and len(steps) == 10


@pytest.mark.parametrize("prediction", ["noise", "clean"])
@pytest.mark.parametrize("betas", [LDA, DIFFSPEAKER], ids=["linear", "scaled"])
def test_a_perfect_network_gives_back_the_clean_sample(prediction, betas):
    engine = Diffusion(betas, prediction=prediction)
    clean = torch.randn(1, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def perfect(x, step):
        signal, level = engine._signal_and_noise(step, x)
        return clean if prediction == "clean" else (x - signal * clean) / level

    start = torch.randn(1, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(sampling.ddim(engine, perfect, start, num_steps=10), clean, atol=1e-6)
    ancestral = sampling.ddpm(engine, perfect, start, Draws(2, 0, 1, "cpu"))
    assert torch.allclose(ancestral, clean, atol=1e-6)


@pytest.mark.parametrize("num_steps", [150, 25])
def test_samplers_find_a_gaussian(num_steps):
    """For data N(2, 0.25) the best prediction of the noise is known in closed form.

    Coarse steps leave a bias that is the samplers' own: the ancestral variance is the lower of the two bounds
    of Ho et al., and DDIM starts where 3 % of the signal is still missing.
    """
    engine = Diffusion(LDA)

    def best(x, step):
        signal, level = engine._signal_and_noise(step, x)
        return level * (x - signal * 2) / (signal**2 * 0.25 + level**2)

    x = sampling.sample(engine, best, (1, 1), Draws(0, 0, 1, "cpu").split(4000), num_steps=num_steps)
    assert float(x.mean()) == pytest.approx(2, abs=0.05)
    assert float(x.std()) == pytest.approx(0.5, abs=0.06)


def test_guidance():
    conditional, unconditional = (lambda x, t: x + 3), (lambda x, t: x + 1)
    x = torch.zeros(1)
    assert [float(sampling.guided(conditional, unconditional, s)(x, x)) for s in (0, 1, 2)] == [1, 3, 5]


@pytest.mark.parametrize("frames", [5, 20, 21, 37, 64, 103])
@pytest.mark.parametrize("multiple", [1, 5])
def test_windows_cover_a_take_and_agree(frames, multiple):
    seen = []

    def network(x, step, a, b):
        seen.append((a, b))
        assert b - a <= 20 and a % multiple == 0
        return x * 2 + torch.arange(a, b)[None, :, None]

    x = torch.randn(2, frames, 3, generator=torch.Generator().manual_seed(0))
    got = sampling.windowed(network, window=20, overlap=5, multiple=multiple)(x, torch.zeros(2))
    assert torch.allclose(got, x * 2 + torch.arange(frames)[None, :, None], atol=1e-4)
    assert seen[-1][1] == frames
