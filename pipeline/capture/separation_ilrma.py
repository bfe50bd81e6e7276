"""Separation by independent low-rank matrix analysis, as pyroomacoustics has it.

ILRMA; Kitamura et al. 2016.

One linear filter per frequency turns two microphones into two signals that are independent and whose
spectrograms are of low rank. Filters are found for parts of bounded length, so that memory does not grow with
the recording and people may move from part to part. Within each part

- the filters begin with the identity, and afterwards outputs are given to microphones so that each actor is
  louder in the own microphone than in the other's (permutation);
- each output becomes the least-squares image of its component in its own microphone (projection back), so it
  has that microphone's level and time at every frequency.

So neighbouring parts hold estimates of the same signal, and are cross-faded over their overlap.
"""

import numpy as np

from pipeline.signals import stft

WINDOW_SECONDS = 0.3
"""16,384 samples at 48 kHz: a filter must be as long as the early room that it undoes.

Half the window costs 4 to 7 dB (docs/audio.md).
"""
NUM_COMPONENTS = 2
NUM_ITERATIONS = 20
PART_SECONDS = 30.0
FADE_SECONDS = 3.0
SEED = 0
NOISE = 1e-6
"""Noise that is added while filters are found (-120 dB of full scale).

Digital silence has no independent parts.
"""


def separate_ilrma(mics: np.ndarray, rate: int) -> np.ndarray:
    """Voices float32 (2, S) of microphones float32 (2, S), in parts of PART_SECONDS."""
    size = stft.window_samples(WINDOW_SECONDS, rate)
    num_samples = mics.shape[1]
    out = np.zeros_like(mics)
    fade = int(FADE_SECONDS * rate)
    for first, last in parts(num_samples, int(PART_SECONDS * rate), fade):
        voices = _separate_part(mics[:, first:last], size)
        ramp = np.linspace(0, 1, fade + 2, dtype=np.float32)[1:-1]
        if first > 0:
            voices[:, :fade] *= ramp
        if last < num_samples:
            voices[:, -fade:] *= ramp[::-1]
        out[:, first:last] += voices
    return out


def parts(num_samples: int, part: int, fade: int) -> list[tuple[int, int]]:
    """Sample ranges of about equal length, at most `part`, each overlapping the next by `fade`."""
    count = max(int(np.ceil((num_samples - fade) / (part - fade))), 1)
    borders = np.round(np.linspace(0, max(num_samples - fade, 0), count + 1)).astype(int)
    return [
        (int(a), int(b) + fade if k < count - 1 else num_samples)
        for k, (a, b) in enumerate(zip(borders, borders[1:]))
    ]


def _separate_part(mics: np.ndarray, size: int) -> np.ndarray:
    """Voices float32 (2, S) of one part, its filters applied and projected back."""
    heard = np.stack([stft.spectra(x, size) for x in mics], -1)  # (F, C, 2)
    found = np.einsum("ckm,fcm->fck", _filters(heard, size), heard)
    return np.stack([stft.signal(found[..., k], size, mics.shape[1]) for k in range(2)])


def _filters(heard: np.ndarray, size: int) -> np.ndarray:
    """Demixing filters (C, 2, 2) complex64 of short-time spectra (F, C, 2).

    They give the image of component k in microphone k.
    """
    from pyroomacoustics.bss import ilrma

    rng = np.random.default_rng(SEED)
    noise = (
        rng.normal(0, NOISE * np.sqrt(size / 4), (*heard.shape, 2))
        .astype(np.float32)
        .view(np.complex64)[..., 0]
    )
    noisy = heard + noise
    before = np.random.get_state()  # noqa: NPY002 - ilrma draws its first components from numpy's global generator
    np.random.seed(SEED)  # noqa: NPY002
    try:
        _, filters = ilrma(
            noisy, n_iter=NUM_ITERATIONS, proj_back=False, n_components=NUM_COMPONENTS, return_filters=True
        )
    finally:
        np.random.set_state(before)  # noqa: NPY002
    filters = _in_order(filters)
    found = np.einsum("ckm,fcm->fck", filters, noisy)
    image = np.sum(np.conj(found) * noisy, 0) / np.sum(np.abs(found) ** 2, 0)
    return (filters * image[..., None]).astype(np.complex64)


def _in_order(filters: np.ndarray) -> np.ndarray:
    """Filters (C, 2, 2) with components in the microphones' order.

    Each is louder in its own, over all frequencies together.
    """
    mixing = np.abs(
        np.linalg.inv(filters)
    )  # (C, microphone, component); the products below know no scale of a component
    own, crossed = mixing[:, 0, 0] * mixing[:, 1, 1], mixing[:, 0, 1] * mixing[:, 1, 0]
    return filters if np.mean(own > crossed) >= 0.5 else filters[:, ::-1]
