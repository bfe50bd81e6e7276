"""Sync: timecode of every stream of a take to one clock and one common window.

In: the take's timecode.json (docs/timecode.md), BVH, face stream and WAV of both performances. Out:
sync/<take>.json with the window's start (seconds of the shoot's day), its number of frames at 30 fps, and for
each stream where it begins on that clock, how fast it ran, how that is known, and what was lost; on the log a
table of the same; with --out-picture the streams on one time line.

What each stream says of its own time is read by pipeline.capture.stream_clocks. Streams of one take agree
about midnight: all starts are brought to within half a day.

One performance alone is synced with one of each stream: named by its WAV, without timecode.json where its
streams have timecode, and without body, where the window is what face and voice both cover.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import config, stage
from pipeline.capture import sync_rates
from pipeline.capture.stream_clocks import audio_stream, body_stream, face_stream
from pipeline.errors import InputError
from pipeline.figures.figure import need_png
from pipeline.files import need_file
from pipeline.formats.sync_file import KINDS, kinds_of
from pipeline.formats.timecode import DAY, near
from pipeline.formats.timecode_file import read_entries
from pipeline.motion.clock import FPS
from pipeline.run_report import write_report

log = logging.getLogger("interact")
WARN_SECONDS = 0.5 / FPS
"""Half a frame of the dataset: what is further off is seen."""


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
    entries = read_entries(timecode, take, actors, kinds) if timecode else {}
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
