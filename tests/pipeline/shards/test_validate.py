import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.built_shards import SPLITS, build_shard

from pipeline.files import write_tsv
from pipeline.formats import shard_file
from pipeline.shards import __main__ as tool
from pipeline.shards import build, index, validate


def faults(folder: Path) -> list[str]:
    return validate.validate(folder)


def change(path: Path, edit) -> None:
    with h5py.File(path, "r+") as f:
        edit(f)


def put(name, row, value):
    def edit(f):
        f[name][row] = value

    return edit


def test_validate_passes_what_is_whole(folder, capsys):
    tool.main(["validate", str(folder)])
    assert "no fault" in capsys.readouterr().out


def take_row(field, value):
    def edit(f):
        table = f["takes"][()]
        table[field][0] = value
        f["takes"][...] = table

    return edit


def replace_array(name, shape):
    def edit(f):
        del f[name]
        f[name] = np.zeros(shape, "f4")

    return edit


@pytest.mark.parametrize(
    "edit, expected",
    [
        (put("body", 3, np.nan), "body has 1 rows with NaN"),
        (put("action", 3, 7), "action has 1 rows"),
        (put("text_index", 3, 999), "text_index has 1 rows"),
        (put("mel", 70, 1.0), None),
        (put("mel", 3, 1.0), "mean of mel is not that"),
        (take_row("stop_frame", 60), "frames 61:101, need them to begin at 60"),
        (take_row("stop_sample", 32534), "samples 0:32534, need 0:32533"),
        (take_row("split", b"val"), "split is 'val'"),
        (take_row("actor_a", b"003"), "actors 003 002 are in the wrong order"),
        (lambda f: f.__delitem__("sources"), "it does not list its sources"),
        (take_row("take", b"20260101_009"), "take 20260101_001 of shard-000.h5 is in no readable shard"),
        (replace_array("mel", (100, 2, 16)), "mel has 100 rows, the takes need 101"),
        (replace_array("face", (101, 2, 55)), "face has shape (101, 2, 55)"),
        (
            lambda f: f.__delitem__("skeletons/20260101_001_001"),
            "skeleton of 20260101_001_001 (no '20260101_001_001')",
        ),
        (lambda f: f.__delitem__("facing"), "not a readable shard (no 'facing')"),
        (lambda f: f.attrs.__setitem__("format_version", 1), "format version 1, this code reads 2"),
    ],
)
def test_validate_names_faults(copy, edit, expected):
    change(copy / "shard-000.h5", edit)
    found = "\n".join(faults(copy))
    assert expected in found if expected else not found  # a test take's mel is in no statistic


def test_validate_finds_truncated_and_missing_files(copy, capsys):
    shard = copy / "shard-000.h5"
    shard.write_bytes(shard.read_bytes()[:-4000])
    with pytest.raises(SystemExit) as stop:
        tool.main(["validate", str(copy)])
    printed = capsys.readouterr().out
    assert (
        stop.value.code == 1
        and "not a readable shard" in printed
        and "take 20260101_001 of shard-000.h5 is in no readable shard" in printed
    )
    shard.unlink()
    (copy / "stats.json").unlink()
    assert len(faults(copy)) == 3


def test_validate_finds_a_shard_that_the_index_lacks(tiny, copy):
    (copy / "shard-001.h5").unlink()
    index.run(shards=shard_file.shard_paths(copy), index=copy / "index.parquet", stats=copy / "stats.json")
    build_shard(tiny, copy / "shard-001.h5", ["20260102_001"])
    found = "\n".join(faults(copy))
    assert "take 20260102_001 of shard-001.h5 is not listed" in found and "takes is 1, need 2" in found


def test_validate_compares_with_what_lies_beside_the_shards(folder, halves, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "run" / "shards")
    assert validate.validate(tmp_path / "run" / "shards") == []
    (halves["annotations"] / "actions" / "20260101_001_001.npy").unlink()
    assert "actions/20260101_001_001.npy is missing" in "\n".join(
        validate.validate(tmp_path / "run" / "shards")
    )
    with pytest.raises(SystemExit) as stop:
        tool.main(["validate", str(folder), "--features", str(tmp_path / "none")])
    assert stop.value.code == 2 and "no such folder" in capsys.readouterr().err


def test_validate_finds_a_changed_source(folder, halves):
    assert validate.validate(folder, **halves) == []
    path = halves["dataset"] / "face_arkit" / "20260102_002_001.npy"
    np.save(path, np.load(path) + 1e-6)
    assert validate.validate(folder, **halves) == [
        f"{folder / 'shard-001.h5'}: source {path} has changed since; build the shard again"
    ]


def test_validate_finds_a_take_that_no_shard_holds(tiny, folder, halves):
    table = halves["dataset"] / "takes.tsv"
    table.write_text(
        table.read_text()
        + table.read_text()
        .splitlines()[-1]
        .replace("20260102\t001", "20260102\t007")
        .replace("20260102_001", "20260102_007")
        + "\n"
    )
    assert validate.validate(folder, **halves) == [
        f"take 20260102_007 of {halves['dataset']} is in no readable shard"
    ]


@pytest.mark.parametrize("stream", ["body", "face", "action", "audio"])
def test_validate_finds_actors_that_changed_places(tiny, copy, stream):
    def swap(f):
        f[stream][...] = f[stream][()][:, ::-1]

    change(copy / "shard-000.h5", swap)
    found = "\n".join(
        validate.validate(copy, dataset=tiny.dataset, annotations=tiny.annotations, features=tiny.features)
    )
    assert (
        f"take 20260101_001: {stream} has the two actors in the wrong order" in found
        and "take 20260101_002" in found
    )


def test_validate_finds_rows_that_are_not_those_of_the_source(tiny, copy):
    change(copy / "shard-000.h5", put("body", (70, 1, 5), 0.25))
    found = validate.validate(copy, features=tiny.features)
    assert found == [
        f"{copy / 'shard-000.h5'}: take 20260101_002: body is not that of its sources; build the shard again"
    ]


def test_validate_finds_statistics_of_another_split(tiny, copy):
    for name, splits in (("shard-000.h5", ["train", "train"]), ("shard-001.h5", ["train"])):
        takes = [take for take in SPLITS if (take < "20260102") == (name == "shard-000.h5")]
        parts = build.sources(tiny.dataset, tiny.annotations, tiny.features, takes, tiny.text)
        build.build(parts, splits, copy / name)
    found = "\n".join(faults(copy))
    assert "split is 'test', the shard says 'train'" in found
    index.run(shards=shard_file.shard_paths(copy), index=copy / "index.parquet", stats=copy / "other.json")
    found = "\n".join(faults(copy))
    assert "takes is 2, need 3" in found and "std of body is not that of the train takes" in found


def in_row(take: str, old: str, new: str):
    """The edit of a table that changes a cell of a take's row."""

    def edit(path):
        lines = path.read_text().splitlines(keepends=True)
        changed = [line.replace(old, new) if line.startswith(take) else line for line in lines]
        assert changed != lines
        path.write_text("".join(changed))

    return edit


def without_labels(path):
    index.run(shards=shard_file.shard_paths(path.parent), index=path)


def moved(path):
    plan = json.loads(path.read_text())
    plan[0], plan[1] = plan[1], plan[0]
    path.write_text(json.dumps(plan))


@pytest.mark.parametrize(
    ("name", "edit", "line"),
    [
        (
            "dataset/takes.tsv",
            in_row("20260101_002", "Joy é", "Anger"),
            "take 20260101_002: emotion is 'Joy é', {run}/dataset says 'Anger'",
        ),
        (
            "dataset/takes.tsv",
            in_row("20260101_002", "\t001\t002\t", "\t001\t003\t"),
            "actors are 001 002, {run}/dataset says 001 003",
        ),
        (
            "dataset/takes.tsv",
            in_row("20260101_002", "\t\t\t\n", "\ttrain\t\t\n"),
            "split is test, {run}/dataset says train",
        ),
        (
            "annotations/split.tsv",
            in_row("20260101_002", "test", "train"),
            "split is test, {run}/annotations/split.tsv says train",
        ),
        (
            "annotations/split.tsv",
            in_row("20260101_002", "20260101_002", "20260101_009"),
            "split is test, {run}/annotations/split.tsv says nothing",
        ),
        (
            "annotations/split.tsv",
            in_row("20260101_002", "test", "val"),
            "split is 'val', need train or test",
        ),
        (
            "annotations/split.tsv",
            in_row("20260101_002", "20260101_002", "../x"),
            "take is '../x', need <date>_<scenario>",
        ),
        ("shards/plan.json", moved, "shard-000.h5: take 20260101_001 is of shard-001.h5 in"),
        ("shards/plan.json", lambda path: path.write_text('[["../x"]]'), "take is '../x'"),
        ("shards/plan.json", lambda path: path.write_text('{"a": 1}'), "need a list"),
        ("shards/index.parquet", without_labels, "take 20260101_001: relationship is None"),
        ("shards/stats.json", lambda path: path.write_text('{"takes": 1}'), "takes is 1, need 2"),
        (
            "shards/stats.json",
            lambda path: path.write_text('{"body": {"mean": ["x"], "std": [1]}}'),
            "body holds 'x', need numbers",
        ),
        (
            "shards/stats.json",
            lambda path: path.write_text('{"body": {"mean": 1}}'),
            "body has no mean and std of one length",
        ),
        ("shards/stats.json", lambda path: path.write_text("[]"), "got a list, need an object"),
    ],
)
def test_validate_compares_all_that_is_stored_twice(folder, halves, tmp_path, name, edit, line):
    run = tmp_path / "run"
    shutil.copytree(folder, run / "shards")
    (run / "shards" / "plan.json").write_text(json.dumps([list(SPLITS)[:2], list(SPLITS)[2:]]))
    write_tsv(
        run / "annotations" / "split.tsv",
        ["take", "split"],
        [{"take": take, "split": side} for take, side in SPLITS.items()],
    )
    assert validate.validate(run / "shards") == []
    edit(run / name)
    found = validate.validate(run / "shards")
    assert any(line.format(run=run) in fault for fault in found), found
    assert all("\n" not in fault for fault in found)


@pytest.mark.parametrize("stream", ["text", "text_index"])
def test_validate_compares_words_with_their_source(copy, halves, stream):
    assert validate.validate(copy, **halves) == []

    def shift(f):
        f[stream][...] = np.roll(f[stream][()], 1, axis=0)

    change(copy / "shard-000.h5", shift)
    assert any("text is not that of its sources" in fault for fault in validate.validate(copy, **halves))
