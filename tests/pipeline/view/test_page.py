"""The page of the viewer, and the part of three.js that it carries."""

import base64
import os
import re
import shutil
import subprocess

import pytest
from helpers.viewer_site import inlined

from pipeline.planning.code import REPOSITORY
from pipeline.view.page import FILES, SCRIPTS, WEB, Carried, app_page

BUNDLE = REPOSITORY / "pipeline" / "view" / "bundle"
TAKE = {"take": "a", "relationship": "</script><b>", "actors": ["é"], "seconds": 1.5}


def test_a_page_links_to_its_files():
    page = app_page([TAKE])
    assert re.findall(r'<script src="web/([^"]+)">', page) == list(SCRIPTS)
    assert '<link rel="stylesheet" href="web/viewer.css">' in page
    assert not re.search("<!--[A-Z]+-->", page)
    assert inlined(page, "takes") == [TAKE]
    assert page.count("</html>") == 1


def test_a_page_carries_its_take():
    page = app_page([TAKE], Carried({"words": ["<!--SCRIPTS-->"]}, b"\x00glb", b"flac"))
    assert 'src="web/' not in page and 'href="web/' not in page
    assert inlined(page, "take-file") == {"words": ["<!--SCRIPTS-->"]}
    carried = dict(re.findall(r'<script type="text/plain" id="(\w+)">([^<]*)</script>', page))
    assert {name: base64.b64decode(text) for name, text in carried.items()} == {
        "glb": b"\x00glb",
        "audio": b"flac",
    }
    assert "Permission is hereby granted" in page
    silent = app_page([TAKE], Carried({}, b"glb"))
    assert 'id="audio"' not in silent


def test_a_number_that_json_lacks_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        app_page([{**TAKE, "seconds": float("nan")}])


def test_the_folder_holds_what_is_listed_and_says_nothing_of_other_hosts():
    assert sorted(path.name for path in WEB.iterdir()) == sorted(FILES)
    for name in FILES:
        if name != "three.js":
            text = (WEB / name).read_text(encoding="utf-8")
            hosts = set(re.findall(r"https?://([\w.-]+)", text)) - {"www.w3.org"}
            assert not hosts, name


def test_three_is_small_and_names_its_licence():
    text = (WEB / "three.js").read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    assert text.startswith("/* three.js, MIT licence: LICENSE-three.txt */")
    assert "three.js authors" in (WEB / "LICENSE-three.txt").read_text(encoding="utf-8")


def test_the_part_of_three_is_what_scripts_use():
    entry = (BUNDLE / "three.js").read_text(encoding="utf-8")
    exported = set(re.findall(r"^  (\w+),$", entry, re.MULTILINE)) | {
        "GLTFLoader",
        "OrbitControls",
        "cloneSkinned",
    }
    scripts = "".join((WEB / name).read_text(encoding="utf-8") for name in SCRIPTS if name != "three.js")
    assert exported == set(re.findall(r"\bTHREE\.(\w+)", scripts))


def test_scripts_are_strict():
    for name in SCRIPTS:
        if name != "three.js":
            assert (WEB / name).read_text(encoding="utf-8").startswith("'use strict';\n"), name


def test_three_is_made_from_its_package(tmp_path):
    """Needs the packages of package-lock.json, in `node_modules` or in npm's cache; fetches nothing."""
    if shutil.which("npm") is None:
        pytest.skip("no npm; apt-get install npm")
    work = tmp_path / "bundle"
    shutil.copytree(BUNDLE, work, ignore=shutil.ignore_patterns("node_modules"))
    if (BUNDLE / "node_modules").is_dir():
        (work / "node_modules").symlink_to(BUNDLE / "node_modules")
    else:
        fetched = subprocess.run(
            ["npm", "ci", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=work, capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip
        if fetched.returncode:
            pytest.skip("npm has not fetched three and esbuild here; npm ci --prefix pipeline/view/bundle")
    (tmp_path / "web").mkdir()
    built = subprocess.run(
        ["npm", "run", "build"], cwd=work, env=os.environ | {"NODE_ENV": "production"},
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    assert (tmp_path / "web" / "three.js").read_bytes() == (WEB / "three.js").read_bytes()
