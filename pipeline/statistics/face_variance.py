"""Face variance: how much each vertex of the face moves, by facing, emotion and relationship.

And by the paper's meta-groups of these.

In: face weights (N, 51) and facing labels (N,) of a dataset's performances, its takes, the actors' rigs. Out:
a table with a row per group, and a picture with a face per group, coloured by vertex.

The rule (paper, section 3.2.2). In a frame, a vertex of actor a is away from the neutral of a's own rig by x
= sum_k w_k d_ak cm. The frames of a group, whoever acts in them, are pooled; the variance of the vertex in
the group is the mean of |x - m|^2 over these frames, m the mean of x over them: variances of the three axes
added up, cm^2. With m of each actor's frames alone instead, it is the variance within actors, which does not
count how their usual faces differ.

No mesh is built and no frame is kept. An actor's frames in a group are summed up by count, mean and scatter
of their weights, from which the rig's shapes give count, mean and scatter of every vertex; these are merged
over actors. So the result is exact, and memory does not grow with takes. A vertex must be the same one in all
rigs: they share one topology.
"""

import logging
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.figures.figure import pyplot, save
from pipeline.figures.strips import draw_face
from pipeline.files import write_csv
from pipeline.formats import arkit
from pipeline.formats.array_files import read_npy
from pipeline.formats.meta_groups import TAKE_GROUPINGS, take_groups, tell_unlisted
from pipeline.formats.rig_file import Rig, load_rig, regions
from pipeline.formats.takes import Take, dataset_takes

log = logging.getLogger("interact")
FPS = 30
BLOCK_FRAMES = 4096
"""Frames that are read at a time."""
MOVED_SHARE = 0.01
"""A vertex is one of the face where some shape of some rig moves it by this share.

It is a share of the largest travel of all.
"""
FACING = ("not facing", "facing")
"""Groups of a frame by its facing label."""
GROUPINGS = ("all", "facing", *TAKE_GROUPINGS)
MAX_FACES = 12
"""Faces in a row of the picture; of more groups those with most frames are drawn."""
TOP_PERCENTILE = 99.9
"""Share of the drawn vertices, in per cent, that the colours tell apart; the rest has the last colour."""
AREAS = ("mean", "lips", "upper_face")
"""Parts of the face whose mean variance is told; `mean` is all that moves."""
COLUMNS = [
    *("grouping", "group", "actors", "performances", "frames", "seconds"),
    *(f"variance_{area}_cm2" for area in (*AREAS, "max")),
    *(f"within_actors_{area}_cm2" for area in AREAS),
]


@dataclass(frozen=True)
class Moments:
    """What frames add up to: their count, their mean, and the sum of a square of frame - mean.

    The square is `outer` or `squared_length`.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray


def outer(x: np.ndarray) -> np.ndarray:
    """x x^T (K, K) of weights (K,)."""
    return np.outer(x, x)


def squared_length(x: np.ndarray) -> np.ndarray:
    """|x|^2 (V,) of vertices (V, 3)."""
    return np.einsum("vi,vi->v", x, x)


def merge(one: Moments | None, other: Moments, square: Callable[[np.ndarray], np.ndarray]) -> Moments:
    """Moments of the frames of both (Chan, Golub and LeVeque 1979).

    Nothing large is subtracted, so no digits are lost.
    """
    if one is None:
        return other
    count, apart = one.count + other.count, other.mean - one.mean
    scatter = one.scatter + other.scatter + square(apart) * (one.count * other.count / count)
    return Moments(count, one.mean + apart * (other.count / count), scatter)


def weight_moments(weights: np.ndarray) -> Moments:
    """Moments of at least one frame of weights (N, K): mean (K,), scatter (K, K)."""
    mean = weights.mean(0, dtype=float)
    away = weights - mean
    return Moments(len(weights), mean, away.T @ away)


def vertex_moments(weights: Moments, deltas: np.ndarray) -> Moments:
    """Moments of what frames of weights do to vertices: mean (V, 3) cm, scatter (V,) cm^2.

    The vertices' shapes are deltas (K, V, 3).
    """
    shapes = np.asarray(deltas, float).reshape(len(deltas), -1)
    # with scatter = F F^T, a vertex has |F^T d|^2, which rounding cannot make negative
    values, vectors = np.linalg.eigh(weights.scatter)
    spread = (vectors * np.sqrt(values.clip(0))).T @ shapes
    scatter = np.einsum("kj,kj->j", spread, spread).reshape(-1, 3).sum(1)
    return Moments(weights.count, (weights.mean @ shapes).reshape(-1, 3), scatter)


@dataclass
class Group:
    """A group's frames: in how many performances they are, and the moments of the weights by actor."""

    performances: int = 0
    weights: dict[str, Moments] = field(default_factory=dict)

    def add(self, actor: str, moments: Moments) -> None:
        """Take in frames of one performance."""
        self.performances += 1
        self.weights[actor] = merge(self.weights.get(actor), moments, outer)

    @property
    def frames(self) -> int:
        """Frames of all performances."""
        return sum(moments.count for moments in self.weights.values())


@dataclass(frozen=True)
class Variance:
    """Variance of each vertex (V,) in cm^2: over the pooled frames of all actors, and within actors."""

    pooled: np.ndarray
    within: np.ndarray


Key = tuple[str, str]
"""Grouping and group."""


def _load(path: Path, *, mapped: bool = False) -> np.ndarray:
    if not path.exists():
        raise InputError(f"{path}: no such file; run the stage that writes it, or check the folder")
    return read_npy(path, mapped=mapped)


def facing_moments(face: Path, facing: Path, *, block_frames: int = BLOCK_FRAMES) -> dict[str, Moments]:
    """Moments of a performance's weights by its frames' groups of FACING.

    The files are read in blocks of frames.
    """
    weights, labels = _load(face, mapped=True), _load(facing)
    if weights.ndim != 2 or weights.shape[1] != len(arkit.NAMES) or not len(weights):
        raise InputError(
            f"{face}: got shape {weights.shape}, need (N, {len(arkit.NAMES)}) with N > 0; write the weights"
            " again"
        )
    if labels.shape != weights.shape[:1]:
        raise InputError(
            f"{facing}: got shape {labels.shape}, need {weights.shape[:1]}, a label for each frame of {face};"
            " label the take again"
        )
    if not np.isin(labels, (0, 1)).all():
        frame = int(np.argmin(np.isin(labels, (0, 1))))
        raise InputError(f"{facing}, frame {frame}: got {labels[frame]}, need 0 or 1; label the take again")
    found: dict[str, Moments] = {}
    for i in range(0, len(weights), block_frames):
        block, facing_here = np.asarray(weights[i : i + block_frames], float), labels[i : i + block_frames]
        usable = np.isfinite(block).all(1)
        if not usable.all():
            frame = i + int(np.argmin(usable))
            raise InputError(
                f"{face}, frame {frame}: a weight is NaN or infinite, need numbers; mend the file or exclude"
                " the take"
            )
        for value, name in enumerate(FACING):
            if (facing_here == value).any():
                found[name] = merge(found.get(name), weight_moments(block[facing_here == value]), outer)
    return found


def gather(takes: Iterable[Take], dataset: Path, annotations: Path) -> dict[Key, Group]:
    """All groups of a dataset's takes."""
    groups: dict[Key, Group] = {}
    for take in takes:
        for actor, name in zip(take.actors, take.performances):
            by_facing = facing_moments(
                dataset / "face_arkit" / f"{name}.npy", annotations / "facing" / f"{name}.npy"
            )
            every: Moments | None = None
            for group, moments in by_facing.items():
                groups.setdefault(("facing", group), Group()).add(actor, moments)
                every = merge(every, moments, outer)
            assert every is not None  # a file without frames was refused
            for key in (("all", "all"), *take_groups(take).items()):
                groups.setdefault(key, Group()).add(actor, every)
    return groups


def on_rigs(groups: dict[Key, Group], rigs: dict[str, Path]) -> tuple[Rig, np.ndarray, dict[Key, Variance]]:
    """The first actor's rig, how far shapes move a vertex of any rig (V,) in cm, and the variance by group.

    rigs: path by actor. One rig is held at a time, beside the first. Raises InputError that names a rig of
    another topology than the first.
    """
    actors: dict[Path, list[str]] = {}
    for actor, path in sorted(rigs.items()):
        actors.setdefault(path, []).append(actor)
    place = next(iter(actors))
    first = load_rig(place)
    travel = np.zeros(len(first.neutral))
    pooled: dict[Key, Moments] = {}
    within = {key: np.zeros(len(first.neutral)) for key in groups}
    for path in actors:
        rig = load_rig(path)
        if len(rig.neutral) != len(first.neutral) or not np.array_equal(rig.faces, first.faces):
            raise InputError(
                f"{path}: {len(rig.neutral)} vertices and {len(rig.faces)} faces, not the topology of {place}"
                f" ({len(first.neutral)} and {len(first.faces)}), need one for all actors; build the rigs on"
                " one topology, or set rig in the config to one file for all"
            )
        deltas = rig.deltas.astype(float)
        travel = np.maximum(travel, np.linalg.norm(deltas, axis=-1).max(0))
        for key, group in groups.items():
            for actor in actors[path]:
                if actor in group.weights:
                    moments = vertex_moments(group.weights[actor], deltas)
                    pooled[key] = merge(pooled.get(key), moments, squared_length)
                    within[key] += moments.scatter
    return (
        first,
        travel,
        {
            key: Variance(moments.scatter / moments.count, within[key] / moments.count)
            for key, moments in pooled.items()
        },
    )


def in_order(groups: dict[Key, Group]) -> list[Key]:
    """Groupings in the order of GROUPINGS; facing before not facing, other groups with more frames first."""
    return sorted(
        groups,
        key=lambda key: (
            GROUPINGS.index(key[0]),
            -groups[key].frames if key[0] in TAKE_GROUPINGS else 0,
            key[1],
        ),
    )


def table_row(key: Key, group: Group, variance: Variance, areas: dict[str, np.ndarray]) -> dict[str, str]:
    """A group's row of the table; `areas` holds the vertices of each of AREAS."""
    values = {f"variance_{area}_cm2": variance.pooled[areas[area]].mean() for area in AREAS}
    values |= {"variance_max_cm2": variance.pooled.max()}
    values |= {f"within_actors_{area}_cm2": variance.within[areas[area]].mean() for area in AREAS}
    counts = {"actors": len(group.weights), "performances": group.performances, "frames": group.frames}
    row = {
        "grouping": key[0],
        "group": key[1],
        **{name: str(count) for name, count in counts.items()},
        "seconds": f"{group.frames / FPS:.2f}",
    }
    return row | {name: f"{value:.6g}" for name, value in values.items()}


def picture_rows(rows: list[dict[str, str]]) -> list[tuple[str, list[dict[str, str]]]]:
    """Title and groups of each row of the picture: at most MAX_FACES, those left out named.

    `all` stands with facing.
    """
    result = []
    for grouping in dict.fromkeys(row["grouping"] for row in rows if row["grouping"] != "all"):
        chosen = [row for row in rows if row["grouping"] == grouping]
        drawn, left = chosen[:MAX_FACES], [row["group"] for row in chosen[MAX_FACES:]]
        rest = (
            f": the {len(drawn)} of {len(chosen)} groups with most frames; not drawn: {', '.join(left)}"
            if left
            else ""
        )
        result.append(
            (
                f"by {grouping}{rest}",
                ([row for row in rows if row["grouping"] == "all"] if grouping == "facing" else []) + drawn,
            )
        )
    return result


def draw(rows: list[dict[str, str]], variances: dict[Key, Variance], rig: Rig, out: Path) -> None:
    """A face per row of the table, coloured by vertex on one scale."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    lines = picture_rows(rows)
    columns = max(len(groups) for _, groups in lines)
    shown = {
        (row["grouping"], row["group"]): variances[row["grouping"], row["group"]].pooled
        for _, groups in lines
        for row in groups
    }
    top = max(np.percentile(values, TOP_PERCENTILE) for values in shown.values())
    scale = ScalarMappable(Normalize(0, max(top, 1e-9)), "YlOrRd")
    fig = pyplot().figure(figsize=(1.6 * columns + 1.3, 2.4 * len(lines) + 0.4))
    fig.suptitle(
        "variance of each vertex about its mean place",
        x=0.1 / fig.get_figwidth(),
        y=1 - 0.1 / fig.get_figheight(),
        ha="left",
        va="top",
    )
    left, right = fig.subfigures(1, 2, width_ratios=(1.6 * columns, 1.3))
    parts = left.subfigures(len(lines) + 1, 1, height_ratios=[0.4] + [2.4] * len(lines), squeeze=False)[1:, 0]
    for part, (title, groups) in zip(parts, lines, strict=True):
        heading = textwrap.fill(title, 26 * columns, max_lines=2, placeholder=" …")
        part.suptitle(heading, x=0.1 / (1.6 * columns), y=0.98, ha="left", va="top", fontsize=9)
        axes = part.subplots(
            1,
            columns,
            gridspec_kw={"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 0.7, "wspace": 0.04},
            squeeze=False,
        )[0]
        for ax in axes:
            ax.axis("off")
        for ax, row in zip(axes, groups):
            colours = scale.to_rgba(shown[row["grouping"], row["group"]])[:, :3]
            draw_face(ax, rig, np.zeros(len(rig.deltas)), colours, shade=0.25)
            name = textwrap.fill(row["group"], 24, max_lines=2, placeholder=" …")
            ax.set_title(
                f"{name}\n{float(row['seconds']):.0f} s, lips {float(row['variance_lips_cm2']):.3f}",
                fontsize=7,
            )
    bar = fig.colorbar(scale, cax=right.add_axes((0.15, 0.2, 0.2, 0.6)), extend="max")
    bar.set_label("cm²", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    save(fig, out)


def run(*, dataset: Path, annotations: Path, rigs: Path, out: Path, out_picture: Path) -> None:
    """Write table and picture of a dataset."""
    takes = dataset_takes(dataset)
    groups = gather(stage.progress(takes, label="face variance"), dataset, annotations)
    actors = {actor for take in takes for actor in take.actors}
    rig, travel, variances = on_rigs(
        groups, {actor: rigs / f"{actor}.npz" if rigs.is_dir() else rigs for actor in actors}
    )
    areas = {"mean": np.flatnonzero(travel >= MOVED_SHARE * travel.max()), **regions(rig)}
    tell_unlisted(takes)
    rows = [table_row(key, groups[key], variances[key], areas) for key in in_order(groups)]
    write_csv(out, COLUMNS, rows)
    draw(rows, variances, rig, out_picture)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="the dataset folder")
    parser.add_argument("--annotations", type=Path, required=True, help="the annotations folder")
    parser.add_argument(
        "--rigs", type=Path, required=True, help="folder of {actor}.npz, or one .npz for all actors"
    )
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--out-picture", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
