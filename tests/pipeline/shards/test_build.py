import json
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from helpers.commands import refused

from pipeline.config import Shards
from pipeline.errors import InputError
from pipeline.files import write_tsv
from pipeline.formats import shard_file
from pipeline.formats.bvh import load_bvh
from pipeline.formats.takes import TAKE_COLUMNS
from pipeline.formats.voice_file import read_wav
from pipeline.motion.clock import sample_of
from pipeline.motion.skeleton import forward_kinematics
from pipeline.shards import build as shards
from pipeline.shards import index as shard_index
from pipeline.shards import stats as shard_stats
from pipeline.shards import tools as shard_tools
from pipeline.shards.plan import extend, plan
from pipeline.signals.resampling import resample

SPLITS = {"20260101_001": "train", "20260101_002": "test", "20260102_001": "train"}


def build(tiny, out: Path, takes: list[str], **options) -> Path:
    folders = {"dataset": tiny.dataset, "annotations": tiny.annotations, "features": tiny.features}
    shards.run_build(
        **folders,
        takes=takes,
        splits=[SPLITS[take] for take in takes],
        out=out,
        text=tiny.text,
        options=Shards(**options),
    )
    return out


@pytest.fixture(scope="session")
def folder(tiny, tmp_path_factory) -> Path:
    """Two shards with index and statistics."""
    folder = tmp_path_factory.mktemp("shards")
    takes = list(tiny.takes)
    build(tiny, folder / "shard-000.h5", takes[:2])
    build(tiny, folder / "shard-001.h5", takes[2:])
    paths = shard_file.shard_paths(folder)
    shard_index.run(
        shards=paths, index=folder / "index.parquet", stats=folder / "stats.json", dataset=tiny.dataset
    )
    return folder


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    """A copy of `folder` that a test may break."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_plan_is_frozen():
    first = plan(["c", "a", "b", "d", "e"], [], 2)
    assert first == [["a", "b"], ["c", "d"], ["e"]]
    assert plan(["0", "a", "b", "c", "d", "e", "f"], first, 2) == [*first, ["0", "f"]]
    assert plan(["a", "e"], first, 2) == [["a"], [], ["e"]]
    assert extend(["a", "e"], first, 2) == first
    assert plan(["a"], first, 3) == [["a"], [], []]


def test_arrays_come_back(tiny, folder):
    shard = shard_file.Shard(folder / "shard-000.h5")
    assert [span.take for span in shard.takes] == list(SPLITS)[:2]
    for span in shard.takes:
        part = slice(span.start_frame, span.stop_frame)
        assert span.stop_frame - span.start_frame == tiny.takes[span.take]
        assert span.stop_sample - span.start_sample == round(tiny.takes[span.take] * 16000 / 30)
        with h5py.File(tiny.features / f"{span.take}.h5") as f:
            for name in ("body", "root", "mel"):
                np.testing.assert_array_equal(shard[name][part], f[name][()])
            np.testing.assert_array_equal(
                shard["audio"][span.start_sample : span.stop_sample], f["audio"][()]
            )
        for actor, performance in enumerate(span.performances):
            np.testing.assert_array_equal(
                shard["face"][part, actor], np.load(tiny.dataset / "face_arkit" / f"{performance}.npy")
            )
            np.testing.assert_array_equal(
                shard["action"][part, actor], np.load(tiny.annotations / "actions" / f"{performance}.npy")
            )


def test_words_keep_their_rows(tiny, folder):
    shard = shard_file.Shard(folder / "shard-000.h5")
    span = shard.takes[1]
    with h5py.File(tiny.text) as f:
        actor, start, text = (f[span.take][name][()] for name in ("actor", "start", "text"))
    for row in range(len(text)):
        frame = span.start_frame + int(np.floor(start[row] * 30 + 0.5))
        found = shard["text_index"][frame, actor[row]]
        later = [
            other
            for other in range(len(text))
            if actor[other] == actor[row] and start[row] < start[other] < start[row] + 0.05
        ]
        assert later or np.array_equal(shard["text"][found], text[row])


def test_text_frames_rounds_and_gives_short_words_a_frame():
    index = shard_file.text_frames(
        np.array([0, 1, 0]), np.array([0.0, 0.1, 0.15]), np.array([0.2, 0.1, 9.0]), 8
    )
    np.testing.assert_array_equal(index[:, 0], [0, 0, 0, 0, 0, 2, 2, 2])
    np.testing.assert_array_equal(index[:, 1], [-1, -1, -1, 1, -1, -1, -1, -1])


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_same_bytes_and_same_values(tiny, folder, tmp_path, compression):
    takes = list(tiny.takes)[:2]
    one, two = (
        build(tiny, tmp_path / name, takes, compression=compression, chunk_frames=16)
        for name in ("a.h5", "b.h5")
    )
    assert one.read_bytes() == two.read_bytes()
    reference, found = shard_file.Shard(folder / "shard-000.h5"), shard_file.Shard(one)
    for name in [*shard_file.STREAMS, "text", "audio"]:
        np.testing.assert_array_equal(reference[name][3:], found[name][3:])
        assert isinstance(getattr(found[name], "base", None), np.memmap) == (compression == "none")


def test_shard_can_be_pickled(folder):
    shard = shard_file.Shard(folder / "shard-000.h5")
    shard["body"][0]
    again = pickle.loads(pickle.dumps(shard))
    np.testing.assert_array_equal(again["body"][5:9], shard["body"][5:9])
    assert again.takes == shard.takes


def test_statistics_are_those_of_the_train_takes(folder):
    stats = json.loads((folder / "stats.json").read_text())
    opened = shard_file.open_shards(folder)
    parts = [(shard, span) for shard in opened for span in shard.takes if span.split == "train"]
    assert (stats["takes"], stats["frames"]) == (2, 111)
    for name in ("body", "face", "mel"):
        rows = np.concatenate(
            [
                shard[name][span.start_frame : span.stop_frame].reshape(-1, shard[name].shape[-1])
                for shard, span in parts
            ]
        ).astype(float)
        np.testing.assert_allclose(stats[name]["mean"], rows.mean(0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(stats[name]["std"], rows.std(0), rtol=1e-9, atol=1e-12)
    assert len(stats["relative_root"]["mean"]) == 4 and len(stats["text"]["std"]) == 384


def test_moments_merge_without_loss():
    rows = np.random.default_rng(0).normal(1e6, 1.0, (1000, 3))
    moments = shard_stats.Moments()
    for part in np.array_split(rows, [1, 1, 10, 500]):
        moments.add(part)
    np.testing.assert_allclose(moments.as_dict(3)["std"], rows.std(0), rtol=1e-9)
    np.testing.assert_allclose(moments.as_dict(3)["mean"], rows.mean(0), rtol=1e-12)


def test_export_gives_the_dataset_back(tiny, folder, tmp_path):
    shards.main(
        [
            "export",
            str(folder / "shard-001.h5"),
            "--take",
            "20260102_001",
            "--frames",
            "7:31",
            "--out",
            str(tmp_path),
        ]
    )
    for performance in ("20260102_001_001", "20260102_002_001"):
        was, now = (load_bvh(root / "bvhs" / f"{performance}.bvh") for root in (tiny.dataset, tmp_path))
        assert now.num_frames == 24 and now.fps == 30
        np.testing.assert_allclose(
            forward_kinematics(now)[0], forward_kinematics(was)[0][7:31], atol=0.005
        )  # 0.05 mm
        np.testing.assert_allclose(now.offsets_cm, was.offsets_cm, atol=1e-5)
        np.testing.assert_array_equal(
            np.load(tmp_path / "face_arkit" / f"{performance}.npy"),
            np.load(tiny.dataset / "face_arkit" / f"{performance}.npy")[7:31],
        )
        audio, rate = soundfile.read(tmp_path / "wav" / f"{performance}.wav", dtype="float32")
        whole = resample(
            *read_wav(tiny.dataset / "wav" / f"{performance}.wav"), int(sample_of(tiny.takes["20260102_001"]))
        )
        assert rate == 16000
        np.testing.assert_array_equal(audio, whole[sample_of(7) : sample_of(31)])


def test_export_replaces_only_what_it_exported(folder, tmp_path, capsys):
    command = [
        "export",
        str(folder / "shard-001.h5"),
        "--take",
        "20260102_001",
        "--frames",
        "7:31",
        "--out",
        str(tmp_path / "out"),
    ]
    shards.main(command)
    shards.main(command)
    shutil.copytree(tmp_path / "out", tmp_path / "dataset")
    with pytest.raises(SystemExit) as stop:
        shards.main([*command[:-1], str(tmp_path / "dataset")])
    assert stop.value.code == 2 and ".bvh: is there, and nothing in" in capsys.readouterr().err


@pytest.mark.parametrize("frames", ["5", "9:3", "0:9999", "a:b"])
def test_export_refuses_frames(folder, tmp_path, capsys, frames):
    with pytest.raises(SystemExit) as stop:
        shards.main(
            [
                "export",
                str(folder / "shard-001.h5"),
                "--take",
                "20260102_001",
                "--frames",
                frames,
                "--out",
                str(tmp_path),
            ]
        )
    assert stop.value.code == 2 and "need A:B" in capsys.readouterr().err


def test_inspect_prints_and_plots(folder, tmp_path, capsys):
    shards.main(["inspect", str(folder / "shard-000.h5"), "--plot", str(tmp_path / "a.png")])
    printed = capsys.readouterr().out
    assert "(101, 2, 36)" in printed and "@format_version: 2" in printed and "20260101_002" in printed
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def faults(folder: Path) -> list[str]:
    return shard_tools.validate(folder)


def change(path: Path, edit) -> None:
    with h5py.File(path, "r+") as f:
        edit(f)


def put(name, row, value):
    def edit(f):
        f[name][row] = value

    return edit


def test_validate_passes_what_is_whole(folder, capsys):
    shards.main(["validate", str(folder)])
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
        shards.main(["validate", str(copy)])
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
    shard_index.run(
        shards=shard_file.shard_paths(copy), index=copy / "index.parquet", stats=copy / "stats.json"
    )
    build(tiny, copy / "shard-001.h5", ["20260102_001"])
    found = "\n".join(faults(copy))
    assert "take 20260102_001 of shard-001.h5 is not listed" in found and "takes is 1, need 2" in found


@pytest.fixture
def halves(tiny, tmp_path) -> dict[str, Path]:
    """Copies of the folders that the shards were built from."""
    return {
        name: Path(shutil.copytree(getattr(tiny, name), tmp_path / "run" / name))
        for name in shard_tools.HALVES
    }


def test_validate_compares_with_what_lies_beside_the_shards(folder, halves, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "run" / "shards")
    assert shard_tools.validate(tmp_path / "run" / "shards") == []
    (halves["annotations"] / "actions" / "20260101_001_001.npy").unlink()
    assert "actions/20260101_001_001.npy is missing" in "\n".join(
        shard_tools.validate(tmp_path / "run" / "shards")
    )
    with pytest.raises(SystemExit) as stop:
        shards.main(["validate", str(folder), "--features", str(tmp_path / "none")])
    assert stop.value.code == 2 and "no such folder" in capsys.readouterr().err


def test_validate_finds_a_changed_source(folder, halves):
    assert shard_tools.validate(folder, **halves) == []
    path = halves["dataset"] / "face_arkit" / "20260102_002_001.npy"
    np.save(path, np.load(path) + 1e-6)
    assert shard_tools.validate(folder, **halves) == [
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
    assert shard_tools.validate(folder, **halves) == [
        f"take 20260102_007 of {halves['dataset']} is in no readable shard"
    ]


@pytest.mark.parametrize("stream", ["body", "face", "action", "audio"])
def test_validate_finds_actors_that_changed_places(tiny, copy, stream):
    def swap(f):
        f[stream][...] = f[stream][()][:, ::-1]

    change(copy / "shard-000.h5", swap)
    found = "\n".join(
        shard_tools.validate(copy, dataset=tiny.dataset, annotations=tiny.annotations, features=tiny.features)
    )
    assert (
        f"take 20260101_001: {stream} has the two actors in the wrong order" in found
        and "take 20260101_002" in found
    )


def test_validate_finds_rows_that_are_not_those_of_the_source(tiny, copy):
    change(copy / "shard-000.h5", put("body", (70, 1, 5), 0.25))
    found = shard_tools.validate(copy, features=tiny.features)
    assert found == [
        f"{copy / 'shard-000.h5'}: take 20260101_002: body is not that of its sources; build the shard again"
    ]


def test_validate_finds_statistics_of_another_split(tiny, copy):
    for name, splits in (("shard-000.h5", ["train", "train"]), ("shard-001.h5", ["train"])):
        takes = [take for take in SPLITS if (take < "20260102") == (name == "shard-000.h5")]
        parts = shards.sources(tiny.dataset, tiny.annotations, tiny.features, takes, tiny.text)
        shards.build(parts, splits, copy / name)
    found = "\n".join(faults(copy))
    assert "split is 'test', the shard says 'train'" in found
    shard_index.run(
        shards=shard_file.shard_paths(copy), index=copy / "index.parquet", stats=copy / "other.json"
    )
    found = "\n".join(faults(copy))
    assert "takes is 2, need 3" in found and "std of body is not that of the train takes" in found


def test_index_rows(folder):
    rows = shard_index.read_index(folder / "index.parquet")
    assert [(row["take"], row["shard"], row["split"]) for row in rows] == [
        ("20260101_001", "shard-000.h5", "train"), ("20260101_002", "shard-000.h5", "test"), ("20260102_001", "shard-001.h5", "train"),
    ]  # fmt: skip
    assert rows[1]["start_frame"] == 61 and rows[1]["start_sample"] == 32533


def test_statistics_need_a_train_take(tiny, tmp_path):
    build(tiny, tmp_path / "shard-000.h5", ["20260101_002"])
    with pytest.raises(InputError, match="no take in the train split"):
        shard_index.run(shards=[tmp_path / "shard-000.h5"], index=tmp_path / "i", stats=tmp_path / "s")


def test_build_refuses_arrays_that_disagree(tiny, tmp_path):
    annotations = Path(shutil.copytree(tiny.annotations, tmp_path / "annotations"))
    np.save(annotations / "facing" / "20260101_002_001.npy", np.zeros(60, np.uint8))
    parts = shards.sources(tiny.dataset, annotations, tiny.features, ["20260101_001"], tiny.text)
    with pytest.raises(InputError, match=r"20260101_002_001.npy: got shape \(60,\), need \(61,\)"):
        shards.build(parts, ["train"], tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()
    (annotations / "facing" / "20260101_002_001.npy").unlink()
    with pytest.raises(InputError, match="is missing"):
        shards.sources(tiny.dataset, annotations, tiny.features, ["20260101_001"], tiny.text)


def test_a_take_may_have_no_words(tiny, tmp_path):
    features = Path(shutil.copytree(tiny.features, tmp_path / "features"))
    with h5py.File(features / tiny.text.name, "r+") as f:
        words = f["20260101_001"]
        for name in ("text", "actor", "start", "end"):
            values = words[name][:0]
            del words[name]
            words[name] = values
    shards.build(
        shards.sources(tiny.dataset, tiny.annotations, features, ["20260101_001"], features / tiny.text.name),
        ["train"],
        tmp_path / "shard-000.h5",
    )
    shard = shard_file.Shard(tmp_path / "shard-000.h5")
    assert len(shard["text"]) == 0 and (shard["text_index"][:] == -1).all()
    shard_index.run(shards=[shard.path], index=tmp_path / "index.parquet", stats=tmp_path / "stats.json")
    assert shard_tools.validate(tmp_path) == []


@pytest.mark.parametrize("name", ["20260101_001.h5", "tiny.text.h5"])
def test_features_that_are_cut_short_are_named(tiny, tmp_path, capsys, name):
    features = Path(shutil.copytree(tiny.features, tmp_path / "features"))
    (features / name).write_bytes((features / name).read_bytes()[:3000])
    flags = [
        "--dataset",
        tiny.dataset,
        "--annotations",
        tiny.annotations,
        "--features",
        features,
        "--text",
        features / tiny.text.name,
    ]
    flags += ["--takes", "20260101_001", "--splits", "train", "--out", tmp_path / "a.h5"]
    refused(
        shards.main,
        ["build", *flags],
        capsys,
        f"{features / name}: not a readable HDF5 file",
        outputs=[tmp_path / "a.h5"],
    )


def test_words_of_another_shard_are_refused(tiny, tmp_path):
    with h5py.File(tiny.text) as source, h5py.File(tmp_path / "other.text.h5", "w") as target:
        source.copy("20260101_001", target)
        target.attrs.update(source.attrs)
    parts = shards.sources(
        tiny.dataset,
        tiny.annotations,
        tiny.features,
        ["20260101_001", "20260101_002"],
        tmp_path / "other.text.h5",
    )
    with pytest.raises(
        InputError, match="other.text.h5: no words of take 20260101_002; write it for all takes of the shard"
    ):
        shards.build(parts, ["train", "test"], tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize(
    ("kind", "value"), [("actions", 3), ("actions", -300), ("facing", 2), ("facing", 0.5)]
)
def test_build_refuses_labels_that_are_none(tiny, tmp_path, kind, value):
    annotations = Path(shutil.copytree(tiny.annotations, tmp_path / "annotations"))
    labels = np.load(annotations / kind / "20260101_002_001.npy").astype(type(value))
    labels[5] = value
    np.save(annotations / kind / "20260101_002_001.npy", labels)
    parts = shards.sources(tiny.dataset, annotations, tiny.features, ["20260101_001"], tiny.text)
    with pytest.raises(
        InputError, match=f"20260101_002_001.npy: label {value} at frame 5, need whole numbers from 0"
    ):
        shards.build(parts, ["train"], tmp_path / "a.h5")


def test_build_refuses_words_that_nobody_can_hear(tiny, tmp_path):
    features = Path(shutil.copytree(tiny.features, tmp_path / "features"))
    with h5py.File(features / tiny.text.name, "r+") as f:
        f["20260101_001/start"][-1], f["20260101_001/end"][-1] = 500.0, 500.4
    parts = shards.sources(
        tiny.dataset, tiny.annotations, features, ["20260101_001"], features / tiny.text.name
    )
    with pytest.raises(InputError, match="has a word at 500.00 s, its streams end at"):
        shards.build(parts, ["train"], tmp_path / "a.h5")


def test_build_takes_each_take_once(tiny, tmp_path):
    with pytest.raises(InputError, match="a take stands twice"):
        build(tiny, tmp_path / "a.h5", ["20260101_001", "20260101_001"])


def test_build_refuses_nan(tiny, tmp_path):
    dataset = Path(shutil.copytree(tiny.dataset, tmp_path / "dataset"))
    face = np.load(dataset / "face_arkit" / "20260101_001_001.npy")
    face[5, 2] = np.nan
    np.save(dataset / "face_arkit" / "20260101_001_001.npy", face)
    with pytest.raises(InputError, match="face has 1 rows with NaN, the first is 5"):
        shards.build(
            shards.sources(dataset, tiny.annotations, tiny.features, ["20260101_001"], tiny.text),
            ["train"],
            tmp_path / "a.h5",
        )


@pytest.mark.parametrize("splits", [["train"], ["train", "val"]])
def test_build_needs_a_split_for_each_take(tiny, tmp_path, splits):
    with pytest.raises(InputError, match="need train or test for each"):
        shards.run_build(
            dataset=tiny.dataset,
            annotations=tiny.annotations,
            features=tiny.features,
            takes=list(tiny.takes)[:2],
            splits=splits,
            out=tmp_path / "a.h5",
            options=Shards(),
        )


def test_command_line_plan(tmp_path, capsys):
    out = tmp_path / "plan.json"
    a, b, c, early = "20260102_a", "20260102_b", "20260102_c", "20260101_0"
    shards.main(["plan", "--takes", b, a, c, "--takes-per-shard", "2", "--out", str(out)])
    shards.main(["plan", "--takes", early, a, "--takes-per-shard", "2", "--out", str(out)])
    assert json.loads(out.read_text()) == [[a, b], [c], [early]]
    rows = [
        dict.fromkeys(TAKE_COLUMNS, "")
        | {
            "take": f"20260101_{s}",
            "date": "20260101",
            "scenario": s,
            "actor_a": "1",
            "actor_b": "2",
        }
        for s in "21"
    ]
    write_tsv(tmp_path / "takes.tsv", TAKE_COLUMNS, rows)
    shards.main(["plan", "--table", str(tmp_path / "takes.tsv"), "--out", str(out)])
    assert json.loads(out.read_text())[-1] == ["20260101_1", "20260101_2"]
    with pytest.raises(SystemExit):
        shards.main(["pack"])


def test_the_index_has_the_labels_and_no_shard_does(folder):
    """A corrected label makes another index and no other shard."""
    rows = shard_index.read_index(folder / "index.parquet")
    assert {row["emotion"] for row in rows} == {"Joy é"}
    assert not {"emotion", "relationship"} & {*shard_file.TAKE_FIELDS}
    assert b"Joy" not in (folder / "shard-000.h5").read_bytes()


def test_an_index_needs_the_dataset_of_its_shards(folder, halves, tmp_path, capsys):
    table = halves["dataset"] / "takes.tsv"
    table.write_text(
        "".join(line for line in table.read_text().splitlines(keepends=True) if "20260102_001" not in line)
    )
    arguments = [
        "index",
        "--shards",
        *shard_file.shard_paths(folder),
        "--dataset",
        halves["dataset"],
        "--index",
        tmp_path / "i.parquet",
    ]
    refused(
        shards.main,
        arguments,
        capsys,
        "take 20260102_001 is not among the takes of",
        outputs=[tmp_path / "i.parquet"],
    )


def in_row(take: str, old: str, new: str):
    """The edit of a table that changes a cell of a take's row."""

    def edit(path):
        lines = path.read_text().splitlines(keepends=True)
        changed = [line.replace(old, new) if line.startswith(take) else line for line in lines]
        assert changed != lines
        path.write_text("".join(changed))

    return edit


def without_labels(path):
    shard_index.run(shards=shard_file.shard_paths(path.parent), index=path)


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
    assert shard_tools.validate(run / "shards") == []
    edit(run / name)
    found = shard_tools.validate(run / "shards")
    assert any(line.format(run=run) in fault for fault in found), found
    assert all("\n" not in fault for fault in found)


@pytest.mark.parametrize("stream", ["text", "text_index"])
def test_validate_compares_words_with_their_source(copy, halves, stream):
    assert shard_tools.validate(copy, **halves) == []

    def shift(f):
        f[stream][...] = np.roll(f[stream][()], 1, axis=0)

    change(copy / "shard-000.h5", shift)
    assert any("text is not that of its sources" in fault for fault in shard_tools.validate(copy, **halves))


def test_an_index_of_another_kind_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "index.parquet"
    good = {"take": ["20260101_001"], "shard": ["shard-000.h5"]}
    pq.write_table(pa.table(good), path)
    assert shard_index.read_index(path) == [{"take": "20260101_001", "shard": "shard-000.h5"}]
    for columns, line in (
        (good | {"take": ["x/../../ESCAPED"]}, "take is 'x/../../ESCAPED'"),
        (good | {"take": pa.array([None], pa.string())}, "take is None"),
        (good | {"emotion": [["a"]]}, "column 'emotion' has type list"),
        (good | {"emotion": [b"a"]}, "column 'emotion' has type binary"),
        ({"take": ["20260101_001"]}, "no column shard"),
        ({"take": ["20260101_001"] * 2, "shard": ["a", "b"]}, "stands twice"),
        (good | {"shard": ["../shard-000.h5"]}, "has shard '../shard-000.h5'"),
        (good | {"start_frame": [-4]}, "has start_frame -4"),
    ):
        pq.write_table(pa.table(columns), path)
        with pytest.raises(InputError, match=line):
            shard_index.read_index(path)
    content = path.read_bytes()
    for number in range(200):
        flipped = bytearray(content)
        flipped[(number * 7919) % len(content)] ^= 1 << number % 8
        path.write_bytes(flipped)
        try:
            shard_index.read_index(path)
        except InputError as error:
            assert "\n" not in str(error)
