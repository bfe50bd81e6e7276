"""Microphones alone: two recordings of one conversation on one clock, where no sync places them on a take's.

In: two recordings, or one of two channels: WAV, FLAC, MP3, Ogg or M4A. Out: their samples (2, S) float32 at
one rate over the time that both cover. Recordings that both say when they began (pipeline.formats.audio) are
placed by that; else both begin together, and one line says so. A clock is taken to run at the rate of its
file's header.
"""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.formats import audio
from pipeline.formats.timecode import near
from pipeline.formats.voice_file import read_channels
from pipeline.reading import open_plain

log = logging.getLogger("interact")
SHORTEST_SECONDS = 1.0
"""Shortest time that two recordings must share to be worth separating."""
TOLD_SECONDS = 0.1
"""Recordings whose lengths differ by more are told, where both are taken to begin together."""


@dataclass(frozen=True)
class Microphones:
    """Two microphones on one clock.

    What each is called, samples (2, S) float32, and the seconds into each file at which they begin.
    """

    names: list[str]
    wheres: list[str]
    samples: np.ndarray
    skipped_seconds: list[float]


@dataclass(frozen=True)
class _Decoded:
    """A channel of a recording that is no plain WAV, with what an audio.AudioStream has.

    Samples (S,) float32.
    """

    path: Path
    rate: int
    num_samples: int
    num_channels: int
    channel: int
    samples: np.ndarray
    start_seconds: None = None
    day_seconds: None = None

    def span(self, num_samples: int, out_rate: int) -> np.ndarray:
        """Samples (num_samples,) at `out_rate` from the first on."""
        import soxr

        found = (
            soxr.resample(self.samples, self.rate, out_rate, quality="VHQ")
            if self.rate != out_rate
            else self.samples
        )
        return np.pad(found[:num_samples], (0, max(num_samples - len(found), 0)))


_Stream = audio.AudioStream | _Decoded


def _channels_of(path: Path) -> list[_Stream]:
    """All channels of a recording: a plain WAV is read where it is asked for, others at once."""
    with open_plain(path) as f:
        head = f.read(12)
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE":
        with contextlib.suppress(audio.OtherCoding):
            return [audio.open_audio(path, channel=k) for k in range(1, len(audio.open_channels(path)) + 1)]
    samples, rate = read_channels(path)
    return [
        _Decoded(path, rate, samples.shape[1], len(samples), k, channel)
        for k, channel in enumerate(samples, 1)
    ]


def _channel(found: list[_Stream], channel: int) -> _Stream:
    if not 1 <= channel <= len(found):
        raise InputError(
            f"{found[0].path}: got channel {channel}, need 1 to {len(found)}, the channels that the file has;"
            " correct --channel"
        )
    return found[channel - 1]


def _streams(paths: Sequence[Path], channels: Sequence[int]) -> tuple[list[_Stream], list[str]]:
    """The two microphones that files hold, and their names."""
    if len(paths) not in (1, 2):
        raise InputError(
            f"separation: got {len(paths)} recordings, need two microphones of one conversation, or one file"
            " of two channels"
        )
    if len(paths) == 2 and paths[0].resolve() == paths[1].resolve() and not channels:
        raise InputError(
            f"{paths[0]}: is given twice, need the microphones of two people; correct the command, or name"
            " the channels with --channel"
        )
    if channels and len(channels) != 2:
        raise InputError(
            f"separation: got {len(channels)} for --channel, need two, one for each microphone; correct the"
            " command"
        )
    found = {path: _channels_of(path) for path in dict.fromkeys(paths)}
    if not channels and len(paths) == 1:
        count = len(found[paths[0]])
        if count != 2:
            need = (
                "a second file, or name two channels with --channel"
                if count > 2
                else "the other person's microphone as a second file"
            )
            raise InputError(
                f"{paths[0]}: {count} channel{'s' if count > 1 else ''}, need two microphones; give {need}"
            )
        channels = (1, 2)
    files = paths if len(paths) == 2 else [paths[0], paths[0]]
    if not channels:
        if many := next((path for path in files if len(found[path]) > 1), None):
            count = len(found[many])
            raise InputError(
                f"{many}: {count} channels, need one microphone; name the channel of each file with"
                " --channel, such as --channel 1 1"
            )
        channels = (1, 1)
    streams = [_channel(found[path], channel) for path, channel in zip(files, channels)]
    stems = [path.stem for path in files]
    return streams, stems if stems[0] != stems[1] else [f"{stem}_{k}" for k, stem in enumerate(stems, 1)]


def _starts(streams: list[_Stream], *, together: bool) -> list[float]:
    """Seconds on one clock at which each recording begins."""
    first, second = streams
    if first.path == second.path or together:
        return [0.0, 0.0]
    if first.start_seconds is None or second.start_seconds is None:
        lengths = [stream.num_samples / stream.rate for stream in streams]
        log.info(
            "%s, %s: no timecode says when they began; they are taken to begin together",
            first.path.name,
            second.path.name,
        )
        if abs(lengths[0] - lengths[1]) > TOLD_SECONDS:
            log.warning(
                "%s lasts %.2f s, %s %.2f s; if they did not begin together, cut them so",
                *_told(streams, lengths),
            )
        return [0.0, 0.0]
    day = first.day_seconds or second.day_seconds
    other = near(second.start_seconds, first.start_seconds, **({"day": day} if day else {}))
    return [first.start_seconds, other]


def _span(stream: _Stream, start: float, num_samples: int, out_rate: int) -> np.ndarray:
    if isinstance(stream, _Decoded):  # without timecode: it begins with the other
        return stream.span(num_samples, out_rate)
    return audio.resample_span(stream, start, num_samples, true_rate=stream.rate, out_rate=out_rate)


def _told(streams: list[_Stream], values: Sequence[float]) -> list:
    return [part for stream, value in zip(streams, values) for part in (stream.path.name, value)]


def read_microphones(
    paths: Sequence[Path], *, out_rate: int, channels: Sequence[int] = (), together: bool = False
) -> Microphones:
    """Two microphones over the time that both cover, at `out_rate` samples a second.

    `channels` are the channel of each, from 1; `together` overrules the timecode: both begin together.
    InputError where they share less than SHORTEST_SECONDS.
    """
    streams, names = _streams(paths, channels)
    starts = _starts(streams, together=together)
    begin = max(starts)
    end = min(start + stream.num_samples / stream.rate for start, stream in zip(starts, streams))
    if end - begin < SHORTEST_SECONDS:
        lasts = [stream.num_samples / stream.rate for stream in streams]
        raise InputError(
            "{} ({:.2f} s) and {} ({:.2f} s) share {:.2f} s".format(
                *_told(streams, lasts), max(end - begin, 0.0)
            )
            + f"{' by their timecode' if any(starts) else ''}, need {SHORTEST_SECONDS:g} s; are they of one"
            " conversation? --together takes both from their first sample"
        )
    num_samples = int((end - begin) * out_rate + 1e-6)
    samples = np.stack(
        [_span(stream, begin - start, num_samples, out_rate) for stream, start in zip(streams, starts)]
    )
    wheres = [
        f"{stream.path}{f', channel {stream.channel}' if stream.num_channels > 1 else ''}"
        for stream in streams
    ]
    return Microphones(names, wheres, samples, [begin - start for start in starts])
