"""Spatial: how far actors move and turn in a take, and how they stand to each other (the paper's figure 4).

In: the BVHs of a dataset's takes. Out: a table of histograms, and a picture.

The rule (paper, section 3.2.1), on the ground, with the hips as the root. Of each performance, in every frame
after the first: distance of the hips from where they were in the first frame, and turn of their heading since
then, in (-180, 180] degrees, positive to the actor's left. Of each take, in every frame: distance between
both hips, and angle between both headings, 0 where the actors look the same way, 180 where they look opposite
ways. All frames of all takes are counted in bins whose edges are fixed, so that datasets compare; what is
further than the last edge is in a last bin without end. Hips that point straight up or down have no heading:
such frames are left out of the headings' histograms, and the log says how many they are.

One take is held at a time.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.figures.figure import pyplot, save
from pipeline.files import write_csv
from pipeline.formats.bvh import load_bvh
from pipeline.formats.takes import Take, dataset_takes
from pipeline.motion import rotations
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import chain, hips_frame, require

log = logging.getLogger("interact")
COLUMNS = ["measure", "unit", "from", "to", "frames", "share"]
MIN_LEVEL_DEG = 10.0
"""Hips that point closer than this to straight up or down have no heading."""
DISTANCE_EDGES = np.arange(0, 1001, 10)
"""In cm: a capture space of 5 x 5 m has a diagonal of 707."""


@dataclass(frozen=True)
class Measure:
    """What is measured: its unit, its bins, whether these have an open end, and the picture's words."""

    unit: str
    edges: np.ndarray
    open_end: bool
    title: str
    axis: str


MEASURES = {
    "own_distance": Measure(
        "cm", DISTANCE_EDGES, True, "each actor: distance from the place in the first frame", "cm"
    ),
    "own_turn": Measure(
        "deg",
        np.arange(-180, 181, 10),
        False,
        "each actor: turn since the first frame",
        "degrees, positive to the left",
    ),
    "pair_distance": Measure("cm", DISTANCE_EDGES, True, "both actors: distance between them", "cm"),
    "pair_angle": Measure(
        "deg",
        np.arange(0, 181, 10),
        False,
        "both actors: angle between their headings",
        "degrees, 0 the same way, 180 opposite",
    ),
}


def root_path(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Places of the hips on the ground (T, 2), x and z, in cm, and their headings (T,) in degrees.

    NaN where there is none.

    Raises InputError where hips or hip joints are missing, or a frame has NaN.
    """
    (hips,) = require(motion, ["Hips"])
    line = [hips]
    while motion.parents[line[0]] >= 0:  # exporters put the hips under a node of the room
        line.insert(0, int(motion.parents[line[0]]))
    world, turned = chain(np.arange(len(line)) - 1, motion.positions_cm[:, line], motion.rotations[:, line])
    place, turn = world[:, -1], turned[:, -1]
    usable = np.isfinite(place).all(1) & np.isfinite(turn).all(1)
    if not usable.all():
        raise InputError(
            f"frame {int(np.argmin(usable))}: the hips are NaN, need numbers; mend the file or exclude the"
            " take"
        )
    forward = rotations.rotate(
        rotations.multiply(turn, hips_frame(motion.names, motion.offsets_cm)), np.array([0.0, 0.0, 1.0])
    )
    level = np.hypot(forward[:, 0], forward[:, 2]) > np.sin(np.radians(MIN_LEVEL_DEG))
    return place[:, [0, 2]], np.where(level, np.degrees(np.arctan2(forward[:, 0], forward[:, 2])), np.nan)


def wrapped(degrees: np.ndarray) -> np.ndarray:
    """The same angles in (-180, 180]."""
    return 180 - (180 - degrees) % 360


def measure(one: Motion, other: Motion) -> dict[str, np.ndarray]:
    """All values of a take's two bodies by measure; NaN where a heading is missing.

    Own measures hold the first body's, then the second's.
    """
    if one.num_frames != other.num_frames or abs(one.fps - other.fps) > 1e-3:
        raise InputError(
            f"got {one.num_frames} frames at {one.fps:g} fps and {other.num_frames} at {other.fps:g}, need"
            " two bodies of one take, equally long; cut both to the same window"
        )
    paths = [root_path(motion) for motion in (one, other)]
    (place, heading), (other_place, other_heading) = paths
    return {
        "own_distance": np.concatenate([np.linalg.norm(p[1:] - p[0], axis=1) for p, _ in paths]),
        "own_turn": np.concatenate([wrapped(h[1:] - h[0]) for _, h in paths]),
        "pair_distance": np.linalg.norm(place - other_place, axis=1),
        "pair_angle": np.abs(wrapped(heading - other_heading)),
    }


def bin_counts(values: np.ndarray, kind: Measure) -> np.ndarray:
    """How many values (N,) are in each bin of a measure; NaN is in none."""
    edges = np.append(kind.edges, np.inf) if kind.open_end else kind.edges
    return np.histogram(values[~np.isnan(values)], edges)[0]


def gather(takes: Iterable[Take], dataset: Path) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Counts of each measure's bins over a dataset's takes, and how many frames had no value."""
    counts = {name: np.zeros(len(kind.edges) - 1 + kind.open_end, int) for name, kind in MEASURES.items()}
    missing = dict.fromkeys(MEASURES, 0)
    for take in takes:
        paths = [dataset / "bvhs" / f"{name}.bvh" for name in take.performances]
        one, other = (load_bvh(path) for path in paths)
        try:
            found = measure(one, other)
        except InputError as error:
            raise InputError(f"{paths[0]}, {paths[1].name}: {error}") from None
        for name, values in found.items():
            counts[name] += bin_counts(values, MEASURES[name])
            missing[name] += int(np.isnan(values).sum())
    return counts, missing


def table_rows(counts: dict[str, np.ndarray]) -> list[dict[str, str]]:
    """A row per measure and bin; the bin without end has no `to`."""
    rows = []
    for name, kind in MEASURES.items():
        total = max(int(counts[name].sum()), 1)
        for i, count in enumerate(counts[name]):
            end = str(kind.edges[i + 1]) if i + 1 < len(kind.edges) else ""
            row = {
                "measure": name,
                "unit": kind.unit,
                "from": str(kind.edges[i]),
                "to": end,
                "frames": str(count),
                "share": f"{count / total:.6f}",
            }
            rows.append(row)
    return rows


def draw(counts: dict[str, np.ndarray], num_takes: int, out: Path) -> None:
    """A histogram per measure; distances end at the last bin that has frames."""
    fig = pyplot().figure(figsize=(11, 7), layout="constrained")
    fig.suptitle(f"where actors stand and how they turn: {num_takes} takes", x=0.01, ha="left", fontsize=11)
    for ax, (name, kind) in zip(fig.subplots(2, 2).flat, MEASURES.items(), strict=True):
        width = int(kind.edges[1] - kind.edges[0])
        share = 100 * counts[name] / max(int(counts[name].sum()), 1)
        left = int(kind.edges[0]) + width * np.arange(len(share))
        ax.bar(left, share, width=width, align="edge", color="#0f766e")
        beyond = f"; {share[-1]:.2g} % beyond {kind.edges[-1]}" if kind.open_end and share[-1] else ""
        ax.set_title(f"{kind.title}{beyond}", loc="left", fontsize=9)
        ax.set_xlabel(kind.axis, fontsize=9)
        ax.set_ylabel(f"% of frames, bins of {width} {kind.unit}", fontsize=9)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        if kind.open_end:
            last = int(np.flatnonzero(share)[-1]) + 1 if share.any() else 1
            ax.set_xlim(0, width * max(last, 10))
        else:
            ax.set_xlim(kind.edges[0], kind.edges[-1])
            ax.set_xticks(np.arange(kind.edges[0], kind.edges[-1] + 1, 45))
    save(fig, out)


def run(*, dataset: Path, out: Path, out_picture: Path) -> None:
    """Write table and picture of a dataset."""
    takes = dataset_takes(dataset)
    counts, missing = gather(stage.progress(takes, label="spatial"), dataset)
    for name, number in missing.items():
        if number:
            log.warning("%s: %d frames without a heading are left out: hips point up or down", name, number)
    write_csv(out, COLUMNS, table_rows(counts))
    draw(counts, len(takes), out_picture)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="the dataset folder")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--out-picture", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
