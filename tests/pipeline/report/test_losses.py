import json

import numpy as np
import pytest
from helpers.commands import refused
from helpers.pictures import height_of

from pipeline.errors import InputError
from pipeline.report import losses

RUNS = ("face", "body_lower", "body_upper")


def call(arguments) -> None:
    losses.main([str(argument) for argument in arguments])


def test_losses_of_all_models_or_one_line(tmp_path, capsys):
    out = tmp_path / "out" / "losses.png"
    for model in RUNS:
        lines = [{"step": i, "loss": 1 / i, "learning_rate": 1e-3} for i in range(1, 30)] + [
            {"summary": "loss 1 -> 0"}
        ]
        (tmp_path / model).mkdir()
        (tmp_path / model / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    steps, loss = losses.losses_of(tmp_path / "face" / "log.jsonl")
    assert steps.tolist() == list(range(1, 30)) and np.allclose(loss, 1 / steps)
    arguments = ["--runs", *(tmp_path / name for name in RUNS), "--out", out]
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
        refused(losses.main, arguments, capsys, "body_upper/log.jsonl", needle, outputs=[out])
    broken.unlink()
    refused(losses.main, arguments, capsys, "body_upper/log.jsonl: no such file", outputs=[out])


def test_ticks_of_losses_are_numbers_not_formulas(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(losses, "save", lambda fig, out: kept.append(fig))
    for model, lowest in zip(RUNS, (0.09, 0.4, 1e-4)):
        (tmp_path / model).mkdir()
        lines = [
            json.dumps({"step": step, "loss": loss})
            for step, loss in enumerate(np.geomspace(1.3, lowest, 50))
        ]
        (tmp_path / model / "log.jsonl").write_text("\n".join(lines))
    call(["--runs", *(tmp_path / name for name in RUNS), "--out", tmp_path / "x.png"])
    kept[0].canvas.draw()
    for ax in kept[0].axes:
        labels = [label.get_text() for minor in (False, True) for label in ax.get_yticklabels(minor=minor)]
        assert any(labels) and not any("$" in label for label in labels)


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_every_run_has_its_curve(count, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(losses, "save", lambda fig, out: kept.append(fig))
    names = [f"run_{number}" for number in range(count)]
    for number, name in enumerate(names):
        (tmp_path / name).mkdir()
        lines = [json.dumps({"step": step, "loss": number + 1 / step}) for step in range(1, 5)]
        (tmp_path / name / "log.jsonl").write_text("\n".join(lines))
    call(["--runs", *(tmp_path / name for name in names), "--out", tmp_path / "x.png"])
    assert [ax.get_title() for ax in kept[0].axes] == names
    for number, ax in enumerate(kept[0].axes):
        assert ax.lines[0].get_ydata().tolist() == [number + 1 / step for step in range(1, 5)]


def test_running_mean_is_the_mean_of_the_last_values():
    values = np.random.default_rng(0).normal(size=20)
    for width in (1, 3, 20, 50):
        wanted = [values[max(0, i + 1 - width) : i + 1].mean() for i in range(20)]
        assert np.allclose(losses.running_mean(values, width), wanted)


def test_what_is_measured_on_other_takes_has_a_panel_of_its_own(tmp_path, monkeypatch):
    def line(step, model):
        return {"step": step, "held_out": {"loss": 1.0, "levels": {
            level: {"model": model, "other": 0.5, "shrinkage": 0.3, "mean": 1.0} for level in ("0.9", "0.1")
        }}}  # fmt: skip

    lines = [{"step": 1, "loss": 2.0}, line(1, 0.4), {"step": 2, "loss": 1.0}, line(2, 0.2), {"summary": "x"}]
    folder = tmp_path / "face"
    folder.mkdir()
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert losses.losses_of(log).tolist() == [[1, 2], [2, 1]]
    found = losses.held_out_of(log)
    assert list(found) == ["0.9", "0.1"]
    assert found["0.9"].tolist() == [[1, 2], [0.4, 0.2], [0.5, 0.5], [0.3, 0.3], [1, 1]]
    titles = []
    monkeypatch.setattr(losses, "save", lambda fig, out: titles.extend(ax.get_title() for ax in fig.axes))
    losses.run(runs=[folder], out=tmp_path / "losses.png")
    assert titles == ["face", "takes not learned from"]
    log.write_text(json.dumps({"step": 1, "held_out": {"levels": {"0.9": {"model": 1}}}}) + "\n")
    with pytest.raises(InputError, match="held_out has no levels with model, other"):
        losses.held_out_of(log)
