"""How often the up axis of a body's file is judged rightly.

Over recorded and simulated bodies written in every convention.

    python benchmarks/up_axis.py --recordings FOLDER --seeds 0 1 --seconds 20

Each body is written with each of the six directions up, with its rest pose turned along and without, in five
headings. A row tells how many of those are turned rightly, left as they are with a line that says so, and
wrong without a word. Bodies: recordings (BVH files with y up), simulated takes whole and cut to what one of
them does, the same with the floor off zero, people who lie, roll and sit on the floor, and rest poses that
are no T: arms down, bones along x, the rest pose of a body that stands along z under a motion along y.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from labels import play

from pipeline.formats.bvh import load_bvh
from pipeline.motion import rotations, upright
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics

HEADINGS = np.radians([0, 30, 90, 200, 315])


def spun(motion: Motion, by: np.ndarray) -> Motion:
    """The motion turned by a rotation (4,) about the origin; the rest pose stays."""
    local, positions = motion.rotations.copy(), motion.positions_cm.copy()
    local[:, 0] = rotations.multiply(np.broadcast_to(by, local[:, 0].shape), local[:, 0])
    positions[:, 0] = rotations.rotate(by, positions[:, 0])
    return replace(motion, rotations=local, positions_cm=positions)


def reframed(motion: Motion, by: np.ndarray) -> Motion:
    """The same motion on a skeleton whose rest pose is turned by a rotation (4,)."""
    back = rotations.inverse(by)
    local = rotations.multiply(
        rotations.multiply(np.broadcast_to(by, motion.rotations.shape), motion.rotations), back
    )
    local[:, 0] = rotations.multiply(motion.rotations[:, 0], back)
    positions = rotations.rotate(by, motion.positions_cm)
    positions[:, 0] = motion.positions_cm[:, 0]
    ends = {j: rotations.rotate(by, end) for j, end in motion.ends_cm.items()}
    return replace(
        motion,
        rotations=local,
        positions_cm=positions,
        offsets_cm=rotations.rotate(by, motion.offsets_cm),
        ends_cm=ends,
    )


def in_convention(motion: Motion, axis: str, *, rest_too: bool) -> Motion:
    """A motion with y up as a file with `axis` up would have it."""
    by = rotations.inverse(upright.to_y(axis))
    result = spun(motion, by)
    return reframed(result, by) if rest_too else result


def moved(motion: Motion, by_cm: list[float]) -> Motion:
    """The motion at another place."""
    positions = motion.positions_cm.copy()
    positions[:, 0] += by_cm
    return replace(motion, positions_cm=positions)


def lying(motion: Motion, *, roll: float = 0.0) -> Motion:
    """What the body does, done on its back.

    Some joint lies on the floor, and the body rolls by up to `roll` radians to both sides.
    """
    local, positions = motion.rotations.copy(), motion.positions_cm.copy()
    size = len(local)
    down = np.broadcast_to(rotations.about("x", -np.pi / 2), (size, 4))
    turn = rotations.about("z", roll * np.sin(2 * np.pi * np.arange(size) / (8 * motion.fps)))
    local[:, 0] = rotations.multiply(turn, rotations.multiply(down, local[:, 0]))
    calm = positions[:, 0] - positions[:, 0].mean(0)
    positions[:, 0] = np.stack([0.2 * calm[:, 0] + 40.0, np.zeros(size), 0.2 * calm[:, 2] - 30.0], 1)
    lain = replace(motion, rotations=local, positions_cm=positions)
    positions[:, 0, 1] = 4.0 - forward_kinematics(lain)[0][..., 1].min(1)
    return lain


def on_the_floor(motion: Motion) -> Motion:
    """The body seated on the floor, its legs straight ahead."""
    local, positions = motion.rotations.copy(), motion.positions_cm.copy()
    found = motion.aliases()
    for side in ("Left", "Right"):
        local[:, found[f"{side}UpLeg"]] = rotations.about("x", np.full(len(local), -np.pi / 2))
        local[:, found[f"{side}Leg"]] = [0, 0, 0, 1]
    positions[:, 0, 1] = 10.0
    return replace(motion, rotations=local, positions_cm=positions)


def arms_down(motion: Motion) -> Motion:
    """The same motion on a skeleton whose arms hang in the rest pose."""
    found, offsets = motion.aliases(), motion.offsets_cm.copy()
    local, positions, ends = motion.rotations.copy(), motion.positions_cm.copy(), dict(motion.ends_cm)
    for side, angle in (("Left", -np.pi / 2), ("Right", np.pi / 2)):
        by = rotations.about("z", angle)
        below = {found[f"{side}Arm"]}
        for j, parent in enumerate(motion.parents):
            if int(parent) in below:
                below.add(j)
        for j in below:
            top = j == found[f"{side}Arm"]
            offsets[j] = offsets[j] if top else rotations.rotate(by, offsets[j])
            positions[:, j] = positions[:, j] if top else rotations.rotate(by, positions[:, j])
            framed = rotations.multiply(
                motion.rotations[:, j], np.broadcast_to(rotations.inverse(by), local[:, j].shape)
            )
            local[:, j] = framed if top else rotations.multiply(np.broadcast_to(by, framed.shape), framed)
            if j in ends:
                ends[j] = rotations.rotate(by, ends[j])
    return replace(motion, rotations=local, positions_cm=positions, offsets_cm=offsets, ends_cm=ends)


def cuts(motion: Motion, actions: np.ndarray) -> Iterator[tuple[str, Motion]]:
    """The longest stretch of each action, at most 4 s and at least 1 s of it."""
    for label, name in enumerate(("sit", "walk", "stand")):
        edges = np.flatnonzero(
            np.diff(np.concatenate([[False], actions == label, [False]]).astype(int))
        ).reshape(-1, 2)
        if len(edges) and (longest := max(edges, key=lambda e: e[1] - e[0]))[1] - longest[0] >= motion.fps:
            yield name, motion.frames(slice(longest[0], min(longest[1], longest[0] + int(4 * motion.fps))))


def bodies(recordings: list[Path], seeds: list[int], seconds: float) -> Iterator[tuple[str, Motion]]:
    """Kind and motion with y up of every body."""
    for path in recordings:
        motion = load_bvh(path)
        yield "recorded", motion
        for start in range(0, motion.num_frames - int(2 * motion.fps), int(2 * motion.fps)):
            yield "recorded, 2 s", motion.frames(slice(start, start + int(2 * motion.fps)))
    for seed in seeds:
        take = play(seed, seconds).every(4)
        for motion, actions in zip(take.motions, take.actions):
            yield "simulated", motion
            for name, part in cuts(motion, actions):
                yield f"simulated, {name} up to 4 s", part
            yield "floor at 60 cm", moved(motion, [0.0, 60.0, 0.0])
            yield "floor at -90 cm, off the middle", moved(motion, [150.0, -90.0, 200.0])
            yield "at y or z 0, floor at -95 cm", moved(motion, [0.0, -95.0, 0.0])
            yield "arms down in the rest pose", arms_down(motion)
            yield "seated on the floor", on_the_floor(motion)
            yield "lying", lying(motion)
            yield "lying still", lying(motion.frames(np.zeros(60, int)))
            yield "lying, rolling", lying(motion, roll=1.4)


def outcome(motion: Motion, axis: str, *, rest_too: bool) -> str:
    """right, told or wrong, of a motion with y up written in a convention."""
    up = upright.judge_up(in_convention(motion, axis, rest_too=rest_too))
    if up.doubt:
        return "told"
    return "right" if up.axis == axis else "wrong"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", type=Path, help="folder of BVH files with y up")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="seeds of simulated takes")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a simulated take")
    arguments = parser.parse_args()
    paths = sorted(arguments.recordings.glob("*.bvh")) if arguments.recordings else []
    counts: dict[str, dict[str, Counter]] = {}
    for kind, motion in bodies(paths, arguments.seeds, arguments.seconds):
        for heading in HEADINGS:
            ahead = spun(motion, rotations.about("y", heading))
            for axis in upright.AXES:
                for rest_too in (False, True):
                    group = "y" if axis == "y" else "others, rest along" if rest_too else "others"
                    counts.setdefault(kind, {}).setdefault(group, Counter())[
                        outcome(ahead, axis, rest_too=rest_too)
                    ] += 1
        odd = reframed(motion, rotations.about("x", np.pi / 2))
        counts[kind].setdefault("y, rest along z", Counter())[outcome(odd, "y", rest_too=False)] += 1
        bones = reframed(motion, rotations.about("z", -np.pi / 2))
        counts[kind]["y, rest along z"][outcome(bones, "y", rest_too=False)] += 1
    groups = ["y", "y, rest along z", "others", "others, rest along"]
    print("| body | " + " | ".join(groups) + " |\n" + "| --- " * (len(groups) + 1) + "|")
    for kind, by_group in counts.items():
        cells = [
            " / ".join(str(by_group[group][name]) for name in ("right", "told", "wrong")) for group in groups
        ]
        print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
