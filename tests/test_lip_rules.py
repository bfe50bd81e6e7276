"""The rules of the lip-accurate set: there for a shoot that has one, and only then."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from helpers.tiny_shoot import make_lip_acc, make_shoot  # noqa: E402
from helpers.workflow_project import make_project, planned, snakemake

CONFIG = ("--config", "shoot=shoot", "root=out")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project with a shoot of two takes and a lip-accurate set of two performances."""
    folder = make_project(tmp_path_factory.mktemp("lip"))
    make_shoot(folder / "shoot", num_takes=2)
    make_lip_acc(folder / "shoot")
    return folder


@pytest.fixture
def without(project, tmp_path) -> Path:
    """A shoot like the project's, without the folder of the set."""
    return shutil.copytree(project / "shoot", tmp_path / "shoot", ignore=shutil.ignore_patterns("lip_acc"))


def test_all_plans_the_set_beside_the_takes(project):
    jobs = Counter(planned(project, "all", *CONFIG))
    assert {name: jobs[name] for name in jobs if name.startswith("lip")} == {
        "lip_sync": 2,
        "lip_blendshapes": 2,
        "lip_separation": 2,
        "lip_acc": 1,
        "lip_shards_stats": 1,
        "lip_speech": 1,
        "lip_speech_stats": 1,
    }
    assert jobs["swap_run"] == 1 and jobs["train_run"] == 4
    assert jobs["sync"] == 2 and jobs["blendshapes"] == jobs["separation"] == 4


def test_the_target_plans_nothing_else(project):
    assert sorted(set(planned(project, "lip_acc", *CONFIG))) == [
        "lip_acc",
        "lip_blendshapes",
        "lip_separation",
        "lip_sync",
    ]


def test_a_shoot_without_the_folder_has_no_such_rule(project, without):
    config = ("--config", f"shoot={without}", "root=other")
    jobs = planned(project, "all", *config)
    assert "sync" in jobs and not [name for name in jobs if name.startswith("lip")]
    result = snakemake(project, "-n", "lip_acc", *config)
    assert result.returncode == 1 and "lip_acc" in result.stdout + result.stderr


def test_the_lip_rules_pass_the_lint(project):
    command = [sys.executable, "-m", "snakemake", "--lint", *CONFIG]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_mistake_in_the_table_stops_before_any_job(project, without):
    (without / "lip_acc").mkdir()
    table = (project / "shoot/lip_acc/lip_acc.tsv").read_text(encoding="utf-8")
    (without / "lip_acc/lip_acc.tsv").write_text(table.replace("\t3\t", "\t03\t"), encoding="utf-8")
    result = snakemake(project, "all", "-n", "--config", f"shoot={without}", "root=other")
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert (
        result.stderr.strip()
        .splitlines()[-1]
        .startswith(f"error: {without}/lip_acc/lip_acc.tsv, row 4: scenario is '03', need")
    )


def test_one_bad_performance_does_not_stop_the_others_and_status_names_it(project, without):
    shutil.copytree(project / "shoot/lip_acc", without / "lip_acc")
    (without / "lip_acc/20260102_003_1.wav").write_bytes(b"no voice")
    config = ("--config", f"shoot={without}", f"root={without.parent}/out")
    result = snakemake(project, "lip_acc", "--keep-going", *config)
    assert result.returncode == 1
    data = without.parent / "out/dataset/lip_acc"
    assert sorted(path.name for path in data.rglob("*.*")) == ["20260102_003_3.npy", "20260102_003_3.wav"]
    told = subprocess.run(
        [sys.executable, "-m", "pipeline.planning.status", *config],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    assert "20260102_003_1  failed at lip_sync: take 20260102_003_1, actor 003: " in told.stdout
    assert "1 of 2 performances of the lip-accurate set done, 1 failed" in told.stdout
    assert (
        f"to go on without 20260102_003_1: in {without}/lip_acc/lip_acc.tsv set its `exclude`" in told.stdout
    )
    without_take = told.stdout.splitlines()[:2]
    assert without_take == [
        "20260101_001  0 of 17 jobs done, next: sync",
        "20260101_002  0 of 17 jobs done, next: sync",
    ]
