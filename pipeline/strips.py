"""Film strips: a take's bodies and faces at evenly spaced moments, captured and, where there is one, generated.

In: BVH, face weights, rigs, action and facing labels and transcripts of both performances; optionally the folder of a generated
take. Out: one PNG. Bodies are drawn as bones seen from the side that shows both actors best, faces from the front; under them lie
both actors' labels over the whole take, with the moments that are drawn.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import stage
from pipeline.bvh import Motion, load_bvh
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.reading import read_json
from pipeline.rig_file import Rig, load_rig
from pipeline.skeleton import forward_kinematics

COLOURS = ("#c2410c", "#1d4ed8")
ACTIONS = ("sit", "walk", "stand")
ACTION_COLOURS = ("#7dd3fc", "#fb923c", "#d4d4d4")
NUM_MOMENTS = 8


def view_axis(bodies: list[np.ndarray]) -> np.ndarray:
    """Ground directions (right, depth), (2, 2) over (x, z), that spread the actors' hips most from left to right."""
    ground = np.concatenate([body[:, 0][:, [0, 2]] for body in bodies])
    values, vectors = np.linalg.eigh(np.cov(ground.T) + 1e-9 * np.eye(2))
    right = vectors[:, np.argmax(values)]
    right = right * (1 if right[np.argmax(np.abs(right))] > 0 else -1)
    return np.stack([right, [right[1], -right[0]]])


def project(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Screen coordinates (..., 2) in cm of world points (..., 3), seen slightly from above."""
    right = points[..., [0, 2]] @ axis[0]
    depth = points[..., [0, 2]] @ axis[1]
    return np.stack([right, points[..., 1] - 0.25 * depth], -1)


def draw_bodies(ax, motions: list[Motion], worlds: list[np.ndarray], frame: int, axis: np.ndarray, limits: tuple) -> None:
    """Bones of both actors at a frame, with their shadows on the ground."""
    from matplotlib.collections import LineCollection

    for motion, world, colour in zip(motions, worlds, COLOURS):
        parents = np.asarray(motion.parents)
        joints = np.flatnonzero(parents >= 0)
        flat = world[frame] * [1, 0, 1]
        for points, shade, width in ((flat, "#d4d4d4", 1.0), (world[frame], colour, 1.6)):
            screen = project(points, axis)
            ax.add_collection(LineCollection(list(np.stack([screen[joints], screen[parents[joints]]], 1)), colors=shade, linewidths=width))
    ax.set_xlim(*limits[0])
    ax.set_ylim(*limits[1])
    ax.set_aspect("equal")
    ax.axis("off")


def body_limits(worlds: list[np.ndarray], axis: np.ndarray) -> tuple:
    """Screen limits that hold every drawn frame of all bodies."""
    screen = np.concatenate([project(world * scale, axis).reshape(-1, 2) for world in worlds for scale in ([1, 1, 1], [1, 0, 1])])
    low, high = screen.min(0) - 10, screen.max(0) + 10
    return (low[0], high[0]), (low[1], high[1])


def draw_face(ax, rig: Rig, weights: np.ndarray, colour: str | np.ndarray, *, shade: float = 0.75) -> None:
    """The face of one frame's weights (51,), from the front, darkened by its normals by at most `shade`.

    colour: one that tints a grey face, or each vertex's own, (V, 3) RGB from 0 to 1.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb

    vertices = rig.neutral + np.tensordot(weights, rig.deltas, 1)
    low, high = _face_window(rig)
    faces = np.where(rig.faces < 0, rig.faces[:, 2:3], rig.faces)  # a triangle among quads has -1 in place of a fourth corner
    corners = vertices[faces]
    kept = ((corners[..., :2] > low) & (corners[..., :2] < high)).all((1, 2))
    corners = corners[kept]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    order = np.argsort(corners[..., 2].mean(1))
    order = order[normals[order, 2] > 0]
    light = np.clip(normals[order] @ (np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])), 0, 1)
    tint = 0.75 * np.ones(3) + 0.25 * np.array(to_rgb(colour)) if isinstance(colour, str) else colour[faces].mean(1)[kept][order]
    shades = (1 - shade + shade * light[:, None]) * tint
    ax.add_collection(PolyCollection(corners[order][..., :2], facecolors=shades, edgecolors=shades, linewidths=0.3))
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_aspect("equal")
    ax.axis("off")


def _face_window(rig: Rig) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper (x, y) corner of what the shapes move, with a margin: the face without crown and neck."""
    travel = np.linalg.norm(rig.deltas, axis=-1).max(0)
    moved = rig.neutral[travel > 0.1 * travel.max()][:, :2]
    low, high = moved.min(0), moved.max(0)
    margin = 0.12 * (high - low).max()
    return low - margin, high + margin


def label_colours(labels: list[np.ndarray], facing: list[np.ndarray]) -> np.ndarray:
    """RGB (4, N, 3) of action and facing of both actors over time; white where an actor does not face the partner."""
    from matplotlib.colors import to_rgb

    actions = np.array([to_rgb(colour) for colour in ACTION_COLOURS])
    faces = [np.array([(1.0, 1.0, 1.0), to_rgb(colour)]) for colour in COLOURS]
    return np.stack([row for k in range(2) for row in (actions[labels[k]], faces[k][facing[k]])])


def draw_labels(ax, labels: list[np.ndarray], facing: list[np.ndarray], moments: np.ndarray) -> None:
    """A bar of action and one of facing for each actor, over the take's seconds, with lines at the drawn frames."""
    from matplotlib.patches import Patch

    seconds = len(labels[0]) / 30
    ax.imshow(label_colours(labels, facing), aspect="auto", interpolation="nearest", extent=(0, seconds, 4, 0))
    ax.vlines(moments / 30, 0, 4, colors="black", linewidths=0.6)
    ax.hlines([1, 2, 3], 0, seconds, colors="black", linewidths=[0.3, 1, 0.3])
    ax.set_yticks([0.5, 1.5, 2.5, 3.5], ["action", "faces partner"] * 2, fontsize=7)
    for tick, colour in zip(ax.get_yticklabels(), np.repeat(COLOURS, 2)):
        tick.set_color(colour)
    ax.tick_params(axis="x", labelsize=7)
    ax.set_xlabel("seconds", fontsize=7)
    patches = [Patch(color=colour, label=name) for colour, name in zip(ACTION_COLOURS, ACTIONS)]
    ax.legend(handles=patches, loc="upper right", bbox_to_anchor=(1, -0.12), ncols=3, fontsize=7, frameon=False)


def said_at(words: list[dict], first: float, last: float) -> str:
    """The words whose middle lies between two times, at most 28 characters."""
    text = " ".join(w["word"].strip() for w in words if first <= (w["start"] + w["end"]) / 2 < last)
    return text if len(text) <= 28 else text[:27] + "…"


def run(
    *,
    bvh: list[Path],
    face: list[Path],
    rig: list[Path],
    actions: list[Path],
    facing: list[Path],
    transcripts: list[Path],
    generated: Path | None,
    out: Path,
) -> None:
    """Draw one take."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    sources = [("captured", bvh, face)]
    if generated:
        sources.append(("generated", [generated / "bvhs" / b.name for b in bvh], [generated / "face_arkit" / f.name for f in face]))
    rigs, labels, words = [load_rig(r) for r in rig], [np.load(a) for a in actions], [read_json(t)["words"] for t in transcripts]
    faces = [np.load(f) for f in facing]
    num_frames = len(labels[0])
    if wrong := next((path for path, values in zip(actions + facing, labels + faces) if len(values) != num_frames), None):
        raise InputError(f"{wrong}: another number of labels than the {num_frames} of {actions[0]}, need one for each frame; label the take again")
    moments = np.linspace(0, num_frames - 1, NUM_MOMENTS + 2)[1:-1].round().astype(int)
    rows = 3 * len(sources)
    fig = plt.figure(figsize=(2.0 * NUM_MOMENTS, 1.75 * rows + 1.0))
    grid = fig.add_gridspec(rows + 1, NUM_MOMENTS, wspace=0.04, hspace=0.12, height_ratios=[1.75] * rows + [1.0])
    axes = np.array([[fig.add_subplot(grid[row, column]) for column in range(NUM_MOMENTS)] for row in range(rows)])
    draw_labels(fig.add_subplot(grid[rows, :]), labels, faces, moments)
    for s, (title, bodies, weights) in enumerate(sources):
        motions = [load_bvh(path, unit="cm").frames(moments) for path in bodies]
        worlds = [forward_kinematics(motion)[0] for motion in motions]
        axis = view_axis(worlds)
        limits = body_limits(worlds, axis)
        curves = [np.load(path)[moments] for path in weights]
        for column, frame in enumerate(moments):
            draw_bodies(axes[3 * s, column], motions, worlds, column, axis, limits)
            labels_here = " / ".join(ACTIONS[label[frame]] for label in labels)
            axes[3 * s, column].set_title(f"{frame / 30:.1f} s" + (f"  {labels_here}" if s == 0 else ""), fontsize=8)
            for k in range(2):
                ax = axes[3 * s + 1 + k, column]
                draw_face(ax, rigs[k], curves[k][column], COLOURS[k])
                if s == 0:
                    span = num_frames / 30 / NUM_MOMENTS / 2
                    ax.set_title(said_at(words[k], frame / 30 - span, frame / 30 + span), fontsize=6, color=COLOURS[k])
        axes[3 * s, 0].text(-0.05, 0.5, title, transform=axes[3 * s, 0].transAxes, rotation=90, va="center", ha="right", fontsize=10)
    with whole(out) as temporary:
        fig.savefig(temporary, dpi=90, bbox_inches="tight", metadata={"Software": None})
    plt.close(fig)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    two: dict[str, Any] = {"nargs": 2, "type": Path, "required": True}
    parser.add_argument("--bvh", **two, help="bodies, in actor order")
    parser.add_argument("--face", **two, help="face weights (.npy), in actor order")
    parser.add_argument("--rig", **two, help="rigs, in actor order")
    parser.add_argument("--actions", **two, help="action labels (.npy), in actor order")
    parser.add_argument("--facing", **two, help="facing labels (.npy), in actor order")
    parser.add_argument("--transcripts", **two, help="transcripts, in actor order")
    parser.add_argument("--generated", type=Path, help="folder of generated bvhs/ and face_arkit/ of the same names")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
