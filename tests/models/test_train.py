"""Training: it learns, a resumed run equals an uninterrupted one, and what changed starts afresh."""

import json

import numpy as np
import pytest
import torch
from helpers.kills import Killed, kill_after
from helpers.tiny_shards import NUM_MELS, RUNS, make_shards

from models import runs, train
from models.draws import Draws
from models.recipes import face
from pipeline.errors import InputError


def go(name, shards, out, *, start=None, **changes):
    recipe, options = RUNS[name]
    train.run(recipe=recipe, shards=shards, out=out, options=options.model_copy(update=changes), start=start)
    return (out / "model.safetensors").read_bytes()


@pytest.mark.parametrize("model", ["face", "body_upper"])
def test_a_resumed_run_equals_an_uninterrupted_one(model, trained, tmp_path, monkeypatch):
    out = tmp_path / model  # a run bears the name of its folder
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 17)
        go(model, trained.shards, out)
    assert not (out / "model.safetensors").exists()
    assert len((out / "log.jsonl").read_text().splitlines()) == 17
    torch.manual_seed(1234)  # the state of the global generator must not matter
    again = go(model, trained.shards, out)
    assert again == (trained.runs / model / "model.safetensors").read_bytes()
    for name in ("log.jsonl", "model.json", "CARD.md", "config.yaml"):
        assert (out / name).read_bytes() == (trained.runs / model / name).read_bytes()


def test_a_finished_run_is_written_out_again_without_training(shards, tmp_path, monkeypatch):
    first = go("face", shards, tmp_path, steps=4)
    (tmp_path / "model.safetensors").unlink()
    monkeypatch.setattr(train, "optimise", lambda *a: pytest.fail("trained again"))
    assert go("face", shards, tmp_path, steps=4) == first
    assert [json.loads(line).get("step") for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [
        1,
        2,
        3,
        4,
        4,
        None,
    ], "a line for each step, one for what is measured at the last, and the summary"


def test_other_options_or_data_start_afresh_beside(tmp_path):
    shards = make_shards(tmp_path / "shards")
    first = go("body_lower", shards, tmp_path / "run", steps=3)
    assert go("body_lower", shards, tmp_path / "run", steps=3, checkpoint_steps=1) == first
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 1
    assert go("body_lower", shards, tmp_path / "run", steps=3, seed=1) != first
    stats = json.loads((shards / "stats.json").read_text())
    stats["mel"]["mean"][0] += 1
    (shards / "stats.json").write_text(json.dumps(stats))
    assert go("body_lower", shards, tmp_path / "run", steps=3) != first
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 3


LEARN = {"steps": 120, "learning_rate": 5e-3, "batch_size": 4}


@pytest.mark.parametrize(
    "model, changes",
    [
        ("face", LEARN | {"steps": 250}),
        ("body_lower", LEARN | {"prediction": "noise", "channels": 64}),
        ("body_upper", LEARN),
    ],
)
def test_training_learns(model, changes, shards, tmp_path):
    go(model, shards, tmp_path, checkpoint_steps=250, **changes)
    summary = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert summary["last_tenth"] < 0.7 * summary["first_tenth"]
    assert (
        f"loss {summary['first_tenth']:.4f} -> {summary['last_tenth']:.4f}"
        in (tmp_path / "CARD.md").read_text()
    )


def test_a_run_loads_as_it_was_saved(trained):
    for name, (recipe, options) in RUNS.items():
        run = runs.load(trained.runs / name)
        assert (run.name, run.description["recipe"], run.options) == (name, recipe, options)
        assert run.description["given"] == {} and run.description["start"] is None
        assert not any(module.training for module in run.model.modules())
        assert run.description["actors"] == ["001", "002", "003"]
        assert run.skeleton("002").names == run.description["joint_names"]
        assert run.skeleton("002").ends_cm[run.description["joint_names"].index("Head")].tolist() == [
            0,
            18,
            0,
        ]


def test_condition_dropout_allows_guidance(shards, tmp_path):
    from pipeline.config import Generate

    go("face", shards, tmp_path / "some", steps=3, condition_dropout=0.5)
    go("face", shards, tmp_path / "none", steps=3, condition_dropout=0.0)
    run, plain = runs.load(tmp_path / "some"), runs.load(tmp_path / "none")
    told = {
        "mel": torch.randn(1, 30, 2, NUM_MELS),
        "facing": torch.ones(1, 30, 2),
        "actors": torch.tensor([[0, 1]]),
    }

    def sampled(run, guidance):
        return run.model.sample(told, Draws(0, 0, 1, "cpu"), Generate(guidance=guidance))["face"]

    samples = [sampled(run, guidance) for guidance in (1, 3)]
    assert not torch.allclose(*samples, atol=1e-5)
    with pytest.raises(InputError, match="without condition_dropout"):
        sampled(plain, 3)


def test_a_loss_that_is_not_finite_stops(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(
        face.Model, "loss", lambda model, *_: {"loss": sum(p.sum() for p in model.parameters()) * np.nan}
    )
    with pytest.raises(InputError, match="loss is nan at step 1"):
        go("face", shards, tmp_path, steps=2)


def test_command_line(shards, tmp_path, capsys):
    flags = (
        "--steps 2 --batch-size 2 --window-frames 24 --channels 16 --blocks 1 --heads 2 --device cpu".split()
    )
    train.main(["body", "--shards", str(shards), "--out", str(tmp_path / "run"), *flags])
    assert (tmp_path / "run" / "model.safetensors").exists()
    with pytest.raises(SystemExit) as caught:
        train.main(["face", "--shards", str(tmp_path / "none"), "--out", str(tmp_path / "x")])
    assert caught.value.code == 2 and "no shard-*.h5" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        train.main(
            ["face", "--shards", str(shards), "--out", str(tmp_path / "x"), "--audio", "mel", "--dim", "30"]
        )
    assert caught.value.code == 2 and "multiple of twice heads" in capsys.readouterr().err


def test_a_folder_of_another_hand_is_not_trained_into(shards, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"of another hand")
    with pytest.raises(InputError, match="model.safetensors: is there"):
        go("face", shards, tmp_path, steps=2)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_weights_that_do_not_fit_are_named(trained, tmp_path):
    (tmp_path / "model.json").write_bytes((trained.runs / "face" / "model.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(
        (trained.runs / "body_lower" / "model.safetensors").read_bytes()
    )
    with pytest.raises(InputError, match="does not fit model.json"):
        runs.load(tmp_path)
    with pytest.raises(InputError, match="train the model first"):
        runs.load(tmp_path / "nothing")


def test_a_run_whose_name_no_model_can_have_is_told_before_it_trains(shards, tmp_path):
    for name in ("face-2", "2nd", "a" * 65):
        with pytest.raises(InputError, match="letters, digits and _, a letter first"):
            go("face", shards, tmp_path / name, steps=1)
    assert list(tmp_path.iterdir()) == []


def test_a_run_begins_with_the_weights_of_another(shards, trained, tmp_path):
    """Where nothing is learned, its weights are those that it began with."""
    start = trained.runs / "face"
    weights = go("face", shards, tmp_path / "still", start=start, steps=1, learning_rate=1e-30)
    assert weights == (start / "model.safetensors").read_bytes()
    assert weights != go("face", shards, tmp_path / "still", steps=1, learning_rate=1e-30)
    assert len(list((tmp_path / "still" / "checkpoints").iterdir())) == 2, "with another start it is another"
    go("face", shards, tmp_path / "on", start=start, steps=2)
    assert runs.load(tmp_path / "on").description["start"] == "face"
    assert "began with the weights of face" in (tmp_path / "on" / "CARD.md").read_text()
    with pytest.raises(InputError, match="its recipe is body, need face, that of this run"):
        go("face", shards, tmp_path / "other", start=trained.runs / "body_lower", steps=1)
    with pytest.raises(InputError, match="does not fit this run.*; give both runs the same sizes"):
        go("face", shards, tmp_path / "wider", start=start, steps=1, dim=64)
