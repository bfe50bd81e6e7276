"""What is wrong with a folder in the public release's layout: a finding per fault, and notes that are none.

Streams are read one at a time. What a folder needs, by kind of fault, is the table in docs/release.md.
"""

import contextlib
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.config import ReleaseIn
from pipeline.errors import InputError
from pipeline.files import sha256
from pipeline.formats import bvh, database, ict
from pipeline.formats.database import MAGIC, TABLES, plain_id
from pipeline.formats.dataset_file import FIX_DOWNLOAD, read_about
from pipeline.formats.obj import read_vertices
from pipeline.formats.takes import actor_of, is_performance, listed_takes
from pipeline.formats.unlisted import FOLDERS, unlisted
from pipeline.formats.voice_file import read_wav
from pipeline.listing import files_in, leftovers
from pipeline.motion import upright
from pipeline.motion.clock import AUDIO_RATE, FPS
from pipeline.motion.motion import Motion
from pipeline.reading import open_plain, read_text
from pipeline.release.streams import body_frames, cut_frames, decimation, read_face, wav_frames

NUM_TAKES, NUM_PERFORMANCES = 241, 482
"""What the whole public release has."""
MAX_FACE_RMS = 0.1
"""RMS difference of the two face formats above which they are not of one face, weights being 0 to 1."""
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Finding:
    """One thing about a file of the folder; `kind` is empty where it is no fault."""

    file: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.kind}: {self.text}" if self.kind else f"note: {self.file}: {self.text}"


@dataclass
class Check:
    """A folder under check, and what the whole of it is needed for: rates and joints that must be those of
    the others.
    """

    folder: Path
    options: ReleaseIn
    rates: dict[str, int] = field(default_factory=dict)
    joints: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def fault(self, path: Path, kind: str, text: str) -> Finding:
        """A fault of a file."""
        return Finding(str(path.relative_to(self.folder)), kind, text)

    def note(self, path: Path, text: str) -> Finding:
        """Something worth knowing about a file."""
        return Finding(str(path.relative_to(self.folder)), "", text)

    def refused(self, path: Path, kind: str, error: InputError) -> Finding:
        """A fault that a reader has told, less the path."""
        return self.fault(path, kind, str(error).removeprefix(str(path)).lstrip(":, "))


@dataclass(frozen=True)
class Tables:
    """Ids that the SQLite files know, without leading zeros; None where a table could not be read."""

    scenarios: set[str] | None
    genders: dict[str, str] | None
    sessions: dict[str, list[tuple[str, str]]] | None


def read_tables(check: Check, findings: list[Finding]) -> Tables:
    """What the SQLite files say; faults of theirs are added to `findings`."""
    rows: dict[str, list[tuple] | None] = {}
    for name, tables in TABLES.items():
        path = check.folder / name
        rows |= dict.fromkeys(tables)
        if not path.exists():
            findings.append(
                check.fault(path, "table", f"got no file, need a SQLite file of {', '.join(tables)}")
            )
            continue
        with open_plain(path) as f:
            if f.read(len(MAGIC)) != MAGIC:
                findings.append(check.fault(path, "table", "got no SQLite file, need one; download it again"))
                continue
        for table in tables:
            try:
                rows[table] = database.rows(check.folder, name, table)
            except InputError as error:
                findings.append(check.refused(path, "table", error))
    _labels(check, rows, findings)
    scenarios, actors, sessions = rows["scenarios"], rows["actors"], rows["sessions"]
    pairs = defaultdict(list)
    for date, male, female in sessions or []:
        pairs[str(date).replace("-", "")].append((plain_id(male), plain_id(female)))
    genders = None if actors is None else {plain_id(actor): str(gender) for actor, gender in actors}
    if genders is not None:
        _sessions(check, genders, pairs, findings)
    return Tables(
        None if scenarios is None else {plain_id(row[0]) for row in scenarios},
        genders,
        None if sessions is None else dict(pairs),
    )


def _labels(check: Check, rows: dict[str, list[tuple] | None], findings: list[Finding]) -> None:
    """Faults of scenarios whose relationship or emotion is in no table."""
    for column, table, what in (
        (1, "relationships", "relationship_id"),
        (2, "emotions", "primary_emotion_id"),
    ):
        scenarios, names = rows["scenarios"], rows[table]
        if scenarios is None or names is None:
            continue
        known = {row[0] for row in names}
        for row in scenarios:
            if row[column] is not None and row[column] not in known:
                findings.append(
                    check.fault(
                        check.folder / "scenarios.db",
                        "label",
                        f"scenario {row[0]}: got {what} {row[column]}, need an id of {table}",
                    )
                )


def _sessions(
    check: Check, genders: dict[str, str], sessions: dict[str, list[tuple[str, str]]], findings: list[Finding]
) -> None:
    """Faults of sessions whose actors are unknown, or stand in each other's column.

    A pair of one gender may stand either way.
    """
    path = check.folder / "actors.db"
    for date, pairs in sorted(sessions.items()):
        for male, female in pairs:
            if unknown := [actor for actor in (male, female) if actor not in genders]:
                findings.append(
                    check.fault(
                        path,
                        "actor",
                        f"session {date}: got actor {', '.join(unknown)}, need ids of the table actors",
                    )
                )
            elif (genders[male], genders[female]) == ("female", "male"):
                got = f"male_id {male} ({genders[male]}) and female_id {female} ({genders[female]})"
                findings.append(
                    check.fault(path, "gender", f"session {date}: got {got}, need each in its column")
                )


def list_streams(
    check: Check, root: Path, folders: Sequence[str], findings: list[Finding]
) -> dict[str, dict[str, Path]]:
    """Files by folder and performance; files whose name is none are faults."""
    found: dict[str, dict[str, Path]] = {}
    for folder in folders:
        found[folder] = {}
        for path in files_in(root / folder):
            if path.suffix != FOLDERS[folder] or not is_performance(path.stem):
                need = f"<date>_<actor>_<scenario>{FOLDERS[folder]}, date a day of the calendar as YYYYMMDD"
                findings.append(check.fault(path, "name", f"got {path.name!r}, need {need}"))
            else:
                found[folder][path.stem] = path
    return found


def read_body(check: Check, path: Path) -> Iterator[Finding | int]:
    """Findings about a body, and at last its frames at 30 fps where it can be read."""
    try:
        motion = bvh.load_bvh(path, unit="cm")
    except InputError as error:
        yield check.refused(path, "unreadable", error)
        return
    check.joints[str(path.relative_to(check.folder))] = tuple(motion.names)
    if above := motion.names[: motion.aliases().get("Hips", 0)]:
        yield check.note(
            path,
            f"joints above the hips ({', '.join(above)}) are left out, their movement goes into the hips",
        )
    unit, doubt = bvh.judge_unit(motion.names, motion.parents, motion.offsets_cm)
    if doubt:
        yield check.fault(path, "unit", f"got {doubt}, in any unit")
    elif unit != "cm":
        yield check.fault(path, "unit", f"got bones that are a human's in {unit}, need cm")
    yield from _world(check, path, motion)
    bad = ~(np.isfinite(motion.positions_cm).all((1, 2)) & np.isfinite(motion.rotations).all((1, 2)))
    if bad.any():
        yield check.fault(
            path, "nan", f"got NaN in {int(bad.sum())} frames, the first is {int(np.argmax(bad))}, need none"
        )
    if motion.claimed_frames != motion.num_frames:
        yield check.note(
            path,
            f"its header claims {motion.claimed_frames} frames, {motion.num_frames} whole rows follow and are"
            " taken",
        )
    if bvh.first_frame_is_reference(motion):
        yield check.note(
            path,
            "frame 0 is a reference pose, no part of the movement; it is kept, since all streams begin there",
        )
    try:
        step = decimation(check.options.body_fps or motion.fps, str(path))
    except InputError as error:
        yield check.refused(path, "rate", error)
        return
    if step > 1:
        yield check.note(path, f"{step * FPS} fps: every {step}th frame is read")
    yield body_frames(motion.num_frames, step)


def _world(check: Check, path: Path, motion: Motion) -> Iterator[Finding]:
    """Findings about the room in which a body stands: which way is up, and whether left is left."""
    up: str = check.options.up
    if up == "auto":
        try:
            found = upright.judge_up(motion)
        except InputError as error:
            yield check.note(path, str(error))
            return
        up = found.axis
        if found.doubt:
            yield check.note(
                path,
                f"it is not clear which axis is up: {found.doubt} It is taken for y; release_in.up"
                " settles it",
            )
        elif up != "y":
            yield check.fault(path, "up", f"got a body that stands along {up}, need y")
    if upright.is_mirrored(upright.turned(motion, up)):
        yield check.fault(path, "mirrored", "got toes that point backwards, need left and right as they are")


def read_faces(check: Check, paths: dict[str, Path]) -> Iterator[Finding | int]:
    """Findings about a performance's one or two face arrays, and at last their frames."""
    weights = {}
    for folder, path in paths.items():
        try:
            weights[folder] = read_face(path)
        except InputError as error:
            text = str(error)
            yield check.refused(
                path, "nan" if "NaN" in text else "width" if "shape" in text else "unreadable", error
            )
    if len(weights) == 2:
        one, other = weights["face_arkit"], ict.to_arkit(weights["face_ict"])
        path = paths["face_arkit"]
        if len(one) != len(other):
            yield check.fault(path, "faces", f"got {len(one)} frames, need {len(other)} as in face_ict")
        elif len(one) and (rms := float(np.sqrt(np.mean((one - other) ** 2)))) > MAX_FACE_RMS:
            yield check.fault(
                path,
                "faces",
                f"got weights that differ from those of face_ict by {rms:.2f} (RMS), need at most"
                f" {MAX_FACE_RMS}",
            )
    if weights:
        yield min(len(values) for values in weights.values())


def read_voice(check: Check, path: Path) -> Iterator[Finding | int]:
    """Findings about a voice, and at last its frames."""
    try:
        audio, rate = read_wav(path)
    except InputError as error:
        yield check.refused(
            path,
            "channels" if "channels" in str(error) else "nan" if "finite" in str(error) else "unreadable",
            error,
        )
        return
    check.rates[str(path.relative_to(check.folder))] = rate
    if rate < AUDIO_RATE:
        yield check.fault(path, "wav rate", f"got {rate} Hz, need at least {AUDIO_RATE}")
    yield wav_frames(len(audio), rate)


def _of_all(check: Check) -> Iterator[Finding]:
    """Faults of files that are not like the others."""
    for kind, values, what in (("joints", check.joints, "joints"), ("wav rate", check.rates, "Hz")):
        if not values:
            continue
        usual, _ = Counter(values.values()).most_common(1)[0]
        for file, value in values.items():
            if value == usual:
                continue
            got = f"{value} {what}, need {usual}"
            if isinstance(value, tuple) and isinstance(usual, tuple):
                missing, extra = (
                    [name for name in usual if name not in value],
                    [name for name in value if name not in usual],
                )
                odd = [f"without {', '.join(missing[:4])}"] if missing else []
                odd += [f"with {', '.join(extra[:4])}"] if extra else []
                got = (
                    f"{len(value)} joints {' and '.join(odd) or 'in another order'}, need the {len(usual)} of"
                    " the other files"
                )
            yield Finding(file, kind, f"got {got}")


def _performance(
    check: Check, name: str, files: dict[str, dict[str, Path]], lengths: dict[str, int]
) -> Iterator[Finding]:
    """Findings about a performance's streams; what can be read adds its frames to `lengths`."""
    here = {folder: paths[name] for folder, paths in files.items() if name in paths}
    faces = {folder: path for folder, path in here.items() if folder.startswith("face")}
    need = [folder for folder in ("bvhs", "wav") if folder in files]
    for folder in need:
        if folder not in here:
            yield check.fault(
                _path(check, files, folder, name),
                "missing",
                "got no such file, need one for each performance",
            )
    if not faces:
        yield check.fault(
            _path(check, files, "face_arkit", name),
            "missing",
            "got no such file and none in face_ict, need one of them",
        )
    elif len(faces) == 1 and all(files[folder] for folder in ("face_arkit", "face_ict")):
        lacking = "face_ict" if "face_arkit" in faces else "face_arkit"
        yield check.note(_path(check, files, lacking, name), f"no such file, {next(iter(faces))} has one")
    readers = [("body", read_body(check, here["bvhs"]))] if "bvhs" in here else []
    readers += [("face", read_faces(check, faces))] + (
        [("wav", read_voice(check, here["wav"]))] if "wav" in here else []
    )
    for stream, reader in readers:
        for item in reader:
            if isinstance(item, Finding):
                yield item
            else:
                lengths[f"{stream} of {name}"] = item


def _path(check: Check, files: dict[str, dict[str, Path]], folder: str, name: str) -> Path:
    """Where a file of a performance that is missing would be."""
    root = next((path.parent.parent for paths in files.values() for path in paths.values()), check.folder)
    return root / folder / f"{name}{FOLDERS[folder]}"


def _lengths(check: Check, where: Path, label: str, lengths: dict[str, int]) -> Iterator[Finding]:
    """A fault where streams that belong together differ too much, a note where they are trimmed."""
    if not lengths:
        return
    try:
        shortest = cut_frames(lengths, check.options.max_trim_seconds, label)
    except InputError as error:
        body, rest = (
            [n for key, n in lengths.items() if key.startswith("body") == is_body]
            for is_body in (True, False)
        )
        ratio = np.median(body) / max(np.median(rest), 1) if body and rest else 1.0
        hint = (
            f" (bodies last {ratio:.2f} times as long as the rest: is the rate in their headers wrong?)"
            if not 0.67 < ratio < 1.5
            else ""
        )
        yield check.fault(where, "length", f"{error}{hint}")
        return
    if trimmed := {name: frames - shortest for name, frames in lengths.items() if frames > shortest}:
        what = ", ".join(f"{name} by {frames}" for name, frames in trimmed.items())
        yield check.note(where, f"{label}: trimmed to {shortest} frames, {what}")


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
        yield from _performance(check, name, files, lengths)
    yield from _lengths(check, first, f"take {date}_{scenario}", lengths)


def _heads(check: Check, actors: set[str]) -> Iterator[Finding]:
    """Findings about the neutral heads of actors whose faces come in ICT weights, where there are any heads."""
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
        yield from _performance(check, name, files, lengths)
        yield from _lengths(check, first, name, lengths)


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
    yield from _of_all(check)
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


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Readers' warnings are told as findings, not twice."""
    log = logging.getLogger("interact")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
