import json

import pytest
from helpers.commands import refused

from pipeline.annotate import dialogue
from pipeline.annotate.dialogue import as_text, merge
from pipeline.files import write_json
from pipeline.reading import read_json


def words(*spans):
    return [{"word": text, "start": start, "end": end, "confidence": 0.9} for text, start, end in spans]


ONE = words(("Hello", 0.2, 0.5), ("there.", 0.6, 1.0), ("Well?", 3.0, 3.5))
TWO = words(("Hi!", 0.9, 1.2), ("Yes.", 4.0, 4.4))


def test_turns_alternate_and_overlap_is_marked():
    turns = merge([ONE, TWO], ["001", "002"], max_pause_seconds=0.7)
    assert [(t["actor"], t["text"], t["start"], t["end"]) for t in turns] == [
        ("001", "Hello there.", 0.2, 1.0),
        ("002", "Hi!", 0.9, 1.2),
        ("001", "Well?", 3.0, 3.5),
        ("002", "Yes.", 4.0, 4.4),
    ]
    assert [t["overlap"] for t in turns] == [[[0.9, 1.0]], [[0.9, 1.0]], [], []]
    assert [w["word"] for t in turns for w in t["words"]] == ["Hello", "there.", "Hi!", "Well?", "Yes."]


def test_a_longer_pause_joins_turns():
    assert len(merge([ONE, TWO], ["001", "002"], max_pause_seconds=5.0)) == 2
    assert merge([[], []], ["001", "002"], max_pause_seconds=0.7) == []


def test_readable_text_has_a_line_for_each_turn():
    assert as_text(merge([ONE, TWO], ["001", "002"], max_pause_seconds=0.7)).splitlines()[:2] == [
        "00:00.20 001* Hello there.",
        "00:00.90 002* Hi!",
    ]


def test_dialogue_of_two_transcripts_is_written_and_strangers_are_refused(tmp_path, capsys):
    names = ["20260101_001_003", "20260101_002_003", "20260101_002_004"]
    for name, spoken in zip(names, (ONE, TWO, TWO), strict=True):
        write_json(tmp_path / f"{name}.json", {"words": spoken, "phonemes": []})
    paths = [str(tmp_path / f"{name}.json") for name in names]
    out = tmp_path / "out" / "20260101_003.json"
    dialogue.main(["--transcripts", *paths[:2], "--out", str(out), "--text", str(tmp_path / "a.txt")])
    found = json.loads(out.read_text())
    assert found["take"] == "20260101_003" and found["actors"] == ["001", "002"] and len(found["turns"]) == 4
    assert len((tmp_path / "a.txt").read_text().splitlines()) == 4
    for pair in ([paths[0], paths[2]], [paths[1], paths[1]]):
        with pytest.raises(SystemExit) as stop:
            dialogue.main(["--transcripts", *pair, "--out", str(tmp_path / "no.json")])
        assert (
            stop.value.code == 2 and "need those of both performances of one take" in capsys.readouterr().err
        )
    assert not (tmp_path / "no.json").exists()


def test_files_alone_are_one_talk_whatever_they_are_called(tmp_path, capsys):
    words = [{"word": "hello", "start": 0.1, "end": 0.5, "confidence": 0.9}]
    for name in ("A", "guest", "20260101_001_001", "20260101_002_002"):
        write_json(tmp_path / f"{name}.json", {"words": words, "phonemes": []})

    def call(*names):
        return ["--transcripts", *(tmp_path / f"{name}.json" for name in names), "--out", tmp_path / "d.json"]

    dialogue.main([str(argument) for argument in call("A", "guest")])
    about = read_json(tmp_path / "d.json")
    assert (
        about["actors"] == ["A", "guest"]
        and about["take"] == "A-guest"
        and {turn["actor"] for turn in about["turns"]} == {"A", "guest"}
    )
    for names in (("A", "A"), ("20260101_001_001", "20260101_002_002")):
        refused(dialogue.main, call(*names), capsys, "need those of both performances of one take")
    for names in (("20260101_001_001", "A"), ("guest", "20260101_002_002")):
        dialogue.main([str(argument) for argument in call(*names)])
        assert read_json(tmp_path / "d.json")["actors"] == list(names) and read_json(tmp_path / "d.json")[
            "take"
        ] == "-".join(names)
