"""The diffusion engine: constants of the published schedules and the loss."""

import numpy as np
import pytest
import torch

from models import diffusion
from models.diffusion import Diffusion
from models.draws import Draws
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
    assert float(engine.loss(lambda x, t: clean, clean, Draws(0, 0, 3, "cpu"), velocity_weight=1)) == 0
    shaken = clean + torch.tensor([1.0, -1.0]).repeat(4)[None, :, None]
    plain = float(engine.loss(lambda x, t: shaken, clean, Draws(0, 0, 3, "cpu")))
    both = float(engine.loss(lambda x, t: shaken, clean, Draws(0, 0, 3, "cpu"), velocity_weight=1))
    assert plain == pytest.approx(1, rel=1e-5) and both == pytest.approx(5, rel=1e-5)


def test_predictions_say_the_same():
    """A network that knows the clean sample gives it, and the noise, in whatever form it answers."""
    rng = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(4, 8, 3, dtype=torch.float64, generator=rng) for _ in range(2))
    step = torch.tensor([0, 30, 75, 149])
    for prediction in diffusion.PREDICTIONS:
        engine = Diffusion(diffusion.cosine_betas(150), prediction=prediction)
        x = engine.q_sample(clean, step, noise)
        signal, level = engine.signal_and_noise(step, x)
        answer = {"noise": noise, "clean": clean, "v": signal * noise - level * clean}[prediction]
        torch.testing.assert_close(engine.clean_of(answer, x, step)[:3], clean[:3], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(engine.noise_of(answer, x, step)[1:], noise[1:], rtol=1e-6, atol=1e-6)


def test_loss_of_v_is_zero_for_v():
    engine = Diffusion(DIFFSPEAKER, prediction="v")
    clean = torch.randn(3, 8, 4, generator=torch.Generator().manual_seed(0))

    def perfect(x, step):
        signal, level = engine.signal_and_noise(step, x)
        noise = (x - signal * clean) / level
        return signal * noise - level * clean

    assert float(engine.loss(perfect, clean, Draws(0, 0, 3, "cpu"))) == pytest.approx(0, abs=1e-9)
    assert float(engine.loss(lambda x, t: x, clean, Draws(0, 0, 3, "cpu"))) > 0.1


def test_loss_is_the_same_for_the_same_draws():
    engine, clean = Diffusion(LDA), torch.ones(3, 8, 4)
    losses = [
        float(engine.loss(lambda x, t: x, clean, Draws(seed, step, 3, "cpu")))
        for seed, step in ((1, 7), (1, 7), (2, 7), (1, 8))
    ]
    assert losses[0] == losses[1] and len(set(losses)) == 3


def test_draws_of_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="got draws of 1 rows for 3 items"):
        Diffusion(LDA).loss(lambda x, t: x, torch.ones(3, 8, 4), Draws(0, 0, 1, "cpu"))


@pytest.mark.parametrize("betas", [LDA, DIFFSPEAKER], ids=["linear", "scaled"])
def test_tables_keep_the_accuracy_of_the_samples_whatever_was_asked_before(betas):
    engine, step = Diffusion(betas), torch.arange(len(betas))
    engine.signal_and_noise(step, torch.ones(1, 1))
    signal, level = engine.signal_and_noise(step, torch.ones(1, 1, dtype=torch.float64))
    bar = np.cumprod(1 - betas)
    np.testing.assert_allclose(signal[:, 0].numpy() ** 2, bar, rtol=1e-12)
    np.testing.assert_allclose(level[:, 0].numpy() ** 2, 1 - bar, rtol=1e-12)


def test_bad_settings_are_named():
    with pytest.raises(InputError, match="need one of noise, clean, v"):
        Diffusion(LDA, prediction="x")
    with pytest.raises(InputError, match="between 0 and 1"):
        Diffusion([0.1, 1.5])
