import soundfile
from helpers.words import RATE, texts, tone, word

from pipeline.annotate.own_speech import own_words, speech_activity


def test_words_belong_to_the_louder_file():
    own, other = tone((0, 1, 0.1), (1, 2, 0.01), (2, 3, 0.1)), tone((0, 1, 0.01), (1, 2, 0.1), (2, 3, 0.13))
    words = [
        word("mine", 0.2, 0.8),
        word("leak", 1.2, 1.8),
        word("both", 2.2, 2.8),
        word("silence", 3.2, 3.8),
        word("beyond", 5, 6),
    ]
    assert texts(own_words(words, own, other, min_level_db=-4.5)) == ["mine", "both"]
    assert texts(own_words(words, own, other, min_level_db=0)) == ["mine"]
    assert texts(own_words(words, own, None, min_level_db=0)) == ["mine", "leak", "both"]
    assert texts(own_words(words, own, other[: RATE // 2], min_level_db=0)) == ["mine", "leak", "both"]


def test_activity_is_the_owners_speech(talk):
    own, other = (soundfile.read(path)[0] for path in talk)
    activity = speech_activity(own, other, min_level_db=-4.5)
    assert activity[80:350].mean() > 0.8 and activity[450:].mean() < 0.05, "the partner speaks from 5 s on"
    assert speech_activity(own, None, min_level_db=0)[520:780].mean() > 0.5, "alone, the leak is speech too"
    assert len(speech_activity(own[:100], None, min_level_db=0)) == 0
