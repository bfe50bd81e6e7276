"""The report's picture of a take's face fits: mesh, reconstruction and error.

At the frames that fit worst and that move most.

    python -m pipeline.report.face --face A.mesh.h5 B.mesh.h5 --rig A.npz B.npz --reports A.json B.json \\
        --out TAKE.png

In: the mesh streams of the shoot, the rigs and the fit reports of both performances
(pipeline.capture.blendshapes), which name the frames and say how the heads were stabilised. Out: one PNG. A
performance that came as weights has no row.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import stage
from pipeline.capture import stabilise
from pipeline.capture.blendshape_fit import BlendshapeFit
from pipeline.errors import InputError
from pipeline.figures.figure import pyplot, save
from pipeline.figures.strips import COLOURS, draw_face
from pipeline.formats import faces
from pipeline.formats.rig_file import Rig, load_rig
from pipeline.reading import read_json

MOMENTS = (("worst", "fits worst"), ("extreme", "moves most"))
"""Lists of frames in a fit report, and what their pictures are called."""
PER_LIST = 4


def fitted_frames(path: Path, rig: Rig, report: dict) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Each frame that the report names: what is drawn of it.

    Title, vertices (V, 3) without head movement, weights (51,), errors (V,) in cm.
    """
    stream = faces.open_face(path, rate=report["rate"])
    fit = BlendshapeFit(rig.neutral, rig.deltas, method=report["method"])
    found = []
    for key, said in MOMENTS:
        for moment in report[key][:PER_LIST]:
            frame = moment["frame"]
            if not 0 <= frame < len(stream.seconds):
                raise InputError(
                    f"{path}: got {len(stream.seconds)} frames, its fit report names frame {frame}; give the"
                    " stream that was fitted"
                )
            (block,) = faces.blocks(stream, frame, frame + 1, block_frames=1)
            if report["stabilised"] != "none":
                still = stabilise.still_vertices(rig)
                pose = stabilise.estimate(
                    block[:, still], rig.neutral[still], similarity=report["stabilised"] == "similarity"
                )
                block = pose.remove(block)
            weights = fit(block).weights[0]
            error = np.linalg.norm(block[0] - rig.neutral - np.tensordot(weights, rig.deltas, 1), axis=1)
            found.append((f"{said}, {moment['seconds']:.2f} s", block[0], weights, error))
    return found


def run(*, face: list[Path], rig: list[Path], reports: list[Path], out: Path) -> None:
    """Draw one take."""
    plt = pyplot()
    rows = []
    for path, rig_path, report_path, colour in zip(face, rig, reports, COLOURS, strict=True):
        report = read_json(report_path)
        if report.get("source") == "mesh":
            shapes = load_rig(rig_path)
            rows.append((report["performance"], shapes, fitted_frames(path, shapes, report), colour))
    columns = max((len(frames) for _, _, frames, _ in rows), default=0)
    if not columns:
        fig, ax = plt.subplots(figsize=(6, 1.2))
        ax.text(0.5, 0.5, "Both faces came as weights: nothing was fitted.", ha="center", va="center")
        ax.axis("off")
        save(fig, out)
        return
    height = 1.9 * 3 * len(rows) + 0.8
    fig, axes = plt.subplots(
        3 * len(rows), columns, figsize=(1.9 * columns + 0.8, height), squeeze=False, layout="constrained"
    )
    top = max(float(np.nanquantile(error, 0.99)) for _, _, frames, _ in rows for _, _, _, error in frames)
    scale = plt.Normalize(0, max(top, 1e-6))
    shades = plt.get_cmap("magma_r")
    for ax in axes.flat:
        ax.axis("off")
    for row, (name, shapes, frames, colour) in enumerate(rows):
        for column, (title, vertices, weights, error) in enumerate(frames):
            mesh, made, wrong = axes[3 * row : 3 * row + 3, column]
            draw_face(
                mesh,
                replace(shapes, neutral=np.where(np.isfinite(vertices), vertices, shapes.neutral)),
                np.zeros(len(weights)),
                colour,
            )
            draw_face(made, shapes, weights, colour)
            draw_face(wrong, shapes, weights, shades(scale(np.nan_to_num(error)))[:, :3], shade=0.25)
            mesh.set_title(title, fontsize=7)
            wrong.text(
                0.5,
                -0.02,
                f"{10 * np.nanmax(error):.2f} mm at most",
                transform=wrong.transAxes,
                ha="center",
                va="top",
                fontsize=7,
            )
        for ax, text in zip(axes[3 * row : 3 * row + 3, 0], (f"{name}\nmesh", "reconstruction", "error")):
            ax.text(
                -0.08, 0.5, text, transform=ax.transAxes, rotation=90, ha="right", va="center", fontsize=7
            )
    bar = fig.colorbar(plt.cm.ScalarMappable(scale, shades), ax=list(axes[:, -1]), fraction=0.08, aspect=40)
    bar.set_label("distance of a vertex from the mesh, cm", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    save(fig, out)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    two: dict[str, Any] = {"nargs": 2, "type": Path, "required": True}
    parser.add_argument("--face", **two, help="face streams of the shoot, in actor order")
    parser.add_argument("--rig", **two, help="rigs, in actor order")
    parser.add_argument("--reports", **two, help="their fit reports (JSON), in actor order")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
