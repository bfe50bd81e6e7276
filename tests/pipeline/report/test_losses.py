import json

import numpy as np
from helpers.commands import refused
from helpers.pictures import height_of

from pipeline.report import losses


def call(arguments) -> None:
    losses.main([str(argument) for argument in arguments])


def test_losses_of_all_models_or_one_line(tmp_path, capsys):
    out = tmp_path / "out" / "losses.png"
    for model in losses.MODELS:
        lines = [{"step": i, "loss": 1 / i, "learning_rate": 1e-3} for i in range(1, 30)] + [
            {"summary": "loss 1 -> 0"}
        ]
        (tmp_path / model).mkdir()
        (tmp_path / model / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    steps, loss = losses.losses_of(tmp_path / "face" / "log.jsonl")
    assert steps.tolist() == list(range(1, 30)) and np.allclose(loss, 1 / steps)
    arguments = ["--runs", tmp_path, "--out", out]
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
    for model, lowest in zip(losses.MODELS, (0.09, 0.4, 1e-4)):
        (tmp_path / model).mkdir()
        lines = [
            json.dumps({"step": step, "loss": loss})
            for step, loss in enumerate(np.geomspace(1.3, lowest, 50))
        ]
        (tmp_path / model / "log.jsonl").write_text("\n".join(lines))
    call(["--runs", tmp_path, "--out", tmp_path / "x.png"])
    kept[0].canvas.draw()
    for ax in kept[0].axes:
        labels = [label.get_text() for minor in (False, True) for label in ax.get_yticklabels(minor=minor)]
        assert any(labels) and not any("$" in label for label in labels)


def test_running_mean_is_the_mean_of_the_last_values():
    values = np.random.default_rng(0).normal(size=20)
    for width in (1, 3, 20, 50):
        wanted = [values[max(0, i + 1 - width) : i + 1].mean() for i in range(20)]
        assert np.allclose(losses.running_mean(values, width), wanted)
