"""The takes of a shoot or of a dataset, and who acts in them.

In: a folder with takes.tsv, actors.tsv and lip_acc/lip_acc.tsv (pipeline.formats.tables), or a download with
files of streams and SQLite tables. Out: takes and performances of the lip-accurate set, and the names of
files by actor. Light: this module is imported while the Snakefile is read.
"""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files import one_line
from pipeline.formats import database
from pipeline.formats.database import plain_id
from pipeline.formats.dataset_file import FIX_DOWNLOAD, read_about
from pipeline.formats.tables import TAKE_COLUMNS, ActorRow, LipRow, TakeRow, read_rows
from pipeline.formats.unlisted import check_listed, unlisted
from pipeline.ids import NEED, is_id
from pipeline.listing import files_in
from pipeline.reading import read_text


@dataclass(frozen=True)
class Take:
    """One recorded scene. `actors` are in id order, as everywhere; `row` is its line of takes.tsv."""

    name: str
    date: str
    scenario: str
    actors: tuple[str, str]
    row: dict[str, str]

    @property
    def performances(self) -> tuple[str, str]:
        """Names of the two performances, `<date>_<actor>_<scenario>`, in actor order."""
        first, second = self.actors
        return f"{self.date}_{first}_{self.scenario}", f"{self.date}_{second}_{self.scenario}"


def in_order(one: str, other: str) -> tuple[str, str]:
    """Two actor ids in id order."""
    return (one, other) if one <= other else (other, one)


def performance_actor(name: str) -> str | None:
    """Actor id in a name `<date>_<actor>_<scenario>`, None for any other name."""
    return name.split("_")[1] if is_performance(name) else None


def is_performance(name: str) -> bool:
    """Whether a file of a dataset is named as a performance.

    `<date>_<actor>_<scenario>` with a day of the calendar and plain ids.
    """
    return is_id(name, "performance")


def actor_of(performance: str) -> str:
    """Actor id of a performance `<date>_<actor>_<scenario>`; InputError for any other name."""
    actor = performance_actor(performance)
    if actor is None:
        raise InputError(f"performance {performance!r}: need {NEED['performance']}; correct it")
    return actor


def file_names(paths: Sequence[Path]) -> list[str]:
    """What each of two people's files is called in names of files.

    As it is, with 1 and 2 behind it where both files have one name.
    """
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [f"{stem}-{k}" for k, stem in enumerate(stems, 1)]


def actor_names(paths: Sequence[Path]) -> list[str]:
    """What each of two people is called by their files.

    The actor where the file's name is a performance's, else the file's name.
    """
    actors = [performance_actor(path.stem) for path in paths]
    named = [actor for actor in actors if actor]
    return named if len(set(named)) == len(paths) else file_names(paths)


def in_pairs(files: Sequence[Path], takes: Sequence[str]) -> dict[str, tuple[Path, Path]]:
    """The two files of each take out of a list of them in the order of the takes.

    InputError where there are not two for each.
    """
    if len(files) != 2 * len(takes):
        found = ", ".join(path.name for path in files[:3])
        raise InputError(
            f"got {len(files)} files ({found}, ...) for {len(takes)} takes, need two of each take, in the"
            " order of --takes"
        )
    if len(set(takes)) < len(takes):
        raise InputError(
            f"take {next(take for take in takes if takes.count(take) > 1)} is named twice; name each take"
            " once"
        )
    return {take: (files[2 * i], files[2 * i + 1]) for i, take in enumerate(takes)}


def read_actors(path: Path) -> dict[str, str]:
    """Gender by actor id, from actors.tsv."""
    result: dict[str, str] = {}
    for where, row in read_rows(path, ActorRow):
        if row.actor in result:
            raise InputError(f"{where}: actor {row.actor} stands twice; remove one")
        result[row.actor] = row.gender
    return result


def listed_takes(path: Path, *, actors: dict[str, str] | None = None) -> dict[str, Take]:
    """Takes of all rows of takes.tsv by name, in name order, excluded ones too.

    Raises InputError that names file and row for a misspelt column, a cell that `TakeRow` does not allow, a
    take that stands twice, or an actor that actors.tsv lacks.
    """
    takes: dict[str, Take] = {}
    for where, row in read_rows(path, TakeRow):
        if row.take in takes:
            raise InputError(
                f"{where}: take {row.take} stands twice; remove one row or give it another scenario"
            )
        for column, actor in (("actor_a", row.actor_a), ("actor_b", row.actor_b)):
            if actors is not None and actor not in actors:
                raise InputError(
                    f"{where}: actor {actor} is not in actors.tsv (column {column}); add a row with the"
                    " actor's gender"
                )
        takes[row.take] = Take(
            row.take, row.date, row.scenario, in_order(row.actor_a, row.actor_b), row.model_dump()
        )
    return dict(sorted(takes.items()))


def read_takes(path: Path, *, actors: dict[str, str] | None = None) -> list[Take]:
    """Takes of takes.tsv that are not excluded, in name order.

    InputError as `listed_takes`, and where none is left.
    """
    takes = listed_takes(path, actors=actors)
    kept = [take for take in takes.values() if take.row["exclude"] != "yes"]
    if not kept:
        raise InputError(
            f"{path}: no take is left, {len(takes)} listed and excluded; clear an exclude cell or add a take"
        )
    return kept


def shoot_takes(folder: Path) -> list[Take]:
    """Takes of a shoot folder, from its takes.tsv and actors.tsv."""
    folder = Path(folder)
    return read_takes(folder / "takes.tsv", actors=read_actors(folder / "actors.tsv"))


def read_lip_acc(path: Path, *, actors: dict[str, str]) -> dict[str, LipRow]:
    """Rows of lip_acc.tsv that are not excluded by performance, in name order.

    Raises InputError that names file and row for a misspelt column, a cell that `LipRow` does not allow, a
    performance that stands twice, a scenario with a second sentence, or an actor that actors.tsv lacks.
    """
    found: dict[str, LipRow] = {}
    sentences: dict[str, str] = {}
    for where, row in read_rows(path, LipRow):
        if row.performance in found:
            raise InputError(
                f"{where}: performance {row.performance} stands twice; remove one row or give it another"
                " scenario"
            )
        if row.actor not in actors:
            raise InputError(
                f"{where}: actor {row.actor} is not in actors.tsv; add a row with the actor's gender"
            )
        if (other := sentences.setdefault(row.scenario, row.sentence)) != row.sentence:
            raise InputError(
                f"{where}: scenario {row.scenario} is {row.sentence!r} here and {other!r} above; use one"
                " sentence per scenario"
            )
        found[row.performance] = row
    kept = {name: found[name] for name in sorted(found) if found[name].exclude != "yes"}
    if not kept:
        raise InputError(
            f"{path}: no performance is left, {len(found)} listed and excluded; clear an exclude cell, add"
            " one, or remove the folder"
        )
    return kept


def listed_lips(folder: Path) -> set[str]:
    """Performances of all rows of a shoot's lip_acc.tsv, excluded ones too.

    Empty where it has no such table.
    """
    table = Path(folder, "lip_acc", "lip_acc.tsv")
    return {row.performance for _, row in read_rows(table, LipRow)} if table.exists() else set()


def shoot_lip_acc(folder: Path) -> dict[str, LipRow]:
    """The lip-accurate set of a shoot folder by performance, from its lip_acc/lip_acc.tsv.

    Empty where it has no folder lip_acc.
    """
    folder = Path(folder)
    if not (folder / "lip_acc").is_dir():
        return {}
    return read_lip_acc(folder / "lip_acc" / "lip_acc.tsv", actors=read_actors(folder / "actors.tsv"))


def download_lip_acc(folder: Path, *, exclude: Sequence[str] = ()) -> dict[str, LipRow]:
    """The lip-accurate set of a download by performance, in name order; empty without a folder.

    From its files and lip_acc_sentences.txt.

    InputError names a performance that lacks its face, its voice or its sentence.
    """
    root = Path(folder) / "lip_acc"
    if not root.is_dir():
        return {}
    faces, voices = (
        {path.stem for part in parts for path in files_in(root / part)}
        for parts in (("face_arkit", "face_ict"), ("wav",))
    )
    sentences = read_text(
        root / "lip_acc_sentences.txt", need="list of sentences, one a line", fix="download it again"
    ).split("\n")

    def lacks(name: str) -> str:
        if name not in faces:
            return "a face"
        if name not in voices:
            return "a voice"
        if not is_performance(name):
            return "a name like <date>_<actor>_<scenario>"
        number = name.rpartition("_")[2]
        there = number.isdigit() and 0 < int(number) <= len(sentences) and sentences[int(number) - 1].strip()
        return "" if there else "a sentence in lip_acc_sentences.txt"

    found = {}
    for name in sorted((faces | voices) - set(exclude)):
        if what := lacks(name):
            raise InputError(
                f"{root}: {name} lacks {what}; download it again, or add {name} to exclude in the config"
            )
        date, actor, number = name.split("_")
        sentence = sentences[int(number) - 1].strip()
        found[name] = LipRow.model_construct(
            date=date, actor=actor, scenario=str(int(number)), sentence=sentence, exclude="", reason=""
        )
    return found


def dataset_takes(folder: Path, *, exclude: Sequence[str] = ()) -> list[Take]:
    """Takes of a dataset folder: of its takes.tsv where it has one.

    Else of its BVH files and SQLite tables (the public release).

    `exclude` names takes to leave out, and files of streams (without their ending) that are of no take: a
    download is not changed.
    """
    folder = Path(folder)
    odd: list[str] = []
    if (folder / "takes.tsv").exists():
        kept = [take for take in read_takes(folder / "takes.tsv") if take.name not in exclude]
        known = sorted(_named(folder)) if exclude else []
    else:
        actors, odd = _listed(folder)
        known = [f"{date}_{scenario}" for date, scenario in actors] + odd
        kept = _paired(folder, {key: pair for key, pair in actors.items() if "_".join(key) not in exclude})
        if strange := [name for name in odd if name not in exclude]:
            path = next(
                path
                for path in files_in(folder / "bvhs")
                if path.stem == strange[0] and path.suffix.lower() == ".bvh"
            )
            raise InputError(
                f"{path}: name is not <date>_<actor>_<scenario>.bvh; rename or remove it, or add {strange[0]}"
                " to exclude in the config"
            )
    for name in exclude:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "remove it from the config"
            if name.isdigit():
                hint = "YAML reads a name without quotation marks as a number; write it in quotation marks"
            raise InputError(f"exclude: {name!r} is no take of {folder}; {hint}")
    if exclude and not kept:
        raise InputError(
            f"{folder}: no take is left, {len(known)} are there and excluded; take some off exclude in the"
            " config"
        )
    return kept


def download_takes(folder: Path, *, exclude: Sequence[str] = ()) -> list[Take]:
    """Takes of a download, as `dataset_takes`.

    InputError also where its takes.tsv lacks a row of streams that are there, or its dataset.json cannot be
    read.
    """
    about, table = Path(folder, "dataset.json"), Path(folder, "takes.tsv")
    if os.path.lexists(about):
        read_about(about, fix=FIX_DOWNLOAD)
    if table.exists():
        check_listed(folder, {take.name: take.performances for take in listed_takes(table).values()}, exclude)
    return dataset_takes(folder, exclude=exclude)


def _named(folder: Path) -> set[str]:
    """What `exclude` can name in a download with a takes.tsv: its takes, and what has no row."""
    listed = {take.name: take.performances for take in listed_takes(folder / "takes.tsv").values()}
    return {*listed, *unlisted(folder, listed)}


def lip_names(folder: Path) -> set[str]:
    """Names of files in a download's lip-accurate set, without their endings."""
    return {
        path.stem for part in files_in(Path(folder, "lip_acc")) if part.is_dir() for path in files_in(part)
    }


def as_named(folder: Path, exclude: Sequence[str]) -> list[str]:
    """`exclude` with the names that YAML has read as numbers as the download has them.

    20231119_051 without quotation marks is 20231119051.

    A number of which none or several are there stays, and is refused as any name that is no take.
    """
    if not any(name.isdigit() for name in exclude):
        return list(exclude)
    if (folder / "takes.tsv").exists():
        there = _named(folder)
    else:
        actors, odd = _listed(folder)
        there = {"_".join(key) for key in actors} | set(odd)
    there |= lip_names(folder)
    meant = {name: [known for known in sorted(there) if known.replace("_", "") == name] for name in exclude}
    return [meant[name][0] if name not in there and len(meant[name]) == 1 else name for name in exclude]


def _listed(folder: Path) -> tuple[dict[tuple[str, str], list[str]], list[str]]:
    """Actors by date and scenario of a download's bodies, and names of files that are no performance's."""
    if not (folder / "bvhs").is_dir():
        raise InputError(
            f"{folder}: no takes.tsv and no bvhs folder, need a dataset in the public release's layout; check"
            " the path"
        )
    actors: dict[tuple[str, str], list[str]] = {}
    odd = []
    for path in files_in(folder / "bvhs"):
        if path.suffix.lower() != ".bvh":
            continue
        if path.suffix == ".bvh" and is_performance(path.stem):
            date, actor, scenario = path.stem.split("_")
            actors.setdefault((date, scenario), []).append(actor)
        else:
            odd.append(path.stem)
    return dict(sorted(actors.items())), odd


def _paired(folder: Path, actors: dict[tuple[str, str], list[str]]) -> list[Take]:
    """Takes of a download by date and scenario, labelled by scenarios.db.

    InputError where a take has not two performances.
    """
    labels = database.labels(folder)
    takes: list[Take] = []
    scenarios: dict[tuple[str, str], str] = {}
    for (date, scenario), pair in actors.items():
        name = f"{date}_{scenario}"
        if len(pair) != 2:
            raise InputError(
                f"{folder / 'bvhs'}: take {name} has {len(pair)} performances ({', '.join(pair)}), need 2; "
                f"add or remove files, or add {name} to exclude in the config"
            )
        if (other := scenarios.setdefault((date, plain_id(scenario)), name)) != name:
            raise InputError(
                f"{folder / 'bvhs'}: takes {other} and {name} are of one scenario, {plain_id(scenario)}; add"
                " one of them to exclude"
            )
        relationship, emotion, setup, design = (
            one_line(cell) for cell in labels.get(plain_id(scenario), ("", "", "", ""))
        )
        values = [name, date, scenario, *pair, relationship, emotion, setup, design, "", "", ""]
        takes.append(Take(name, date, scenario, in_order(*pair), dict(zip(TAKE_COLUMNS, values))))
    return takes
