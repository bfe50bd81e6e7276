"""The timecode.json of a take: entries of its streams, read and checked (docs/timecode.md).

In: timecode.json, {kind: {actor: entry}}. Out: the same, with no key that would not be read; rates in frames
per second, times in seconds since midnight.
"""

import difflib
from pathlib import Path

from pipeline.errors import InputError
from pipeline.formats.timecode import label_day, parse_timecode
from pipeline.reading import read_json

KEYS = {
    "body": ("start", "rate", "end", "timecode_rate", "drop_frame"),
    "face": ("start", "rate", "end", "timecode_rate", "drop_frame"),
    "audio": ("start", "timecode_rate", "drop_frame", "channel", "ltc"),
}
"""Keys of an entry of timecode.json: no other would be read."""


def entry_rate(entry: dict, key: str, where: str) -> float | None:
    """A rate in an entry of timecode.json, None where it has none."""
    rate = entry.get(key)
    if rate is None:
        return None
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < 1e6:
        raise InputError(
            f"{where}: {key} {rate!r} in timecode.json, need frames per second, such as 120; correct it"
        )
    return float(rate)


def entry_time(entry: dict, key: str, rate: float, where: str) -> tuple[float, float] | tuple[None, None]:
    """Seconds since midnight of a timecode in an entry of timecode.json.

    It is counted at its timecode_rate (default: the stream's).

    The second value is the length of the day that it counts in.
    """
    if key not in entry:
        return None, None
    counting = entry_rate(entry, "timecode_rate", where) or rate, entry.get("drop_frame")
    try:
        return parse_timecode(str(entry[key]), *counting), label_day(str(entry[key]), *counting)
    except InputError as error:
        raise InputError(f"{where}: {key} in timecode.json: {error}") from None


def read_entries(timecode: Path, take: str, actors: list[str], kinds: list[str]) -> dict[str, dict]:
    """The entries {kind: {actor: entry}} of timecode.json, of the kinds of streams that there are."""
    need = "body" if "body" in kinds else "face"
    if need == "body" and not timecode.exists():
        raise InputError(
            f"take {take}: no timecode.json; write the start and rate of each body into {timecode}"
        )
    content = read_json(timecode)
    if not isinstance(content, dict) or (need == "body" and not isinstance(content.get("body"), dict)):
        rate = {"body": 120, "face": 30}[need]
        raise InputError(
            f"take {take}: {timecode} has no {need!r}, need {{{need!r}: {{actor: {{'start': 'HH:MM:SS:FF',"
            f" 'rate': {rate}}}}}}}; add it"
        )
    for kind, entries in content.items():
        if kind not in kinds:
            raise InputError(
                f"take {take}: {timecode} has {kind!r}, need {', '.join(kinds[:-1])} and {kinds[-1]} only;"
                " correct it"
            )
        if not isinstance(entries, dict):
            raise InputError(
                f"take {take}: {timecode}, {kind}: got {type(entries).__name__}, need an entry for each"
                " actor; correct it"
            )
        for actor, entry in entries.items():
            if actor not in actors:
                raise InputError(
                    f"take {take}: {timecode}, {kind} of {actor!r}, need actors {', '.join(actors)};"
                    " correct it"
                )
            if not isinstance(entry, dict):
                raise InputError(
                    f"take {take}, actor {actor}: no start and rate of the {kind}: timecode.json has"
                    f" {entry!r}, need {{...}}; correct it"
                )
            for key in entry:
                if key not in KEYS[kind]:
                    close = difflib.get_close_matches(key, KEYS[kind], n=1, cutoff=0.6)
                    said = (
                        f"did you mean {close[0]!r}?"
                        if close
                        else f"{kind} has {', '.join(KEYS[kind])}; remove it"
                    )
                    raise InputError(
                        f"take {take}, actor {actor}: unknown key {key!r} under {kind} in timecode.json;"
                        f" {said}"
                    )
            if not isinstance(entry.get("drop_frame"), (bool, type(None))):
                raise InputError(
                    f"take {take}, actor {actor}: drop_frame of the {kind} is {entry['drop_frame']!r}, need"
                    " true or false; correct it"
                )
    return content
