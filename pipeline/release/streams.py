"""The streams of a download: lengths on the dataset's clock, and the rules by which they are brought to it.

Every stream begins at frame 0 of its take. A body at a whole multiple of 30 fps is decimated: of every k
frames the first is kept, nothing is interpolated. All streams of a take are cut to the shortest of them; how
much longer the longest may be is `release_in.max_trim_seconds`.
"""

from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.formats import arkit, ict
from pipeline.formats.array_files import read_npy
from pipeline.motion.clock import FPS

WIDTHS = {"face_arkit": len(arkit.NAMES), "face_ict": len(ict.NAMES)}
"""Columns of the face arrays by folder."""


def decimation(fps: float, where: str) -> int:
    """Of how many frames at `fps` one is kept; InputError where `fps` is no whole multiple of 30."""
    step = round(fps / FPS)
    if step < 1 or abs(fps / FPS - step) > 1e-3:
        raise InputError(
            f"{where}: got {fps:g} fps, need a whole multiple of {FPS}; where the header is wrong set"
            " release_in.body_fps"
        )
    return step


def body_frames(num_rows: int, step: int) -> int:
    """Frames at 30 fps of a body of `num_rows` frames of which every `step`-th is kept."""
    return -(-num_rows // step)


def wav_frames(num_samples: int, rate: int) -> int:
    """The most frames whose samples, round(frames * rate / 30), a voice has."""
    return ((2 * num_samples + 1) * FPS - 1) // (2 * rate)


def read_face(path: Path) -> np.ndarray:
    """Weights (N, 51) or (N, 55), by the name of the folder; InputError where they are not, or hold NaN."""
    weights = read_npy(path, fix="download it again")
    width = WIDTHS[path.parent.name]
    if weights.ndim != 2 or weights.shape[1] != width or weights.dtype.kind != "f":
        raise InputError(
            f"{path}: got {weights.dtype} of shape {weights.shape}, need floats of shape (frames, {width});"
            " download it again"
        )
    bad = ~np.isfinite(weights).all(1)
    if bad.any():
        raise InputError(
            f"{path}, frame {int(np.argmax(bad))}: got {int(bad.sum())} frames with NaN, need none; exclude"
            " the take"
        )
    return weights


def cut_frames(lengths: dict[str, int], max_trim_seconds: float, where: str) -> int:
    """Frames to which all streams of a take are cut: the shortest of `lengths`.

    InputError where one is longer by more than is mended.
    """
    shortest, longest = min(lengths.values()), max(lengths.values())
    allowed = int(max_trim_seconds * FPS + 1e-6)
    if shortest < 1 or longest - shortest > allowed:
        got = ", ".join(f"{name} {frames}" for name, frames in lengths.items())
        raise InputError(
            f"{where}: got frames {got}, need lengths that differ by at most {allowed} ({max_trim_seconds:g}"
            " s); exclude the take, or raise release_in.max_trim_seconds"
        )
    return shortest
