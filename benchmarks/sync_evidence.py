"""How well mouths and voices tell whether a take is in sync.

    python benchmarks/sync_evidence.py --seeds 10 11 12 --takes 7 --seconds 60
    python benchmarks/sync_evidence.py --learn --seeds 0 1 --takes 8 --seconds 60

Takes are simulated without bodies' and heads' files: weights at 30 fps and the microphones, with -14 dB of
crosstalk. The first command prints the share of performances within half a frame where timecode is known
(true lags are drawn within 0.5 s, 2 s are searched) and without timecode (the face is cut by up to 20 s, 30 s
are searched), the share that abstained, and how often pairs of unrelated faces and voices were believed. The
second prints the coefficients of pipeline/capture/evidence.py as learned on its takes. --learn and the
measurement need other seeds.
"""

import argparse

import numpy as np

from pipeline import config
from pipeline.capture import evidence
from pipeline.motion.clock import FPS
from pipeline.simulate import plan, take
from pipeline.simulate.face import evaluate_face, plan_face
from pipeline.simulate.recording import microphone
from pipeline.simulate.speech import RATE

HALF_FRAME = 1 / 60
NUM_STRANGERS = 400
CROSSTALK_DB, NOISE_DB, DISTANCE_CM = -14.0, -60.0, 200.0


def simulated(seed: int, number: int, seconds: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mouth movements (N, 4) and band levels (E, 8) of both performances, which begin together.

    At 30 fps and at VOICE_FPS.
    """
    row = plan.plan_takes(number + 1, seed)[number]
    scene = take.play(row, seed=seed, options=config.Simulate(seconds=seconds))
    begin, end = scene.streams.window
    times = begin + np.arange(int((end - begin) * FPS)) / FPS
    voices = np.zeros((2, round(len(times) * RATE / FPS)), np.float32)
    for k, turns in enumerate(scene.turns):
        for turn in turns:
            first = round((turn.start - begin) * RATE)
            part = turn.utterance.samples[: voices.shape[1] - first]
            voices[k, first : first + len(part)] += part
    result = []
    for k, rng in enumerate(scene.face_rngs):
        weights = evaluate_face(plan_face(scene.turns[k], row["emotion"], times[0], times[-1], rng), times)
        mic, _ = microphone(
            voices[k],
            voices[1 - k],
            0,
            distance_cm=DISTANCE_CM,
            crosstalk_db=CROSSTALK_DB,
            noise_db=NOISE_DB,
            rng=scene.mic_rng,
        )
        result.append((evidence.mouth_movements(weights), evidence.band_levels(mic, RATE)[0]))
    return result


def foretold(levels: np.ndarray) -> np.ndarray:
    """The movements (E, 4) that band levels (E, 8) foretell."""
    return evidence.movements_of(levels, evidence.VOICE_FPS)


def compare(mouth: np.ndarray, levels: np.ndarray, max_lag_seconds: float) -> evidence.Match:
    """`evidence.agreement` of a mouth with a voice's levels."""
    return evidence.agreement(
        mouth, foretold(levels), mouth_fps=FPS, voice_fps=evidence.VOICE_FPS, max_lag_seconds=max_lag_seconds
    )


def learn(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Print bands to movements by least squares, the movements' weights and the lag that is left."""
    table, weights = evidence.learn_movements(pairs, mouth_fps=FPS)
    print("MOVEMENT_OF_BANDS", np.array2string(table.round(2), separator=", "), sep="\n")
    print("MOVEMENT_WEIGHTS", weights.round(2))
    lags = [compare(mouth, levels, 1.0).lag_seconds + evidence.LEAD_SECONDS for mouth, levels in pairs]
    print(f"LEAD_SECONDS {np.median(lags):.4f} (standard deviation {np.std(lags):.4f})")


def say(what: str, matches: list[evidence.Match], truth: np.ndarray) -> None:
    """Print the shares of one setting."""
    off = np.array([match.lag_seconds for match in matches]) - truth
    sure = np.array([match.confident for match in matches])
    good = np.abs(off) <= HALF_FRAME
    print(
        f"{what:<22}{len(off):>6}{100 * good.mean():>9.1f} %{100 * (1 - sure.mean()):>9.1f}"
        f" %{100 * np.mean(sure & ~good):>12.1f}"
        f" %{1e3 * np.median(off):>9.1f}{1e3 * np.percentile(np.abs(off), 95):>8.1f}"
    )


def measure(pairs: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> None:
    """Print the figures of related and unrelated pairs."""
    print(
        f"{'':<22}{'pairs':>6}{'in half a frame':>16}{'abstain':>8}"
        f"{'sure, wrong':>13}{'bias ms':>9}{'95 % ms':>8}"
    )
    fps = evidence.VOICE_FPS
    shifts = rng.integers(-fps // 2, fps // 2 + 1, len(pairs))
    # a face cut at the front makes the voice late
    cut = [
        (mouth[15:-15], levels[max(fps // 2 - s, 0) :])
        for (mouth, levels), s in zip(pairs, shifts, strict=True)
    ]
    say("timecode, off by 0.5 s", [compare(*pair, 2.0) for pair in cut], shifts / fps)
    longest = min(20.0, min(len(mouth) for mouth, _ in pairs) / FPS / 3)
    cuts = rng.integers(0, int(longest * FPS), len(pairs))
    say(
        "without timecode",
        [compare(mouth[c:], levels, 30.0) for (mouth, levels), c in zip(pairs, cuts, strict=True)],
        cuts / FPS,
    )
    strangers = [(i, j) for i in range(len(pairs)) for j in range(len(pairs)) if i // 2 != j // 2]
    strangers = [strangers[n] for n in rng.permutation(len(strangers))[:NUM_STRANGERS]]
    for reach in (2.0, 30.0):
        wrong = [compare(pairs[i][0], pairs[j][1], reach).confident for i, j in strangers]
        print(f"unrelated, within {reach:g} s: {len(wrong)} pairs, believed {100 * np.mean(wrong):.2f} %")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[10, 11, 12],
        help="seeds of the simulated shoots (default: 10 11 12)",
    )
    parser.add_argument("--takes", type=int, default=7, help="takes of each seed (default: 7)")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a take (default: 60)")
    parser.add_argument("--learn", action="store_true", help="print the coefficients that these takes teach")
    arguments = parser.parse_args()
    pairs = [
        pair
        for seed in arguments.seeds
        for number in range(arguments.takes)
        for pair in simulated(seed, number, arguments.seconds)
    ]
    if arguments.learn:
        learn(pairs)
    else:
        measure(pairs, np.random.default_rng(0))


if __name__ == "__main__":
    main()
