"""How one voice reaches the other actor's microphone.

A short filter in each frequency, found while both talk.

What the other microphone hears, through the filter, is the leak in the own microphone, in phase, so that it
can be subtracted. The filter is the least-squares one over the cells in which the other microphone is the
louder, each cell weighted by one over the power that is left in it: where the own voice speaks too, little
can be learnt. It is one for a whole recording: where people walk about while they speak, it is an average and
subtracts less.
"""

import numpy as np

from pipeline.signals import stft

NUM_TAPS = 4
"""Frames of the other microphone that a frame of the leak is made of.

With 64 ms windows every 16 ms, 112 ms of a room.
"""
NUM_PASSES = 3
QUIET = 1e-4
"""Power, as a share of a frequency's mean, below which what is left counts as none (-40 dB)."""
RIDGE = 1e-3
BLOCK_SECONDS = 20.0


def _delayed(spectra: np.ndarray) -> np.ndarray:
    """Spectra (F, T) and those of the frames before, (NUM_TAPS, F, T)."""
    return np.stack([np.pad(spectra, ((0, 0), (k, 0)))[:, : spectra.shape[1]] for k in range(NUM_TAPS)])


def leak_of(response: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The leak (F, T) in the own microphone.

    By the response (F, NUM_TAPS) and the other microphone's spectra (F, T).
    """
    return np.einsum("fk,kft->ft", response, _delayed(other)).astype(np.complex64)


def _smooth(power: np.ndarray) -> np.ndarray:
    """Power (F, T) averaged over three frames."""
    padded = np.pad(power, ((0, 0), (1, 1)), mode="edge")
    return (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3


def estimate_response(mics: np.ndarray, rate: int, *, size: int) -> np.ndarray:
    """Response (F, NUM_TAPS) complex64 from the second of two microphones (2, S) into the first.

    For spectra of windows of `size`.

    Read in blocks, once a pass, so that memory does not grow with S.
    """
    num_frequencies = size // 2 + 1
    response = np.zeros((num_frequencies, NUM_TAPS), np.complex64)
    level = np.full((num_frequencies, 1), 1e-12)
    for pass_number in range(NUM_PASSES + 1):
        matrix = np.zeros((num_frequencies, NUM_TAPS, NUM_TAPS), complex)
        vector = np.zeros((num_frequencies, NUM_TAPS), complex)
        total, frames = np.zeros((num_frequencies, 1)), 0
        for _, _, first, last in stft.blocks(mics.shape[1], size, int(BLOCK_SECONDS * rate)):
            own, other = (stft.spectra(x[first:last], size).T for x in mics)
            left = _smooth(np.abs(own - leak_of(response, other)) ** 2)
            total, frames = total + left.sum(1, keepdims=True), frames + left.shape[1]
            if pass_number == 0:
                continue  # the first pass finds levels only
            heard = _smooth(np.abs(other) ** 2) > _smooth(np.abs(own) ** 2)
            weight = (heard / (left + QUIET * level)).astype(np.float32)
            delayed = _delayed(other)
            weighted = (weight * delayed.conj()).transpose(1, 2, 0)  # (F, T, K)
            matrix += delayed.transpose(1, 0, 2) @ weighted
            vector += (own[:, None] @ weighted)[:, 0]
        level = total / max(frames, 1) + 1e-12
        if pass_number:
            ridge = RIDGE * np.trace(matrix, axis1=1, axis2=2).real / NUM_TAPS + 1e-6
            matrix += ridge[:, None, None] * np.eye(NUM_TAPS)
            response = np.linalg.solve(matrix.transpose(0, 2, 1), vector[..., None])[..., 0].astype(
                np.complex64
            )
    return response
