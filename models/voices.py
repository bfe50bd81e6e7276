"""Anybody's voices: one or two files become the voices of two people, and their words.

In: audio files of any kind, at any rate; words with times, or none. Out: two voices at 16 kHz, equally long:
two files are mixed down to one voice each; of one file, two channels are the two voices, and one is a voice
whose partner is silent. What was made of what is told.
"""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline import config
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats.voice_file import read_channels, read_voice
from pipeline.motion.clock import AUDIO_RATE
from pipeline.signals.resampling import resample

log = logging.getLogger("interact")
SAME = 1e-3
"""Channels that differ by less than this share of their loudest sample are one voice."""


def two_voices(audio: Sequence[Path]) -> list[np.ndarray]:
    """Both voices (S,) float32 at 16 kHz; the shorter one ends in silence, which is told."""
    if not 1 <= len(audio) <= 2:
        raise InputError(f"--audio: got {len(audio)} files, need one or two; correct the command")
    voices = [resample(*read_voice(path)) for path in audio] if len(audio) == 2 else _of_one(audio[0])
    num_samples = max(len(voice) for voice in voices)
    if len(voices[0]) != len(voices[1]):
        log.warning(
            "%s and %s differ by %.2f s; the shorter one ends in silence",
            *audio,
            abs(len(voices[0]) - len(voices[1])) / AUDIO_RATE,
        )
    return [np.pad(voice, (0, num_samples - len(voice))) for voice in voices]


def _of_one(path: Path) -> list[np.ndarray]:
    """Both voices of one file."""
    channels, rate = read_channels(path)
    if len(channels) > 2:
        raise InputError(
            f"{path}: got {len(channels)} channels, need one voice or two; split the file, and name the"
            " voices"
        )
    if len(channels) == 2:
        apart, loudest = np.abs(channels[0] - channels[1]).max(), np.abs(channels).max()
        if apart > SAME * loudest:
            log.info("%s: its first channel is the first voice, its second the second", path)
            return [resample(np.ascontiguousarray(channel), rate) for channel in channels]
        log.warning("%s: both its channels are one voice; the partner is silent", path)
    else:
        log.info("%s: one voice; the partner is silent", path)
    voice = resample(np.ascontiguousarray(channels[0]), rate)
    return [voice, np.zeros_like(voice)]


def words_of(
    transcripts: Sequence[Path] | None, audio: Sequence[Path], voices: Sequence[np.ndarray]
) -> list[list[dict]]:
    """Words of the two voices: read, of one or of both, or recognised by the default transcriber.

    A voice may have words without a sound; one that is silent, and has no transcript, has none.
    """
    if transcripts:
        from pipeline.formats.words import read_words

        if len(transcripts) > 2:
            raise InputError(
                f"--transcripts: got {len(transcripts)} files, need one or two; correct the command"
            )
        said = [read_words(path) for path in transcripts]
        return said + [[]] * (2 - len(said))
    from pipeline.annotate.transcripts import transcribe

    if len(audio) == 2:
        return transcribe(list(audio), config.Transcripts())
    loud = [k for k, voice in enumerate(voices) if voice.any()]
    with tempfile.TemporaryDirectory(prefix="interact-") as folder:
        paths = [Path(folder, f"{audio[0].stem}-{k + 1}.wav") for k in loud]
        for k, path in zip(loud, paths):
            write_voice(voices[k], path)
        found = dict(zip(loud, transcribe(paths, config.Transcripts()) if paths else []))
    return [found.get(k, []) for k in range(2)]


def write_voice(voice: np.ndarray, path: Path) -> None:
    """Write a voice (S,) at 16 kHz as WAV of 24 bits, whole or not at all."""
    import soundfile

    with whole(path) as temporary:
        soundfile.write(temporary, np.clip(voice, -1, 1), AUDIO_RATE, subtype="PCM_24", format="WAV")
