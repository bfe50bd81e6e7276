"""Body entropy: how varied bodies move, by actor, gender, emotion and relationship.

And by the paper's meta-groups of these.

In: the BVHs of a dataset's performances, its takes and its actors' genders. Out: a table with a row per
group, a table of the joints' mean speeds, and a picture.

The rule (paper, section 3.2.2). A joint's angular velocity at a frame is the angle, in degrees per second,
between its rotation against its parent (the root's: against the room) there and at the next frame. The
NUM_JOINTS joints with the highest mean over all frames of the dataset are taken, the same for all groups. In
a group, the velocities of these joints in all frames of all performances are counted in NUM_BINS equal bins
from 0 to TOP_DEG_S; what is faster is in the last bin. With p the share of each bin, the entropy is
- sum p log p: 0 where all is in one bin, log 100 where all bins are equally full.

Every file is read once, one at a time; kept are counts by group, joint and bin, whatever the number of takes.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.figures.bars import Bar, Panel, draw_bars
from pipeline.files import write_csv
from pipeline.formats.bvh import load_bvh
from pipeline.formats.meta_groups import META, OTHER, tell_unlisted
from pipeline.formats.takes import Take, dataset_takes
from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.statistics.groups import GROUPINGS, genders_of, group_order, performance_groups

log = logging.getLogger("interact")
NUM_JOINTS = 20
NUM_BINS = 100
"""Both as in the paper."""
TOP_DEG_S = 1000.0
"""Last edge of the bins.

At 30 fps, at most 1 velocity in 2200 of real walks and jumps is beyond it, while a glitch may have 180
degrees a frame, 5400 a second. Edges that followed the fastest step would hang on it, and no two datasets
would have the same.
"""
COLUMNS = [
    "grouping",
    "group",
    "performances",
    "seconds",
    "entropy_bits",
    "entropy_nats",
    "mean_deg_s",
    "beyond_share",
]
JOINT_COLUMNS = ["joint", "mean_deg_s", "counted"]
DRAWN = ("actor", "gender", "meta-relationship", "meta-emotion")
Key = tuple[str, str]
"""Grouping and group."""


def angular_speed(motion: Motion) -> np.ndarray:
    """Angle (T - 1, J) in degrees per second that each joint turns against its parent, frame by frame."""
    turn = rotations.multiply(rotations.inverse(motion.rotations[:-1]), motion.rotations[1:])
    return (
        np.degrees(2 * np.arctan2(np.linalg.norm(turn[..., :3], axis=-1), np.abs(turn[..., 3]))) * motion.fps
    )


def bin_counts(speed: np.ndarray) -> np.ndarray:
    """How many speeds (T, J) of each joint are in each bin (J, NUM_BINS); the last bin has no upper end."""
    num_joints = speed.shape[1]
    bins = np.minimum(speed * (NUM_BINS / TOP_DEG_S), NUM_BINS - 1).astype(int)
    return np.bincount(
        (bins + NUM_BINS * np.arange(num_joints)).ravel(), minlength=num_joints * NUM_BINS
    ).reshape(num_joints, NUM_BINS)


def entropy(counts: np.ndarray) -> float:
    """Shannon entropy in nats of counts (B,), not all 0."""
    share = counts[counts > 0] / counts.sum()
    return max(0.0, float(-np.sum(share * np.log(share))))  # no -0.0


@dataclass
class Group:
    """What the performances of a group add up to.

    By joint the sum of speeds (J,), counts (J, NUM_BINS), and how many are beyond the bins (J,).
    """

    performances: int
    steps: int
    seconds: float
    sums: np.ndarray
    counts: np.ndarray
    beyond: np.ndarray

    def add(self, other: "Group") -> None:
        """Take in another group's performances."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def measure(motion: Motion) -> Group:
    """One performance; InputError where a rotation is NaN or there is no second frame."""
    usable = np.isfinite(motion.rotations).all((1, 2))
    if not usable.all():
        raise InputError(
            f"frame {int(np.argmin(usable))}: a rotation is NaN, need numbers; mend the file or exclude the"
            " take"
        )
    if motion.num_frames < 2:
        raise InputError("got 1 frame, need 2 for a velocity; exclude the take")
    speed = angular_speed(motion)
    steps = len(speed)
    return Group(1, steps, steps / motion.fps, speed.sum(0), bin_counts(speed), (speed >= TOP_DEG_S).sum(0))


def gather(
    takes: Iterable[Take], dataset: Path, genders: dict[str, str]
) -> tuple[list[str], dict[Key, Group]]:
    """Joint names, and all groups of a dataset's takes.

    InputError names the file with other joints or another rate than the first.
    """
    first: tuple[str, list[str], float] | None = None
    groups: dict[Key, Group] = {}
    for take in takes:
        for actor, name in zip(take.actors, take.performances, strict=True):
            path = dataset / "bvhs" / f"{name}.bvh"
            motion = load_bvh(path)
            place, names, fps = first = first or (name, motion.names, motion.fps)
            if motion.names != names or abs(motion.fps - fps) > 1e-3:
                odd = sorted(set(motion.names) ^ set(names))[:8] or ["their order, or the rate"]
                raise InputError(
                    f"{path}: {len(motion.names)} joints at {motion.fps:g} fps, {place} has {len(names)} at"
                    f" {fps:g}, need the same in all files; they differ in {', '.join(odd)}; write the"
                    " dataset again with body.joints, or exclude the take"
                )
            try:
                found = measure(motion)
            except InputError as error:
                raise InputError(f"{path}, {error}") from None
            for key in performance_groups(take, actor, genders).items():
                if key not in groups:
                    groups[key] = Group(
                        0, 0, 0.0, *(np.zeros_like(part) for part in (found.sums, found.counts, found.beyond))
                    )
                groups[key].add(found)
    assert first is not None  # a dataset has takes
    return first[1], groups


def fastest(everybody: Group) -> np.ndarray:
    """Indices of the NUM_JOINTS joints with the highest mean speed, fastest first.

    Of equals, that which stands first in the files.
    """
    return np.argsort(-everybody.sums, kind="stable")[:NUM_JOINTS]


def table_row(key: Key, group: Group, joints: np.ndarray) -> dict[str, str]:
    """A group's row of the table, of the speeds of `joints`."""
    nats, values = entropy(group.counts[joints].sum(0)), group.steps * len(joints)
    return {
        "grouping": key[0],
        "group": key[1],
        "performances": str(group.performances),
        "seconds": f"{group.seconds:.2f}",
        "entropy_bits": f"{nats / np.log(2):.4f}",
        "entropy_nats": f"{nats:.4f}",
        "mean_deg_s": f"{group.sums[joints].sum() / values:.2f}",
        "beyond_share": f"{group.beyond[joints].sum() / values:.6f}",
    }


def table_rows(groups: dict[Key, Group], joints: np.ndarray) -> list[dict[str, str]]:
    """Rows of all groups, groupings in the order of GROUPINGS."""
    keys = [
        (grouping, name)
        for grouping in GROUPINGS
        for name in group_order(grouping, [group for of, group in groups if of == grouping])
    ]
    return [table_row(key, groups[key], joints) for key in keys]


def panels(rows: list[dict[str, str]]) -> list[Panel]:
    """What the picture shows: entropy by DRAWN groupings."""
    found: dict[str, list[Bar]] = {grouping: [] for grouping in DRAWN}
    for row in rows:
        if row["grouping"] in found:
            note = f"{float(row['entropy_bits']):.2f} ({float(row['seconds']) / 60:.1f} min)"
            unlisted = row["grouping"] in META and row["group"] == OTHER
            found[row["grouping"]].append(
                Bar(
                    row["group"],
                    float(row["entropy_bits"]),
                    note + (", not in the paper" if unlisted else ""),
                )
            )
    return [Panel(f"by {grouping}", bars) for grouping, bars in found.items()]


def run(*, dataset: Path, out: Path, out_joints: Path, out_picture: Path) -> None:
    """Write tables and picture of a dataset."""
    takes = dataset_takes(dataset)
    names, groups = gather(stage.progress(takes, label="body entropy"), dataset, genders_of(dataset, takes))
    tell_unlisted(takes)
    everybody = groups["all", "all"]
    joints = fastest(everybody)
    if len(joints) < NUM_JOINTS:
        log.warning("the bodies have %d joints, the paper takes %d: all are counted", len(joints), NUM_JOINTS)
    rows = table_rows(groups, joints)
    write_csv(out, COLUMNS, rows)
    means = everybody.sums / everybody.steps
    order = np.argsort(-everybody.sums, kind="stable")
    write_csv(
        out_joints,
        JOINT_COLUMNS,
        [
            {
                "joint": names[j],
                "mean_deg_s": f"{means[j]:.2f}",
                "counted": "yes" if i < len(joints) else "no",
            }
            for i, j in enumerate(order)
        ],
    )
    title = (
        f"body entropy, {float(rows[0]['entropy_bits']):.2f} bits over all: angular velocities of the"
        f" {len(joints)} fastest joints in {NUM_BINS} bins"
    )
    draw_bars(title, "bits", panels(rows), out_picture, one_scale=True)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="the dataset folder")
    parser.add_argument("--out", type=Path, required=True, help="CSV of the groups to write")
    parser.add_argument("--out-joints", type=Path, required=True, help="CSV of the joints to write")
    parser.add_argument("--out-picture", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
