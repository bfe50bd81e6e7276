"""Sync: timecode of every stream of a take to one clock and one common window.

In: the take's timecode.json (docs/timecode.md), BVH, face stream and WAV of both performances. Out:
sync/<take>.json with the window's start (seconds of the shoot's day), its number of frames at 30 fps, and for
each stream where it begins on that clock, how fast it ran, how that is known, and what was lost; on the log a
table of the same; with --out-picture the streams on one time line.

A stream that stamps every frame (a face, LTC in a channel) has its drops indexed first, then offset, drift
and jitter fitted (pipeline.motion.clock_model). A stream with a start only (a body, a Broadcast Wave) shows
no drift: its rate is taken as given, and the table says so. Streams of one take agree about midnight: all
starts are brought to within half a day.

One performance alone is synced with one of each stream: named by its WAV, without timecode.json where its
streams have timecode, and without body, where the window is what face and voice both cover.
"""

import difflib
import logging
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import config, stage
from pipeline.capture import sync_rates
from pipeline.errors import InputError
from pipeline.figures.figure import need_png
from pipeline.files import need_file, sha256
from pipeline.formats import audio, bvh, faces, ltc
from pipeline.formats.sync_file import KINDS, kinds_of, marks
from pipeline.formats.timecode import DAY, day_seconds, label_day, near, parse_timecode
from pipeline.motion.clock_model import fit_clock, largest_step
from pipeline.reading import read_json
from pipeline.run_report import write_report

log = logging.getLogger("interact")
FPS = 30
WARN_SECONDS = 0.5 / FPS
"""Half a frame of the dataset: what is further off is seen."""
WARN_STEP_FRAMES = 0.1
"""Jump of a timecode by other than whole frames that is told.

Recordings of two iPhones show less than 0.001.
"""
MAX_LOST_SHARE = 0.2
"""Share of lost frames that no recorder that still works reaches.

A timecode that is counted at twice its base does.
"""
KEYS = {
    "body": ("start", "rate", "end", "timecode_rate", "drop_frame"),
    "face": ("start", "rate", "end", "timecode_rate", "drop_frame"),
    "audio": ("start", "timecode_rate", "drop_frame", "channel", "ltc"),
}
"""Keys of an entry of timecode.json: no other would be read."""
END_FRAMES = 1.5
"""Frames by which `end`, the last frame's timecode, may differ from start, rate and number of frames.

Some write the one after it.
"""


def _rate(entry: dict, key: str, where: str) -> float | None:
    rate = entry.get(key)
    if rate is None:
        return None
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < 1e6:
        raise InputError(
            f"{where}: {key} {rate!r} in timecode.json, need frames per second, such as 120; correct it"
        )
    return float(rate)


def _time(entry: dict, key: str, rate: float, where: str) -> tuple[float, float] | tuple[None, None]:
    """Seconds since midnight of a timecode in an entry of timecode.json.

    It is counted at its timecode_rate (default: the stream's).

    The second value is the length of the day that it counts in.
    """
    if key not in entry:
        return None, None
    counting = _rate(entry, "timecode_rate", where) or rate, entry.get("drop_frame")
    try:
        return parse_timecode(str(entry[key]), *counting), label_day(str(entry[key]), *counting)
    except InputError as error:
        raise InputError(f"{where}: {key} in timecode.json: {error}") from None


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
    given = _rate(entry, "rate", where_body)
    rate = given or header_fps
    if given and abs(header_fps / given - 1) > 0.01:
        log.warning(
            "%s: BVH header says %.4g fps, timecode.json %.4g; timecode.json is taken",
            where,
            header_fps,
            given,
        )
    (start, day), (end, _) = _time(entry, "start", rate, where_body), _time(entry, "end", rate, where_body)
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
    rate, base = _rate(entry, "rate", f"{where}: face"), _rate(entry, "timecode_rate", f"{where}: face")
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
        given, _ = _time(entry, "start", clock.rate, f"{where}: face")
        _compare(
            where,
            "start under face in timecode.json",
            given,
            "the face's own timecode",
            clock.start,
            stream.day_seconds or DAY,
        )
        return _stream(clock.start, clock.start + last / clock.rate, clock.rate, "timecode per frame", **more)
    begin, day = _time(entry, "start", clock.rate, f"{where}: face")
    if begin is None or day is None:
        return _stream(None, last / clock.rate, clock.rate, "none", **more)
    end, _ = _time(entry, "end", clock.rate, f"{where}: face")
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
        frames = _ltc(path, named, stream.rate, _rate(entry, "timecode_rate", "audio"))
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
            _time(entry, "start", FPS, "audio")[0],
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
    given, given_day = _time(entry, "start", FPS, "audio")
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
    elif day is None and (base := _rate(entry, "timecode_rate", "audio")):
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


def common_window(streams: dict[str, dict], where: str, *, min_seconds: float) -> tuple[float, int]:
    """Start in seconds and number of frames of the window that all streams cover.

    Frame k is at start + k / 30. A stream of frames must reach the last frame, audio must cover the last
    frame's span.
    """
    first = max(streams, key=lambda name: streams[name]["start"])
    last = min(streams, key=lambda name: streams[name]["end"])
    start, end = streams[first]["start"], streams[last]["end"]
    if end - start < min_seconds:
        raise InputError(
            f"{where}: streams do not overlap by {min_seconds:g} s: {first} starts at {start:.3f} s, {last}"
            f" ends at {end:.3f} s of the day; correct the timecode of one of them or exclude the take"
        )
    counts = [(s["end"] - start) * FPS + (0 if name.endswith("audio") else 1) for name, s in streams.items()]
    return start, int(np.floor(min(counts) + 1e-6))


def _entries(timecode: Path, take: str, actors: list[str], kinds: list[str]) -> dict[str, dict]:
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


def table(take: dict) -> list[str]:
    """Lines of the table that explains a take: a header and a row for each stream."""
    head = (
        f"{'stream':<12}{'start, s':>13}{'offset, s':>11}{'rate':>12}{'drift':>13}"
        f"{'lost':>7}{'twice':>7}{'jitter':>13}{'residual':>13}  known by"
    )
    lines = [head]
    for performance in take["performances"]:
        for kind in kinds_of(performance):
            s = performance[kind]
            drift = "unknown" if s["drift_ppm"] is None else f"{s['drift_ppm']:+.1f} ppm"
            jitter, residual = (
                "-" if s[key] is None else f"{s[key]:.3f} ms" for key in ("jitter_ms", "residual_ms")
            )
            counts = f"{s.get('dropped', '-'):>7}{s.get('duplicates', '-'):>7}"
            lines.append(
                f"{performance['actor'] + ' ' + kind:<12}{s['start']:>13.4f}"
                f"{take['start_seconds'] - s['start']:>11.4f}{s['rate']:>12.4f}{drift:>13}"
                f"{counts}{jitter:>13}{residual:>13}  {s['source']}"
            )
    return lines


def draw(path: Path, take: dict) -> None:
    """Write the picture of a take's streams on one time line."""
    from pipeline.figures.figure import pyplot, save
    from pipeline.figures.timeline import draw_streams

    figure, ax = pyplot().subplots(figsize=(12, 3.2), layout="constrained")
    draw_streams(ax, take)
    ax.set_xlabel("seconds from the first frame")
    save(figure, path)


def _without_timecode(
    performances: list[dict],
    files: list[dict[str, Path]],
    rigs: list[Path | None],
    where: str,
    options: config.Sync,
) -> None:
    """Give streams that have no start one, by the mouth and the voice.

    InputError where that was not asked for or is not certain.
    """
    for performance, paths, rig in zip(performances, files, rigs, strict=True):
        unknown = [kind for kind in kinds_of(performance) if performance[kind]["start"] is None]
        if not unknown:
            continue
        who = f"{where}, actor {performance['actor']}"
        kind = unknown[0]
        hint = (
            f"record or export {paths[kind].name} with timecode, or give its start under {kind} in"
            " timecode.json"
        )
        if len(unknown) > 1:
            raise InputError(f"{who}: neither face nor audio has a timecode, need one of them; {hint}")
        if options.without_timecode != "voice":
            raise InputError(
                f"{who}: {paths[kind].name} has no timecode; {hint}, or set sync.without_timecode to voice"
            )
        from pipeline.capture import sync_voice

        match = sync_voice.voice_lag(performance, paths, rig, who)
        if not match.confident:
            raise InputError(
                f"{who}: {paths[kind].name} has no timecode, and mouth and voice do not agree clearly"
                f" anywhere; {hint}"
            )
        face, sound = performance["face"], performance["audio"]
        # begun at once the voice would be late by the lag: it begins earlier than the face by that much
        start = sound["start"] + match.lag_seconds if kind == "face" else face["start"] - match.lag_seconds
        performance[kind] |= {
            "start": start,
            "end": start + performance[kind]["end"],
            "source": "mouth and voice",
            "confidence": match.confidence,
        }
        log.warning(
            "%s: %s has no timecode; mouth and voice place it at %.3f s (confidence %.2f)",
            who,
            paths[kind].name,
            start,
            match.confidence,
        )


def _streams_to_sync(
    timecode: Path | None, actors: list[str], bvh: list[Path], face: list[Path], wav: list[Path]
) -> tuple[str, list[str]]:
    """Name of what is synced and kinds of its streams; InputError where an actor of a take lacks a stream."""
    counts = {"--bvh": len(bvh), "--face": len(face), "--wav": len(wav)}
    alone = len(actors) == 1
    if alone and not bvh:
        del counts["--bvh"]
    if len(actors) > 2 or set(counts.values()) != {len(actors)} or not (alone or timecode):
        got = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise InputError(
            f"actors {', '.join(actors)}: got {got} and {'a' if timecode else 'no'} --timecode; need one of"
            " each for each of two actors, and timecode.json; one actor alone needs only --face and --wav;"
            " correct the command"
        )
    name = timecode.parent.name if timecode and not alone else wav[0].stem
    return name, [kind for kind in KINDS if kind != "body" or bvh]


def run(
    *,
    timecode: Path | None,
    actors: list[str],
    bvh: list[Path],
    face: list[Path],
    wav: list[Path],
    out: Path,
    options: config.Sync,
    rig: list[Path] | None = None,
    out_picture: Path | None = None,
) -> None:
    """Sync one take, or one performance alone, and write its JSON."""
    need_file(out)
    if out_picture:
        need_file(out_picture)
        need_png(out_picture)
    if rig and len(rig) != len(actors):
        raise InputError(
            f"actors {', '.join(actors)}: got {len(rig)} --rig, need one for each actor, in their order;"
            " correct the command"
        )
    take, kinds = _streams_to_sync(timecode, actors, bvh, face, wav)
    entries = _entries(timecode, take, actors, kinds) if timecode else {}
    performances: list[dict[str, Any]] = []
    files: list[dict[str, Path]] = []
    for k, actor in enumerate(actors):
        where = f"take {take}, actor {actor}"
        of = {kind: entries.get(kind, {}).get(actor) for kind in kinds}
        found = {"body": body_stream(bvh[k], of["body"], where)} if "body" in kinds else {}
        found["face"] = face_stream(face[k], of["face"], where, max_step_frames=options.max_step_frames)
        try:
            found["audio"] = audio_stream(wav[k], where, of["audio"], max_step_frames=options.max_step_frames)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        sync_rates.check_sample_rate(found, where, wav[k].name)
        sync_rates.forget_empty_reference(found, where, wav[k].name)
        performances.append({"actor": actor, **found})
        files.append({"face": face[k], "audio": wav[k]})
    # a body has a start; alone, face or voice tells the day, or both lack one and are refused below
    reference = next((start for kind in kinds if (start := performances[0][kind]["start"]) is not None), 0.0)
    # a stream that does not say how it counts is taken to count as the take's first that does
    usual = next((day for p in performances for kind in kinds if (day := p[kind]["day_seconds"])), DAY)
    for performance in performances:
        for kind in kinds:
            stream = performance[kind]
            if stream["start"] is not None:
                days = near(stream["start"], reference, day=stream["day_seconds"] or usual) - stream["start"]
                stream["start"], stream["end"] = stream["start"] + days, stream["end"] + days
            residual = stream["residual_ms"]
            if residual is not None and residual > options.max_residual_ms:
                raise InputError(
                    f"take {take}, actor {performance['actor']}: the timecode of the {kind} leaves its own"
                    f" straight line by {residual:.1f} ms, need at most {options.max_residual_ms:g}; its"
                    " clock was set while it recorded: cut the take there or exclude it"
                )
            if residual is not None and residual > 1000 * WARN_SECONDS:
                log.warning(
                    "take %s, actor %s: the timecode of the %s bends by %.1f ms",
                    take,
                    performance["actor"],
                    kind,
                    residual,
                )
    sync_rates.check_rates(performances, f"take {take}")
    _without_timecode(
        performances, files, list(rig) if rig else [None] * len(performances), f"take {take}", options
    )
    streams = {
        f"{performance['actor']} {kind}": performance[kind] for performance in performances for kind in kinds
    }
    start, num_frames = common_window(streams, f"take {take}", min_seconds=options.min_seconds)
    result = {
        "take": take,
        "start_seconds": start,
        "frames": num_frames,
        "fps": FPS,
        "performances": performances,
    }
    for line in table(result):
        log.info("%s", line)
    log.info("%s window starts at %.4f s, %d frames", take, start, num_frames)
    if out_picture:
        draw(out_picture, result)
    write_report(out, result)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Sync)
    parser.add_argument(
        "--timecode", nargs="?", type=Path, help="timecode.json of the take; one actor alone may have none"
    )
    parser.add_argument(
        "--actors", nargs="+", required=True, help="the two actors, in id order, or one alone"
    )
    parser.add_argument(
        "--bvh",
        nargs="*",
        type=Path,
        default=[],
        help="bodies, in actor order; one actor alone may have none",
    )
    parser.add_argument("--face", nargs="+", type=Path, required=True, help="face streams, in actor order")
    parser.add_argument("--wav", nargs="+", type=Path, required=True, help="WAVs, in actor order")
    parser.add_argument(
        "--rig",
        nargs="*",
        type=Path,
        help="rigs, in actor order: only to place a mesh without timecode by its mouth",
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--out-picture", type=Path, help="PNG to write: the streams on one time line")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
