"""What a dry run says of a download or shoot.

Recordings that no row names, a dataset.json or rig that is none, no take held out.
"""

import os
import shutil

import numpy as np
import pytest
from helpers.tiny_shoot import make_shoot, make_tables

from pipeline.config import ReleaseIn
from pipeline.errors import InputError
from pipeline.files import read_tsv, write_tsv
from pipeline.formats.tables import ACTOR_COLUMNS, LIP_COLUMNS
from pipeline.formats.takes import dataset_takes
from pipeline.formats.unlisted import FOLDERS, missing_raw
from pipeline.planning.run_hooks import Run
from pipeline.planning.status import report
from pipeline.planning.study import Study, open_study
from pipeline.release import takes as release_takes
from pipeline.release.check import inspect

DAYS = ("20260101", "20260102", "20260103")
TAKES = [f"{day}_001" for day in DAYS]


def make_download(folder):
    """A download of three takes with a takes.tsv; its streams are names alone, as planning sees them."""
    make_tables(folder, {}, {}, {})
    (folder / "actors.tsv").unlink()
    (folder / "rigs").mkdir()
    for part, ending in FOLDERS.items():
        (folder / part).mkdir()
        for day in DAYS:
            for actor in ("001", "002"):
                (folder / part / f"{day}_{actor}_001{ending}").touch()
    return folder


@pytest.fixture
def download(tmp_path):
    return make_download(tmp_path / "interact")


def drop_rows(folder, *names):
    columns, rows = read_tsv(folder / "takes.tsv")
    write_tsv(folder / "takes.tsv", columns, [row for row in rows if row["take"] not in names])


def values(folder, *exclude):
    return {"dataset": str(folder), "root": str(folder.parent / "out"), "exclude": list(exclude)}


def third_actor(folder):
    (folder / "wav" / f"{DAYS[0]}_003_001.wav").touch()


ODD = {
    "a row": (lambda f: drop_rows(f, TAKES[1]), [TAKES[1]]),
    "two rows": (lambda f: drop_rows(f, *TAKES[1:]), TAKES[1:]),
    "a row, voices alone are there": (
        lambda f: (
            [
                drop_rows(f, TAKES[1]),
                *(shutil.rmtree(f / part) or (f / part).mkdir() for part in FOLDERS if part != "wav"),
            ]
            and [(f / "wav" / f"{DAYS[1]}_001_001.wav").touch()]
        ),
        [TAKES[1]],
    ),
    "an actor": (third_actor, [f"{DAYS[0]}_003_001"]),
    "a take of another day": (lambda f: (f / "face_ict" / "20260109_001_001.npy").touch(), ["20260109_001"]),
    "a file that is no performance": (lambda f: (f / "bvhs" / "calibration.bvh").touch(), ["calibration"]),
    "an ending in capitals": (lambda f: (f / "bvhs" / "20260109_001_001.BVH").touch(), ["20260109_001"]),
}


@pytest.mark.parametrize("name", ODD)
def test_streams_without_a_row_stop_a_download_before_any_job_and_the_advice_works(download, capsys, name):
    assert list(open_study(values(download)).takes) == TAKES
    spoil, names = ODD[name]
    spoil(download)
    with pytest.raises(SystemExit) as stop:
        open_study(values(download))
    told = capsys.readouterr().err
    advice = ", ".join(f'"{odd}"' for odd in names)
    assert stop.value.code == 2 and told.count("\n") == 1
    assert (
        f"no row names {names[0]}, of which there are files" in told
        and f"set exclude: [{advice}] in the config" in told
    )
    study = open_study(values(download, *names))
    assert set(study.takes) == set(TAKES) - set(names)
    with pytest.raises(InputError, match="no row names"):
        release_takes.run(
            dataset=download, takes=TAKES, exclude=[], reports=download, out=download / "out.tsv"
        )


def test_names_without_a_row_may_be_excluded_as_yaml_reads_them(download):
    drop_rows(download, TAKES[1])
    assert Study(values(download, int(TAKES[1].replace("_", "")))).config.exclude == (TAKES[1],)


def test_many_takes_without_a_row_are_still_one_short_line(download):
    for i in range(300):
        (download / "wav" / f"20250101_001_{i}.wav").touch()
    with pytest.raises(InputError, match="and files of 299 more names.*get the whole table again") as caught:
        Study(values(download)).takes  # noqa: B018
    assert len(str(caught.value)) < 600


def test_rows_that_are_excluded_name_their_streams(download):
    columns, rows = read_tsv(download / "takes.tsv")
    write_tsv(
        download / "takes.tsv",
        columns,
        [row | {"exclude": "yes" if row["take"] == TAKES[1] else ""} for row in rows],
    )
    (download / "bvhs" / "._20260109_001_001.bvh").touch()
    assert list(Study(values(download)).takes) == [TAKES[0], TAKES[2]]
    told = [str(finding) for finding in inspect(download, ReleaseIn()) if finding.kind == "takes"]
    assert told == []


def test_the_check_has_a_fault_for_every_take_without_a_row(download):
    drop_rows(download, *TAKES[1:])
    third_actor(download)
    told = [str(finding) for finding in inspect(download, ReleaseIn()) if finding.kind == "takes"]
    assert told == [
        f"takes.tsv: takes: got performance {DAYS[0]}_003_001 in the folders, need it in takes.tsv too",
        *(
            f"takes.tsv: takes: got take {take} in the folders, need it in takes.tsv too"
            for take in TAKES[1:]
        ),
    ]


def test_a_download_without_takes_tsv_is_paired_by_its_files_as_before(download):
    (download / "takes.tsv").unlink()
    (download / "wav" / "20260109_001_001.wav").touch()
    assert list(Study(values(download)).takes) == [take.name for take in dataset_takes(download)] == TAKES


RAW = {
    "a take folder": ("20260109_004/20260109_001_004.bvh", "takes.tsv names 20260109_001_004"),
    "an empty take folder": ("20260109_004/timecode.json", "takes.tsv names 20260109_004"),
    "a folder of another name with bodies": ("scene 5/walk.bvh", "takes.tsv names walk.bvh"),
    "a third actor": (f"{TAKES[0]}/{DAYS[0]}_003_001.wav", f"takes.tsv names {DAYS[0]}_003_001"),
    "a face of a third actor": (
        f"{TAKES[0]}/{DAYS[0]}_003_001_obj/0.obj",
        f"takes.tsv names {DAYS[0]}_003_001",
    ),
    "a sentence": ("lip_acc/20260109_001_2.wav", "lip_acc/lip_acc.tsv names 20260109_001_2"),
}


@pytest.mark.parametrize("name", RAW)
def test_a_run_and_status_warn_of_raw_streams_of_a_shoot_that_no_row_names(tmp_path, capsys, name):
    shoot = tmp_path / "shoot"
    make_tables(shoot, {"exclude": "no"}, {"exclude": "yes"}, {})
    lip = {"date": "20260109", "actor": "001", "scenario": "1", "sentence": "A.", "exclude": "", "reason": ""}
    for place in [
        *(f"{take}/{take[:8]}_001_001.bvh" for take in TAKES),
        "lip_acc/20260109_001_1.wav",
        "ltc/sound.wav",
        "rigs/009.npz",
    ]:
        (shoot / place).parent.mkdir(parents=True, exist_ok=True)
        (shoot / place).touch()
    write_tsv(shoot / "lip_acc/lip_acc.tsv", LIP_COLUMNS, [lip])
    given = {"shoot": str(shoot), "root": str(tmp_path / "out")}
    assert open_study(given).cautions == []
    place, words = RAW[name]
    (shoot / place).parent.mkdir(parents=True, exist_ok=True)
    (shoot / place).touch()
    study = open_study(given)
    (line,) = study.cautions
    assert f"no row of {words}" in line and f"warning: {line}" in report(study)[0]
    capsys.readouterr()
    Run(study).end()
    assert line in capsys.readouterr().err


def test_raw_files_that_are_missing_are_all_said_with_what_may_be_meant(tmp_path):
    shoot = tmp_path / "shoot"
    make_shoot(shoot)
    take = shoot / "20260101_001"
    (take / "20260101_001_001.wav").rename(take / "20260101_001_001.WAV")
    (take / "20260101_002_001.mesh.h5").rename(take / "MySlate_1.csv")
    (take / "20260101_002_001.bvh").unlink()
    (take / "timecode.json").unlink()
    study = open_study({"shoot": str(shoot), "root": str(tmp_path / "out")})
    voice, body, face, timecode = study.missing
    assert (
        "no voice of 20260101_001_001, need 20260101_001_001 with .wav; rename 20260101_001_001.WAV if it is"
        " meant" in voice
    )
    assert "no body of 20260101_002_001" in body and "; add it, or write yes" in body
    assert "no face of 20260101_002_001" in face and "rename MySlate_1.csv if it is meant" in face
    assert "no timecode.json" in timecode
    assert {f"warning: {line}" for line in study.missing} <= set(report(study)[0])


def test_many_missing_files_are_counted(tmp_path):
    lines = missing_raw(tmp_path, {f"20260101_{number:03d}": ["a", "b"] for number in range(20)})
    assert len(lines) == 11 and lines[-1] == f"{tmp_path}: 130 more raw files are missing"


def test_an_actor_without_a_gender_is_warned_of_and_one_with_spaces_refused(tmp_path, capsys):
    shoot, given = tmp_path / "shoot", {"shoot": str(tmp_path / "shoot"), "root": str(tmp_path / "out")}
    make_tables(shoot, {}, {})
    genders = {"001": "", "002": "woman", "003": ""}  # 003 is in no take
    write_tsv(
        shoot / "actors.tsv",
        ACTOR_COLUMNS,
        [{"actor": actor, "gender": gender} for actor, gender in genders.items()],
    )
    (line,) = open_study(given).cautions
    assert "actors.tsv: no gender of 001: tables by gender have these actors under unknown" in line
    for gender in (" ", "male ", "\u2003male"):
        write_tsv(
            shoot / "actors.tsv", ACTOR_COLUMNS, [{"actor": actor, "gender": gender} for actor in genders]
        )
        with pytest.raises(SystemExit):
            open_study(given)
        assert (
            f"row 2: gender is {gender!r}, need text without spaces at its ends, or empty"
            in capsys.readouterr().err
        )


ABOUT = {
    "no JSON": "{",
    "nothing": "",
    "a list": "[]",
    "another version": '{"format_version": 99}',
    "keys that are missing": '{"format_version": 1}',
    "NaN": '{"format_version": 1, "fps": NaN}',
}


@pytest.mark.parametrize("text", ABOUT.values(), ids=ABOUT)
def test_a_broken_dataset_json_of_a_download_is_a_fault_and_stops_every_reader(download, capsys, text):
    (download / "dataset.json").write_text(text)
    (fault,) = [str(finding) for finding in inspect(download, ReleaseIn()) if finding.file == "dataset.json"]
    assert fault.startswith("dataset.json: unreadable: ") and "download it again" in fault
    with pytest.raises(SystemExit) as stop:
        open_study(values(download))
    told = capsys.readouterr().err
    assert (
        stop.value.code == 2
        and told.count("\n") == 1
        and f"{download}/dataset.json: " in told
        and "download it again" in told
    )
    with pytest.raises(InputError, match="dataset.json"):
        release_takes.run(
            dataset=download, takes=TAKES, exclude=[], reports=download, out=download / "out.tsv"
        )


def test_a_dataset_json_that_leads_nowhere_is_no_missing_one(download):
    (download / "dataset.json").symlink_to("gone")
    assert [finding.kind for finding in inspect(download, ReleaseIn()) if finding.file == "dataset.json"] == [
        "unreadable"
    ]
    with pytest.raises(InputError, match="dataset.json: no such file"):
        Study(values(download)).takes  # noqa: B018


def no_rig(path):
    np.savez(path, neutral=np.zeros((3, 3)), names=np.array(["jawOpen"]))


NO_RIGS = {
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "a pipe": (os.mkfifo, "is a pipe"),
    "empty": (lambda path: path.touch(), "not a readable .npz of a rig"),
    "a mesh": (lambda path: path.write_text("v 0 0 0\n"), "not a readable .npz of a rig"),
    "an .npy": (lambda path: np.save(path.open("wb"), np.zeros(3)), "not a readable .npz of a rig"),
    "another .npz": (no_rig, "no array deltas, faces, need neutral, names, deltas, faces"),
    "a link to nowhere": (lambda path: path.symlink_to("gone"), "no such file"),
}


@pytest.mark.parametrize("name", NO_RIGS)
@pytest.mark.parametrize("place", ["rig of the config", "rigs of a download", "rigs of a shoot"])
def test_what_is_no_rig_is_refused_before_any_job(download, capsys, name, place):
    spoil, words = NO_RIGS[name]
    given = values(download)
    path = download / "rigs" / "001.npz"
    if place == "rig of the config":
        path = download.parent / "rig.npz"
        given["rig"] = str(path)
    elif place == "rigs of a shoot":
        shoot = download.parent / "shoot"
        make_tables(shoot, {}, {})
        path = shoot / "rigs" / "001.npz"
        path.parent.mkdir()
        given = {"shoot": str(shoot), "root": given["root"]}
    np.savez(
        path,
        neutral=np.zeros((3, 3)),
        names=np.array(["jawOpen"]),
        deltas=np.zeros((1, 3, 3)),
        faces=np.zeros((0, 3), int),
    )
    open_study(given)
    path.unlink()
    spoil(path)
    with pytest.raises(SystemExit) as stop:
        open_study(given)
    told = capsys.readouterr().err
    assert stop.value.code == 2 and told.count("\n") == 1 and words in told and str(path) in told


def test_a_rig_of_the_config_that_is_missing_is_refused_before_any_job(download, capsys):
    with pytest.raises(SystemExit):
        open_study(values(download) | {"rig": "gone.npz"})
    assert "error: config: rig: gone.npz: no such file" in capsys.readouterr().err


def frozen(folder, **sides):
    path = folder.parent / "out/annotations/split.tsv"
    path.parent.mkdir(parents=True)
    write_tsv(path, ["take", "split"], [{"take": take, "split": side} for take, side in sides.items()])


def all_train(folder):
    columns, rows = read_tsv(folder / "takes.tsv")
    write_tsv(folder / "takes.tsv", columns, [row | {"split": "train"} for row in rows])


def none_held_out(study, capsys):
    with pytest.raises(SystemExit) as stop:
        study.held_out(None)
    told = capsys.readouterr().err
    assert (
        stop.value.code == 2
        and told.count("\n") == 1
        and told.startswith("error: no take is held out, and generate and evaluate need one; ")
    )
    return told


def test_what_is_said_where_no_take_of_a_download_is_held_out_works(download, capsys):
    """Each line of advice, and that a take is held out once it is followed."""
    assert "take a take off exclude in the config" in none_held_out(
        Study(values(download, *TAKES[1:])), capsys
    )
    assert Study(values(download, TAKES[1])).test_takes
    frozen(download, **{TAKES[0]: "train", TAKES[1]: "train", TAKES[2]: "test"})
    told = none_held_out(Study(values(download, TAKES[2])), capsys)
    path = download.parent / "out/annotations/split.tsv"
    assert f"{path} has frozen all takes that are left as train: remove it" in told
    path.unlink()
    assert Study(values(download, TAKES[2])).test_takes
    all_train(download)
    assert (
        f"all rows of {download}/takes.tsv say train; set dataset to a copy of it (cp -rL)"
        in none_held_out(Study(values(download)), capsys)
    )
    copy = shutil.copytree(download, download.parent / "copy")
    columns, rows = read_tsv(copy / "takes.tsv")
    write_tsv(copy / "takes.tsv", columns, [rows[0] | {"split": "test"}, *rows[1:]])
    assert Study(values(copy)).test_takes == [TAKES[0]]
    (download / "takes.tsv").unlink()
    for path in [
        path for path in download.rglob("*") if path.is_file() and not path.name.startswith(DAYS[0])
    ]:
        path.unlink()
    assert (
        f"{download} has one take, need two; one take alone goes as far as the target train"
        in none_held_out(Study(values(download)), capsys)
    )


def test_what_is_said_where_no_take_of_a_shoot_is_held_out(tmp_path, capsys):
    given = {"shoot": str(tmp_path / "shoot"), "root": str(tmp_path / "out")}
    make_tables(tmp_path / "shoot", {})
    assert "; add a take; one take alone" in none_held_out(Study(given), capsys)
    make_tables(tmp_path / "shoot", {"split": "train"}, {"split": "train"})
    assert "write test under split of one take in takes.tsv, or add takes" in none_held_out(
        Study(given), capsys
    )
    assert "set simulate.num_takes to 2" in none_held_out(
        Study({"root": given["root"], "simulate": {"num_takes": 1}}), capsys
    )
