"""Two voices in two close microphones, without a room."""

import numpy as np

from helpers.tiny_shoot import AUDIO_RATE, modulated_noise


def mixture(seconds=4.0, *, leak_db=-12.0, seed=0):
    """Two microphones and the voices in them."""
    rng = np.random.default_rng(seed)
    voices = np.stack([modulated_noise(rng, int(seconds * AUDIO_RATE), phase=phase) for phase in (0.0, 0.35)])
    return (voices + 10 ** (leak_db / 20) * voices[::-1]).astype(np.float32), voices
