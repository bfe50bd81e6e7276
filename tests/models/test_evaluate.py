"""The table: what must be zero is, and every number is what the metrics say of the arrays.

Bad folders are named.
"""

import csv
import html
import json
import shutil

import numpy as np
import pytest

from models import baselines, data, evaluate, generate, metrics
from pipeline.config import Evaluate, Generate
from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.formats.rig_file import load_rig, regions

OPTIONS = Evaluate(window_frames=40, num_pairs=50)


@pytest.fixture(scope="module")
def rigs(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("rigs"), np.random.default_rng(0)
    for actor in ("001", "002", "003", "004"):
        deltas = rng.normal(0, 0.3, (51, 120, 3)) * (rng.random((51, 120, 1)) < 0.3)
        np.savez(
            folder / f"{actor}.npz",
            neutral=rng.normal(0, 5, (120, 3)),
            names=np.array(arkit.NAMES),
            deltas=deltas,
            faces=np.zeros((1, 3), int),
        )
    return folder


@pytest.fixture(scope="module")
def generated(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("generated")
    nothing = dict.fromkeys("takes audio transcripts actions facing actors placement".split())
    generate.run(
        runs=[trained.runs],
        shards=trained.shards,
        out=out,
        name="",
        options=Generate(num_samples=2, device="cpu"),
        **nothing,
    )
    return out


@pytest.fixture(scope="module")
def rows(trained, generated, rigs, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    paths = {"out_table": out / "table.csv", "out_page": out / "table.html"}
    evaluate.run(shards=trained.shards, generated=[generated], rigs=rigs, options=OPTIONS, **paths)
    with open(paths["out_table"], newline="") as f:
        return {row["method"]: row for row in csv.DictReader(f)}, paths["out_page"].read_text()


def test_rows_and_what_must_be_zero(rows):
    found, _ = rows
    assert list(found) == ["real", "trained models", "mean pose", "nearest training clip"]
    assert all(found[name][column] != "" for name in found for column in evaluate.COLUMNS)
    value = {name: {column: float(row[column]) for column in evaluate.COLUMNS} for name, row in found.items()}
    assert all(
        abs(value["real"][column]) < 1e-8 for column in ("FD_g", "FD_k", "Div_sample", "LVE_cm2", "FDD_cm2")
    )
    assert value["real"]["Div_g"] > 0 and value["real"]["Div_k"] > 0
    assert all(abs(value["mean pose"][column]) < 1e-6 for column in ("Div_g", "Div_k", "Div_sample"))
    assert value["mean pose"]["FDD_cm2"] > 0  # a still face moves too little
    assert value["trained models"]["Div_sample"] > 0 == value["nearest training clip"]["Div_sample"]
    assert value["trained models"]["FD_g"] > 0 and value["trained models"]["LVE_cm2"] > 0
    assert (
        found["trained models"]["samples"] == "2"
        and found["real"]["windows"] == "4"
        and found["real"]["num_pairs"] == "50"
    )


def test_numbers_are_those_of_the_metrics(rows, trained, generated, rigs):
    shards, _ = data.shards_of(trained.shards)
    real, made, lve = [], [[], []], []
    for shard, span in data.takes_of(shards, "test"):
        real += [shard["body"][a : a + 40].reshape(40, -1) for a in (span.start_frame, span.start_frame + 40)]
        for number in range(2):
            sample = evaluate.read_generated(generate.sample_folder(generated, number), shard, span)
            made[number] += [sample["body"][a : a + 40].reshape(40, -1) for a in (0, 40)]
            for k, actor in enumerate((span.actor_a, span.actor_b)):
                rig = load_rig(rigs / f"{actor}.npz")
                meshes = [
                    rig.neutral + np.einsum("tk,kvc->tvc", w[:, k].astype(float), rig.deltas)
                    for w in (sample["face"], shard["face"][span.start_frame : span.stop_frame])
                ]
                lve.append(metrics.lip_vertex_error(*meshes, regions(rig)["lips"]))
    want = metrics.body_metrics(
        np.array(made), np.array(real), rng=np.random.default_rng(OPTIONS.seed), num_pairs=50
    )
    row = rows[0]["trained models"]
    assert {key: float(row[key]) for key in evaluate.BODY} == pytest.approx(
        {key: want[key] for key in evaluate.BODY}, rel=1e-6
    )
    assert float(row["LVE_cm2"]) == pytest.approx(np.mean(lve), rel=1e-5)


def test_blocks_do_not_change_face_errors(rigs, monkeypatch):
    rig = load_rig(rigs / "001.npz")
    rng = np.random.default_rng(1)
    predicted, real = rng.random((2, 37, 51))
    whole = evaluate.face_errors(predicted, real, rig, regions(rig))
    monkeypatch.setattr(evaluate, "BLOCK", 300)
    assert evaluate.face_errors(predicted, real, rig, regions(rig)) == pytest.approx(whole, rel=1e-9)


def test_page_stands_alone_and_explains_itself(rows):
    _, page = rows
    assert all(name in page for name in evaluate.ROWS) and "http" not in page and "<script" not in page
    assert "4 windows of 40 frames; 2 samples a take" in page and "mean over frames" in page


def test_windows_are_no_longer_than_the_takes(trained, generated):
    found, notes = evaluate.table(
        trained.shards, {"mine": generated}, None, Evaluate(window_frames=300, num_pairs=10_000)
    )
    assert found["real"]["window_frames"] == 90 and any(
        "shorter than the 300 frames" in note for note in notes
    )
    assert found["real"]["LVE_cm2"] is None and any("No rigs" in note for note in notes)
    assert found["real"]["num_pairs"] == found["real"]["num_rows"] == 180 and any(
        "real (180)" in note for note in notes
    )


def test_nearest_clip_of_a_training_take_is_itself(trained):
    shards, stats = data.shards_of(trained.shards)
    shard, span = data.takes_of(shards, "train")[1]
    clips = baselines.nearest_clips(
        baselines.pooled(shard, span, [0, 60, 125], 40, stats), shards, stats, window=40
    )
    assert [(clip.span.take, clip.start) for clip in clips] == [
        (span.take, 0),
        (span.take, 60),
        (span.take, 125),
    ]
    assert np.array_equal(
        clips[1].read("face"), shard["face"][span.start_frame + 60 : span.start_frame + 100]
    )


def test_windows_cover_a_take():
    assert baselines.window_starts(100, 40) == [0, 40, 60]
    assert baselines.window_starts(80, 40) == [0, 40]
    assert baselines.window_starts(40, 40) == [0]


def test_pooled_features_equal_their_definition(trained):
    shards, stats = data.shards_of(trained.shards)
    shard, span = data.takes_of(shards, "test")[0]
    got = baselines.pooled(shard, span, [10], 30, stats)[0]
    a = span.start_frame + 10
    mel = (shard["mel"][a : a + 30] - np.array(stats["mel"]["mean"])) / np.array(stats["mel"]["std"])
    rows = np.concatenate([mel, np.eye(3)[shard["action"][a : a + 30]]], 2).reshape(30, -1)
    assert np.allclose(got, np.concatenate([rows.mean(0), rows.std(0)]), atol=1e-5)


def test_bad_folders_are_named(trained, generated, rigs, tmp_path):
    with pytest.raises(InputError, match="generate the test takes first"):
        evaluate.table(trained.shards, {"mine": tmp_path}, None, OPTIONS)
    broken = tmp_path / "broken"
    shutil.copytree(generated, broken)
    np.save(broken / "face_arkit" / "20240101_001_004.npy", np.zeros((7, 51), np.float32))
    with pytest.raises(InputError, match=r"20240101_001_004.npy: got shape \(7, 51\), need \(100, 51\)"):
        evaluate.table(trained.shards, {"mine": broken}, evaluate.Rigs(rigs), OPTIONS)
    (broken / "bvhs" / "20240101_001_004.bvh").unlink()
    with pytest.raises(InputError, match="20240101_001_004.bvh"):
        evaluate.table(trained.shards, {"mine": broken}, None, OPTIONS)
    with pytest.raises(InputError, match="every actor needs a rig"):
        evaluate.table(trained.shards, {"mine": generated}, evaluate.Rigs(tmp_path), OPTIONS)


def one_sample(generated, folder):
    """A folder with the first of the samples only."""
    shutil.copytree(generated, folder, ignore=shutil.ignore_patterns("sample-*"))
    record = json.loads((folder / "generated.json").read_text())
    (folder / "generated.json").write_text(json.dumps(record | {"num_samples": 1}))
    return folder


def test_every_row_of_the_config_is_a_row_of_the_table(rows, trained, generated, rigs, tmp_path):
    arguments = [
        "--shards",
        trained.shards,
        "--generated",
        generated,
        one_sample(generated, tmp_path / "one"),
    ]
    arguments += [
        "--rows",
        "trained models",
        "one <sample>",
        "--rigs",
        rigs,
        "--out-table",
        tmp_path / "t.csv",
    ]
    arguments += ["--out-page", tmp_path / "t.html", "--window-frames", 40, "--num-pairs", 50]
    evaluate.main([str(argument) for argument in arguments])
    with open(tmp_path / "t.csv", newline="") as f:
        found = {row["method"]: row for row in csv.DictReader(f)}
    assert list(found) == ["real", "trained models", "one <sample>", "mean pose", "nearest training clip"]
    alone, _ = rows
    assert {name: found[name] for name in alone} == alone, "a row does not depend on the others"
    one, both = found["one <sample>"], found["trained models"]
    assert (one["samples"], both["samples"]) == ("1", "2") and float(one["Div_sample"]) == 0
    assert one["FD_g"] != both["FD_g"] and one["LVE_cm2"] != both["LVE_cm2"]
    page = (tmp_path / "t.html").read_text()
    assert "2 (trained models), 1 (one <sample>) samples a take" in html.unescape(page)
    assert (
        "<sample>" not in page and page.count("one &lt;sample&gt;") == 3
    )  # the row, what it is, its samples


@pytest.mark.parametrize(
    "names", [["one"], ["one", "one"], ["one", "real"], ["mean pose", "one"], ["one", "two", "three"]]
)
def test_names_of_rows_that_do_not_fit_are_one_line(names, trained, generated, tmp_path, capsys):
    paths = ["--out-table", str(tmp_path / "t.csv"), "--out-page", str(tmp_path / "t.html")]
    folders = ["--generated", str(generated), str(generated)]
    with pytest.raises(SystemExit) as caught:
        evaluate.main(["--shards", str(trained.shards), *folders, "--rows", *names, *paths])
    said = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2 and len(said) == 1
    assert f"got rows {', '.join(names)} for 2 folders" in said[0] and list(tmp_path.iterdir()) == []
