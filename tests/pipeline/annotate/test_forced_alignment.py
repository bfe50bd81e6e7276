import numpy as np
import pytest
import soundfile

from pipeline.annotate import forced_alignment
from pipeline.annotate.forced_alignment import BILABIALS, VOWELS, align, letters_to_sounds, spoken_words

RATE = 16_000


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("20th", "twentieth"),
        ("21st", "twenty first"),
        ("1,250", "one thousand two hundred fifty"),
        ("It\u2019s", "it's"),
        ("caf\u00e9", "cafe"),
        ("etc.", "et cetera"),
        ("well-known", "well known"),
        ("...", ""),
        ("\u266a", ""),
    ],
)
def test_written_words_are_read_aloud(written, spoken):
    assert " ".join(spoken_words(written)) == spoken


def test_letters_sound_by_groups():
    assert letters_to_sounds("whittemore") == "W IH T EH M AO R"
    assert letters_to_sounds("queen") == "K W IY N"


@pytest.fixture
def sentence(real_data):
    return soundfile.read(real_data / "speech" / "axb_a0004.wav")[0]


SAID = ["Lord,", "but", "I'm", "glad", "to", "see", "you", "again,", "Phil."]


def test_words_and_phonemes_of_a_real_sentence_are_in_order(sentence):
    found = align(sentence, SAID)
    assert all(found)
    assert found[0].start == pytest.approx(0.19, abs=0.03), "read off the level of the recording"
    assert all(a.end <= b.start + 0.3 and a.start < b.start for a, b in zip(found, found[1:]))
    for place in found:
        assert (place.start, place.end) == (place.phonemes[0][1], place.phonemes[-1][2])
        assert all(a[2] == b[1] for a, b in zip(place.phonemes, place.phonemes[1:]))
    assert [name for name, _, _ in found[1].phonemes] == ["B", "AH", "T"]
    names = {name for place in found for name, _, _ in place.phonemes}
    assert names & VOWELS and names & BILABIALS and all(name.isalpha() and name.isupper() for name in names)


def test_alignment_moves_with_the_sound_and_does_not_see_its_level(sentence):
    first = align(sentence, SAID)
    later = align(0.1 * np.concatenate([np.zeros(RATE // 2), sentence]), SAID)
    assert np.median([b.start - a.start for a, b in zip(first, later, strict=True)]) == pytest.approx(
        0.5, abs=0.011
    )
    assert align(sentence, SAID) == first, "what was aligned before has no effect"


def test_a_word_that_no_dictionary_has_is_spelled(sentence):
    found = align(sentence, ["Lordzyq", *SAID[1:]])
    assert found[0].phonemes[0][0] == "L" and found[0].phonemes[-1][0] == "K"


def test_what_cannot_be_aligned_stays_out(sentence):
    assert align(sentence[:1600], SAID) == [None] * 9, "nine words do not fit into 0.1 s"
    assert align(np.zeros(RATE), SAID) == [None] * 9
    assert align(np.zeros(0), ["a"]) == [None]
    assert align(sentence, ["..."]) == [None]
    assert align(sentence, ["...", *SAID])[0] is None


def test_simulated_words_and_closures_are_placed_to_the_stated_error():
    pytest.importorskip("espeakng_loader")
    import soxr

    from pipeline.simulate.speech import speak

    starts, closures = [], []
    for spoken in speak(
        ["My mother bought five apples and a small pie.", "Somebody left a big brown bear by the door."],
        "001",
        1,
    ):
        quiet = np.zeros(9600)
        audio = np.concatenate([quiet, spoken.samples, quiet]) + 1e-4 * np.random.default_rng(
            0
        ).standard_normal(len(spoken.samples) + 19_200)
        found = align(soxr.resample(audio, 48_000, RATE), spoken.words)
        starts += [abs(p.start - 0.2 - a) for p, (a, _) in zip(found, spoken.word_times(), strict=True)]
        for phoneme in spoken.phonemes:
            if phoneme.ipa in ("b", "m"):
                closures.append(
                    min(
                        abs(a - 0.2 - phoneme.start)
                        for n, a, _ in found[phoneme.word].phonemes
                        if n in BILABIALS
                    )
                )
    assert np.median(starts) < 0.02 and np.median(closures) < 0.025
    assert forced_alignment.EARLY_SECONDS > 0
