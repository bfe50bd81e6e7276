"""The window that a training shows: captured, and as the weights make it."""

import numpy as np
import pytest
import torch
from helpers.tiny_shards import JOINTS

from models import runs
from models.channels import body_columns
from models.data import Windows, actors_of, collate, shards_of
from models.draws import Draws
from models.preview import JAW, Preview
from models.recipe import FINAL
from models.watch import Watched
from pipeline import config

LOWER, UPPER = body_columns(JOINTS)


def shown(trained, name) -> tuple[runs.Run, Preview]:
    """A tiny run and the window of the test takes that it shows."""
    run = runs.load(trained.runs / name, device="cpu")
    opened, _ = shards_of(trained.shards)
    windows = Windows(
        opened, window=24, stride=4, streams=run.options.streams, actors=actors_of(opened), split="test"
    )
    return run, Preview(Watched(windows, windows))


def made(run, preview, seed=0) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        options = config.Generate(seed=seed)
        return run.model.preview(collate(preview.batch), Draws(seed, 0, 1, "cpu"), options)


def test_a_face_is_curves_of_what_was_captured_and_of_what_is_sampled(trained):
    run, preview = shown(trained, "face")
    captured = preview.shard["face"][preview.span.start_frame + preview.first :][: preview.frames]
    (figure,) = preview.figures(run.model, 3).values()
    sampled = made(run, preview, 3)["face"][0].numpy()
    for k, ax in enumerate(figure.axes):
        lines = [line.get_ydata() for line in ax.lines]
        np.testing.assert_array_equal(lines[0], captured[:, k, JAW])
        np.testing.assert_allclose(lines[1], sampled[:, k, JAW], rtol=1e-6)
        assert lines[0].std() > 0 and lines[1].std() > 0 and preview.actors[k] in ax.get_ylabel()
    assert len(figure.axes) == 2


@pytest.mark.parametrize("name, own, others", [("body_lower", LOWER, UPPER), ("body_upper", UPPER, LOWER)])
def test_what_a_body_does_not_make_is_the_captured(trained, name, own, others):
    run, preview = shown(trained, name)
    body, real = made(run, preview)["body"], torch.from_numpy(preview.batch["body"])
    moving = [column for column in own if preview.batch["body"][..., column].std() > 0.01]
    assert moving and (body - real)[..., moving].abs().amax((0, 1, 2)).min() > 0.01
    # channels that hardly move are not predicted: they have their means
    np.testing.assert_allclose(body[..., others], real[..., others], atol=0.02)
    relative = made(run, preview)["relative"], torch.from_numpy(preview.batch["relative"])
    assert torch.allclose(*relative, atol=1e-3) == (name == "body_upper")


@pytest.mark.parametrize("name", ["body_lower", "body_upper"])
def test_a_body_is_a_strip_of_both_kinds(trained, name):
    run, preview = shown(trained, name)
    figure = preview.figures(run.model, 0)["body"]
    titles = [ax.get_title() for ax in figure.axes]
    assert sum("captured" in title for title in titles) == sum("generated" in title for title in titles) == 6
    rows = [[np.stack(ax.collections[-1].get_segments()) for ax in figure.axes[i : i + 6]] for i in (0, 6)]
    assert all(np.isfinite(part).all() for row in rows for part in row)
    assert not np.allclose(rows[0], rows[1])


def test_it_draws_nothing_of_the_training_and_the_same_again(trained):
    run, preview = shown(trained, "face")
    weights = {key: value.clone() for key, value in run.model.state_dict().items()}
    state = torch.get_rng_state()
    faces = []
    for _ in range(2):
        (figure,) = preview.figures(run.model, 0).values()
        faces.append(figure.axes[0].lines[1].get_ydata())
    np.testing.assert_array_equal(*faces)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, run.model.state_dict()[key]) for key, value in weights.items())


def test_voices_are_those_of_the_window(trained):
    _, preview = shown(trained, "face")
    first = preview.span.start_sample + round(preview.first * 16000 / 30)
    voices = preview.voices()
    assert len(voices) == 24 * 16000 // 30
    np.testing.assert_allclose(voices, preview.shard["audio"][first:][: len(voices)].sum(1).clip(-1, 1))


def test_a_sample_that_is_not_finite_is_not_drawn(trained):
    run, preview = shown(trained, "body_lower")
    run.model.network.last.bias.data[0] = torch.nan
    assert preview.figures(run.model, 0) == {}


def test_what_needs_another_run_makes_nothing_by_itself(trained, monkeypatch):
    run, preview = shown(trained, "face")
    monkeypatch.setattr(type(run.options), "needs", ("gestures",), raising=False)
    assert preview.figures(run.model, 0) == {}
    monkeypatch.setattr(type(run.options), "needs", (), raising=False)
    given = {}
    monkeypatch.setattr(type(run.model), "sample", lambda model, told, *_: given | told)
    assert not {*FINAL} & {*made(run, preview)}, "no model is told what it is to make"
