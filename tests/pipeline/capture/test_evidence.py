import numpy as np
import pytest
from helpers.talks import late, talk

from pipeline.capture import evidence
from pipeline.errors import InputError
from pipeline.formats.arkit import NAMES
from pipeline.simulate.speech import RATE

HALF_FRAME = 1 / 60
SEEDS = (3, 4)
"""Not the seeds from which the coefficients were learned."""


def agreement(weights, voice, *, max_lag_seconds=2.0, rate=RATE) -> evidence.Match:
    heard, fps = evidence.voice_movements(voice, rate)
    return evidence.agreement(
        evidence.mouth_movements(weights), heard, mouth_fps=30, voice_fps=fps, max_lag_seconds=max_lag_seconds
    )


def with_crosstalk(voices, db=-14.0):
    return [own + 10 ** (db / 20) * late(other, 0.006) for own, other in (voices, voices[::-1])]


def clap(rng, *, seconds=0.15, decay=0.008):
    t = np.arange(round(seconds * RATE)) / RATE
    return rng.standard_normal(len(t)) * np.exp(-t / decay)


def weights_of(**shapes) -> np.ndarray:
    result = np.zeros((1, len(NAMES)))
    for name, value in shapes.items():
        result[0, NAMES.index(name)] = value
    return result


def test_opening_is_jaw_less_closed_lips():
    assert evidence.mouth_opening(weights_of(jawOpen=0.5, mouthClose=0.2)) == pytest.approx([0.3])
    assert evidence.mouth_opening(weights_of(eyeBlinkLeft=1.0, mouthPucker=1.0)) == pytest.approx([0.0])


@pytest.mark.parametrize(
    "shapes, column, value",
    [
        ({"mouthPucker": 0.4, "mouthFunnel": 0.1}, 1, 0.5),
        ({"mouthLowerDownLeft": 0.4, "mouthUpperUpLeft": 0.2, "mouthUpperUpRight": 0.2}, 2, 0.4),
        ({"mouthStretchLeft": 0.2, "mouthStretchRight": 0.2, "mouthSmileLeft": 0.4}, 3, 0.3),
    ],
)
def test_movements(shapes, column, value):
    found = evidence.mouth_movements(weights_of(**shapes))[0]
    assert found[column] == pytest.approx(value) and np.delete(found, column) == pytest.approx(0)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_levels_stand_where_the_sound_is_and_do_not_depend_on_gain(rate):
    time = np.arange(2 * rate) / rate
    tone = np.sin(2 * np.pi * 900 * time) * ((time > 0.7) & (time < 1.1))
    levels, fps = evidence.band_levels(tone, rate)
    assert levels.shape == (200, 8) and fps == 100
    loud = np.flatnonzero(levels[:, 2] > np.log(0.25))
    assert loud[0] == pytest.approx(70, abs=1) and loud[-1] == pytest.approx(110, abs=1)
    np.testing.assert_allclose(evidence.band_levels(0.01 * tone, rate)[0], levels, atol=1e-3)


def test_a_rate_without_the_upper_bands_is_refused():
    with pytest.raises(InputError, match="got 8000 samples per second, need 13000"):
        evidence.band_levels(np.zeros(8000), 8000)


@pytest.mark.parametrize("lag", [-0.407, -0.05, 0.0, 0.0333, 0.5, 1.23])
def test_a_plain_match_finds_a_known_lag_below_the_frame(lag):
    rng, time = np.random.default_rng(0), np.arange(0, 30, 0.01)
    waves = [(rng.uniform(1, 6), rng.uniform(0, 6)) for _ in range(60)]
    mouth = sum(np.sin(2 * np.pi * f * time[::4] + p) for f, p in waves)
    voice = sum(np.sin(2 * np.pi * f * (time - lag) + p) for f, p in waves) + rng.normal(0, 5, len(time))
    found = evidence.match(mouth, voice, mouth_fps=25, voice_fps=100, max_lag_seconds=2)
    assert found.confident and found.lag_seconds == pytest.approx(lag, abs=0.004)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("lag", [-0.3, 0.0, 0.1])
def test_related_mouths_and_voices_are_right_under_crosstalk(seed, lag):
    faces, voices = talk(seed, 40.0)
    for weights, voice in zip(faces, with_crosstalk(voices), strict=True):
        found = agreement(weights, late(voice, lag))
        assert found.confident and found.lag_seconds == pytest.approx(lag, abs=HALF_FRAME)


def test_the_envelope_alone_tells_too():
    faces, voices = talk(3, 40.0)
    envelope, fps = evidence.voice_envelope(voices[0], RATE)
    found = evidence.match(
        evidence.mouth_opening(faces[0]), envelope, mouth_fps=30, voice_fps=fps, max_lag_seconds=1
    )
    assert found.confident and abs(found.lag_seconds) < 0.05


def test_unrelated_mouths_and_voices_abstain():
    mine, theirs = talk(3, 40.0), talk(4, 40.0)
    for weights in mine[0]:
        for voice in theirs[1]:
            assert not agreement(weights, voice).confident
            assert not agreement(weights, voice, max_lag_seconds=30).confident


def test_nothing_to_compare_abstains():
    faces, voices = talk(3, 40.0)
    noise = np.random.default_rng(0).normal(0, 0.1, len(voices[0]))
    silent = agreement(faces[0], 0 * voices[0])
    assert not silent.confident and np.isnan(silent.lag_seconds)
    for weights, voice in (
        (0 * faces[0] + 0.3, voices[0]),
        (faces[0], noise),
        (faces[0][:60], voices[0][: 2 * RATE]),
        (faces[0][:0], voices[0]),
    ):
        assert not agreement(weights, voice).confident


def test_a_lag_beyond_the_searched_ones_is_not_taken_for_one_within():
    faces, voices = talk(3, 40.0)
    assert not agreement(faces[0], late(voices[0], 5.0), max_lag_seconds=1.0).confident


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("cut", [0, 7.4, 14.1])
def test_a_face_without_timecode_finds_its_place(seed, cut):
    faces, voices = talk(seed, 40.0)
    heard, fps = evidence.voice_movements(voices[1], RATE)
    frames = round(cut * 30)
    found = evidence.offset_without_timecode(
        evidence.mouth_movements(faces[1][frames : frames + 720]), heard, mouth_fps=30, voice_fps=fps
    )
    assert found.confident and found.lag_seconds == pytest.approx(frames / 30, abs=HALF_FRAME)


@pytest.mark.parametrize("exchanged", [False, True])
def test_swapped_microphones(exchanged):
    faces, voices = talk(3, 40.0)
    mics = with_crosstalk(voices)[:: -1 if exchanged else 1]
    assert (
        evidence.swapped_microphones([[agreement(weights, mic) for mic in mics] for weights in faces])
        is exchanged
    )


def _match(correlation, confidence):
    return evidence.Match(0.0, correlation, 9.0, 0.2, confidence)


@pytest.mark.parametrize(
    "rows, told",
    [
        ([[(0.1, 0.1), (0.1, 0.1)], [(0.1, 0.1), (0.1, 0.1)]], None),
        ([[(0.1, 0.1), (0.5, 0.9)], [(0.1, 0.1), (0.1, 0.1)]], True),
        ([[(0.5, 0.9), (0.1, 0.1)], [(0.5, 0.9), (0.1, 0.1)]], None),
        ([[(0.5, 0.9), (0.45, 0.8)], [(0.45, 0.8), (0.5, 0.9)]], None),
    ],
)
def test_weak_or_contradicting_rows_tell_nothing(rows, told):
    assert evidence.swapped_microphones([[_match(*cell) for cell in row] for row in rows]) is told


def test_claps_are_found_to_a_millisecond():
    rng, times = np.random.default_rng(0), [1.0, 2.51234, 7.9]
    x = 1e-3 * rng.standard_normal(10 * RATE)
    for time in times:
        sound = 0.4 * clap(rng)
        x[round(time * RATE) : round(time * RATE) + len(sound)] += sound
    np.testing.assert_allclose(evidence.find_claps(x, RATE), times, atol=1e-3)


def test_speech_silence_and_noise_hold_no_claps():
    for seed in SEEDS:
        for voice in talk(seed, 40.0)[1]:
            assert len(evidence.find_claps(voice, RATE)) == 0
    assert len(evidence.find_claps(np.zeros(RATE), RATE)) == 0
    assert len(evidence.find_claps(np.random.default_rng(0).normal(0, 0.1, 3 * RATE), RATE)) == 0


def test_recorded_speech_holds_no_claps(real_data):
    from scipy.io import wavfile

    for path in sorted((real_data / "speech").glob("*.wav")):
        rate, samples = wavfile.read(path)
        assert len(evidence.find_claps(samples / 2**15, rate)) == 0, path.name


@pytest.mark.parametrize("apart", [-0.0123, 0.0, 0.0029, 0.1])
def test_a_common_clap_gives_the_offset(apart):
    rng, sound = np.random.default_rng(1), clap(np.random.default_rng(2))
    a, b = (1e-3 * rng.standard_normal(6 * RATE) for _ in range(2))
    for time in (1.5, 4.0):
        for x, gain, at in ((a, 0.5, time), (b, 0.2, time + apart)):
            x[round(at * RATE) : round(at * RATE) + len(sound)] += gain * sound
    first, second = (evidence.find_claps(x, RATE) for x in (a, b))
    assert evidence.common_clap(first, second) == pytest.approx(apart, abs=1e-3)
    assert evidence.common_clap(first, evidence.find_claps(0 * b, RATE)) is None
