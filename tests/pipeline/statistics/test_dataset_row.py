import csv

import pytest
from helpers.commands import refused
from helpers.tiny_dataset import make_tiny

from pipeline.files import read_tsv, write_json, write_tsv
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.formats.takes import Take
from pipeline.motion.joints import RELEASE_JOINTS
from pipeline.statistics import dataset_row
from pipeline.statistics.dataset_row import FINGER, MODALITIES, Performance, row


def arguments(tiny, out) -> list[str]:
    return [
        str(word)
        for word in [
            "--dataset",
            tiny.dataset,
            "--transcripts",
            tiny.annotations / "transcripts",
            "--out",
            out,
        ]
    ]


def written(tiny, out) -> dict[str, str]:
    dataset_row.main(arguments(tiny, out))
    with open(out, newline="", encoding="utf-8") as f:
        (only,) = csv.DictReader(f)
    return only


def take(number: int, relationship: str, emotion: str, actors=("001", "002")) -> Take:
    labels = dict.fromkeys(TAKE_COLUMNS, "") | {"relationship": relationship, "emotion": emotion}
    return Take(f"20260101_{number:03d}", "20260101", f"{number:03d}", actors, labels)


def performance(frames: int = 2241, fps: float = 30.0, joints: int = 60, **has: bool) -> Performance:
    return Performance(frames, fps, joints, 36, 10, dict.fromkeys(MODALITIES, True) | has)


def test_hours_are_the_papers_which_count_both_actors():
    found = row([take(i, "Siblings", "Joy") for i in range(241)], [[performance(), performance()]] * 241)
    assert (found["takes"], found["performances"], found["actors_per_take"]) == ("241", "482", "2")
    assert f"{float(found['hours']):.1f}h {float(found['mean_take_minutes']):.1f}m" == "10.0h 1.2m", (
        "Dura. and Avg.Len. of the paper's table 1"
    )
    assert found["take_hours"] == "5.001" and found["frames"] == str(482 * 2241) and found["words"] == "4820"


def test_a_take_is_as_long_as_the_shorter_of_its_two_bodies_in_the_row():
    found = row([take(1, "", "")], [[performance(1800), performance(3600)]])
    assert (found["mean_take_minutes"], found["hours"], found["relationships"]) == ("1.000", "0.050", "0")


def test_labels_are_counted_once_however_they_are_spelt_and_those_of_the_paper_apart():
    takes = [
        take(1, "Siblings", "Joy"),
        take(2, "Pen Pals", "joy"),
        take(3, "Coworker", "Awe", ("002", "003")),
        take(4, "Co-workers", ""),
    ]
    found = row(takes, [[performance(), performance()]] * 4)
    assert [
        found[key]
        for key in ("relationships", "relationships_in_paper", "emotions", "emotions_in_paper", "subjects")
    ] == [
        "3",
        "2",
        "2",
        "2",
        "3",
    ]


def test_what_some_performances_lack_is_counted():
    found = row(
        [take(1, "", ""), take(2, "", "")],
        [
            [performance(face=False), performance(audio=False, face=False)],
            [performance(face=False, joints=57)] * 2,
        ],
    )
    assert (found["audio"], found["face"], found["hands"], found["joints"], found["fps"]) == (
        "3 of 4",
        "no",
        "yes",
        "57 to 60",
        "30",
    )


def test_the_row_of_a_dataset_on_disk(tmp_path):
    tiny = make_tiny(tmp_path, {"20260101_001": 45, "20260101_002": 60})
    (tiny.dataset / "wav" / "20260101_001_002.wav").unlink()
    found = written(tiny, tmp_path / "row.csv")
    assert found == {
        **{
            "actors_per_take": "2",
            "subjects": "2",
            "takes": "2",
            "performances": "4",
            "joints": "12",
            "hours": "0.002",
            "take_hours": "0.001",
        },
        **{
            "mean_take_minutes": "0.029",
            "frames": "210",
            "fps": "30",
            "audio": "3 of 4",
            "hands": "no",
            "finger_joints": "0",
            "face": "yes",
        },
        **{
            "relationships": "1",
            "relationships_in_paper": "0",
            "emotions": "1",
            "emotions_in_paper": "0",
            "words": "12",
        },
    }
    first = (tmp_path / "row.csv").read_bytes()
    written(tiny, tmp_path / "row.csv")
    assert (tmp_path / "row.csv").read_bytes() == first


@pytest.mark.parametrize(
    "name",
    [
        "LeftHandMiddle1",
        "RightHandRing",
        "LeftFingerBase",
        "LThumb",
        "index_01_l",
        "middle_02_r",
        "pinky_03_l",
        "ring_01_l",
    ],
)
def test_finger_joints_of_several_exporters_are_known(name):
    assert FINGER.search(name)


def test_only_fingers_are_finger_joints():
    assert sum(bool(FINGER.search(name)) for name in RELEASE_JOINTS) == 36
    assert not any(
        FINGER.search(name)
        for name in RELEASE_JOINTS
        if not any(part in name for part in ("Middle", "Ring", "Pinky", "Index", "Thumb"))
    )
    assert not FINGER.search("SpineMiddle")


def test_a_transcript_without_words_is_refused(tmp_path, capsys):
    tiny = make_tiny(tmp_path, {"20260101_001": 10})
    path = tiny.annotations / "transcripts" / "20260101_002_001.json"
    write_json(path, [])
    refused(
        dataset_row.main,
        arguments(tiny, tmp_path / "row.csv"),
        capsys,
        path.name,
        "words",
        outputs=[tmp_path / "row.csv"],
    )


def test_excluded_takes_are_not_in_the_row(tmp_path):
    tiny = make_tiny(tmp_path, {"20260101_001": 10, "20260101_002": 10})
    columns, rows = read_tsv(tiny.dataset / "takes.tsv")
    write_tsv(tiny.dataset / "takes.tsv", columns, [rows[0], rows[1] | {"exclude": "yes"}])
    assert written(tiny, tmp_path / "row.csv")["takes"] == "1"
