"""Body labels: all that can be said of one or two bodies by their BVH files alone, of any skeleton.

    python -m pipeline.annotate.body_labels WALK.bvh --joint-map mixamo --out labels
    python -m pipeline.annotate.body_labels A.bvh B.bvh --out labels

In: the file of one person, or of two in one room on one clock. Out, in the folder --out, by frames of the
file's own rate: `<file>.actions.npy`, uint8 (T,): 0 sit, 1 walk, 2 stand; with two people
`<file>.facing.npy`, uint8 (T,): 1 where the person faces the other; `contacts.json`, when hands touch heads,
shoulders, elbows and hands, the own or the other's; and `labels.tsv`, the same as a table with a row for each
stretch: body, label, value, start and stop in frames and in seconds.

The rules are those of the stages `actions`, `facing` and `contacts` with their default thresholds, which are
flags there. What a body lacks the joints for is left out with a warning; who faces whom needs two people, and
so do touches of another.
"""

import logging
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.annotate import contacts
from pipeline.annotate.actions import NAMES, label_actions, shares
from pipeline.annotate.facing import label_facing
from pipeline.config import Body, Contacts
from pipeline.errors import InputError
from pipeline.files import whole, write_json, write_tsv
from pipeline.formats.people import READ_BY, load_people
from pipeline.formats.takes import actor_names, file_names
from pipeline.motion.motion import Motion

log = logging.getLogger("interact")
COLUMNS = ["body", "label", "value", "start_frame", "stop_frame", "start_seconds", "stop_seconds"]


def rows_of(
    body: str, label: str, values: np.ndarray, names: tuple[str, ...], fps: float
) -> list[dict[str, str]]:
    """Rows of the table for the stretches of labels (T,), whose numbers have these names."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1, [len(values)]])
    return [
        row(body, label, names[values[start]], start, stop, fps) for start, stop in zip(edges[:-1], edges[1:])
    ]


def row(body: str, label: str, value: str, start: int, stop: int, fps: float) -> dict[str, str]:
    """A row of the table: from frame `start` to before frame `stop`."""
    cells = (body, label, value, str(start), str(stop), f"{start / fps:.3f}", f"{stop / fps:.3f}")
    return dict(zip(COLUMNS, cells, strict=True))


def _actions(path: Path, motion: Motion) -> np.ndarray | None:
    """Actions (T,) of a body, None with a warning where it lacks the joints or has frames with NaN."""
    try:
        labels = label_actions(motion)
    except InputError as error:
        log.warning("%s: no actions: %s", path, error)
        return None
    log.info("%s: %s", path, shares(labels, motion.fps))
    return labels


def _facing(paths: list[Path], motions: list[Motion]) -> list[np.ndarray]:
    """Facing (T,) of two bodies, none with a line that says why."""
    if len(motions) < 2:
        log.info(
            "%s: one body: who faces whom, and touches of another, need the file of a second person", paths[0]
        )
        return []
    try:
        return label_facing(motions)
    except InputError as error:
        log.warning("%s, %s: no facing: %s", *paths, error)
        return []


def _save(path: Path, labels: np.ndarray) -> None:
    with whole(path) as temporary, open(temporary, "wb") as f:
        np.save(f, labels)


def run(*, bvh: list[Path], out: Path, body: Body | None = None) -> None:
    """Label one or two bodies and write the folder's files; InputError where nothing can be said of them."""
    if len(bvh) > 2:
        raise InputError(
            f"body_labels: got {len(bvh)} bodies, need those of one or two people; call it once for each room"
        )
    motions, names, actors = load_people(bvh, body), file_names(bvh), actor_names(bvh)
    fps, rows = motions[0].fps, []
    if len(motions) == 2 and (
        motions[0].num_frames != motions[1].num_frames or abs(fps - motions[1].fps) > 1e-3
    ):
        each = " and ".join(
            f"{path} has {motion.num_frames} frames at {motion.fps:g} fps"
            for path, motion in zip(bvh, motions)
        )
        raise InputError(
            f"{each}, need two bodies on one clock, equally long; cut both to the same window, or label each"
            " alone"
        )
    found = [_actions(path, motion) for path, motion in zip(bvh, motions)]
    faces = _facing(bvh, motions)
    try:
        touched = contacts.about(actors, motions, Contacts())
    except InputError as error:
        hint = (
            "; python -m pipeline.capture.body FILE --out CLEAN.bvh bridges short runs of it"
            if "NaN" in str(error)
            else ""
        )
        raise InputError(f"{', '.join(map(str, bvh))}: {error}{hint}") from None
    if not faces and touched["lacking"] and all(labels is None for labels in found):
        raise InputError(
            f"{bvh[0]}: nothing can be said of this body, its joints are not known; name them in"
            " body.joint_map"
        )
    for name, labels in zip(names, found):
        if labels is not None:
            _save(out / f"{name}.actions.npy", labels)
            rows += rows_of(name, "action", labels, NAMES, fps)
    for name, labels in zip(names, faces):
        _save(out / f"{name}.facing.npy", labels)
        rows += rows_of(name, "facing", labels, ("no", "yes"), fps)
    for contact in touched["contacts"]:
        whose = "own" if contact["of"] == contact["actor"] else "other's"
        value = f"{contact['hand']} on {whose} {contact['part']}"
        rows.append(
            row(
                names[actors.index(contact["actor"])],
                "contact",
                value,
                contact["start"],
                contact["stop"],
                fps,
            )
        )
    write_json(out / "contacts.json", touched)
    write_tsv(out / "labels.tsv", COLUMNS, rows)
    log.info("%s: %d stretches of labels in labels.tsv", out, len(rows))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, shared=READ_BY)
    stage.add_files(
        parser, "bvh", nargs="+", help="the body (.bvh) of one person, or those of two in one room"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
