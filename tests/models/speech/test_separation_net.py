"""The network of separation method `lips`: what it starts from, its windows, its training and its weights."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.speech import separation_net, separation_train
from models.speech.separation_net import HOP, RATE, WINDOW, LipSeparator
from models.speech.signals import resample
from pipeline import config
from pipeline.capture.train_separation import alone, levels, voices_of
from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.signals import leak, stft

OPTIONS = config.SeparationModel(
    steps=4, batch_size=1, width=4, widest=8, lip_width=4, warmup_steps=0, checkpoint_steps=2
)


def recording(seconds, *, leak_db=-18.0, seed=0):
    """Two people in turns of 2 s: microphones and voices (2, S) at 16 kHz, and faces.

    The second begins while the first still speaks.
    """
    rng, size = np.random.default_rng(seed), int(seconds * RATE)
    times = np.arange(size) / RATE
    voices = np.stack(
        [
            rng.normal(0, 0.1, size) * ((times + 1.7 * k) % 4 < 2) * (1 + np.sin(2 * np.pi * 5 * times + k))
            for k in range(2)
        ]
    )
    room = 10 ** (leak_db / 20) * np.concatenate(
        [np.zeros(60), [1.0], 0.1 * rng.normal(size=300) * np.exp(-np.arange(300) / 100)]
    )
    mics = (
        voices
        + np.stack([np.convolve(voices[1 - k], room)[:size] for k in range(2)])
        + rng.normal(0, 1e-5, (2, size))
    )
    frames = np.clip((np.arange(int(seconds * 30)) * RATE / 30).astype(int), 0, size - 1)
    faces = [
        np.repeat((np.abs(voices[k][frames]) > 0.01)[:, None], 51, 1).astype(np.float32) for k in range(2)
    ]
    return mics.astype(np.float32), voices, faces


@pytest.fixture(scope="module")
def voices():
    mics, _, faces = recording(12)
    return voices_of("20260101_001", mics, faces)


def level_db(x, y):
    return 10 * np.log10(np.sum(x**2) / np.sum(y**2))


def test_the_leak_is_found_while_both_talk_and_is_subtracted():
    mics, true, _ = recording(12)
    spectra = [stft.spectra(x, separation_net.SIZE).T for x in mics]
    for k in range(2):
        response = leak.estimate_response(mics[[k, 1 - k]], RATE, size=separation_net.SIZE)
        found = stft.signal(
            (spectra[k] - leak.leak_of(response, spectra[1 - k])).T, separation_net.SIZE, mics.shape[1]
        )
        assert level_db(found - true[k], mics[k] - true[k]) < -10


def test_a_lone_voice_does_not_cancel_itself():
    rng = np.random.default_rng(0)
    own = rng.normal(0, 0.1, 6 * RATE).astype(np.float32)
    mics = np.stack([own, 0.1 * np.roll(own, 50) + rng.normal(0, 1e-4, len(own)).astype(np.float32)])
    response = leak.estimate_response(mics, RATE, size=separation_net.SIZE)
    spectra = [stft.spectra(x, separation_net.SIZE).T for x in mics]
    assert np.sum(np.abs(leak.leak_of(response, spectra[1])) ** 2) < 0.01 * np.sum(np.abs(spectra[0]) ** 2)


def test_the_response_does_not_depend_on_blocks(monkeypatch):
    mics, _, _ = recording(8)
    whole = leak.estimate_response(mics, RATE, size=1024)
    monkeypatch.setattr(leak, "BLOCK_SECONDS", 3.0)
    assert np.abs(leak.estimate_response(mics, RATE, size=1024) - whole).max() < 0.02 * np.abs(whole).max()


def test_stretches_hold_one_voice_and_miss_little_of_it():
    mics, true, _ = recording(12)
    kept, heard = alone(levels(mics)), levels(true) > 1e-6
    for k in range(2):
        assert not (kept[k] & heard[1 - k]).any()
        assert (kept[k] & heard[k]).sum() > 0.7 * (heard[k] & ~heard[1 - k]).sum()


def test_a_voice_is_silent_outside_its_stretches(voices):
    for voice in voices:
        power = np.square(voice.signals[0][: len(voice.active) * 160]).reshape(-1, 160).mean(1)
        assert voice.active.any() and power[voice.active].min() > 0 and (power == 0).mean() > 0.2


def test_mixtures_are_the_sums_of_both_voices_and_the_same_step_draws_the_same(voices):
    one, two = (separation_train.draw(voices, 2, np.random.default_rng(5)) for _ in range(2))
    assert (
        one.mixture.shape == (4, 2, 513, 256)
        and one.voice.shape == (4, 513, 256)
        and one.cues.shape == (4, 2, separation_net.NUM_CUES, 128)
    )
    for name in ("mixture", "voice", "leak", "coupling", "cues"):
        assert torch.equal(getattr(one, name), getattr(two, name))
    # both sides of a mixture: the same two microphones in the other order
    assert torch.equal(one.mixture[0], one.mixture[1].flip(0)) and torch.equal(
        one.cues[0], one.cues[1].flip(0)
    )


def test_an_untrained_network_subtracts_the_leak_and_no_more(voices):
    network = LipSeparator(width=4, widest=8, lip_width=4).eval()
    batch = separation_train.draw(voices, 1, np.random.default_rng(0))
    found = network(batch.mixture, batch.leak, batch.coupling, batch.cues)
    assert torch.allclose(found, batch.mixture[:, 0] - batch.leak, atol=1e-5)


def test_both_mouths_reach_the_mask(voices):
    network = LipSeparator(width=4, widest=8, lip_width=4).eval()
    torch.nn.init.normal_(network.last.weight)
    batch = separation_train.draw(voices, 1, np.random.default_rng(0))
    found = network(batch.mixture, batch.leak, batch.coupling, batch.cues)
    for k in range(2):
        cues = batch.cues.clone()
        cues[:, k] += 1
        assert not torch.allclose(network(batch.mixture, batch.leak, batch.coupling, cues), found)


def test_cues_are_mouth_and_jaw_about_their_medians_and_their_speeds():
    weights = np.zeros((60, 51), np.float32)
    weights[:, arkit.MOUTH[0]] = np.arange(60) / 60
    weights[:, 0] = 1  # an eyelid
    cues = separation_net.lip_cues(weights, np.array([0.5, 1.0]))
    assert len(arkit.MOUTH) == 27 and cues.shape == (54, 2)
    assert cues[0] == pytest.approx([(15 - 29.5) / 60, (30 - 29.5) / 60], abs=1e-6) and cues[
        27
    ] == pytest.approx([0.05, 0.05], abs=1e-6)
    assert not np.delete(cues, [0, 27], 0).any()
    assert np.diff(separation_net.cue_times(0)) == pytest.approx(2 * HOP / RATE)


class Keep(torch.nn.Module):
    """A network that gives the own microphone back."""

    def forward(self, spectra, leak, coupling, cues):
        return spectra[:, 0]


@pytest.mark.parametrize("num_samples", [1000, 3 * WINDOW, 3 * WINDOW + 5 * 48_000 + 11])
def test_windows_give_the_low_band_back_where_nothing_is_to_be_done(num_samples):
    # sounds below 4 kHz: where the bands meet, filters are no steps
    mics = resample(
        np.random.default_rng(0).normal(0, 0.1, (2, num_samples // 6 + 1)), 8000, 48_000, num_samples
    )
    found = separation_net.separate_lips(
        mics, 48_000, network=Keep(), weights=[np.zeros((10, 51), np.float32)] * 2
    )
    low = separation_net.low_band(mics, 48_000, RATE)
    assert found.shape == mics.shape and found.dtype == np.float32
    assert np.abs(separation_net.low_band(found, 48_000, RATE) - low)[:, 50:-50].max() < 2e-3
    kept = separation_net.average(lambda part, start: part, low, window=WINDOW, hop=WINDOW // 2, taper=True)
    assert np.abs(kept - low).max() < 1e-6


def test_training_lowers_the_loss(tmp_path, voices):
    blind = [
        replace(voice, response=np.zeros_like(voice.response)) for voice in voices
    ]  # nothing is subtracted: a mask is to be learnt
    separation_train.train(
        blind,
        tmp_path / "run",
        OPTIONS.model_copy(update={"steps": 14, "learning_rate": 0.02, "checkpoint_steps": 14}),
    )
    lines = [json.loads(line)["loss"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert np.mean(lines[-4:]) < np.mean(lines[:4]) - 0.05


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, voices, monkeypatch):
    separation_train.train(voices, tmp_path / "whole", OPTIONS)
    rate = separation_train.learning_rate

    def stop(step, options):
        if step == 3:
            raise KeyboardInterrupt
        return rate(step, options)

    monkeypatch.setattr(separation_train, "learning_rate", stop)
    with pytest.raises(KeyboardInterrupt):
        separation_train.train(voices, tmp_path / "cut", OPTIONS)
    monkeypatch.undo()
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    separation_train.train(voices, tmp_path / "cut", OPTIONS)
    for name in ("model.safetensors", "model.json", "log.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    seeds = OPTIONS.model_copy(update={"seed": 1, "steps": 1})
    separation_train.train(voices, tmp_path / "cut", seeds)
    assert len(list((tmp_path / "cut" / "checkpoints").iterdir())) == 2
    assert (tmp_path / "cut" / "model.safetensors").read_bytes() != (
        tmp_path / "whole" / "model.safetensors"
    ).read_bytes()


def test_weights_that_are_missing_or_do_not_fit_are_one_line(tmp_path, voices):
    path = tmp_path / "run" / "model.safetensors"
    with pytest.raises(InputError, match="snakemake train_separation"):
        separation_net.load(path)
    separation_train.train(voices, tmp_path / "run", OPTIONS.model_copy(update={"steps": 1}))
    state = load_file(path)
    save_file({key: value for key, value in state.items() if key != "last.bias"}, path)
    with pytest.raises(InputError, match="does not fit model.json"):
        separation_net.load(path)
    described = Path(path.with_name("model.json"))
    described.write_text(json.dumps(json.loads(described.read_text()) | {"model": "face"}))
    with pytest.raises(InputError, match="need separation"):
        separation_net.load(path)


def test_one_voice_is_too_few_to_train_on(tmp_path, voices):
    with pytest.raises(InputError, match="1 voices .* need two"):
        separation_train.train(voices[:1], tmp_path, OPTIONS)
