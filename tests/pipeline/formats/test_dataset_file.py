import copy
import json

import pytest

from pipeline.errors import InputError
from pipeline.formats.dataset_file import read_about
from pipeline.formats.split_file import read_split

ABOUT = {
    "format_version": 1,
    "fps": 30,
    "joint_names": ["Hips"],
    "arkit_names": ["jawOpen"],
    "ict_names": None,
    "units": {"length": "cm", "bvh_rotation": "degrees", "audio_rate": 48000},
    "licence": "CC BY 4.0",
    "rig_sha256": {"001": "a"},
    "source_sha256": {},
    "takes": {"20231101_001": {"start_seconds": 1.5, "frames": 30}},
}
DEEP = "[" * 200_000 + "]" * 200_000
BAD_JSON = [
    "",
    "[]",
    "null",
    "1",
    "{",
    DEEP,
    '{"format_version": ' + "9" * 5000 + "}",
    '{"format_version": NaN}',
    "\x00",
    '{"a": 1, "a": 2}',
    '"\\ud800"',
]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def one_line(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    return str(caught.value)


def test_what_a_dataset_says_of_itself_comes_back(tmp_path):
    assert read_about(write(tmp_path / "dataset.json", json.dumps(ABOUT))) == ABOUT


@pytest.mark.parametrize(
    "key",
    [
        *ABOUT,
        "units.audio_rate",
        "takes.20231101_001",
        "takes.20231101_001.frames",
        "takes.20231101_001.start_seconds",
    ],
)
@pytest.mark.parametrize("value", [None, [], {}, "x", 1e308, -1, True, ["x", 1], {"../x": 1}], ids=repr)
def test_every_key_that_is_another_kind_of_thing_is_one_line(tmp_path, key, value):
    about = copy.deepcopy(ABOUT)
    *path, last = key.split(".")
    inner = about
    for part in path:
        inner = inner[part]
    if (
        inner[last] == value
        or (key, value) in FINE
        or (key in ("rig_sha256", "source_sha256", "takes") and value == {})
    ):
        pytest.skip("it may be that")
    inner[last] = value
    one_line(read_about, write(tmp_path / "dataset.json", json.dumps(about)))


FINE = [
    ("licence", "x"),
    ("joint_names", []),
    ("arkit_names", []),
    ("ict_names", []),
    ("takes.20231101_001.start_seconds", 1e308),
    ("takes.20231101_001.start_seconds", -1),
]


@pytest.mark.parametrize("text", BAD_JSON, ids=[text[:12] for text in BAD_JSON])
def test_what_is_no_dataset_json_is_one_line(tmp_path, text):
    assert "dataset.json" in one_line(read_about, write(tmp_path / "dataset.json", text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty file"),
        ("take\n20231101_001\n", "need take and split"),
        ("take\tsplit\n../x\ttrain\n", "row 2: take is '../x'"),
        ("take\tsplit\n20231101_001\tvalid\n", "need train or test"),
        ("take\tsplit\n20231101_001\t\n", "need train or test"),
        ("take\tsplit\n20231101_001\ttrain\n20231101_001\ttest\n", "row 3: take 20231101_001 stands twice"),
        ("take;split\n20231101_001;train\n", "semicolons"),
        (DEEP, "need"),
    ],
    ids=lambda value: value[:20],
)
def test_a_split_that_is_none_is_one_line(tmp_path, text, why):
    assert why in one_line(read_split, write(tmp_path / "split.tsv", text))


@pytest.mark.parametrize("read", [read_about, read_split])
@pytest.mark.parametrize("kind", ["missing", "folder", "loop", "long", "pipe"])
def test_what_cannot_be_opened_is_one_line(tmp_path, read, kind):
    import os

    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to("x")
    elif kind == "long":
        path = tmp_path / ("x" * 300)
    elif kind == "pipe":
        os.mkfifo(path)
    one_line(read, path)
