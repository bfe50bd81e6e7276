"""The diffusion engine: constants of the published schedules, identities, and samplers that find a known
distribution.
"""

import numpy as np
import pytest
import torch

from models import diffusion
from models.diffusion import Diffusion
from pipeline.errors import InputError

LDA = diffusion.linear_betas(150)
DIFFSPEAKER = diffusion.scaled_linear_betas(1000)


def test_schedules_equal_the_published_ones():
    bar = Diffusion(LDA).alpha_bar
    assert [float(bar[t]) for t in (0, 10, 75)] == pytest.approx([0.99, 0.68925588, 1.1042719e-07], rel=1e-7)
    bar = Diffusion(DIFFSPEAKER).alpha_bar
    assert [float(bar[t]) for t in (0, 501, 999)] == pytest.approx(
        [0.99914998, 0.27499884, 0.0046600951], rel=2e-6
    )  # theirs is float32


def test_cosine_schedule_follows_its_formula():
    bar = Diffusion(diffusion.cosine_betas(100)).alpha_bar
    t = np.arange(1, 90) / 100
    want = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert np.allclose(bar[:89].numpy(), want)


def test_ddim_steps():
    steps = Diffusion(DIFFSPEAKER).ddim_steps(50)
    assert len(steps) == 50 and steps[:2] == [981, 961] and steps[-2:] == [21, 1]
    assert Diffusion(DIFFSPEAKER).ddim_steps(1000) == list(range(999, -1, -1))
    engine = Diffusion(LDA)
    steps = engine.ddim_steps(10)
    assert engine.alpha_bar[steps[0]] >= diffusion.MIN_SIGNAL and steps[-1] == 1 and len(steps) == 10


@pytest.mark.parametrize("prediction", ["noise", "clean"])
@pytest.mark.parametrize("betas", [LDA, DIFFSPEAKER], ids=["linear", "scaled"])
def test_a_perfect_network_gives_back_the_clean_sample(prediction, betas):
    engine = Diffusion(betas, prediction=prediction)
    clean = torch.randn(1, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def perfect(x, step):
        signal, level = engine._signal_and_noise(step, x)
        return clean if prediction == "clean" else (x - signal * clean) / level

    start = torch.randn(1, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(engine.sample_ddim(perfect, start, num_steps=10), clean, atol=1e-6)
    ancestral = engine.sample_ddpm(perfect, start, torch.Generator().manual_seed(2))
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

    x = engine.sample(best, (4000, 1, 1), torch.Generator().manual_seed(0), num_steps=num_steps)
    assert float(x.mean()) == pytest.approx(2, abs=0.05)
    assert float(x.std()) == pytest.approx(0.5, abs=0.06)


def test_loss_of_a_perfect_network_is_zero_and_velocity_counts():
    clean = torch.randn(3, 8, 4, generator=torch.Generator().manual_seed(0))
    engine = Diffusion(DIFFSPEAKER, prediction="clean")
    assert float(engine.loss(lambda x, t: clean, clean, torch.Generator(), velocity_weight=1)) == 0
    shaken = clean + torch.tensor([1.0, -1.0]).repeat(4)[None, :, None]
    plain = float(engine.loss(lambda x, t: shaken, clean, torch.Generator()))
    both = float(engine.loss(lambda x, t: shaken, clean, torch.Generator(), velocity_weight=1))
    assert plain == pytest.approx(1, rel=1e-5) and both == pytest.approx(5, rel=1e-5)


def test_loss_is_the_same_for_the_same_generator():
    engine, clean = Diffusion(LDA), torch.ones(3, 8, 4)
    draws = [
        float(engine.loss(lambda x, t: x, clean, torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_guidance():
    conditional, unconditional = (lambda x, t: x + 3), (lambda x, t: x + 1)
    x = torch.zeros(1)
    assert [float(diffusion.guided(conditional, unconditional, s)(x, x)) for s in (0, 1, 2)] == [1, 3, 5]


@pytest.mark.parametrize("frames", [5, 20, 21, 37, 64, 103])
@pytest.mark.parametrize("multiple", [1, 5])
def test_windows_cover_a_take_and_agree(frames, multiple):
    seen = []

    def network(x, step, a, b):
        seen.append((a, b))
        assert b - a <= 20 and a % multiple == 0
        return x * 2 + torch.arange(a, b)[None, :, None]

    x = torch.randn(2, frames, 3, generator=torch.Generator().manual_seed(0))
    got = diffusion.windowed(network, window=20, overlap=5, multiple=multiple)(x, torch.zeros(2))
    assert torch.allclose(got, x * 2 + torch.arange(frames)[None, :, None], atol=1e-4)
    assert seen[-1][1] == frames


def test_bad_settings_are_named():
    with pytest.raises(InputError, match="need one of noise, clean"):
        Diffusion(LDA, prediction="v")
    with pytest.raises(InputError, match="between 0 and 1"):
        Diffusion([0.1, 1.5])
