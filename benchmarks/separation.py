"""How well each separation method takes the other voice out of a close microphone, and how long it takes.

    python benchmarks/separation.py    # all methods that need nothing but the two microphones
    python benchmarks/separation.py --methods mask --rooms-only

Takes of the simulated shoot (pipeline.simulate), whose clean voices are known, and real sentences (the folder
that the variable INTERACT_REAL_DATA names; skipped where missing) in a simulated room of 5 x 4 x 2.7 m
(pyroomacoustics, image sources): two people 1.5 m apart, each microphone 7 cm from its mouth. The way from
one mouth to the other's microphone is scaled so that the crosstalk (a voice's level there against its level
in its own microphone) is -21, -14 and -8 dB; reverberation lasts 0.3 or 0.6 s, microphones have noise 40 dB
below the voice or none, and both people are equally loud or the second 12 dB quieter. Further cells turn the
second recorder 12 dB up or down, and let the second person walk 1.5 m during the take.

SI-SDR is against the voice as it comes to its own microphone (direct sound and the room's), over all
frequencies at 48 kHz. SIR is BSS Eval's with filters of 64 ms at 16 kHz (fast_bss_eval): what is left of the
other voice, whichever way it took through the room. Exit status 1 where the default method is below the raw
microphone in any cell, or gains less than 3 dB for a quiet talker.
"""

import argparse
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path

import fast_bss_eval
import numpy as np
import pyroomacoustics
import soxr
import torch
from scipy.signal import oaconvolve

from pipeline import config
from pipeline.capture.separation import METHODS, OUT_RATE, separate
from pipeline.formats import audio
from pipeline.formats.voice_file import read_wav
from pipeline.reading import read_json
from pipeline.report.accuracy import si_sdr
from pipeline.simulate import plan, take

SIR_RATE, SIR_TAPS = 16_000, 1024
CROSSTALK_DB, RT60_S, QUIET_DB = (-21, -14, -8), (0.3, 0.6), -12
QUIET_GAIN_DB = 3.0
ROOM_M = [5, 4, 2.7]
WALK_M, STEP_M = 1.5, 0.1
MOUTHS_M = np.array([[1.75, 2.1, 1.5], [3.25, 1.9, 1.6]])
TO_MICROPHONE_M = np.array([[0.05, -0.03, -0.04], [-0.05, 0.03, -0.04]])


def sir(found: np.ndarray, voices: np.ndarray) -> np.ndarray:
    """Signal-to-interference ratio (2,) in dB of estimates (2, S) of voices (2, S) at OUT_RATE."""
    # tensors: its numpy half needs numpy 1
    pair = [
        torch.tensor(np.stack([soxr.resample(x, OUT_RATE, SIR_RATE) for x in signals]), dtype=torch.float64)
        for signals in (voices, found)
    ]
    return fast_bss_eval.bss_eval_sources(*pair, filter_length=SIR_TAPS, compute_permutation=False)[1].numpy()


def responses(rt60: float, steps_m: float = 0.0) -> list[list[np.ndarray]]:
    """Room responses [microphone][mouth] at OUT_RATE.

    `steps_m` is how far the second person has walked along the room's y.
    """
    absorption, order = pyroomacoustics.inverse_sabine(rt60, ROOM_M)
    room = pyroomacoustics.ShoeBox(
        ROOM_M, fs=OUT_RATE, materials=pyroomacoustics.Material(absorption), max_order=order
    )
    mouths = MOUTHS_M + [[0, 0, 0], [0, steps_m, 0]]
    for mouth in mouths:
        room.add_source(mouth)
    room.add_microphone_array((mouths + TO_MICROPHONE_M).T)
    room.compute_rir()
    return room.rir


def images_of(dry: np.ndarray, rirs: list[list[list[np.ndarray]]]) -> np.ndarray:
    """Each voice in each microphone (microphone, mouth, S) of dry voices (2, S).

    Responses follow each other in time, cross-faded.
    """
    num_samples = dry.shape[1]
    at = np.linspace(0, len(rirs) - 1, num_samples)
    images = np.zeros((2, 2, num_samples))
    for i, rir in enumerate(rirs):
        now = dry * np.clip(1 - np.abs(at - i), 0, 1)
        for k, j in itertools.product(range(2), repeat=2):
            images[k, j] += oaconvolve(now[j], rir[k][j])[:num_samples]
    return images


def mix(
    images: np.ndarray,
    crosstalk_db: float,
    *,
    noise_db: float | None = None,
    quiet: int | None = None,
    hot_db: float = 0.0,
):
    """Microphones and the voices in them, (2, S) each.

    The second recorder's gain is `hot_db` above the first's.
    """
    level = [10 ** ((QUIET_DB if k == quiet else 0) / 20) * 0.05 for k in range(2)]
    voices = np.stack([level[k] * images[k, k] / np.std(images[k, k]) for k in range(2)])
    leaks = np.stack(
        [
            10 ** (crosstalk_db / 20) * level[1 - k] * images[k, 1 - k] / np.std(images[k, 1 - k])
            for k in range(2)
        ]
    )
    noise = np.random.default_rng(0).standard_normal(voices.shape) * (
        0 if noise_db is None else 10 ** (noise_db / 20) * voices.std(1, keepdims=True)
    )
    gain = np.array([[1.0], [10 ** (hot_db / 20)]])
    return (gain * (voices + leaks + noise)).astype(np.float32), gain * voices


def conversation(folder: Path) -> np.ndarray:
    """Dry voices (2, S) at OUT_RATE: the real sentences of two speakers in turns.

    Every third of them begins before the last has ended.
    """
    voices = [[read_wav(path) for path in sorted(folder.glob(f"{name}_*.wav"))] for name in ("aew", "axb")]
    turns = [
        (k, soxr.resample(*turn, OUT_RATE)) for sentences in zip(*voices) for k, turn in enumerate(sentences)
    ]
    placed, at = [], OUT_RATE // 2
    for i, (k, sound) in enumerate(turns):
        at -= OUT_RATE if i % 3 == 2 else 0
        placed.append((k, at, sound / np.sqrt(np.mean(sound**2)) * 0.05))
        at += len(sound) + OUT_RATE // 4
    dry = np.zeros((2, at + OUT_RATE))
    for k, first, sound in placed:
        dry[k, first : first + len(sound)] += sound
    return dry


def rooms(folder: Path):
    """(name, quiet, microphones (2, S), voices (2, S)) of every setting of the room.

    `quiet` is the quieter actor, or None.
    """
    dry = conversation(folder)
    for rt60 in RT60_S:
        images = images_of(dry, [responses(rt60)])
        for crosstalk, noise_db, quiet in itertools.product(CROSSTALK_DB, (None, -40), (None, 1)):
            name = (
                f"RT60 {rt60} s, {crosstalk} dB, {'no noise' if noise_db is None else f'noise {noise_db} dB'}"
            )
            yield name, quiet, *mix(images, crosstalk, noise_db=noise_db, quiet=quiet)
    for quiet, hot_db in ((None, 12), (1, -12)):
        yield (
            f"RT60 {rt60} s, -14 dB, second recorder {hot_db:+} dB",
            quiet,
            *mix(images, -14, quiet=quiet, hot_db=hot_db),
        )
    walk = [responses(RT60_S[0], step) for step in np.linspace(0, WALK_M, round(WALK_M / STEP_M) + 1)]
    images = images_of(dry, walk)
    for crosstalk in CROSSTALK_DB:
        yield (
            f"RT60 {RT60_S[0]} s, {crosstalk} dB, the second walks {WALK_M:g} m",
            None,
            *mix(images, crosstalk),
        )


def simulated(num_takes: int, seconds: float, crosstalk_db: float, seed: int):
    """(name, None, microphones (2, S), voices (2, S)) of takes of the simulated shoot.

    They are cut to their common window.
    """
    options = config.Simulate(seconds=seconds, crosstalk_db=crosstalk_db, num_vertices=200)
    for row in plan.plan_takes(num_takes, seed):
        with tempfile.TemporaryDirectory() as folder:
            shoot, truth = Path(folder) / "shoot", Path(folder) / "truth"
            take.run(take=row["take"], out=shoot, truth=truth, seed=seed, options=options)
            record = read_json(truth / row["take"] / "truth.json")
            first, last = record["window"]
            pair = []
            for root in (shoot, truth):
                heard = []
                for actor in (row["actor_a"], row["actor_b"]):
                    stream = audio.open_audio(
                        root / row["take"] / f"{row['date']}_{actor}_{row['scenario']}.wav", channel=1
                    )
                    begin = first - record["start"][actor]["audio"]
                    heard.append(
                        audio.resample_span(
                            stream,
                            begin,
                            int((last - first) * OUT_RATE),
                            true_rate=record["rate"][actor]["audio"],
                        )
                    )
                pair.append(np.stack(heard))
        yield f"simulated take, {crosstalk_db:g} dB", None, pair[0], pair[1].astype(float)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[name for name in METHODS if name != "none"],
        help="methods to measure, in this order",
    )
    parser.add_argument("--takes", type=int, default=2, help="simulated takes at each crosstalk (default: 2)")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="length of a simulated take, seconds (default: 60)"
    )
    parser.add_argument("--seed", type=int, default=40, help="seed of the simulated shoot (default: 40)")
    parser.add_argument("--rooms-only", action="store_true", help="leave the simulated takes out")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("INTERACT_REAL_DATA", "../shared/real")) / "speech"
    cells = (
        []
        if arguments.rooms_only
        else [simulated(arguments.takes, arguments.seconds, db, arguments.seed) for db in (-18, -12)]
    )
    if folder.is_dir():
        cells.append(rooms(folder))
    else:
        print(
            f"{folder}: no such folder, real sentences are skipped; set INTERACT_REAL_DATA", file=sys.stderr
        )
    print("SI-SDR / SIR in dB\n")
    print(
        f"| cell | voice | microphone | {' | '.join(arguments.methods)} |\n| --- | --- | --- |"
        f" {' | '.join('---' for _ in arguments.methods)} |"
    )
    default, gains, quiet_gains, took = (
        config.Separation().method,
        [],
        [],
        dict.fromkeys(arguments.methods, 0.0),
    )
    length = 0.0
    for name, quiet, mics, voices in itertools.chain(*cells):
        length += mics.shape[1] / OUT_RATE
        scores = {"microphone": (mics, sir(mics, voices))}
        for method in arguments.methods:
            begin = time.perf_counter()
            found = separate(mics, OUT_RATE, method=method)
            took[method] += time.perf_counter() - begin
            scores[method] = (found, sir(found, voices))
        for k in range(2):
            sdr = {key: si_sdr(found[k].astype(float), voices[k]) for key, (found, _) in scores.items()}
            who = ["first", "second"][k] if quiet is None else ["loud", "quiet"][int(k == quiet)]
            print(
                f"| {name} | {who} |"
                f" {' | '.join(f'{sdr[key]:.1f} / {value[k]:.1f}' for key, (_, value) in scores.items())} |",
                flush=True,
            )
            if default in sdr:
                gains.append(sdr[default] - sdr["microphone"])
                quiet_gains += [gains[-1]] if who == "quiet" else []
    print(
        "\n" + "\n".join(f"{method}: {seconds / length:.3f} x real time" for method, seconds in took.items())
    )
    if gains:
        least = min(quiet_gains, default=np.nan)
        print(
            f"{default} against the microphone: {min(gains):+.1f} to {max(gains):+.1f} dB, quiet talkers at"
            f" least {least:+.1f} dB"
        )
        sys.exit(int(min(gains) < 0 or min(quiet_gains, default=QUIET_GAIN_DB) < QUIET_GAIN_DB))


if __name__ == "__main__":
    main()
