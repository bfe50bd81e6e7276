"""What the network of separation method `lips` adds to the mask where both actors talk.

And how much memory it takes.

    python benchmarks/separation_networks.py --weights data/runs/separation/model.safetensors
    python benchmarks/separation_networks.py --weights ... --memory 20   # one separation of 20 s, its peak

Takes of the simulated shoot hardly overlap, so voices, faces, rooms and microphones of the simulator are put
together anew: both actors talk at once for two thirds of the time, crosstalk -18 dB; seeds are others than a
shoot's. Columns: SI-SDR in dB over the moments in which both talk, of the microphone, the mask, the leak's
subtraction without a network, `lips`, `lips` with faces that do not move, and with each other's faces. With
real sentences (INTERACT_REAL_DATA) the rooms of benchmarks/separation.py follow, whole recordings, faces that
do not move: rooms, and a walking talker, that no training has heard. Exit status 1 where `lips` is less than
1 dB above the mask on average over the simulated scenes.
"""

import argparse
import os
import resource
import sys
from pathlib import Path

import numpy as np
import separation as rooms_benchmark

from models.speech import separation_net
from pipeline.capture.separation import OUT_RATE, separate
from pipeline.report.accuracy import si_sdr
from pipeline.simulate import plan, recording
from pipeline.simulate.dialogue import Turn, draw_sentences
from pipeline.simulate.face import evaluate_face, plan_face
from pipeline.simulate.speech import speak


def scene(seed: int, seconds: float = 20.0) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Microphones, voices and faces of two actors who talk at the same time.

    Microphones and voices (2, S) are at OUT_RATE, faces (T, 51) at 30 fps.
    """
    rng, size = np.random.default_rng([seed, 77]), int(seconds * OUT_RATE)
    actors = plan.PAIRS[seed % len(plan.PAIRS)]
    voices, faces = np.zeros((2, size), np.float32), []
    sentences = draw_sentences(2 * seconds, rng)
    for k in range(2):
        time, turns = rng.uniform(0.2, 1.0), []
        for utterance in speak(sentences[k], actors[k], int(rng.integers(1, 2**31))):
            if time + utterance.seconds > seconds - 0.2:
                break
            at = round(time * OUT_RATE)
            turns.append(Turn(k, at / OUT_RATE, utterance))
            voices[k, at : at + len(utterance.samples)] += utterance.samples
            time += utterance.seconds + rng.uniform(0.1, 1.2)
        voices[k] *= 10 ** (rng.uniform(-3, 3) / 20)
        faces.append(
            evaluate_face(
                plan_face(turns, "anger", -1.0, seconds + 1, rng), np.arange(int(seconds * 30)) / 30
            ).astype(np.float32)
        )
    how = {"distance_cm": rng.uniform(120, 220), "crosstalk_db": -18.0, "noise_db": -60.0, "rng": rng}
    mics, clean = zip(
        *[recording.microphone(voices[k], voices[1 - k], 0, **how) for k in range(2)], strict=True
    )
    return np.stack(mics), np.stack(clean), faces


def both_talk(voices: np.ndarray) -> np.ndarray:
    """Samples (S,) bool at which both voices (2, S) are within 30 dB of their loud parts, to 0.2 s."""
    step = OUT_RATE // 100
    power = np.square(voices[:, : voices.shape[1] // step * step]).reshape(2, -1, step).mean(2)
    talks = [np.convolve(p > 1e-3 * np.percentile(p, 95), np.ones(21), mode="same") > 0 for p in power]
    flags = np.repeat(talks[0] & talks[1], step)
    return np.pad(flags, (0, voices.shape[1] - len(flags)))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, required=True, help="model.safetensors of train_separation")
    parser.add_argument("--scenes", type=int, default=8, help="simulated scenes (default: 8)")
    parser.add_argument("--seed", type=int, default=200, help="seed of the first scene (default: 200)")
    parser.add_argument("--memory", type=float, help="seconds of noise to separate, for the peak memory only")
    arguments = parser.parse_args()
    network = separation_net.load(arguments.weights)
    if arguments.memory:
        mics = (
            np.random.default_rng(0).normal(0, 0.1, (2, int(arguments.memory * OUT_RATE))).astype(np.float32)
        )
        separation_net.separate_lips(
            mics, OUT_RATE, network=network, weights=[np.zeros((10, 51), np.float32)] * 2
        )
        print(
            f"{arguments.memory:g} s: peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}"
            f" MB, microphones {mics.nbytes / 1e6:.0f} MB"
        )
        return
    untrained = separation_net.LipSeparator(width=4, widest=4, lip_width=4).eval()

    def lips(mics: np.ndarray, faces: list[np.ndarray], net=network) -> np.ndarray:
        return separation_net.separate_lips(mics, OUT_RATE, network=net, weights=faces)

    names = ("microphone", "mask", "subtracted", "lips", "still faces", "swapped faces")
    print(f"| scene | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}")
    rows = []
    for seed in range(arguments.seed, arguments.seed + arguments.scenes):
        mics, voices, faces = scene(seed)
        still, at = [np.zeros_like(face) for face in faces], both_talk(voices)
        found = (
            mics,
            separate(mics, OUT_RATE),
            lips(mics, still, untrained),
            lips(mics, faces),
            lips(mics, still),
            lips(mics, faces[::-1]),
        )
        rows.append(
            [[si_sdr(x[k, at].astype(float), voices[k, at].astype(float)) for k in range(2)] for x in found]
        )
        print(f"| {seed} | {' | '.join(f'{a:.1f} {b:.1f}' for a, b in rows[-1])} |", flush=True)
    mean = np.mean(rows, axis=(0, 2))
    print(f"| mean | {' | '.join(f'{value:.2f}' for value in mean)} |")
    folder = Path(os.environ.get("INTERACT_REAL_DATA", "../shared/real")) / "speech"
    if folder.is_dir():
        print("\n| room | microphone | mask | subtracted | still faces |\n| --- | --- | --- | --- | --- |")
        for name, _, mics, voices in rooms_benchmark.rooms(folder):
            still = [np.zeros((10, 51), np.float32)] * 2
            found = (mics, separate(mics, OUT_RATE), lips(mics, still, untrained), lips(mics, still))
            means = [np.mean([si_sdr(x[k].astype(float), voices[k]) for k in range(2)]) for x in found]
            print(f"| {name} | {' | '.join(f'{mean:.1f}' for mean in means)} |", flush=True)
    sys.exit(int(mean[3] - mean[1] < 1.0))


if __name__ == "__main__":
    main()
