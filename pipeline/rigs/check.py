"""Faults of an ARKit rig: what would make the fit of a face wrong, a line each."""

import numpy as np

from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.formats.rig_file import REGIONS, Rig, regions
from pipeline.formats.rig_names import without_side
from pipeline.rigs.importing import HEAD_CM, plain_faces

MOVED_CM = 1e-3
"""A vertex that a shape takes less far counts as still."""
SAME_COSINE = 0.999
"""Shapes whose deltas have this cosine cannot be told apart by the fit; ICT FaceKit's closest have 0.97."""


def faults(rig: Rig, where: str) -> list[str]:
    """Every fault of a rig; none is an empty list."""
    return [
        *_face_faults(rig, where),
        *_size_faults(rig),
        *_still_shapes(rig),
        *_same_shapes(rig),
        *_sides(rig),
        *_region_faults(rig),
    ]


def travel_cm(rig: Rig) -> np.ndarray:
    """How far each shape takes each vertex (51, V)."""
    return np.linalg.norm(rig.deltas, axis=-1)


def _face_faults(rig: Rig, where: str) -> list[str]:
    try:
        faces = plain_faces(rig.faces, rig.neutral, where)
    except InputError as error:
        return [str(error).removeprefix(f"{where}: ")]
    return [] if len(faces) else ["no faces; import the rig from a mesh that has them"]


def _size_faults(rig: Rig) -> list[str]:
    size = float(np.ptp(rig.neutral, axis=0).max()) if len(rig.neutral) else 0.0
    if HEAD_CM[0] <= size <= HEAD_CM[1]:
        return []
    return [
        f"the neutral is {size:.4g} cm high, need {HEAD_CM[0]:g} to {HEAD_CM[1]:g} for a head; import it with"
        " its unit (--unit)"
    ]


def _still_shapes(rig: Rig) -> list[str]:
    still = [name for name, travel in zip(arkit.NAMES, travel_cm(rig)) if not (travel > MOVED_CM).any()]
    return [f"{name} moves no vertex; its weight cannot be fitted" for name in still]


def _same_shapes(rig: Rig) -> list[str]:
    flat = rig.deltas.reshape(len(rig.deltas), -1).astype(np.float64)
    lengths = np.linalg.norm(flat, axis=1)
    cosines = (flat @ flat.T) / np.maximum(np.outer(lengths, lengths), 1e-12)
    result = []
    for i, j in np.argwhere(np.triu(np.abs(cosines) > SAME_COSINE, 1)).tolist():
        how = "move the same way" if cosines[i, j] > 0 else "move opposite ways"
        result.append(
            f"{arkit.NAMES[i]} and {arkit.NAMES[j]} {how} (cosine {cosines[i, j]:.5f}); the fit cannot tell"
            " them apart"
        )
    return result


def _sides(rig: Rig) -> list[str]:
    """Left and right shapes that act on the other side, +x being the actor's left.

    A shape acts where it moves vertices, a jaw or mouth that goes aside in the direction in which it moves
    them.
    """
    middle = (rig.neutral[:, 0].min() + rig.neutral[:, 0].max()) / 2 if len(rig.neutral) else 0.0
    wrong, sided = [], 0
    for name, delta in zip(arkit.NAMES, rig.deltas.astype(np.float64)):
        base, side = without_side(name)
        weight = (delta**2).sum(-1)
        if not side or not weight.sum() > 0:
            continue
        sided += 1
        along = delta[:, 0] if base in ("jaw", "mouth") else rig.neutral[:, 0] - middle
        if (along @ weight) * (1 if side == "Left" else -1) < 0:
            wrong.append(
                f"{name} acts on the actor's {'right' if side == 'Left' else 'left'}; left is +x: swap it"
                " with its other side"
            )
    if sided > 2 and len(wrong) == sided:
        return [
            f"all {sided} left and right shapes act on the other side, left is +x; turn the head towards +z,"
            " or mirror it"
        ]
    return wrong


def _region_faults(rig: Rig) -> list[str]:
    found = regions(rig)
    return [f"region {name} is empty, its shapes move nothing" for name in REGIONS if not found[name].size]
