"""Recordings of Live Link Face: the CSV that the app writes.

In: a CSV with a timecode and ARKit weights in each row. Out: timecodes (N,) as text, and weights (N, 51) in
the order of arkit.NAMES; and the other way round.
"""

import csv
import logging
import math
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats import arkit
from pipeline.formats.timecode import format_timecode, parse_timecode
from pipeline.reading import MEBIBYTE, open_text, plain

log = logging.getLogger("interact")

COUNTING = 60
"""What Live Link Face counts at by default, whatever its frames per second."""
MOST_CSV_BYTES = 4096 * MEBIBYTE
"""Bytes of a recording of Live Link Face: an hour has 100 MB."""
REPEATED_SHARE = 0.01
"""Share of a recording's rows that may equal the row before to the last cell, timecode too.

An app that stumbles repeats a few.
"""

TURNS = tuple(
    f"{part}{axis}" for part in ("Head", "LeftEye", "RightEye") for axis in ("Yaw", "Pitch", "Roll")
)
"""Columns of the app behind the weights: how head and eyes turn."""
START = "00:00:00:00"
"""Timecode of frame 0 where nobody says another."""


def write_live_link(path: Path, weights: np.ndarray, *, fps: float, start: str = START) -> None:
    """Write ARKit weights (T, 51) as the app does, whole or not at all.

    fps: frames per second; start: timecode of frame 0, which counts at COUNTING as the app's does. A row of
    NaN is a frame without a face. What weights do not tell, tongueOut and how head and eyes turn, is 0.
    InputError where a row has some NaN, or anything infinite.
    """
    weights = np.asarray(weights, float).reshape(-1, len(arkit.NAMES))
    begin = parse_timecode(start, COUNTING)
    seen = ~np.isnan(weights).all(1)
    bad = np.argwhere(~np.isfinite(weights) & seen[:, None])
    if len(bad):
        frame, column = bad[0]
        raise InputError(
            f"{path}, frame {frame}: {arkit.NAMES[column]} is {weights[frame, column]}, need a number, or NaN"
            " for all shapes of a frame without a face; mend the weights"
        )
    names = [name[0].upper() + name[1:] for name in arkit.NAMES_52]
    rest = [0.0] * (len(names) - len(arkit.NAMES) + len(TURNS))
    lines = [",".join(["Timecode", "BlendShapeCount", *names, *TURNS])]
    for frame, row in enumerate(weights):
        cells = [f"{value:.10f}" for value in [*row, *rest]] if seen[frame] else [""] * (len(row) + len(rest))
        code = format_timecode(begin + frame / fps, COUNTING)
        lines.append(",".join([code, str(len(cells) if seen[frame] else 0), *cells]))
    with whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def read_timecodes(path: Path) -> list[str]:
    """Timecodes (N,) of a Live Link Face CSV as they stand in the file."""
    return [row[0] for _, row in _recording(path)[1]]


def read_weights(path: Path) -> np.ndarray:
    """ARKit weights (N, 51) of a Live Link Face CSV, columns in arkit.NAMES order, rows as in `open_face`.

    A row without any weight is a frame on which the app saw no face: NaN.
    """
    header, rows = _recording(path)
    columns = arkit.rig_order(header, str(path), fix="export the recording again with all columns")
    values, again = array("d"), []
    before: list[str] = []
    for line, row in rows:
        if row == before:
            again.append(line)
        before = row
        try:
            seen = any(row[i].strip() for i in columns)
            values.extend([float(row[i]) if seen else math.nan for i in columns])
        except ValueError:
            i = next(i for i in columns if not _is_number(row[i]))
            raise InputError(
                f"{path}, line {line}: got {row[i]!r:.60} for {header[i]}, need a number; export the"
                " recording again"
            ) from None
    result = np.array(values).reshape(-1, len(columns))
    if len(again) > REPEATED_SHARE * len(result):
        log.warning(
            "%s: %d of %d rows are the row before again, the first is line %d; export it again",
            path,
            len(again),
            len(result),
            again[0],
        )
    return result


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _recording(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Header of a Live Link Face CSV, and its complete rows with their line numbers.

    A short row is a frame that the recorder did not finish: at the end the recording was cut off, before it
    the frame counts as dropped.
    """
    rows = _csv_rows(path)
    _, header = next(rows, (0, []))
    header = [cell.strip() for cell in header]
    first = header[0] if header else ""
    if first.lower() != "timecode":
        other = next(
            (
                f", but {name} separate the columns"
                for mark, name in ((";", "semicolons"), ("\t", "tabs"))
                if mark in first
            ),
            "",
        )
        raise InputError(
            f"{path}: first column is not Timecode, need a Live Link Face recording as the app writes"
            f" it{other}; export it again"
        )
    return header, _complete(path, rows, len(header))


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    plain(path, most=MOST_CSV_BYTES)
    with open_text(path, "CSV in UTF-8", fix="export the recording again") as f:
        reader, before = csv.reader(f, strict=True), 0
        for row in reader:
            if (
                reader.line_num > before + 1
            ):  # a quotation mark that opens a cell would swallow the frames behind it
                raise InputError(
                    f"{path}, line {before + 1}: a quotation mark joins it to line {reader.line_num}; export"
                    " the recording again"
                )
            before = reader.line_num
            if any(cell.strip() for cell in row):
                yield reader.line_num, row


def _complete(
    path: Path, rows: Iterator[tuple[int, list[str]]], num_columns: int
) -> Iterator[tuple[int, list[str]]]:
    short: list[int] = []
    last = 0
    for last, row in rows:
        if len(row) > num_columns:
            raise InputError(
                f"{path}, line {last}: got {len(row)} cells, need {num_columns} as in the header; export the"
                " recording again"
            )
        if len(row) < num_columns:
            short.append(last)
        else:
            yield last, row
    inside = [line for line in short if line != last]
    if inside:
        log.warning(
            "%s: %d short rows count as dropped frames, the first is line %d", path, len(inside), inside[0]
        )
