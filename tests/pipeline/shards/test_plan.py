import json

from pipeline.files import write_tsv
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.shards import plan


def test_plan_is_frozen():
    first = plan.plan(["c", "a", "b", "d", "e"], [], 2)
    assert first == [["a", "b"], ["c", "d"], ["e"]]
    assert plan.plan(["0", "a", "b", "c", "d", "e", "f"], first, 2) == [*first, ["0", "f"]]
    assert plan.plan(["a", "e"], first, 2) == [["a"], [], ["e"]]
    assert plan.extend(["a", "e"], first, 2) == first
    assert plan.plan(["a"], first, 3) == [["a"], [], []]


def test_command_line_plan(tmp_path, capsys):
    out = tmp_path / "plan.json"
    a, b, c, early = "20260102_a", "20260102_b", "20260102_c", "20260101_0"
    plan.main(["--takes", b, a, c, "--takes-per-shard", "2", "--out", str(out)])
    plan.main(["--takes", early, a, "--takes-per-shard", "2", "--out", str(out)])
    assert json.loads(out.read_text()) == [[a, b], [c], [early]]
    rows = [
        dict.fromkeys(TAKE_COLUMNS, "")
        | {
            "take": f"20260101_{s}",
            "date": "20260101",
            "scenario": s,
            "actor_a": "1",
            "actor_b": "2",
        }
        for s in "21"
    ]
    write_tsv(tmp_path / "takes.tsv", TAKE_COLUMNS, rows)
    plan.main(["--table", str(tmp_path / "takes.tsv"), "--out", str(out)])
    assert json.loads(out.read_text())[-1] == ["20260101_1", "20260101_2"]
