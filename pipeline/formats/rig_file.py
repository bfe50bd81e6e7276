"""An actor's ARKit rig: neutral head, 51 shapes as vertex deltas, faces, and named regions of vertices.

`rigs/<actor>.npz` holds `neutral` (V, 3) cm, `names` (K), `deltas` (K, V, 3) cm, `faces` (F, 3 or 4), and
optionally a `region_<name>` (n,) of vertex indices for each of REGIONS.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats import arkit
from pipeline.formats.array_files import open_npz, plain_value

REGIONS = {
    "lips": (
        0.5,
        (
            "mouthClose",
            "mouthFunnel",
            "mouthPucker",
            "mouthRoll",
            "mouthShrug",
            "mouthPress",
            "mouthLowerDown",
            "mouthUpperUp",
        ),
    ),
    "upper_face": (0.25, ("brow", "eyeSquint", "eyeWide", "eyeBlink")),
    "eyes": (0.25, ("eye",)),
    "brows": (0.25, ("brow",)),
}
"""By region: the share of travel that makes a vertex a part of it, and its shapes.

The share is of the largest travel; shapes are told by how their names begin.
"""


@dataclass(frozen=True)
class Rig:
    """neutral (V, 3) cm, deltas (51, V, 3) cm in ARKit order, faces (F, 3 or 4) vertex indices.

    `stored_regions`: indices (n,) of vertices by name of a region, as the rig's file has them; `regions`
    completes them.
    """

    neutral: np.ndarray
    deltas: np.ndarray
    faces: np.ndarray
    stored_regions: dict[str, np.ndarray] = field(default_factory=dict)


def rig_path(path: Path, actor: str) -> Path:
    """The rig of an actor in a folder of {actor}.npz; `path` itself where it is one file for everybody."""
    return Path(path) / f"{actor}.npz" if Path(path).is_dir() else Path(path)


def load_rig(path: Path) -> Rig:
    """Read `rigs/<actor>.npz`; shapes may stand in any order, further ones (tongueOut) are left out."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file; every actor needs a rig")
    with open_npz(path, fix="copy or build it again") as z:
        missing = [name for name in ("neutral", "names", "deltas", "faces") if name not in z]
        if missing:
            raise InputError(
                f"{path}: no array {', '.join(missing)}, need neutral, names, deltas, faces; build the rig"
                " again"
            )
        neutral, names, deltas, faces = (
            z["neutral"],
            [str(plain_value(name)) for name in z["names"].reshape(-1)],
            z["deltas"],
            z["faces"],
        )
        stored = {name: z[f"region_{name}"] for name in REGIONS if f"region_{name}" in z}
    if neutral.ndim != 2 or neutral.shape[1] != 3 or deltas.shape != (len(names), *neutral.shape):
        raise InputError(
            f"{path}: neutral {neutral.shape}, deltas {deltas.shape}, {len(names)} names; need (V,3),"
            " (K,V,3), K; build the rig again"
        )
    if (
        neutral.dtype.kind not in "fiu"
        or deltas.dtype.kind not in "fiu"
        or faces.dtype.kind not in "iu"
        or (faces.size and faces.ndim != 2)
    ):
        raise InputError(
            f"{path}: neutral {neutral.dtype}, deltas {deltas.dtype}, faces {faces.dtype} {faces.shape}; need"
            " numbers and (F,3 or 4)"
        )
    with np.errstate(over="ignore"):  # what is too large for the type becomes infinite
        neutral, deltas = neutral.astype(np.float32), deltas.astype(np.float32)
    if not (np.isfinite(neutral).all() and np.isfinite(deltas).all()):
        raise InputError(f"{path}: NaN or infinite vertices; build the rig again")
    for name, vertices in stored.items():
        if (
            vertices.dtype.kind not in "iu"
            or vertices.ndim != 1
            or (vertices.size and not 0 <= vertices.min() <= vertices.max() < len(neutral))
        ):
            raise InputError(
                f"{path}: region_{name} is no list of vertices 0 to {len(neutral) - 1}; build the rig again"
            )
    return Rig(neutral, deltas[arkit.rig_order(names, str(path))], faces, stored)


def save_rig(path: Path, rig: Rig) -> None:
    """Write a rig with its regions, so that whoever reads it measures on the same vertices."""
    arrays: dict[str, Any] = {
        "neutral": rig.neutral.astype(np.float32),
        "names": np.array(arkit.NAMES),
        "deltas": rig.deltas.astype(np.float32),
        "faces": rig.faces.astype(np.int32),
    }
    arrays |= {f"region_{name}": vertices.astype(np.int32) for name, vertices in regions(rig).items()}
    with whole(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def used_vertices(rig: Rig) -> np.ndarray:
    """Indices (n,) of the vertices that faces use, ascending; all where the rig has no faces.

    A corner of -1 is none.
    """
    corners = rig.faces[rig.faces >= 0]
    return np.unique(corners) if corners.size else np.arange(len(rig.neutral))


def regions(rig: Rig) -> dict[str, np.ndarray]:
    """Vertex indices of each of REGIONS, in any topology.

    Those that the rig's file names, else by what its shapes move.

    A vertex belongs to a region when the region's shapes, taken together, move it at least so far as the
    region's share of what they move the vertex that they move most. Lips are what the lip shapes proper move
    (close, funnel, pucker, roll, shrug, press, lower-down, upper-up; not the jaw), the upper face what brow,
    squint, wide and blink shapes move.
    """

    def moved(share: float, prefixes: tuple[str, ...]) -> np.ndarray:
        chosen = [i for i, name in enumerate(arkit.NAMES) if name.startswith(prefixes)]
        travel = np.linalg.norm(rig.deltas[chosen], axis=-1).sum(0)
        return np.flatnonzero((travel >= share * travel.max()) & (travel > 0))

    return {
        name: rig.stored_regions[name] if name in rig.stored_regions else moved(*rule)
        for name, rule in REGIONS.items()
    }
