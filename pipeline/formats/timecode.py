"""SMPTE timecode (ST 12-1) and the iXML chunk of a recorder's WAV: text to seconds since midnight and back.

A timecode counts frames since midnight; its seconds are that count divided by the base that it counts at
(30000/1001 for 29.97). At NTSC rates a day of labels is therefore not 86,400 s long: `day_seconds` is the
exact length, 86,486.4 s for non-drop and 86,399.9136 s for drop-frame counting at 29.97 fps. Within that day
parse_timecode and format_timecode are each other's inverse for every label.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

import numpy as np

from pipeline.errors import InputError

DAY = 86_400.0
_PATTERN = re.compile(r"^\s*([0-9]{1,2}):([0-9]{2}):([0-9]{2})([:;])([0-9]{1,3}(?:\.[0-9]{1,18})?)\s*$")
_DROP_NOMINALS = (30, 60, 120)


@lru_cache
def exact_rate(rate: float | Fraction) -> Fraction:
    """A rate as it is meant: 29.97 is 30000/1001, 23.976 is 24000/1001, 60 is 60."""
    if not (math.isfinite(rate) and 0.5 < rate < 1e6):
        raise InputError(
            f"timecode rate {rate!r}: need frames per second, such as 29.97 or 60; correct the rate"
        )
    nominal = round(rate)
    ntsc = Fraction(nominal * 1000, 1001)
    if nominal != rate and abs(float(ntsc) - float(rate)) < 5e-3:
        return ntsc
    return Fraction(rate if isinstance(rate, Fraction) else float(rate)).limit_denominator(1_000_000)


def _dropped_per_minute(rate: Fraction, drop_frame: bool, text: str) -> int:
    nominal = round(rate)
    if not drop_frame:
        return 0
    if rate != Fraction(nominal * 1000, 1001) or nominal not in _DROP_NOMINALS:
        raise InputError(
            f"timecode {text!r:.60}: drop-frame counting at {float(rate):g} fps; it exists at 29.97, 59.94"
            " and 119.88 only, correct the rate"
        )
    return nominal // 15


def frame_number(
    hours: Any, minutes: Any, seconds: Any, frames: Any, *, nominal: int, dropped: int = 0
) -> Any:
    """Frames since midnight of a label: integers or integer arrays.

    `nominal` is the base rounded to a whole number, `dropped` the labels that each minute but every tenth
    skips (ST 12-1).
    """
    whole_minutes = 60 * hours + minutes
    return (whole_minutes * 60 + seconds) * nominal + frames - dropped * (whole_minutes - whole_minutes // 10)


def frame_label(number: Any, *, nominal: int, dropped: int = 0, unit: int = 1) -> tuple[Any, Any, Any, Any]:
    """Hours, minutes, seconds and frames of a frame number since midnight (integer or integer array).

    Inverse of frame_number.

    Numbers run on into the next day. With `unit` the number and the frames count in 1/unit of a frame.
    """
    tens, rest = (
        number // ((600 * nominal - 9 * dropped) * unit),
        number % ((600 * nominal - 9 * dropped) * unit),
    )
    skipping = (rest - dropped * unit) // ((60 * nominal - dropped) * unit) + (
        rest < dropped * unit
    )  # minutes that began by skipping labels
    label = (number + (9 * dropped * tens + dropped * skipping) * unit) % (86_400 * nominal * unit)
    whole_seconds, frames = label // (nominal * unit), label % (nominal * unit)
    return whole_seconds // 3600, whole_seconds // 60 % 60, whole_seconds % 60, frames


def day_frames(rate: float | Fraction, *, drop_frame: bool = False) -> int:
    """Number of labels of a day: 86,400 times the whole base, less the skipped ones."""
    fps = exact_rate(rate)
    return frame_number(24, 0, 0, 0, nominal=round(fps), dropped=_dropped_per_minute(fps, drop_frame, "24 h"))


def day_seconds(rate: float | Fraction, *, drop_frame: bool = False) -> float:
    """True seconds that a day of labels lasts.

    86,400 at whole rates, 86,486.4 at 29.97 non-drop, 86,399.9136 at 29.97 drop-frame.
    """
    return float(day_frames(rate, drop_frame=drop_frame) / exact_rate(rate))


def label_day(text: str, rate: float, drop_frame: bool | None = None) -> float:
    """day_seconds of the counting that a timecode of parse_timecode is in."""
    return day_seconds(rate, drop_frame=";" in text if drop_frame is None else drop_frame)


def parse_timecode(text: str, rate: float, drop_frame: bool | None = None) -> float:
    """Seconds since midnight of `HH:MM:SS:FF`, frames counted at `rate`.

    Frames may be fractional (`13:13:04:31.652`).

    `rate` is the base that the timecode counts at, which may differ from the frames per second of the stream
    (a base of 30 on a stream of 120 fps). `drop_frame` None takes a `;` before the frames for drop-frame
    counting. At NTSC rates (29.97, ...) the result is true elapsed time: the frame's number divided by the
    rate. Raises InputError for text that is no timecode, frames at or above the rate, or a frame number that
    drop-frame counting skips.
    """
    match = _PATTERN.match(text)
    if not match:
        raise InputError(
            f"timecode {text!r:.60}: need HH:MM:SS:FF, such as 13:13:04:31 or 13:13:04:31.652; correct it"
        )
    hours, minutes, seconds = (int(group) for group in match.groups()[:3])
    whole, _, part = match.group(5).partition(".")
    unit = 10 ** len(part)
    frames = int(whole + part)  # in 1/unit of a frame
    fps = exact_rate(rate)
    nominal = round(fps)
    if hours > 23 or minutes > 59 or seconds > 59 or frames >= nominal * unit:
        raise InputError(
            f"timecode {text!r:.60}: hours, minutes, seconds or frames out of range at {rate:g} fps; correct"
            " it or its rate"
        )
    dropped = _dropped_per_minute(fps, match.group(4) == ";" if drop_frame is None else drop_frame, text)
    if dropped and minutes % 10 and seconds == 0 and frames < dropped * unit:
        raise InputError(f"timecode {text!r:.60}: drop-frame counting skips this frame; correct it")
    number = frame_number(hours, minutes, seconds, 0, nominal=nominal, dropped=dropped) * unit + frames
    return (number * fps.denominator) / (unit * fps.numerator)


def format_timecode(seconds: float, rate: float, *, drop_frame: bool = False, digits: int = 3) -> str:
    """Timecode of `seconds` since midnight, frames with `digits` decimals; the inverse of parse_timecode.

    Seconds beyond day_seconds (not 86,400: at NTSC rates a day of labels has another length) run on into the
    next day.
    """
    fps = exact_rate(rate)
    unit = 10**digits
    number = round(Fraction(seconds) * fps * unit)  # frames, in units of the last digit
    dropped = _dropped_per_minute(fps, drop_frame, format(seconds, "g"))
    number %= day_frames(fps, drop_frame=drop_frame) * unit
    hours, minutes, whole, frames = frame_label(number, nominal=round(fps), dropped=dropped, unit=unit)
    part = f"{frames // unit:02d}" + (f".{frames % unit:0{digits}d}" if digits else "")
    return f"{hours:02d}:{minutes:02d}:{whole:02d}{';' if drop_frame else ':'}{part}"


def unwrap_days(seconds: np.ndarray, *, day: float = DAY) -> np.ndarray:
    """Times of day (N,) in the order of recording, made to run on across midnight.

    A fall of more than half a day adds `day` to all that follows; smaller backward steps stay, they are the
    caller's error to report. `day` is day_seconds of the timecode at NTSC rates.
    """
    seconds = np.asarray(seconds, float)
    days = np.cumsum(np.diff(seconds) < -day / 2)
    return seconds + day * np.concatenate([np.zeros(min(1, len(seconds))), days])


def near(seconds: float, reference: float, *, day: float = DAY) -> float:
    """A time of day moved by whole days to within half a day of `reference`.

    So streams on both sides of midnight agree.
    """
    return seconds + day * math.floor((reference - seconds) / day + 0.5)


@dataclass(frozen=True)
class IxmlSpeed:
    """The SPEED object of an iXML chunk; None for what the recorder left out.

    `seconds` since midnight of the first sample, `rate` and `drop_frame` of the timecode that the recorder
    ran on.
    """

    seconds: float | None
    rate: Fraction | None
    drop_frame: bool | None

    @property
    def day_seconds(self) -> float | None:
        """Length of the day that `seconds` counts in.

        None where the recorder left its counting out, or says one that does not exist.
        """
        try:
            return None if self.rate is None else day_seconds(self.rate, drop_frame=bool(self.drop_frame))
        except InputError:
            return None


def _ixml_rate(text: str | None) -> Fraction | None:
    """TIMECODE_RATE as a fraction (`30000/1001`, as the specification asks) or decimal (`29.97`).

    None for any other spelling.
    """
    if not re.fullmatch(r"\s*[0-9]{1,9}(?:/[0-9]{1,9}|\.[0-9]{1,9})?\s*", text or ""):
        return None
    try:
        return exact_rate(Fraction(text or ""))
    except (ValueError, ZeroDivisionError, InputError):
        return None


def ixml_speed(text: str) -> IxmlSpeed:
    """What an iXML chunk says about time: the SPEED object of the iXML specification.

    The first sample's time is (TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI * 2^32 + _LO) / TIMESTAMP_SAMPLE_RATE. All
    elements are optional there. Raises InputError for text that is no XML, a document type (entities could
    expand without end), or counts that are no whole numbers.
    """
    text = text.lstrip("\ufeff").rstrip("\0 \r\n\t")
    if "<!DOCTYPE" in text:
        raise InputError(
            "iXML chunk: has a document type (DOCTYPE), need plain elements; export the WAV again"
        )
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"iXML chunk: not readable XML ({error}); export the WAV again") from None
    found = {}
    for name in ("SAMPLES_SINCE_MIDNIGHT_HI", "SAMPLES_SINCE_MIDNIGHT_LO", "SAMPLE_RATE"):
        value = (root.findtext(f"SPEED/TIMESTAMP_{name}") or "").strip()
        if value and not re.fullmatch("[0-9]{1,10}", value):
            raise InputError(
                f"iXML chunk: TIMESTAMP_{name} is {value!r}, need a whole number; export the WAV again"
            )
        if value:
            found[name] = int(value)
    seconds = None
    if len(found) == 3:
        high, low, sample_rate = found.values()
        if not sample_rate or low >= 2**32:
            raise InputError(
                f"iXML chunk: {high} and {low} samples since midnight at {sample_rate} Hz, need 32-bit"
                " halves; export the WAV again"
            )
        seconds = (high * 2**32 + low) / sample_rate
    flag = (root.findtext("SPEED/TIMECODE_FLAG") or "").strip().upper()
    return IxmlSpeed(
        seconds, _ixml_rate(root.findtext("SPEED/TIMECODE_RATE")), {"DF": True, "NDF": False}.get(flag)
    )


def ixml_seconds(ixml_text: str) -> float | None:
    """Seconds since midnight of the first sample by an iXML chunk, or None where it does not say.

    See ixml_speed.
    """
    return ixml_speed(ixml_text).seconds
