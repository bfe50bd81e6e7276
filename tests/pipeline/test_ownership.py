"""Nobody's files are removed or overwritten but the pipeline's own.

Which roots are refused, and what is removed.
"""

import os
import shutil
from pathlib import Path

import pytest
from helpers.tiny_shoot import capture, make_shoot

from pipeline import ownership
from pipeline.errors import InputError
from pipeline.files import read_tsv, write_json, write_tsv
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.planning.study import Study, open_study


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """A shoot, read only."""
    folder = tmp_path_factory.mktemp("recorded")
    make_shoot(folder / "shoot")
    capture(folder / "shoot", folder / "root")
    return folder


@pytest.fixture
def here(recorded, tmp_path, monkeypatch) -> Path:
    """A folder with a copy of the shoot, in which the study is opened."""
    shutil.copytree(recorded / "shoot", tmp_path / "shoot")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def claim(**values) -> ownership.Claim:
    return Study({"shoot": "shoot", "root": "out"} | values).claim


def captured(recorded: Path, root: Path, *, logs: bool = True) -> Path:
    """A root in which the shoot was captured before there were marks."""
    shutil.copytree(recorded / "root", root)
    (root / "dataset" / ownership.MARK).unlink()
    if logs:
        (root / "logs" / "sync").mkdir(parents=True)
    return root


def refusal(found: ownership.Claim) -> str:
    before = listing(Path())
    with pytest.raises(InputError) as error:
        ownership.check(found)
    assert "\n" not in str(error.value) and listing(Path()) == before
    return str(error.value)


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_new_root_is_taken_and_marked(here):
    found = claim()
    ownership.check(found)
    assert not Path("out").exists(), "looking writes nothing"
    ownership.mark_folders(found)
    assert all(ownership.read_mark(Path("out") / name) for name in found.folders if name != "release")
    ownership.check(claim())
    assert not (here / "shoot" / ownership.MARK).exists()


@pytest.mark.parametrize(
    "name", ["dataset", "annotations", "features", "shards", "runs", "results", "logs", "timings", "release"]
)
def test_folders_of_another_hand_are_refused(here, name):
    (here / "out" / name / "deep").mkdir(parents=True)
    (here / "out" / name / "deep" / "mine.txt").write_text("mine")
    assert f"out/{name} holds deep, which this pipeline has not written" in refusal(claim())


@pytest.mark.parametrize("name", ["dataset", "results", "logs"])
def test_a_mark_that_came_with_a_copy_proves_nothing(here, name):
    ownership.mark_folders(claim())
    (here / "out" / name / "x").write_text("")
    shutil.copytree("out", "copy")
    ownership.check(claim())
    assert "copy/" in refusal(claim(root="copy"))


def test_a_download_in_the_place_of_the_dataset_is_refused(here, recorded):
    shutil.copytree(recorded / "root" / "dataset", "out/dataset")
    assert "is it a download? Then set dataset=out/dataset and another root" in refusal(claim())
    assert "out/dataset holds" in refusal(claim(shoot=None)), "nor does the simulated shoot remove it"
    ownership.mark_folders(claim(root="other"))
    for path in Path("out/dataset").rglob("*_00?.*"):
        path.rename(path.with_name(path.name.replace("20260101", "20231119")))
    shutil.rmtree("other/dataset")
    shutil.copytree("out/dataset", "other/dataset")
    Path("other/dataset/.interact.json").unlink()
    assert "other/dataset holds" in refusal(claim(root="other")), "a marked dataset was replaced"


def test_streams_of_another_hand_in_our_dataset_are_refused(here):
    ownership.mark_folders(claim())
    for name in ("bvhs/20231119_001_051.bvh", "wav/20231119_001_051.wav", "face_arkit/20231119_001_051.npy"):
        path = here / "out/dataset" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
        assert (
            f"{name} is of no take of the config, and no report says that the pipeline wrote it"
            in refusal(claim())
        )
        path.unlink()


def test_a_shoot_in_the_place_of_the_simulated_one_is_refused(here, recorded):
    shutil.copytree(recorded / "shoot", "out/shoot")
    ownership.check(claim(shoot="out/shoot"))
    assert "is it your shoot? Then set shoot=out/shoot" in refusal(claim(shoot=None))
    (here / "out/logs/sync").mkdir(parents=True)  # as after a run with shoot=out/shoot
    assert "in out/shoot is not simulated" in refusal(claim(shoot=None))
    shutil.rmtree("out")
    ownership.mark_folders(claim(shoot=None))
    for path in Path("shoot").iterdir():
        shutil.move(path, "out/shoot")
    assert "in out/shoot is not simulated" in refusal(claim(shoot=None)), (
        "the mark is there, the shoot is another"
    )


@pytest.mark.parametrize(
    "root", ["shoot", "shoot/20260101_001", "shoot/new/deep", "link", "link/out", "shoot/../shoot"]
)
def test_a_root_in_the_shoot_is_refused(here, root):
    os.symlink("shoot", "link")
    assert f"root {root} lies in shoot shoot, in which nothing is written" in refusal(claim(root=root))
    if root == "shoot":
        assert "root shoot is itself a shoot or a dataset (takes.tsv is in it)" in refusal(
            claim(root=root, shoot=None)
        )


def test_a_shoot_where_the_pipeline_writes_is_refused(here, recorded):
    shutil.copytree(recorded / "shoot", "out/results")
    assert "shoot out/results and out/results, where the pipeline writes, are one" in refusal(
        claim(shoot="out/results")
    )


@pytest.mark.parametrize("name", ["dataset", "dataset/bvhs", "results", "annotations/sync"])
def test_links_into_folders_of_another_hand_are_refused(here, name):
    ownership.mark_folders(claim())
    (here / "download").mkdir()
    (here / "download" / "20260101_001_001.bvh").write_text("mine")
    shutil.rmtree(here / "out" / name, ignore_errors=True)
    os.symlink(here / "download", here / "out" / name)
    said = refusal(claim())
    assert "holds 20260101_001_001.bvh, which this pipeline has not written" in said
    shutil.rmtree("download")
    os.symlink(here / "shoot", here / "download")
    assert any(text in refusal(claim()) for text in ("leads into", "are one", "is of no take of the config"))


def test_a_link_to_an_empty_folder_elsewhere_is_taken(here):
    (here / "scratch").mkdir()
    (here / "out").mkdir()
    os.symlink(here / "scratch", here / "out" / "shards")
    ownership.check(claim())
    ownership.mark_folders(claim())
    (here / "scratch" / "shard-000.h5").write_bytes(b"")
    ownership.check(claim())


def test_a_root_that_was_made_before_is_adopted_by_its_records_and_that_is_logged(here, recorded):
    captured(recorded, here / "out")
    found = claim()
    ownership.check(found)
    assert len(found.notes) == 3 and all("was made here before" in line for line in found.notes), (
        "dataset, annotations, logs"
    )
    ownership.mark_folders(found)
    assert "out/dataset" in Path("out/.interact/history.log").read_text() and not found.notes
    ownership.check(again := claim())
    assert not again.notes


def test_a_root_without_records_is_not_adopted(here, recorded):
    captured(recorded, here / "out", logs=False)
    assert "out/dataset holds" in refusal(claim())
    shutil.rmtree("out")
    captured(recorded, here / "out")
    Path("out/dataset/wav/20231119_001_051.wav").write_bytes(b"mine")
    assert "20231119_001_051.wav is of no take of the config" in refusal(claim())


def test_a_dataset_of_another_shoot_is_not_mixed_with(here, recorded):
    ownership.mark_folders(claim())
    shutil.copytree("shoot", "second")
    assert f"out/dataset was made from {here / 'shoot'}, the config says {here / 'second'}" in refusal(
        claim(shoot="second")
    )
    shutil.rmtree("shoot")
    ownership.check(claim(shoot="second"))  # the shoot was moved
    assert "was made from" in refusal(claim(shoot=None))


def excluded(folder: Path, take: str) -> None:
    columns, rows = read_tsv(folder / "takes.tsv")
    write_tsv(
        folder / "takes.tsv",
        TAKE_COLUMNS,
        [row | {"exclude": "yes"} if row["take"] == take else row for row in rows],
    )


def test_streams_of_excluded_takes_are_removed_where_a_report_names_them(here, recorded, caplog):
    root = captured(recorded, here / "out")
    excluded(here / "shoot", "20260101_002")
    ownership.check(claim())
    kept = ["20260101_001_001", "20260101_002_001"]
    with caplog.at_level("WARNING"):
        ownership.remove_recorded(root / "dataset", root / "annotations", kept, table="takes.tsv")
    left = {
        path.stem for name in ("bvhs", "wav", "face_arkit") for path in (root / "dataset" / name).iterdir()
    }
    assert left == set(kept) and sum("removed" in record.getMessage() for record in caplog.records) == 6


def test_nothing_is_removed_where_one_stream_is_of_another_hand(here, recorded):
    root = captured(recorded, here / "out")
    (root / "dataset/wav/20231119_001_051.wav").write_bytes(b"mine")
    before = listing(root)
    with pytest.raises(InputError, match="20231119_001_051.wav: its performance is not in takes.tsv"):
        ownership.remove_recorded(
            root / "dataset",
            root / "annotations",
            ["20260101_001_001", "20260101_002_001"],
            table="takes.tsv",
        )
    assert listing(root) == before


@pytest.mark.parametrize("key", ["root", "shoot", "dataset", "rig"])
@pytest.mark.parametrize("value", ["a{b}", "{1}", "a}b", "a\nb", "\x1b[31m"])
def test_paths_that_snakemake_would_misread_are_refused(here, capsys, key, value):
    with pytest.raises(SystemExit) as stop:
        open_study({"shoot": "shoot", "root": "out"} | {key: value})
    said = capsys.readouterr().err
    assert (
        stop.value.code == 2
        and said.count("\n") == 1
        and f"config: {key} " in said
        and "rename the folder or file" in said
    )


def test_a_broken_mark_is_one_line(here):
    ownership.mark_folders(claim())
    (here / "out/results" / ownership.MARK).write_text("[")
    assert "not a readable JSON" in refusal(claim())
    write_json(here / "out/results" / ownership.MARK, {"made_by": "somebody else"})
    (here / "out/results/x").write_text("")
    assert "out/results holds x" in refusal(claim())


def test_a_command_replaces_in_a_folder_only_what_it_wrote_there(tmp_path):
    out, names = tmp_path / "out", ["bvhs/a.bvh", "bvhs/b.bvh"]

    def take(writes: str = "generated") -> None:
        ownership.take_folder(out, writes, [out / name for name in names])

    (out / "bvhs").mkdir(parents=True)
    (out / "notes.txt").write_text("of another hand, and in nobody's way")
    (out / names[1]).write_text("captured")
    with pytest.raises(InputError, match="b.bvh: is there, and nothing in"):
        take()
    ownership.need_proof(out, [out / name for name in names], ["notes.txt"])
    (out / names[1]).unlink()
    take()
    (out / names[1]).write_text("generated")
    take()
    with pytest.raises(InputError, match="is there"):
        take("exported")
    shutil.copytree(out, tmp_path / "copy")
    with pytest.raises(InputError, match="is there"):
        ownership.take_folder(tmp_path / "copy", "generated", [tmp_path / "copy" / names[1]])
