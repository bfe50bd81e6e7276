"""An actor's ARKit rig: neutral head, 51 shapes as vertex deltas, faces; and named vertex regions."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import arkit
from pipeline.errors import InputError

LIP_SHARE = 0.5
UPPER_SHARE = 0.25


@dataclass(frozen=True)
class Rig:
    """neutral (V, 3) cm, deltas (51, V, 3) cm in ARKit order, faces (F, 3 or 4) vertex indices."""

    neutral: np.ndarray
    deltas: np.ndarray
    faces: np.ndarray


def load_rig(path: Path) -> Rig:
    """Read `rigs/<actor>.npz`; shapes may stand in any order, further ones (tongueOut) are left out."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as z:
            missing = [name for name in ("neutral", "names", "deltas", "faces") if name not in z]
            if missing:
                raise InputError(f"{path}: no array {', '.join(missing)}, need neutral, names, deltas, faces; build the rig again")
            neutral, names, deltas, faces = z["neutral"], z["names"].tolist(), z["deltas"], z["faces"]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; every actor needs a rig") from None
    except (OSError, EOFError, ValueError, TypeError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable .npz ({error}); copy or build it again") from None
    if neutral.ndim != 2 or neutral.shape[1] != 3 or deltas.shape != (len(names), *neutral.shape):
        raise InputError(f"{path}: neutral {neutral.shape}, deltas {deltas.shape}, {len(names)} names; need (V,3), (K,V,3), K; build the rig again")
    if not (np.isfinite(neutral).all() and np.isfinite(deltas).all()):
        raise InputError(f"{path}: NaN or infinite vertices; build the rig again")
    return Rig(neutral.astype(np.float32), deltas[arkit.rig_order(names, str(path))].astype(np.float32), faces)


def regions(rig: Rig) -> dict[str, np.ndarray]:
    """Vertex indices of "lips" and "upper_face" by what the shapes move, so that any topology has them.

    Lips: vertices that the lip shapes proper (close, funnel, pucker, roll, shrug, press, lower-down, upper-up) move in
    sum at least LIP_SHARE as far as the vertex that they move most. Upper face: the same with the brow, squint, wide
    and blink shapes and UPPER_SHARE.
    """
    lip = ("mouthClose", "mouthFunnel", "mouthPucker", "mouthRoll", "mouthShrug", "mouthPress", "mouthLowerDown", "mouthUpperUp")
    upper = ("brow", "eyeSquint", "eyeWide", "eyeBlink")

    def moved(prefixes: tuple[str, ...], share: float) -> np.ndarray:
        chosen = [i for i, name in enumerate(arkit.NAMES) if name.startswith(prefixes)]
        travel = np.linalg.norm(rig.deltas[chosen], axis=-1).sum(0)
        return np.flatnonzero(travel >= share * travel.max())

    return {"lips": moved(lip, LIP_SHARE), "upper_face": moved(upper, UPPER_SHARE)}
