"""Own clock: when the frames of a single file lie, where no sync places them on a take's clock.

A face stream runs by its own timecode, or evenly at its rate where it has none; a body evenly at its header's
rate. What is written begins at the first usable frame and ends with the last.
"""

import logging
from pathlib import Path

from pipeline.errors import InputError
from pipeline.formats import faces, live_link
from pipeline.motion.clock_model import fit_clock

log = logging.getLogger("interact")
TIMECODE_BASES = (24, 25, 30, 48, 50, 60, 100, 120)
"""What timecode counts at; with drop-frame labels the NTSC rate beside 30, 60 or 120."""


def name_of(path: Path) -> str:
    """What a file is called in reports: its name without its endings, an OBJ stream's by its folder."""
    path = path.parent if path.name == "stream.json" else path
    return path.stem.removesuffix(".mesh")


def timecode_base(codes: list[str]) -> float | None:
    """What the timecode of frames (N,) counts at, by the largest frame number that it shows.

    None where a second does not end in it.
    """
    frames, seconds = [], set()
    for code in codes:
        head, _, frame = code.replace(";", ":").rpartition(":")
        try:
            frames.append(float(frame))
        except ValueError:  # no timecode, which its parser will say
            return None
        seconds.add(head)
    if len(seconds) < 3:  # no second is seen from its beginning to its end
        return None
    base = next((base for base in TIMECODE_BASES if max(frames) < base), None)
    drop = any(";" in code for code in codes)
    return base * 1000 / 1001 if base and drop and base % 30 == 0 else base


def open_face(
    path: Path, *, rate: float | None, timecode_rate: float | None, units: str | None, where: str
) -> tuple[faces.FaceStream, dict]:
    """A face stream by itself, and its record as sync would write it: `start`, `end`, `rate`.

    `rate` is that of a stream without timecode, `units` those of vertices without a description, and
    `timecode_rate` what a CSV's timecode counts at, which is judged where None.
    """
    if path.suffix == ".csv" and timecode_rate is None:
        codes = live_link.read_timecodes(path)
        if len(codes) < 2 and path.stem.endswith("_neutral"):
            raise InputError(
                f"{where}: is the neutral face of a calibration, need a recording; give the CSV beside it"
                " without _neutral"
            )
        timecode_rate = timecode_base(codes)
        if timecode_rate not in (None, live_link.COUNTING):
            log.info(
                "%s: the timecode counts at %.3f, by its largest frame number; --timecode-rate says"
                " otherwise",
                where,
                timecode_rate,
            )
    about = _description(path)
    if about and not about.exists() and units is None:
        raise InputError(
            f"{where}: no {about.name} says its units and rate; give --units and --rate, or write that file"
            " (docs/shoot.md)"
        )
    stream = faces.open_face(path, rate=rate, timecode_rate=timecode_rate, units=units)
    clock = fit_clock(stream.seconds, where=where)
    return stream, {
        "start": clock.start,
        "end": clock.start + (int(clock.index[-1]) + 1) / clock.rate,
        "rate": clock.rate,
    }


def _description(path: Path) -> Path | None:
    """Where the description of vertices lies, None of a stream that describes itself."""
    if path.is_dir() or path.name == "stream.json":
        return (path if path.is_dir() else path.parent) / "stream.json"
    return path.with_suffix(".stream.json") if path.suffix == ".npy" else None
