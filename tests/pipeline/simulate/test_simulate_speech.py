"""Spoken sentences, their phonemes, words and turns."""

import subprocess
import sys

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.simulate import dialogue, speech, visemes
from pipeline.simulate.speech import Phoneme, Utterance


@pytest.fixture(scope="module")
def spoken():
    pytest.importorskip("espeakng_loader", reason="simulated speech needs the extra `demo`")
    return {
        actor: speech.speak(dialogue.sentences()[k::7], actor, 5) for k, actor in enumerate(speech.VOICES)
    }


def test_same_sentences_and_seed_give_the_same_samples(spoken):
    again = speech.speak(dialogue.sentences()[0::7], "001", 5)
    for a, b in zip(spoken["001"], again, strict=True):
        assert np.array_equal(a.samples, b.samples) and a.phonemes == b.phonemes


def test_words_follow_each_other_inside_the_sound(spoken):
    for utterance in [u for utterances in spoken.values() for u in utterances]:
        times = utterance.word_times()
        assert len(times) == len(utterance.words) == len(utterance.text.split())
        starts, ends = np.array(times).T
        assert starts[0] >= 0 and ends[-1] <= utterance.seconds and np.all(starts < ends)
        assert np.all(ends[:-1] <= starts[1:] + 1e-9)
        assert np.isclose(np.sqrt(np.mean(utterance.samples**2)), 0.1)


def test_silence_before_a_stop_is_where_the_phonemes_say(spoken):
    """The sound of a closed mouth is much weaker than that of the open vowels of the same sentence."""
    ratios = []
    for utterance in [u for utterances in spoken.values() for u in utterances]:
        level = {"p": [], "vowel": []}
        for phoneme in utterance.phonemes:
            kind = "p" if phoneme.ipa in "ptk" else "vowel" if phoneme.ipa[0] in "aæɑʌɛeoɔ" else None
            if kind:
                # the closure is the first part of a stop
                end = phoneme.start + (0.4 if kind == "p" else 1.0) * (phoneme.end - phoneme.start)
                part = utterance.samples[int(phoneme.start * speech.RATE) : int(end * speech.RATE)]
                level[kind].append(np.sqrt(np.mean(part**2)))
        if level["p"] and level["vowel"]:
            ratios.append(np.median(level["p"]) / np.median(level["vowel"]))
    assert np.median(ratios) < 0.35


def test_every_phoneme_of_every_sentence_has_a_viseme():
    pytest.importorskip("espeakng_loader", reason="simulated speech needs the extra `demo`")
    for actor in ("001", "005"):
        for utterance in speech.speak(dialogue.sentences(), actor, 0):
            for phoneme in utterance.phonemes:
                assert visemes.phones(phoneme.ipa)
    with pytest.raises(ValueError, match="no viseme class"):
        visemes.phones("q")


def test_merged_words_are_told_apart():
    alone = [[("a", "ɪ")], [("h",), ("æ",), ("v",)], [("b",), ("ɪ",), ("n",)]]
    sounds = [("a", "ɪ"), ("h",), ("ɐ",), ("v",), ("b",), ("ɪ",), ("n",)]
    assert speech.share_words(sounds, alone) == [0, 1, 1, 1, 2, 2, 2]


def test_resample_keeps_a_tone():
    time = np.arange(22_050) / 22_050
    tone = np.sin(2 * np.pi * 440 * time) * np.hanning(22_050)
    wanted = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000) * np.interp(
        np.arange(48_000) / 48_000, time, np.hanning(22_050)
    )
    assert np.abs(speech.resample(tone, 22_050, 48_000)[:48_000] - wanted).max() < 1e-3


@pytest.mark.parametrize("seconds", [6.0, 20.0, 120.0])
def test_turns_fill_the_scene(seconds):
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(20):
        lengths = rng.uniform(1.4, 3.2, (2, 80))
        said = [
            [
                Utterance("x", ["x"], np.zeros(int(s * speech.RATE)), [Phoneme("a", 0, s, 0, True)])
                for s in row
            ]
            for row in lengths
        ]
        turns = dialogue.place(said, 100.0, 100.0 + seconds, rng)
        assert all(
            100 <= turn.start and turn.start + turn.utterance.seconds <= 100 + seconds for turn in turns
        )
        speaking = np.zeros(int(seconds * 100) + 1, bool)
        for turn in turns:
            speaking[
                int((turn.start - 100) * 100) : int((turn.start - 100 + turn.utterance.seconds) * 100)
            ] = True
        for k in range(2):  # nobody talks over the own voice
            own = sorted(
                (turn.start, turn.start + turn.utterance.seconds) for turn in turns if turn.actor == k
            )
            assert all(a[1] < b[0] for a, b in zip(own[:-1], own[1:], strict=True))
        shares.append(speaking.mean())
    assert 0.5 < np.mean(shares) < 0.78 if seconds < 20 else 0.58 < np.mean(shares) < 0.75


def test_missing_package_is_an_input_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(InputError, match="extra `demo`"):
        speech.speak(["Hello."], "001", 0)


def test_unknown_voice_is_an_input_error(monkeypatch):
    pytest.importorskip("espeakng_loader", reason="simulated speech needs the extra `demo`")
    monkeypatch.setitem(speech.VOICES, "009", {"voice": "no-such-voice", "rate": 150, "pitch": 50})
    with pytest.raises(InputError, match="no-such-voice"):
        speech.speak(["Hello."], "009", 0)


def test_speaker_process_needs_only_the_standard_library():
    from pipeline.simulate import espeak

    code = f"import runpy, sys; runpy.run_path({espeak.__file__!r}); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-I", "-c", code]).returncode == 0
