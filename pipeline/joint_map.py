"""Joint maps: another skeleton's joint names brought onto the dataset's.

In: a table with the columns `theirs` (as in the BVH file, with or without its prefix) and `ours` (the dataset's), and a
motion. Out: the same motion under the dataset's names. Tables for common skeletons lie in pipeline/joint_maps.
"""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.bvh import Motion
from pipeline.errors import InputError
from pipeline.files import read_tsv
from pipeline.joints import RELEASE_JOINTS, bare

READY = Path(__file__).parent / "joint_maps"
"""Folder of the maps that come with the software."""


def joint_map_file(name: str) -> Path:
    """The file that `name` means: a map that comes with the software (`mixamo`), else a path."""
    ready = READY / f"{name}.tsv"
    return ready if ready.exists() else Path(name)


def _with_nearest(names: Sequence[str], known: Sequence[str]) -> str:
    """The names in one line, each with the known one that is spelt most like it."""
    by_lower = {name.lower(): name for name in known}
    nearest = [difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6) for name in names]
    return ", ".join(name + (f" (did you mean {by_lower[near[0]]}?)" if near else "") for name, near in zip(names, nearest))


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def load_joint_map(path: Path, *, known: Sequence[str] = RELEASE_JOINTS) -> dict[str, str]:
    """Read a table of joint names: theirs -> ours. Every `ours` must be one of `known`; no name may stand twice in a column."""
    path = Path(path)
    columns, rows = read_tsv(path)
    if set(columns) != {"theirs", "ours"}:
        raise InputError(f"{path}: got the columns {', '.join(columns)}, need theirs and ours in the first line; name them so")
    for number, row in enumerate(rows, 2):
        if not row["theirs"].strip() or not row["ours"].strip():
            raise InputError(f"{path}, line {number}: an empty cell, need a name on both sides; fill it in or remove the row")
    theirs, ours = ([row[column].strip() for row in rows] for column in ("theirs", "ours"))
    if not rows:
        raise InputError(f"{path}: no rows, need at least one pair of names; add them")
    for column, names in (("theirs", theirs), ("ours", ours)):
        if twice := _twice(names):
            raise InputError(f"{path}: names stand twice under {column}: {', '.join(twice)}; keep one row for each")
    unknown = [name for name in ours if name not in known]
    if unknown:
        raise InputError(f"{path}: the dataset has no joints {_with_nearest(unknown, known)}; correct the column ours")
    return dict(zip(theirs, ours))


def rename_joints(motion: Motion, mapping: dict[str, str]) -> Motion:
    """The motion with the joints of `mapping` (theirs -> ours) under our names; other joints keep theirs.

    A name of theirs is looked for as it stands in the file, then without the file's prefix. InputError lists what the
    body lacks, and names that would stand twice.
    """
    index = {name: j for j, name in reversed(list(enumerate(bare(motion.names))))} | {name: j for j, name in enumerate(motion.names)}
    missing = [name for name in mapping if name not in index]
    if missing:
        raise InputError(f"joint map: the body has no joints {_with_nearest(missing, list(index))}; correct the column theirs or remove the rows")
    names = list(motion.names)
    for theirs, ours in mapping.items():
        names[index[theirs]] = ours
    reached = [index[theirs] for theirs in mapping]
    if twice := sorted({motion.names[j] for j in reached if reached.count(j) > 1}):
        raise InputError(f"joint map: two rows mean the same joint: {', '.join(twice)}; keep one")
    if twice := _twice(names):
        raise InputError(f"joint map: after renaming, names would stand twice: {', '.join(twice)}; give the joints that already have them a row too")
    return replace(motion, names=names)


def missing_joints(motion: Motion, wanted: Sequence[str]) -> list[str]:
    """Those of the wanted canonical names that the body has no joint for, in their order."""
    found = motion.aliases()
    return [name for name in wanted if name not in found]
