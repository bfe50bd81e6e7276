"""Sync check: whether the recordings of a take confirm what its timecode says.

In: ARKit weights and voices of the take's two performances, out of the dataset. Out: a JSON with, per
performance, the lag of the voice against the mouth (seconds and dataset frames, positive where the voice is
late), its confidence and a verdict: "agrees", "off" by more than `warn_seconds`, or "abstains" where face and
voice do not say; the matrix of each mouth with each voice, whether the two microphones are swapped (true,
false, or null where nothing says), and the claps that are heard. A clap that both microphones hear is judged
as a confident lag is.
"""

import logging
import math
from pathlib import Path

import numpy as np

from pipeline import config, stage
from pipeline.capture import evidence
from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats import arkit
from pipeline.formats.array_files import read_npy
from pipeline.formats.takes import performance_actor
from pipeline.formats.voice_file import read_wav
from pipeline.motion.clock import FPS

log = logging.getLogger("interact")


def read_weights(path: Path) -> np.ndarray:
    """ARKit weights (N, 51) of a .npy; InputError where it is unreadable, of another shape, or holds NaN."""
    weights = read_npy(path)
    if weights.ndim != 2 or weights.shape[1] != len(arkit.NAMES):
        raise InputError(
            f"{path}: got shape {weights.shape}, need (frames, {len(arkit.NAMES)}): the ARKit weights; write"
            " it again"
        )
    bad = ~np.isfinite(weights).all(1)
    if bad.any():
        raise InputError(
            f"{path}, frame {int(np.argmax(bad))}: got {bad.sum()} frames with NaN, need none; mend the file"
        )
    return weights


def verdict(match: evidence.Match, *, warn_seconds: float) -> str:
    """agrees, off or abstains."""
    if not match.confident:
        return "abstains"
    return "agrees" if abs(match.lag_seconds) <= warn_seconds else "off"


def numbers(match: evidence.Match) -> dict:
    """A match for JSON; a lag that does not exist is null."""
    there = math.isfinite(match.lag_seconds)
    return {
        "lag_seconds": match.lag_seconds if there else None,
        "lag_frames": match.lag_seconds * FPS if there else None,
        "correlation": match.correlation,
        "score": match.score,
        "confidence": match.confidence,
    }


def check(
    faces: list[np.ndarray], voices: list[tuple[np.ndarray, int]], *, max_lag_seconds: float
) -> list[list[evidence.Match]]:
    """matches[mouth][voice] of two faces and two voices that begin together.

    Faces are (N, 51) at 30 fps, voices (S,) with their rate.
    """
    mouths = [evidence.mouth_movements(weights) for weights in faces]
    heard = [evidence.voice_movements(samples, rate) for samples, rate in voices]
    return [
        [
            evidence.agreement(mouth, voice, mouth_fps=FPS, voice_fps=fps, max_lag_seconds=max_lag_seconds)
            for voice, fps in heard
        ]
        for mouth in mouths
    ]


def run(*, face: list[Path], wav: list[Path], out: Path, options: config.SyncCheck) -> None:
    """Check one take and write its JSON."""
    take = out.stem
    names = [path.stem for path in face]
    for path, name in zip(wav, names, strict=True):
        if path.stem != name:
            raise InputError(
                f"take {take}: got {path.name} for {name}.npy, need {name}.wav; give --face and --wav in the"
                " same order"
            )
    voices = [read_wav(path) for path in wav]
    for path, (_, rate) in zip(wav, voices, strict=True):
        if rate < evidence.MIN_RATE:
            raise InputError(
                f"{path}: got {rate} samples per second, need {evidence.MIN_RATE} or more; export it at a"
                " higher rate"
            )
    matches = check([read_weights(path) for path in face], voices, max_lag_seconds=options.max_lag_seconds)
    swapped = evidence.swapped_microphones(matches)
    claps = [evidence.find_claps(samples, rate) for samples, rate in voices]
    same_rate = voices[0][1] == voices[1][1]
    offset = evidence.common_clap(*claps) if same_rate else None
    own = [matches[k][k] for k in range(2)]
    found = [verdict(match, warn_seconds=options.warn_seconds) for match in own]
    whose = [f"take {take}, actor {performance_actor(name) or name}" for name in names]
    if swapped:
        log.warning(
            "take %s: each mouth moves with the other actor's voice; the microphones are swapped, exchange"
            " the two WAVs",
            take,
        )
    for who, match, said in zip(whose, own, found, strict=True):
        if said == "off":
            log.warning(
                "%s: the voice is %+.1f ms against the mouth, need %.1f ms or less",
                who,
                1e3 * match.lag_seconds,
                1e3 * options.warn_seconds,
            )
        else:
            lag = f", lag {1e3 * match.lag_seconds:+.1f} ms" if said == "agrees" else ""
            log.info("%s: face and voice: %s (confidence %.2f)%s", who, said, match.confidence, lag)
    limit = options.max_offset_seconds
    if offset is not None and abs(offset) > min(options.warn_seconds, limit or math.inf):
        clap = (
            f"take {take}: the second microphone heard the same clap {1e3 * offset:+.1f} ms after the first"
        )
        if limit is not None and abs(offset) > limit:
            raise InputError(
                f"{clap}, need {1e3 * limit:g} ms or less; correct the timecode of a microphone, exclude the"
                " take, or raise sync_check.max_offset_seconds"
            )
        log.warning(
            "%s, need %.1f ms or less; correct the timecode of a microphone", clap, 1e3 * options.warn_seconds
        )
    for who, match, said in zip(whose, own, found, strict=True):
        if limit is not None and said != "abstains" and abs(match.lag_seconds) > limit:
            raise InputError(
                f"{who}: the voice is {match.lag_seconds:+.3f} s against the mouth, need {limit:g} s or less;"
                " correct the timecode of face or microphone, exclude the take, or raise"
                " sync_check.max_offset_seconds"
            )
    performances = {
        name: numbers(match) | {"verdict": said, "claps_seconds": heard.tolist()}
        for name, match, said, heard in zip(names, own, found, claps, strict=True)
    }
    matrix = [[numbers(match) for match in row] for row in matches]
    report = {
        "take": take,
        "performances": performances,
        "matrix": matrix,
        "swapped": swapped,
        "clap_offset_seconds": offset,
    }
    write_json(out, report | {"warn_seconds": options.warn_seconds})


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.SyncCheck)
    parser.add_argument(
        "--face",
        type=Path,
        nargs=2,
        required=True,
        help="ARKit weights of the take's two performances, by actor",
    )
    parser.add_argument("--wav", type=Path, nargs=2, required=True, help="voices of the same performances")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write, named for the take")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
