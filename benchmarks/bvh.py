"""How fast BVH files load, side by side with pybvh and bvhio.

And whether the joints are where pybvh has them.

    pip install pybvh bvhio
    python benchmarks/bvh.py --repeats 7

Loads a seeded file of 8640 frames x 186 channels (61 joints) with this reader and with each of the others in
turn, and prints the medians of wall and processor seconds and of their ratios, pair by pair. This reader ends
with quaternions; pybvh with Euler angles, `pybvh, to_quat` with quaternions as well; bvhio with a tree of
poses. Then the largest distance, in cm, between this reader's world joint positions and pybvh's, over that
file and those of the folder that INTERACT_REAL_DATA names (bvh/*.bvh). pybvh and bvhio are not dependencies
of the project; bvhio is loaded once only when it takes more than 20 s.
"""

import argparse
import gc
import importlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.formats.bvh import load_bvh, save_bvh  # noqa: E402
from pipeline.motion import rotations  # noqa: E402
from pipeline.motion.joints import RELEASE_JOINTS, RELEASE_PARENTS  # noqa: E402
from pipeline.motion.motion import Motion  # noqa: E402
from pipeline.motion.skeleton import forward_kinematics  # noqa: E402


def release_like(num_frames: int, *, rng: np.random.Generator) -> Motion:
    """A motion of the release's joints and one prop, 186 channels, that drifts smoothly."""
    names = [*RELEASE_JOINTS, "Prop"]
    parents = np.array(
        [
            -1 if (parent := RELEASE_PARENTS.get(name, "Hips")) is None else names.index(parent)
            for name in names
        ]
    )
    offsets = rng.normal(0, 10, (len(names), 3))
    positions = np.repeat(offsets[None], num_frames, 0)
    positions[:, 0] = [0, 90, 0] + np.cumsum(rng.normal(0, 0.2, (num_frames, 3)), 0)
    turns = rotations.from_euler("zxy", np.cumsum(rng.normal(0, 0.01, (num_frames, len(names), 3)), 0))
    return Motion(names, parents, offsets, 120.0, positions, turns, {}, ["zxy"] * len(names))


def seconds(function: Callable) -> np.ndarray:
    """Wall and processor seconds of one call, which does not pay for what another one left to collect."""
    gc.collect()
    begin = time.perf_counter(), time.process_time()
    function()
    return np.array([time.perf_counter() - begin[0], time.process_time() - begin[1]])


def compare(name: str, ours: Callable, theirs: Callable, num_repeats: int) -> None:
    """Print medians of repeated pairs."""
    pairs = []
    for _ in range(num_repeats):
        pairs.append([seconds(ours), seconds(theirs)])
        if pairs[-1][1][0] > 20:
            break
    times = np.array(pairs)
    ratios = np.median(times[:, 1] / times[:, 0], axis=0)
    (wall, cpu), (other_wall, other_cpu) = np.median(times, axis=0)
    print(
        f"{name:16}{len(pairs):>4} pairs: this reader {wall:.3f} s (processor {cpu:.3f}), {name}"
        f" {other_wall:.3f} s ({other_cpu:.3f}): {ratios[0]:.1f} x faster (processor {ratios[1]:.1f} x)"
    )


def distance(path: Path, pybvh) -> float:
    """Largest distance between a joint of this reader and pybvh's, in the file's unit."""
    ours, theirs = load_bvh(path, unit="cm"), pybvh.read_bvh_file(str(path))
    if list(theirs.joint_names) != ours.names:
        raise ValueError(f"{path.name}: pybvh lists other joints")
    return float(np.abs(forward_kinematics(ours)[0] - theirs.joint_positions()).max())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7, help="pairs of loads (default: 7)")
    parser.add_argument("--frames", type=int, default=8640, help="frames of the file (default: 8640)")
    arguments = parser.parse_args()
    logging.getLogger("interact").setLevel(logging.ERROR)
    try:
        pybvh, bvhio = importlib.import_module("pybvh"), importlib.import_module("bvhio")
    except ImportError as error:
        sys.exit(f"{error}; this benchmark compares with pybvh and bvhio: pip install pybvh bvhio")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "release-like.bvh")
        save_bvh(path, release_like(arguments.frames, rng=np.random.default_rng(0)))
        print(
            f"{arguments.frames} frames x 186 channels, {path.stat().st_size / 1e6:.1f} MB, {os.cpu_count()}"
            f" cores, load {os.getloadavg()[0]:.1f}"
        )
        load_bvh(path, unit="cm")
        compare(
            "pybvh",
            lambda: load_bvh(path, unit="cm"),
            lambda: pybvh.read_bvh_file(str(path)),
            arguments.repeats,
        )
        compare(
            "pybvh, to_quat",
            lambda: load_bvh(path, unit="cm"),
            lambda: pybvh.read_bvh_file(str(path)).to_quat(),
            arguments.repeats,
        )
        compare(
            "bvhio", lambda: load_bvh(path, unit="cm"), lambda: bvhio.readAsBvh(str(path)), arguments.repeats
        )
        real = os.environ.get("INTERACT_REAL_DATA")
        for file in [path, *(sorted(Path(real, "bvh").glob("*.bvh")) if real else [])]:
            print(f"{file.name:24} joints at most {distance(file, pybvh):.1e} from pybvh's")


if __name__ == "__main__":
    main()
