import base64
import json
import re
import shutil
from urllib.parse import unquote

import pytest
from helpers.tiny_dataset import body
from helpers.tiny_scene import PERFORMANCES, TAKE, bare_folder, make_run

from pipeline.formats.bvh import save_bvh
from pipeline.view import page, take, viewer

OTHER = "20260102_007"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, and the viewer's folder of both of its takes."""
    root = tmp_path_factory.mktemp("run")
    tiny = make_run(root, takes=(TAKE, OTHER))
    out = tmp_path_factory.mktemp("viewer")
    for name in (TAKE, OTHER):
        take.main([name, "--source", str(root), "--out", str(out)])
    viewer.main(
        ["--takes", *(str(path) for path in sorted(out.glob("takes/*/take.json"))), "--out", str(out)]
    )
    return root, out, tiny


def carried(path, name):
    """What a page holds in the element of an id, None where it has none."""
    found = re.search(
        rf'<script type="[\w/]+" id="{name}">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL
    )
    return found and found[1]


def test_a_page_holds_all_that_it_shows(made):
    _, out, _ = made
    path, folder = out / f"{TAKE}.html", out / "takes" / TAKE
    assert sorted(file.name for file in folder.iterdir()) == ["scene.glb", "take.json", "voices.flac"]
    assert base64.b64decode(carried(path, "glb")) == (folder / "scene.glb").read_bytes()
    assert base64.b64decode(carried(path, "audio")) == (folder / "voices.flac").read_bytes()
    content = json.loads((folder / "take.json").read_text(encoding="utf-8"))
    assert json.loads(carried(path, "take-file")) == content
    assert [(row["take"], row["page"]) for row in json.loads(carried(path, "takes"))] == [
        (TAKE, f"{TAKE}.html")
    ]
    links = re.findall(r'(?:src|href)="([^"#]+)"', path.read_text(encoding="utf-8"))
    assert all(link.startswith("data:") for link in links)


def test_the_index_lists_the_takes_and_links_to_its_files(made):
    _, out, _ = made
    rows = json.loads(carried(out / "index.html", "takes"))
    assert [(row["take"], row["variants"], row["page"]) for row in rows] == [
        (TAKE, 3, f"{TAKE}.html"),
        (OTHER, 1, f"{OTHER}.html"),
    ]
    for link in re.findall(r'(?:src|href)="([^"#]+)"', (out / "index.html").read_text(encoding="utf-8")):
        assert link.startswith("data:") or (out / link).is_file()
    assert {path.name for path in (out / "web").iterdir()} == set(page.FILES) - {"index.html"}


def test_the_same_take_gives_the_same_bytes(made, tmp_path):
    root, out, _ = made
    take.main([TAKE, "--source", str(root), "--out", str(tmp_path)])
    for name in (
        f"{TAKE}.html",
        *(f"takes/{TAKE}/{file}" for file in ("take.json", "scene.glb", "voices.flac")),
    ):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


@pytest.mark.parametrize(
    "generated, keys",
    [
        (["results/generated/trained_models"], ["captured", "trained_models", "trained_models/sample-01"]),
        (["results/generated/base_face"], ["captured", "base_face"]),
        ([], ["captured"]),
    ],
)
def test_a_page_shows_the_rows_that_are_asked_for(made, tmp_path, generated, keys):
    root = tmp_path / "run"
    shutil.copytree(made[0], root)
    row = root / "results" / "generated" / "trained_models"
    shutil.copytree(row, row.with_name("base_face"), ignore=shutil.ignore_patterns("sample-*"))
    words = [
        "--generated",
        *(str(root / folder) for folder in generated),
        "--rigs",
        str(root / "dataset/rigs"),
    ]
    take.main([TAKE, "--source", str(root), *words, "--out", str(tmp_path / "out")])
    content = json.loads((tmp_path / "out" / "takes" / TAKE / "take.json").read_text(encoding="utf-8"))
    assert [variant["key"] for variant in content["variants"]] == keys


def test_a_folder_without_voices_gets_a_page_without_sound(made, tmp_path):
    folder = bare_folder(made[2], tmp_path / "bare")
    take.main([TAKE, "--source", str(folder), "--out", str(tmp_path / "out")])
    assert carried(tmp_path / "out" / f"{TAKE}.html", "audio") is None
    assert not list((tmp_path / "out").rglob("*.flac"))


def test_a_take_of_any_name_is_found_by_its_address(tmp_path):
    save_bvh(tmp_path / "in" / "bvhs" / "walk #2 50%.bvh", body(20))
    out = tmp_path / "out"
    take.main(["walk #2 50%", "--source", str(tmp_path / "in"), "--out", str(out)])
    viewer.main(["--takes", str(out / "takes" / "walk #2 50%" / "take.json"), "--out", str(out)])
    for path in (out / "index.html", out / "walk #2 50%.html"):
        (row,) = json.loads(carried(path, "takes"))
        assert row["take"] == "walk #2 50%" and row["page"] == "walk%20%232%2050%25.html"
        assert (out / unquote(row["page"])).is_file()


def refused(main, arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in arguments])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1
    return said


def test_bad_input_stops_with_one_line_and_leaves_nothing(made, tmp_path, capsys):
    root = tmp_path / "run"
    shutil.copytree(made[0], root)
    out = tmp_path / "out"
    assert f"did you mean {OTHER}?" in refused(
        take.main, ["20260102_070", "--source", root, "--out", out], capsys
    )
    voice = root / "dataset" / "wav" / f"{PERFORMANCES[0]}.wav"
    voice.write_bytes(voice.read_bytes()[:20])
    assert f"{PERFORMANCES[0]}.wav" in refused(take.main, [TAKE, "--source", root, "--out", out], capsys)
    assert not [path for path in out.rglob("*") if path.is_file()]


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 2}', '{"format": 1, "take": "x"}', "{"])
def test_what_is_no_take_file_is_refused(tmp_path, capsys, text):
    (tmp_path / "take.json").write_text(text)
    said = refused(viewer.main, ["--takes", tmp_path / "take.json", "--out", tmp_path / "out"], capsys)
    assert "take.json" in said and not (tmp_path / "out").exists()
