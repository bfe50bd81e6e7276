import numpy as np
import pytest
from helpers.words import RATE, aligned, tone, word

from pipeline.annotate.own_speech import speech_activity, spoken_share
from pipeline.annotate.transcripts import as_record
from pipeline.annotate.word_times import align_words, clip_ends, snap_starts, squeezed, trim, utterances


def test_trim_takes_silence_off():
    audio = tone((0, 4, 1e-4), (1.0, 1.5, 0.1))
    found = trim([word("a", 0.2, 1.9), word("b", 1.1, 1.4), word("c", 2.0, 2.01)], audio)
    assert [(w["start"], w["end"]) for w in found] == [(1.0, 1.5), (1.1, 1.4), (2.0, 2.01)]


def test_utterances_end_at_pauses_and_are_bounded():
    words = [word("a", 0, 1), word("b", 1.3, 2), word("c", 2.5, 3)]
    assert utterances(words) == [range(0, 2), range(2, 3)]
    assert max(len(part) for part in utterances([word("x", i, i + 1) for i in range(40)])) == 12
    assert utterances([]) == []


def test_starts_wait_for_sound_and_ends_for_silence():
    audio = tone((0, 4, 1e-4), (1.0, 1.5, 0.1))
    found = snap_starts([aligned(0.9, 1.2, 1.9)], audio)
    assert (
        found[0]["start"] == pytest.approx(1.0, abs=0.011) and found[0]["phonemes"][0][1] == found[0]["start"]
    )
    assert snap_starts([aligned(0.5, 0.6, 1.9)], audio)[0]["start"] == 0.5, "never past the first phoneme"
    assert snap_starts([aligned(0.7, 0.8, 0.89), aligned(0.9, 1.2, 1.9)], audio)[1]["start"] == 0.9, (
        "not within an utterance"
    )
    activity = np.zeros(400, bool)
    activity[100:150] = True
    assert clip_ends([aligned(1.0, 1.2, 1.9)], activity)[0]["end"] == pytest.approx(1.5)
    assert clip_ends([aligned(1.0, 1.9), aligned(1.95, 2.5)], activity)[0]["end"] == 1.9
    assert (
        spoken_share(word("w", 1.4, 1.6), activity) == pytest.approx(0.5, abs=0.06)
        and spoken_share(word("w", 9, 10), activity) == 0
    )


@pytest.mark.parametrize("extra", [0, 1, 79, 80, 159])
def test_a_file_may_end_within_a_word_and_within_10_ms(extra):
    """Every step on words and samples takes a file of any length.

    And words that reach to its end or beyond it.
    """
    audio = tone((0, 4, 1e-4), (1.0, 3.0, 0.1), seconds=3.0)[: 2 * RATE + 160 * 7 + extra]
    seconds = len(audio) / RATE
    for end in (seconds - 0.001, seconds, seconds + 0.009, seconds + 0.5):
        words = [aligned(0.9, 1.2, 1.9), aligned(2.05, 2.06, end), aligned(seconds + 0.005, seconds + 0.2)]
        activity = speech_activity(audio, audio[:-200], min_level_db=6.0)
        found = clip_ends(snap_starts(trim(words, audio), audio), activity)
        for entry in as_record(found, seconds)["words"]:
            assert 0 <= entry["start"] < entry["end"] <= round(seconds, 3)
        assert [spoken_share(word, activity) for word in words][2] == 0


def test_squeezed_words_are_not_there():
    assert squeezed(aligned(0, 0.03, 0.06, 0.1)) and not squeezed(aligned(0, 0.1, 0.2, 0.3))
    assert not squeezed(aligned(0, 0.03, 0.06)) and squeezed(aligned(0, 0.03, 0.06, score=-200.0))
    assert not squeezed(word("w", 0, 0.02))


def test_what_cannot_be_aligned_keeps_its_times():
    words = [word(t, 1.0 + 0.01 * i, 1.005 + 0.01 * i) for i, t in enumerate(["elephants"] * 40)]
    found, failed = align_words(words, tone((0, 4, 0.1)))
    assert (
        failed == 1
        and [w["start"] for w in found] == [w["start"] for w in words]
        and not any("phonemes" in w for w in found)
    )
