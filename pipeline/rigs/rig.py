"""What the commands of `python -m pipeline.rigs` do: import, list, check, draw, carry to another head.

Rigs are the .npz of pipeline/formats/rig_file.py, in cm; docs/rigs.md has the formats and names of shapes.
"""

import logging
import sys
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.figures.figure import pyplot, save
from pipeline.figures.strips import draw_face
from pipeline.formats import arkit
from pipeline.formats.obj import read_obj
from pipeline.formats.rig_file import Rig, load_rig, regions, save_rig
from pipeline.rigs import check as rig_check
from pipeline.rigs.importing import import_rig, plain_faces, read_arrays, unit_cm

log = logging.getLogger("interact")
COLUMNS = 8
GREY, MOVED, REGION = np.array([0.8, 0.8, 0.8]), np.array([0.93, 0.5, 0.25]), np.array([0.25, 0.55, 0.95])
SAME_EDGES = 0.5
"""Share of a mesh's edges that a mesh of the same topology has too, however both are cut into triangles."""


def run_import(
    *, source: Path, out: Path, unit: str | None, neutral: Path | None, mesh: str | None, missing: str
) -> None:
    """Import a rig and write it."""
    rig = import_rig(source, unit=unit, neutral=neutral, mesh=mesh, missing=missing)
    save_rig(out, rig)
    log.info(
        "%s: %d vertices, %d faces; python -m pipeline.rigs check says what is wrong with it",
        out,
        len(rig.neutral),
        len(rig.faces),
    )


def run_list(*, file: Path) -> None:
    """Print a rig's sizes, a row per shape, and a row per region."""
    rig = load_rig(file)
    size = np.ptp(rig.neutral, axis=0).max()
    print(
        f"{len(rig.neutral)} vertices, {len(rig.faces)} faces of up to {rig.faces.shape[-1]} corners,"
        f" {size:.1f} cm high"
    )
    print(f"{'shape':20} {'vertices moved':>14} {'largest travel':>14}")
    for name, travel in zip(arkit.NAMES, rig_check.travel_cm(rig)):
        print(f"{name:20} {int((travel > rig_check.MOVED_CM).sum()):14d} {travel.max():11.3f} cm")
    for name, vertices in regions(rig).items():
        print(
            f"region {name:13} {len(vertices):14d}"
            f" {'in the file' if name in rig.stored_regions else 'by its shapes':>14}"
        )


def run_check(*, files: list[Path]) -> None:
    """Print a line per fault and exit with 1 where there is one."""
    faults = []
    for file in files:
        try:
            faults += [f"{file}: {fault}" for fault in rig_check.faults(load_rig(file), str(file))]
        except InputError as error:
            faults.append(str(error))
    for fault in faults:
        print(fault)
    if faults:
        sys.exit(1)
    print(f"{len(files)} rigs, no fault")


def run_draw(*, file: Path, out: Path) -> None:
    """Draw the neutral, each region on it, and every shape at weight 1, what it moves coloured by its travel.

    mouthClose is drawn on top of jawOpen: it closes the lips over an open jaw, alone it pushes the lower lip
    into the upper.
    """
    rig = load_rig(file)
    rig = Rig(rig.neutral, rig.deltas, plain_faces(rig.faces, rig.neutral, file), rig.stored_regions)
    still, weights = np.zeros(len(arkit.NAMES)), np.eye(len(arkit.NAMES))
    weights[arkit.NAMES.index("mouthClose"), arkit.NAMES.index("jawOpen")] = 1
    panels = [("neutral\n", still, np.tile(GREY, (len(rig.neutral), 1)))]
    for name, vertices in regions(rig).items():
        colours = np.tile(GREY, (len(rig.neutral), 1))
        colours[vertices] = REGION
        panels.append((f"region {name}\n{len(vertices)} vertices", still, colours))
    for name, row, travel in zip(arkit.NAMES, weights, rig_check.travel_cm(rig)):
        share = (travel / max(travel.max(), rig_check.MOVED_CM))[:, None]
        label = f"{name}{' with jawOpen' * (name == 'mouthClose')}\n{travel.max():.2f} cm"
        panels.append((label, row, GREY + share * (MOVED - GREY)))
    rows = -(-len(panels) // COLUMNS)
    fig, axes = pyplot().subplots(rows, COLUMNS, figsize=(1.75 * COLUMNS, 2.3 * rows), layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for ax, (label, row, colours) in zip(axes.flat, panels):
        draw_face(ax, rig, row, colours)
        ax.set_title(label, fontsize=8)
    save(fig, out)


def read_neutral(path: Path, unit: str | None, generic: Rig, faces: np.ndarray) -> np.ndarray:
    """Vertices (V, 3) float32 in cm of an actor's neutral, an .obj or an .npz.

    It is in the topology of the generic rig.
    """
    path = Path(path)
    if path.suffix.lower() == ".obj":
        vertices, own, _ = read_obj(path)
    elif path.suffix.lower() == ".npz":
        vertices, _, _, own = read_arrays(path)
    else:
        raise InputError(
            f"{path}: got a {path.suffix or 'nameless'} file, need the actor's neutral as .obj, or a rig as"
            " .npz; export it again"
        )
    if not np.isfinite(vertices).all():
        raise InputError(f"{path}: NaN or infinite vertices; export it again")
    if len(vertices) != len(generic.neutral):
        raise InputError(
            f"{path}: {len(vertices)} vertices, the generic rig has {len(generic.neutral)}; export the"
            " neutral in its topology"
        )
    edges, known = _edges(own), _edges(faces)
    if edges and len(edges & known) < SAME_EDGES * len(edges):
        raise InputError(
            f"{path}: its faces are not those of the generic rig; export the neutral in its topology and"
            " order of vertices"
        )
    return (vertices * unit_cm(vertices, unit, path)).astype(np.float32)


def _edges(faces: np.ndarray) -> set[tuple[int, int]]:
    """Undirected edges of faces (F, 3 or 4)."""
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], -1).reshape(-1, 2)
    return set(map(tuple, np.sort(ends, axis=1).tolist()))


def run_transfer(*, generic: Path, neutral: Path, out: Path, method: str, unit: str | None) -> None:
    """Give a generic rig's shapes to an actor's neutral: as they are (copy), or by deformation transfer."""
    rig = load_rig(generic)
    faces = plain_faces(rig.faces, rig.neutral, generic)
    target = read_neutral(neutral, unit, rig, faces)
    deltas = rig.deltas
    if method == "transfer":
        from pipeline.rigs.deformation_transfer import transfer_deltas

        deltas = transfer_deltas(rig.neutral, faces, rig.deltas, target)
    save_rig(out, Rig(target, deltas, faces, regions(rig)))
    log.info("%s: the shapes of %s on %s (%s)", out, generic.name, neutral.name, method)
