"""Faces beside the paper's: which row is whose counterpart, what holds, and what stands in the files."""

import csv
import re

import pytest

from models import face_table
from models.scores import FACES

RUNS = {
    "mine": ["body_lower", "body_upper", "face"],
    "tuned": ["swap_face"],
    "FaceFormer": ["faceformer"],
    "other": ["my_face"],
}
LVE = {"mine": 2.0, "tuned": 1.0, "FaceFormer": 3.0, "other": 0.5}
FDD = {"mine": -0.2, "tuned": 0.3, "FaceFormer": -0.5, "other": 9.0}


def rows(**changed) -> dict[str, dict]:
    found = {
        name: {score: 0.25 for score in FACES} | {"LVE_cm2": LVE[name], "FDD_cm2": FDD[name], "samples": 2}
        for name in RUNS
    }
    for name, scores in changed.items():
        found[name] |= scores
    return {"real": dict.fromkeys(FACES, 0.0) | {"samples": 1}} | found


def said(found: dict[str, dict], runs: dict[str, list[str]] = RUNS) -> list[str]:
    return [verdict for _, verdict in face_table.claims(found, face_table.counterparts(runs))]


def test_rows_stand_beside_the_methods_whose_runs_sampled_them():
    found = face_table.face_rows(rows(), RUNS, release=False)
    assert [(row["method"], row.get("paper")) for row in found] == [
        ("real", None),
        ("mine", "Ours (Base)"),
        ("tuned", "Ours (Fine-tuned)"),
        ("FaceFormer", "FaceFormer (Blendshape)"),
        ("other", None),
        ("", "FaceFormer (Vertex)"),
    ]
    assert found[1]["LVE_cm2"] == 2 and found[1]["samples"] == 2 and "LVE_cm2" not in found[-1]
    assert {row["comparable"][:2] for row in found if row.get("paper")} == {"no"}
    released = face_table.face_rows(rows(), RUNS, release=True)
    assert {row["comparable"][:8] for row in released if row.get("paper")} == {"in order"}


def test_a_row_without_a_face_is_left_out():
    found = rows() | {"bodies": dict.fromkeys(FACES)}
    assert "bodies" not in [row["method"] for row in face_table.face_rows(found, RUNS, release=False)]
    assert face_table.counterparts({"both": ["face", "faceformer"]}) == {}, "two counterparts are none"


def test_what_the_paper_says_is_judged():
    assert said(rows()) == ["yes (without FaceFormer (Vertex))"] * 2
    assert said(rows(mine={"LVE_cm2": 0.9}))[0].startswith("no")
    assert said(rows(tuned={"FDD_cm2": -0.6}))[1].startswith("no")
    assert said(rows(), {"mine": ["face"]})[0] == (
        "not measured: no row of FaceFormer (Vertex), FaceFormer (Blendshape), Ours (Fine-tuned)"
    )
    full = RUNS | {"other": ["faceformer_vertices"]}
    assert said(rows(), full) == ["no", "yes"]


@pytest.mark.parametrize("lacking", ["mine", "tuned", "FaceFormer"])
def test_claims_need_both_models_and_a_faceformer(lacking):
    runs = {name: found for name, found in RUNS.items() if name != lacking}
    assert all(verdict.startswith("not measured: no row of ") for verdict in said(rows(), runs))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("faces")
    pairs = [
        {"method": "mine", "actor": "001", "of": of, "frames": 9, "mouth_FD": distance, "nearer_own": share}
        for of, distance, share in (("001", 2.5, None), ("002", 1.5, 0.25))
    ]
    face_table.write(out, rows(), pairs, runs=RUNS, notes=["a <note>"], release=False)
    return out


def test_files_hold_the_numbers(written):
    with open(written / "faces.csv", newline="") as f:
        found = {row["method"]: row for row in csv.DictReader(f)}
    assert found["tuned"]["LVE_cm2"] == "1" and found["tuned"]["paper_LVE"] == ""
    assert found["tuned"]["FDD_cm2"] == "0.3" and found["real"]["comparable"] == ""
    lines = (written / "mouths.csv").read_text().splitlines()
    assert lines == [
        "method,actor,of,frames,mouth_FD,nearer_own",
        "mine,001,001,9,2.5,",
        "mine,001,002,9,1.5,0.25",
    ]


def test_the_page_shades_whose_mouth_is_nearest(written):
    page = (written / "faces.html").read_text()
    assert re.search(r'<td>2.5</td><td class="fail">1.5<small>25%</small></td>', page)
    assert "a &lt;note&gt;" in page and "<th>FaceFormer (Vertex)</th><td>no row here</td>" in page
    assert "http" not in page and "<script" not in page
