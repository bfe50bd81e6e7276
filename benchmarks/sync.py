"""How exactly sync finds the clocks of simulated takes whose recorders drift, jitter and lose frames.

Midnight lies inside.

    python benchmarks/sync.py --takes 4 --seconds 60

Each take is recorded with face clocks and microphones that drift by up to 100 ppm, 0.3 ms of jitter on each
face's timecodes, 2 % of lost frames, LTC beside the voice and midnight in the middle; sync reads it, and what
it found is held against the truth. Prints a row per actor: largest error of a first and of a last frame or
sample, drops missed and invented, and the true drifts beside those found.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from pipeline.capture import sync
from pipeline.config import Simulate, Sync
from pipeline.reading import read_json
from pipeline.report.accuracy import sync_errors
from pipeline.simulate import plan, take

OPTIONS = {
    "num_vertices": 200,
    "drift_ppm": 100.0,
    "jitter_ms": 0.3,
    "drop_rate": 0.02,
    "midnight": True,
    "ltc": True,
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--takes", type=int, default=4, help="takes to make (default: 4)")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a take, seconds (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the shoot (default: 0)")
    arguments = parser.parse_args()
    head = (
        f"{'take':<14}{'actor':>6}{'first, ms':>11}{'last, ms':>11}{'missed':>8}{'invented':>10}{'lost':>6}"
    )
    print(f"{head}{'face drift (true), ppm':>26}{'audio drift (true), ppm':>26}")
    for row in plan.plan_takes(arguments.takes, arguments.seed):
        with tempfile.TemporaryDirectory() as name:
            shoot, truth, out = (Path(name) / part for part in ("shoot", "truth", "sync.json"))
            options = Simulate(seconds=arguments.seconds, **OPTIONS)
            take.run(take=row["take"], out=shoot, truth=truth, seed=arguments.seed, options=options)
            actors = [row["actor_a"], row["actor_b"]]
            raw = [shoot / row["take"] / f"{row['date']}_{actor}_{row['scenario']}" for actor in actors]
            files = {
                kind: [path.with_suffix(suffix) for path in raw]
                for kind, suffix in (("bvh", ".bvh"), ("face", ".mesh.h5"), ("wav", ".wav"))
            }
            sync.run(
                timecode=shoot / row["take"] / "timecode.json",
                actors=actors,
                **files,
                out=out,
                options=Sync(),
            )
            record = read_json(truth / row["take"] / "truth.json")
            for path, found in zip(raw, read_json(out)["performances"], strict=True):
                actor = found["actor"]
                rate = record["rate"][actor]
                seconds = np.load(truth / row["take"] / f"{path.name}.seconds.npy")
                errors = sync_errors(found, record["start"][actor], rate, seconds)
                drifts = [
                    f"{found[kind]['drift_ppm']:+.2f} ({(rate[kind] / nominal - 1) * 1e6:+.2f})"
                    for kind, nominal in (("face", 60), ("audio", 48_000))
                ]
                print(
                    f"{row['take']:<14}{actor:>6}{errors['sync_first_ms']:>11.4f}{errors['sync_last_ms']:>11.4f}{errors['drops_missed']:>8.0f}"
                    f"{errors['drops_invented']:>10.0f}{found['face']['dropped']:>6}{drifts[0]:>26}{drifts[1]:>26}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
