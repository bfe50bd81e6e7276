"""Film strips: a take's bodies and faces at evenly spaced moments.

Captured and, where there are some, generated.

In: BVH, face weights, rigs, action and facing labels and transcripts of both performances; optionally folders
of the generated take. Out: one PNG. Bodies are drawn as bones and heads, whole, at one scale in all
rows, seen from the side that shows both actors best and about the middle between them; faces from the front.
Under them lie both actors' labels over the whole take, with the drawn moments.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.figures.figure import pyplot, save
from pipeline.formats.array_files import read_npy
from pipeline.formats.bvh import load_bvh
from pipeline.formats.rig_file import Rig, load_rig
from pipeline.motion import rotations
from pipeline.motion.clock import FPS
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import forward_kinematics
from pipeline.reading import read_json

COLOURS = ("#c2410c", "#1d4ed8")
ACTIONS = ("sit", "walk", "stand")
ACTION_COLOURS = ("#7dd3fc", "#fb923c", "#d4d4d4")
NUM_MOMENTS, LEAST_MOMENTS = 8, 4
INCHES_PER_CM = 0.0085
"""Scale of bodies, the same in all rows: who is 170 cm tall takes 1.45 inches, 145 dots."""
MIN_WIDTH_CM, MARGIN_CM, METRE_CM = 200.0, 6.0, 16.0
MAX_INCHES = 18.0
"""Width of a row that is given fewer moments rather than more width."""
TITLE_INCHES, WORDS_INCHES, FACE_INCHES, LABEL_INCHES, LEFT_INCHES = 0.3, 0.25, 1.6, 1.8, 1.0
HEAD_CM, MIN_HEAD_CM = 18.0, 5.0
"""Least length of a head that is drawn, and least distance of a tip that tells its direction."""


def view_axis(bodies: list[np.ndarray]) -> np.ndarray:
    """Ground directions (right, depth), (2, 2) over (x, z), that spread the actors' hips most.

    They spread them from left to right.
    """
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


def heads(motions: list[Motion], worlds: list[np.ndarray], turned: list[np.ndarray]) -> list[np.ndarray]:
    """Centre and radius of each body's head, (T, 4) in cm; NaN where it has none.

    A head reaches from its joint to its tip, if that is known.
    """
    result = []
    for motion, world, turn in zip(motions, worlds, turned):
        found = motion.aliases()
        if "Head" not in found:
            result.append(np.full((len(world), 4), np.nan))
            continue
        j = found["Head"]
        tip = motion.ends_cm.get(j, np.zeros(3))
        if np.linalg.norm(tip) < MIN_HEAD_CM:
            tip = motion.offsets_cm[j] / max(float(np.linalg.norm(motion.offsets_cm[j])), 1e-9)
        tip = tip * max(
            1.0, HEAD_CM / max(float(np.linalg.norm(tip)), 1e-9)
        )  # many skeletons end in the middle of the head
        centre = world[:, j] + rotations.rotate(turn[:, j], tip / 2)
        result.append(np.concatenate([centre, np.full((len(world), 1), np.linalg.norm(tip) / 2)], 1))
    return result


@dataclass(frozen=True)
class Scene:
    """Two bodies at the drawn moments, seen from one side.

    Bones (pairs of joints), joints (T, J, 2) and their shadows on the ground, and heads (T, 3) as centre and
    radius, all cm on the screen about the middle between the two at each moment.
    """

    bones: list[np.ndarray]
    points: list[np.ndarray]
    shadows: list[np.ndarray]
    heads: list[np.ndarray]

    def limits(self) -> np.ndarray:
        """Lowest and highest (x, y) of all that is drawn, (2, 2)."""
        parts = [values.reshape(-1, 2) for values in (*self.points, *self.shadows)]
        for head in self.heads:
            parts += [head[:, :2] + sign * head[:, 2:] for sign in (-1, 1)]
        seen = np.concatenate(parts)
        return np.stack([np.nanmin(seen, 0), np.nanmax(seen, 0)])


def scene_of(motions: list[Motion]) -> Scene:
    """What is drawn of two bodies whose frames are the moments."""
    worlds, turned = zip(*(forward_kinematics(motion) for motion in motions))
    axis = view_axis(list(worlds))
    middle = np.mean([project(world[:, 0] * [1, 0, 1], axis) for world in worlds], axis=0)
    bones = []
    for motion in motions:
        parents = np.asarray(motion.parents)
        joints = np.flatnonzero(parents >= 0)
        bones.append(np.stack([joints, parents[joints]], 1))
    round_heads = []
    for head in heads(motions, list(worlds), list(turned)):
        round_heads.append(np.concatenate([project(head[:, :3], axis) - middle, head[:, 3:]], 1))
    points, shadows = (
        [project(world * scale, axis) - middle[:, None] for world in worlds]
        for scale in ([1, 1, 1], [1, 0, 1])
    )
    return Scene(bones, points, shadows, round_heads)


def draw_bodies(ax, scene: Scene, moment: int, limits: np.ndarray) -> None:
    """Bones and heads of both actors at a moment, with their shadows on the ground.

    `limits` (2, 2) are the lower and upper corner in cm.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Circle

    for bones, points, shadow, head, colour in zip(
        scene.bones, scene.points, scene.shadows, scene.heads, COLOURS
    ):
        for places, shade, width in ((shadow, "#d4d4d4", 1.2), (points, colour, 2.2)):
            ax.add_collection(
                LineCollection(list(places[moment][bones]), colors=shade, linewidths=width, capstyle="round")
            )
        if np.isfinite(head[moment]).all():
            ax.add_patch(Circle(tuple(head[moment, :2]), head[moment, 2], facecolor=colour, edgecolor=colour))
    ax.set_xlim(*limits[:, 0])
    ax.set_ylim(*limits[:, 1])
    ax.axis("off")


def common_limits(scenes: list[Scene]) -> np.ndarray:
    """Lower and upper corner (2, 2) in cm of a window that holds every body of all scenes whole.

    It is wider than MIN_WIDTH_CM.
    """
    found = np.array([scene.limits() for scene in scenes])
    limits = np.stack([found[:, 0].min(0), found[:, 1].max(0)]) + np.array([[-MARGIN_CM], [MARGIN_CM]])
    limits[0, 1] -= METRE_CM  # room for the metre
    lacking = max(MIN_WIDTH_CM - np.ptp(limits[:, 0]), 0) / 2
    limits[:, 0] += [-lacking, lacking]
    return limits


def draw_metre(ax, limits: np.ndarray) -> None:
    """The length of a metre, at the foot of a picture of bodies."""
    x, y = limits[0] + [5, 3]
    ax.plot([x, x + 100], [y, y], color="#737373", lw=1.5, solid_capstyle="butt")
    ax.text(x + 50, y + 4, "1 m", ha="center", va="bottom", fontsize=7, color="#737373")


def draw_face(ax, rig: Rig, weights: np.ndarray, colour: str | np.ndarray, *, shade: float = 0.75) -> None:
    """The face of one frame's weights (51,), from the front, darkened by its normals by at most `shade`.

    colour: one that tints a grey face, or each vertex's own, (V, 3) RGB from 0 to 1.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb

    vertices = rig.neutral + np.tensordot(weights, rig.deltas, 1)
    low, high = _face_window(rig)
    faces = np.where(
        rig.faces < 0, rig.faces[:, 2:3], rig.faces
    )  # a triangle among quads has -1 in place of a fourth corner
    corners = vertices[faces]
    kept = ((corners[..., :2] > low) & (corners[..., :2] < high)).all((1, 2))
    corners = corners[kept]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    order = np.argsort(corners[..., 2].mean(1))
    order = order[normals[order, 2] > 0]
    light = np.clip(normals[order] @ (np.array([0.3, 0.5, 0.8]) / np.linalg.norm([0.3, 0.5, 0.8])), 0, 1)
    tint = (
        0.75 * np.ones(3) + 0.25 * np.array(to_rgb(colour))
        if isinstance(colour, str)
        else colour[faces].mean(1)[kept][order]
    )
    shades = (1 - shade + shade * light[:, None]) * tint
    ax.add_collection(
        PolyCollection(corners[order][..., :2], facecolors=shades, edgecolors=shades, linewidths=0.3)
    )
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_aspect("equal")
    ax.axis("off")


def _face_window(rig: Rig) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper (x, y) corner of what the shapes move, with a margin: no crown, no neck."""
    travel = np.linalg.norm(rig.deltas, axis=-1).max(0)
    moved = rig.neutral[travel > 0.1 * travel.max()][:, :2]
    low, high = moved.min(0), moved.max(0)
    margin = 0.12 * (high - low).max()
    return low - margin, high + margin


def label_colours(labels: list[np.ndarray], facing: list[np.ndarray]) -> np.ndarray:
    """RGB (4, N, 3) of action and facing of both actors over time.

    White where an actor does not face the partner.
    """
    from matplotlib.colors import to_rgb

    actions = np.array([to_rgb(colour) for colour in ACTION_COLOURS])
    faces = [np.array([(1.0, 1.0, 1.0), to_rgb(colour)]) for colour in COLOURS]
    return np.stack([row for k in range(2) for row in (actions[labels[k]], faces[k][facing[k]])])


def draw_labels(ax, labels: list[np.ndarray], facing: list[np.ndarray], moments: np.ndarray) -> None:
    """A bar of action and one of facing for each actor, over the take's seconds.

    Lines stand at the drawn frames.
    """
    from matplotlib.patches import Patch

    seconds = len(labels[0]) / 30
    ax.imshow(
        label_colours(labels, facing), aspect="auto", interpolation="nearest", extent=(0, seconds, 4, 0)
    )
    ax.vlines(moments / 30, 0, 4, colors="black", linewidths=0.6)
    ax.hlines([1, 2, 3], 0, seconds, colors="black", linewidths=[0.3, 1, 0.3])
    ax.set_yticks([0.5, 1.5, 2.5, 3.5], ["action", "faces partner"] * 2, fontsize=7)
    for tick, colour in zip(ax.get_yticklabels(), np.repeat(COLOURS, 2)):
        tick.set_color(colour)
    ax.tick_params(axis="x", labelsize=7)
    ax.set_xlabel("seconds", fontsize=7)
    patches = [Patch(color=colour, label=name) for colour, name in zip(ACTION_COLOURS, ACTIONS)]
    ax.legend(
        handles=patches, loc="upper right", bbox_to_anchor=(1, -0.12), ncols=3, fontsize=7, frameon=False
    )


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
    generated: list[Path] | None,
    out: Path,
) -> None:
    """Draw one take."""
    plt = pyplot()
    sources = [("captured", bvh, face)]
    for number, folder in enumerate(generated or [], 1):
        sources.append(
            (
                "generated" if len(generated or []) == 1 else f"generated {number}",
                [folder / "bvhs" / b.name for b in bvh],
                [folder / "face_arkit" / f.name for f in face],
            )
        )
    rigs, labels, words = (
        [load_rig(r) for r in rig],
        [read_npy(a) for a in actions],
        [read_json(t)["words"] for t in transcripts],
    )
    faces = [read_npy(f) for f in facing]
    num_frames = len(labels[0])
    if wrong := next(
        (path for path, values in zip(actions + facing, labels + faces) if len(values) != num_frames), None
    ):
        raise InputError(
            f"{wrong}: another number of labels than the {num_frames} of {actions[0]}, need one for each"
            " frame; label the take again"
        )
    motions = [[load_bvh(path, unit="cm") for path in bodies] for _, bodies, _ in sources]
    curves = [[read_npy(path) for path in weights] for _, _, weights in sources]
    for num_moments in range(
        NUM_MOMENTS, 0, -1
    ):  # bodies that are far apart need wide pictures, so fewer of them
        moments = np.linspace(0, num_frames - 1, num_moments + 2)[1:-1].round().astype(int)
        scenes = [scene_of([motion.frames(moments) for motion in bodies]) for bodies in motions]
        limits = common_limits(scenes)
        width, height = np.ptp(limits, axis=0) * INCHES_PER_CM
        if num_moments <= LEAST_MOMENTS or num_moments * width <= MAX_INCHES:
            break
    block = TITLE_INCHES + height + 2 * (WORDS_INCHES + FACE_INCHES)
    total = (LEFT_INCHES + num_moments * width + 0.1, len(sources) * block + LABEL_INCHES)
    fig = plt.figure(figsize=total)

    def place(left: float, top: float, width: float, height: float):
        """Axes at inches from the left and from the top."""
        return fig.add_axes(
            (left / total[0], 1 - (top + height) / total[1], width / total[0], height / total[1])
        )

    for s, ((title, _, _), scene, weights) in enumerate(zip(sources, scenes, curves)):
        for column, frame in enumerate(moments):
            left, top = LEFT_INCHES + column * width, s * block + TITLE_INCHES
            ax = place(left, top, width, height)
            draw_bodies(ax, scene, column, limits)
            if column:
                ax.axvline(
                    limits[0, 0], color="#cccccc", linewidth=0.8
                )  # bodies that stand far apart end at the next moment's
            said = "" if s else "  " + " / ".join(ACTIONS[label[frame]] for label in labels)
            ax.set_title(f"{frame / FPS:.1f} s{said}", fontsize=9)
            if column == 0:
                draw_metre(ax, limits)
                ax.text(
                    -0.02,
                    0.5,
                    title,
                    transform=ax.transAxes,
                    rotation=90,
                    va="center",
                    ha="right",
                    fontsize=11,
                )
            for k in range(2):
                ax = place(
                    left, top + height + k * (WORDS_INCHES + FACE_INCHES) + WORDS_INCHES, width, FACE_INCHES
                )
                draw_face(ax, rigs[k], weights[k][frame], COLOURS[k])
                if s == 0:
                    span = num_frames / FPS / num_moments / 2
                    ax.set_title(
                        said_at(words[k], frame / FPS - span, frame / FPS + span),
                        fontsize=7.5,
                        color=COLOURS[k],
                    )
    draw_labels(
        place(LEFT_INCHES, len(sources) * block + 0.25, num_moments * width, LABEL_INCHES - 0.9),
        labels,
        faces,
        moments,
    )
    save(fig, out)


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
    parser.add_argument(
        "--generated",
        type=Path,
        nargs="+",
        help="folders of generated bvhs/ and face_arkit/ of the same names: samples, or methods; a row each",
    )
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
