import time

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.formats.ltc import LtcFrames, decode_ltc, ltc_clock
from pipeline.formats.timecode import day_frames, day_seconds, exact_rate, parse_timecode
from pipeline.simulate.ltc import encode_ltc, ltc_bits

KINDS = [(23.976, False), (24, False), (25, False), (29.97, False), (29.97, True), (30, False)]
HOUR = 36_000.0123


def noisy(samples, snr_db, seed=0):
    sigma = np.sqrt(np.mean(samples**2)) * 10 ** (-snr_db / 20)
    return samples + np.float32(sigma) * np.random.default_rng(seed).standard_normal(
        len(samples), dtype=np.float32
    )


def clock_errors_ms(samples, rate, start, drift_ppm, day=86_400.0):
    """Errors in ms of the time of the first and of one past the last sample."""
    found, true_rate, _ = ltc_clock(decode_ltc(samples, rate), rate)
    first = (found - start + day / 2) % day - day / 2
    return 1e3 * np.array(
        [first, first + len(samples) / true_rate - len(samples) / (rate * (1 + drift_ppm * 1e-6))]
    )


def truth_of(frames, start, rate, drift_ppm=0.0):
    """Samples at which the decoded frames begin in truth, none of them before sample 0."""
    fps = exact_rate(frames.fps)
    day = day_frames(fps, drop_frame=frames.drop_frame)
    first = int(np.ceil(start * float(fps)))
    return ((first + (frames.numbers - first) % day) / float(fps) - start) * rate * (1 + drift_ppm * 1e-6)


def test_word_by_hand():
    bits = "".join(map(str, ltc_bits(np.array([round(parse_timecode("12:34:56:17", 25) * 25)]), 25)[0]))
    #  frames 7, 1    seconds 6, 5     minutes 4, 3     hours 2, 1       sync; bit 59 makes the number of
    # zeros even
    hand = (
        "1110000010000000" + "0110000010100000" + "0010000011000000" + "0100000010000000" + "0011111111111101"
    )
    assert bits[:59] == hand[:59] and bits[60:] == hand[60:] and bits.count("0") % 2 == 0
    drop = ltc_bits(np.array([1800]), 29.97, drop_frame=True)[0]
    assert drop[10] == 1 and drop[:4].tolist() == [0, 1, 0, 0] and drop[32] == 1, (
        "00:01:00;02 comes after 00:00:59;29"
    )


@pytest.mark.parametrize(("fps", "drop"), KINDS)
@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_clock_with_drift_over_midnight(fps, drop, rate):
    day = day_seconds(fps, drop_frame=drop)
    drift = {44_100: 100.0, 48_000: -100.0, 96_000: 37.3}[rate]
    start = day - 3.0071
    samples = noisy(encode_ltc(start, fps, 10 * rate, rate, drop_frame=drop, drift_ppm=drift), 20)
    frames = decode_ltc(samples, rate)
    assert frames.fps == float(exact_rate(fps)) and frames.drop_frame == drop
    assert len(frames.numbers) >= int(10 * fps) - 2 and {0, day_frames(fps, drop_frame=drop) - 1} <= set(
        frames.numbers.tolist()
    )
    assert np.abs(frames.positions - truth_of(frames, start, rate, drift)).max() < 5e-6 * rate
    assert np.abs(clock_errors_ms(samples, rate, start, drift, day)).max() < 0.001


def test_a_minute_takes_well_under_a_second():
    rate, drift = 48_000, 42.0
    samples = noisy(
        encode_ltc(HOUR, 29.97, 60 * rate, rate, drop_frame=True, drift_ppm=drift, user_bits=0x20231119), 20
    )
    begin = time.process_time()
    frames = decode_ltc(samples, rate)
    assert time.process_time() - begin < 1.5
    assert len(frames.numbers) >= 1797 and (np.diff(frames.numbers) == 1).all()
    assert np.abs(clock_errors_ms(samples, rate, HOUR, drift)).max() < 1e-3
    assert ltc_clock(frames, rate)[1] == pytest.approx(rate * (1 + drift * 1e-6), rel=1e-7)


def distortions():
    rng = np.random.default_rng(3)
    time = np.arange(8 * 48_000) / 48_000
    ramp = np.linspace(1, 0.01, len(time))
    kernel = np.hanning(11) / np.hanning(11).sum()
    yield "inverted", lambda x: -x
    yield "quiet", lambda x: 1e-4 * x
    yield "16 bit", lambda x: np.round(x * 32_767).astype(np.int16)
    yield "offset", lambda x: x + 0.8
    yield "drifting offset", lambda x: x + 0.5 * np.sin(2 * np.pi * 0.3 * time)
    yield "level", lambda x: x * ramp
    yield "tremolo", lambda x: x * (1 + 0.7 * np.sin(2 * np.pi * 2 * time))
    yield "hum", lambda x: x + 0.1 * np.sin(2 * np.pi * 50 * time)
    yield "noise", lambda x: x + 0.1 * rng.standard_normal(len(x))
    yield "dull", lambda x: np.convolve(x, kernel, "same")
    yield "clipped", lambda x: np.clip(3 * x, -0.6, 0.6)
    yield "high-pass", lambda x: x - np.convolve(x, np.full(2401, 1 / 2401), "same")


@pytest.mark.parametrize(
    ("name", "distort"), distortions(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_distorted_signals(name, distort):
    rate = 48_000
    samples = distort(encode_ltc(HOUR, 25, 8 * rate, rate, drift_ppm=20, user_bits=0xDEADBEEF))
    frames = decode_ltc(samples, rate)
    assert len(frames.numbers) >= 196 and frames.fps == 25
    assert np.abs(clock_errors_ms(samples, rate, HOUR, 20)).max() < 0.01


@pytest.mark.parametrize("speed", [0.98, 1.02])
@pytest.mark.parametrize("fps", [24, 25, 30])
def test_varied_speed(speed, fps):
    rate = 48_000
    samples = encode_ltc(HOUR, fps, 4 * rate, rate / speed)
    frames = decode_ltc(samples, rate)
    assert len(frames.numbers) >= 4 * fps * speed - 3 and frames.fps == fps
    start, true_rate, residual = ltc_clock(frames, rate)
    assert (
        start == pytest.approx(HOUR, abs=1e-5)
        and true_rate == pytest.approx(rate / speed, rel=1e-6)
        and residual < 1e-5
    )


def test_known_rate_settles_what_speed_leaves_open():
    samples = encode_ltc(HOUR, 29.97, 4 * 48_000, 48_000 * 1.01)
    assert decode_ltc(samples, 48_000).fps == 30
    frames = decode_ltc(samples, 48_000, fps=29.97)
    assert ltc_clock(frames, 48_000)[:2] == (pytest.approx(HOUR, abs=1e-5), pytest.approx(48_480, rel=1e-6))
    with pytest.raises(InputError, match="LTC at 60 fps: need one of 23.976, 24, 25, 29.97, 30"):
        decode_ltc(samples, 48_000, fps=60)
    with pytest.raises(InputError, match="labels are drop-frame"):
        decode_ltc(encode_ltc(HOUR, 29.97, 48_000, 48_000, drop_frame=True), 48_000, fps=25)


def test_damaged_frames_are_left_out_and_none_is_invented():
    rate = 48_000
    clean = encode_ltc(HOUR, 30, 20 * rate, rate)
    rng = np.random.default_rng(7)
    samples, hurt = clean.copy(), np.zeros(len(clean), bool)
    for at in rng.integers(0, len(clean) - 9600, 40):
        length = int(rng.integers(30, 9600))
        samples[at : at + length] = 0.3 * rng.standard_normal(length) if length % 2 else 0
        hurt[at : at + length] = True
    samples[5 * rate : 5 * rate + 100] = np.nan
    hurt[5 * rate - 480 : 5 * rate + 580] = True
    frames = decode_ltc(samples, rate)
    assert np.abs(frames.positions - truth_of(frames, HOUR, rate)).max() < 0.5
    starts = truth_of(decode_ltc(clean, rate), HOUR, rate)
    whole = [
        s for s in starts if not hurt[max(0, int(s) - 960) : int(s) + 2600].any()
    ]  # 10 ms beyond: levels are measured over them
    found = set(np.round(frames.positions).tolist())
    missing = [s for s in whole if not {np.floor(s), np.ceil(s)} & found]
    assert len(missing) <= 0.02 * len(whole) and len(frames.numbers) < len(starts)
    assert np.abs(clock_errors_ms(samples, rate, HOUR, 0)).max() < 0.01


@pytest.mark.parametrize("snr_db", [10, 8, 6, 5])
def test_strong_noise_loses_frames_and_keeps_the_clock(snr_db):
    rate = 48_000
    samples = noisy(encode_ltc(HOUR, 25, 8 * rate, rate), snr_db)
    frames = decode_ltc(samples, rate)
    if len(frames.numbers) >= 2:
        assert frames.fps == 25 and np.abs(frames.positions - truth_of(frames, HOUR, rate)).max() < 1
        assert np.abs(clock_errors_ms(samples, rate, HOUR, 0)).max() < 0.1
    assert len(frames.numbers) >= 198 or snr_db < 10


def test_a_wrong_number_among_right_ones_is_left_out():
    rate = 48_000
    samples = encode_ltc(HOUR, 25, 4 * rate, rate)
    other = encode_ltc(HOUR + 3600, 25, 4 * rate, rate)
    frames = decode_ltc(samples, rate)
    low, high = (round(frames.positions[i]) - 20 for i in (40, 41))
    samples[low:high] = other[low:high] * np.sign(samples[low] * other[low])
    assert set(frames.numbers) - set(decode_ltc(samples, rate).numbers) and set(
        decode_ltc(samples, rate).numbers
    ) <= set(frames.numbers)


@pytest.mark.parametrize("size", [997, 48_000, 123_457])
def test_blocks_do_not_change_the_result(size):
    rate = 48_000
    samples = noisy(encode_ltc(HOUR, 29.97, 11 * rate + 311, rate, drop_frame=True), 25)
    whole = decode_ltc(samples, rate)
    parts = decode_ltc((samples[i : i + size] for i in range(0, len(samples), size)), rate)
    assert np.array_equal(whole.numbers, parts.numbers) and np.array_equal(whole.positions, parts.positions)
    assert len(whole.numbers) >= 328 and (whole.fps, whole.drop_frame) == (parts.fps, parts.drop_frame)


def no_timecode():
    rate, rng = 48_000, np.random.default_rng(5)
    time = np.arange(10 * rate) / rate
    noise = rng.standard_normal(len(time))
    syllables = np.maximum(0, np.sin(2 * np.pi * 4 * time)) ** 2
    voiced = np.sign(np.sin(2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * time)) / rate))
    yield "silence", np.zeros(10 * rate)
    yield "constant", np.full(10 * rate, 0.4)
    yield "noise", noise
    yield "speech-like", syllables * (np.convolve(noise, np.hanning(24), "same") / 4 + voiced)
    yield "chords", sum(np.sin(2 * np.pi * f * time) for f in (220, 277.2, 329.6, 1200, 2400))
    yield "square at the bits' rate", np.sign(np.sin(2 * np.pi * 2400 * time))
    yield "sweep", np.sign(np.sin(2 * np.pi * (500 * time + 150 * time**2)))
    yield "random telegraph", np.repeat(rng.choice([-1.0, 1.0], len(time) // 10 + 1), 10)[: len(time)]
    yield "short", np.ones(3)
    yield "empty", np.zeros(0)


@pytest.mark.parametrize(
    ("name", "samples"), no_timecode(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_other_sounds_have_no_frames(name, samples):
    frames = decode_ltc(samples, 48_000)
    assert len(frames.numbers) == len(frames.positions) == 0 and frames.fps == 0
    with pytest.raises(InputError, match="0 frames found, need at least 2"):
        ltc_clock(frames, 48_000)


def test_speech_of_the_real_recordings_has_no_frames(real_data):
    import soundfile

    for path in sorted(real_data.rglob("*.wav"))[:3]:
        samples, rate = soundfile.read(path, frames=30 * 48_000, always_2d=True)
        if rate >= 22_050:
            assert len(decode_ltc(samples[:, 0], rate).numbers) == 0, path


def test_jumps_are_refused_by_the_clock_and_short_ones_at_an_end_are_not():
    rate = 48_000
    one, two = encode_ltc(HOUR, 25, 4 * rate, rate), encode_ltc(HOUR + 60.5, 25, 4 * rate, rate)
    frames = decode_ltc(np.concatenate([one, two]), rate)
    assert len(frames.numbers) > 190
    with pytest.raises(
        InputError, match=r"timecode jumps from 10:00:0\d:\d\d to 10:01:0\d:\d\d at [34]\.\d\d s"
    ):
        ltc_clock(frames, rate)
    small = decode_ltc(np.concatenate([one, encode_ltc(HOUR + 4.2, 25, 4 * rate, rate)]), rate)
    with pytest.raises(InputError, match="timecode jumps"):
        ltc_clock(small, rate)
    start = ltc_clock(decode_ltc(np.concatenate([one[: rate // 4], two]), rate), rate)[0]
    assert start == pytest.approx(HOUR + 60.25, abs=1e-5)


def test_clock_of_exact_frames():
    numbers = np.concatenate([np.arange(100, 200), np.arange(250, 400)])
    frames = LtcFrames(numbers, 1000 + (numbers - 100) * 1920.0 * (1 + 1e-5), 25.0, False)
    start, rate, residual = ltc_clock(frames, 48_000)
    assert (
        start == pytest.approx(4 - 1000 / 48_000 / (1 + 1e-5), abs=1e-9)
        and rate == pytest.approx(48_000.48, abs=1e-6)
        and residual < 1e-9
    )


def test_bad_input():
    with pytest.raises(InputError, match="need at least 22050 Hz"):
        decode_ltc(np.zeros(100), 8000)
    with pytest.raises(InputError, match=r"shape \(100, 2\), need one channel"):
        decode_ltc(np.zeros((100, 2)), 48_000)
