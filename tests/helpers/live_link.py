"""Recordings as Live Link Face writes them."""

import numpy as np

from pipeline.formats import arkit


def live_link_csv(path, codes, weights, *, header=None, end="\n", bom=False, last_end=True):
    """A recording as Live Link Face writes it.

    Timecode, number of shapes, 52 shapes, 9 turns of head and eyes.
    """
    names = [name[0].upper() + name[1:] for name in arkit.NAMES_52]
    turns = [f"{part}{axis}" for part in ("Head", "LeftEye", "RightEye") for axis in ("Yaw", "Pitch", "Roll")]
    lines = [",".join(header or ["Timecode", "BlendShapeCount", *names, *turns])]
    for code, row in zip(codes, weights, strict=True):
        values = [""] * 61 if row is None else [f"{value:.10f}" for value in [*row, *[0.0] * 10]]
        lines.append(",".join([code, "0" if row is None else "61", *values]))
    path.write_bytes((end.join(lines) + (end if last_end else "")).encode("utf-8-sig" if bom else "utf-8"))
    return path


def ramp(num_frames):
    return np.tile(np.linspace(0, 1, num_frames)[:, None], (1, 51))
