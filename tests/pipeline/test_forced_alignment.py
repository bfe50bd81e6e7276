import numpy as np
import pytest
import soundfile

from pipeline import forced_alignment
from pipeline.forced_alignment import align, letters_to_sounds, spoken_words

RATE = 16_000


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Don’t -- stop!", "don't stop"),
        ("the 20th of May", "the twentieth of may"),
        ("21 men, 1,100 & 3rd", "twenty one men one thousand one hundred and third"),
        ("café 7", "cafe seven"),
        ("... '", ""),
        ("12345678", "one two three four five six seven eight"),
    ],
)
def test_what_is_written_is_spelled_as_it_is_said(written, spoken):
    assert " ".join(spoken_words(written)) == spoken


def test_every_word_gets_sounds_of_the_model():
    pytest.importorskip("pocketsphinx")
    decoder = forced_alignment._decoder()
    known = {sound for word in ("judge", "the", "zoo", "vision", "think", "young", "how", "boy", "her", "up", "away", "good", "chair", "fish", "eat")
             for sound in decoder.lookup_word(word).split()}  # fmt: skip
    assert letters_to_sounds("splee") == "S P L IY" and letters_to_sounds("bonne") == "B AA N"
    for word in ("quixwhythzz", "sternutate", "eigh", "z"):
        assert letters_to_sounds(word).split() and set(letters_to_sounds(word).split()) <= known | {
            "AE",
            "EH",
            "IH",
            "OY",
            "K",
            "W",
            "R",
            "UW",
            "N",
            "S",
        }


@pytest.fixture
def sentence(real_data) -> np.ndarray:
    return soundfile.read(real_data / "speech" / "aew_a0003.wav", dtype="float32")[0]


SAID = "For the twentieth time that evening the two men shook hands".split()


def test_words_and_phonemes_follow_each_other(sentence):
    found = align(sentence, SAID)
    assert all(found)
    for place in found:
        assert place.start == place.phonemes[0][1] and place.end == place.phonemes[-1][2]
        assert all(a < b for _, a, b in place.phonemes)
        assert all(first[2] == second[1] for first, second in zip(place.phonemes, place.phonemes[1:]))
    assert all(a.end <= b.start + 1e-9 for a, b in zip(found, found[1:]))
    assert [name for name, _, _ in found[9].phonemes] == ["SH", "UH", "K"]


def test_times_move_with_the_sound(sentence):
    shifted = align(np.concatenate([np.zeros(RATE // 2, np.float32), sentence]), SAID)
    moves = [b.start - a.start for a, b in zip(align(sentence, SAID), shifted, strict=True)]
    assert np.median(moves) == pytest.approx(0.5, abs=0.011) and np.max(np.abs(np.array(moves) - 0.5)) < 0.06


def test_the_level_does_not_matter(sentence):
    assert align(sentence, SAID) == align(0.01 * sentence, SAID) or [p.start for p in align(sentence, SAID)] == pytest.approx(
        [p.start for p in align(0.01 * sentence, SAID)], abs=0.02
    )


def test_pieces_do_not_depend_on_each_other(sentence):
    first = align(sentence, SAID)
    align(sentence[: RATE * 2], SAID[:5])
    assert align(sentence, SAID) == first


def test_what_cannot_be_aligned_is_left_out(sentence):
    assert align(sentence, ["..."]) == [None]
    assert align(np.zeros(RATE, np.float32), ["hello"]) == [None]
    assert align(sentence[:800], SAID) == [None] * len(SAID)
    found = align(sentence, ["--", *SAID])
    assert found[0] is None and all(found[1:])
