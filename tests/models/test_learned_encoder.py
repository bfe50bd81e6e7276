"""A speech encoder that is part of a model: the features of the frozen one, and what learns of it."""

import json

import numpy as np
import pytest
import torch
from helpers.tiny_encoders import tiny_wav2vec, tiny_whisper

from models.draws import Draws
from models.learned_encoder import LearnedEncoder, describe
from models.speech import speech_encoders
from pipeline.errors import InputError
from pipeline.shards.windows import num_samples

FRAMES = 48


def voices(frames: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (3, num_samples(frames))).astype(np.float32)


def made(folder, kind: str):
    """A folder of a tiny encoder."""
    if kind == "whisper":
        return tiny_whisper(folder)
    if kind == "stable":
        return tiny_wav2vec(folder, feat_extract_norm="layer", do_stable_layer_norm=True, normalise=False)
    return tiny_wav2vec(folder, kind=kind)


def loaded(folder, layer: int | str = "last", **options) -> LearnedEncoder:
    encoder = LearnedEncoder(describe(str(folder), layer), **options)
    encoder.load_pretrained()
    return encoder


@pytest.mark.parametrize("layer", ["last", 1])
@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm", "stable", "whisper"])
def test_untrained_it_hears_what_the_frozen_one_hears(tmp_path, kind, layer):
    folder = made(tmp_path, kind)
    encoder = loaded(folder, layer).eval()
    frozen = speech_encoders.load(str(folder), layer=layer)
    window = 30.0 if kind == "whisper" else 6.0
    heard = voices()
    with torch.no_grad():
        found = encoder(torch.from_numpy(heard))
    assert found.shape == (3, FRAMES, frozen.width) == (3, FRAMES, encoder.width)
    for own, voice in zip(found, heard):
        need = speech_encoders.on_motion_clock(
            frozen, voice, FRAMES, window_seconds=window, context_seconds=1.0
        )
        np.testing.assert_allclose(own.numpy(), need, atol=2e-5)
    assert found.std() > 0.1


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm", "stable", "whisper"])
def test_all_of_it_learns_but_the_convolutions(tmp_path, kind):
    encoder = loaded(made(tmp_path, kind), mask=0.3).train()
    draws = Draws(0, 0, 1, "cpu")
    hidden = encoder.hidden_spans(draws, num_samples(FRAMES))
    heard = torch.from_numpy(voices()[:2])
    encoder(heard, None if hidden is None else hidden.flatten(0, 1)).square().sum().backward()
    named = dict(encoder.named_parameters())
    learned = {name for name, value in named.items() if value.requires_grad}
    assert {name for name, value in named.items() if value.grad is not None} == learned
    fixed = "embed_positions" if kind == "whisper" else "feature_extractor"
    assert {name for name in named if fixed in name} == named.keys() - learned
    assert all(value.requires_grad is False for value in loaded(tmp_path, learns=False).parameters())


def test_layers_behind_the_chosen_one_do_not_learn(tmp_path):
    encoder = loaded(tiny_wav2vec(tmp_path), 1)
    learned = [name for name, value in encoder.named_parameters() if value.requires_grad]
    assert any("layers.0." in name for name in learned) and not any("layers.1." in name for name in learned)
    with pytest.raises(InputError, match="got layer 3, need 0 to 2 or last"):
        loaded(tmp_path, 3)


def test_spans_are_hidden_as_often_as_asked_and_in_training_alone(tmp_path):
    encoder = loaded(tiny_wav2vec(tmp_path), mask=0.2)
    count = 300
    hidden = torch.cat(
        [encoder.hidden_spans(Draws(0, step, 4, "cpu"), num_samples(count)) for step in range(40)]
    )
    assert hidden.shape == (160, 2, encoder.num_features(num_samples(count)))
    assert hidden[..., 10:].float().mean() == pytest.approx(0.2, abs=0.01)
    # a span is as long as ten features, unless the window begins in it or another goes on
    ends = hidden[..., 10:-1] & ~hidden[..., 11:]
    assert all(hidden[..., 10 - back : -1 - back][ends].all() for back in range(10))
    again = encoder.hidden_spans(Draws(0, 39, 4, "cpu"), num_samples(count))
    assert torch.equal(again, hidden[-4:])
    # an item hides the same wherever it lies
    assert torch.equal(encoder.hidden_spans(Draws(0, 39, 2, "cpu", first=2), num_samples(count)), hidden[-2:])
    heard = torch.from_numpy(voices()[:2])
    spans = torch.zeros(2, encoder.num_features(heard.shape[1]), dtype=torch.bool)
    spans[0, 5:15] = True
    with torch.no_grad():
        bare, masked = encoder.train()(heard, torch.zeros_like(spans)), encoder(heard, spans)
        assert torch.equal(encoder.eval()(heard, spans), encoder(heard))
    assert (masked[0] - bare[0]).abs().max() > 1e-2
    assert torch.equal(masked[1], bare[1])


def test_what_is_dropped_is_told_and_layers_never_are(tmp_path):
    folder = tiny_wav2vec(tmp_path, layerdrop=0.9, hidden_dropout=0.4, activation_dropout=0.0)
    heard = torch.from_numpy(voices())
    with torch.no_grad():
        still = loaded(folder, dropout=0.0).train()
        assert torch.equal(still(heard), still.eval()(heard))
        dropping = loaded(folder, dropout=0.3).train()
        assert not torch.equal(dropping(heard), dropping(heard))
        assert dropping.network.config.hidden_dropout == 0.3
        assert dropping.network.config.activation_dropout == 0.0
        frozen = loaded(folder, dropout=0.3, learns=False).train()
        assert torch.equal(frozen(heard), still(heard))


def test_a_whisper_hears_no_more_than_half_a_minute(tmp_path):
    encoder = loaded(tiny_whisper(tmp_path))
    with pytest.raises(InputError, match="a Whisper hears 30 s at a time; lower window_frames to 900"):
        encoder(torch.zeros(1, num_samples(901)))


def test_weights_that_changed_meanwhile_are_refused(tmp_path):
    described = describe(str(tiny_wav2vec(tmp_path)), "last")
    assert json.loads(json.dumps(described)) == described
    other = LearnedEncoder(described | {"model_sha256": "0" * 64})
    with pytest.raises(InputError, match="its weights have changed while this run was read; train again"):
        other.load_pretrained()
