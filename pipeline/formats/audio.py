"""Recordings of a shoot: any WAV of a field recorder, opened, placed in the day and read on a true clock.

In: RIFF, RF64 and BW64 files (also WAVE_FORMAT_EXTENSIBLE, also beyond 4 GB) with 16, 24 or 32 bit integer or
32 or 64 bit float samples, one channel or one of several, at any rate. Out: float32 samples, full scale at 1,
and the start in seconds since midnight. A file of any size or length, whole or cut off, has one reader (its
chunks: pipeline.formats.wav_chunks); only the samples that are asked for are read.

Rules: the start is the `bext` chunk's TimeReference (EBU Tech 3285); where iXML has a time stamp too, the two
must agree to a millisecond, and a TimeReference of 0, which editors write that know no time, gives way to
iXML with a warning (and to a start in timecode.json: pipeline.capture.sync). An iXML chunk that cannot be
read is not used, with a warning. NaN and infinite samples are errors. Float samples beyond 1 are kept, not
clipped, up to LOUDEST.
"""

import logging
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline.errors import InputError
from pipeline.formats import wav_chunks
from pipeline.formats.timecode import day_seconds, ixml_speed
from pipeline.reading import open_plain, reading

log = logging.getLogger("interact")
OUT_RATE = 48_000
BLOCK_SAMPLES = 1 << 18
LONGEST_DAY = day_seconds(30_000 / 1001)
"""Seconds of a day of non-drop labels at NTSC rates, which a recorder's samples since midnight may count."""
AGREE_SECONDS = 1e-3
"""How far TimeReference and the iXML time stamp may lie apart."""
LOUDEST = 1000.0
"""Largest float sample, 60 dB over full scale: more is a file in the scale of integers, or damaged."""
WHOLE = 1e-5
"""Samples from a whole one that count as none.

At 20 kHz an error of -92 dB at a rate of 48 kHz, and far above rounding.
"""
DELAY_TAPS = 128
LEAD = 2048
"""Samples before and after a span that the filters see."""
_CONTAINERS = {(1, 2): "<i2", (1, 3): "u1", (1, 4): "<i4", (3, 4): "<f4", (3, 8): "<f8"}


class OtherCoding(InputError):
    """A WAV whose samples are coded in another way than this module reads."""


@dataclass(frozen=True)
class AudioStream:
    """One channel of a recording.

    `start_seconds` is the first sample's time of day, None where the file does not say.

    `day_seconds` is how long the day lasts that the start counts in, None where no iXML says how the recorder
    counted. `rate` is the header's, samples per second of the recorder's own clock; `channel` counts from 1.
    """

    path: Path
    rate: int
    num_samples: int
    num_channels: int
    channel: int
    start_seconds: float | None
    source: Literal["bext", "ixml"] | None
    day_seconds: float | None
    data_offset: int = field(repr=False)
    container: str = field(repr=False)

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of one channel."""
        return 3 if self.container == "u1" else int(self.container[-1])

    @property
    def tells_no_time(self) -> bool:
        """Whether the start is a TimeReference of 0, as editors write that know no time.

        What else tells one goes before it.
        """
        return self.source == "bext" and self.start_seconds == 0


def open_audio(path: Path, *, channel: int | None = None) -> AudioStream:
    """Format, length and start of one channel (from 1) of a recording.

    Only a file of one channel needs none named.
    """
    path = Path(path)
    chunks, stream = _opened(path)
    num_channels = stream.num_channels
    if channel is None and num_channels > 1:
        raise InputError(
            f"{path}: {num_channels} channels{_track_names(chunks.get('iXML', b''))}, need one: the actor's"
            f" own microphone; name it as channel, 1 to {num_channels}, under audio in timecode.json, or"
            " split the file"
        )
    channel = 1 if channel is None else channel
    if isinstance(channel, bool) or not isinstance(channel, int) or not 1 <= channel <= num_channels:
        raise InputError(
            f"{path}: got channel {channel!r}, need 1 to {num_channels}, the channels that the file has;"
            " correct the number"
        )
    start, source, day = _start(chunks, stream.rate, path)
    return replace(stream, channel=channel, start_seconds=start, source=source, day_seconds=day)


def open_channels(path: Path) -> list[AudioStream]:
    """All channels of a recording, whatever it says of the time of day."""
    stream = _opened(Path(path))[1]
    return [replace(stream, channel=k) for k in range(1, stream.num_channels + 1)]


def _opened(path: Path) -> tuple[dict[str, Any], AudioStream]:
    """The chunks of a WAV, and its first channel without a start."""
    with open_plain(path) as f, reading(path, "WAV", fix="export it again as WAV"):
        chunks = wav_chunks.walk(f, os.fstat(f.fileno()).st_size, path)
    rate, num_channels, container, width = _format(chunks["fmt "], path)
    offset, length = chunks["data"]
    num_samples, rest = divmod(length, num_channels * width)
    if rest:
        log.warning(
            "%s: its last %d bytes of samples are less than one of all %d channels; they are left out",
            path,
            rest,
            num_channels,
        )
    if num_samples == 0:
        raise InputError(f"{path}: no samples, need a recording; check the file")
    return chunks, AudioStream(path, rate, num_samples, num_channels, 1, None, None, None, offset, container)


def read(stream: AudioStream, first: int, stop: int) -> np.ndarray:
    """Samples first..stop of the stream's channel, float32 (stop - first,), at its own rate."""
    if not 0 <= first <= stop <= stream.num_samples:
        raise InputError(
            f"{stream.path}: {stream.num_samples} samples ({stream.num_samples / stream.rate:.3f} s), need"
            f" samples {first} to {stop}; the window reaches beyond the recording, sync the take again"
        )
    width = stream.num_channels * stream.sample_bytes
    try:
        with open(stream.path, "rb") as f:
            f.seek(stream.data_offset + first * width)
            content = f.read((stop - first) * width)
    except OSError as error:
        raise InputError(
            f"{stream.path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    if len(content) != (stop - first) * width:
        raise InputError(
            f"{stream.path}: got {len(content) // width} samples from {first} on, need {stop - first}; the"
            " file became shorter, copy it again"
        )
    return _decoded(stream, content, first)


def blocks(stream: AudioStream, size: int = BLOCK_SAMPLES) -> Iterator[np.ndarray]:
    """All samples of the stream's channel, float32, in blocks of at most `size`."""
    for first in range(0, stream.num_samples, size):
        yield read(stream, first, min(first + size, stream.num_samples))


def resample_span(
    stream: AudioStream,
    start_seconds_in_stream: float,
    num_samples: int,
    *,
    true_rate: float,
    out_rate: float = OUT_RATE,
) -> np.ndarray:
    """Band-limited samples, float32 (num_samples,), at the true times start + k / out_rate.

    `start_seconds_in_stream` are true seconds after the file's first sample, and `true_rate` is how many
    samples the recorder wrote in a true second (48,002.4 for a clock that is 50 ppm fast), so that sample k
    is taken at the file's sample (start + k / out_rate) * true_rate. The part of a sample by which the span
    is off the file's grid is a fractional-delay filter (a Kaiser-windowed sinc of DELAY_TAPS), the rate is
    soxr's, at very high quality. A span on the grid at the file's own rate comes out as it stands in the
    file. The span may reach half a sample before the file and to the end of its last sample, at a coarser
    rate one step behind it; beyond the ends the recording counts as silence.
    """
    if not (np.isfinite(true_rate) and abs(true_rate / stream.rate - 1) < 0.01):
        raise InputError(
            f"{stream.path}: a true rate of {true_rate:g} for a header of {stream.rate} Hz, need one within 1"
            " %; correct the sync"
        )
    step = true_rate / out_rate
    begin = start_seconds_in_stream * true_rate
    end = begin + (num_samples - 1) * step
    if begin < -0.5 or end > stream.num_samples + max(step - 0.5, 0.0):
        raise InputError(
            f"{stream.path}: the recording is {stream.num_samples / true_rate:.3f} s long, need"
            f" {start_seconds_in_stream:.3f} to {start_seconds_in_stream + num_samples / out_rate:.3f} s of"
            " it; the window reaches beyond the recording, sync the take again"
        )
    result = np.empty(num_samples, np.float32)
    for k in range(
        0, num_samples, BLOCK_SAMPLES
    ):  # each block from its own exact start: no rounding of the rate adds up
        part = result[k : k + BLOCK_SAMPLES]
        part[:] = _resampled(stream, begin + k * step, len(part), step)
    return result


def _resampled(stream: AudioStream, begin: float, num_samples: int, step: float) -> np.ndarray:
    """The recording at begin, begin + step, ... (num_samples values), in samples of the file."""
    import soxr

    if abs(step - 1) * num_samples < WHOLE:
        return _delayed(stream, begin, num_samples)
    lead = int(np.ceil(LEAD / min(step, 1.0)))  # samples of the output in which the filter settles
    x = _delayed(stream, begin - lead * step, int(np.ceil((lead + num_samples) * step)) + LEAD)
    return soxr.resample(x, step, 1.0, quality="VHQ")[lead : lead + num_samples]


def _delayed(stream: AudioStream, begin: float, num_samples: int) -> np.ndarray:
    """The recording at begin, begin + 1, ... (num_samples values), in samples of the file.

    A fractional delay.
    """
    first = int(np.floor(begin + WHOLE))
    delay, stop = begin - first, first + num_samples
    if delay < WHOLE:
        return _padded(stream, first, stop)
    half = DELAY_TAPS // 2
    offsets = np.arange(-half + 1, half + 1)
    taps = (
        np.sinc(offsets - delay)
        * np.i0(10 * np.sqrt(1 - ((offsets - delay) / half).clip(-1, 1) ** 2))
        / np.i0(10)
    )
    x = _padded(stream, first - half + 1, stop + half).astype(np.float64)
    return np.convolve(x, (taps / taps.sum())[::-1], "valid").astype(np.float32)


def _padded(stream: AudioStream, first: int, stop: int) -> np.ndarray:
    """Samples first..stop, with silence beyond the ends of the recording."""
    inside = [min(max(i, 0), stream.num_samples) for i in (first, stop)]
    before = min(max(-first, 0), stop - first)
    return np.pad(read(stream, *inside), (before, stop - first - before - (inside[1] - inside[0])))


def _decoded(stream: AudioStream, content: bytes, first: int) -> np.ndarray:
    """Samples (n,) float32 of the stream's channel; `first` is their first one's number, for messages."""
    if stream.container == "u1":  # 24 bit: the upper three bytes of 32
        raw = np.frombuffer(content, np.uint8).reshape(-1, stream.num_channels, 3)[:, stream.channel - 1]
        wide = np.zeros((len(raw), 4), np.uint8)
        wide[:, 1:] = raw
        return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
    x = np.frombuffer(content, stream.container).reshape(-1, stream.num_channels)[:, stream.channel - 1]
    if x.dtype.kind == "i":
        return x.astype(np.float32) / np.float32(2 ** (8 * x.dtype.itemsize - 1))
    bad = np.flatnonzero(~(np.abs(x) <= LOUDEST))
    if len(bad):
        i = first + int(bad[0])
        what = "not finite" if not np.isfinite(x[bad[0]]) else f"{x[bad[0]]:g}, full scale is 1"
        raise InputError(
            f"{stream.path}, second {i / stream.rate:.4f} (sample {i}): got a sample that is {what}; export"
            " the recording again"
        )
    return x.astype(np.float32)


def _format(content: bytes, path: Path) -> tuple[int, int, str, int]:
    """Rate, channels, how a sample stands in the file, and its bytes, from the `fmt ` chunk."""
    if len(content) < 16:
        raise InputError(
            f"{path}: not a readable WAV (its format has {len(content)} bytes, need 16); export it again"
        )
    tag, num_channels, rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == 0xFFFE and len(content) >= 26:
        tag = struct.unpack("<H", content[24:26])[0]
    width = frame_bytes // num_channels if num_channels else 0
    if (tag, width) not in _CONTAINERS or width * num_channels != frame_bytes:
        raise OtherCoding(
            f"{path}: format {tag} of {bits} bits in {width} bytes, need 16, 24 or 32 bit integers or 32 or"
            " 64 bit floats; export it as 24-bit WAV"
        )
    if not 8_000 <= rate <= 384_000:
        raise InputError(
            f"{path}: {rate} samples per second, need 8,000 to 384,000, such as 48,000; export it again"
        )
    return rate, num_channels, _CONTAINERS[tag, width], width


def _track_names(content: bytes) -> str:
    """The tracks that iXML names, as part of a message."""
    found = []
    for track in re.findall(rb"<TRACK>(.*?)</TRACK>", content, re.DOTALL):
        number, name = (
            re.search(rb"<CHANNEL_INDEX>\s*(\d+)\s*<", track),
            re.search(rb"<NAME>\s*([^<]+?)\s*<", track),
        )
        if number and name:
            found.append(f"{number[1].decode()} {name[1].decode('utf-8', 'replace')}")
    return f" ({', '.join(found)})" if found else ""


def _start(
    chunks: dict[str, Any], rate: int, path: Path
) -> tuple[float | None, Literal["bext", "ixml"] | None, float | None]:
    """Seconds since midnight of the first sample, the chunk that says so, and that day's length by iXML."""
    bext, ixml = chunks.get("bext"), chunks.get("iXML", b"")
    if bext is not None and len(bext) < 346:
        raise InputError(
            f"{path}: its bext chunk has {len(bext)} bytes, need 602 and TimeReference in it; export it again"
            " as Broadcast Wave"
        )
    reference = struct.unpack("<Q", bext[338:346])[0] / rate if bext is not None else None
    stamp = day = None
    if ixml.strip(b"\0 \r\n\t"):
        try:
            speed = ixml_speed(ixml.decode("utf-8-sig", "replace"))
            stamp, day = speed.seconds, speed.day_seconds
        except InputError as error:
            log.warning("%s: %s; its time stamp is not used", path, error)
    for name, seconds in (("TimeReference", reference), ("iXML time stamp", stamp)):
        if seconds is not None and seconds >= (day or LONGEST_DAY):
            raise InputError(
                f"{path}: {name} is {seconds:.3f} s, need a time of day below {day or LONGEST_DAY:.6g} s;"
                " correct it or the file's rate"
            )
    if stamp is None:
        return reference, None if reference is None else "bext", day
    if reference is None or (reference == 0 and stamp > 0):
        if reference == 0:
            log.warning(
                "%s: TimeReference is 0, iXML says %.3f s after midnight, which is taken", path, stamp
            )
        return stamp, "ixml", day
    if abs(stamp - reference) > AGREE_SECONDS:
        raise InputError(
            f"{path}: TimeReference is {reference:.4f} s, the iXML time stamp {stamp:.4f} s after midnight,"
            " need one time; correct or remove one"
        )
    return reference, "bext", day
