"""Sync: timecode of every stream of a take to one clock and one common window.

In: the take's timecode.json (start and rate of each body), BVH, face stream and Broadcast Wave of both performances.
Out: sync/<take>.json with the window's start (seconds since midnight), its number of frames at 30 fps, and where each
stream stands on that clock. Only headers and timecodes are read.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import bvh, config, faces, stage
from pipeline.errors import InputError
from pipeline.files import read_json, sha256, write_json
from pipeline.timecode import parse_timecode

log = logging.getLogger("interact")
FPS = 30


def body_stream(path: Path, entry: dict | None, where: str) -> dict:
    """Start, rate and last frame's time of a body, from its entry of timecode.json."""
    if not isinstance(entry, dict) or "start" not in entry or "rate" not in entry:
        raise InputError(f"{where}: timecode.json has no start and rate of the body; add {{'start': 'HH:MM:SS:FF', 'rate': 120}} under body")
    rate = entry["rate"]
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < 1e4:
        raise InputError(f"{where}: rate {rate!r} of the body in timecode.json, need frames per second, such as 120; correct it")
    rate = float(rate)
    num_frames, header_fps = bvh.read_header(path)
    if abs(header_fps / rate - 1) > 0.01:
        log.warning("%s: BVH header says %.4g fps, timecode.json %.4g; timecode.json is taken", where, header_fps, rate)
    try:
        start = parse_timecode(str(entry["start"]), rate)
    except InputError as error:
        raise InputError(f"{where}: body in timecode.json: {error}") from None
    return {"start": start, "end": start + (num_frames - 1) / rate, "rate": rate, "frames": num_frames, "sha256": sha256(path)}


def face_stream(path: Path) -> dict:
    """First and last time, frames, rate and frames that the recorder dropped, from a face's timecodes.

    Frames are indexed with the dropped ones counted in, by the median step; the rate is the slope of a straight line
    through their times, so that drops do not pass for drift.
    """
    stream = faces.open_face(path)
    steps = np.diff(stream.seconds)
    taken = np.round(steps / np.median(steps)).clip(1)
    dropped = int((taken - 1).sum())
    step = float(np.polyfit(np.concatenate([[0], np.cumsum(taken)]), stream.seconds - stream.seconds[0], 1)[0])
    ends = stream.seconds[[0, -1]].tolist()
    return {"start": ends[0], "end": ends[1], "rate": 1 / step, "frames": len(stream.seconds), "dropped": dropped, "longest_gap": float(steps.max())}


def audio_stream(path: Path, where: str) -> dict:
    """Start (bext TimeReference), sample rate and end of a Broadcast Wave."""
    import soundfile
    from wavinfo import WavInfoReader

    try:
        info = soundfile.info(path)
        bext = WavInfoReader(str(path)).bext
    except FileNotFoundError:
        raise InputError(f"{where}: {path.name} is missing; add the actor's microphone") from None
    except Exception as error:  # the readers raise many kinds for a broken file
        raise InputError(f"{where}: {path.name} is not a readable WAV ({error}); export it again") from None
    if bext is None:
        raise InputError(f"{where}: {path.name} has no bext chunk and so no TimeReference, need a Broadcast Wave; record or export it with timecode")
    start = bext.time_reference / info.samplerate
    return {"start": start, "end": start + info.frames / info.samplerate, "rate": info.samplerate, "samples": info.frames, "sha256": sha256(path)}


def common_window(streams: dict[str, dict], where: str, *, min_seconds: float) -> tuple[float, int]:
    """Start in seconds and number of frames of the window that all streams cover.

    Frame k is at start + k / 30. A stream of frames must reach the last frame, audio must cover the last frame's span.
    """
    first = max(streams, key=lambda name: streams[name]["start"])
    last = min(streams, key=lambda name: streams[name]["end"])
    start, end = streams[first]["start"], streams[last]["end"]
    if end - start < min_seconds:
        raise InputError(
            f"{where}: streams do not overlap by {min_seconds:g} s: {first} starts at {start:.3f} s, {last} ends at {end:.3f} s of the day; "
            "correct the timecode of one of them or exclude the take"
        )
    counts = [(s["end"] - start) * FPS + (0 if name.endswith("audio") else 1) for name, s in streams.items()]
    return start, int(np.floor(min(counts) + 1e-6))


def run(*, timecode: Path, actors: list[str], bvh: list[Path], face: list[Path], wav: list[Path], out: Path, options: config.Sync) -> None:
    """Sync one take and write its JSON."""
    take = timecode.parent.name
    if not timecode.exists():
        raise InputError(f"take {take}: no timecode.json; write the start and rate of each body into {timecode}")
    content = read_json(timecode)
    entries = content.get("body") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise InputError(f"take {take}: {timecode} has no 'body', need {{'body': {{actor: {{'start': 'HH:MM:SS:FF', 'rate': 120}}}}}}; add it")
    streams: dict[str, dict] = {}
    performances = []
    for actor, b, f, w in zip(actors, bvh, face, wav):
        where = f"take {take}, actor {actor}"
        found = {"body": body_stream(b, entries.get(actor), where), "face": face_stream(f), "audio": audio_stream(w, where)}
        streams |= {f"{actor} {kind}": stream for kind, stream in found.items()}
        performances.append({"actor": actor, **found})
    start, num_frames = common_window(streams, f"take {take}", min_seconds=options.min_seconds)
    for name, stream in streams.items():
        log.info("%s %-10s %.3f .. %.3f s, rate %.4f", take, name, stream["start"], stream["end"], stream["rate"])
    log.info("%s window starts at %.4f s, %d frames", take, start, num_frames)
    result = {"take": take, "start_seconds": start, "frames": num_frames, "fps": FPS, "performances": performances}
    write_json(out, result)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Sync)
    two: dict[str, Any] = {"nargs": 2, "type": Path, "required": True}
    parser.add_argument("--timecode", type=Path, required=True, help="timecode.json of the take")
    parser.add_argument("--actors", nargs=2, required=True, help="the two actors, in id order")
    parser.add_argument("--bvh", **two, help="bodies, in actor order")
    parser.add_argument("--face", **two, help="face streams (.mesh.h5 or .csv), in actor order")
    parser.add_argument("--wav", **two, help="Broadcast Waves, in actor order")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
