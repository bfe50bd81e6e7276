"""The report's page of one take's bodies: the worst moments of every kind of fault.

They are drawn as bones before, at and after.

    python -m pipeline.report.body --bvh A.bvh B.bvh --reports A.json B.json --out TAKE.png

In: the shoot's BVH and the body report (annotations/body) of both performances. Out: one PNG. A row is one
fault: the frame before, its worst frame and the frame after, in front and side view of the whole body, or of
the hand or foot enlarged for a fault of one. The heading counts the faults and those drawn. Rows without a
fault say so and show the feet's ways on the ground.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import stage
from pipeline.capture.body_faults import KINDS
from pipeline.errors import InputError
from pipeline.figures.figure import pyplot, save
from pipeline.formats.bvh import load_bvh
from pipeline.motion import rotations
from pipeline.motion.joints import SIDES
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import bone_tips, forward_kinematics, heading
from pipeline.reading import read_json

WORST = 2
"""Faults that are drawn of each kind and performance."""
COLOURS = ("#c2410c", "#1d4ed8")
MARK = "#dc2626"
MIN_PLAN_CM = 100.0
"""Least side of the floor plan: who stands does not fill it with a tremor."""


def worst(faults: list[dict]) -> list[dict]:
    """The WORST of each kind but nan, in KINDS' order.

    Furthest beyond their limit, swaps and freezes the longest; ties by frame.
    """

    def badness(fault: dict) -> float:
        return (
            fault["seconds"]
            if fault["kind"] in ("swap", "side_swap", "freeze")
            else abs(fault["value"] - fault["limit"])
        )

    chosen = []
    for kind in KINDS[1:]:
        mine = [fault for fault in faults if fault["kind"] == kind]
        chosen += sorted(mine, key=lambda fault: (-badness(fault), fault["first"], fault["index"]))[:WORST]
    return chosen


def hand_of(motion: Motion, joint: int) -> tuple[int, list[int]] | None:
    """The hand that a joint is or belongs to, and that hand's joints.

    None for other joints, and for a hand without fingers.
    """
    found = motion.aliases()
    for side in SIDES:
        if f"{side}Hand" in found:
            below = {found[f"{side}Hand"]}
            for j, parent in enumerate(motion.parents):
                if parent in below:
                    below.add(j)
            if joint in below and len(below) > 1:
                return found[f"{side}Hand"], sorted(below)
    return None


def views(motion: Motion, frames: list[int], joint: int) -> tuple[list[np.ndarray], list[int]]:
    """Points (J + tips, 3) in cm of the frames, seen by the viewer, and the joints whose bones are drawn.

    x right, y up, z towards the viewer.

    A body, or a foot below its ankle, is turned so that the body faces the viewer in the middle frame; of a
    hand the widest side is seen: a finger's fault in the hand's frame, the hand's own in the forearm's, which
    is drawn with it.
    """
    part = motion.frames(frames)
    places, world = forward_kinematics(part)
    points = np.concatenate([places, bone_tips(motion.ends_cm, places, world)], 1)
    hand = hand_of(motion, joint)
    if hand:
        wrist, joints = hand
        above = int(motion.parents[wrist])
        own = joint == wrist and above >= 0  # in its own frame a hand never turns
        local = rotations.rotate(
            rotations.inverse(world[:, [above if own else wrist]]), points - places[:, [wrist]]
        )
        knuckles = [j for j in joints if j != wrist and np.linalg.norm(local[1, j]) > 0]
        joints = [above, *joints] if own else joints
        # the hand's widest plane lies in the picture, fingers up
        centred = local[1, knuckles] - local[1, knuckles].mean(0)
        _, _, axes = np.linalg.svd(centred)
        up = axes[0] * (1 if axes[0] @ local[1, knuckles].mean(0) >= 0 else -1)
        across = axes[1] * (1 if axes[1][np.argmax(np.abs(axes[1]))] > 0 else -1)
        frame = np.stack([across, up, np.cross(across, up)], 1)
        return list(local @ frame), joints
    found = motion.aliases()
    turn = (
        heading(motion.names, motion.offsets_cm, world[1, found.get("Hips", 0)])
        if "LeftUpLeg" in found and "Spine" in found
        else 0.0
    )
    back = rotations.about("y", np.array(-float(turn)))
    for side in SIDES:  # a foot, with the shin that it hangs on
        foot = [found[side + part] for part in ("Leg", "Foot", "ToeBase") if side + part in found]
        if joint in foot[1:]:
            return list(rotations.rotate(back, points - places[:, [foot[1]]])), foot
    centre = places[1, found.get("Hips", 0)] * [1, 0, 1]
    return list(rotations.rotate(back, points - centre)), list(range(len(motion.names)))


def draw(
    ax,
    motion: Motion,
    points: np.ndarray,
    joints: list[int],
    marked: set[int],
    colour: str,
    limits: np.ndarray,
) -> None:
    """Bones of `joints` in front view and, to the right, from the side.

    The bones that `marked` joints turn stand out.
    """
    from matplotlib.collections import LineCollection

    num = len(motion.names)
    pairs = [(int(motion.parents[j]), j) for j in joints if motion.parents[j] in joints]
    pairs += [(j, num + j) for j in joints if j in motion.ends_cm]
    width = limits[1, 0] - limits[0, 0]
    for view in (
        points[:, [0, 1]],
        np.stack([points[:, 2] + limits[1, 0] - limits[0, 2] + 0.1 * width, points[:, 1]], 1),
    ):
        for stand_out in (False, True):
            lines = [view[[a, b]] for a, b in pairs if (a in marked) == stand_out]
            ax.add_collection(
                LineCollection(
                    lines, colors=MARK if stand_out else colour, linewidths=2.6 if stand_out else 1.3
                )
            )
        places = view[sorted(marked)]
        ax.plot(places[:, 0], places[:, 1], "o", color=MARK, ms=3.5)
    ax.set_xlim(limits[0, 0], limits[1, 0] + 1.1 * width + limits[1, 2] - limits[0, 2] - width + 0.1 * width)
    ax.set_ylim(limits[0, 1], limits[1, 1])
    ax.set_aspect("equal")
    ax.axis("off")


def draw_fault(axes, motion: Motion, name: str, fault: dict, colour: str) -> None:
    """One fault in three pictures with its caption over the middle one."""
    first, stop, last = fault["first"], fault["stop"], motion.num_frames - 1
    frames = [max(first - 1, 0), min((first + stop) // 2, last), min(stop, last)]
    joint = fault["index"]
    points, joints = views(motion, frames, joint)
    marked = set(joints) if joint < 0 else {joint}
    if fault["kind"] == "swap":
        words = fault["note"].split(";")[0].split(" and ")
        marked = {
            j
            for j in joints
            for word in words
            if motion.names[j].split(":")[-1].replace("Hand", "").startswith(word) and joint >= 0
        }
    seen = np.concatenate(
        [p[[*joints, *(len(motion.names) + j for j in joints if j in motion.ends_cm)]] for p in points]
    )
    seen = seen[np.isfinite(seen).all(1)]
    limits = np.stack([seen.min(0), seen.max(0)]) + np.array([[-1], [1]]) * 0.04 * np.ptp(seen, axis=0).max()
    for ax, frame, p, when in zip(axes, frames, points, ("before", "at", "after"), strict=True):
        draw(ax, motion, p, joints, marked, colour, limits)
        ax.set_title(f"{when}, frame {frame}", fontsize=7)
    size = f"{fault['value']:.1f} {fault['unit']} (limit {fault['limit']:g})"
    note = f"; {fault['note']}" if fault["note"] else ""
    mended = ", mended" if fault["mended"] else ""
    caption = (
        f"{name}: {fault['kind']} of {fault['joint']} at {fault['start_seconds']:.2f} s for"
        f" {fault['seconds']:.3f} s: {size}{note}{mended}"
    )
    axes[1].text(0.5, 1.16, caption, transform=axes[1].transAxes, ha="center", fontsize=8.5, color="#111111")


def ways(motion: Motion, quality: dict) -> dict[str, np.ndarray]:
    """The ways (T, 2) of both feet's balls over the ground, x and z in cm, by joint."""
    found = motion.aliases()
    places, _ = forward_kinematics(motion.frames(slice(None, None, max(1, round(motion.fps / 30)))))
    return {foot: places[:, found[foot]][:, [0, 2]] for foot in quality["feet"]}


def window(paths: dict[str, np.ndarray]) -> np.ndarray:
    """Lowest and highest (x, z) of ways on the floor, (2, 2) in cm; zeros where there is none."""
    every = np.concatenate([np.empty((0, 2)), *paths.values()])
    every = every[np.isfinite(every).all(1)]
    return np.stack([every.min(0), every.max(0)]) if len(every) else np.zeros((2, 2))


def draw_feet(ax, paths: dict[str, np.ndarray], quality: dict, name: str, colour: str, size: float) -> None:
    """Both feet's ways on a floor plan of `size` by `size` cm, seen from above, and how much they slide."""
    for (foot, way), style in zip(paths.items(), ("-", "--")):
        ax.plot(way[:, 0], way[:, 1], style, color=colour, lw=1.0, label=foot)
    lines = [
        f"{foot}: slides in {100 * f['sliding_share']:.1f} % of {f['contact_frames']} ground frames,"
        f" longest {f['longest_slide_cm']:.1f} cm"
        for foot, f in quality["feet"].items()
    ]
    ax.set_title(f"{name}: no fault\n" + "\n".join(lines), fontsize=8)
    x, z = window(paths).mean(0)
    ax.set_xlim(x - size / 2, x + size / 2)
    ax.set_ylim(z + size / 2, z - size / 2)  # from above, with x to the right, z comes down
    ax.set_aspect("equal", adjustable="box")
    ax.grid(True, color="#eeeeee", lw=0.6)
    ax.set_xlabel("x (cm)", fontsize=7)
    ax.set_ylabel("z (cm)", fontsize=7)
    ax.tick_params(labelsize=7)
    if paths:
        ax.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1))


def title(take: str, *, faults: int, drawn: int) -> str:
    """The page's heading, which says how many of the faults it shows."""
    what = f"{drawn} of {faults} faults drawn, at most {WORST} of a kind and actor" if faults else "no faults"
    return f"{take}: bodies at their worst, front and side view; {what}"


def run(*, bvh: list[Path], reports: list[Path], out: Path) -> None:
    """Draw one take."""
    rows: list[tuple[Motion, str, dict | None, str, dict]] = []
    num_faults = 0
    for path, report, colour in zip(bvh, reports, COLOURS, strict=True):
        quality = read_json(report).get("quality")
        if quality is None:
            raise InputError(f"{report}: no quality in it; make it again with pipeline.capture.body")
        motion = load_bvh(path)
        shown = worst(quality["faults"])
        num_faults += len(quality["faults"])
        if shown and max(fault["stop"] for fault in shown) > motion.num_frames:
            raise InputError(
                f"{path}: got {motion.num_frames} frames, {report} speaks of more; give the BVH that the"
                " report was made from"
            )
        name = f"{path.stem} ({quality['verdict']})"
        rows += [(motion, name, fault, colour, quality) for fault in shown] or [
            (motion, name, None, colour, quality)
        ]
    plt = pyplot()
    plans = [ways(motion, quality) if fault is None else {} for motion, _, fault, _, quality in rows]
    size = 1.1 * max([MIN_PLAN_CM, *(float(np.ptp(window(plan), axis=0).max()) for plan in plans)])
    heights = [4.6 if fault is None else 2.9 for _, _, fault, _, _ in rows]
    fig = plt.figure(figsize=(13, sum(heights) + 0.6), layout="constrained")
    parts = fig.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, plan, (motion, name, fault, colour, quality) in zip(parts, plans, rows, strict=True):
        if fault is None:
            draw_feet(part.subplots(1, 1), plan, quality, name, colour, size)
        else:
            draw_fault(part.subplots(1, 3), motion, name, fault, colour)
    fig.suptitle(
        title(out.stem, faults=num_faults, drawn=sum(fault is not None for _, _, fault, _, _ in rows))
    )
    save(fig, out)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    two: dict[str, Any] = {"nargs": 2, "type": Path, "required": True}
    parser.add_argument("--bvh", **two, help="BVH files of the shoot, in actor order")
    parser.add_argument("--reports", **two, help="their body reports (JSON), in actor order")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
