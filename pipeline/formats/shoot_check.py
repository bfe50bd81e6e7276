"""What of a shoot is checked before any job, beside the rows of its tables.

What is published as it stands, and one text per scene.

Light: this module is imported while the Snakefile is read.
"""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import InputError
from pipeline.formats.takes import Take
from pipeline.reading import inside, plain, read_text, reading

LICENCE, CONSENT = "LICENCE", "CONSENT.md"
MOST_PUBLISHED = 1 << 20
"""Bytes of a licence or of a text on consent."""


def read_published(path: Path) -> str:
    """A text of the shoot that is published as it is.

    InputError where it is a link out of its folder, or no text of a sane size.
    """
    inside(path.parent, path, what=f"{path}: this link")
    text = read_text(path, most=MOST_PUBLISHED).strip()
    if odd := next((mark for mark in text if ord(mark) < 32 and mark not in "\n\t\f"), None):
        raise InputError(
            f"{path}: not a readable text in UTF-8 (it has the control character {odd!r}); save it again as"
            " UTF-8 text"
        )
    return text


def read_licence(shoot: Path) -> str:
    """The shoot's licence, `unspecified` where it has no file of that name."""
    path = Path(shoot, LICENCE)
    return read_published(path) if path.exists() or path.is_symlink() else "unspecified"


def scenario_number(scenario: str) -> int | str:
    """The id that a scene has in scenarios.db: its number, or its name where it is none."""
    return int(scenario) if scenario.isdigit() else scenario


def check_scenarios(takes: Iterable[Take]) -> None:
    """InputError where takes of one scene have different labels or texts, or are of one day.

    002 and 0002 are one scene.
    """
    first: dict[int | str, Take] = {}
    of_day: dict[tuple[str, int | str], Take] = {}
    for take in takes:
        number = scenario_number(take.scenario)
        if (same := of_day.setdefault((take.date, number), take)) is not take:
            raise InputError(
                f"take {take.name}: its scenario is that of take {same.name}, {number}, on the same day; give"
                " one of them another id"
            )
        other = first.setdefault(number, take)
        for column in ("relationship", "emotion", "character_setup", "scenario_design"):
            if take.row[column] != other.row[column]:
                raise InputError(
                    f"take {take.name}: {column} of scenario {number} is {take.row[column]!r:.60}, in take"
                    f" {other.name} it is {other.row[column]!r:.60}; use one text per scenario id, or"
                    " another id"
                )


def check_rig(path: Path, before: str = "") -> None:
    """InputError, which begins with `before`, where a file is no .npz with the arrays of a rig.

    By the archive's list; no array is read.
    """
    fix = "set or copy an .npz as docs/rigs.md has it, which python -m pipeline.rigs import makes"
    try:
        plain(path)
        with reading(path, ".npz of a rig", fix=fix), zipfile.ZipFile(path) as archive:
            there = set(archive.namelist())
        if missing := [
            name for name in ("neutral", "names", "deltas", "faces") if f"{name}.npy" not in there
        ]:
            raise InputError(
                f"{path}: no array {', '.join(missing)}, need neutral, names, deltas, faces; {fix}"
            )
    except InputError as error:
        raise InputError(f"{before}{error}") from None


def check_shoot(shoot: Path, takes: Iterable[Take]) -> None:
    """InputError for what dataset and release would refuse after hours, so that a dry run says it."""
    check_scenarios(takes)
    read_licence(shoot)
    path = Path(shoot, CONSENT)
    if path.exists() or path.is_symlink():
        read_published(path)
