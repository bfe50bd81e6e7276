"""Anybody's voices: one or two files become the voices of two people, and their words.

In: audio files of any kind, at any rate; words with times, or none. Out: two voices at 16 kHz, equally long:
two files are mixed down to one voice each; of one file, two channels are the two voices, and one is a voice
whose partner is silent. What was made of what is told. Files of any length are read in blocks, and the
voices lie on disk.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from models.stored import Rows, Voice
from pipeline import config
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats.voice_file import survey
from pipeline.motion.clock import AUDIO_RATE

log = logging.getLogger("interact")
BLOCK_SAMPLES = 1 << 18
SAME = 1e-3
"""Channels that differ by less than this share of their loudest sample are one voice."""


def two_voices(audio: Sequence[Path], folder: Path) -> list[Voice]:
    """Both voices (S,) at 16 kHz, which lie in `folder`; the shorter one ends in silence, which is told."""
    if not 1 <= len(audio) <= 2:
        raise InputError(f"--audio: got {len(audio)} files, need one or two; correct the command")
    parts = _of_two(audio) if len(audio) == 2 else _of_one(audio[0])
    paths = [Path(folder, f"voice-{number}.f32") for number in (1, 2)]
    made = [part and _resampled(*part, path) for part, path in zip(parts, paths)]
    lengths = [len(rows) for rows, _ in filter(None, made)]
    if len(set(lengths)) > 1:
        log.warning(
            "%s and %s differ by %.2f s; the shorter one ends in silence",
            *audio,
            abs(lengths[0] - lengths[1]) / AUDIO_RATE,
        )
    return [Voice(one[0] if one else None, max(lengths), silent=not one or not one[1]) for one in made]


Part = tuple[int, Iterator[np.ndarray]]
"""Rate and samples (n,) of a voice, block after block."""


def _of_two(audio: Sequence[Path]) -> list[Part | None]:
    """The voices of two files."""
    surveys = [survey(path) for path in audio]
    return [(own.rate, own.voice()) for own in surveys]


def _of_one(path: Path) -> list[Part | None]:
    """Both voices of one file, None for one who is silent."""
    own = survey(path)
    if own.num_channels > 2:
        raise InputError(
            f"{path}: got {own.num_channels} channels, need one voice or two; split the file, and name the"
            " voices"
        )
    if own.num_channels == 2:
        if own.apart > SAME * own.loudest:
            log.info("%s: its first channel is the first voice, its second the second", path)
            return [(own.rate, own.channel(0)), (own.rate, own.channel(1))]
        log.warning("%s: both its channels are one voice; the partner is silent", path)
    else:
        log.info("%s: one voice; the partner is silent", path)
    return [(own.rate, own.channel(0)), None]


def _resampled(rate: int, blocks: Iterator[np.ndarray], path: Path) -> tuple[Rows, bool]:
    """A voice at 16 kHz in a file of its own, the same as of all blocks at once; whether it sounds."""
    import soxr

    stream = soxr.ResampleStream(rate, AUDIO_RATE, 1, dtype="float32") if rate != AUDIO_RATE else None
    sounds = False

    def made() -> Iterator[np.ndarray]:
        nonlocal sounds
        for block in blocks:
            block = np.ascontiguousarray(block, np.float32)
            sounds = sounds or bool(block.any())
            yield stream.resample_chunk(block) if stream else block
        if stream:
            yield stream.resample_chunk(np.zeros(0, np.float32), last=True)

    rows = Rows(path, made(), dtype="float32")
    return rows, sounds


def words_of(
    transcripts: Sequence[Path] | None, audio: Sequence[Path], voices: Sequence[Voice | np.ndarray]
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


def write_voice(voice: Voice | np.ndarray, path: Path) -> None:
    """Write a voice (S,) at 16 kHz as WAV of 24 bits, block by block, whole or not at all."""
    import soundfile

    with whole(path) as temporary:
        with soundfile.SoundFile(
            temporary, "w", samplerate=AUDIO_RATE, channels=1, subtype="PCM_24", format="WAV"
        ) as f:
            for first in range(0, len(voice), BLOCK_SAMPLES):
                f.write(np.clip(voice[first : first + BLOCK_SAMPLES], -1, 1))
