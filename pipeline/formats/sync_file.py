"""The sync JSON of a take: what sync writes and the capture stages read.

{"take", "start_seconds" (of frame 0, on the shoot's day), "frames", "fps", "performances": [{"actor", "body",
"face", "audio"}]}; a stream has at least "start" and "end" (seconds of the same day) and "rate" (frames or
samples a second), and the marks by which its file is known again: what reads a raw stream beside the JSON
asks `same_file` first, since the start and the rate of one recording say nothing of another. A take has two
performances; the JSON of one performance alone has one, under whose name it stands as the take, and that may
be without "body".
"""

import hashlib
import math
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.files import fingerprint, sha256
from pipeline.formats.streams import beside_face
from pipeline.formats.takes import actor_of
from pipeline.reading import read_json

KINDS = ("body", "face", "audio")


def kinds_of(performance: dict) -> list[str]:
    """Kinds of the streams that a performance of the sync JSON has, in the order of KINDS."""
    return [kind for kind in KINDS if kind in performance]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def read_sync(path: Path) -> dict:
    """The content of a take's sync JSON; InputError where it is not what sync writes."""
    take = read_json(path)

    def need(good: bool, what: str) -> None:
        if not good:
            raise InputError(f"{path}: {what}, need what sync writes; sync the take again")

    need(isinstance(take, dict), f"got {type(take).__name__}")
    for key in ("start_seconds", "frames", "fps"):
        need(_number(take.get(key)), f"{key} is {take.get(key)!r}")
    need(
        isinstance(take["frames"], int) and take["frames"] > 0 and take["fps"] > 0,
        f"frames is {take['frames']!r} at {take['fps']!r} fps",
    )
    performances = take.get("performances")
    need(
        isinstance(performances, list) and len(performances) in (1, 2),
        "neither two performances nor one alone",
    )
    for performance in performances:
        need(
            isinstance(performance, dict) and isinstance(performance.get("actor"), str),
            "a performance without actor",
        )
        for kind in KINDS:
            if kind == "body" and len(performances) == 1 and kind not in performance:
                continue
            stream = performance.get(kind)
            need(isinstance(stream, dict), f"actor {performance['actor']} has no {kind}")
            for key in ("start", "end", "rate"):
                need(
                    _number(stream.get(key)),
                    f"{key} of actor {performance['actor']}'s {kind} is {stream.get(key)!r}",
                )
    return take


def stream_of(take: dict, performance: str, kind: str, *, where: str) -> dict:
    """The record of a performance's stream in a take's sync JSON."""
    actor = actor_of(performance)
    performances = {p["actor"]: p for p in take["performances"]}
    if actor not in performances:
        raise InputError(f"{where}: the take's actors are {', '.join(performances)}; correct --performance")
    if kind not in performances[actor]:
        raise InputError(f"{where}: {take['take']} was synced without {kind}; sync it again with one")
    return performances[actor][kind]


def marks(path: Path) -> dict[str, str]:
    """What tells a raw stream's file from another.

    Its `fingerprint`, and one of the files `beside` it where a face has such.

    Of a folder of OBJ files, `beside` also counts their names and sizes.
    """
    path = Path(path, "stream.json") if Path(path).is_dir() else Path(path)
    digest = hashlib.sha256()
    for other in beside_face(path):
        digest.update(f"{other.name} {fingerprint(other)}\n".encode())
    if path.name == "stream.json":
        for other in sorted(path.parent.glob("*.obj")):
            digest.update(f"{other.name} {other.stat().st_size}\n".encode())
    found = {"fingerprint": fingerprint(path)}
    return found if digest.digest() == hashlib.sha256().digest() else found | {"beside": digest.hexdigest()}


def recorded_marks(record: dict) -> dict[str, str]:
    """The marks in a stream's record of the sync JSON; none in one of before there were marks."""
    return {key: record[key] for key in ("fingerprint", "beside") if isinstance(record.get(key), str)}


def same_file(record: dict, path: Path, *, where: str) -> None:
    """InputError where a raw stream's file is another than the one that sync read, by the stream's record.

    A record of before there were marks says nothing.
    """
    recorded = recorded_marks(record)
    now = marks(path) if recorded else {}
    changed = [key for key, value in recorded.items() if now.get(key) != value]
    if not changed and isinstance(digest := record.get("sha256"), str) and sha256(path) != digest:
        changed = ["sha256"]
    if changed:
        what = "a file beside it" if changed == ["beside"] else "it"
        raise InputError(
            f"{where}: {what} is not as it was when the take was synced; run sync again, then this"
        )
