"""Training of the `lips` network by mix-and-separate.

It uses stretches of a shoot in which one actor speaks alone.

A stretch is heard by both microphones, so that two of them, added, are what the microphones would have
recorded had both spoken at once; what the own microphone heard of its owner's stretch is the voice to be
found. Steps are drawn from the step's number alone: a resumed training equals an uninterrupted one.
"""

import hashlib
import inspect
import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import models
import pipeline
from models.checkpoints import PROOFS, WRITTEN, State, losses, step_seed
from models.speech import separation_net
from models.speech.separation_net import (
    RATE,
    WINDOW,
    LipSeparator,
    band_coupling,
    cue_times,
    lip_cues,
    window_spectra,
)
from models.threads import fixed_threads
from models.weights import write_tensors
from pipeline import config, ownership, stage
from pipeline.errors import InputError
from pipeline.files import alone_in, write_json
from pipeline.formats import arkit
from pipeline.motion import clock
from pipeline.signals import leak, stft
from pipeline.signals import mask as separation_mask
from pipeline.signals.leak import leak_of

log = logging.getLogger("interact")
CODE = (
    "checkpoints",
    "speech/separation_net",
    "speech/separation_train",
    "speech/signals",
    "threads",
    "speech/unet",
    "weights",
)
LEVEL_DB, LEAK_DB = 6.0, 4.0
"""A voice, and how loud it leaks, are varied by as much up and down."""
WRONG_SHARE = 0.1
"""Share of voices whose leak is foretold by a wrong response."""
QUIET = 1e-5
"""Share of the mixture's energy at which an error counts as none (-50 dB)."""


@dataclass(frozen=True)
class Voice:
    """One actor's stretches in a take: what the own and the other microphone heard.

    It is silent where the other actor may speak.

    signals (2, S) float32 at 16 kHz, own microphone first; active (S / 160,) bool, hundredths of a second in
    which the actor speaks; coupling (bands,) and response (F, taps) of this voice into the other microphone,
    as the whole take has them; weights (T, 51) of the face at 30 fps.
    """

    name: str
    signals: np.ndarray
    active: np.ndarray
    coupling: np.ndarray
    response: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Batch:
    """What LipSeparator takes: mixtures, leaks, coupling and cues.

    And voice (B, F, T), what it is to find.
    """

    voice: Tensor
    mixture: Tensor
    leak: Tensor
    coupling: Tensor
    cues: Tensor


def _gain(rng: np.random.Generator, reach_db: float) -> np.float32:
    return np.float32(10 ** (rng.uniform(-reach_db, reach_db) / 20))


def _draw_part(
    voice: Voice, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A window of a voice in both microphones, spectra (2, F, T), its coupling, response and cues.

    Somewhere in it the actor speaks.
    """
    at = int(rng.choice(np.flatnonzero(voice.active))) * (RATE // 100)
    first = min(max(at - int(rng.integers(WINDOW)), 0), max(voice.signals.shape[1] - WINDOW, 0))
    part = voice.signals[:, first : first + WINDOW]
    louder = _gain(rng, LEAK_DB)
    gain = _gain(rng, LEVEL_DB) * np.array([[1], [louder]], np.float32)
    spectra = window_spectra(gain * np.pad(part, ((0, 0), (0, WINDOW - part.shape[1]))))
    return (
        spectra,
        louder**2 * voice.coupling,
        louder * voice.response,
        lip_cues(voice.weights, cue_times(first)),
    )


def draw(voices: list[Voice], size: int, rng: np.random.Generator) -> Batch:
    """`size` mixtures of two voices each, every one told from both sides: a batch of 2 `size`.

    In some, the leak is foretold by the response of another take: so it looks where people have moved.
    """
    items: list[tuple[np.ndarray, ...]] = []
    for _ in range(size):
        parts = [_draw_part(voices[i], rng) for i in rng.choice(len(voices), 2, replace=False)]
        wrong = rng.random(2) < WRONG_SHARE
        strangers = rng.integers(len(voices), size=2)
        for k in range(2):
            (own, from_own, _, own_lips), (other, from_other, response, other_lips) = parts[k], parts[1 - k]
            mixture = own + other[::-1]
            foretold = leak_of(voices[strangers[k]].response if wrong[k] else response, mixture[1])
            items.append(
                (
                    own[0],
                    mixture,
                    foretold,
                    band_coupling(np.stack([from_other, from_own])),
                    np.stack([own_lips, other_lips]),
                )
            )
    return Batch(*(torch.from_numpy(np.stack(x)) for x in zip(*items, strict=True)))


def loss_of(network: LipSeparator, batch: Batch) -> Tensor:
    """Mean level of the error against the mixture's own microphone, in units of 10 dB."""
    error = (
        (network(batch.mixture, batch.leak, batch.coupling, batch.cues) - batch.voice)
        .abs()
        .square()
        .sum((1, 2))
    )
    energy = batch.mixture[:, 0].abs().square().sum((1, 2)) + separation_net.TINY
    return (error / energy + QUIET).log10().mean()


def learning_rate(step: int, options: config.SeparationModel) -> float:
    """Linear warm-up, then half a cosine down to nothing at the last step."""
    fall = 0.5 * (1 + math.cos(math.pi * step / options.steps))
    return options.learning_rate * min(1.0, (step + 1) / max(options.warmup_steps, 1)) * fall


def optimise(state: State, voices: list[Voice], live_log: Path, options: config.SeparationModel) -> None:
    """Run the steps that are left; checkpoints and log lines on the way."""
    network = state.network.train()
    with open(live_log, "a", encoding="utf-8") as lines:
        for step in stage.progress(range(state.step, options.steps), label="train_separation"):
            rate = learning_rate(step, options)
            for group in state.optimiser.param_groups:
                group["lr"] = rate
            batch = draw(voices, options.batch_size, np.random.default_rng(step_seed(options.seed, step)))
            loss = loss_of(network, batch)  # type: ignore[arg-type]
            state.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), options.clip_norm)
            state.optimiser.step()
            state.step = step + 1
            value = loss.item()
            if not math.isfinite(value):
                raise InputError(
                    f"train_separation: the loss is {value} at step {state.step}, need a finite one; lower"
                    f" learning_rate ({rate:g})"
                )
            lines.write(json.dumps({"step": state.step, "loss": value, "learning_rate": rate}) + "\n")
            lines.flush()
            if state.step % options.checkpoint_steps == 0 or state.step == options.steps:
                state.save(live_log)


def run_hash(voices: list[Voice], options: config.SeparationModel) -> str:
    """What the weights depend on: options, the voices, and code."""
    chosen = {key: value for key, value in options.model_dump().items() if key != "checkpoint_steps"}
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode())
    for voice in voices:
        digest.update(voice.name.encode())
        for array in (voice.signals, voice.active, voice.coupling, voice.response, voice.weights):
            digest.update(np.ascontiguousarray(array).tobytes())
    sources = [Path(models.__file__).parent / f"{name}.py" for name in CODE]
    for path in sources + [
        Path(inspect.getfile(module)) for module in (arkit, clock, leak, separation_mask, stft)
    ]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def train(voices: list[Voice], out: Path, options: config.SeparationModel) -> None:
    """Train, or go on, and write the run folder; a second trainer of the same run waits for the first."""
    if len(voices) < 2:
        raise InputError(
            f"train_separation: {len(voices)} voices with a stretch in which one actor speaks alone, need"
            " two; give more takes"
        )
    ownership.need_proof(out, [out / name for name in WRITTEN], PROOFS)
    (out / PROOFS[0]).mkdir(parents=True, exist_ok=True)
    with alone_in(out, log), fixed_threads(options.threads), torch.random.fork_rng():
        torch.manual_seed(options.seed)
        network = LipSeparator(width=options.width, widest=options.widest, lip_width=options.lip_width)
        digest, live_log = run_hash(voices, options), out / "log.jsonl"
        state = State(
            network,
            torch.optim.Adam(network.parameters(), lr=options.learning_rate),
            out / "checkpoints" / digest,
            last_step=options.steps,
        )
        state.restore(live_log)
        if state.step:
            log.info("%s: goes on from step %d of %d (checkpoint %s)", out, state.step, options.steps, digest)
        if state.step < options.steps:
            optimise(state, voices, live_log, options)
        write_tensors(out / "model.safetensors", network.state_dict())
        description = {
            "format_version": separation_net.FORMAT_VERSION,
            "package_version": pipeline.__version__,
            "model": "separation",
        }
        sizes = {key: getattr(options, key) for key in separation_net.SIZES}
        description |= {
            "options": options.model_dump(),
            "sizes": sizes,
            "hash": digest,
            "voices": len(voices),
        }
        write_json(out / "model.json", description, durable=True)
        log.info(
            "%s: %d steps, loss %.3f -> %.3f (mean of the first and last tenth)",
            out,
            options.steps,
            *losses(live_log),
        )
