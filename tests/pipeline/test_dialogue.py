import pytest

from pipeline import dialogue
from pipeline.files import read_json, write_json


def word(text, start, end):
    return {"word": text, "start": start, "end": end, "confidence": 0.9}


ONE = [word("Well,", 0.5, 0.8), word("yes.", 0.9, 1.3), word("Then", 4.0, 4.5), word("go.", 4.6, 5.0)]
OTHER = [word("Maybe", 1.2, 1.6), word("not", 1.7, 2.0), word("now.", 4.4, 4.7)]


@pytest.fixture
def transcripts(tmp_path):
    paths = [tmp_path / "20240108_001_003.json", tmp_path / "20240108_002_003.json"]
    for path, words in zip(paths, (ONE, OTHER), strict=True):
        write_json(path, {"words": words})
    return paths


def test_both_actors_words_become_turns(transcripts, tmp_path):
    out, text = tmp_path / "d.json", tmp_path / "d.txt"
    dialogue.main(["--transcripts", *map(str, transcripts), "--out", str(out), "--text", str(text)])
    found = read_json(out)
    assert (found["take"], found["actors"]) == ("20240108_003", ["001", "002"])
    assert [(t["actor"], t["start"], t["end"], t["text"]) for t in found["turns"]] == [
        ("001", 0.5, 1.3, "Well, yes."), ("002", 1.2, 2.0, "Maybe not"), ("001", 4.0, 5.0, "Then go."), ("002", 4.4, 4.7, "now."),
    ]  # fmt: skip
    assert [t["overlap"] for t in found["turns"]] == [[[1.2, 1.3]], [[1.2, 1.3]], [[4.4, 4.7]], [[4.4, 4.5], [4.6, 4.7]]]
    assert found["turns"][0]["words"] == ONE[:2]
    assert text.read_text().splitlines()[2] == "00:04.00 001* Then go."


def test_the_pause_that_ends_a_turn_is_an_option():
    assert len(dialogue.turns_of(ONE, "001", max_pause_seconds=2.6)) == 2 and len(dialogue.turns_of(ONE, "001", max_pause_seconds=2.8)) == 1
    assert dialogue.merge([[], []], ["001", "002"], max_pause_seconds=1.0) == []


def test_transcripts_of_two_takes_are_no_dialogue(transcripts, tmp_path, capsys):
    other = transcripts[1].rename(tmp_path / "20240108_002_004.json")
    with pytest.raises(SystemExit) as stop:
        dialogue.main(["--transcripts", str(transcripts[0]), str(other), "--out", str(tmp_path / "d.json")])
    assert stop.value.code == 2 and "need those of both performances of one take" in capsys.readouterr().err
    assert not (tmp_path / "d.json").exists()
