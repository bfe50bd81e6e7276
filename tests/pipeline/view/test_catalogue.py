import pytest
from helpers.tiny_dataset import body
from helpers.tiny_scene import NUM_FRAMES, TAKE, bare_folder, make_run

from pipeline.files import write_json, write_tsv
from pipeline.formats.bvh import save_bvh
from pipeline.view import catalogue
from pipeline.view.catalogue import Catalogue, row_of
from pipeline.view.sources import open_source
from pipeline.view.take_file import take_file

OTHER = "20260102_007"
ROW = {
    "take": TAKE,
    "actors": ["001", "002"],
    "relationship": "Friends",
    "emotion": "Joy é",
    "seconds": NUM_FRAMES / 30,
    "verdict": "",
    "split": "",
    "variants": 3,
    "page": None,
}


def rows(folder):
    return Catalogue(open_source(folder)).rows()


def test_a_run_is_listed_from_its_tables(tmp_path):
    make_run(tmp_path, takes=(TAKE, OTHER))
    write_tsv(tmp_path / "annotations" / "split.tsv", ["take", "split"], [{"take": TAKE, "split": "test"}])
    write_json(tmp_path / "annotations" / "quality" / f"{TAKE}.json", {"verdict": "check"})
    assert rows(tmp_path) == [
        ROW | {"verdict": "check", "split": "test"},
        ROW | {"take": OTHER, "variants": 1},
    ]


def test_no_body_is_read_to_list_it(tmp_path, monkeypatch):
    made = make_run(tmp_path, takes=(TAKE, OTHER))
    opened = []
    read = catalogue.read_header
    monkeypatch.setattr(catalogue, "read_header", lambda path: opened.append(path) or read(path))
    for path in (made.dataset / "bvhs").iterdir():  # all but what the header needs is lost
        text = path.read_text()
        path.write_text(text[: text.index("Frame Time") + 40])
    assert [row["seconds"] for row in rows(tmp_path)] == [1.5, 1.5] and len(opened) == 4
    about = {
        "format_version": 1,
        "fps": 30,
        "joint_names": [],
        "arkit_names": [],
        "ict_names": None,
        "units": {"length": "cm", "bvh_rotation": "deg", "audio_rate": 48000},
        "licence": "",
        "rig_sha256": {},
        "source_sha256": {},
        "takes": {take: {"start_seconds": 0.0, "frames": 600} for take in (TAKE, OTHER)},
    }
    write_json(made.dataset / "dataset.json", about)
    opened.clear()
    assert [row["seconds"] for row in rows(tmp_path)] == [20.0, 20.0] and not opened


def test_folders_without_tables_are_listed_too(tmp_path):
    made = make_run(tmp_path / "run")
    bare = bare_folder(made, tmp_path / "bare")
    save_bvh(bare / "bvhs" / "walk.bvh", body(60, fps=120))
    listed = rows(bare)
    assert listed[0] == ROW | {"relationship": "", "emotion": "", "variants": 1}
    assert listed[1]["take"] == "walk" and listed[1]["actors"] == ["walk"] and listed[1]["seconds"] == 0.5
    assert rows(tmp_path / "run" / "results" / "generated" / "trained_models")[0]["variants"] == 2


def test_a_file_that_cannot_be_read_is_told_and_the_list_stays(tmp_path, caplog):
    make_run(tmp_path, takes=(TAKE, OTHER))
    path = tmp_path / "annotations" / "quality" / f"{TAKE}.json"
    path.parent.mkdir()
    path.write_text("{")
    assert [row["verdict"] for row in rows(tmp_path)] == ["", ""] and f"{TAKE}.json" in caplog.text


def test_the_row_of_a_take_file_is_that_of_the_list(tmp_path):
    make_run(tmp_path)
    found = Catalogue(open_source(tmp_path))
    content = take_file(found, found.source.scene(TAKE))
    assert row_of(content, page=None) == found.row(TAKE)
    assert row_of(content, page="x.html") == found.row(TAKE, page="x.html")
    with pytest.raises(KeyError):
        row_of({}, page=None)
