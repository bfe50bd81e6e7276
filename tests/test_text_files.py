"""Text is UTF-8 whatever the locale.

Every call that opens text says so, and a run in another locale gives the same bytes.
"""

import ast
import os
import subprocess
import sys

import pytest

from pipeline.planning.code import REPOSITORY

SOURCES = sorted(
    path for part in ("pipeline", "models", "workflow") for path in (REPOSITORY / part).rglob("*.py")
)
OF_BYTES = {"os", "av", "Image", "archive", "self._archive", "tarfile", "zipfile", "soundfile", "webbrowser"}
"""Whose `open` is no text file."""


def mode(call: ast.Call, place: int) -> str:
    given = next(
        (word.value for word in call.keywords if word.arg == "mode"),
        call.args[place] if len(call.args) > place else None,
    )
    return (
        "r"
        if given is None
        else given.value
        if isinstance(given, ast.Constant) and isinstance(given.value, str)
        else "?"
    )


def opens_text_without_encoding(call: ast.Call) -> bool:
    """Whether a call opens text in the encoding of the locale."""
    words = {word.arg for word in call.keywords}
    if "encoding" in words or None in words:
        return False
    if isinstance(call.func, ast.Name):
        return call.func.id == "open" and "b" not in mode(call, 1)
    if not isinstance(call.func, ast.Attribute):
        return False
    name, owner = call.func.attr, ast.unparse(call.func.value)
    if name == "open":
        return owner not in OF_BYTES and "b" not in mode(
            call, 1 if owner in ("io", "gzip", "bz2", "lzma") else 0
        )
    if name == "read_text":
        return not call.args
    if name == "write_text":
        return len(call.args) < 2
    if name in ("run", "Popen", "check_output", "check_call") and owner == "subprocess":
        return bool(words & {"text", "universal_newlines"})
    return (
        name in ("NamedTemporaryFile", "TemporaryFile") and "b" not in mode(call, 0) and mode(call, 0) != "r"
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_text_is_opened_as_utf_8(path):
    calls = [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    ]
    assert [
        f"line {call.lineno}: {ast.unparse(call)[:80]}" for call in calls if opens_text_without_encoding(call)
    ] == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("open(p)", True), ("open(p, 'w', newline='')", True), ("open(p, 'rb')", False),
        ("open(p, encoding='utf-8')", False), ("p.open()", True), ("p.open('wb')", False),
        ("p.read_text()", True), ("p.write_text(t)", True), ("p.write_text(t, 'utf-8')", False),
        ("subprocess.run(c, text=True)", True), ("subprocess.run(c)", False),
        ("tempfile.NamedTemporaryFile('w')", True), ("os.open(p, 0)", False),
    ],
)  # fmt: skip
def test_the_scan_finds_what_it_is_to_find(code, found):
    assert opens_text_without_encoding(ast.parse(code, mode="eval").body) == found


def test_a_body_of_ours_is_read_back_whatever_the_locale(tmp_path):
    code = """
import sys
from dataclasses import replace
from pathlib import Path
from pipeline.formats.bvh import load_bvh, save_bvh
source, target = map(Path, sys.argv[1:])
source.write_bytes(
    "HIERARCHY\\nROOT H\\u00fcfte\\n{\\nOFFSET 0 90 0\\n"
    "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation\\n"
    "End Site\\n{\\nOFFSET 0 10 0\\n}\\n}\\nMOTION\\n"
    "Frames: 1\\nFrame Time: 0.0333333\\n0 90 0 0 0 0\\n".encode()
)
motion = load_bvh(source, unit="cm")
save_bvh(target, motion)
assert load_bvh(target, unit="cm").names == ["H\\u00fcfte"], load_bvh(target, unit="cm").names
"""
    written = []
    for number, locale in enumerate(("C", "POSIX", "C.UTF-8")):
        target = tmp_path / f"{number}.bvh"
        environment = os.environ | {
            "LC_ALL": locale,
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "PYTHONPATH": str(REPOSITORY),
        }
        command = [sys.executable, "-c", code, str(tmp_path / "x.bvh"), str(target)]
        result = subprocess.run(
            command, env=environment, capture_output=True, encoding="utf-8", errors="replace"
        )
        assert result.returncode == 0, result.stderr
        written.append(target.read_bytes())
    assert written[0] == written[1] == written[2]
