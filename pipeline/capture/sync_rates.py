"""Rates that the recordings of a take contradict.

A header or a timecode.json says another rate than was recorded at.

Streams of a take differ in length as a rule: a phone is left rolling, a face stops early. A length alone is
therefore no witness. A rate is doubted only where

- a Broadcast Wave's TimeReference, which counts samples since midnight, leads to another time of day than the
  actor's other streams, and at another usual rate to theirs; or
- two other streams, of which one has timecode at both ends (a face with its timecodes, LTC, a body with an
  `end`), begin and end together, nothing else ends where the doubted stream says to end, and at another
  standard rate it would begin and end with them.

A stream with timecode at both ends is never doubted, so that an `end` in timecode.json settles the matter. A
rate that timecode.json and the BVH header both say has two witnesses of its own: it is told at most. No rate
is named that was not tried.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import InputError
from pipeline.formats.sync_file import kinds_of
from pipeline.formats.timecode import format_timecode, near
from pipeline.motion.clock_model import STANDARD_RATES

log = logging.getLogger("interact")
USUAL_SAMPLE_RATES = (16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000)
LYING_RATE = 1.5
"""A stream this many times longer or shorter than two witnesses is refused or told.

It is refused where a standard rate fits.
"""
ODD_SHARE, SLACK_SECONDS = 0.05, 3.0
"""Share and seconds by which a length must differ from the witnesses' to be looked at.

Recorders are not started and stopped at once.
"""
CLOSE_SECONDS = 0.5
"""How well beginnings and ends agree at least, however short the take."""
SAME_RATE = 0.01
HEADER_ONLY = "start and header rate"
"""How a body is known whose rate timecode.json does not say."""
COVERED = 0.8
"""Share of the other streams that a recording covers at its true rate."""


@dataclass(frozen=True)
class _Span:
    """A stream's first and last moment; `begin` None where only its length is known.

    `certain`: timecode tells both ends.
    """

    actor: str
    kind: str
    begin: float | None
    length: float
    certain: bool

    @property
    def name(self) -> str:
        return f"the {self.kind} of {self.actor}"

    def off(self, begin: float | None, length: float) -> float:
        """Seconds by which another span lies beside this one at the worse end.

        By length where one of them has no beginning.
        """
        if self.begin is None or begin is None:
            return abs(length - self.length)
        return max(abs(begin - self.begin), abs(begin + length - self.begin - self.length))


def is_certain(stream: dict) -> bool:
    """Whether timecode tells both ends of a stream, so that its rate is not taken from anybody's word."""
    return stream["source"] in ("timecode per frame", "start and end", "start, rate and end") or stream[
        "source"
    ].startswith("LTC")


def _span(actor: str, kind: str, stream: dict) -> _Span:
    begin = stream["start"]
    return _Span(actor, kind, begin, stream["end"] - (begin or 0.0), is_certain(stream))


def _tolerance(length: float) -> float:
    """Seconds within which streams begin and end together: less for a short take."""
    return min(SLACK_SECONDS, max(CLOSE_SECONDS, ODD_SHARE * length))


def _witnesses(spans: Sequence[_Span]) -> list[_Span]:
    """Streams that begin and end together, a certain one first; none where fewer than two do."""
    groups = []
    for first in spans:
        if first.certain:
            others = [
                span
                for span in spans
                if span is not first and first.off(span.begin, span.length) <= _tolerance(first.length)
            ]
            groups.append([first, *others])
    best = max(groups, key=len, default=[])
    return best if len(best) > 1 else []


def _fitting_rate(
    span: _Span, rate: float, rates: Sequence[float], witness: _Span, *, tolerance: float
) -> float | None:
    """The rate at which a stream begins and ends with a witness; None where none does.

    The stream lasts `span` at `rate`; ends meet to `tolerance` seconds.

    A whole rate goes before its NTSC neighbour, from which no length tells it.
    """
    tried = [
        (witness.off(span.begin, span.length * rate / other), float(other))
        for other in rates
        if abs(other / rate - 1) > 1e-2
    ]
    fitting = sorted((not other.is_integer(), off, other) for off, other in tried if off <= tolerance)
    return fitting[0][2] if fitting else None


def check_rates(performances: Sequence[dict], take: str) -> None:
    """InputError for a frame rate that two witnesses contradict, where a standard one fits.

    A warning where it is less than LYING_RATE off.

    `performances` are those of the sync JSON, all starts on one day.
    """
    spans = {
        (p["actor"], kind): _span(p["actor"], kind, p[kind]) for p in performances for kind in kinds_of(p)
    }
    for performance in performances:
        for kind in kinds_of(performance):
            stream, span = performance[kind], spans[performance["actor"], kind]
            if not span.certain and not (
                kind == "audio" and stream["source"] == "bext"
            ):  # whose TimeReference counts at its rate
                others = [
                    other
                    for other in spans.values()
                    if other is not span and (other.kind != kind or other.certain)
                ]
                _check(stream, span, others, f"{take}, actor {performance['actor']}")


def _check(stream: dict, span: _Span, others: list[_Span], where: str) -> None:
    witnesses = _witnesses(others)
    if not witnesses or any(
        other.off(span.begin, span.length) <= _tolerance(other.length) for other in others
    ):  # it is not alone
        return
    first = witnesses[0]
    lies = not 1 / LYING_RATE < span.length / first.length < LYING_RATE
    if not lies and abs(span.length - first.length) <= max(ODD_SHARE * first.length, SLACK_SECONDS):
        return
    refused = lies and not (span.kind == "audio" or _is_confirmed(stream))
    rates: Sequence[float] = (
        USUAL_SAMPLE_RATES if span.kind == "audio" else [float(rate) for rate in STANDARD_RATES]
    )
    rate = _fitting_rate(
        span, stream["rate"], rates, first, tolerance=_tolerance(first.length) if refused else CLOSE_SECONDS
    )
    if rate is None:
        return
    unit, count = (
        ("Hz", f"{stream['samples']} samples")
        if span.kind == "audio"
        else ("fps", f"{stream['frames']} frames")
    )
    what = (
        f"{where}: {_says(span.kind, stream)} {stream['rate']:g} {unit}, at which the {count} of the"
        f" {span.kind} last {span.length:.1f} s, but {first.name} and {witnesses[1].name} both last"
        f" {first.length:.1f} s; at {rate:g} {unit} it would begin and end with them"
    )
    if not refused:
        log.warning("%s: check the rate", what)
        return
    settles = f"; if it is right, write the {span.kind}'s end there too"
    if stream["source"] == HEADER_ONLY:
        settles = f"; if {stream['rate']:g} is right, write it there as the rate"
    raise InputError(f"{what}: correct the rate in timecode.json{'' if span.begin is None else settles}")


def _is_confirmed(stream: dict) -> bool:
    """Whether timecode.json and the file's header say the same rate."""
    return (
        stream["source"] != HEADER_ONLY
        and abs(stream.get("header_rate", 0.0) / stream["rate"] - 1) < SAME_RATE
    )


def _says(kind: str, stream: dict) -> str:
    """Who says a stream's rate."""
    if kind == "audio":
        return "its header says"
    if _is_confirmed(stream):
        return "BVH header and timecode.json say"
    return {HEADER_ONLY: "BVH header says", "none": f"the {kind} is described at"}.get(
        stream["source"], "timecode.json says"
    )


def check_sample_rate(performance: dict[str, Any], where: str, name: str) -> None:
    """InputError where a Broadcast Wave fits the actor's other streams at another usual rate only.

    By its TimeReference and length.

    TimeReference counts samples, so a wrong rate moves the start by hours; at the header's rate it has then
    nothing in common with the others.
    """
    sound = performance["audio"]
    others = [
        performance[kind]
        for kind in ("face", "body")
        if kind in performance and performance[kind]["start"] is not None
    ]
    if sound["start"] is None or sound["source"] != "bext" or not others:
        return

    def place(rate: float) -> tuple[float, float]:
        start = near(sound["start"] * sound["sample_rate"] / rate, others[0]["start"])
        return start, start + sound["samples"] / rate

    def covered(rate: float) -> list[float]:
        """What it has in common with each of the others, as a share of the shorter of the two.

        Negative where they are apart.
        """
        start, end = place(rate)
        return [
            (min(end, o["end"]) - max(start, o["start"])) / min(end - start, o["end"] - o["start"])
            for o in others
        ]

    if max(covered(sound["sample_rate"])) > 0:
        return
    fitting = [
        rate for rate in USUAL_SAMPLE_RATES if rate != sound["sample_rate"] and min(covered(rate)) >= COVERED
    ]
    if len(fitting) != 1:
        return
    start, end = place(fitting[0])
    length = max(o["end"] - o["start"] for o in others)
    agree = all(max(abs(start - o["start"]), abs(end - o["end"])) <= SLACK_SECONDS for o in others)
    at = format_timecode(start, 100, digits=0)[:8]
    so = "both agree" if agree else f"it begins at {at}, lasts {end - start:.1f} s and covers them"
    raise InputError(
        f"{where}: the header of {name} says {sound['sample_rate']} Hz, at which its {sound['samples']}"
        f" samples last {sound['samples'] / sound['sample_rate']:.1f} s for {length:.1f} s of the other"
        f" streams and begin at another time of day; at {fitting[0]} Hz {so}: correct the rate in the header"
    )


def forget_empty_reference(performance: dict[str, Any], where: str, name: str) -> None:
    """Take a TimeReference of 0 for no time where the actor's other streams are not at midnight.

    The recording would then share nothing with them.
    """
    sound = performance["audio"]
    others = [
        performance[kind]
        for kind in ("face", "body")
        if kind in performance and performance[kind]["start"] is not None
    ]
    if sound["source"] != "bext" or sound["start"] != 0 or not others:
        return
    start = near(0.0, others[0]["start"])
    if any(start < other["end"] and other["start"] < start + sound["end"] for other in others):
        return
    log.warning(
        "%s: TimeReference of %s is 0, and nothing else was recorded at midnight; it is taken for a recording"
        " without timecode",
        where,
        name,
    )
    sound |= {"start": None, "source": "none"}
