import numpy as np
import pytest
from helpers.words import segment, texts, tone, word, write

from pipeline.annotate import recognisers
from pipeline.annotate.recognisers import believed, seems_foreign, tidy
from pipeline.annotate.transcripts import transcribe
from pipeline.config import Transcripts
from pipeline.errors import InputError


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


def test_number_tokens():
    assert recognisers._number_tokens(["a", " 20", "th", "1st"].__getitem__, 4) == [1, 3]


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
