import numpy as np
import pytest
import soundfile

from pipeline.errors import InputError
from pipeline.view import voices

RATE = 48_000


def tone(path, hertz, *, seconds=1.0, size=0.5, rate=RATE, subtype="PCM_24"):
    t = np.arange(round(seconds * rate)) / rate
    soundfile.write(path, size * np.sin(2 * np.pi * hertz * t), rate, subtype=subtype)
    return path


def level(samples, hertz):
    """Size of a tone in samples (n,) at 24 kHz."""
    t = np.arange(len(samples)) / voices.RATE
    return 2 * abs(np.mean(samples * np.exp(-2j * np.pi * hertz * t)))


@pytest.mark.parametrize("rate, subtype", [(48_000, "PCM_24"), (44_100, "PCM_16"), (16_000, "FLOAT")])
def test_each_voice_is_near_its_side_and_on_the_takes_clock(tmp_path, rate, subtype):
    one = tone(tmp_path / "a.wav", 400, rate=rate, subtype=subtype)
    two = tone(tmp_path / "b.wav", 1000, rate=rate, subtype=subtype)
    out = tmp_path / "voices.flac"
    voices.write_voices([one, two], 30, out)
    samples, found = soundfile.read(out)
    assert found == 24_000 and samples.shape == (24_000, 2) and soundfile.info(out).subtype == "PCM_16"
    middle = samples[2400:-2400]
    for hertz, sides in ((400, (0.8, 0.35)), (1000, (0.35, 0.8))):
        for side, need in enumerate(sides):
            assert level(middle[:, side], hertz) == pytest.approx(0.5 * need, rel=0.01)
    t = np.arange(24_000) / 24_000
    both = 0.4 * np.sin(2 * np.pi * 400 * t) + 0.175 * np.sin(2 * np.pi * 1000 * t)
    np.testing.assert_allclose(middle[:, 0], both[2400:-2400], atol=2e-3)
    again = tmp_path / "again.flac"
    voices.write_voices([one, two], 30, again)
    assert again.read_bytes() == out.read_bytes()


def test_loud_voices_are_made_quieter_together_and_none_is_clipped(tmp_path):
    one, two = (tone(tmp_path / f"{name}.wav", 300, size=0.99) for name in "ab")
    voices.write_voices([one, two], 30, tmp_path / "voices.flac")
    samples, _ = soundfile.read(tmp_path / "voices.flac")
    assert np.abs(samples).max() == pytest.approx(voices.LOUDEST, abs=1e-3)
    assert level(samples[2400:-2400, 0], 300) == pytest.approx(voices.LOUDEST, rel=0.01)  # a sine still


def test_short_and_lacking_voices_are_silence_and_one_person_is_in_the_middle(tmp_path):
    one = tone(tmp_path / "a.wav", 400, seconds=0.5)
    voices.write_voices([one, None], 31, tmp_path / "voices.flac")
    samples, _ = soundfile.read(tmp_path / "voices.flac")
    assert len(samples) == 31 * 800 and np.abs(samples[:11_000]).max() > 0.3
    assert not samples[12_100:].any()
    voices.write_voices([one], 30, tmp_path / "one.flac")
    alone, _ = soundfile.read(tmp_path / "one.flac")
    np.testing.assert_array_equal(alone[:, 0], alone[:, 1])


def test_a_long_voice_is_the_same_over_the_edges_of_blocks(tmp_path, monkeypatch):
    one = tone(tmp_path / "a.wav", 440, seconds=2.0)
    whole = np.concatenate(list(voices.mixed([one], 48_000)))
    monkeypatch.setattr(voices, "BLOCK_SAMPLES", 5_000)
    parts = list(voices.mixed([one], 48_000))
    assert len(parts) == 10
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


@pytest.mark.parametrize("block", [1 << 18, 3_000])
@pytest.mark.parametrize("rate", [48_000, 44_100, 11_025])
def test_peaks_are_the_largest_sample_of_each_fiftieth_of_a_second(tmp_path, monkeypatch, rate, block):
    monkeypatch.setattr(voices, "BLOCK_SAMPLES", block)
    rng = np.random.default_rng(0)
    samples = rng.uniform(-1, 1, rate) * np.linspace(0, 1, rate)
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    found = voices.peaks(tmp_path / "a.wav", 1.5)
    edges = np.arange(51) * rate // 50
    need = [
        round(255 * np.sqrt(np.abs(samples[a:b].astype(np.float32)).max())) for a, b in zip(edges, edges[1:])
    ]
    assert found == need + [0] * 25
    assert voices.peaks(tmp_path / "a.wav", 0.5) == need[:25]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_voice_that_is_no_number_is_refused(tmp_path, value):
    samples = np.zeros(RATE)
    samples[30_000] = value
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    for make in (
        lambda: voices.peaks(tmp_path / "a.wav", 1.0),
        lambda: voices.write_voices([tmp_path / "a.wav", None], 30, tmp_path / "out.flac"),
    ):
        with pytest.raises(InputError, match=r"a\.wav, second 0\.6250.*not finite"):
            make()
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
