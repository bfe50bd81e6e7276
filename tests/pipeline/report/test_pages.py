import csv
import json
import shutil

import numpy as np
import pytest
from helpers.commands import refused
from helpers.tiny_shoot import ACTORS

from pipeline.files import write_json
from pipeline.reading import read_json
from pipeline.report import dag as report_dag
from pipeline.report import pages as report
from pipeline.report import take as report_take

TAKE = "20260101_001"
NAMES = [f"20260101_{actor}_001" for actor in ACTORS]


@pytest.fixture
def labels(captured, tmp_path):
    """Arguments of `take` with made-up labels and words."""
    num_frames = read_json(captured / "dataset" / "dataset.json")["takes"][TAKE]["frames"]
    for k, name in enumerate(NAMES):
        np.save(tmp_path / f"{name}.action.npy", (np.arange(num_frames) // 20 % 3).astype(np.uint8))
        np.save(tmp_path / f"{name}.facing.npy", (np.arange(num_frames) % 50 > 20 + k).astype(np.uint8))
        write_json(
            tmp_path / f"{name}.json",
            {"words": [{"word": " $5 héllo", "start": 0.1, "end": 0.4, "confidence": 0.5}]},
        )
    arguments = ["take"]
    for flag, suffix in (("--actions", "action.npy"), ("--facing", "facing.npy"), ("--transcripts", "json")):
        arguments += [flag, *(tmp_path / f"{name}.{suffix}" for name in NAMES)]
    return [*arguments, "--out", tmp_path / "out" / f"{TAKE}.png"]


@pytest.fixture
def streams(captured, shoot):
    """Further arguments of `take` for a take that was captured here."""
    microphones = [shoot.folder / TAKE / f"{name}.wav" for name in NAMES]
    voices = [captured / "dataset" / "wav" / f"{name}.wav" for name in NAMES]
    return [
        "--sync",
        captured / "annotations" / "sync" / f"{TAKE}.json",
        "--microphones",
        *microphones,
        "--voices",
        *voices,
    ]


def call(arguments) -> None:
    report.main([str(argument) for argument in arguments])


def height_of(path) -> int:
    import matplotlib.image

    return matplotlib.image.imread(path).shape[0]


def test_a_captured_take_has_more_panels_than_a_download_and_bytes_repeat(labels, streams):
    out = labels[-1]
    call(labels)
    lower = height_of(out)
    call([*labels, *streams])
    first = out.read_bytes()
    call([*labels, *streams])
    assert out.read_bytes() == first and height_of(out) > 1.6 * lower > 300


def test_half_of_the_capture_is_refused(labels, streams, capsys):
    refused(
        report.main,
        [*labels, *streams[:2]],
        capsys,
        "1 --sync, 0 --microphones, 0 --voices",
        "need 1, 2 and 2",
        outputs=[labels[-1]],
    )
    refused(
        report.main,
        [*labels, *streams[:-2], "a.wav", "b.wav"],
        capsys,
        "a.wav: not a readable WAV",
        outputs=[labels[-1]],
    )


def test_sync_rows_say_what_lies_outside_the_window(captured, tmp_path):
    files = sorted((captured / "annotations" / "sync").glob("*.json"))
    out, page = tmp_path / "sync.csv", tmp_path / "sync.html"
    table = captured / "dataset" / "takes.tsv"
    call(["sync", "--takes", table, "--sync", files[0].parent, "--out", out, "--out-page", page])
    with open(out, newline="") as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0]) == report.SYNC_COLUMNS and len(rows) == 6 * len(files) == page.read_text().count(
        "<tr><td>"
    )
    for path in files:
        mine = [row for row in rows if row["take"] == path.stem]
        assert {(row["actor"], row["stream"]) for row in mine} == {
            (a, s) for a in ACTORS for s in ("body", "face", "audio")
        }
        # one stream begins the window and one ends it, less than a frame later
        assert min(float(row["before_ms"]) for row in mine) == 0
        assert 0 <= min(float(row["after_ms"]) for row in mine) < 1000 / 30
        assert {row["dropped"] for row in mine if row["stream"] == "face"} == {"1"}
        assert {row["dropped"] for row in mine if row["stream"] != "face"} == {""}


def test_residuals_are_drawn_and_fits_without_one_left_out(captured, tmp_path):
    fits, table, out = tmp_path / "fits", captured / "dataset" / "takes.tsv", tmp_path / "residuals.png"
    shutil.copytree(captured / "annotations" / "fit", fits)
    call(["residuals", "--takes", table, "--fits", fits, "--out", out])
    first = out.read_bytes()
    for i, path in enumerate(sorted(fits.glob("*.json"))):
        assert height_of(out) > 200
        write_json(path, {"performance": path.stem, "source": "csv"})
        call(["residuals", "--takes", table, "--fits", fits, "--out", out])
        assert i or out.read_bytes() != first, "the title counts it"


def test_losses_of_all_models_or_one_line(tmp_path, capsys):
    out = tmp_path / "out" / "losses.png"
    for model in report.MODELS:
        lines = [{"step": i, "loss": 1 / i, "learning_rate": 1e-3} for i in range(1, 30)] + [
            {"summary": "loss 1 -> 0"}
        ]
        (tmp_path / model).mkdir()
        (tmp_path / model / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    steps, loss = report.losses_of(tmp_path / "face" / "log.jsonl")
    assert steps.tolist() == list(range(1, 30)) and np.allclose(loss, 1 / steps)
    arguments = ["losses", "--runs", tmp_path, "--out", out]
    call(arguments)
    assert height_of(out) > 200
    out.unlink()
    broken = tmp_path / "body_upper" / "log.jsonl"
    for text, needle in (
        ("{", "not lines of JSON"),
        ('{"step": 1}\n', "not lines of JSON"),
        ("\n", "no step in it"),
    ):
        broken.write_text(text)
        refused(report.main, arguments, capsys, "body_upper/log.jsonl", needle, outputs=[out])
    broken.unlink()
    refused(report.main, arguments, capsys, "body_upper/log.jsonl: no such file", outputs=[out])


def test_numbers_of_pages_are_short_and_do_not_break():
    given = {
        "3.39639e-09": "< 0.0001",
        "-2e-7": "> -0.0001",
        "0": "0",
        "0.0588235": "0.05882",
        "13.0468": "13.05",
        "123456.7": "123457",
        "1": "1",
        "": "",
    }
    assert (
        {value: report.shown(value) for value in given} == given
        and report.shown("nan") == "nan"
        and report.shown("<2>") == "<2>"
    )
    assert all(
        "e" not in report.shown(f"{sign * 10.0**power:.6g}") for power in range(-12, 9) for sign in (1, -1)
    )
    assert "td { white-space: nowrap" in report.page("x", ["a"], [{"a": "b c"}])


def test_a_shoot_without_meshes_says_so_instead_of_an_empty_chart(captured, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(report, "save", lambda fig, out: kept.append(fig))
    for path in sorted((captured / "annotations" / "fit").glob("*.json")):
        found = {key: value for key, value in read_json(path).items() if not key.startswith("residual")}
        write_json(tmp_path / path.name, found)
    call(
        [
            "residuals",
            "--takes",
            captured / "dataset" / "takes.tsv",
            "--fits",
            tmp_path,
            "--out",
            tmp_path / "x.png",
        ]
    )
    (ax,) = kept[0].axes
    assert not ax.axison and "came as weights: nothing was fitted" in ax.texts[0].get_text()


def test_ticks_of_losses_are_numbers_not_formulas(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(report, "save", lambda fig, out: kept.append(fig))
    for model, lowest in zip(report.MODELS, (0.09, 0.4, 1e-4)):
        (tmp_path / model).mkdir()
        lines = [
            json.dumps({"step": step, "loss": loss})
            for step, loss in enumerate(np.geomspace(1.3, lowest, 50))
        ]
        (tmp_path / model / "log.jsonl").write_text("\n".join(lines))
    call(["losses", "--runs", tmp_path, "--out", tmp_path / "x.png"])
    kept[0].canvas.draw()
    for ax in kept[0].axes:
        labels = [label.get_text() for minor in (False, True) for label in ax.get_yticklabels(minor=minor)]
        assert any(labels) and not any("$" in label for label in labels)


def test_accuracy_page_has_a_row_for_each_performance(tmp_path, capsys):
    table, out = tmp_path / "accuracy.csv", tmp_path / "out" / "accuracy.html"
    table.write_text("take,actor,measure,value\nt1,001,a,1\nt1,001,b_ms,2\nt1,<2>,a,3\nmean,,a,2\n")
    call(["accuracy", "--table", table, "--out", out])
    page = out.read_text()
    assert (
        "<th>b ms</th>" in page
        and "<td>t1</td><td>&lt;2&gt;</td><td>3</td><td></td>" in page
        and page.count("<tr><td>") == 3
    )
    out.unlink()
    table.write_text("take,value\nt1,1\n")
    refused(
        report.main,
        ["accuracy", "--table", table, "--out", out],
        capsys,
        "columns take, actor, measure, value",
        outputs=[out],
    )
    refused(
        report.main,
        ["accuracy", "--table", tmp_path / "none.csv", "--out", out],
        capsys,
        "no such file",
        outputs=[out],
    )
    with pytest.raises(SystemExit, match="unknown command 'los'"):
        report.main(["los"])


def test_running_mean_is_the_mean_of_the_last_values():
    values = np.random.default_rng(0).normal(size=20)
    for width in (1, 3, 20, 50):
        wanted = [values[max(0, i + 1 - width) : i + 1].mean() for i in range(20)]
        assert np.allclose(report.running_mean(values, width), wanted)


def test_stretches_cover_all_frames_once():
    labels = np.repeat([0, 2, 1, 0], [3, 1, 5, 2]).astype(np.uint8)
    assert report_take.stretches(labels) == [(0, 3, 0), (3, 4, 2), (4, 9, 1), (9, 11, 0)]
    assert report_take.stretches(labels[:0]) == [] and report_take.stretches(labels[:1]) == [(0, 1, 0)]


def test_the_busiest_stretch_and_the_envelope():
    x = np.zeros(1000, np.float32)
    x[600:650] = 1
    start = report_take.busiest(x, 100)
    assert start <= 600 and start + 100 >= 650 and report_take.busiest(x, 2000) == 0
    rng = np.random.default_rng(0)
    noise = rng.normal(size=1001).astype(np.float32)
    low, high = report_take.envelope(noise, 10)
    assert len(low) == 10 and low.min() == noise.min() and high.max() == noise.max() and (low <= high).all()
    assert len(report_take.envelope(noise[:4], 10)[0]) == 4
    assert np.allclose(report_take.signed_square(report_take.signed_root(noise)), noise, atol=1e-6)


def test_edges_are_folded_and_reduced():
    names = ["all", "simulate_take_001_002", "simulate_take_001_003", "sync", "body"]
    dot = (
        "\n".join(f'{i}[label = "{name}", color = "0 1 1"];' for i, name in enumerate(names))
        + "\n1 -> 3\n2 -> 3\n2 -> 4\n3 -> 4\n4 -> 0\n3 -> 0\n"
    )
    edges = report_dag.edges_of(dot)
    assert edges == {
        ("simulate_take", "sync"),
        ("simulate_take", "body"),
        ("sync", "body"),
        ("body", "all"),
        ("sync", "all"),
    }
    assert report_dag.reduced(edges) == {("simulate_take", "sync"), ("sync", "body"), ("body", "all")}
    assert "  sync --> body\n" in report_dag.page(dot)
