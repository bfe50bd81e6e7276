import json
from types import SimpleNamespace

import pytest
from helpers.tiny_shoot import make_shoot

from pipeline.formats import streams
from pipeline.planning.study import Study


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"audio": {"001": {"ltc": "ltc.wav"}, "002": {"ltc": "ltc.wav"}}}, ["ltc.wav"]),
        ({"audio": {"001": {"ltc": "ltc.wav"}, "002": {"ltc": "b.wav"}}}, ["b.wav", "ltc.wav"]),
        ({"audio": {"001": {"ltc": 2}, "002": {"ltc": "gone.wav"}}}, []),
        ({"audio": {"001": {"ltc": "../ltc.wav"}, "002": {"ltc": ""}}}, []),
        ({"audio": {"001": "ltc.wav"}}, []),
        ({"audio": ["ltc.wav"], "body": 3}, []),
        ([1], []),
        (None, []),
    ],
)
def test_files_of_ltc_are_those_that_timecode_json_names(tmp_path, content, found):
    for name in ("ltc.wav", "b.wav"):
        (tmp_path / name).touch()
    if content is not None:
        (tmp_path / "timecode.json").write_text(json.dumps(content))
    assert [path.name for path in streams.named_ltc(tmp_path / "timecode.json")] == found


def test_ltc_beside_a_voice_is_an_input_of_sync(tmp_path, monkeypatch):
    """Replaced, it places the voice anew."""
    monkeypatch.chdir(tmp_path)
    make_shoot(tmp_path / "shoot", seconds=1.0, num_takes=1)
    take = tmp_path / "shoot" / "20260101_001"
    study, wildcards = Study({"shoot": "shoot", "root": "out"}), SimpleNamespace(take=take.name)
    assert study.ltc(wildcards) == []
    value = json.loads((take / "timecode.json").read_text())
    (take / "timecode.json").write_text(json.dumps(value | {"audio": {"001": {"ltc": "ltc.wav"}}}))
    (take / "ltc.wav").write_bytes(b"timecode")
    assert study.ltc(wildcards) == ["shoot/20260101_001/ltc.wav"]
    before = study.reads(wildcards, input=study.ltc(wildcards))
    (take / "ltc.wav").write_bytes(b"another timecode")
    again = Study({"shoot": "shoot", "root": "out"})
    assert again.reads(wildcards, input=again.ltc(wildcards)) != before
