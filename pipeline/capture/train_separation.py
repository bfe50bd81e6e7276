"""Train the network of separation method `lips` on the shoot's own microphones and faces.

In: both Broadcast Waves and both fitted faces of every take, in take and actor order, and the takes' sync
JSONs. Out: a run folder with model.safetensors, model.json, log.jsonl and checkpoints/
(models.speech.separation_train).

What is learnt from are the raw microphones, in the stretches in which one actor speaks alone; not the voices
of the dataset, which separation writes. In such a stretch the actor's microphone holds a clean voice, and the
other holds the leak of it as the room made it. The output of the mask would teach the network the mask's own
faults.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline import config, stage
from pipeline.capture.separation import OUT_RATE, read_window
from pipeline.errors import InputError
from pipeline.formats.array_files import read_npy
from pipeline.formats.sync_file import read_sync
from pipeline.motion.clock import AUDIO_RATE
from pipeline.motion.stretches import runs
from pipeline.signals.leak import estimate_response
from pipeline.signals.mask import estimate_coupling

if TYPE_CHECKING:
    from models.speech.separation_train import Voice

log = logging.getLogger("interact")
STEP = AUDIO_RATE // 100
LOUD, SILENT = 1e-3, 1e-4
"""Shares of a microphone's loud power (-30 and -40 dB).

Above the first somebody speaks, below the second nobody does.
"""
MARGIN = 4.0
"""A microphone that is as much above the foretold leak holds its owner's voice (6 dB)."""
ROOM_STEPS = 15
"""Hundredths of a second over which a voice is heard on in the other microphone."""
FADE_STEPS = 2
GUARD_STEPS, SHORTEST_STEPS = 15, 50
"""Hundredths of a second: left out round the other actor's speech, and the shortest stretch that is kept."""


def levels(mics: np.ndarray) -> np.ndarray:
    """Power of microphones (2, S) at 16 kHz in each hundredth of a second, over 50 ms, (2, S / 160)."""
    power = np.square(mics[:, : mics.shape[1] // STEP * STEP], dtype=np.float64).reshape(2, -1, STEP).mean(2)
    return np.stack([np.convolve(p, np.ones(5) / 5, mode="same") for p in power])


def alone(power: np.ndarray) -> np.ndarray:
    """Where the other actor is surely silent, (2, N) bool, of the microphones' powers (2, N).

    The other is taken to be silent where the other's microphone hears next to nothing, or no more than the
    leak of this voice, whose coupling is the median of the powers' ratios where this microphone is loud and
    the louder one.
    """
    loud = np.percentile(power, 95, axis=1) + 1e-12
    result = np.zeros(power.shape, bool)
    for k in range(2):
        own, other = power[k], power[1 - k]
        heard = (own > 0.03 * loud[k]) & (own > other)
        coupling = np.median(other[heard] / own[heard]) if heard.any() else 0.0
        # the leak comes later than the voice and dies away in the room
        before = np.lib.stride_tricks.sliding_window_view(np.pad(own, (ROOM_STEPS, 1)), ROOM_STEPS + 2).max(1)
        speaks = (other > MARGIN * coupling * before) & (other > SILENT * loud[1 - k])
        near = np.convolve(speaks, np.ones(2 * GUARD_STEPS + 1), mode="same") > 0.5
        for first, stop in runs(~near):
            result[k, first:stop] = stop - first >= SHORTEST_STEPS
    return result


def voices_of(take: str, mics: np.ndarray, faces: list[np.ndarray]) -> "list[Voice]":
    """The stretches of both actors in which they speak alone.

    Of microphones (2, S) at 16 kHz and face weights (T, 51).
    """
    from models.speech.separation_net import SIZE
    from models.speech.separation_train import Voice

    power = levels(mics)
    kept, loud = alone(power), np.percentile(power, 95, axis=1)
    coupling = estimate_coupling(mics, AUDIO_RATE)
    found = []
    for k in range(2):
        active = kept[k] & (power[k] > LOUD * loud[k]) & (power[k] > power[1 - k])
        if active.sum() < SHORTEST_STEPS:
            log.warning("take %s: no stretch in which actor %d of 2 speaks alone", take, k + 1)
            continue
        fade = np.convolve(kept[k], np.ones(2 * FADE_STEPS + 1) / (2 * FADE_STEPS + 1), mode="same") * kept[k]
        gate = np.interp(np.arange(mics.shape[1]), (np.arange(len(fade)) + 0.5) * STEP, fade).astype(
            np.float32
        )
        order = [k, 1 - k]
        response = estimate_response(mics[order[::-1]], AUDIO_RATE, size=SIZE)
        found.append(Voice(f"{take} {k}", mics[order] * gate, active, coupling[1 - k], response, faces[k]))
    return found


def _read_face(path: Path, frames: int) -> np.ndarray:
    weights = read_npy(path)
    if weights.shape != (frames, 51) or not np.isfinite(weights).all():
        raise InputError(
            f"{path}: face weights {weights.shape}, need finite ones ({frames}, 51); run blendshapes again"
        )
    return weights


def run(
    *, wav: list[Path], face: list[Path], sync: list[Path], out: Path, options: config.SeparationModel
) -> None:
    """Collect the voices of all takes, and train."""
    from models.speech.separation_train import train
    from models.speech.signals import low_band

    if not len(wav) == len(face) == 2 * len(sync):
        raise InputError(
            f"train_separation: {len(wav)} --wav, {len(face)} --face, {len(sync)} --sync; need two, two and"
            " one of every take"
        )
    voices = []
    for i, path in enumerate(sync):
        take = read_sync(path)
        if len(take["performances"]) != 2:
            raise InputError(
                f"{path}: {len(take['performances'])} performance, need a take of two; leave it out"
            )
        size = round(take["frames"] * OUT_RATE / take["fps"])
        mics = [
            read_window(name, performance["audio"], take["start_seconds"], size)
            for name, performance in zip(wav[2 * i : 2 * i + 2], take["performances"], strict=True)
        ]
        faces = [_read_face(name, take["frames"]) for name in face[2 * i : 2 * i + 2]]
        voices += voices_of(take["take"], low_band(np.stack(mics), OUT_RATE, AUDIO_RATE), faces)
    seconds = sum(float(voice.active.sum()) for voice in voices) / 100
    log.info("train_separation: %d voices of %d takes, %.0f s of speech", len(voices), len(sync), seconds)
    train(voices, out, options)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.SeparationModel)
    parser.add_argument(
        "--wav",
        nargs="+",
        type=Path,
        required=True,
        help="Broadcast Waves of both actors of every take, in take and actor order",
    )
    parser.add_argument(
        "--face", nargs="+", type=Path, required=True, help="fitted faces (.npy) in the same order"
    )
    parser.add_argument("--sync", nargs="+", type=Path, required=True, help="sync JSON of every take")
    parser.add_argument("--out", type=Path, required=True, help="run folder to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
