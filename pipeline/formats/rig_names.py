"""What other programs call ARKit's 51 shapes, and which found shapes make each of them.

A name is compared without case, spaces and separators (`jaw_open`, `Jaw-Open`). The name of a mesh or node
may stand before it, set off by a separator (`blendShape1.jawOpen`, `head_geo_jawOpen`), unless it is itself a
shape (`jawOpen_mouthClose` is a combination, not a mouthClose). A side may be written as in SIDES. A shape
without a side may come as two halves, which are added: ICT FaceKit's `browInnerUp_L` and `browInnerUp_R`. Its
cheekRaiser and PupilDilate have no counterpart in ARKit, and tongueOut, ARKit's 52nd, is none of the 51.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from pipeline.errors import InputError
from pipeline.formats import arkit

SIDES = {"Left": ("left", "l"), "Right": ("right", "r")}
"""By ARKit's side: how it may end a name, behind any separator or none.

`_L` is Apple's own in files and ICT FaceKit's.
"""

ALTERNATES = {
    "eyeBlink": ("eyeClosed",),
    "mouthClose": ("mouthClosed",),
    "mouthFunnel": ("lipFunnel",),
    "mouthPucker": ("lipPucker",),
    "mouthRollLower": ("lipSuckLower",),
    "mouthRollUpper": ("lipSuckUpper",),
    "mouthShrugLower": ("mouthRaiserLower",),
    "mouthShrugUpper": ("mouthRaiserUpper",),
}
"""By ARKit's name without its side: other names of the same shape.

Those of the Unified Expressions of face tracking in VR.
"""


@dataclass(frozen=True)
class Found:
    """Which of the found shapes make the ARKit shapes.

    `sources`: by ARKit name, in the order of arkit.NAMES, the indices of the found shapes whose sum it is;
    `missing`: ARKit names without; `left_over`: found names that make none of the 51.
    """

    sources: dict[str, tuple[int, ...]]
    missing: list[str]
    left_over: list[str]


def without_side(name: str) -> tuple[str, str]:
    """An ARKit name and its side: mouthSmileLeft -> mouthSmile, Left; jawOpen -> jawOpen and no side."""
    side = next((side for side in SIDES if name.endswith(side)), "")
    return name.removesuffix(side), side


@cache
def spellings() -> dict[str, tuple[str, str]]:
    """By spelling, in lower case without separators: the ARKit name, and which half of it.

    Left, Right, or the whole, empty.
    """
    result: dict[str, tuple[str, str]] = {}
    for name in arkit.NAMES:
        base, side = without_side(name)
        for word in (base, *ALTERNATES.get(base, ())):
            if side:
                result |= {word.lower() + end: (name, "") for end in SIDES[side]}
            else:
                result[word.lower()] = (name, "")
                result |= {word.lower() + end: (name, half) for half, ends in SIDES.items() for end in ends}
    return result


MOST_NAME = 200
"""Characters of a name that may mean a shape."""


def arkit_name(found: str) -> tuple[str, str] | None:
    """The ARKit name that a found name means, and which half of it, as in `spellings`.

    None where it means none.
    """
    known = spellings()
    if len(found) > MOST_NAME:
        return None
    words = [word.lower() for word in re.split(r"[\W_]+", found) if word]
    for first in range(len(words)):
        if "".join(words[first:]) in known:
            prefix = words[:first]
            combined = any(
                "".join(prefix[a:b]) in known for a in range(first) for b in range(a + 1, first + 1)
            )
            return None if combined else known["".join(words[first:])]
    return None


def match(names: Sequence[str], where: str) -> Found:
    """The found shapes that make each ARKit shape; InputError where two found shapes are the same one.

    A shape of which one half is there and the other is not counts as missing, and its half as left over.
    """
    by_part: dict[tuple[str, str], int] = {}
    for i, found in enumerate(names):
        part = arkit_name(found)
        if part is None:
            continue
        name, half = part
        rivals = [
            by_part[name, other]
            for other in (("", half) if half else ("", *SIDES))
            if (name, other) in by_part
        ]
        if rivals:
            raise InputError(
                f"{where}: {names[rivals[0]]!r} and {found!r} are both {name}; remove or rename one of them"
            )
        by_part[part] = i
    sources: dict[str, tuple[int, ...]] = {}
    for name in arkit.NAMES:
        halves = [by_part[name, half] for half in SIDES if (name, half) in by_part]
        if (name, "") in by_part:
            sources[name] = (by_part[name, ""],)
        elif len(halves) == len(SIDES):
            sources[name] = tuple(halves)
    used = {i for indices in sources.values() for i in indices}
    missing = [name for name in arkit.NAMES if name not in sources]
    return Found(sources, missing, [found for i, found in enumerate(names) if i not in used])


def table() -> list[str]:
    """The names as lines of a Markdown table, a row for each shape or pair of sides, for docs/rigs.md."""
    rows: dict[str, list[str]] = {}
    for name in arkit.NAMES:
        base, side = without_side(name)
        rows.setdefault(base if side else name, []).append(name)
    lines = ["| ARKit | found as |", "| --- | --- |"]
    for base, names in rows.items():
        words = (base, *ALTERNATES.get(base, ()))
        if without_side(names[0])[1]:
            found = [f"`{word}Left/Right`, `{word}_L/_R`" for word in words]
        else:
            found = [f"`{word}` or `{word}_L` + `_R`" for word in words]
        lines.append(f"| {', '.join(f'`{name}`' for name in names)} | {'; '.join(found)} |")
    return lines
