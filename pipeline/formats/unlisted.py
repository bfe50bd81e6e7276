"""Recordings that no row of a table names, and those that a row needs and are not there.

The former would be left out in silence.

A download whose takes.tsv lacks a row is refused; a shoot, which may hold takes that are not ready, is warned
of. A folder is listed once and no file is opened. Light: this module is imported while the Snakefile is read.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pipeline.errors import InputError
from pipeline.formats.streams import OBJ_FOLDERS, find_face
from pipeline.ids import is_id
from pipeline.listing import files_in

FOLDERS = {"bvhs": ".bvh", "face_arkit": ".npy", "face_ict": ".npy", "wav": ".wav"}
"""Folders of a dataset that hold a file per performance, and how the files' names end."""
ENDINGS = {"body": (".bvh",), "voice": (".wav",), "face": (".mesh.h5", ".csv", ".npy", *OBJ_FOLDERS)}
"""How names of raw streams end behind that of the performance, by kind."""
RAW = tuple(ending for endings in ENDINGS.values() for ending in endings)
MISSING_SHOWN = 10
"""Missing raw files that are said one by one."""
SHOWN = 20
"""Names that a line of advice has at most."""


def take_of(performance: str) -> str:
    """Name of the take of a performance `<date>_<actor>_<scenario>`."""
    date, _, scenario = performance.split("_")
    return f"{date}_{scenario}"


def unlisted(folder: Path, listed: Mapping[str, Collection[str]]) -> dict[str, list[Path]]:
    """Streams of a dataset that no row names, by what leaves them out as `exclude` of the config.

    That is their take, and where the take has a row (of other actors), or the file is named as no
    performance, the file's name without its ending. `listed`: performances by take, of all rows.
    """
    known = {name for names in listed.values() for name in names}
    found: dict[str, list[Path]] = {}
    for part, ending in FOLDERS.items():
        for path in files_in(Path(folder, part)):
            if path.suffix.lower() == ending and path.stem not in known:
                take = take_of(path.stem) if is_id(path.stem, "performance") else ""
                found.setdefault(path.stem if take in listed or not take else take, []).append(path)
    return dict(sorted(found.items()))


def check_listed(folder: Path, listed: Mapping[str, Collection[str]], exclude: Sequence[str]) -> None:
    """InputError where a download has streams that neither takes.tsv nor `exclude` names."""
    odd = {name: paths for name, paths in unlisted(folder, listed).items() if name not in exclude}
    if not odd:
        return
    first, paths = next(iter(odd.items()))
    more = f" (and files of {len(odd) - 1} more names)" if len(odd) > 1 else ""
    names = ", ".join(json.dumps(name, ensure_ascii=False) for name in [*exclude, *odd])
    leave = (
        f"set exclude: [{names}] in the config, quotation marks too, to leave them out"
        if len(odd) <= SHOWN
        else "get the whole table again"
    )
    raise InputError(
        f"{Path(folder, 'takes.tsv')}: no row names {first}, of which there are files ({len(paths)}, such as"
        f" {paths[0].relative_to(folder)}){more}; restore the rows, or {leave}; to see all: python -m"
        f" pipeline.release.check {folder}"
    )


def unlisted_raw(shoot: Path, listed: Mapping[str, Collection[str]], lips: Collection[str]) -> list[str]:
    """A line per folder of a shoot in which raw streams lie that no row names.

    Folders that are named as takes, or hold bodies, have a row; streams that are named as performances are
    those of their row. `listed`: performances by take, of all rows of takes.tsv; `lips`: those of
    lip_acc.tsv.
    """
    lines = []
    for folder in files_in(Path(shoot)):
        if folder.name == "rigs" or not folder.is_dir():
            continue
        table, rows = (
            ("lip_acc/lip_acc.tsv", lips)
            if folder.name == "lip_acc"
            else ("takes.tsv", listed.get(folder.name, ()))
        )
        streams = [path.name for path in files_in(folder) if path.name.lower().endswith(RAW)]
        names = {name.partition(".")[0].removesuffix("_obj") for name in streams}
        odd = sorted(name for name in names if is_id(name, "performance") and name not in rows)
        if folder.name not in listed and folder.name != "lip_acc":
            bodies = [name for name in streams if name.lower().endswith(".bvh")]
            odd = odd or bodies or ([folder.name] if is_id(folder.name, "take") else [])
        if odd:
            more = f" and {len(odd) - 1} more" if odd[1:] else ""
            hint = (
                "correct the row's actors"
                if folder.name in listed
                else "add a row, with yes under exclude where it is not ready"
            )
            lines.append(
                f"{folder}: no row of {table} names {odd[0]}{more}, so it is not read; {hint}, or move the"
                " files out of the shoot"
            )
    return lines


def missing_raw(shoot: Path, takes: Mapping[str, Sequence[str]]) -> list[str]:
    """A line per raw stream of a shoot that a row needs and that is not there.

    It tells files beside it that may be meant.

    `takes`: performances by take, of the rows that are not excluded. From MISSING_SHOWN on they are counted.
    A folder is listed only where it lacks a stream.
    """
    lines = []
    for take, performances in takes.items():
        folder = Path(shoot, take)
        for name in performances:
            there = {
                "body": (folder / f"{name}.bvh").is_file(),
                "voice": (folder / f"{name}.wav").is_file(),
                "face": find_face(folder / name),
            }
            for kind in (kind for kind, found in there.items() if not found):
                odd = _meant(folder, name, performances, ENDINGS[kind])
                way = f"rename {' or '.join(odd[:3])} if it is meant" if odd else "add it"
                need = f"{name} with {' or '.join(ENDINGS[kind])}"
                lines.append(
                    f"{folder}: no {kind} of {name}, need {need}; {way}, or write yes under exclude in"
                    " takes.tsv"
                )
        if not (folder / "timecode.json").is_file():
            lines.append(f"{folder}: no timecode.json; add it, or write yes under exclude in takes.tsv")
    return (
        lines
        if len(lines) <= MISSING_SHOWN
        else [*lines[:MISSING_SHOWN], f"{shoot}: {len(lines) - MISSING_SHOWN} more raw files are missing"]
    )


def _meant(folder: Path, name: str, performances: Sequence[str], endings: tuple[str, ...]) -> list[str]:
    """Files that may be meant by a missing one.

    Of no performance of the row, or of this one with an ending in another case.
    """
    found = [path.name for path in files_in(folder) if path.name.lower().endswith(endings)]
    return [other for other in found if (stem := other.partition(".")[0]) == name or stem not in performances]
