import numpy as np
import pytest
from helpers.talks import talk

from pipeline.capture import voice_quality
from pipeline.capture.voice_quality import both, conversation, crosstalk, own_speech, seconds, turns, without
from pipeline.motion.clock import AUDIO_RATE


def tone(segments, length=10.0, level=0.1):
    """Audio (S,) at 16 kHz that sounds in segments, over noise at -80 dB."""
    x = 1e-4 * np.random.default_rng(0).standard_normal(int(length * AUDIO_RATE))
    for start, end in segments:
        t = np.arange(round(start * AUDIO_RATE), round(end * AUDIO_RATE))
        x[t] += level * np.sqrt(2) * np.sin(0.1 * t)
    return x.astype(np.float32)


@pytest.mark.parametrize("level_db", [-80, -50, -30])
def test_noise_floor_is_the_noise_between_the_words(level_db):
    rng = np.random.default_rng(1)
    x = 10 ** (level_db / 20) * rng.standard_normal(10 * 48_000)
    x[48_000 : 6 * 48_000] += 0.3 * np.sin(np.arange(5 * 48_000))
    assert abs(voice_quality.noise_floor_db(x.astype(np.float32), 48_000) - level_db) < 0.3


def test_noise_floor_of_silence_and_of_nothing_is_the_lowest():
    assert voice_quality.noise_floor_db(np.zeros(48_000, np.float32), 48_000) == voice_quality.LOWEST_DB
    assert voice_quality.noise_floor_db(np.zeros(10, np.float32), 48_000) == voice_quality.LOWEST_DB


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        ([0, 1, 1, 1, 0], [0, 1, 1, 1, 0]),
        ([0, 1, 1, 0, 1], [0, 0, 0, 0, 0]),
        ([-1, -1, -1, 0.5], [1, 1, 1, 0]),
        ([1, 1, -1, -1, 1], [0, 0, 0, 0, 0]),
        ([0.99, 0.99, 0.99, 0.99], [0, 0, 0, 0]),
        ([0.2, 1.5, 2.0, 1.7, 1.0], [0, 1, 1, 1, 1]),
        ([], []),
    ],
)
def test_clips_are_runs_of_one_sign_at_full_scale(samples, found):
    assert voice_quality.clipped(np.array(samples, np.float32)).tolist() == [bool(x) for x in found]


def test_segments_are_a_little_algebra():
    a, b = [(0.0, 2.0), (3.0, 5.0)], [(1.0, 3.5), (4.0, 4.5), (6.0, 7.0)]
    assert both(a, b) == both(b, a) == [(1.0, 2.0), (3.0, 3.5), (4.0, 4.5)]
    assert without(a, b) == [(0.0, 1.0), (3.5, 4.0), (4.5, 5.0)]
    assert without(b, a) == [(2.0, 3.0), (6.0, 7.0)]
    assert seconds(both(a, b)) + seconds(without(a, b)) == seconds(a) == 4.0
    assert without(a, []) == a and both(a, []) == without([], a) == []


def test_leak_is_no_speech_and_being_spoken_over_is():
    first, second = [(1.0, 3.0), (6.0, 8.0)], [(4.0, 5.0), (7.0, 9.0)]
    leaky = tone(first) + 0.1 * tone(second)
    found = own_speech([(1.0, 5.0), (6.0, 9.0)], leaky, tone(second))
    assert np.allclose(found, [(1.0, 3.9), (6.0, 8.1)], atol=0.06), (
        "4 to 5 and 8 to 9 are the other's, 7 to 8 is both"
    )


def test_who_never_speaks_has_no_speech():
    second = [(4.0, 5.0), (7.0, 9.0)]
    assert own_speech(second, 0.2 * tone(second), tone(second)) == []


def test_speech_of_a_talk_is_found_when_it_is_said():
    import soxr

    _, dry = talk(3, 30.0)
    voices = [soxr.resample(x, 48_000, AUDIO_RATE).astype(np.float32) for x in dry]
    leaky = [voices[k] + 0.15 * voices[1 - k] for k in range(2)]
    clean, found = [voice_quality.detect_speech(x) for x in voices], voice_quality.speech(leaky)
    for k in range(2):
        missed, invented = seconds(without(clean[k], found[k])), seconds(without(found[k], clean[k]))
        assert 8 < seconds(clean[k]) < 16 and missed < 0.6 and invented < 0.6
    assert seconds(without(voice_quality.detect_speech(leaky[0]), clean[0])) > 3, (
        "unmended the other's speech would count"
    )


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ([], [], []),
        ([(1.0, 2.0)], [], [(0, 1.0, None)]),
        ([(0.0, 2.0), (5.0, 6.0)], [(2.5, 4.5)], [(0, 0.0, None), (1, 2.5, 0.5), (0, 5.0, 0.5)]),
        ([(0.0, 2.0)], [(1.8, 4.0)], [(0, 0.0, None), (1, 1.8, pytest.approx(-0.2))]),
        ([(0.0, 2.0), (2.8, 5.0)], [(1.0, 1.4), (2.2, 2.45)], [(0, 0.0, None)]),
        ([(0.0, 1.0), (1.5, 2.5)], [], [(0, 0.0, None)]),
    ],
    ids=["nobody", "one", "in turn", "overlap", "short answers take no floor", "a pause is no turn"],
)
def test_turns_go_to_who_speaks_alone(first, second, found):
    assert turns([first, second]) == found
    assert [(1 - k, start, gap) for k, start, gap in turns([second, first])] == found


def test_a_conversation_is_summed_up():
    found = conversation([[(0.0, 2.0), (5.0, 6.0)], [(1.8, 4.0)]], 8.0)
    assert found["overlap_share"] == pytest.approx(0.2 / 8) and found["silence_share"] == pytest.approx(
        3.0 / 8
    )
    assert (
        found["turns"] == 3
        and found["gap_seconds_median"] == pytest.approx((-0.2 + 1.0) / 2)
        and found["longest_silence_seconds"] == 2.0
    )
    assert conversation([[], []], 4.0) == {
        "overlap_share": 0.0,
        "silence_share": 1.0,
        "turns": 0,
        "gap_seconds_median": None,
        "longest_silence_seconds": 4.0,
    }


@pytest.mark.parametrize("leak_db", [-6, -20, -30])
def test_leak_and_sir_are_those_of_the_mixture(leak_db):
    segments = [[(1.0, 3.0)], [(2.5, 6.0)]]
    mics = [
        tone(segments[k], level=0.1 * (k + 1))
        + 10 ** (leak_db / 20) * tone(segments[1 - k], level=0.1 * (2 - k))
        for k in range(2)
    ]
    for k, louder in ((0, -6.02), (1, 6.02)):
        found = crosstalk(mics, segments, k)
        assert found["leak_db"] == pytest.approx(leak_db, abs=0.1) and found["sir_db"] == pytest.approx(
            louder - leak_db, abs=0.1
        )


def test_a_word_that_was_taken_for_silence_does_not_move_the_leak():
    segments = [[(6.0, 8.0)], [(1.0, 5.0)]]
    mic, other = tone([*segments[0], (2.0, 2.8)]) + 0.03 * tone(segments[1]), tone(segments[1])
    assert crosstalk([mic, other], segments, 0)["leak_db"] == pytest.approx(20 * np.log10(0.03), abs=0.3)


def test_levels_need_moments_in_which_one_speaks_alone():
    talks = [[(1.0, 3.0)], [(1.0, 3.2)]]
    assert crosstalk([tone(s) for s in talks], talks, 0) == {"leak_db": None, "sir_db": None}
    talks = [[], [(1.0, 3.0)]]
    found = crosstalk([tone([]), tone(talks[1])], talks, 0)
    assert found["sir_db"] is None and found["leak_db"] == pytest.approx(-60, abs=1), (
        "the noise, at -80 dB, under a tone of -20"
    )
