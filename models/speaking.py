"""What faces do while people speak: mouths that follow the own voice, blinks, how lively the upper face is.

In: ARKit weights (N, 51) and the log-mel of the own voice (N, M), at 30 fps. Out: numbers to hold against
those of the real faces. numpy only.
"""

import numpy as np

from pipeline.formats.arkit import NAMES
from pipeline.motion.clock import FPS

JAW = NAMES.index("jawOpen")
BLINKS = [NAMES.index("eyeBlinkLeft"), NAMES.index("eyeBlinkRight")]
UPPER = [k for k, name in enumerate(NAMES) if name.startswith(("brow", "eye", "cheekSquint"))]
CLOSED, OPEN = 0.5, 0.3
"""An eye that closes beyond the first has blinked once it is open again below the second."""
LONGEST_SECONDS = 0.8
"""Eyes that stay closed longer are closed, and do not blink."""
STILL = 1e-6
"""A jaw or a voice that deviates by less does not move, and follows nothing."""


def voice_energy(mel: np.ndarray) -> np.ndarray:
    """Log energy (N,) of a log-mel (N, M): of the sum over its bands."""
    mel = np.asarray(mel, np.float64)
    most = mel.max(1, keepdims=True)
    return (most + np.log(np.exp(mel - most).sum(1, keepdims=True)))[:, 0]


def jaw_and_voice(face: np.ndarray, mel: np.ndarray) -> float | None:
    """Correlation of jawOpen with the log energy of the own voice; None where either does not move."""
    jaw, voice = np.asarray(face[:, JAW], np.float64), voice_energy(mel)
    if min(jaw.std(), voice.std()) < STILL:
        return None
    return float(np.corrcoef(jaw, voice)[0, 1])


def blinks_per_minute(face: np.ndarray) -> float:
    """Blinks a minute: how often the mean of both eyes closes beyond CLOSED and opens again below OPEN."""
    shut = np.asarray(face[:, BLINKS], np.float64).mean(1)
    count, since = 0, None
    for frame, value in enumerate(shut):
        if since is None and value > CLOSED:
            since = frame
        elif since is not None and value < OPEN:
            count += frame - since <= LONGEST_SECONDS * FPS
            since = None
    return count / (len(shut) / FPS / 60)


def upper_face_speed(face: np.ndarray) -> float:
    """Mean change a second of the weights of brows, eyes and cheeks; 0 of a single frame."""
    upper = np.asarray(face[:, UPPER], np.float64)
    return float(np.abs(np.diff(upper, axis=0)).mean() * FPS) if len(upper) > 1 else 0.0
