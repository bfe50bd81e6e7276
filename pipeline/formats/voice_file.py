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
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
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
    loudest = _taken(path, powers, float(np.vdot(mixed, mixed)))
    return (mixed if loudest is None else np.ascontiguousarray(samples[loudest])), rate


def _taken(path: Path, powers: np.ndarray, mixed: float) -> int | None:
    """The channel that stands for all, where they cancel each other; None where their mean does. It is told.

    powers: of each channel; mixed: that of their mean.
    """
    count = len(powers)
    if mixed < CANCELS / count * powers.sum() / count:
        loudest = int(powers.argmax())
        log.warning(
            "%s: its %d channels cancel each other; channel %d, the loudest, is taken",
            path,
            count,
            loudest + 1,
        )
        return loudest
    log.warning(
        "%s: its %d channels are mixed down to one voice; give a file of one channel if they are different"
        " microphones",
        path,
        count,
    )
    return None


@dataclass(frozen=True)
class Survey:
    """What a recording is like, heard once from end to end in blocks.

    powers (C,): sums of squares of each channel, mixed: that of their mean; apart: the most that the first
    two differ by; loudest: the largest sample.
    """

    path: Path
    rate: int
    num_channels: int
    num_samples: int
    powers: np.ndarray
    mixed: float
    apart: float
    loudest: float

    def voice(self) -> Iterator[np.ndarray]:
        """The recording as one voice (n,), as `read_voice` mixes it, in blocks."""
        taken = 0 if self.num_channels == 1 else _taken(self.path, self.powers, self.mixed)
        for _, block in channel_blocks(self.path):
            yield block.mean(0, dtype=np.float32) if taken is None else block[taken]

    def channel(self, number: int) -> Iterator[np.ndarray]:
        """A channel (n,), in blocks."""
        for _, block in channel_blocks(self.path):
            yield block[number]


def survey(path: Path) -> Survey:
    """Hear a recording of any kind in blocks.

    InputError as `read_channels` raises, and where its channels change on the way.
    """
    path = Path(path)
    count = bad = first_bad = rate = 0
    powers, mixed, apart, loudest = np.zeros(0), 0.0, 0.0, 0.0
    for own_rate, block in channel_blocks(path):
        rate = own_rate
        powers = powers if len(powers) else np.zeros(len(block))
        if len(block) != len(powers):
            raise InputError(
                f"{path}: {len(powers)} channels become {len(block)}, need as many to the end; export it"
                " again"
            )
        odd = np.flatnonzero(~(np.abs(block) <= audio.LOUDEST).all(0))
        if len(odd):
            bad, first_bad = bad + len(odd), first_bad if bad else count + int(odd[0])
        mean = block.mean(0, dtype=np.float32)
        powers = powers + np.einsum("cs,cs->c", block, block, dtype=np.float64)
        mixed += float(np.vdot(mean, mean))
        apart = max(apart, float(np.abs(block[0] - block[1]).max(initial=0))) if len(block) > 1 else 0.0
        loudest = max(loudest, float(np.abs(block).max(initial=0)))
        count += block.shape[1]
    if not count:
        raise InputError(f"{path}: no samples, need a recording; check the file")
    if bad:
        raise _not_finite(path, first_bad, bad)
    return Survey(path, rate, len(powers), count, powers, mixed, apart, loudest)


def channel_blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Rate, and samples (C, n) float32, block after block, of a file of any kind.

    InputError where it is unreadable; samples of other kinds than WAV may be no numbers.
    """
    path = Path(path)
    with open_plain(path) as f:
        head = f.read(12)
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE":
        try:
            streams = audio.open_channels(path)
        except audio.OtherCoding:  # 8 bit, A-law, MP3 in a WAV: libsndfile knows them
            yield from _decoded_blocks(path)
            return
        _check_length(path, len(streams) * streams[0].num_samples)
        for blocks in zip(*(audio.blocks(stream) for stream in streams), strict=True):
            yield streams[0].rate, np.stack(blocks)
    elif head[4:8] == b"ftyp":
        yield from _mpeg4_blocks(path)
    else:
        yield from _decoded_blocks(path)


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
        return _joined(path, _mpeg4_blocks(path))
    return _joined(path, _decoded_blocks(path))


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


def _decoded_blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Rate and samples (C, n) by libsndfile, in blocks, since a header may claim more than there is."""
    import soundfile

    count = 0
    try:
        with soundfile.SoundFile(path) as f:
            while len(block := f.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
                count += block.size
                _check_length(path, count)
                yield f.samplerate, block.T
    except (soundfile.LibsndfileError, OSError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise InputError(
            f"{path}: cannot be read as {KINDS} ({line_of(error)}); check the path and the file"
        ) from None


def _mpeg4_blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Rate and samples (C, n) of the first sound in an MPEG-4 file, such as a phone's M4A."""
    try:
        import av
    except ImportError as error:
        raise InputError(f"{path}: {error}; pip install av, or export the sound as WAV") from None
    count = 0
    try:
        # an open file, and one demuxer: nothing that the file names is opened
        with open_plain(path) as f, av.open(f, "r", format="mp4") as container:
            if not container.streams.audio:
                raise InputError(f"{path}: no sound in it, need a recording; check the file")
            convert = av.AudioResampler(format="fltp")
            for frame in chain(container.decode(audio=0), [None]):
                for part in convert.resample(frame):
                    block = part.to_ndarray()
                    count += block.size
                    _check_length(path, count)
                    yield part.sample_rate, block
    except (av.FFmpegError, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: cannot be read as {KINDS} ({line_of(error)}); check the path and the file"
        ) from None


def _joined(path: Path, found: Iterator[tuple[int, np.ndarray]]) -> tuple[np.ndarray, int]:
    """Blocks (C, n) as one array, and their rate.

    InputError where there are none, or samples are not finite.
    """
    blocks, rate = [], 0
    for own_rate, block in found:
        rate = own_rate
        blocks.append(block)
    if not blocks:
        raise InputError(f"{path}: no samples, need a recording; check the file")
    samples = np.concatenate(blocks, axis=1)
    bad = np.flatnonzero(~(np.abs(samples) <= audio.LOUDEST).all(0))
    if len(bad):
        raise _not_finite(path, int(bad[0]), len(bad))
    return samples, rate


def _not_finite(path: Path, first: int, count: int) -> InputError:
    return InputError(
        f"{path}, sample {first}: got {count} samples that are not finite or far beyond full scale;"
        " export the file again"
    )


def _check_length(path: Path, count: int) -> None:
    if count > MOST_SAMPLES:
        raise InputError(
            f"{path}: more than {MOST_SAMPLES:,} samples, which is hours; is it the right file? Cut it"
        )
