"""A raw input that changes is noticed whatever its time says, and one that is only touched is not."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.tiny_shoot import make_shoot  # noqa: E402
from helpers.workflow_project import make_project, planned, snakemake

CONFIG = ["--config", "shoot=shoot", "root=out"]
TARGETS = ["out/dataset/dataset.json", "out/annotations/split.tsv", "out/shards/plan.json"]
OTHER = [target.replace("out/", "other/") for target in TARGETS]
TAKE = "shoot/20260101_001"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project whose two-take shoot has been captured."""
    folder = make_project(tmp_path_factory.mktemp("changed"))
    make_shoot(folder / "shoot", seconds=4.0)
    for path in (folder / "shoot").rglob("*"):
        os.utime(path, (1.7e9, 1.7e9))
    result = snakemake(folder, *TARGETS, *CONFIG)
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    assert planned(folder, *TARGETS, *CONFIG) == []
    return folder


@pytest.fixture
def copy(project, tmp_path) -> Path:
    """A copy of it that keeps every time, Snakemake's records too."""
    return shutil.copytree(project, tmp_path / "interact")


def rules(folder: Path) -> set[str]:
    return set(planned(folder, *TARGETS, *CONFIG))


def replace(path: Path, content: bytes, when: float = 1.6e9) -> None:
    """Replace a file as `cp -p` and `rsync -a` do: its time is that of the file it comes from."""
    assert path.read_bytes() != content
    path.write_bytes(content)
    os.utime(path, (when, when))


def flipped(path: Path) -> bytes:
    """Other content of the same size."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = content[middle : middle + 300][::-1]
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        (f"{TAKE}/20260101_001_001.wav", {"sync", "separation"}),
        (f"{TAKE}/20260101_002_001.bvh", {"sync", "body"}),
        (f"{TAKE}/20260101_002_001.mesh.h5", {"sync", "blendshapes"}),
        ("shoot/rigs/001.npz", {"blendshapes", "dataset"}),
    ],
)
def test_a_file_of_the_same_size_from_before(copy, name, least):
    replace(copy / name, flipped(copy / name))
    assert least <= rules(copy)


@pytest.mark.parametrize(
    ("name", "old", "new", "least"),
    [
        (f"{TAKE}/timecode.json", "120", "120.0", {"sync"}),
        ("shoot/takes.tsv", "scene 1", "another", {"dataset", "split", "shards_plan"}),
        ("shoot/actors.tsv", "male", "woman", {"dataset"}),
        ("pipeline/annotate/split.py", "first = ", "first=  ", {"split"}),
    ],
)
def test_a_text_from_before(copy, name, old, new, least):
    content = (copy / name).read_bytes()
    assert old.encode() in content
    replace(copy / name, content.replace(old.encode(), new.encode(), 1))
    assert least <= rules(copy)


def test_touching_what_is_there_reruns_nothing(copy):
    for path in (copy / "shoot").rglob("*"):
        path.touch()
    assert rules(copy) == set()
    result = snakemake(copy, *TARGETS, *CONFIG)
    assert result.returncode == 0 and "Nothing to be done" in result.stdout + result.stderr
    for path in (copy / "shoot").rglob("*"):
        os.utime(path, (1.65e9, 1.65e9))
    assert rules(copy) == set()


def test_a_replaced_recording_is_used_and_its_checksum_recorded(copy):
    path = copy / f"{TAKE}/20260101_001_001.wav"
    before = (copy / "out/dataset/wav/20260101_001_001.wav").read_bytes()
    replace(path, flipped(path))
    result = snakemake(copy, *TARGETS, *CONFIG)
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    sums = (copy / "out/dataset/dataset.json").read_text()
    digest = subprocess.run(["sha256sum", path], capture_output=True, text=True).stdout.split()[0]
    assert digest in sums and (copy / "out/dataset/wav/20260101_001_001.wav").read_bytes() != before
    assert rules(copy) == set()


def test_a_lost_record_of_inputs_reruns_nothing(copy):
    for content in ("", "[", "[1]", '{"shoot/takes.tsv": 3}'):
        (copy / "out/.interact/inputs.json").write_text(content)
        assert rules(copy) == set()


def said(folder: Path, *arguments: str) -> str:
    """What a dry run says that is refused."""
    result = snakemake(folder, "-n", *arguments)
    lines = (result.stdout + result.stderr).strip().splitlines()
    assert result.returncode == 2 and lines[-1].startswith("error: config: "), lines[-20:]
    return lines[-1]


def test_one_root_by_any_spelling(copy):
    config = ["--config", f"shoot={copy}//shoot/", f"root={copy}/./out"]
    assert planned(copy, *TARGETS, *config) == []
    assert {"separation"} <= set(planned(copy, *TARGETS, *config, "separation={method: none}"))


def test_a_copied_root_of_changed_inputs_options_or_code_is_refused(copy):
    """Snakemake has no records of copies, and compares their times alone."""
    config = ["--config", "shoot=second", "root=other"]
    shutil.copytree(copy / "shoot", copy / "second")
    shutil.copytree(copy / "out", copy / "other")
    assert planned(copy, *OTHER, *config) == []
    assert "since then changed: separation.method; " in said(
        copy, *OTHER, *config, "separation={method: none}"
    )
    label, voice = (
        copy / "second/takes.tsv",
        copy / f"second/{TAKE.removeprefix('shoot/')}/20260101_001_001.wav",
    )
    before = label.read_bytes(), voice.read_bytes()
    replace(label, before[0].replace(b"scene 1", b"another", 1))
    replace(voice, flipped(voice))
    assert f"changed: {voice.relative_to(copy)}, {label.relative_to(copy)}; " in said(copy, *OTHER, *config)
    for path, content in zip((label, voice), before, strict=True):
        replace(path, content, 1.65e9)
    assert planned(copy, *OTHER, *config) == []  # touched only
    module = copy / "pipeline" / "annotate" / "split.py"
    content = module.read_bytes()
    replace(module, content.replace(b"first = ", b"first=  ", 1))
    assert "changed: the code; " in said(copy, *OTHER, *config)
    assert set(planned(copy, *OTHER, *config, "--forceall")) >= {"sync", "dataset", "split"}
    module.write_bytes(content)
    os.utime(module, (1.6e9, 1.6e9))
    assert snakemake(copy, *OTHER, *config, "--forceall", "--touch").returncode == 0
    assert planned(copy, *OTHER, *config) == []
    replace(voice, flipped(voice))
    assert {"sync", "separation"} <= set(planned(copy, *OTHER, *config))


def test_a_dry_run_names_the_raw_files_that_are_missing(copy):
    path = copy / f"{TAKE}/20260101_001_001.wav"
    path.rename(path.with_suffix(".WAV"))
    result = snakemake(copy, "-n", "out/annotations/sync/20260101_002.json", *CONFIG)
    assert (
        result.returncode == 0 and f"rename {path.stem}.WAV if it is meant" in result.stdout + result.stderr
    )


def test_roots_that_no_folder_can_be(copy):
    (copy / "file").write_text("notes")
    (copy / "nothing").symlink_to("not-there")
    (copy / "half").mkdir()
    (copy / "half" / "annotations").write_text("notes")
    for root, need in (
        ("file", "is a file"),
        ("nothing", "is a link to nothing"),
        ("half", "is a file"),
        ("file/x", "is no folder"),
        ("/dev/null/x", "is no folder"),
        ("~/out", "in full"),
    ):
        assert need in said(copy, "all", "--config", "shoot=shoot", f"root={root}")


def test_two_runs_in_one_root_exclude_each_other(copy, tmp_path):
    other = make_project(tmp_path / "second")
    script = (
        "import sys, yaml; from pipeline.planning.run_hooks import Run; from pipeline.planning.study import"
        " open_study\nstudy = open_study(yaml.safe_load(open('config.yaml')) | {'shoot': sys.argv[1], 'root':"
        " sys.argv[2]})\nrun = Run(study); run.begin(); print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(copy / "shoot"), str(copy / "out")]
    with subprocess.Popen(
        command, cwd=other, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        (copy / "out/annotations/split.tsv").unlink()
        before = time.monotonic()
        result = snakemake(copy, *TARGETS, *CONFIG)
        said = result.stdout + result.stderr
        assert result.returncode == 2 and time.monotonic() - before < 60
        assert (
            f"error: config: another run works in root out (process {holder.pid} on " in said
            and "Traceback" not in said
        )
        assert not (copy / "out/annotations/split.tsv").exists()
        holder.communicate()
    result = snakemake(copy, *TARGETS, *CONFIG)
    assert result.returncode == 0, (result.stdout + result.stderr)[-2000:]
