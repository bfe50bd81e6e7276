"""ARKit blendshape names, in the column order of Live Link Face.

Every face array and shard of this project has its columns in `NAMES` order.
"""

from collections import Counter

from pipeline.errors import InputError

NAMES_52 = tuple(
    """eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft
    eyeBlinkRight eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight eyeWideRight
    jawForward jawRight jawLeft jawOpen mouthClose mouthFunnel mouthPucker mouthRight mouthLeft
    mouthSmileLeft mouthSmileRight mouthFrownLeft mouthFrownRight mouthDimpleLeft mouthDimpleRight
    mouthStretchLeft mouthStretchRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper
    mouthPressLeft mouthPressRight mouthLowerDownLeft mouthLowerDownRight mouthUpperUpLeft mouthUpperUpRight
    browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
    cheekSquintRight noseSneerLeft noseSneerRight tongueOut""".split()
)
NAMES = NAMES_52[:51]
"""The 51 shapes of the dataset: the 52 of ARKit without tongueOut, which no mesh stream shows."""

MOUTH = [i for i, name in enumerate(NAMES) if name.startswith(("jaw", "mouth"))]
"""Columns of the shapes of jaw and mouth, 27 of 51."""


def rig_order(names: list[str], where: str, *, fix: str = "add them to the rig") -> list[int]:
    """Index in `names` of each ARKit shape in `NAMES`; names are matched without regard to case.

    Raises InputError that lists the shapes that are missing, with what to do as `fix`, or stand twice.
    """
    index = {name.lower(): i for i, name in enumerate(names)}
    missing = [name for name in NAMES if name.lower() not in index]
    if missing:
        raise InputError(
            f"{where}: {len(missing)} of the 51 ARKit shapes are missing: {', '.join(missing)}; {fix}"
        )
    counts = Counter(name.lower() for name in names)
    if twice := [name for name in NAMES if counts[name.lower()] > 1]:
        raise InputError(f"{where}: {', '.join(twice)} stands twice, need each ARKit shape once; remove one")
    return [index[name.lower()] for name in NAMES]
