"""Whose folders these are: the pipeline writes and removes only where a mark of its own says that it may.

Every folder under root that the pipeline makes holds a mark, `.interact.json`, which tells the place at which
it was made, so that a copy of it elsewhere is no proof; that of a release, which is published, lies beside
it. Before anything is planned, each such folder must be marked, empty or not there yet; links are followed. A
root that was made before there were marks is adopted where its own records say so: the logs of our rules, for
streams of a dataset the reports of the stages that wrote them, for a simulated shoot its truth.

Light: this module is imported while the Snakefile is read.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.files import read_tsv, write_json
from pipeline.reading import read_json

log = logging.getLogger("interact")
MARK = ".interact.json"
MADE_BY = "interact-pipeline"
FOLDERS = (
    "shoot",
    "truth",
    "dataset",
    "annotations",
    "features",
    "shards",
    "lip_shards",
    "runs",
    "results",
    "release",
    "logs",
    "timings",
)
"""Folders under root that the pipeline makes."""
STREAMS: dict[str, tuple[str, ...]] = {
    "bvhs": ("body", "release_in"),
    "face_arkit": ("fit", "release_in"),
    "wav": ("separation", "release_in"),
    "face_ict": ("fit", "release_in"),
}
"""Folders of streams in a dataset, and of annotations whose reports name what was written there."""
RULE_LOGS = (
    "simulate_cast.log",
    "split.log",
    "shard_plan.log",
    "shards_plan.log",
    "sync",
    "actions",
    "release_in",
    "ingest",
    "body",
    "simulate_take",
)
"""Logs of rules that run early in every study, by the names that they have and had.

Where one is, the pipeline has run in this root.
"""


@dataclass(frozen=True)
class Claim:
    """What a study is about to write.

    Its root, the folders below it, what it reads from, and the takes that it knows.

    inputs: folders and files of the user by the key of the config that names them; source: where the dataset
    comes from, the shoot, the download, or `simulated`; performances: those of all takes and of the
    lip-accurate set; takes: their names.
    """

    root: Path
    folders: tuple[str, ...]
    inputs: dict[str, Path]
    source: str
    takes: frozenset[str] = frozenset()
    performances: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)


def mark_of(folder: Path, *, beside: bool = False) -> Path:
    """Path of the mark of a folder: in it, or beside it."""
    folder = Path(folder)
    return folder.with_name(f".{folder.name}{MARK}") if beside else folder / MARK


def _place(folder: Path) -> str:
    """The place of a folder as a mark tells it: no path of a machine is published with a dataset."""
    return hashlib.sha256(str(Path(folder).resolve()).encode()).hexdigest()[:32]


def read_mark(folder: Path, *, beside: bool = False) -> dict[str, Any] | None:
    """The mark of a folder that was made where it lies.

    None where there is none, or one that came with a copy.
    """
    path = mark_of(folder, beside=beside)
    if not path.is_file():
        return None
    mark = read_json(path, kind=dict, fix="remove it")
    return mark if mark.get("made_by") == MADE_BY and mark.get("place") == _place(folder) else None


def write_mark(folder: Path, *, beside: bool = False, **fields: Any) -> None:
    """Mark a folder as the pipeline's, with `fields` beside what the mark already says."""
    before = read_mark(folder, beside=beside)
    mark = (before or {}) | {"made_by": MADE_BY, "place": _place(folder)} | fields
    if mark != before:
        write_json(mark_of(folder, beside=beside), mark)


def read_record(root: Path) -> dict[str, Any]:
    """What a root remembers of itself.

    `source` of its dataset, and `simulated`, the takes that were simulated in it.

    Empty where it remembers nothing, or was copied here.
    """
    path = Path(root, ".interact", "root.json")
    record = read_json(path, kind=dict, fix="remove it") if path.is_file() else {}
    return record if record.get("place") == _place(root) else {}


def first_file(folder: Path) -> Path | None:
    """Any file or folder in a folder, the first by name, but for the mark.

    None where it is empty or not there.
    """
    try:
        return min((path for path in folder.iterdir() if path.name != MARK), default=None)
    except (FileNotFoundError, NotADirectoryError):
        return None


def made_before(root: Path) -> bool:
    """Whether logs of our rules say that the pipeline has run in this root."""
    return any((root / "logs" / name).exists() for name in RULE_LOGS)


def recorded(annotations: Path, kinds: Iterable[str]) -> set[str]:
    """Performances that reports of stages name as written, from the reports' file names."""
    return {path.stem for kind in kinds for path in (annotations / kind).glob("*.json")}


def streams_of(dataset: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Streams in a dataset, and the kinds of reports that would name each."""
    for name, kinds in STREAMS.items():
        for path in sorted((dataset / name).glob("*")):
            if not path.name.startswith("."):
                yield path, kinds


def strangers(dataset: Path, annotations: Path, known: Iterable[str]) -> list[Path]:
    """Streams in a dataset of performances that are not `known` and that no report speaks of.

    A report would say that they were written here.
    """
    names = {kinds: set(known) | recorded(annotations, kinds) for kinds in STREAMS.values()}
    return [path for path, kinds in streams_of(dataset) if path.stem not in names[kinds]]


def remove_recorded(dataset: Path, annotations: Path, keep: Iterable[str], *, table: str) -> None:
    """Remove streams of performances that are not to be kept.

    Of takes that were excluded after a part of them was captured.

    Each must be named by a report of the stage that wrote it; InputError where one is not, and then none is
    removed.
    """
    keep = set(keep)
    if odd := strangers(dataset, annotations, keep):
        raise InputError(
            f"{odd[0]}: its performance is not in {table}, and no report in {annotations} says that the"
            f" pipeline wrote it ({len(odd)} such files); move it away"
        )
    for path, _ in streams_of(dataset):
        if path.stem not in keep:
            log.warning("%s: not in %s, removed", path, table)
            path.unlink()


def need_own(folder: Path, tables: Iterable[str]) -> None:
    """InputError where a folder to be written has such tables already and no mark.

    A mark would say that they are the pipeline's.
    """
    if read_mark(folder) is None and (found := [name for name in tables if Path(folder, name).exists()]):
        raise InputError(
            f"{folder}: has a {found[0]}, and no mark ({MARK}) says that this pipeline wrote it; give another"
            " folder as --out"
        )


def need_proof(folder: Path, targets: Iterable[Path], proofs: Iterable[str]) -> None:
    """InputError where one of the `targets` of a command is there without the files that prove its hand.

    Those lie in the folder.
    """
    if any(os.path.lexists(folder / name) for name in proofs):
        return
    found = next((path for path in targets if os.path.lexists(path)), None)
    if found:
        raise InputError(
            f"{found}: is there, and nothing in {folder} says that this command wrote it; give another folder"
            " as --out"
        )


def take_folder(folder: Path, writes: str, targets: Iterable[Path]) -> None:
    """Mark a folder as one into which a command `writes`, before it does.

    InputError where one of its `targets` is there without that mark.
    """
    known = (read_mark(folder) or {}).get("writes", [])
    need_proof(folder, targets, [MARK] if writes in known else [])
    folder.mkdir(parents=True, exist_ok=True)
    write_mark(folder, writes=sorted({*known, writes}))


def _linked_folders(folder: Path, levels: int = 2) -> Iterator[Path]:
    """Folders below a folder that are links."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_symlink() and entry.is_dir():
            yield Path(entry.path)
        elif levels > 1 and entry.is_dir(follow_symlinks=False):
            yield from _linked_folders(Path(entry.path), levels - 1)


def _overlap(one: Path, other: Path) -> bool:
    return one == other or one.is_relative_to(other) or other.is_relative_to(one)


def _check_apart(claim: Claim) -> None:
    """InputError where what would be written lies in what is read, or the other way round.

    Links are followed.
    """
    root = claim.root.resolve()
    for key, path in claim.inputs.items():
        source = path.resolve()
        if root == source or root.is_relative_to(source):
            raise InputError(
                f"config: root {claim.root} lies in {key} {path}, in which nothing is written; set another"
                " root"
            )
        for name in claim.folders:
            if _overlap((claim.root / name).resolve(), source):
                raise InputError(
                    f"config: {key} {path} and {claim.root / name}, where the pipeline writes, are one; set"
                    " another root"
                )
    for name, what in (
        ("takes.tsv", "a shoot or a dataset"),
        ("bvhs", "a dataset"),
        ("dataset.json", "a dataset"),
    ):
        if (claim.root / name).exists():
            raise InputError(
                f"config: root {claim.root} is itself {what} ({name} is in it); set another root"
            )


def _refuse(folder: Path, found: Path, name: str) -> InputError:
    hint = {
        "shoot": f"; is it your shoot? Then set shoot={folder}",
        "dataset": f"; is it a download? Then set dataset={folder} and another root",
    }
    return InputError(
        f"config: {folder} holds {found.name}, which this pipeline has not written, and it would write and"
        f" remove there; set another root{hint.get(name, '')}"
    )


def _check_folder(claim: Claim, name: str) -> None:
    """InputError where a folder under root is somebody else's."""
    folder = claim.root / name
    mark, found = read_mark(folder, beside=name == "release"), first_file(folder)
    if mark is None and found is not None:
        if not made_before(claim.root):
            raise _refuse(folder, found, name)
        claim.notes.append(
            f"{folder}: has no mark and was made here before, as {claim.root / 'logs'} says; it is taken as"
            " the pipeline's"
        )
    if name == "dataset":
        _check_dataset(claim, folder)
    if name == "shoot":
        _check_simulated(claim, folder, marked=mark is not None)
    for link in _linked_folders(folder):
        _check_link(claim, link, adopts=mark is None)


def _check_link(claim: Claim, link: Path, *, adopts: bool) -> None:
    """InputError where a link below one of the folders leads to a folder that is not the pipeline's."""
    target = link.resolve()
    if any(_overlap(target, path.resolve()) for path in claim.inputs.values()):
        raise InputError(
            f"config: {link} leads into {target}, which is read and never written; remove the link or set"
            " another root"
        )
    found = first_file(target)
    if found is None or read_mark(target) is not None:
        return
    written = recorded(claim.root / "annotations", STREAMS.get(link.name, ()))
    if not adopts or (link.name in STREAMS and any(path.stem not in written for path in target.iterdir())):
        raise _refuse(link, found, "")
    claim.notes.append(
        f"{link}: leads to {target}, which has no mark and was made here before; it is taken as the"
        " pipeline's"
    )


def _check_dataset(claim: Claim, folder: Path) -> None:
    """InputError where the dataset was made from something else.

    Or where it holds streams that the pipeline did not write.
    """
    source = str(read_record(claim.root).get("source", claim.source))
    moved = "simulated" not in (source, claim.source) and not Path(source).exists()
    if source != claim.source and not moved:
        raise InputError(
            f"config: {folder} was made from {source}, the config says {claim.source}; set another root"
        )
    if odd := strangers(folder, claim.root / "annotations", claim.performances):
        raise InputError(
            f"config: {odd[0]} is of no take of the config, and no report says that the pipeline wrote it "
            f"({len(odd)} such files); move it away, or set another root"
        )


def _check_simulated(claim: Claim, folder: Path, *, marked: bool) -> None:
    """InputError where the place of the simulated shoot holds another one."""
    there = {path.parent.name for path in folder.glob("*/timecode.json")}
    if (folder / "takes.tsv").exists():
        there |= {row.get("take", "") for row in read_tsv(folder / "takes.tsv")[1]}
    ours = claim.takes | set(read_record(claim.root).get("simulated", ())) if marked else set()
    for name in sorted(there - ours):
        if not (claim.root / "truth" / name / "truth.json").exists():
            raise InputError(
                f"config: take {name!r} in {folder} is not simulated, and the simulated shoot would be"
                f" written there; set shoot={folder}"
            )


def check(claim: Claim) -> None:
    """InputError where the study would write or remove in what is not the pipeline's.

    `notes` say what was adopted.
    """
    _check_apart(claim)
    for name in claim.folders:
        _check_folder(claim, name)


def mark_folders(claim: Claim) -> None:
    """Mark the folders of a study that `check` has let pass.

    They are made, but for `release`, which its stage marks.
    """
    for name in claim.folders:
        folder = claim.root / name
        if name == "release":
            continue
        folder.mkdir(parents=True, exist_ok=True)
        write_mark(folder)
        for link in _linked_folders(folder):
            write_mark(link)
    record = read_record(claim.root)
    new = record | {"place": _place(claim.root), "source": claim.source}
    if "shoot" in claim.folders:
        new["simulated"] = sorted(claim.takes | set(record.get("simulated", ())))
    if new != record:
        write_json(claim.root / ".interact" / "root.json", new)
    if claim.notes:
        note(claim.root, claim.notes)
        claim.notes.clear()


def note(root: Path, lines: Iterable[str]) -> None:
    """Add lines to the root's history, `.interact/history.log`: what was adopted, and when."""
    folder = Path(root, ".interact")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "history.log", "a", encoding="utf-8") as f:
        f.writelines(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n" for line in lines)
