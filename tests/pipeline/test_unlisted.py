"""No recording is left out in silence: files that no row of a table names, in a download and in a shoot."""

import shutil

import pytest
from test_shoot_check import make_tables

from pipeline import release_takes
from pipeline.config import ReleaseIn
from pipeline.errors import InputError
from pipeline.files import read_tsv, write_tsv
from pipeline.release_check import inspect
from pipeline.run_hooks import Run
from pipeline.status import report
from pipeline.takes import LIP_COLUMNS, dataset_takes
from pipeline.unlisted import FOLDERS
from pipeline.workflow import Study, open_study

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
            [drop_rows(f, TAKES[1]), *(shutil.rmtree(f / part) or (f / part).mkdir() for part in FOLDERS if part != "wav")]
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
    assert f"no row names {names[0]}, of which there are files" in told and f"set exclude: [{advice}] in the config" in told
    study = open_study(values(download, *names))
    assert set(study.takes) == set(TAKES) - set(names)
    with pytest.raises(InputError, match="no row names"):
        release_takes.run(dataset=download, takes=TAKES, exclude=[], reports=download, out=download / "out.tsv")


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
    write_tsv(download / "takes.tsv", columns, [row | {"exclude": "yes" if row["take"] == TAKES[1] else ""} for row in rows])
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
        *(f"takes.tsv: takes: got take {take} in the folders, need it in takes.tsv too" for take in TAKES[1:]),
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
    "a face of a third actor": (f"{TAKES[0]}/{DAYS[0]}_003_001_obj/0.obj", f"takes.tsv names {DAYS[0]}_003_001"),
    "a sentence": ("lip_acc/20260109_001_2.wav", "lip_acc/lip_acc.tsv names 20260109_001_2"),
}


@pytest.mark.parametrize("name", RAW)
def test_a_run_and_status_warn_of_raw_streams_of_a_shoot_that_no_row_names(tmp_path, monkeypatch, capsys, name):
    shoot = tmp_path / "shoot"
    make_tables(shoot, {"exclude": "no"}, {"exclude": "yes"}, {})
    lip = {"date": "20260109", "actor": "001", "scenario": "1", "sentence": "A.", "exclude": "", "reason": ""}
    for place in [*(f"{take}/{take[:8]}_001_001.bvh" for take in TAKES), "lip_acc/20260109_001_1.wav", "ltc/sound.wav", "rigs/001.npz"]:
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
