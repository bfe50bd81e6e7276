"""The diffusion engine: constants of the published schedules and the loss."""

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


def test_bad_settings_are_named():
    with pytest.raises(InputError, match="need one of noise, clean"):
        Diffusion(LDA, prediction="v")
    with pytest.raises(InputError, match="between 0 and 1"):
        Diffusion([0.1, 1.5])
