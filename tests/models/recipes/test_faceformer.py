"""FaceFormer: its published size, its bias, and that decoding frame by frame is what the layer computes."""

import json

import pytest
import torch
from helpers.tiny_shards import NUM_MELS, TINY, meta

from models import runs, train
from models.draws import Draws
from models.recipes.faceformer import FaceFormer, Options
from pipeline.config import Generate
from pipeline.formats import arkit

SMALL = Options(**TINY, dropout=0, audio="mel", dim=16)


def test_it_has_the_published_number_of_parameters():
    network = FaceFormer(51, 768, 7)
    assert sum(parameter.numel() for parameter in network.parameters()) == 106_547


def test_the_bias_falls_by_whole_periods_and_hides_what_is_to_come():
    bias = FaceFormer(3, 4, 2, period=30).bias(100, torch.zeros(1))
    assert bias.shape == (4, 100, 100)
    for head, slope in enumerate((1 / 4, 1 / 16, 1 / 64, 1 / 256)):
        for query, key in ((0, 0), (29, 0), (30, 0), (59, 29), (60, 0), (99, 8)):
            assert float(bias[head, query, key]) == -slope * ((query - key) // 30)
    assert torch.isinf(bias.triu(1)[bias.triu(1) != 0]).all() and float(bias[0, 3, 4]) == -torch.inf


@pytest.mark.parametrize("frames", [1, 2, 35, 70])
def test_decoding_frame_by_frame_is_what_the_layer_computes_over_and_over(frames):
    """As the public code decodes: the whole sequence through torch's layer again for each frame."""
    torch.manual_seed(0)
    network = FaceFormer(5, 6, 3, dim=16, period=10).eval()
    torch.nn.init.normal_(network.last.weight)
    audio, style = torch.randn(2, frames, 6), torch.eye(3)[[0, 2]]
    memory, start = network.audio(audio), network.style(style)[:, None]
    tokens = start
    for frame in range(frames):
        n = frame + 1
        apart = torch.ones(n, frames, dtype=torch.bool)
        apart[torch.arange(n), torch.arange(n)] = False
        mask = network.bias(n, audio).repeat(2, 1, 1)
        x = network.layer(tokens + network._positions(n, audio), memory, tgt_mask=mask, memory_mask=apart)
        made = network.last(x)
        tokens = torch.cat([tokens, network.first(made[:, -1:]) + start], 1)
    torch.testing.assert_close(network(audio, style), made, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.forced(audio, style, made), made, rtol=1e-4, atol=1e-5)


def test_a_frame_hears_only_what_was_said_so_far():
    torch.manual_seed(0)
    network = FaceFormer(5, 6, 3, dim=16).eval()
    torch.nn.init.normal_(network.last.weight)
    audio, style = torch.randn(1, 40, 6), torch.eye(3)[:1]
    changed = audio.clone()
    changed[:, 25:] += 1
    one, other = network(audio, style), network(changed, style)
    assert torch.equal(one[:, :25], other[:, :25]) and not torch.allclose(one[:, 25], other[:, 25])
    assert not torch.allclose(one, network(audio, torch.eye(3)[1:2]))


@pytest.mark.parametrize("forced", [False, True])
def test_it_learns_and_its_samples_are_alike(shards, tmp_path, batch, forced):
    options = SMALL.model_copy(update={"steps": 150, "learning_rate": 5e-3, "teacher_forcing": forced})
    train.run(recipe="faceformer", shards=shards, out=tmp_path / "run", options=options)
    summary = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert summary["last_tenth"] < 0.7 * summary["first_tenth"]
    run = runs.load(tmp_path / "run")
    told = {name: batch[name] for name in ("mel", "actors")}
    samples = [run.model.sample(told, Draws(seed, 0, 2, "cpu"), Generate())["face"] for seed in (0, 1)]
    assert samples[0].shape == batch["face"].shape == (2, 24, 2, len(arkit.NAMES))
    assert torch.equal(*samples) and len(run.model.heard) == NUM_MELS
    error, mean = ((x - batch["face"]).square().mean() for x in (samples[0], run.model.face.mean))
    assert error < 0.7 * mean


def test_a_long_take_is_decoded_beyond_the_training_windows(shards):
    model = runs.build("faceformer", SMALL, meta(shards, SMALL)).eval()
    torch.nn.init.normal_(model.network.last.weight)
    told = {"mel": torch.randn(1, 700, 2, NUM_MELS), "actors": torch.tensor([[0, -1]])}
    face = model.sample(told, Draws(0, 0, 1, "cpu"), Generate())["face"]
    assert face.shape == (1, 700, 2, 51) and torch.isfinite(face).all()
    assert float(face[0, 600:].std(0).mean()) > 0
