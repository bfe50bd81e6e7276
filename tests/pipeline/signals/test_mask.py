import numpy as np
import pytest
from helpers.mixtures import mixture
from helpers.tiny_shoot import AUDIO_RATE

from pipeline.signals import mask as separation_mask
from pipeline.signals import stft
from pipeline.signals.mask import separate_mask


def test_coupling_is_that_of_the_mixture():
    mics, _ = mixture(leak_db=-12)
    assert np.abs(10 * np.log10(separation_mask.estimate_coupling(mics, AUDIO_RATE)) + 12).max() < 1.5


@pytest.mark.parametrize("block_seconds", [0.5, 0.77, 1.3])
def test_blocks_leave_no_seam(monkeypatch, block_seconds):
    """A signal in many blocks comes out as in one."""
    mics, _ = mixture(3)
    coupling = separation_mask.estimate_coupling(mics, AUDIO_RATE)
    monkeypatch.setattr(separation_mask, "estimate_coupling", lambda *_: coupling)
    whole = separate_mask(mics, AUDIO_RATE)
    monkeypatch.setattr(separation_mask, "BLOCK_SECONDS", block_seconds)
    size = stft.window_samples(separation_mask.WINDOW_SECONDS, AUDIO_RATE)
    blocks = stft.blocks(mics.shape[1], size, int(block_seconds * AUDIO_RATE))
    assert (
        len(blocks) > 2
        and blocks[0][0] == 0
        and blocks[-1][1] == mics.shape[1]
        and all(a[1] == b[0] for a, b in zip(blocks, blocks[1:]))
    )
    assert np.abs(separate_mask(mics, AUDIO_RATE) - whole).max() < 1e-6
