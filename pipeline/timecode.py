"""SMPTE timecode to seconds and back."""

import re
from fractions import Fraction

from pipeline.errors import InputError

_PATTERN = re.compile(r"^\s*(\d{1,2}):(\d{2}):(\d{2})([:;])(\d{1,3}(?:\.\d+)?)\s*$")


def exact_rate(rate: float) -> Fraction:
    """A rate as it is meant: 29.97 is 30000/1001, 23.976 is 24000/1001, 60 is 60."""
    nominal = round(rate)
    ntsc = Fraction(nominal * 1000, 1001)
    if nominal != rate and abs(float(ntsc) - rate) < 5e-3:
        return ntsc
    return Fraction(rate).limit_denominator(1_000_000)


def _dropped_per_minute(rate: Fraction, drop_frame: bool, text: str) -> int:
    nominal = round(rate)
    if not drop_frame:
        return 0
    if rate == nominal or nominal % 30:
        raise InputError(
            f"timecode {text!r}: drop-frame counting at {float(rate):g} fps; it exists at 29.97, 59.94 and 119.88 only, correct the rate"
        )
    return nominal // 15


def parse_timecode(text: str, rate: float, drop_frame: bool | None = None) -> float:
    """Seconds since midnight of `HH:MM:SS:FF`, frames counted at `rate` and possibly fractional (`13:13:04:31.652`).

    `drop_frame` None takes a `;` before the frames for drop-frame counting. At NTSC rates (29.97, ...) the result is
    true elapsed time: the frame's number divided by the rate. Raises InputError for text that is no timecode, frames
    at or above the rate, or a frame number that drop-frame counting skips.
    """
    match = _PATTERN.match(text)
    if not match:
        raise InputError(f"timecode {text!r}: need HH:MM:SS:FF, such as 13:13:04:31 or 13:13:04:31.652; correct it")
    hours, minutes, seconds = (int(group) for group in match.groups()[:3])
    frames = Fraction(match.group(5))
    fps = exact_rate(rate)
    nominal = round(fps)
    if hours > 23 or minutes > 59 or seconds > 59 or frames >= nominal:
        raise InputError(f"timecode {text!r}: hours, minutes, seconds or frames out of range at {rate:g} fps; correct it or its rate")
    drop = _dropped_per_minute(fps, match.group(4) == ";" if drop_frame is None else drop_frame, text)
    if drop and minutes % 10 and seconds == 0 and frames < drop:
        raise InputError(f"timecode {text!r}: drop-frame counting skips this frame; correct it")
    total_minutes = 60 * hours + minutes
    number = (total_minutes * 60 + seconds) * nominal + frames - drop * (total_minutes - total_minutes // 10)
    return float(number / fps)


def format_timecode(seconds: float, rate: float, *, drop_frame: bool = False, digits: int = 3) -> str:
    """Timecode of `seconds` since midnight, frames with `digits` decimals; the inverse of parse_timecode."""
    fps = exact_rate(rate)
    nominal = round(fps)
    unit = 10**digits
    number = round(Fraction(seconds) * fps * unit)  # frames, in units of the last digit
    drop = _dropped_per_minute(fps, drop_frame, format(seconds, "g"))
    if drop:
        tens, rest = divmod(number, (600 * nominal - 9 * drop) * unit)
        extra = max(0, (rest - drop * unit) // ((60 * nominal - drop) * unit))
        number += (9 * drop * tens + drop * extra) * unit
    number %= 86400 * nominal * unit
    whole_seconds, frames = divmod(number, nominal * unit)
    hours, rest = divmod(whole_seconds, 3600)
    part = f"{frames // unit:02d}" + (f".{frames % unit:0{digits}d}" if digits else "")
    return f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}{';' if drop_frame else ':'}{part}"
