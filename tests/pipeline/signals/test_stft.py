import numpy as np
import pytest

from pipeline.signals import stft


@pytest.mark.parametrize("num_samples", [1, 100, 4095, 4096, 4097, 30_000, 30_720])
@pytest.mark.parametrize("size", [1024, 4096])
def test_the_transform_is_undone_exactly(num_samples, size):
    x = np.random.default_rng(0).normal(0, 0.3, num_samples).astype(np.float32)
    assert np.abs(stft.signal(stft.spectra(x, size), size, num_samples) - x).max() < 2e-6


@pytest.mark.parametrize(
    ("seconds", "rate", "size"), [(0.085, 48_000, 4096), (0.085, 16_000, 1024), (0.3, 48_000, 16_384)]
)
def test_windows_are_the_nearest_power_of_two(seconds, rate, size):
    assert stft.window_samples(seconds, rate) == size
