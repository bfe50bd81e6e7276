"""Separation by a cross-microphone power-ratio mask.

In each short-time cell the two microphones' powers are taken for the powers of two independent voices, each
heard fully in its owner's microphone and leaking into the other's by a coupling that is estimated per
frequency band from the moments in which only the other voice is there. Solving the two equations gives each
voice's share of its own microphone, which becomes a Wiener mask.
"""

import numpy as np

from pipeline.signals import stft

WINDOW_SECONDS = 0.085
BLOCK_SECONDS = 20.0
NUM_BANDS = 24
FLOOR = 0.03
"""Smallest mask: what is left of a cell in which only the other voice is heard (-30 dB)."""
RATIO_BINS_DB = np.arange(-60.0, 60.5, 0.5)


def _smooth(power: np.ndarray) -> np.ndarray:
    """Power averaged over three frames and three frequencies: one cell alone is too noisy for a ratio."""
    for axis in (0, 1):
        padded = np.pad(power, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        n = power.shape[axis]
        before, here, after = (padded[k : k + n] if axis == 0 else padded[:, k : k + n] for k in range(3))
        power = (before + here + after) / 3
    return power


def frequency_bands(num_frequencies: int, rate: int) -> np.ndarray:
    """Band index of each frequency: NUM_BANDS bands, equally wide on the mel scale."""
    mel = 2595 * np.log10(1 + np.linspace(0, rate / 2, num_frequencies) / 700)
    return np.minimum((mel / mel[-1] * NUM_BANDS).astype(int), NUM_BANDS - 1)


def estimate_coupling(mics: np.ndarray, rate: int) -> np.ndarray:
    """Power coupling (2, bands): how strongly the other voice leaks into each microphone.

    It is relative to the other voice's own microphone.

    Of the cells that are loud in the other microphone and louder there than here, most hold the other voice's
    leak and little else: the coupling is the median of their power ratios, per band where a band has enough
    of them.
    """
    size = stft.window_samples(WINDOW_SECONDS, rate)
    band = frequency_bands(size // 2 + 1, rate)
    counts = np.zeros((2, NUM_BANDS, len(RATIO_BINS_DB) + 1))
    loud = [np.percentile(np.abs(mics[k]), 95) ** 2 * size / 50 for k in range(2)]
    for _, _, first, last in stft.blocks(mics.shape[1], size, int(BLOCK_SECONDS * rate)):
        power = [_smooth(np.abs(stft.spectra(mics[k, first:last], size)) ** 2) + 1e-12 for k in range(2)]
        for k in range(2):
            own, other = power[k], power[1 - k]
            heard = (other > own) & (other > loud[1 - k] * _tilt(other.shape[1]))
            ratio = np.digitize(10 * np.log10(own[heard] / other[heard]), RATIO_BINS_DB)
            cell = np.broadcast_to(band, heard.shape)[heard] * counts.shape[2] + ratio
            counts[k] += np.bincount(cell, minlength=counts[k].size).reshape(counts[k].shape)
    centres = np.concatenate(
        [[RATIO_BINS_DB[0]], (RATIO_BINS_DB[1:] + RATIO_BINS_DB[:-1]) / 2, [RATIO_BINS_DB[-1]]]
    )
    coupling = np.zeros((2, NUM_BANDS))
    for k in range(2):
        pooled = _quantile(counts[k].sum(0), centres)
        for b in range(NUM_BANDS):
            enough = counts[k, b].sum() >= 200
            coupling[k, b] = 10 ** ((_quantile(counts[k, b], centres) if enough else pooled) / 10)
    return coupling


def _tilt(num_frequencies: int) -> np.ndarray:
    """Speech falls off towards high frequencies, and so does the level that counts as loud.

    By 30 dB over the range.
    """
    return 10 ** (-3 * np.linspace(0, 1, num_frequencies))


def _quantile(counts: np.ndarray, centres: np.ndarray, share: float = 0.5) -> float:
    """The ratio below which `share` of the counts lie; no counts say that nothing leaks."""
    if counts.sum() == 0:
        return -60.0
    return float(centres[np.searchsorted(np.cumsum(counts), share * counts.sum())])


def separate_mask(mics: np.ndarray, rate: int) -> np.ndarray:
    """Voices float32 (2, S) of microphones float32 (2, S).

    In blocks, so that beside input and output memory does not grow with S.
    """
    size = stft.window_samples(WINDOW_SECONDS, rate)
    coupling = estimate_coupling(mics, rate)[:, frequency_bands(size // 2 + 1, rate)]
    out = np.empty_like(mics)
    for start, stop, first, last in stft.blocks(mics.shape[1], size, int(BLOCK_SECONDS * rate)):
        spectra = [stft.spectra(mics[k, first:last], size) for k in range(2)]
        power = [_smooth(np.abs(s) ** 2) + 1e-12 for s in spectra]
        for k in range(2):
            # own = mine + c_k theirs, other = theirs + c_other mine
            mine = (power[k] - coupling[k] * power[1 - k]) / (
                1 - np.minimum(coupling[k] * coupling[1 - k], 0.5)
            )
            mask = np.clip(mine / power[k], FLOOR, 1.0)
            voice = stft.signal(spectra[k] * mask, size, last - first)
            out[k, start:stop] = voice[start - first : stop - first]
    return out
