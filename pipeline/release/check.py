"""What is wrong with a folder in the public release's layout: a finding per fault, and notes that are none.

    python -m pipeline.release.check FOLDER

In: a download, or a release that this pipeline wrote. Out: a line per finding, and exit code 1 where there is
a fault. What a folder needs, by kind of fault, is the table in docs/release.md.
"""

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from pipeline import stage
from pipeline.config import ReleaseIn
from pipeline.errors import InputError
from pipeline.files import sha256
from pipeline.formats import ict
from pipeline.formats.database import plain_id
from pipeline.formats.dataset_file import FIX_DOWNLOAD, read_about
from pipeline.formats.obj import read_vertices
from pipeline.formats.takes import actor_of, is_performance, listed_takes
from pipeline.formats.unlisted import FOLDERS, unlisted
from pipeline.listing import leftovers
from pipeline.reading import read_text
from pipeline.release.check_streams import check_alike, check_lengths, check_performance, list_streams
from pipeline.release.check_tables import Tables, read_tables
from pipeline.release.finding import Check, Finding, quiet

NUM_TAKES, NUM_PERFORMANCES = 241, 482
"""What the whole public release has."""
SUMS = "SHA256SUMS"


def _take(
    check: Check, tables: Tables, key: tuple[str, str], actors: list[str], files: dict[str, dict[str, Path]]
) -> Iterator[Finding]:
    """Findings about a take: its pair, scenario, session and streams."""
    date, scenario = key
    names = [f"{date}_{actor}_{scenario}" for actor in actors]
    first = next(paths[names[0]] for paths in files.values() if names[0] in paths)
    if len(actors) != 2:
        yield check.fault(
            first,
            "pair",
            f"take {date}_{scenario}: got {len(actors)} performances ({', '.join(actors)}), need 2",
        )
    if tables.scenarios is not None and plain_id(scenario) not in tables.scenarios:
        yield check.fault(
            first, "scenario", f"take {date}_{scenario}: got scenario {scenario}, need one of scenarios.db"
        )
    if tables.genders is not None:
        for actor, name in zip(actors, names, strict=True):
            if plain_id(actor) not in tables.genders:
                path = next(paths[name] for paths in files.values() if name in paths)
                yield check.fault(path, "actor", f"got actor {actor}, need one of actors.db")
    if tables.sessions is not None:
        pairs = tables.sessions.get(date, [])
        if not pairs:
            yield check.fault(
                first,
                "session",
                f"take {date}_{scenario}: got date {date}, need a session of that date in actors.db",
            )
        elif len(actors) == 2 and {plain_id(actor) for actor in actors} not in [set(pair) for pair in pairs]:
            sessions = "; ".join(" and ".join(pair) for pair in pairs)
            yield check.fault(
                first,
                "session",
                f"take {date}_{scenario}: got actors {' and '.join(actors)}, need those of the session"
                f" ({sessions})",
            )
    lengths: dict[str, int] = {}
    for name in names:
        yield from check_performance(check, name, files, lengths)
    yield from check_lengths(check, first, f"take {date}_{scenario}", lengths)


def _heads(check: Check, actors: set[str]) -> Iterator[Finding]:
    """Findings about neutral heads, where there are any, of actors whose faces come in ICT weights."""
    folder = check.folder / "face_ict_templates"
    for actor in sorted(actors) if folder.is_dir() else []:
        path = folder / f"{actor}.obj"
        if not path.exists():
            yield check.fault(
                path, "missing", "got no such file, need the neutral head of each actor of face_ict"
            )
            continue
        try:
            vertices, _ = read_vertices(path)
        except InputError as error:
            yield check.refused(path, "unreadable", error)
            continue
        if len(vertices) != ict.NUM_VERTICES:
            yield check.fault(
                path, "width", f"got {len(vertices)} vertices, need the {ict.NUM_VERTICES} of the ICT kit"
            )


def _lip_acc(check: Check, tables: Tables, findings: list[Finding]) -> Iterator[Finding]:
    """Findings about the lip-accurate set, where there is one."""
    root = check.folder / "lip_acc"
    if not root.is_dir():
        return
    files = list_streams(check, root, ("face_arkit", "face_ict", "wav"), findings)
    sentences: list[str] = []
    path = root / "lip_acc_sentences.txt"
    try:
        sentences = read_text(path, need="list of sentences, one a line", fix="download it again").split("\n")
    except InputError as error:
        yield check.refused(path, "unreadable", error)
    for name in sorted({name for paths in files.values() for name in paths}):
        first = next(paths[name] for paths in files.values() if name in paths)
        _, actor, scenario = name.split("_")
        if tables.genders is not None and plain_id(actor) not in tables.genders:
            yield check.fault(first, "actor", f"got actor {actor}, need one of actors.db")
        number = int(scenario) if scenario.isdigit() else 0
        if sentences and not (0 < number <= len(sentences) and sentences[number - 1].strip()):
            yield check.fault(
                first,
                "sentence",
                f"got scenario {scenario}, need a line of lip_acc_sentences.txt that has a sentence",
            )
        lengths: dict[str, int] = {}
        yield from check_performance(check, name, files, lengths)
        yield from check_lengths(check, first, name, lengths)


def _sums(check: Check) -> Iterator[Finding]:
    """Faults of files that are not what SHA256SUMS says, where there is one."""
    path = check.folder / SUMS
    if not path.exists():
        return
    try:
        lines = read_text(path, need="list of checksums").rstrip("\n").split("\n")
    except InputError as error:
        yield check.refused(path, "checksum", error)
        return
    for number, line in enumerate(lines, 1):
        digest, _, name = line.partition("  ")
        file = check.folder / name
        if len(digest) != 64 or not name or not file.resolve().is_relative_to(check.folder.resolve()):
            yield check.fault(
                path,
                "checksum",
                f"line {number}: got {line[:80]!r}, need a SHA-256, two spaces and a file of the folder",
            )
        elif not file.is_file():
            yield check.fault(file, "checksum", f"got no such file, need it as {SUMS} has it")
        elif (got := sha256(file)) != digest:
            yield check.fault(file, "checksum", f"got SHA-256 {got[:12]}..., need {digest[:12]}... of {SUMS}")


def inspect(folder: Path, options: ReleaseIn) -> Iterator[Finding]:
    """Every fault of a folder in the release's layout, and notes; InputError where the folder is none."""
    folder = Path(folder)
    if not folder.is_dir() or not any((folder / name).is_dir() for name in FOLDERS):
        raise InputError(
            f"{folder}: got no {', '.join(FOLDERS)}, need a dataset in the public release's layout; check the"
            " path"
        )
    check, findings = Check(folder, options), list[Finding]()
    tables = read_tables(check, findings)
    files = list_streams(check, folder, list(FOLDERS), findings)
    takes = defaultdict(set)
    for name in {name for paths in files.values() for name in paths}:
        date, actor, scenario = name.split("_")
        takes[date, scenario].add(actor)
    yield from findings
    for key, actors in sorted(takes.items()):
        yield from _take(check, tables, key, sorted(actors), files)
    yield from _heads(check, {actor_of(name) for name in files["face_ict"]})
    late: list[Finding] = []
    yield from _lip_acc(check, tables, late)
    yield from late
    yield from check_alike(check)
    if (folder / "takes.tsv").exists():
        try:
            listed = listed_takes(folder / "takes.tsv")
            there = {f"{date}_{scenario}" for date, scenario in takes}
            for name in [
                name for name, take in listed.items() if name not in there and take.row["exclude"] != "yes"
            ]:
                yield check.fault(
                    folder / "takes.tsv", "takes", f"got take {name} in takes.tsv, need it in the folders too"
                )
            for name, paths in unlisted(
                folder, {name: take.performances for name, take in listed.items()}
            ).items():
                if is_performance(paths[0].stem):  # the others are faults of their names
                    what = f"take {name}" if name in there else f"performance {name}"
                    yield check.fault(
                        folder / "takes.tsv", "takes", f"got {what} in the folders, need it in takes.tsv too"
                    )
        except InputError as error:
            yield check.refused(folder / "takes.tsv", "takes", error)
    if os.path.lexists(about := folder / "dataset.json"):
        try:
            read_about(about, fix=FIX_DOWNLOAD)
        except InputError as error:
            yield check.refused(about, "unreadable", error)
    yield from _sums(check)
    folders = [folder, *(folder / part / name for part in (".", "lip_acc") for name in FOLDERS)]
    if left := list(leftovers(folders)):
        yield check.note(
            left[0],
            f"{len(left)} hidden files, and files that a system left, such as this one: nothing reads them",
        )
    performances = sum(len(actors) for actors in takes.values())
    if (len(takes), performances) != (NUM_TAKES, NUM_PERFORMANCES):
        text = (
            f"{performances} performances in {len(takes)} takes; the whole public release has"
            f" {NUM_PERFORMANCES} in {NUM_TAKES}"
        )
        yield Finding(".", "", text)


def run(*, folder: Path, options: ReleaseIn) -> None:
    """Print a line per finding and a last one that counts; exit with 1 where there are faults."""
    faults = Counter[str]()
    with quiet():
        for finding in inspect(folder, options):
            print(finding, flush=True)
            faults[finding.kind] += 1
    del faults[""]
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
    print(f"{folder}: {faults.total()} faults ({kinds})" if faults else f"{folder}: no faults")
    if faults:
        sys.exit(1)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=ReleaseIn)
    parser.add_argument("folder", type=Path, help="a download, or a release that this pipeline wrote")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
