"""Whether the audio readers read a broken file as they promise or refuse it with one line.

On seeded mutations.

    python benchmarks/fuzz_wav.py --count 20000 --seed 0
    python benchmarks/fuzz_wav.py --formats lengths --count 500 --keep broken

`wav` and `rf64` are broken in every place, and read as sync does (format, start, all samples) and as a voice;
`flac` and `mp3` as a voice. `lengths` are files of which only lengths, pad bytes and the end are broken, as
recorders break them: their samples must all be there, or a warning or an error says that they are not. What
else counts as a failure is in fuzz_readers.py.
"""

import logging
import random
import struct
import sys
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import fuzz_readers  # noqa: E402
from fuzz_readers import BYTES, Format, finite, need, several  # noqa: E402

from pipeline.capture import stream_clocks  # noqa: E402
from pipeline.formats import audio, voice_file

RATE = 48_000
NUM_SAMPLES = 2001
DATA = np.random.default_rng(0).integers(0, 256, 3 * NUM_SAMPLES, np.uint8).tobytes()
FMT = struct.pack("<HHIIHH", 1, 1, RATE, 3 * RATE, 3, 24)
BEXT = bytes(338) + struct.pack("<Q", 36_000 * RATE) + bytes(256)
STAMP = "<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>0</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>"
STAMP += f"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>{36_000 * RATE}</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>"
IXML = (
    f"<BWFXML><SPEED><TIMECODE_RATE>25/1</TIMECODE_RATE>{STAMP}"
    f"<TIMESTAMP_SAMPLE_RATE>{RATE}</TIMESTAMP_SAMPLE_RATE></SPEED></BWFXML>"
).encode()
EXTREME = (0, 1, 2, 3, 600, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk with its pad byte."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def make_wav(path: Path, kind: bytes = b"RIFF") -> None:
    """A Broadcast Wave of chunks with even and odd lengths, or as RF64 with its lengths in ds64."""
    listed = [chunk(b"bext", BEXT), chunk(b"fmt ", FMT), chunk(b"data", DATA), chunk(b"iXML", IXML)]
    if kind != b"RIFF":
        listed.insert(0, chunk(b"ds64", struct.pack("<QQQI", 0, len(DATA), NUM_SAMPLES, 0)))
        listed[3] = b"data\xff\xff\xff\xff" + listed[3][8:]
    body = b"".join(listed)
    path.write_bytes(
        kind + struct.pack("<I", 4 + len(body) if kind == b"RIFF" else 0xFFFFFFFF) + b"WAVE" + body
    )


def make_rf64(path: Path) -> None:
    """The same as RF64."""
    make_wav(path, b"RF64")


def make_coded(path: Path) -> None:
    """A tone of two channels in the coding that the file's name says."""
    t = np.arange(6000) / RATE
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * np.outer(t, [300, 500])), RATE)


def break_lengths(data: bytes, rng: random.Random) -> bytes:
    """Lengths of chunks that lie, pad bytes that are missing, an end that is lost.

    The samples stay as they are.
    """
    places = [data.index(name) + 4 for name in (b"bext", b"fmt ", b"data", b"iXML")]
    place = rng.choice([*places, places[2], places[2], 4])
    kind = rng.randrange(4)
    out = bytearray(data)
    if kind < 2:
        now = struct.unpack("<I", data[place : place + 4])[0]
        value = rng.choice(
            [*EXTREME, now + rng.randint(-8, 8), rng.randrange(2**32), rng.randrange(2 * len(data))]
        )
        out[place : place + 4] = struct.pack("<I", max(value, 0) % 2**32)
    if data[:4] == b"RF64" and rng.random() < 0.5:
        value = rng.choice(
            [*EXTREME, 2**63, 2**64 - 1, len(DATA) + rng.randint(-8, 8), rng.randrange(2 * len(data))]
        )
        out[28:36] = struct.pack("<Q", value)
    if kind == 2:  # the pad byte of the samples, whose length is odd
        del out[places[2] + 4 + len(DATA)]
    if kind == 3:
        out = out[: rng.randrange(40, len(out))]
    return bytes(out)


class _Told(logging.Handler):
    """Counts warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def read_recording(path: Path) -> None:
    """Format, start and samples of a recording, as sync and separation read them, and as a voice."""
    found = stream_clocks.audio_stream(path, "take 7")
    for stream in audio.open_channels(path):
        need(
            stream.num_samples == found["samples"] > 0 and 8000 <= stream.rate <= 384_000, "samples at a rate"
        )
        finite(audio.read(stream, 0, stream.num_samples))
    need(found["start"] is None or 0 <= found["start"] < 86_487, "a time of day")
    read_voice(path)


def read_voice(path: Path) -> None:
    """A voice."""
    samples, rate = voice_file.read_voice(path)
    need(
        samples.ndim == 1 and len(samples) and samples.dtype == np.float32 and rate > 0,
        "samples of one channel",
    )
    finite(samples)


def read_all_samples(path: Path) -> None:
    """All samples that the file has, or a warning."""
    log, told = logging.getLogger("interact"), _Told()
    log.addHandler(told)
    propagates, log.propagate = log.propagate, False
    disabled = logging.root.manager.disable
    logging.disable(logging.NOTSET)
    try:
        stream = audio.open_audio(path)
        values = np.round(audio.read(stream, 0, stream.num_samples).astype(float) * 2**31).astype("<i4")
    finally:
        logging.disable(disabled)
        log.removeHandler(told)
        log.propagate = propagates
    content = values.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    need(content == DATA or told.count, f"{len(content)} bytes of samples of {len(DATA)} without a word")
    need(DATA.startswith(content) or content.startswith(DATA), "samples that are those of the recording")


FORMATS = {
    "wav": Format("x.wav", make_wav, read_recording, several(*BYTES)),
    "rf64": Format("x.wav", make_rf64, read_recording, several(*BYTES)),
    "lengths": Format("x.wav", make_wav, read_all_samples, break_lengths),
    "lengths64": Format("x.wav", make_rf64, read_all_samples, break_lengths),
    "flac": Format("x.flac", make_coded, read_voice, several(*BYTES)),
    "mp3": Format("x.mp3", make_coded, read_voice, several(*BYTES)),
}

if __name__ == "__main__":
    sys.exit(fuzz_readers.main(formats=FORMATS, doc=__doc__))
