"""The voices of a take: as one file to listen to, and as curves to look at.

In: WAVs that begin at frame 0. Out: one stereo FLAC at 24 kHz, exactly as long as the take, each voice a
little to its side; and the peaks of each voice. Files are read in blocks, and NaN or infinite samples are
errors.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.files import whole
from pipeline.formats import audio
from pipeline.motion.clock import sample_of

RATE = 24_000
"""Samples per second of the FLAC."""
NEAR, FAR = 0.8, 0.35
"""How loud a voice is on its own side and on the other."""
LOUDEST = 0.98
"""Largest sample of the FLAC: what would be louder makes the whole file quieter."""
BLOCK_SAMPLES = 1 << 18
PEAKS_PER_SECOND = 50
MOST_PEAK = 255


def peaks(voice: Path, seconds: float) -> list[int]:
    """The largest sample of each 1/50 s, from 0 to 255 for full scale, on a square-root scale.

    As many as the take is long; 0 where the voice is over.
    """
    streams = audio.open_channels(voice)
    rate, there = streams[0].rate, streams[0].num_samples
    count = int(np.ceil(seconds * PEAKS_PER_SECOND - 1e-9))
    edges = np.minimum(np.arange(count + 1, dtype=np.int64) * rate // PEAKS_PER_SECOND, there)
    found = np.zeros(count)
    step = max(BLOCK_SAMPLES * PEAKS_PER_SECOND // rate, 1)
    for first in range(0, count, step):
        starts, stop = edges[first : min(first + step, count)], int(edges[min(first + step, count)])
        starts = starts[starts < stop]
        if not len(starts):  # the voice is over
            break
        loud = np.max([np.abs(audio.read(s, int(starts[0]), stop)) for s in streams], axis=0)
        found[first : first + len(starts)] = np.maximum.reduceat(loud, starts - starts[0])
    return np.minimum(np.round(MOST_PEAK * np.sqrt(found)), MOST_PEAK).astype(int).tolist()


def _blocks(voice: Path | None, num_samples: int) -> Iterator[np.ndarray]:
    """A voice at 24 kHz in blocks, float32: the mean of its channels, silence where it is over."""
    streams = [] if voice is None else audio.open_channels(voice)
    there = int(streams[0].num_samples * RATE / streams[0].rate) if streams else 0
    for first in range(0, num_samples, BLOCK_SAMPLES):
        block = np.zeros(min(BLOCK_SAMPLES, num_samples - first), np.float32)
        count = min(max(there - first, 0), len(block))
        for stream in streams if count else ():
            block[:count] += audio.resample_span(
                stream, first / RATE, count, true_rate=stream.rate, out_rate=RATE
            ) / len(streams)
        yield block


def mixed(voices: Sequence[Path | None], num_samples: int) -> Iterator[np.ndarray]:
    """Both sides (n, 2) float32 in blocks: the first voice is near the left, the second the right.

    One person alone is in the middle.
    """
    for blocks in zip(*(_blocks(voice, num_samples) for voice in voices), strict=True):
        first, *others = blocks
        second = others[0] if others else first
        near, far = (NEAR, FAR) if others else (NEAR, 0.0)
        yield np.stack([near * first + far * second, near * second + far * first], 1)


def write_voices(voices: Sequence[Path | None], num_frames: int, out: Path) -> None:
    """Write one or two voices as one FLAC as long as the take, whole or not at all."""
    import soundfile

    num_samples = int(sample_of(num_frames, RATE))
    loudest = max((float(np.abs(block).max()) for block in mixed(voices, num_samples)), default=0.0)
    gain = min(1.0, LOUDEST / max(loudest, LOUDEST))
    with (
        whole(out) as temporary,
        soundfile.SoundFile(temporary, "w", RATE, 2, "PCM_16", format="FLAC") as f,
    ):
        for block in mixed(voices, num_samples):
            f.write(np.round(block * (gain * 32767)).astype(np.int16))
