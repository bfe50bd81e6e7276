"""A release of a dataset: a folder in the public release's layout, with its card and checksums.

    python -m pipeline.release.write --dataset D --split split.tsv --out DIR

In: a dataset and the split of its takes. Out: the dataset's files (hard links where the file system has them,
else copies), takes.tsv with the split of each take, README.md (the card) and SHA256SUMS. It is checked before
the checksums are written.
"""

import logging
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline import ownership, stage
from pipeline.config import ReleaseIn
from pipeline.errors import InputError
from pipeline.files import give_name, sha256, whole, write_tsv
from pipeline.formats import database
from pipeline.formats.dataset_file import read_about
from pipeline.formats.shoot_check import read_published
from pipeline.formats.split_file import read_split
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.formats.takes import Take, dataset_takes
from pipeline.listing import files_below, files_in
from pipeline.reading import inside
from pipeline.release.check import SUMS, inspect
from pipeline.release.finding import quiet

log = logging.getLogger("interact")
CARD = "README.md"
PARTS = ("bvhs", "face_arkit", "face_ict", "face_ict_templates", "wav", "lip_acc", "rigs")
"""Folders of a dataset that a release has, those that are there."""
TABLES = ("scenarios.db", "actors.db", "dataset.json")


def place(source: Path, target: Path) -> None:
    """Give a file a second name, or a copy where the file system has no hard links; whole or not at all."""
    try:
        give_name(target, lambda path: os.link(source.resolve(), path))
    except OSError:
        with whole(target) as temporary:
            shutil.copyfile(source, temporary)


def files_of(dataset: Path) -> list[Path]:
    """Files of a dataset that go into its release as they are, relative to it.

    InputError for one that is a link to elsewhere.
    """
    found = [path.relative_to(dataset) for path in files_of_parts(dataset)]
    for path in [*found, *map(Path, TABLES)]:
        inside((dataset / path).parent, dataset / path, what=f"{dataset / path}: this link")
    return sorted([*found, *map(Path, TABLES)])


def with_split(takes: list[Take], split: Path) -> list[dict[str, str]]:
    """Rows of takes.tsv with the split of each take; InputError where the split lacks one."""
    known = read_split(split)
    if missing := [take.name for take in takes if take.name not in known]:
        raise InputError(
            f"{split}: no train or test for take {missing[0]}, need one for each take; run the stage split"
            " again"
        )
    return [take.row | {"split": known[take.name]} for take in takes]


def clear(out: Path, names: list[Path]) -> None:
    """Make a folder ready for a release of the files `names`.

    What an earlier release put there besides is removed.

    The mark beside the folder lists what is put there, before it is, so that a killed writer's files are
    known. InputError for a folder that holds anything else, and then nothing is removed.
    """
    mark = ownership.read_mark(out, beside=True)
    if mark is None and (found := ownership.first_file(out)):
        raise InputError(
            f"{out}: holds {found.name}, and no mark beside it says that this pipeline wrote it; move it"
            " away, or give another folder as --out"
        )
    written = set((mark or {}).get("files", ()))
    old = [path for path in files_of_parts(out) if path.relative_to(out) not in names]
    if odd := [path for path in old if str(path.relative_to(out)) not in written]:
        raise InputError(
            f"{odd[0]}: is not in the dataset, and no release put it there ({len(odd)} such files); move it"
            " away"
        )
    for path in old:
        log.warning("%s: not in the dataset, removed", path)
        path.unlink()
    ownership.write_mark(out, beside=True, files=sorted(map(str, names)))


def files_of_parts(folder: Path) -> list[Path]:
    """Files in the folders that a release has."""
    return sorted(path for part in PARTS for path in files_below(folder / part))


def _subjects(folder: Path) -> dict[str, str]:
    return {
        database.text(actor): database.text(gender)
        for actor, gender in sorted(database.rows(folder, "actors.db", "actors"))
    }


def card(
    about: dict[str, Any], rows: list[dict[str, str]], genders: dict[str, str], consent: str, lips: int
) -> str:
    """The dataset card, Markdown.

    about: dataset.json; rows: those of takes.tsv; genders by actor; consent: text or ""; lips: performances
    of the lip-accurate set.
    """
    minutes = sum(value["frames"] for value in about["takes"].values()) / about["fps"] / 60
    count = Counter(genders.values())
    splits = Counter(row["split"] for row in rows)
    subjects = ", ".join(
        f"{number} {gender or 'of unstated gender'}" for gender, number in sorted(count.items())
    )
    labels = {name: len({row[name] for row in rows} - {""}) for name in ("relationship", "emotion")}
    audio = about["units"]["audio_rate"]
    ict_line = (
        ["| `face_ict/`, `face_ict_templates/` | ICT weights, float32 (N, 55), and neutral heads |"]
        if about["ict_names"]
        else []
    )
    lip_line = (
        [f"| `lip_acc/` | the lip-accurate set: {lips} sentences read by one actor each |"] if lips else []
    )
    limits = [
        (
            "Motion, faces and voices were captured apart and brought to one clock; `dataset.json` says when"
            " each take begins."
        ),
        (
            "Faces are blendshape weights, fitted to meshes, which may leave 0 to 1, or recorded by the phone"
            " itself. Tongues are not captured."
        ),
        "Voices come from close microphones; some of the other actor's voice may remain.",
        "Actors play scenes: their behaviour is not that of people who are not watched.",
        (
            f"{len(genders)} subjects are no sample of any population; train and test share them, so a"
            " model's score says nothing about strangers."
        ),
    ]
    lines = [
        "# Dataset card", "",
        f"Two people act scenes: {len(rows)} takes, {2 * len(rows)} performances,"
        f" {minutes:.1f} minutes of two actors each.", "",
        "| what | value |", "| --- | --- |",
        f"| subjects | {len(genders)}: {subjects} |",
        f"| takes | {len(rows)}: {splits['train']} train, {splits['test']} test;"
        " by take, actors are in both by design |",
        f"| relationships, emotions | {labels['relationship']}, {labels['emotion']} |",
        f"| rates | bodies and faces {about['fps']} fps, voices {audio} Hz |",
        f"| joints | {len(about['joint_names'])}, cm, degrees |",
        f"| face | {len(about['arkit_names'])} ARKit weights |",
        f"| format | {about['format_version']} |", "",
        "## Files", "", "| path | what |", "| --- | --- |",
        "| `bvhs/<date>_<actor>_<scenario>.bvh` | body |",
        "| `face_arkit/<date>_<actor>_<scenario>.npy` |"
        " ARKit weights, float32 (N, 51); their names are in `dataset.json` |",
        *ict_line,
        "| `wav/<date>_<actor>_<scenario>.wav` | the actor's own voice, round(N x rate / 30) samples |",
        *lip_line,
        "| `takes.tsv` | takes with actors, labels, texts and split |",
        "| `scenarios.db`, `actors.db` | the same as SQLite tables |",
        "| `rigs/<actor>.npz` | the actor's ARKit shapes: what the weights move |",
        f"| `{SUMS}` | checksums: `sha256sum -c {SUMS}` |", "",
        "## Consent", "", consent or "not stated", "",
        "## Limits", "", *(f"- {text}" for text in limits), "",
        "## Licence", "", about["licence"], "",
    ]  # fmt: skip
    return "\n".join(lines)


def run(*, dataset: Path, split: Path, consent: Path | None, out: Path, options: ReleaseIn) -> None:
    """Write a release of a dataset, check it, and at last write its checksums.

    InputError lists what is wrong with it.
    """
    about, rows = read_about(dataset / "dataset.json"), with_split(dataset_takes(dataset), split)
    names = files_of(dataset)
    clear(out, names)
    for name in names:
        place(dataset / name, out / name)
    write_tsv(out / "takes.tsv", TAKE_COLUMNS, rows)
    lips = len(files_in(dataset / "lip_acc" / "wav", ".wav"))
    text = read_published(consent) if consent else ""
    with whole(out / CARD) as temporary:
        temporary.write_text(card(about, rows, _subjects(out), text, lips), encoding="utf-8")
    (out / SUMS).unlink(missing_ok=True)
    with quiet():
        faults = [str(finding) for finding in inspect(out, options) if finding.kind]
    if faults:
        for fault in faults:
            log.warning("%s", fault)
        raise InputError(f"{out}: {len(faults)} faults, the first is {faults[0]}; mend the dataset")
    listed = sorted([*(str(name) for name in names), "takes.tsv", CARD])
    with whole(out / SUMS) as temporary:
        temporary.write_text("".join(f"{sha256(out / name)}  {name}\n" for name in listed), encoding="utf-8")
    log.info("release of %d takes, %d files in %s", len(rows), len(listed) + 1, out)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=ReleaseIn)
    parser.add_argument("--dataset", type=Path, required=True, help="the dataset of a shoot")
    parser.add_argument("--split", type=Path, required=True, help="split.tsv of its annotations")
    parser.add_argument(
        "--consent", type=Path, help="text on the subjects' consent for the card; default: not stated"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the release")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
