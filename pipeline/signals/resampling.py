"""Audio brought to the rate that features and networks hear."""

import numpy as np

from pipeline.motion.clock import AUDIO_RATE


def resample(audio: np.ndarray, rate: int, num_samples: int | None = None) -> np.ndarray:
    """Audio (S,) at `rate` as float32 at 16 kHz.

    `num_samples` cuts or pads what rounding leaves (soxr, linear phase).
    """
    import soxr

    result = (
        soxr.resample(audio, rate, AUDIO_RATE).astype(np.float32)
        if rate != AUDIO_RATE
        else np.asarray(audio, np.float32)
    )
    if num_samples is None:
        return result
    return np.pad(result[:num_samples], (0, max(num_samples - len(result), 0)))
