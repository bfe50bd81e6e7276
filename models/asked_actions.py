"""What two people are asked to do, frame by frame, out of the words of a command.

In: one value for both, or one for each: an action (sit, walk, stand) for the whole take; spans of seconds,
such as sit:0-5,walk:5-12.5, between which one stands; or a .npy of labels as annotations/actions has them.
Out: labels (N, 2), 0 sit, 1 walk, 2 stand.
"""

import re
from pathlib import Path

import numpy as np

from pipeline.annotate.actions import NAMES, STAND
from pipeline.errors import InputError
from pipeline.formats.array_files import read_npy
from pipeline.motion.clock import FPS

NEED = "need sit, walk or stand, spans of seconds such as sit:0-5,walk:5-12, or a .npy of labels"
SPAN = re.compile(r"(\w+):(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")


def asked_actions(values: list[str] | None, num_frames: int, *, where: str = "--actions") -> np.ndarray:
    """Labels (N, 2) uint8 of both; without values both stand.

    InputError says what of a value cannot be, and `where` it stands.
    """
    values = list(values or ["stand"])
    values = values * 2 if len(values) == 1 else values
    if len(values) != 2:
        raise InputError(f"{where}: got {len(values)} values, need one for both or one for each; {NEED}")
    return np.stack([_labels(value, num_frames, where) for value in values], 1)


def spans_of(labels: np.ndarray) -> str:
    """Labels (N,) as a value that gives them again: an action, or spans of seconds."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1, [len(labels)]])
    if len(edges) == 2:
        return NAMES[labels[0]]
    return ",".join(f"{NAMES[labels[a]]}:{a / FPS:.4f}-{b / FPS:.4f}" for a, b in zip(edges, edges[1:]))


def _labels(value: str, num_frames: int, where: str) -> np.ndarray:
    """Labels (N,) of one value."""
    if value in NAMES:
        return np.full(num_frames, NAMES.index(value), np.uint8)
    if value.endswith(".npy"):
        return _read(Path(value), num_frames)
    labels, end = np.full(num_frames, STAND, np.uint8), 0.0
    for part in value.split(","):
        found = SPAN.fullmatch(part)
        if not found or found[1] not in NAMES:
            raise InputError(f"{where}: got {part!r:.60}; {NEED}")
        first, last = float(found[2]), float(found[3])
        a, b = round(first * FPS), round(last * FPS)
        if not end <= first < last or a == b:
            raise InputError(
                f"{where}: got {part} after {end:g} s, need spans one after the other, each of a frame of"
                " 1/30 s or more; correct the times"
            )
        if a >= num_frames:
            raise InputError(
                f"{where}: got {part}, and the take ends at {num_frames / FPS:.2f} s; leave that span out"
            )
        labels[a:b] = NAMES.index(found[1])
        end = last
    return labels


def _read(path: Path, num_frames: int) -> np.ndarray:
    """Labels (N,) of a file."""
    labels = read_npy(path)
    if labels.dtype != np.uint8 or labels.ndim != 1 or labels.max(initial=0) >= len(NAMES):
        raise InputError(
            f"{path}: got {labels.dtype} {labels.shape}, need uint8 (T,) of 0 sit, 1 walk, 2 stand, as"
            " annotations/actions has them; give such a file"
        )
    if len(labels) < num_frames:
        raise InputError(
            f"{path}: got {len(labels)} frames of labels, need the take's {num_frames}; give a longer file"
        )
    return labels[:num_frames]
