"""The place of a stream without timecode, by an actor's mouth against the own voice.

In: a face stream (mesh with its rig, or weights) and the actor's microphone, of which one has a timecode.
Out: how late the voice is if both are taken to begin at once, with a confidence (pipeline.capture.evidence).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline import config
from pipeline.capture import evidence
from pipeline.capture.stream_fit import fit_stream
from pipeline.errors import InputError
from pipeline.formats import audio, faces, live_link
from pipeline.motion import clock
from pipeline.motion.clock_model import fit_clock

VOICE_RATE = 16_000


def weights_at_30(path: Path, rig: Path | None, record: dict, where: str) -> tuple[np.ndarray, float]:
    """ARKit weights (N, 51) of a face stream at 30 fps from its first usable frame on.

    And the seconds of that after its frame 0.
    """
    stream = faces.open_face(path, rate=record["rate"], timecode_rate=record["timecode_rate"])
    found = fit_clock(stream.seconds, where=f"{where}: {path.name}")
    if not stream.is_mesh:
        weights = live_link.read_weights(path)
    elif rig is None:
        raise InputError(
            f"{where}: {path.name} is a mesh, need the actor's rig to see the mouth that places a stream"
            " without timecode; give --rig"
        )
    else:
        weights = fit_stream(stream, rig, 0, len(stream.seconds), options=config.Blendshapes()).weights
    used = found.kept & np.isfinite(weights).all(1)
    seconds = (found.index / found.rate)[used]
    times = clock.frame_times(seconds[0], int((seconds[-1] - seconds[0]) * clock.FPS) + 1)
    return clock.at_times(
        weights[used], seconds, times, max_gap_seconds=1.0, where=f"{where}: {path.name}"
    ), float(seconds[0])


def voice_lag(performance: dict, paths: dict[str, Path], rig: Path | None, where: str) -> evidence.Match:
    """The match of an actor's mouth and voice over all lags that their lengths allow.

    Lags count from the face's frame 0 and the first sample.
    """
    face, sound = performance["face"], performance["audio"]
    weights, before = weights_at_30(paths["face"], rig, face, where)
    mouth = evidence.mouth_movements(weights)
    stream = audio.open_audio(paths["audio"], channel=sound["channel"])
    num_samples = int(stream.num_samples / sound["rate"] * VOICE_RATE) - 1
    samples = audio.resample_span(stream, 0.0, num_samples, true_rate=sound["rate"], out_rate=VOICE_RATE)
    voice, fps = evidence.voice_movements(samples, VOICE_RATE)
    reach = max(len(mouth) / clock.FPS, num_samples / VOICE_RATE)
    match = evidence.offset_without_timecode(
        mouth, voice, mouth_fps=clock.FPS, voice_fps=fps, max_lag_seconds=reach
    )
    return replace(
        match, lag_seconds=match.lag_seconds - before
    )  # of a mouth that is seen late, frame 0 is that much earlier
