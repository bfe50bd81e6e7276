import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import refused
from helpers.tiny_release import make_release
from helpers.tiny_shoot import make_lip_acc

from pipeline import config, ownership
from pipeline.annotate import actions, facing, split
from pipeline.capture import dataset, lip_acc
from pipeline.files import read_tsv, sha256, write_json
from pipeline.formats import database
from pipeline.formats.takes import dataset_takes
from pipeline.release import ingest
from pipeline.release import takes as release_takes
from pipeline.release import write as release
from pipeline.release.check import inspect
from pipeline.shards import build, features, text


def write_split(root, data):
    split.main(["--takes", str(data / "takes.tsv"), "--out", str(root / "annotations/split.tsv")])
    return root / "annotations/split.tsv"


@pytest.fixture(scope="module")
def root(captured, tmp_path_factory):
    """The tiny shoot's dataset and split, copied, with its release under release/."""
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(captured / "dataset", root / "dataset")
    table = write_split(root, root / "dataset")
    (root / "CONSENT.md").write_text("Both signed for publication.\n")
    release.main(
        [
            "--dataset",
            str(root / "dataset"),
            "--split",
            str(table),
            "--consent",
            str(root / "CONSENT.md"),
            "--out",
            str(root / "release"),
        ]
    )
    return root


def make_shard(root: Path, data: Path) -> Path:
    """Annotations, features and the one shard of a dataset, by the stages; words are made up."""
    takes = dataset_takes(data)
    notes, made = root / "annotations", root / "features"
    words: list[Path] = []
    sides = split.assign([take.row for take in takes], {}, test_share=33 / 241, seed=0)
    for take in takes:
        bvh, wav = (
            [data / kind / f"{name}.{end}" for name in take.performances]
            for kind, end in (("bvhs", "bvh"), ("wav", "wav"))
        )
        for stage, options in ((actions, config.Actions()), (facing, config.Facing())):
            kind = stage.__name__.rpartition(".")[2]
            stage.run(
                bvh=bvh, out=[notes / kind / f"{name}.npy" for name in take.performances], options=options
            )
        spoken = [notes / "transcripts" / f"{name}.json" for name in take.performances]
        for path in spoken:
            write_json(
                path, {"words": [{"word": path.stem[-1], "start": 0.2, "end": 0.5, "confidence": 1.0}]}
            )
        features.run(bvh=bvh, wav=wav, out=made / f"{take.name}.h5", options=config.Features())
        words += spoken
    out, names = root / "shards/shard-000.h5", [take.name for take in takes]
    text.run(transcripts=words, takes=names, out=made / "shard-000.text.h5", options=config.Text())
    folders = {"dataset": data, "annotations": notes, "features": made}
    build.run(
        **folders, takes=names, splits=[sides[name] for name in names], out=out, options=config.Shards()
    )
    return out


def take_in(download: Path, root: Path) -> Path:
    """root/dataset of a download, by the stages."""
    takes = dataset_takes(download)
    for take in takes:
        for name in (take.performances, take.performances[::-1]):
            files = {
                kind: [download / folder / f"{n}.{end}" for n in name]
                for kind, folder, end in (
                    ("bvh", "bvhs", "bvh"),
                    ("face", "face_arkit", "npy"),
                    ("wav", "wav", "wav"),
                )
            }
            outs = {
                f"out_{kind}": root / "dataset" / paths[0].relative_to(download)
                for kind, paths in files.items()
            }
            ingest.run(
                **files,
                **outs,
                out_report=root / "annotations/release_in" / f"{name[0]}.json",
                options=config.ReleaseIn(),
            )
    genders = {"actors": [download / "actors.db"], "out_actors": [root / "dataset/actors.db"]}
    release_takes.run(
        dataset=download,
        takes=[take.name for take in takes],
        exclude=[],
        reports=root / "annotations",
        out=root / "dataset/takes.tsv",
        **genders,
    )
    assert database.rows(root / "dataset", "actors.db", "actors") == database.rows(
        download, "actors.db", "actors"
    )
    return root / "dataset"


def test_shoot_to_release_to_shards_is_shoot_to_shards(root, tmp_path):
    of_shoot = make_shard(tmp_path / "shoot", root / "dataset").read_bytes()
    of_release = make_shard(
        tmp_path / "release", take_in(root / "release", tmp_path / "release")
    ).read_bytes()
    assert of_release == of_shoot


def test_a_release_without_our_own_tables_gives_the_same_shards(root, tmp_path):
    public = shutil.copytree(
        root / "release",
        tmp_path / "public",
        ignore=shutil.ignore_patterns("takes.tsv", "dataset.json", "rigs", "SHA256SUMS"),
    )
    of_shoot = make_shard(tmp_path / "shoot", root / "dataset").read_bytes()
    assert (
        make_shard(tmp_path / "public-out", take_in(public, tmp_path / "public-out")).read_bytes() == of_shoot
    )


def test_a_release_is_whole_and_passes_its_check(root):
    found = {
        str(path.relative_to(root / "release")) for path in (root / "release").rglob("*") if path.is_file()
    }
    data = {
        str(path.relative_to(root / "dataset"))
        for path in (root / "dataset").rglob("[!.]*")
        if path.is_file()
    }
    assert found == data | {"README.md", "SHA256SUMS"}
    assert [str(finding) for finding in inspect(root / "release", config.ReleaseIn()) if finding.kind] == []
    sums = dict(line.split("  ")[::-1] for line in (root / "release/SHA256SUMS").read_text().splitlines())
    assert set(sums) == found - {"SHA256SUMS"} and all(
        sha256(root / "release" / name) == digest for name, digest in sums.items()
    )


def test_the_split_of_a_release_is_the_frozen_one(root):
    frozen = {row["take"]: row["split"] for row in read_tsv(root / "annotations/split.tsv")[1]}
    assert {take.name: take.row["split"] for take in dataset_takes(root / "release")} == frozen and set(
        frozen.values()
    ) == {"train", "test"}


def test_the_card_says_who_what_and_under_which_terms(root):
    card = (root / "release/README.md").read_text()
    for text_ in (
        "2 takes, 4 performances", "| subjects | 2: 1 female, 1 male |",
        "2: 1 train, 1 test; by take, actors are in both by design",
        "bodies and faces 30 fps, voices 48000 Hz", "| joints | 16, cm, degrees |", "51 ARKit weights",
        "Both signed for publication.", "## Licence\n\nunspecified", "## Limits",
    ):  # fmt: skip
        assert text_ in card
    assert "face_ict" not in card and "lip_acc" not in card


def test_a_release_without_a_consent_file_says_so(root, tmp_path):
    release.main(
        [
            "--dataset",
            str(root / "dataset"),
            "--split",
            str(root / "annotations/split.tsv"),
            "--out",
            str(tmp_path / "release"),
        ]
    )
    assert "## Consent\n\nnot stated\n" in (tmp_path / "release/README.md").read_text()


def test_a_second_release_has_the_same_bytes_and_nothing_of_takes_that_are_gone(root, tmp_path, capsys):
    out = tmp_path / "release"
    arguments = [
        "--dataset",
        root / "dataset",
        "--split",
        root / "annotations/split.tsv",
        "--out",
        out,
    ]
    release.main(list(map(str, arguments)))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    extra = out / "wav/20250101_001_001.wav"
    extra.write_bytes(b"of another hand, or of a take that is excluded now")
    refused(
        release.main, arguments, capsys, f"{extra.name}: is not in the dataset, and no release put it there"
    )
    assert extra.exists()
    listed = ownership.read_mark(out, beside=True)["files"]
    ownership.write_mark(out, beside=True, files=[*listed, str(extra.relative_to(out))])
    release.main(list(map(str, arguments)))
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["README.md", "SHA256SUMS", "wav/20260101_001_001.wav", "notes.txt"])
def test_nothing_is_written_into_a_folder_of_another_hand(root, tmp_path, capsys, name):
    out = tmp_path / "interact"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    arguments = [
        "--dataset",
        root / "dataset",
        "--split",
        root / "annotations/split.tsv",
        "--out",
        out,
    ]
    refused(release.main, arguments, capsys, "no mark beside it says that this pipeline wrote it")
    assert [path for path in out.rglob("*") if path.is_file()] == [out / name] and (
        out / name
    ).read_text() == "mine"


def test_a_release_does_not_change_the_dataset(root, tmp_path):
    path = root / "dataset/wav/20260101_001_001.wav"
    path.chmod(0o400)
    release.main(
        [
            "--dataset",
            str(root / "dataset"),
            "--split",
            str(root / "annotations/split.tsv"),
            "--out",
            str(tmp_path / "release"),
        ]
    )
    assert path.stat().st_mode & 0o777 == 0o400
    path.chmod(0o644)


def test_a_faulty_dataset_makes_no_release(root, tmp_path, capsys):
    data = shutil.copytree(root / "dataset", tmp_path / "dataset")
    path = data / "face_arkit/20260101_001_001.npy"
    np.save(path, np.load(path)[:, :50])
    arguments = [
        "--dataset",
        data,
        "--split",
        root / "annotations/split.tsv",
        "--out",
        tmp_path / "release",
    ]
    line = refused(
        release.main,
        arguments,
        capsys,
        "faults, the first is face_arkit/20260101_001_001.npy: width: got float32",
    )
    assert "mend the dataset" in line and not (tmp_path / "release/SHA256SUMS").exists()


def test_a_take_without_its_split_makes_no_release(root, tmp_path, capsys):
    (tmp_path / "split.tsv").write_text("take\tsplit\n20260101_001\ttrain\n")
    arguments = [
        "--dataset",
        root / "dataset",
        "--split",
        tmp_path / "split.tsv",
        "--out",
        tmp_path / "release",
    ]
    refused(
        release.main,
        arguments,
        capsys,
        "no train or test for take 20260101_002",
        outputs=[tmp_path / "release/README.md"],
    )


def test_the_reader_of_the_lip_accurate_set_is_an_actor_of_the_release(shoot, captured, tmp_path):
    folder = shutil.copytree(shoot.folder, tmp_path / "shoot")
    make_lip_acc(folder)
    data = shutil.copytree(captured / "dataset", tmp_path / "dataset")
    for name in ("20260102_003_1", "20260102_003_3"):
        for kind, end in (("face_arkit", "npy"), ("wav", "wav")):
            (data / "lip_acc" / kind).mkdir(parents=True, exist_ok=True)
            shutil.copy(data / kind / f"20260101_001_001.{end}", data / "lip_acc" / kind / f"{name}.{end}")
    ownership.write_mark(data)
    dataset.run(shoot=folder, sync=captured / "annotations/sync", out=data)
    lip_acc.run(shoot=folder, reports=tmp_path, out=data / "lip_acc")
    release.main(
        [
            "--dataset",
            str(data),
            "--split",
            str(write_split(tmp_path, data)),
            "--out",
            str(tmp_path / "release"),
        ]
    )
    card = (tmp_path / "release/README.md").read_text()
    assert "| subjects | 3: 1 female, 2 male |" in card and "2 sentences" in card
    assert (tmp_path / "release/lip_acc/lip_acc_sentences.txt").exists()


def test_takes_of_a_download_are_left_out_by_name(tmp_path, capsys):
    names = make_release(tmp_path / "interact", num_takes=3, seconds=0.5)
    (tmp_path / "interact/bvhs/notes.bvh").write_text("")
    next((tmp_path / "interact/bvhs").glob("*_003.bvh")).unlink()
    out = tmp_path / "out/takes.tsv"
    arguments = [
        "--dataset",
        tmp_path / "interact",
        "--reports",
        tmp_path / "reports",
        "--out",
        out,
        "--takes",
        *names[:2],
    ]
    refused(
        release_takes.main,
        arguments,
        capsys,
        f"take {names[2]} has 1 performances",
        f"add {names[2]} to exclude",
        outputs=[out],
    )
    refused(
        release_takes.main,
        [*arguments, "--exclude", names[2]],
        capsys,
        "notes.bvh: name is not",
        "add notes to exclude",
        outputs=[out],
    )
    refused(
        release_takes.main,
        [*arguments, "--exclude", names[2], "notes", "20231101_00"],
        capsys,
        "exclude: '20231101_00' is no take",
        "did you mean",
    )
    (tmp_path / "out/wav").mkdir(parents=True)
    left = tmp_path / "out/wav" / f"{names[2][:8]}_003_003.wav"
    left.write_bytes(b"left")
    refused(
        release_takes.main,
        [*arguments, "--exclude", names[2], "notes"],
        capsys,
        f"{left.name}: its performance is not in the download",
    )
    (tmp_path / "reports/release_in").mkdir(parents=True)
    (tmp_path / "reports/release_in" / f"{left.stem}.json").write_text("{}")
    release_takes.main([str(word) for word in [*arguments, "--exclude", names[2], "notes"]])
    assert [row["take"] for row in read_tsv(out)[1]] == names[:2] and not list(
        (tmp_path / "out/wav").iterdir()
    )
