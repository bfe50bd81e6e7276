"""Clocks of streams: what a body, a face or a voice of a shoot says of its own time.

In: a BVH, a face stream or a WAV, and its entry of timecode.json, if any. Out: a dictionary with start
(seconds of the shoot's day, None where nothing tells it), end, rate, how they are known, and what was lost.

A stream that stamps every frame (a face, LTC in a channel) has its drops indexed first, then offset, drift
and jitter fitted (pipeline.motion.clock_model). A stream with a start only (a body, a Broadcast Wave) shows
no drift: its rate is taken as given.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import config
from pipeline.errors import InputError
from pipeline.files import sha256
from pipeline.formats import audio, bvh, faces, ltc
from pipeline.formats.sync_file import marks
from pipeline.formats.timecode import DAY, day_seconds, near
from pipeline.formats.timecode_file import entry_rate, entry_time
from pipeline.motion.clock import FPS
from pipeline.motion.clock_model import fit_clock, largest_step

log = logging.getLogger("interact")

WARN_STEP_FRAMES = 0.1
"""Jump of a timecode by other than whole frames that is told.

Recordings of two iPhones show less than 0.001.
"""
MAX_LOST_SHARE = 0.2
"""Share of lost frames that no recorder that still works reaches.

A timecode that is counted at twice its base does.
"""
END_FRAMES = 1.5
"""Frames by which `end`, the last frame's timecode, may differ from start, rate and number of frames.

Some write the one after it.
"""


def _stream(start: float | None, end: float, rate: float, source: str, **more) -> dict:
    """What is known of a stream; `end` is its length while no start is known.

    Drift, jitter and residual are null where nothing shows them.

    `day_seconds` is the length of the day that its timecode counts in, null where nothing says how it counts.
    """
    unknown = {
        "day_seconds": None,
        "nominal_rate": None,
        "drift_ppm": None,
        "jitter_ms": None,
        "residual_ms": None,
    }
    return {"start": start, "end": end, "rate": rate, "source": source, **unknown, **more}


def body_stream(path: Path, entry: dict | None, where: str) -> dict:
    """Start, rate and last frame's time of a body, from its entry of timecode.json.

    The rate is the entry's, else the header's. Where the entry has an `end`, it must agree with start, rate
    and number of frames; with fractional frames it is finer than a frame, and the rate is measured from it.
    """
    if not isinstance(entry, dict) or "start" not in entry:
        raise InputError(
            f"{where}: timecode.json has no start and rate of the body; add {{'start': 'HH:MM:SS:FF', 'rate':"
            " 120} under body"
        )
    where_body = f"{where}: body"
    _, header_fps = bvh.read_header(path)
    num_frames = bvh.count_frames(path)  # the header may claim others
    given = entry_rate(entry, "rate", where_body)
    rate = given or header_fps
    if given and abs(header_fps / given - 1) > 0.01:
        log.warning(
            "%s: BVH header says %.4g fps, timecode.json %.4g; timecode.json is taken",
            where,
            header_fps,
            given,
        )
    (start, day), (end, _) = (
        entry_time(entry, "start", rate, where_body),
        entry_time(entry, "end", rate, where_body),
    )
    assert start is not None and day is not None
    more: dict[str, Any] = {
        "frames": num_frames,
        "header_rate": header_fps,
        "sha256": sha256(path),
        **marks(path),
        "day_seconds": day,
    }
    if end is None:
        return _stream(
            start,
            start + (num_frames - 1) / rate,
            rate,
            "start and rate" if given else "start and header rate",
            **more,
        )
    lasts = near(end, start + (num_frames - 1) / rate, day=day) - start
    off = lasts * rate - (num_frames - 1)
    if not -END_FRAMES <= off <= END_FRAMES:
        raise InputError(
            f"{where}: body lasts {lasts:.3f} s by start and end in timecode.json,"
            f" {(num_frames - 1) / rate:.3f} s by {num_frames} frames at {rate:g} fps; correct the rate"
            f" ({(num_frames - 1) / lasts:.4g} would agree), or start or end"
            if lasts > 0
            else (
                f"{where}: body ends at {entry['end']} before it starts at {entry['start']}; correct"
                " timecode.json"
            )
        )
    if "." not in str(entry["end"]):  # whole frames tell no drift: one frame in a minute is 140 ppm
        return _stream(start, start + (num_frames - 1) / rate, rate, "start, rate and end", **more)
    measured = (num_frames - 1) / lasts
    return _stream(
        start,
        start + lasts,
        measured,
        "start and end",
        **more,
        nominal_rate=rate,
        drift_ppm=(measured / rate - 1) * 1e6,
    )


def _check_step(step: float, at: int, seconds: np.ndarray, rate: float, where: str, limit: float) -> None:
    """Warn of timecode of frames at `seconds` (N,) that jumps by other than whole frames.

    InputError past the limit.

    Frames were not lost then: the clock was set.
    """
    gap = (seconds[at] - seconds[at - 1]) * rate
    what = (
        f"{where}: timecode goes on by {gap:.2f} frames at frame {at}, and stays {step:.2f} of a frame beside"
        " what was before"
    )
    if step > limit:
        raise InputError(
            f"{what}, need at most {limit:g}; its clock was set while it recorded: cut the take there, or"
            " raise sync.max_step_frames"
        )
    if step > WARN_STEP_FRAMES:
        log.warning("%s; was its clock set while it recorded? Lost frames are whole ones", what)


def face_stream(
    path: Path,
    entry: dict | None = None,
    where: str = "face",
    *,
    max_step_frames: float = config.Sync().max_step_frames,
) -> dict:
    """Clock of a face: its own timecodes, else the start and rate in its entry of timecode.json.

    Start None where neither is there.
    """
    entry = entry or {}
    rate, base = (
        entry_rate(entry, "rate", f"{where}: face"),
        entry_rate(entry, "timecode_rate", f"{where}: face"),
    )
    stream = faces.open_face(path, rate=rate, timecode_rate=base)
    clock = fit_clock(stream.seconds, where=f"{where}: {path.name}")
    last = int(clock.index[-1])
    if clock.dropped > MAX_LOST_SHARE * (last + 1):
        number = "timecode_rate" if stream.has_timecode else "the frames' numbers"
        raise InputError(
            f"{where}: {path.name} would have lost {clock.dropped} of {last + 1} frames at {clock.rate:.4g}"
            f" fps, need at most {100 * MAX_LOST_SHARE:g} %; check {number}: labels of another counting leave"
            " such gaps, else exclude the take"
        )
    more: dict[str, Any] = {
        "frames": len(stream.seconds),
        "dropped": clock.dropped,
        "duplicates": clock.duplicates,
        "timecode_rate": base,
    }
    more |= marks(path)
    more["longest_gap"] = float(np.diff(clock.seconds).max())
    if stream.has_timecode:
        _check_step(
            clock.step, clock.step_at, stream.seconds, clock.rate, f"{where}: {path.name}", max_step_frames
        )
        more["step_frames"] = clock.step
    if stream.has_timecode:
        more |= {
            "missing": clock.missing.tolist(),
            "jitter_ms": 1000 * clock.jitter,
            "residual_ms": 1000 * clock.bend,
        }
        more |= {
            "nominal_rate": clock.nominal,
            "drift_ppm": clock.drift_ppm,
            "day_seconds": stream.day_seconds,
        }
        given, _ = entry_time(entry, "start", clock.rate, f"{where}: face")
        _compare(
            where,
            "start under face in timecode.json",
            given,
            "the face's own timecode",
            clock.start,
            stream.day_seconds or DAY,
        )
        return _stream(clock.start, clock.start + last / clock.rate, clock.rate, "timecode per frame", **more)
    begin, day = entry_time(entry, "start", clock.rate, f"{where}: face")
    if begin is None or day is None:
        return _stream(None, last / clock.rate, clock.rate, "none", **more)
    end, _ = entry_time(entry, "end", clock.rate, f"{where}: face")
    lasts = last / clock.rate if end is None else near(end, begin + last / clock.rate, day=day) - begin
    if abs(lasts * clock.rate - last) > END_FRAMES:
        raise InputError(
            f"{where}: face lasts {lasts:.3f} s by start and end in timecode.json, {last / clock.rate:.3f} s"
            f" by its {len(stream.seconds)} frames at {clock.rate:g} fps; correct one of them"
        )
    source = "start and rate" if end is None else "start, rate and end"
    return _stream(begin, begin + last / clock.rate, clock.rate, source, **more, day_seconds=day)


def audio_stream(
    path: Path,
    where: str,
    entry: dict | None = None,
    *,
    max_step_frames: float = config.Sync().max_step_frames,
) -> dict:
    """Start and rate of a WAV: by LTC, else by bext or iXML, else by its entry's start.

    LTC is in a channel or file that the entry names.

    A TimeReference of 0, as editors write that know no time, gives way to the entry's start as it does to
    iXML's. LTC shows the recorder's true rate on the timecode's clock; a start alone does not. start is None
    where nothing tells it.
    """
    entry = entry or {}
    stream = audio.open_audio(path, channel=entry.get("channel"))
    rate, count = float(stream.rate), stream.num_samples
    more: dict[str, Any] = {
        "samples": count,
        "sample_rate": stream.rate,
        "channel": stream.channel,
        "sha256": sha256(path),
        **marks(path),
    }
    if (named := entry.get("ltc")) is not None:
        if named == stream.channel and not isinstance(named, bool):
            raise InputError(
                f"{path.name}: channel {named} of timecode.json is voice and ltc, need two; correct channel"
                " or ltc"
            )
        frames = _ltc(path, named, stream.rate, entry_rate(entry, "timecode_rate", "audio"))
        start, rate, residual = ltc.ltc_clock(frames, stream.rate)
        heard = frames.positions / stream.rate
        step, at = largest_step(frames.index, heard, 1 / frames.fps)
        _check_step(step, at, heard, frames.fps, f"{path.name}: LTC", max_step_frames)
        ltc_day = day_seconds(frames.fps, drop_frame=frames.drop_frame)
        if stream.start_seconds is not None and not stream.tells_no_time:
            _compare(where, f"{stream.source} of {path.name}", stream.start_seconds, "LTC", start, ltc_day)
        _compare(
            where,
            "start under audio in timecode.json",
            entry_time(entry, "start", FPS, "audio")[0],
            "LTC",
            start,
            ltc_day,
        )
        more |= {
            "nominal_rate": float(stream.rate),
            "drift_ppm": (rate / stream.rate - 1) * 1e6,
            "residual_ms": 1000 * residual,
        }
        more["step_frames"] = step
        more["day_seconds"] = ltc_day
        return _stream(start, start + count / rate, rate, f"LTC at {frames.fps:.4g} fps", **more)
    begin, day = stream.start_seconds, stream.day_seconds
    given, given_day = entry_time(entry, "start", FPS, "audio")
    source = stream.source
    if given and stream.tells_no_time:
        log.warning(
            "%s: TimeReference of %s is 0; start under audio in timecode.json says %.3f s, which is taken",
            where,
            path.name,
            given,
        )
        begin = source = None
    if begin is None:
        begin, day = given, given_day
    elif day is None and (base := entry_rate(entry, "timecode_rate", "audio")):
        day = day_seconds(base, drop_frame=bool(entry.get("drop_frame")))
    if begin is not None and source:
        _compare(where, "start under audio in timecode.json", given, source, begin, day or DAY)
    if begin is None:
        return _stream(None, count / rate, rate, "none", **more)
    more["day_seconds"] = day
    return _stream(begin, begin + count / rate, rate, source or "start", **more)


def _compare(where: str, what: str, given: float | None, known_by: str, start: float, day: float) -> None:
    """Warn where a start that is not used lies more than a frame from the one that is."""
    if given is not None and abs(near(given, start, day=day) - start) > 1 / FPS:
        log.warning(
            "%s: %s says %.3f s, %s %.3f s, which is taken; correct the wrong one",
            where,
            what,
            given,
            known_by,
            start,
        )


def _ltc(path: Path, named: int | str, rate: int, fps: float | None) -> ltc.LtcFrames:
    """Frames of the LTC in a channel (a number from 1) of a recording, or in another file beside it.

    `fps` None finds its rate.
    """
    # a path would leave the folder whose files the workflow watches
    if (
        isinstance(named, bool)
        or not isinstance(named, (int, str))
        or (isinstance(named, str) and Path(named).name != named)
        or named in ("", "..")
    ):
        raise InputError(
            f"{path.name}: ltc {named!r} under audio of timecode.json, need the number of a channel or the"
            " name of a WAV beside it; correct it"
        )
    beside = path if isinstance(named, int) else path.with_name(named)
    if not beside.is_file():
        raise InputError(
            f"{beside}: no such file, but audio.ltc of timecode.json names it; add the LTC or correct the"
            " name"
        )
    stream = audio.open_audio(beside, channel=named if isinstance(named, int) else 1)
    if isinstance(named, str) and stream.num_channels > 1:
        raise InputError(
            f"{beside}: {stream.num_channels} channels, need the LTC alone in a file of one channel; split"
            " the file"
        )
    if stream.rate != rate:
        raise InputError(
            f"{path.name}: LTC file {named} has {stream.rate} Hz, need {rate} as the voice, from the same"
            " recorder; correct ltc"
        )
    frames = ltc.decode_ltc(audio.blocks(stream), rate, fps=fps)
    if len(frames.positions) < 2:
        raise InputError(
            f"{path.name}: no LTC in {named!r}; name the channel or file that carries it under audio.ltc of"
            " timecode.json"
        )
    return frames
