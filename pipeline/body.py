"""Body: a BVH of the shoot to the dataset's BVH, cut to the common window at 30 fps.

In: a BVH at any rate and the take's sync JSON. Out: a BVH at 30 fps in cm with the dataset's joints, and a JSON that
counts what was mended. Rotations are interpolated as quaternions on the sphere, never as Euler angles. Rows with NaN
are bridged up to a limit and counted; longer runs are errors.
"""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline import clock, config, rotations, stage
from pipeline.bvh import Motion, load_bvh, save_bvh
from pipeline.errors import InputError
from pipeline.files import read_json, write_json
from pipeline.joints import RELEASE_JOINTS
from pipeline.skeleton import keep_joints
from pipeline.takes import actor_of

log = logging.getLogger("interact")


def resample(motion: Motion, seconds: np.ndarray, times: np.ndarray, *, max_gap_seconds: float, where: str) -> tuple[Motion, int]:
    """The motion at `times` (N,), its frames being at `seconds` (T,); and how many of the frames used were NaN."""
    first, last = np.searchsorted(seconds, times[[0, -1]] + np.array([-1, 1]) * max_gap_seconds)
    part = slice(max(first - 2, 0), last + 3)  # a gap may reach over the window's edges
    motion, seconds = motion.frames(part), seconds[part]
    whole = np.isfinite(motion.positions_cm).all((1, 2)) & np.isfinite(motion.rotations).all((1, 2))
    index = clock.positions_in(times, seconds[whole], max_gap_seconds=max_gap_seconds, where=where)
    used = np.searchsorted(seconds, seconds[whole][[int(index[0]), int(np.ceil(index[-1]))]])
    mended = int((~whole[used[0] : used[1] + 1]).sum())
    positions = clock.linear(motion.positions_cm[whole], index)
    local = rotations.slerp(motion.rotations[whole], index)
    return replace(motion, positions_cm=positions, rotations=local, fps=1 / float(times[1] - times[0])), mended


def dataset_joints(motion: Motion, wanted: list[str] | None) -> list[str]:
    """The dataset's joints: those wanted, else the release's 60 where the body has them all, else all from the hips down."""
    if wanted:
        return wanted
    found = motion.aliases()
    if all(name in found for name in RELEASE_JOINTS):
        return RELEASE_JOINTS
    if "Hips" not in found:
        raise InputError(f"no hips among the joints {', '.join(motion.names[:6])}, ...; rename the joints to the release's names")
    below = {found["Hips"]}
    for j, parent in enumerate(motion.parents):
        if parent in below:
            below.add(j)
    canonical = {j: name for name, j in found.items()}
    return [canonical[j] for j in sorted(below)]


def run(*, bvh: Path, sync: Path, performance: str, out: Path, out_report: Path, options: config.Body) -> None:
    """Resample one performance's body and write BVH and report."""
    take = read_json(sync)
    actor = actor_of(performance)
    where = f"take {take['take']}, actor {actor}: {bvh.name}"
    streams = {p["actor"]: p["body"] for p in take["performances"]}
    if actor not in streams:
        raise InputError(f"{where}: the take's actors are {', '.join(streams)}; correct --performance")
    stream = streams[actor]
    motion = load_bvh(bvh, unit=None if options.unit == "auto" else options.unit)
    seconds = stream["start"] + np.arange(motion.num_frames) / stream["rate"]
    times = clock.frame_times(take["start_seconds"], take["frames"], take["fps"])
    motion, mended = resample(motion, seconds, times, max_gap_seconds=options.max_gap_seconds, where=where)
    motion = replace(motion, fps=float(take["fps"]))
    try:
        motion = keep_joints(motion, dataset_joints(motion, options.joints))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    save_bvh(out, motion)
    if mended:
        log.warning("%s: %d rows with NaN were interpolated", where, mended)
    write_json(out_report, {"performance": performance, "frames": motion.num_frames, "joints": len(motion.names), "nan_rows_interpolated": mended})


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Body)
    parser.add_argument("--bvh", type=Path, required=True, help="BVH of the shoot")
    parser.add_argument("--sync", type=Path, required=True, help="the take's sync JSON")
    parser.add_argument("--performance", required=True, help="<date>_<actor>_<scenario>")
    parser.add_argument("--out", type=Path, required=True, help="BVH to write")
    parser.add_argument("--out-report", type=Path, required=True, help="JSON to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
