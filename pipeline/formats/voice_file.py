"""One person's voice out of an audio file of any common kind, of one or more channels.

WAV as recorders leave them, FLAC, MP3, Ogg, and M4A as phones leave them.

In: a file. Out: samples (S,) float32, full scale at 1, and their rate. Where nothing hangs on which channel
it is (a voice to generate from or to write down), several channels are mixed down and that is told; a
dataset's files have one channel, and a shoot's name theirs (`channel` under audio in timecode.json), since a
recorder's channels are different microphones.

A WAV goes through pipeline.formats.audio, which reads files that were cut off or lost step; other kinds and
codings through libsndfile, M4A through PyAV.
"""

import logging
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.formats import audio
from pipeline.reading import line_of, open_plain

log = logging.getLogger("interact")
KINDS = "WAV, FLAC, MP3, Ogg or M4A"
MOST_SAMPLES = 1 << 30
"""Samples of a voice that are read at once: six hours at 48 kHz."""
BLOCK_SAMPLES = 1 << 20
CANCELS = 0.25
"""A mix whose power is below this share of its channels' mean power cancels itself.

Its channels are of opposed polarity, say.
"""


def read_voice(path: Path, *, mix: bool = True) -> tuple[np.ndarray, int]:
    """Samples (S,) float32 and rate of a file.

    InputError where it is unreadable, empty, not finite, or has several channels without `mix`.

    The mix is the mean of the channels; where they cancel each other, the loudest channel. Both are told.
    """
    path = Path(path)
    samples, rate = read_channels(path)
    if samples.shape[0] == 1:
        return samples[0], rate
    if not mix:
        raise InputError(
            f"{path}: got {samples.shape[0]} channels, need 1 (one actor's voice); split the file"
        )
    mixed = samples.mean(0, dtype=np.float32)
    powers = np.einsum("cs,cs->c", samples, samples, dtype=np.float64)
    if np.vdot(mixed, mixed) < CANCELS / samples.shape[0] * powers.sum() / samples.shape[0]:
        loudest = int(powers.argmax())
        log.warning(
            "%s: its %d channels cancel each other; channel %d, the loudest, is taken",
            path,
            len(samples),
            loudest + 1,
        )
        return np.ascontiguousarray(samples[loudest]), rate
    log.warning(
        "%s: its %d channels are mixed down to one voice; give a file of one channel if they are different"
        " microphones",
        path,
        len(samples),
    )
    return mixed, rate


def read_wav(path: Path) -> tuple[np.ndarray, int]:
    """Samples (S,) float32, full scale at 1, and rate of a mono WAV.

    InputError where it is unreadable, not mono or not finite.
    """
    return read_voice(path, mix=False)


def read_channels(path: Path) -> tuple[np.ndarray, int]:
    """All samples (C, S) float32 of a file of any kind, and their rate.

    InputError where it is unreadable, empty or not finite.
    """
    with open_plain(path) as f:
        head = f.read(12)
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE":
        try:
            return _wav(path)
        except audio.OtherCoding:  # 8 bit, A-law, MP3 in a WAV: libsndfile knows them
            pass
    if head[4:8] == b"ftyp":
        return _mpeg4(path)
    return _decoded(path)


def _wav(path: Path) -> tuple[np.ndarray, int]:
    streams = audio.open_channels(path)
    _check_length(path, len(streams) * streams[0].num_samples)
    samples = np.empty((len(streams), streams[0].num_samples), np.float32)
    for channel, stream in zip(samples, streams, strict=True):
        at = 0
        for block in audio.blocks(stream):
            channel[at : at + len(block)] = block
            at += len(block)
    return samples, streams[0].rate


def _decoded(path: Path) -> tuple[np.ndarray, int]:
    """Samples (C, S) and rate by libsndfile, read in blocks, since a header may claim more than there is."""
    import soundfile

    blocks, count = [], 0
    try:
        with soundfile.SoundFile(path) as f:
            rate = f.samplerate
            while len(block := f.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
                blocks.append(block.T)
                count += block.size
                _check_length(path, count)
    except (soundfile.LibsndfileError, OSError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise InputError(
            f"{path}: cannot be read as {KINDS} ({line_of(error)}); check the path and the file"
        ) from None
    return _joined(path, blocks), rate


def _mpeg4(path: Path) -> tuple[np.ndarray, int]:
    """Samples (C, S) and rate of the first sound in an MPEG-4 file, such as a phone's M4A."""
    try:
        import av
    except ImportError as error:
        raise InputError(f"{path}: {error}; pip install av, or export the sound as WAV") from None
    blocks, count, rate = [], 0, 0
    try:
        # an open file, and one demuxer: nothing that the file names is opened
        with open_plain(path) as f, av.open(f, "r", format="mp4") as container:
            if not container.streams.audio:
                raise InputError(f"{path}: no sound in it, need a recording; check the file")
            convert = av.AudioResampler(format="fltp")
            for frame in (*container.decode(audio=0), None):
                for part in convert.resample(frame):
                    blocks.append(part.to_ndarray())
                    rate, count = part.sample_rate, count + blocks[-1].size
                    _check_length(path, count)
    except (av.FFmpegError, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: cannot be read as {KINDS} ({line_of(error)}); check the path and the file"
        ) from None
    return _joined(path, blocks), rate


def _joined(path: Path, blocks: list[np.ndarray]) -> np.ndarray:
    """Blocks (C, n) as one array; InputError where there are none, or samples are not finite."""
    if not blocks:
        raise InputError(f"{path}: no samples, need a recording; check the file")
    samples = np.concatenate(blocks, axis=1)
    bad = np.flatnonzero(~(np.abs(samples) <= audio.LOUDEST).all(0))
    if len(bad):
        raise InputError(
            f"{path}, sample {bad[0]}: got {len(bad)} samples that are not finite or far beyond full scale;"
            " export the file again"
        )
    return samples


def _check_length(path: Path, count: int) -> None:
    if count > MOST_SAMPLES:
        raise InputError(
            f"{path}: more than {MOST_SAMPLES:,} samples, which is hours; is it the right file? Cut it"
        )
