"""Words and sounds for tests of transcripts."""

import numpy as np
import soundfile

RATE = 16_000


def word(text: str, start: float, end: float) -> dict:
    return {"word": text, "start": start, "end": end, "confidence": 0.9}


def tone(*spans: tuple[float, float, float], seconds: float = 4.0) -> np.ndarray:
    """Noise of the given amplitude in each span (start, end, amplitude)."""
    noise, result = np.random.default_rng(0).normal(0, 1, int(seconds * RATE)), np.zeros(int(seconds * RATE))
    for start, end, amplitude in spans:
        part = slice(int(start * RATE), int(end * RATE))
        result[part] = amplitude * noise[part]
    return result


def texts(words: list[dict]) -> list[str]:
    return [w["word"] for w in words]


def segment(text: str, *, start=0.0, no_speech=0.1, logprob=-0.3, compression=1.3) -> dict:
    words = [word(t, start + 0.3 * i, start + 0.3 * i + 0.25) for i, t in enumerate(text.split())]
    return {"words": words, "no_speech": no_speech, "logprob": logprob, "compression": compression}


def aligned(start: float, *ends: float, score=-50.0) -> dict:
    edges = [start, *ends]
    return word("w", start, ends[-1]) | {
        "score": score,
        "phonemes": [("AH", a, b) for a, b in zip(edges, ends)],
    }


def write(path, audio, rate=RATE):
    soundfile.write(path, audio, rate, subtype="PCM_24")
    return path


SAID = {
    "aew_a0003": "for the twentieth time that evening the two men shook hands",
    "axb_a0004": "lord but i'm glad to see you again phil",
}
