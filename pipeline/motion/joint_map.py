"""Joint maps: another skeleton's joint names brought onto the dataset's.

In: a table with the columns `theirs` (as in the BVH file, with or without its prefix) and `ours` (the
dataset's), and a motion. Out: the same motion under the dataset's names. Tables for common skeletons lie in
pipeline/motion/joint_maps: their rows count where a body has the joint, since fingers and toes are often left
out; every row of a table of one's own must be met.
"""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files import read_tsv
from pipeline.motion.joints import (
    RELEASE_JOINTS,
    SIDES,
    bare,
    joint_map_file,
    plain_name,
    shipped_joint_maps,
)
from pipeline.motion.motion import Motion

CARRYING = ("Hips", "Spine", *(f"{side}{part}" for side in SIDES for part in ("UpLeg", "Leg", "Foot")))
"""What a body must have for a shipped map to be its own."""


def _with_nearest(names: Sequence[str], known: Sequence[str]) -> str:
    """The names in one line, each with the known one that is spelt most like it."""
    by_lower = {name.lower(): name for name in known}
    nearest = [difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6) for name in names]
    return ", ".join(
        name + (f" (did you mean {by_lower[near[0]]}?)" if near else "") for name, near in zip(names, nearest)
    )


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def load_joint_map(path: Path, *, known: Sequence[str] = RELEASE_JOINTS) -> dict[str, str]:
    """Read a table of joint names: theirs -> ours.

    Every `ours` must be one of `known`; no name may stand twice in a column.
    """
    path = Path(path)
    if not path.exists() and not path.suffix:
        shipped = ", ".join(shipped_joint_maps())
        raise InputError(
            f"joint map {path}: no such file, and none that comes with the software; name one of {shipped},"
            " or a table"
        )
    columns, rows = read_tsv(path)
    if set(columns) != {"theirs", "ours"}:
        raise InputError(
            f"{path}: got the columns {', '.join(columns)}, need theirs and ours in the first line; name"
            " them so"
        )
    for number, row in enumerate(rows, 2):
        if not row["theirs"].strip() or not row["ours"].strip():
            raise InputError(
                f"{path}, line {number}: an empty cell, need a name on both sides; fill it in or remove"
                " the row"
            )
    theirs, ours = ([row[column].strip() for row in rows] for column in ("theirs", "ours"))
    if not rows:
        raise InputError(f"{path}: no rows, need at least one pair of names; add them")
    for column, names in (("theirs", theirs), ("ours", ours)):
        if twice := _twice(names):
            raise InputError(
                f"{path}: names stand twice under {column}: {', '.join(twice)}; keep one row for each"
            )
    unknown = [name for name in ours if name not in known]
    if unknown:
        raise InputError(
            f"{path}: the dataset has no joints {_with_nearest(unknown, known)}; correct the column ours"
        )
    return dict(zip(theirs, ours))


def _index_of(names: Sequence[str]) -> dict[str, int]:
    """Index of each joint by the names that a map may call it.

    Its own, without the file's prefix, and that without case and separators.
    """
    own = bare(list(names))
    plain = [plain_name(name) for name in own]
    found = {name: j for j, name in reversed(list(enumerate(plain))) if plain.count(name) == 1}
    return (
        found
        | {name: j for j, name in reversed(list(enumerate(own)))}
        | {name: j for j, name in enumerate(names)}
    )


def rename_joints(motion: Motion, mapping: dict[str, str], *, partly: bool = False) -> Motion:
    """The motion with the joints of `mapping` (theirs -> ours) under our names; other joints keep theirs.

    A name of theirs is looked for as it stands in the file, then without the file's prefix, then without case
    and separators. InputError lists what the body lacks, unless rows may count `partly`, and names that would
    stand twice.
    """
    index = _index_of(motion.names)
    index = {
        theirs: index[name]
        for theirs in mapping
        if (name := theirs if theirs in index else plain_name(theirs)) in index
    }
    missing = [
        name for name in mapping if name not in index and not (partly and mapping[name] not in CARRYING)
    ]
    if missing:
        near = _with_nearest(missing, bare(motion.names))
        hint = fitting_hint(motion.names)
        raise InputError(
            f"joint map: the body has no joints {near}; correct the column theirs or remove the"
            f" rows{hint and f', or {hint}'}"
        )
    names = list(motion.names)
    for theirs, j in index.items():
        names[j] = mapping[theirs]
    reached = list(index.values())
    if twice := sorted({motion.names[j] for j in reached if reached.count(j) > 1}):
        raise InputError(f"joint map: two rows mean the same joint: {', '.join(twice)}; keep one")
    if twice := _twice(names):
        raise InputError(
            f"joint map: after renaming, names would stand twice: {', '.join(twice)}; give the joints that"
            " already have them a row too"
        )
    return replace(motion, names=names)


def fitting_maps(names: Sequence[str]) -> list[str]:
    """Names of the shipped maps whose rows for hips, spine, legs and feet a body with these joints has.

    The one with most of its rows comes first.
    """
    index, found = _index_of(names), []
    for name in shipped_joint_maps():
        mapping = load_joint_map(joint_map_file(name))
        met = {
            ours: index[key]
            for theirs, ours in mapping.items()
            if (key := theirs if theirs in index else plain_name(theirs)) in index
        }
        if set(CARRYING) <= met.keys() and len(set(met.values())) == len(met):
            found.append((-len(met), name))
    return [name for _, name in sorted(found)]


def fitting_hint(names: Sequence[str]) -> str:
    """What to say to whoever has a body with these joints that lacks some of ours.

    The shipped map that would do, "" where none would.
    """
    fitting = fitting_maps(names)
    return f"set body.joint_map to {fitting[0]}, whose names these are" if fitting else ""


def better_map(names: Sequence[str], wanted: Sequence[str], num_missing: int) -> str:
    """A shipped map with which a body with these joints would lack fewer of ours, and how many, to be said.

    "" where there is none.
    """
    best = (num_missing, "")
    for name in fitting_maps(names):
        mapping, index = load_joint_map(joint_map_file(name)), _index_of(names)
        met = {ours for theirs, ours in mapping.items() if theirs in index or plain_name(theirs) in index}
        best = min(best, (sum(joint not in met and joint not in names for joint in wanted), name))
    return f"with body.joint_map {best[1]} it would lack {best[0]}" if best[1] else ""


def missing_joints(motion: Motion, wanted: Sequence[str]) -> list[str]:
    """Those of the wanted canonical names that the body has no joint for, in their order."""
    found = motion.aliases()
    return [name for name in wanted if name not in found]
