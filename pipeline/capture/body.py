"""Body: a BVH of the shoot to the dataset's BVH, cut to the common window at 30 fps.

In: a BVH at any rate and the take's sync JSON. Out: a BVH at 30 fps in cm with the dataset's joints, and a
JSON that counts what was mended and lists the dataset's joints that the body lacks and what is wrong with the
motion at its own rate (pipeline.capture.body_quality). Rotations are interpolated as quaternions on the
sphere, never as Euler angles. Rows with NaN are bridged up to a limit and counted; longer runs are errors. A
reference pose in the first frame is no part of the motion: the second frame takes its place. Positions are
low-passed where the rate falls. A body that does not stand along y is turned to (pipeline.motion.upright).
"""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline import config, stage
from pipeline.capture import body_quality
from pipeline.capture.body_faults import summary
from pipeline.capture.body_spikes import mend_flicker
from pipeline.errors import InputError
from pipeline.formats.bvh import first_frame_is_reference, save_bvh
from pipeline.formats.people import load_body, with_toes
from pipeline.formats.sync_file import read_sync, recorded_marks, same_file, stream_of
from pipeline.formats.takes import actor_of
from pipeline.motion import clock, rotations, upright
from pipeline.motion.joint_map import better_map, missing_joints
from pipeline.motion.joints import RELEASE_JOINTS, SIDES
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import keep_joints
from pipeline.run_report import write_report

log = logging.getLogger("interact")

NEEDED_JOINTS = {
    "actions": ["Hips", *(f"{side}{part}" for side in SIDES for part in ("UpLeg", "Leg", "Foot", "ToeBase"))],
    "facing": ["Head", "Hips", "Spine", "LeftUpLeg", "RightUpLeg"],
    "features": ["Spine", "LeftUpLeg", "RightUpLeg"],
}
"""Joints without which a later stage stops."""


def resample(
    motion: Motion,
    seconds: np.ndarray,
    times: np.ndarray,
    *,
    max_gap_seconds: float,
    where: str,
    fix: str = clock.MEND,
) -> tuple[Motion, int]:
    """The motion at `times` (N,), its frames being at `seconds` (T,).

    And how many of the frames used were NaN.
    """
    margin = max_gap_seconds + clock.LOW_PASS_LOBES * float(times[1] - times[0])
    first, last = np.searchsorted(seconds, times[[0, -1]] + np.array([-1, 1]) * margin)
    part = slice(
        max(first - 2, 0), last + 3
    )  # a gap may reach over the window's edges, and so does the low-pass
    motion, seconds = motion.frames(part), seconds[part]
    whole = np.isfinite(motion.positions_cm).all((1, 2)) & np.isfinite(motion.rotations).all((1, 2))
    index = clock.positions_in(times, seconds[whole], max_gap_seconds=max_gap_seconds, where=where, fix=fix)
    used = np.searchsorted(seconds, seconds[whole][[int(index[0]), int(np.ceil(index[-1]))]])
    mended = int((~whole[used[0] : used[1] + 1]).sum())
    positions = clock.at_times(
        motion.positions_cm[whole],
        seconds[whole],
        times,
        max_gap_seconds=max_gap_seconds,
        where=where,
        fix=fix,
    )
    local = rotations.slerp(motion.rotations[whole], index)
    return (
        replace(motion, positions_cm=positions, rotations=local, fps=1 / float(times[1] - times[0])),
        mended,
    )


def dataset_joints(motion: Motion, wanted: list[str] | None) -> list[str]:
    """The dataset's joints: those wanted, else the release's 60 where the body has them all.

    Else all from the hips down.
    """
    if wanted:
        return wanted
    found = motion.aliases()
    if all(name in found for name in RELEASE_JOINTS):
        return RELEASE_JOINTS
    if "Hips" not in found:
        raise InputError(
            f"no hips among the joints {', '.join(motion.names[:6])}, ...; rename the joints to the release's"
            " names"
        )
    below = {found["Hips"]}
    for j, parent in enumerate(motion.parents):
        if parent in below:
            below.add(j)
    canonical = {j: name for name, j in found.items()}
    return [canonical[j] for j in sorted(below)]


def lacking(
    motion: Motion, wanted: list[str] | None, kept: Motion, *, unmapped: bool = False
) -> tuple[list[str], list[str]]:
    """The dataset's joints that a body lacks, and lines that say what follows from it.

    The dataset's joints are those wanted, else the release's 60.

    `kept` is the motion on the joints that are written, which later stages get to see. Where it is
    `unmapped`, a map that helps is named.
    """
    missing = missing_joints(motion, wanted or RELEASE_JOINTS)
    lines = []
    if missing:
        better = better_map(motion.names, wanted or RELEASE_JOINTS, len(missing)) if unmapped else ""
        lines.append(
            f"the body lacks {len(missing)} of the dataset's {len(wanted or RELEASE_JOINTS)}"
            f" joints{better and f' ({better})'}: {', '.join(missing)}"
        )
    for stage_name, names in NEEDED_JOINTS.items():
        if absent := missing_joints(kept, names):
            lines.append(
                f"{stage_name} will stop, for it needs the joints {', '.join(absent)}; give them rows in"
                " body.joint_map or list them in body.joints"
            )
    return missing, lines


def without_reference(motion: Motion) -> tuple[Motion, bool]:
    """The motion with the second frame in place of a reference pose in the first, and whether there was one.

    The first frame stays, for the stream's timecode is its time.
    """
    if not first_frame_is_reference(motion):
        return motion, False
    local, positions = motion.rotations.copy(), motion.positions_cm.copy()
    local[0], positions[0] = local[1], positions[1]
    return replace(motion, rotations=local, positions_cm=positions), True


def inspected(
    motion: Motion, seconds: np.ndarray, times: np.ndarray, options: config.Body
) -> tuple[Motion, dict]:
    """The motion with lone spikes mended, and the quality of its frames in the take's window.

    Frames are at `seconds` (T,), the window is `times` (N,).
    """
    first, last = (int(i) for i in np.searchsorted(seconds, times[[0, -1]]))
    part = slice(max(first - 1, 0), min(last + 2, motion.num_frames))
    window = motion.frames(part)
    found = body_quality.inspect(
        window,
        flicker_deg=options.flicker_deg,
        freeze_seconds=options.freeze_seconds,
        slide_cm_s=options.slide_cm_s,
    )
    if options.mend_flicker:
        window, faults = mend_flicker(window, found.faults)
        found = replace(found, faults=faults)
        local, positions = motion.rotations.copy(), motion.positions_cm.copy()
        local[part], positions[part] = window.rotations, window.positions_cm
        motion = replace(motion, rotations=local, positions_cm=positions)
    start = float(seconds[part.start] - times[0])
    fps = (
        (window.num_frames - 1) / float(seconds[part][-1] - seconds[part.start])
        if window.num_frames > 1
        else motion.fps
    )
    return motion, summary(
        found, fps=fps, num_frames=window.num_frames, first_frame=part.start, start_seconds=start
    )


def run(
    *,
    bvh: Path,
    sync: Path | None = None,
    performance: str | None = None,
    out: Path,
    out_report: Path | None = None,
    options: config.Body,
) -> None:
    """Resample one performance's body, or one by itself, and write BVH and report."""
    if (sync is None) != (performance is None):
        raise InputError(
            f"{bvh.name}: got --sync or --performance alone, need both for a body of a take, or neither;"
            " correct the command"
        )
    where, take, stream = str(bvh), {}, {}
    if sync and performance:
        take = read_sync(sync)
        where = f"take {take['take']}, actor {actor_of(performance)}: {bvh.name}"
        stream = stream_of(take, performance, "body", where=where)
        same_file(stream, bvh, where=where)
    motion = load_body(bvh, options, where=where)
    (motion,) = upright.stand([motion], options.up, wheres=[where], key="body.up")
    if sync and performance:
        fps, fix = float(take["fps"]), clock.MEND
        seconds = stream["start"] + np.arange(motion.num_frames) / stream["rate"]
        times = clock.frame_times(take["start_seconds"], take["frames"], take["fps"])
    else:
        performance, fps, fix = bvh.stem, float(clock.FPS), "mend the file, or raise body.max_gap_seconds"
        seconds = np.arange(motion.num_frames) / motion.fps
        usable = np.isfinite(motion.positions_cm).all((1, 2)) & np.isfinite(motion.rotations).all((1, 2))
        times = clock.own_times(seconds[usable], fps, where=where)
    motion, reference = without_reference(motion)
    motion, quality = inspected(motion, seconds, times, options)
    motion, mended = resample(
        motion, seconds, times, max_gap_seconds=options.max_gap_seconds, where=where, fix=fix
    )
    motion = replace(motion, fps=fps)
    try:
        kept = keep_joints(motion, dataset_joints(motion, options.joints))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    missing, lines = lacking(motion, options.joints, with_toes(kept), unmapped=options.joint_map is None)
    motion = kept
    save_bvh(out, motion)
    for line in lines:
        log.warning("%s: %s", where, line)
    if mended:
        log.warning("%s: %d rows with NaN were interpolated", where, mended)
    for reason in quality["reasons"]:
        log.warning("%s: %s", where, reason)
    report = {
        "performance": performance,
        "frames": motion.num_frames,
        "joints": len(motion.names),
        "nan_rows_interpolated": mended,
    }
    if stream:
        report["made_of"] = recorded_marks(stream)
    if out_report:
        write_report(
            out_report,
            report | {"reference_pose_replaced": reference, "missing_joints": missing, "quality": quality},
        )


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Body)
    stage.add_files(parser, "bvh", help="a body (.bvh) of any skeleton")
    parser.add_argument(
        "--sync",
        type=Path,
        help="the take's sync JSON; without it the body has its own clock, the rate of its header",
    )
    parser.add_argument("--performance", help="<date>_<actor>_<scenario>, with --sync")
    parser.add_argument("--out", type=Path, required=True, help="BVH to write")
    parser.add_argument("--out-report", type=Path, help="JSON to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
