import os
import struct

import numpy as np
import pytest
import soundfile

from pipeline.errors import InputError
from pipeline.formats import audio

RATE = 48_000
FORMATS = {"PCM_16": (1, 2), "PCM_24": (1, 3), "PCM_32": (1, 4), "FLOAT": (3, 4), "DOUBLE": (3, 8)}
ROUNDING = {"PCM_16": 2**-15, "PCM_24": 2**-23, "PCM_32": 2**-24, "FLOAT": 2**-24, "DOUBLE": 2**-24}
EXTENSIBLE_GUID = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"


def bext(reference: int) -> tuple[bytes, bytes]:
    return b"bext", struct.pack(
        "<256s32s32s10s8sQH", b"", b"", b"", b"2026-01-01", b"10:00:00", reference, 1
    ).ljust(602, b"\0")


def ixml(samples: int, *, rate: int | None = RATE, tracks=()) -> tuple[bytes, bytes]:
    names = "".join(
        f"<TRACK><CHANNEL_INDEX>{i}</CHANNEL_INDEX><NAME>{name}</NAME></TRACK>"
        for i, name in enumerate(tracks, 1)
    )
    stamp = f"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>{samples >> 32}</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>"
    stamp += f"<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>{samples % 2**32}</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>"
    stamp += f"<TIMESTAMP_SAMPLE_RATE>{rate}</TIMESTAMP_SAMPLE_RATE>" if rate else ""
    return b"iXML", f"<BWFXML><SPEED>{stamp}</SPEED><TRACK_LIST>{names}</TRACK_LIST></BWFXML>\0".encode()


def write(
    path,
    x,
    *,
    rate=RATE,
    subtype="PCM_24",
    chunks=(),
    after=(),
    kind=b"RIFF",
    extensible=False,
    data_size=None,
    ds64_size=None,
):
    """A WAV of x (S,) or (S, C), chunk by chunk.

    `data_size` and `ds64_size` are what its header claims, None the truth.
    """
    x = np.asarray(x, float)
    x = x if x.ndim == 2 else x[:, None]
    tag, width = FORMATS[subtype]
    if tag == 3:
        data = x.astype(f"<f{width}").tobytes()
    else:
        whole = np.round(x * (2 ** (8 * width - 1) - 1)).astype("<i8").view(np.uint8).reshape(-1, 8)
        data = whole[:, :width].tobytes()
    fmt = struct.pack(
        "<HHIIHH",
        0xFFFE if extensible else tag,
        x.shape[1],
        rate,
        rate * width * x.shape[1],
        width * x.shape[1],
        8 * width,
    )
    if extensible:
        fmt += struct.pack("<HHIH", 22, 8 * width, 0, tag) + EXTENSIBLE_GUID
    listed = [*chunks, (b"fmt ", fmt), (b"data", data), *after]
    if kind != b"RIFF":
        ds64 = struct.pack("<QQQI", 0, len(data) if ds64_size is None else ds64_size, len(x), 0)
        listed = [(b"ds64", ds64), *listed]
        data_size = 0xFFFFFFFF if data_size is None else data_size
    body = b"".join(
        name
        + struct.pack("<I", data_size if name == b"data" and data_size is not None else len(content))
        + content
        + b"\0" * (len(content) % 2)
        for name, content in listed
    )
    path.write_bytes(
        kind + struct.pack("<I", 0xFFFFFFFF if kind != b"RIFF" else 4 + len(body)) + b"WAVE" + body
    )
    return path


def noise(num_samples, num_channels=1, *, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (num_samples, num_channels))


@pytest.mark.parametrize("kind", [b"RIFF", b"RF64", b"BW64"])
@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("subtype", FORMATS)
def test_every_format_gives_its_samples_and_start(tmp_path, kind, extensible, subtype):
    x = noise(1001, 3)
    path = write(
        tmp_path / "x.wav",
        x,
        rate=96_000,
        subtype=subtype,
        kind=kind,
        extensible=extensible,
        chunks=[bext(96_000 * 36_000 + 5)],
        after=[(b"odd ", b"abc")],
    )
    for channel in (1, 2, 3):
        stream = audio.open_audio(path, channel=channel)
        assert (stream.rate, stream.num_samples, stream.num_channels, stream.channel, stream.source) == (
            96_000,
            1001,
            3,
            channel,
            "bext",
        )
        assert stream.start_seconds == 36_000 + 5 / 96_000
        found = audio.read(stream, 0, 1001)
        assert (
            found.dtype == np.float32 and np.abs(found - x[:, channel - 1]).max() <= 1.5 * ROUNDING[subtype]
        )
        assert np.array_equal(audio.read(stream, 100, 107), found[100:107])
        assert (
            np.array_equal(np.concatenate(list(audio.blocks(stream, 64))), found)
            and max(map(len, audio.blocks(stream, 64))) == 64
        )


@pytest.mark.parametrize("subtype", FORMATS)
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
def test_samples_are_those_of_another_reader_and_writer(tmp_path, subtype, container):
    soundfile.write(tmp_path / "x.wav", noise(500, 2), 44_100, subtype=subtype, format=container)
    stream = audio.open_audio(tmp_path / "x.wav", channel=2)
    assert stream.rate == 44_100 and stream.start_seconds is None and stream.source is None
    assert np.array_equal(
        audio.read(stream, 0, 500), soundfile.read(tmp_path / "x.wav", dtype="float32")[0][:, 1]
    )


def test_a_file_beyond_4_gb_is_read_at_its_end(tmp_path):
    """The file is sparse: 5 GB of silence of which the disk holds nothing, and a ramp as its last samples."""
    path = write(
        tmp_path / "x.wav",
        np.zeros(1),
        kind=b"RF64",
        subtype="PCM_16",
        ds64_size=5_000_000_000,
        chunks=[bext(RATE)],
    )
    ramp = np.arange(-50, 50, dtype="<i2")
    with open(path, "r+b") as f:
        f.seek(path.stat().st_size - 2 + 5_000_000_000 - 200)
        f.write(ramp.tobytes())
    stream = audio.open_audio(path)
    assert stream.num_samples == 2_500_000_000 and stream.start_seconds == 1.0
    assert np.array_equal(audio.read(stream, stream.num_samples - 100, stream.num_samples) * 2**15, ramp)
    span = audio.resample_span(stream, (stream.num_samples - 100) / RATE, 100, true_rate=RATE)
    assert np.array_equal(span * 2**15, ramp)


@pytest.mark.parametrize(("cut", "claim"), [(0, 0), (0, 0xFFFFFFFF), (301, None), (3, 10**8), (0, 3000 + 1)])
@pytest.mark.parametrize("kind", [b"RIFF", b"RF64"])
def test_a_recording_that_was_cut_off_has_the_samples_that_are_there(tmp_path, caplog, kind, cut, claim):
    x = noise(1000)
    path = write(
        tmp_path / "x.wav",
        x,
        kind=kind,
        chunks=[bext(0)],
        data_size=claim if kind == b"RIFF" else None,
        ds64_size=claim,
    )
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - cut])
    stream = audio.open_audio(path)
    assert stream.num_samples == (3000 - cut) // 3 and "x.wav" in caplog.text and "cut off" in caplog.text
    assert np.abs(audio.read(stream, 0, stream.num_samples) - x[: stream.num_samples, 0]).max() < 2**-22


def test_a_whole_file_gives_no_warning(tmp_path, caplog):
    audio.open_audio(write(tmp_path / "x.wav", noise(10), chunks=[bext(7)], after=[ixml(7)]))
    assert not caplog.text


@pytest.mark.parametrize(
    ("chunks", "seconds", "source"),
    [
        ([], None, None),
        ([bext(RATE * 10)], 10.0, "bext"),
        ([bext(0)], 0.0, "bext"),
        ([ixml(RATE * 10)], 10.0, "ixml"),
        ([ixml(RATE * 10, rate=None)], None, None),
        ([ixml(96_000 * 80_000, rate=96_000)], 80_000.0, "ixml"),
        ([bext(RATE * 10), ixml(RATE * 10 + 40)], 10.0, "bext"),
        ([bext(RATE * 10), ixml(44_100 * 10, rate=44_100)], 10.0, "bext"),
        ([bext(0), ixml(RATE * 10)], 10.0, "ixml"),
        ([bext(0), ixml(0)], 0.0, "bext"),
        ([bext(RATE * 10), (b"iXML", b"<BWFXML><PROJECT>no stamp \xff</PROJECT>")], 10.0, "bext"),
    ],
)
def test_the_start_is_that_of_bext_checked_by_ixml(tmp_path, caplog, chunks, seconds, source):
    stream = audio.open_audio(write(tmp_path / "x.wav", noise(10), chunks=chunks[:1], after=chunks[1:]))
    assert (stream.start_seconds, stream.source) == (seconds, source)
    assert ("TimeReference is 0" in caplog.text) == (len(chunks) == 2 and source == "ixml")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda p: write(p, noise(10, 2)),
            (
                "x.wav: 2 channels, need one: the actor's own microphone; name it as channel, 1 to 2, under"
                " audio in timecode.json"
            ),
        ),
        (
            lambda p: write(p, noise(10, 2), chunks=[ixml(0, tracks=["Boom", "Lav"])]),
            "2 channels (1 Boom, 2 Lav), need one",
        ),
        (
            lambda p: write(p, noise(10), chunks=[bext(RATE)], after=[ixml(2 * RATE)]),
            "TimeReference is 1.0000 s, the iXML time stamp 2.0000 s",
        ),
        (
            lambda p: write(p, noise(10), chunks=[bext(RATE * 90_000)]),
            "TimeReference is 90000.000 s, need a time of day",
        ),
        (lambda p: write(p, noise(10), chunks=[(b"bext", b"short")]), "bext chunk has 5 bytes"),
        (lambda p: write(p, noise(0)), "x.wav: no samples"),
        (lambda p: write(p, noise(0), after=[ixml(0)]), "x.wav: no samples"),
        (lambda p: write(p, noise(10), rate=1), "1 samples per second"),
        (lambda p: soundfile.write(p, noise(10), RATE, subtype="PCM_U8"), "format 1 of 8 bits"),
        (lambda p: soundfile.write(p, noise(10), RATE, subtype="ULAW"), "format 7 of 8 bits"),
        (lambda p: soundfile.write(p, noise(10), RATE, format="FLAC"), "not a readable WAV"),
        (lambda p: p.write_bytes(b""), "not a readable WAV"),
        (lambda p: p.write_bytes(b"RIFF\0\0\0\0WAVE"), "no format"),
        (lambda p: p.write_bytes(b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0abcd"), "no samples: the chunk"),
        (
            lambda p: p.write_bytes(b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0abcddata\0\0\0\0"),
            "its format has 4 bytes",
        ),
        (lambda p: None, "x.wav: no such file"),
        (lambda p: p.mkdir(), "x.wav: is a folder"),
        (lambda p: os.mkfifo(p), "x.wav: is a pipe or device"),
    ],
)
def test_bad_recordings_are_named(tmp_path, make, message):
    make(tmp_path / "x.wav")
    with pytest.raises(InputError) as error:
        audio.open_audio(tmp_path / "x.wav")
    assert message in str(error.value) and "x.wav" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("channel", [0, 3, -1, True, 1.0, "one"])
def test_a_channel_that_is_not_there_is_refused(tmp_path, channel):
    with pytest.raises(InputError, match=f"got channel {channel!r}, need 1 to 2"):
        audio.open_audio(write(tmp_path / "x.wav", noise(10, 2)), channel=channel)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.nan, "second 0.5000 (sample 24000): got a sample that is not finite"),
        (-np.inf, "not finite"),
        (20_000.0, "20000, full scale is 1"),
    ],
)
def test_samples_that_are_no_sound_are_named(tmp_path, subtype, bad, message):
    x = noise(RATE, 2)
    x[24_000, 1] = bad
    path = write(tmp_path / "x.wav", x, subtype=subtype)
    assert len(list(audio.blocks(audio.open_audio(path, channel=1), 1000))) == 48, (
        "the other channel is sound"
    )
    with pytest.raises(InputError) as error:
        list(audio.blocks(audio.open_audio(path, channel=2), 1000))
    assert message in str(error.value) and "x.wav" in str(error.value)


def test_float_samples_beyond_one_are_kept(tmp_path):
    stream = audio.open_audio(write(tmp_path / "x.wav", [0.5, -3.0, 2.5], subtype="FLOAT"))
    assert audio.read(stream, 0, 3).tolist() == [0.5, -3.0, 2.5]


@pytest.mark.parametrize(("first", "stop"), [(-1, 5), (0, 11), (7, 6)])
def test_samples_that_are_not_there_are_refused(tmp_path, first, stop):
    with pytest.raises(InputError, match="10 samples"):
        audio.read(audio.open_audio(write(tmp_path / "x.wav", noise(10))), first, stop)


def test_a_file_that_shrinks_after_opening_is_refused(tmp_path):
    stream = audio.open_audio(write(tmp_path / "x.wav", noise(100)))
    stream.path.write_bytes(stream.path.read_bytes()[:-30])
    with pytest.raises(InputError, match="became shorter"):
        audio.read(stream, 0, 100)


def tones(hertz, times):
    return sum(np.sin(2 * np.pi * (f * times + 0.1 * i)) for i, f in enumerate(hertz)) * 0.5 / len(hertz)


def error_db(found, true):
    return 10 * np.log10(np.mean((found - true) ** 2) / np.mean(true**2))


@pytest.mark.parametrize(
    ("rate", "ppm", "start", "seconds"),
    [
        (48_000, 50.0, 1.234567, 90.0),
        (48_000, -100.0, 0.0, 8.0),
        (48_000, 0.0, 0.500007, 8.0),
        (48_000, 0.0001, 0.5, 8.0),
        (44_100, 0.0, 1 / 3, 8.0),
        (44_100, 73.0, 2.0, 8.0),
        (96_000, -31.7, 0.1, 8.0),
    ],
)
def test_a_drifting_recording_is_read_at_true_times(tmp_path, rate, ppm, start, seconds):
    true_rate = rate * (1 + ppm * 1e-6)
    hertz = (1000, 8000)
    x = tones(hertz, np.arange(int((seconds + start + 0.5) * rate)) / true_rate)
    stream = audio.open_audio(write(tmp_path / "x.wav", x, rate=rate, subtype="FLOAT"))
    num_samples = round(seconds * RATE)
    found = audio.resample_span(stream, start, num_samples, true_rate=true_rate)
    true = tones(hertz, start + np.arange(num_samples) / RATE)
    assert found.shape == (num_samples,) and found.dtype == np.float32
    edge = 3000 if start == 0 else 0  # before the file is silence
    for part in (slice(edge, 48_000), slice(edge, None), slice(-48_000, None)):
        assert error_db(found[part], true[part]) < -85


def test_drift_that_is_not_told_is_an_error_that_grows(tmp_path):
    """The measure itself: with the header's rate the last second of a minute is off by 3 ms."""
    x = tones((1000,), np.arange(61 * RATE) / (RATE * (1 + 50e-6)))
    stream = audio.open_audio(write(tmp_path / "x.wav", x, subtype="FLOAT"))
    found = audio.resample_span(stream, 0.0, 60 * RATE, true_rate=RATE)
    true = tones((1000,), np.arange(60 * RATE) / RATE)
    assert error_db(found[:480], true[:480]) < -40 < error_db(found[-RATE:], true[-RATE:])


@pytest.mark.parametrize("first", [0, 1, 12_345])
def test_a_span_on_the_grid_is_the_file_itself(tmp_path, first):
    stream = audio.open_audio(write(tmp_path / "x.wav", noise(20_000)))
    span = audio.resample_span(stream, first / RATE, 20_000 - first, true_rate=RATE)
    assert np.array_equal(span, audio.read(stream, first, 20_000))


@pytest.mark.parametrize("ppm", [0.0, 40.0])
@pytest.mark.parametrize("start", [0.25, 0.250003])
def test_blocks_leave_no_seam(tmp_path, monkeypatch, ppm, start):
    stream = audio.open_audio(write(tmp_path / "x.wav", tones((500, 3000, 9000), np.arange(40_000) / RATE)))
    spans = []
    for size in (1 << 18, 4096, 5000):
        monkeypatch.setattr(audio, "BLOCK_SAMPLES", size)
        spans.append(audio.resample_span(stream, start, 20_000, true_rate=RATE * (1 + ppm * 1e-6)))
    assert all(np.abs(span - spans[0]).max() < 3e-5 for span in spans[1:])


def test_what_lies_above_the_output_band_is_taken_away(tmp_path):
    x = tones((30_000,), np.arange(96_000) / 96_000)
    stream = audio.open_audio(write(tmp_path / "x.wav", x, rate=96_000, subtype="FLOAT"))
    found = audio.resample_span(stream, 0.2, 24_000, true_rate=96_001.0)
    assert 10 * np.log10(np.mean(found**2) / np.mean(x**2)) < -90


def test_the_span_may_reach_the_ends_and_not_beyond(tmp_path):
    stream = audio.open_audio(write(tmp_path / "x.wav", noise(RATE)))
    for start, num_samples in ((-0.4 / RATE, 100), (0.0, RATE), (0.5, RATE // 2 + 1)):
        assert np.isfinite(audio.resample_span(stream, start, num_samples, true_rate=RATE)).all()
    for start, num_samples in ((-0.001, 100), (0.5, RATE // 2 + 10), (2.0, 1)):
        with pytest.raises(InputError, match="x.wav: the recording is 1.000 s long, need"):
            audio.resample_span(stream, start, num_samples, true_rate=RATE)
    with pytest.raises(InputError, match="a true rate of 44100 for a header of 48000"):
        audio.resample_span(stream, 0.0, 100, true_rate=44_100)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 96_000])
def test_a_whole_recording_of_any_rate_is_a_span(tmp_path, rate):
    stream = audio.open_audio(write(tmp_path / "x.wav", noise(rate), rate=rate))
    assert np.isfinite(audio.resample_span(stream, 0.0, 48_000, true_rate=rate)).all()


@pytest.mark.parametrize(
    ("rate", "flag", "day"),
    [
        ("30000/1001", "DF", 86_399.9136),
        ("24000/1001", "NDF", 86_486.4),
        ("25/1", "NDF", 86_400),
        ("25/1", "DF", None),
    ],
)
def test_ixml_says_how_long_the_recorders_day_is(tmp_path, rate, flag, day):
    name, content = ixml(48_000)
    spoken = f"<SPEED><TIMECODE_RATE>{rate}</TIMECODE_RATE><TIMECODE_FLAG>{flag}</TIMECODE_FLAG>".encode()
    path = write(
        tmp_path / "x.wav",
        noise(10),
        chunks=[bext(48_000)],
        after=[(name, content.replace(b"<SPEED>", spoken))],
    )
    assert audio.open_audio(path).day_seconds == (day and pytest.approx(day, abs=1e-9))
