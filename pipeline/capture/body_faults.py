"""Faults of a body: what a fault is, and what a report says of those of a motion.

In: an inspection, which pipeline.capture.body_quality makes. Out: the "quality" of a body's report, a
dictionary with counts, verdict, reasons and the faults with frames and times. Angles are degrees, lengths cm,
times seconds.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

KINDS = ("nan", "swap", "side_swap", "limit", "flicker", "jump", "freeze", "slide")
WHOLE_BODY = "whole body"
REPORTED_PER_MINUTE = {
    "swap": 0.0,
    "side_swap": 0.0,
    "jump": 0.0,
    "freeze": 0.0,
    "flicker": 2.0,
    "limit": 0.0,
}
"""More faults of a kind than this in a minute are for a person to look at; mended flicker does not count."""
MAX_SLIDE_SHARE = 0.1
MIN_CONTACT_SHARE = 0.2
"""A foot on the ground in fewer frames walks on a floor that is not flat: its slides are not judged."""


@dataclass(frozen=True)
class Fault:
    """A kind of KINDS at frames first..stop-1 of a joint (name and index; -1 is all).

    Its size `value` in `unit`, the limit it breaks.
    """

    kind: str
    joint: str
    index: int
    first: int
    stop: int
    value: float
    limit: float
    unit: str
    note: str = ""
    mended: bool = False


@dataclass(frozen=True)
class Inspection:
    """Faults by frame and kind; feet: contact frames, share that slides and longest way in cm, by joint.

    Not_judged: what, and why.
    """

    faults: list[Fault]
    feet: dict[str, dict[str, float]]
    not_judged: list[str]


def summary(
    found: Inspection, *, fps: float, num_frames: int, first_frame: int = 0, start_seconds: float = 0.0
) -> dict:
    """What goes into a body report.

    Counts, verdict, reasons, faults with times, feet, and what was not judged.

    `first_frame`: frame of the recording that is the motion's first; `start_seconds`: its time, from the
    take's first frame.
    """
    listed = []
    for fault in found.faults:
        row = asdict(fault) | {"first": fault.first + first_frame, "stop": fault.stop + first_frame}
        row["value"], row["limit"] = round(fault.value, 2), round(fault.limit, 2)
        row["start_seconds"] = round(start_seconds + fault.first / fps, 4)
        row["seconds"] = round((fault.stop - fault.first) / fps, 4)
        listed.append(row)
    counts = {kind: sum(fault.kind == kind for fault in found.faults) for kind in KINDS}
    report = {"minutes": round(num_frames / fps / 60, 4), "fps": fps, "counts": counts, "feet": found.feet}
    report |= {
        "flicker_mended": sum(fault.mended for fault in found.faults),
        "not_judged": found.not_judged,
        "faults": listed,
    }
    lines = list(reasons(report))
    return {"verdict": "check" if lines else "good", "reasons": lines, **report}


def reasons(report: dict) -> Iterator[str]:
    """What in a summary a person should look at."""
    minutes = max(report["minutes"], 1e-6)
    words = {
        "swap": "finger swaps",
        "side_swap": "swaps of left and right",
        "limit": "stretches beyond anatomical limits",
        "flicker": "spikes that were not mended",
        "jump": "jumps",
        "freeze": "frozen stretches",
    }
    for kind, most in REPORTED_PER_MINUTE.items():
        mine = [fault for fault in report["faults"] if fault["kind"] == kind and not fault["mended"]]
        if len(mine) > most * max(minutes, 1.0):
            worst = max(
                mine,
                key=lambda fault: fault["seconds"] if kind in ("swap", "limit", "freeze") else fault["value"],
            )
            yield f"{len(mine)} {words[kind]}, such as {worst['joint']} at {worst['start_seconds']:.2f} s"
    for name, foot in report["feet"].items():
        if (
            foot["sliding_share"] > MAX_SLIDE_SHARE
            and foot["contact_frames"] > MIN_CONTACT_SHARE * minutes * 60 * report["fps"]
        ):
            yield f"{name} slides in {100 * foot['sliding_share']:.0f} % of its frames on the ground"
