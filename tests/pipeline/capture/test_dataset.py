import json
import shutil
import sqlite3

import pytest
from helpers.commands import refused
from helpers.tiny_shoot import BONES

from pipeline import ownership
from pipeline.capture import dataset
from pipeline.errors import InputError
from pipeline.files import sha256
from pipeline.formats import arkit
from pipeline.formats.takes import Take, dataset_takes, shoot_takes
from pipeline.reading import read_json

TABLES = ["takes.tsv", "scenarios.db", "actors.db", "dataset.json", "rigs/001.npz", "rigs/002.npz"]


def rows(path, query):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def columns(path, table):
    return [row[1] for row in rows(path, f"PRAGMA table_info({table})")]


def test_the_folder_is_that_of_the_release(captured):
    found = sorted(
        str(path.relative_to(captured / "dataset"))
        for path in (captured / "dataset").rglob("*")
        if path.is_file()
    )
    names = [f"20260101_{actor}_{scenario}" for actor in ("001", "002") for scenario in ("001", "002")]
    streams = [
        f"{folder}/{name}.{kind}"
        for folder, kind in (("bvhs", "bvh"), ("face_arkit", "npy"), ("wav", "wav"))
        for name in names
    ]
    assert found == sorted([*streams, *TABLES, ownership.MARK])


def test_scenarios_db(captured):
    path = captured / "dataset" / "scenarios.db"
    assert columns(path, "scenarios") == [
        "id",
        "relationship_id",
        "primary_emotion_id",
        "character_setup",
        "scenario",
    ]
    assert rows(path, "SELECT * FROM relationships ORDER BY id") == [(1, "Friends"), (2, "Siblings")]
    assert rows(path, "SELECT * FROM emotions ORDER BY id") == [(1, "Anger"), (2, "Joy")]
    assert rows(path, "SELECT * FROM scenarios ORDER BY id") == [
        (1, 2, 1, "Café", "scene 1"),
        (2, 1, 2, "Café", "scene 2"),
    ]


def test_actors_db(captured):
    path = captured / "dataset" / "actors.db"
    assert columns(path, "actors") == ["actor_id", "gender"] and columns(path, "sessions") == [
        "date",
        "male_id",
        "female_id",
    ]
    assert rows(path, "SELECT * FROM actors ORDER BY 1") == [("001", "male"), ("002", "female")]
    assert rows(path, "SELECT * FROM sessions") == [("20260101", "001", "002")]


def test_dataset_json(shoot, captured):
    about = read_json(captured / "dataset" / "dataset.json")
    assert (
        about["format_version"] == 1
        and about["fps"] == 30
        and about["joint_names"] == list(BONES)
        and about["arkit_names"] == list(arkit.NAMES)
    )
    for take, value in about["takes"].items():
        assert value == {
            key: read_json(captured / "annotations" / "sync" / f"{take}.json")[key]
            for key in ("start_seconds", "frames")
        }
    assert len(about["source_sha256"]) == 8
    for name, value in about["source_sha256"].items():
        assert value == sha256(shoot.folder / f"20260101_{name[-7:-4]}" / name)


def test_takes_are_read_back(shoot, captured):
    assert dataset_takes(captured / "dataset") == shoot_takes(shoot.folder)
    bare = dataset_takes_without_table(captured)
    assert [take.name for take in bare] == ["20260101_001", "20260101_002"]
    for take, full in zip(bare, shoot_takes(shoot.folder)):
        assert take.row == full.row, "the SQLite tables say the same as takes.tsv"


def dataset_takes_without_table(captured):
    path = captured / "dataset" / "takes.tsv"
    hidden = path.rename(path.with_suffix(".hidden"))
    try:
        return dataset_takes(captured / "dataset")
    finally:
        hidden.rename(path)


@pytest.fixture
def work(shoot, captured, tmp_path):
    """A copy of the shoot's tables and of the dataset's streams, and the command."""
    raw, data = tmp_path / "shoot", tmp_path / "dataset"
    raw.mkdir()
    for name in ("takes.tsv", "actors.tsv"):
        shutil.copy(shoot.folder / name, raw / name)
    shutil.copytree(shoot.folder / "rigs", raw / "rigs")
    shutil.copytree(captured / "dataset" / "bvhs", data / "bvhs")
    sync = shutil.copytree(captured / "annotations", tmp_path / "annotations") / "sync"
    return raw, ["--shoot", raw, "--sync", sync, "--out", data], data


def test_the_same_bytes_twice(work, captured):
    raw, arguments, data = work
    written = []
    for _ in range(2):
        dataset.main([str(a) for a in arguments])
        written.append([(data / name).read_bytes() for name in TABLES])
    assert written[0] == written[1] == [(captured / "dataset" / name).read_bytes() for name in TABLES]


def test_the_licence_of_the_shoot_goes_along(work):
    raw, arguments, data = work
    (raw / "LICENCE").write_text("CC BY 4.0\n")
    dataset.main([str(a) for a in arguments])
    assert json.loads((data / "dataset.json").read_text())["licence"] == "CC BY 4.0"


def replace(name, old, new):
    def spoil(raw, arguments, data):
        path = raw / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return spoil


def twice(raw, arguments, data):
    path = raw / "takes.tsv"
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")


def other_joints(raw, arguments, data):
    path = data / "bvhs" / "20260101_002_002.bvh"
    path.write_text(path.read_text().replace("RightForeArm", "RightWing"))


@pytest.mark.parametrize(
    ("spoil", "needles"),
    [
        (
            replace("takes.tsv", "relationship", "relationshp"),
            ["takes.tsv: unknown column 'relationshp'; did you mean 'relationship'?"],
        ),
        (
            replace("actors.tsv", "gender", "gendre"),
            ["actors.tsv: unknown column 'gendre'; did you mean 'gender'?"],
        ),
        (twice, ["takes.tsv, row 4: take 20260101_001 stands twice"]),
        (replace("actors.tsv", "002\tfemale\n", ""), ["row 2: actor 002 is not in actors.tsv"]),
        (lambda raw, a, d: (raw / "takes.tsv").unlink(), ["takes.tsv: no such file"]),
        (
            lambda raw, a, d: (raw / "takes.tsv").write_bytes(b"\xe9\xff\xfe garbage"),
            ["takes.tsv, line 1: byte 0xe9 is no UTF-8"],
        ),
        (lambda raw, a, d: (a[3] / "20260101_002.json").unlink(), ["20260101_002.json: no such file"]),
        (
            lambda raw, a, d: (d / "bvhs" / "20260101_002_002.bvh").unlink(),
            ["20260101_002_002.bvh: no such file"],
        ),
        (
            other_joints,
            ["20260101_002_002.bvh: joints differ from 20260101_001_001.bvh: RightForeArm, RightWing"],
        ),
    ],
)
def test_bad_input_stops_with_one_line(work, capsys, spoil, needles):
    raw, arguments, data = work
    spoil(raw, arguments, data)
    refused(dataset.main, arguments, capsys, *needles, outputs=[data / name for name in TABLES])


def take(name, pair, **row):
    date, scenario = name.split("_")
    empty = {"relationship": "", "emotion": "", "character_setup": "", "scenario_design": ""}
    return Take(name, date, scenario, pair, empty | row)


def test_sessions_know_who_is_the_man_where_there_is_one(tmp_path):
    takes = [
        take("20260101_1", ("1", "2")),
        take("20260101_2", ("2", "3")),
        take("20260102_1", ("1", "2")),
        take("20260101_3", ("1", "2")),
    ]
    dataset.write_actors(tmp_path / "a.db", takes, {"1": "female", "2": "male", "3": "male", "4": "male"})
    assert rows(tmp_path / "a.db", "SELECT * FROM sessions") == [
        ("20260101", "2", "1"),
        ("20260101", "2", "3"),
        ("20260102", "2", "1"),
    ]
    assert rows(tmp_path / "a.db", "SELECT actor_id FROM actors") == [("1",), ("2",), ("3",)]


def test_a_scenario_has_one_text(tmp_path):
    pair = ("1", "2")
    same = [
        take("20260101_051", pair, emotion="Joy"),
        take("20260102_51", pair, emotion="Joy"),
        take("20260102_a", pair),
    ]
    dataset.write_scenarios(tmp_path / "s.db", same)
    assert rows(tmp_path / "s.db", "SELECT id, relationship_id, primary_emotion_id FROM scenarios") == [
        (51, None, 1),
        ("a", None, None),
    ]
    with pytest.raises(
        InputError,
        match="take 20260102_51: emotion of scenario 51 is .Fear., in take 20260101_051 it is .Joy.",
    ):
        dataset.write_scenarios(tmp_path / "t.db", [same[0], take("20260102_51", pair, emotion="Fear")])
    assert not (tmp_path / "t.db").exists()


@pytest.mark.parametrize(
    ("kind", "stage"), [("body", "body"), ("face", "blendshapes"), ("audio", "separation")]
)
def test_a_stream_that_was_made_of_another_file_than_sync_read_is_refused(work, capsys, kind, stage):
    """`source_sha256` is of the files that sync read: the streams must be made of them."""
    _, arguments, data = work
    sync = arguments[3] / "20260101_001.json"
    take = json.loads(sync.read_text())
    take["performances"][1][kind]["fingerprint"] = 64 * "0"  # sync has read another recording since
    sync.write_text(json.dumps(take))
    needles = (
        f"20260101_002_001.json: was made of another {kind} than sync has read since; run {stage} of"
        " 20260101_002_001 again"
    )
    refused(dataset.main, arguments, capsys, needles, outputs=[data / "dataset.json"])
