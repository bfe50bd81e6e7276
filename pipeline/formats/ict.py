"""ICT FaceKit's expressions and ARKit's: one table, and weights from one to the other.

ICT's list has 53 expressions; the public release's `face_ict` has 55, here the 53 and cheekRaiser L/R, in the
order of the kit's file names. Between the two lists only names differ, but for these:

- browInnerUp and cheekPuff are one shape each in ARKit, a left and a right one in ICT. To ICT both take
  ARKit's weight; to ARKit goes their mean, so that a difference between left and right is lost.
- cheekRaiser L/R is not in ARKit. To ICT it is 0; to ARKit it is lost.

ARKit -> ICT -> ARKit is exact. ICT -> ARKit -> ICT is exact where nothing of the above is lost; `lost`
measures it.

Light: this module is imported while the Snakefile is read, numpy only inside functions that get arrays.
"""

import ast
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.formats.arkit import NAMES as ARKIT_NAMES
from pipeline.reading import plain

if TYPE_CHECKING:
    import numpy as np

NUM_VERTICES = 26_719
"""Vertices of the kit's head: the mark of its topology."""
NAMES = tuple(
    """browDown_L browDown_R browInnerUp_L browInnerUp_R browOuterUp_L browOuterUp_R cheekPuff_L cheekPuff_R
    cheekRaiser_L cheekRaiser_R cheekSquint_L cheekSquint_R eyeBlink_L eyeBlink_R eyeLookDown_L eyeLookDown_R
    eyeLookIn_L eyeLookIn_R eyeLookOut_L eyeLookOut_R eyeLookUp_L eyeLookUp_R eyeSquint_L eyeSquint_R
    eyeWide_L eyeWide_R jawForward jawLeft jawOpen jawRight mouthClose mouthDimple_L mouthDimple_R
    mouthFrown_L mouthFrown_R mouthFunnel mouthLeft mouthLowerDown_L mouthLowerDown_R mouthPress_L
    mouthPress_R mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper
    mouthSmile_L mouthSmile_R mouthStretch_L mouthStretch_R mouthUpperUp_L mouthUpperUp_R noseSneer_L
    noseSneer_R""".split()
)
"""The 55 expressions of `face_ict`, in the order of its columns."""
MOST_HEADER = 4096
"""Bytes of the header of an .npy."""
JOINED = ("browInnerUp", "cheekPuff")
"""Shapes that ARKit has once and ICT for each side."""
ONLY_ICT = ("cheekRaiser_L", "cheekRaiser_R")


def arkit_name(name: str) -> str | None:
    """ARKit's name of an ICT expression: browDown_L -> browDownLeft, browInnerUp_L -> browInnerUp.

    None for cheekRaiser.
    """
    if name in ONLY_ICT:
        return None
    stem, _, side = name.partition("_")
    return stem if stem in JOINED else stem + {"L": "Left", "R": "Right", "": ""}[side]


ARKIT_OF = tuple(arkit_name(name) for name in NAMES)
"""ARKit's name of each of NAMES."""


def to_ict(arkit: "np.ndarray") -> "np.ndarray":
    """ICT weights (..., 55) of ARKit weights (..., 51), of the same type; cheekRaiser is 0."""
    import numpy as np

    _check(arkit, len(ARKIT_NAMES), "ARKit weights")
    return np.stack(
        [arkit[..., ARKIT_NAMES.index(name)] if name else np.zeros_like(arkit[..., 0]) for name in ARKIT_OF],
        -1,
    )


def to_arkit(ict: "np.ndarray") -> "np.ndarray":
    """ARKit weights (..., 51) of ICT weights (..., 55), of the same type.

    The mean of the sides where ARKit has one shape.
    """
    import numpy as np

    _check(ict, len(NAMES), "ICT weights")
    columns = [[i for i, theirs in enumerate(ARKIT_OF) if theirs == name] for name in ARKIT_NAMES]
    return np.stack([ict[..., sides].mean(-1) for sides in columns], -1)


def lost(ict: "np.ndarray") -> "np.ndarray":
    """What of ICT weights (..., 55) ARKit cannot say (..., 55).

    Half the difference of joined sides, and all of cheekRaiser.
    """
    return ict - to_ict(to_arkit(ict))


def _check(weights: "np.ndarray", count: int, what: str) -> None:
    if weights.ndim < 1 or weights.shape[-1] != count:
        raise InputError(
            f"{what} of shape {weights.shape}, need {count} columns; check which list of shapes they are in"
        )


def is_ict_rig(path: Path) -> bool:
    """Whether a rig (.npz) has the topology of the kit, by the header of its `neutral`.

    False where the file cannot be read.
    """
    try:
        plain(path)
        with zipfile.ZipFile(path) as archive, archive.open("neutral.npy") as f:
            version = f.read(8)[6]
            length = int.from_bytes(f.read(2 if version == 1 else 4), "little")
            return length <= MOST_HEADER and tuple(
                ast.literal_eval(f.read(length).decode("latin-1").strip())["shape"]
            ) == (NUM_VERTICES, 3)
    except Exception:  # bytes from elsewhere, whatever they make of the parsers
        return False  # the stage that reads the rig says what is wrong with it
