"""Dataset row: a dataset as a row of the paper's table 1.

In: the BVH headers, voices, face weights and transcripts of a dataset's performances, and its takes. Out: a
CSV with one row.

The paper's `Dura.` is of performances: 241 takes of 1.2 minutes are 10 hours only where both actors count. So
are `hours`, `frames` and `words` here; `take_hours` and `mean_take_minutes` count a take once. A take is as
long as the shorter of its two bodies.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import write_csv
from pipeline.formats import bvh
from pipeline.formats.meta_groups import KINDS, OTHER, meta_group, spelling
from pipeline.formats.takes import Take, dataset_takes
from pipeline.motion.joints import bare
from pipeline.reading import read_json

FINGER = re.compile(r"finger|thumb|index|pinky|little|ring|(^|hand)[ _.-]*middle", re.IGNORECASE)
"""Names of finger joints, whoever exported them."""
MODALITIES = {"audio": "wav/{}.wav", "face": "face_arkit/{}.npy"}
COLUMNS = [
    *(
        "actors_per_take",
        "subjects",
        "takes",
        "performances",
        "joints",
        "hours",
        "take_hours",
        "mean_take_minutes",
        "frames",
        "fps",
    ),
    *(
        "audio",
        "hands",
        "finger_joints",
        "face",
        "relationships",
        "relationships_in_paper",
        "emotions",
        "emotions_in_paper",
        "words",
    ),
]


@dataclass(frozen=True)
class Performance:
    """What a performance's files tell.

    Frames, frames per second, joints, finger joints, words, and whether it has each of MODALITIES.
    """

    frames: int
    fps: float
    joints: int
    fingers: int
    words: int
    has: dict[str, bool]


def num_words(path: Path) -> int:
    """Words of a transcript."""
    value = read_json(path)
    if not isinstance(value, dict) or not isinstance(value.get("words"), list):
        raise InputError(f"{path}: has no list 'words', need a transcript; write it again")
    return len(value["words"])


def read_performance(dataset: Path, transcripts: Path, name: str) -> Performance:
    """Read a performance's headers and transcript; its motion is not read."""
    path = dataset / "bvhs" / f"{name}.bvh"
    frames, fps = bvh.read_header(path)
    joints = bare(bvh.read_names(path))
    has = {kind: (dataset / pattern.format(name)).exists() for kind, pattern in MODALITIES.items()}
    return Performance(
        frames,
        fps,
        len(joints),
        sum(bool(FINGER.search(joint)) for joint in joints),
        num_words(transcripts / f"{name}.json"),
        has,
    )


def span(values: Iterable[float]) -> str:
    """The one value of all, or the least and the largest."""
    few, many = f"{min(values := sorted(values)):g}", f"{max(values):g}"
    return few if few == many else f"{few} to {many}"


def share(flags: Sequence[bool]) -> str:
    """yes, no, or how many of how many."""
    return "yes" if all(flags) else "no" if not any(flags) else f"{sum(flags)} of {len(flags)}"


def row(takes: Sequence[Take], pairs: Iterable[Sequence[Performance]]) -> dict[str, str]:
    """The row of takes whose performances are `pairs`, in their order."""
    both = [tuple(pair) for pair in pairs]
    performances = [performance for pair in both for performance in pair]
    take_seconds = sum(min(performance.frames / performance.fps for performance in pair) for pair in both)
    labels = {
        kind: {spelling(take.row[kind]): take.row[kind] for take in takes if take.row[kind]} for kind in KINDS
    }
    result = {
        "actors_per_take": span(len(take.actors) for take in takes),
        "subjects": str(len({actor for take in takes for actor in take.actors})),
        "takes": str(len(takes)),
        "performances": str(len(performances)),
        "joints": span(performance.joints for performance in performances),
        "hours": f"{sum(performance.frames / performance.fps for performance in performances) / 3600:.3f}",
        "take_hours": f"{take_seconds / 3600:.3f}",
        "mean_take_minutes": f"{take_seconds / 60 / len(takes):.3f}",
        "frames": str(sum(performance.frames for performance in performances)),
        "fps": span(performance.fps for performance in performances),
        "hands": share([performance.fingers > 0 for performance in performances]),
        "finger_joints": span(performance.fingers for performance in performances),
        "words": str(sum(performance.words for performance in performances)),
    }
    for kind, found in labels.items():
        result[f"{kind}s"] = str(len(found))
        result[f"{kind}s_in_paper"] = str(sum(meta_group(kind, label) != OTHER for label in found.values()))
    return result | {
        kind: share([performance.has[kind] for performance in performances]) for kind in MODALITIES
    }


def run(*, dataset: Path, transcripts: Path, out: Path) -> None:
    """Write the row of a dataset."""
    takes = dataset_takes(dataset)
    pairs = [
        [read_performance(dataset, transcripts, name) for name in take.performances]
        for take in stage.progress(takes, label="dataset row")
    ]
    write_csv(out, COLUMNS, [row(takes, pairs)])


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="the dataset folder")
    parser.add_argument("--transcripts", type=Path, required=True, help="folder of {performance}.json")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
