"""The rules of a download and of a release.

Which jobs there are, what is refused before any job, what status says.
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.tiny_release import heads, make_release  # noqa: E402
from helpers.tiny_shoot import make_rig, make_shoot  # noqa: E402
from helpers.workflow_project import make_project, planned, snakemake  # noqa: E402

from pipeline import ownership
from pipeline.errors import InputError  # noqa: E402
from pipeline.files import sha256  # noqa: E402
from pipeline.formats import arkit, ict  # noqa: E402
from pipeline.formats.rig_file import Rig, load_rig, regions, save_rig  # noqa: E402
from pipeline.planning.study import Study  # noqa: E402

TAKES = ["20231101_001", "20231101_002", "20231101_003"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project with a made-up download of three takes and a rig that is not the kit's."""
    folder = make_project(tmp_path_factory.mktemp("download"))
    make_release(folder / "interact", num_takes=3, seconds=1.0)
    make_rig(folder / "rig.npz", np.random.default_rng(0))
    return folder


def config(download="interact", root="out", **more):
    return (
        "--config",
        f"dataset={download}",
        "rig=rig.npz",
        f"root={root}",
        *(f"{key}={value}" for key, value in more.items()),
    )


def sums(folder):
    return {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}


def test_a_download_goes_through_all_stages_of_a_dataset(project):
    jobs = Counter(planned(project, "all", *config()))
    assert (
        jobs["ingest"] == jobs["actions"] == jobs["transcripts"] == 6
        and jobs["release_takes"] == jobs["evaluate"] == 1
    )
    assert not {"sync", "body", "blendshapes", "separation", "dataset", "release", "release_rig"} & set(jobs)


def test_a_download_is_taken_in_and_stays_as_it_is(project):
    before = sums(project / "interact")
    targets = [
        f"taken/annotations/quality/{TAKES[0]}.json",
        f"taken/features/{TAKES[0]}.h5",
        "taken/dataset/takes.tsv",
    ]
    result = snakemake(project, *targets, *config(root="taken"))
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    assert sums(project / "interact") == before
    links = sorted(path.name for path in (project / "taken/dataset").rglob("*") if path.is_symlink())
    assert links == [
        *sorted(f"20231101_{actor}_001.{end}" for actor in ("003", "005") for end in ("bvh", "npy", "wav")),
        "actors.db",
    ]
    assert planned(project, *targets, *config(root="taken")) == []


def test_files_of_any_name_can_be_excluded(project, tmp_path):
    download = shutil.copytree(project / "interact", tmp_path / "interact")
    odd = ["-walk", "--takes", "a b", "it's", 'a "pose"', "$(touch x)", "pose, 2"]
    for name in odd:
        shutil.copy(download / "bvhs/20231101_003_001.bvh", download / f"bvhs/{name}.bvh")
    for name in (lips := ["-read", "x y"]):
        shutil.copy(download / "lip_acc/wav/20231201_006_1.wav", download / f"lip_acc/wav/{name}.wav")
    options = config(download, tmp_path / "out", exclude=json.dumps([TAKES[1], *odd, *lips]))
    table = tmp_path / "out/dataset/takes.tsv"
    result = snakemake(project, str(table), "lip_acc", *options)
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    assert [line.split("\t")[0] for line in table.read_text().splitlines()[1:]] == [TAKES[0], TAKES[2]]


def test_the_lip_accurate_set_of_a_download_is_taken_in(project):
    before = sums(project / "interact")
    options = config(root="lips", exclude="[20231201_006_2]")
    jobs = Counter(planned(project, "all", *options))
    assert jobs["release_lip"] == 2 and jobs["lip_acc"] == 1
    result = snakemake(project, "lip_acc", *options)
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    made = project / "lips/dataset/lip_acc"
    names = sorted(str(path.relative_to(made)) for path in made.rglob("*.*"))
    both = ("20231201_006_1", "20231201_006_3")
    assert names == [
        *(f"face_arkit/{name}.npy" for name in both),
        "lip_acc_sentences.txt",
        *(f"wav/{name}.wav" for name in both),
    ]
    assert (made / "lip_acc_sentences.txt").read_text() == "Sentence 1.\n\nSentence 3.\n"
    assert sums(project / "interact") == before and planned(project, "lip_acc", *options) == []


def test_a_bad_performance_of_the_lip_accurate_set_is_named_and_can_be_left_out(project, tmp_path):
    download = shutil.copytree(project / "interact", tmp_path / "interact")
    (download / "lip_acc/wav/20231201_006_2.wav").write_bytes(b"no voice")
    options = config(download, tmp_path / "out")
    assert snakemake(project, "lip_acc", "--keep-going", *options).returncode == 1
    told = subprocess.run(
        [sys.executable, "-m", "pipeline.planning.status", *options],
        cwd=project,
        capture_output=True,
        text=True,
    )
    voice = download / "lip_acc" / "wav" / "20231201_006_2.wav"
    assert told.returncode == 1
    assert f"20231201_006_2  failed at release_lip: {voice}: cannot be read" in told.stdout
    assert (
        'to go on without 20231201_006_2: set exclude: ["20231201_006_2"] in the config, quotation marks too,'
        " then run again" in told.stdout
    )
    (download / "lip_acc/wav/20231201_006_2.wav").unlink()
    result = snakemake(project, "-n", "lip_acc", *options)
    line = (
        f"error: {download}/lip_acc: 20231201_006_2 lacks a voice; download it again, or add 20231201_006_2"
        " to exclude in the config"
    )
    assert result.returncode == 2 and line in result.stdout + result.stderr


def test_a_release_is_planned_after_the_dataset_of_a_shoot(project):
    make_shoot(project / "shoot", num_takes=2)
    jobs = Counter(planned(project, "release", "--config", "shoot=shoot", "root=mine"))
    assert (
        jobs["release"] == jobs["dataset"] == jobs["split"] == 1
        and jobs["separation"] == 4
        and not {"actions", "features"} & set(jobs)
    )


def test_the_rules_of_a_download_pass_the_lint(project):
    command = [sys.executable, "-m", "snakemake", "--lint", *config()]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_status_names_a_bad_take_and_how_to_go_on_without_it(project, tmp_path):
    download = shutil.copytree(project / "interact", tmp_path / "interact")
    (download / "wav/20231101_003_002.wav").write_bytes(b"no voice")
    options = config(download, tmp_path / "out")
    targets = [f"{tmp_path}/out/dataset/bvhs/20231101_003_{n}.bvh" for n in ("001", "002")]
    assert snakemake(project, *targets, "--keep-going", *options).returncode == 1
    told = subprocess.run(
        [sys.executable, "-m", "pipeline.planning.status", *options],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert (
        told.returncode == 1
        and f"{TAKES[1]}  failed at ingest: {download}/wav/20231101_003_002.wav: cannot be read as WAV"
        in told.stdout
    )
    assert (
        f'to go on without {TAKES[1]}: set exclude: ["{TAKES[1]}"] in the config, quotation marks too, then'
        " run again" in told.stdout
    )
    assert set(
        Study(
            {"dataset": str(download), "rig": "rig.npz", "root": str(tmp_path / "o"), "exclude": [TAKES[1]]}
        ).takes
    ) == {TAKES[0], TAKES[2]}


@pytest.mark.parametrize(
    "text",
    ["exclude: [20231101_002]", 'exclude: ["20231101_002"]', "exclude:\n- 20231101_002\n- 20231101_003"],
)
def test_names_are_excluded_however_yaml_reads_them(project, monkeypatch, text):
    monkeypatch.chdir(project)
    study = Study({"dataset": "interact", "rig": "rig.npz", "root": "out"} | yaml.safe_load(text))
    assert TAKES[1] not in study.takes and TAKES[0] in study.takes and set(study.config.exclude) <= set(TAKES)


def test_a_number_that_is_no_take_is_told_how_to_be_written(project, monkeypatch):
    monkeypatch.chdir(project)
    paths = {"dataset": "interact", "rig": "rig.npz", "root": "out"}
    with pytest.raises(
        InputError, match="'20231101009' is no take of interact; YAML reads .*; write it in quotation marks"
    ):
        list(Study(paths | yaml.safe_load("exclude: [20231101_009]")).takes)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"root": "interact/out"},
            "root interact/out lies in dataset interact, in which nothing is written; set another root",
        ),
        ({"root": "interact"}, "root interact lies in dataset interact"),
        ({"root": "linked/out"}, "root linked/out lies in dataset interact"),
        (
            {"root": "mine", "dataset": "mine/dataset"},
            "dataset mine/dataset and mine/dataset, where the pipeline writes, are one",
        ),
        ({"root": "caught"}, "caught/dataset holds dataset.json, which this pipeline has not written"),
        (
            {"exclude": ["20231101_01"]},
            "exclude: '20231101_01' is no take of interact; did you mean 20231101_001?",
        ),
        ({"exclude": TAKES}, "no take is left, 3 are there and excluded"),
        ({"dataset": None, "rig": None, "exclude": TAKES}, "exclude is for a download"),
    ],
)
def test_what_would_harm_a_download_is_refused(project, monkeypatch, values, line):
    monkeypatch.chdir(project)
    if not (project / "mine/dataset").exists():
        shutil.copytree(project / "interact", project / "mine/dataset")
        (project / "linked").symlink_to("interact")
    (project / "caught/dataset").mkdir(parents=True, exist_ok=True)
    (project / "caught/dataset/dataset.json").write_text("{}")
    with pytest.raises(InputError, match=line.replace("?", r"\?")):
        ownership.check(Study({"dataset": "interact", "rig": "rig.npz", "root": "out"} | values).claim)


@pytest.fixture(scope="module")
def kit(tmp_path_factory) -> Path:
    """A rig in the topology of the ICT kit."""
    path = tmp_path_factory.mktemp("kit") / "kit.npz"
    neutral = next(heads(None))[1].astype(np.float32)
    deltas = np.zeros((len(arkit.NAMES), ict.NUM_VERTICES, 3), np.float32)
    deltas[:, :400] = np.random.default_rng(0).normal(0, 0.1, (len(arkit.NAMES), 400, 3))
    save_rig(path, Rig(neutral, deltas, np.array([[0, 1, 2, 3]])))
    return path


def test_actors_get_rigs_on_their_own_templates(project, kit, monkeypatch):
    jobs = Counter(planned(project, "face_variance", *config(rig=kit)))
    assert jobs["release_rig"] == 2
    monkeypatch.chdir(project)
    study = Study({"dataset": "interact", "rig": str(kit), "root": "out"})
    assert [study.rig(actor) for actor in study.actors] == [
        "out/dataset/rigs/003.npz",
        "out/dataset/rigs/005.npz",
    ]


@pytest.mark.parametrize("unit", [1.0, 0.01, 10.0])
def test_a_rig_on_a_template_has_its_neutral_in_cm_and_the_shapes_of_the_kit(project, kit, tmp_path, unit):
    from pipeline.formats import obj
    from pipeline.release import rig as release_rig

    vertices = dict(heads(None))["005"]
    obj.write_obj(tmp_path / "005.obj", vertices * unit, np.array([[0, 1, 2]]))
    release_rig.main(
        ["--rig", str(kit), "--template", str(tmp_path / "005.obj"), "--out", str(tmp_path / "005.npz")]
    )
    made, generic = load_rig(tmp_path / "005.npz"), load_rig(kit)
    assert np.abs(made.neutral - vertices).max() < 1e-4 and np.array_equal(made.deltas, generic.deltas)
    assert all(np.array_equal(area, regions(generic)[name]) for name, area in regions(made).items())


@pytest.mark.parametrize(
    ("change", "needle"),
    [
        (lambda v: v[:-1], "got 26718 vertices, need the 26719"),
        (lambda v: 3 * v, "times as large as the rig's"),
    ],
)
def test_a_template_that_is_not_of_the_kit_is_refused(kit, tmp_path, capsys, change, needle):
    from pipeline.formats import obj
    from pipeline.release import rig as release_rig

    obj.write_obj(tmp_path / "a.obj", change(dict(heads(None))["001"]), np.array([[0, 1, 2]]))
    with pytest.raises(SystemExit) as stop:
        release_rig.main(
            ["--rig", str(kit), "--template", str(tmp_path / "a.obj"), "--out", str(tmp_path / "a.npz")]
        )
    assert stop.value.code == 2 and needle in capsys.readouterr().err and not (tmp_path / "a.npz").exists()
