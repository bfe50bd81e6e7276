"""How exactly sync places a stream without timecode by mouth and voice.

Through the stage itself, on simulated takes.

    python benchmarks/sync_voice.py --takes 12 --seconds 60
    python benchmarks/sync_voice.py --takes 12 --seconds 60 --drop-rate 0.002

Of each performance once the voice and once the face loses its timecode; sync places it with without_timecode
= voice, and the start that it found is held against the truth. A performance in which mouth and voice do not
agree clearly is refused, and counts as not within half a frame. A face without timecode must have lost no
frame (--drop-rate 0, the default): nothing tells where it did.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from pipeline.capture import sync
from pipeline.config import Simulate, Sync
from pipeline.errors import InputError
from pipeline.formats.rig_file import Rig, save_rig
from pipeline.reading import read_json
from pipeline.simulate import plan, take
from pipeline.simulate.head import make_head

HALF_FRAME = 1 / 60
NUM_VERTICES = 200


def without_timecode(face: Path, wav: Path, kind: str) -> None:
    """Take the timecode out of a mesh stream or of a Broadcast Wave."""
    if kind == "audio":
        wav.write_bytes(wav.read_bytes().replace(b"bext", b"junk", 1))
        return
    import h5py

    with h5py.File(face, "r+") as f:
        del f["timecode"]
        f.attrs["rate"] = f.attrs["timecode_rate"]


def found_start(face: Path, wav: Path, rig: Path, actor: str, kind: str, out: Path) -> float | None:
    """Where sync places a performance's stream of this kind, seconds of day; None where it refuses."""
    options = Sync(without_timecode="voice")
    try:
        sync.run(
            timecode=None, actors=[actor], bvh=[], face=[face], wav=[wav], rig=[rig], out=out, options=options
        )
    except InputError:
        return None
    return read_json(out)["performances"][0][kind]["start"]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--takes", type=int, default=12, help="takes to make (default: 12)")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a take, seconds (default: 60)")
    parser.add_argument(
        "--seed",
        type=int,
        default=30,
        help="seed of the shoot, another than the coefficients were learned on (default: 30)",
    )
    parser.add_argument(
        "--drop-rate", type=float, default=0.0, help="share of face frames that are lost (default: 0)"
    )
    arguments = parser.parse_args()
    errors: dict[str, list[float]] = {"audio": [], "face": []}
    options = Simulate(seconds=arguments.seconds, num_vertices=NUM_VERTICES, drop_rate=arguments.drop_rate)
    for row in plan.plan_takes(arguments.takes, arguments.seed):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            shoot = root / "shoot" / row["take"]
            for kind in errors:
                take.run(
                    take=row["take"],
                    out=root / "shoot",
                    truth=root / "truth",
                    seed=arguments.seed,
                    options=options,
                )
                record = read_json(root / "truth" / row["take"] / "truth.json")
                for actor in (row["actor_a"], row["actor_b"]):
                    stem, rig = shoot / f"{row['date']}_{actor}_{row['scenario']}", root / f"{actor}.npz"
                    head = make_head(actor, NUM_VERTICES)
                    save_rig(rig, Rig(head.neutral, head.deltas, head.faces))
                    face, wav = stem.with_suffix(".mesh.h5"), stem.with_suffix(".wav")
                    without_timecode(face, wav, kind)
                    start = found_start(face, wav, rig, actor, kind, root / "sync.json")
                    error = np.nan if start is None else start - record["start"][actor][kind]
                    errors[kind].append(error)
                    print(
                        f"{row['take']} {actor}"
                        f" {kind:<6}{'refused' if start is None else f'{1e3 * error:+.1f} ms'}",
                        flush=True,
                    )
    for kind, found in errors.items():
        off = np.abs(np.array(found))
        known = off[np.isfinite(off)]
        print(
            f"{kind} without timecode: {len(off)}, within half a frame {100 * np.mean(off <= HALF_FRAME):.1f}"
            f" %, refused {100 * np.mean(np.isnan(off)):.1f} %, median {1e3 * np.median(known):.1f} ms,"
            f" largest {1e3 * known.max():.1f} ms"
        )


if __name__ == "__main__":
    main()
