"""Quality: whether a take's files belong together, and what its stages had to mend.

One JSON with a verdict.

In: the dataset's BVH, ARKit weights and WAV of the take's two performances, and the JSON reports of the
capture stages (sync, body, fit, separation; none for a downloaded release) and of sync_check. Out: {"take",
"verdict": "good" or "check", "reasons": [...], "performances": {name: measures}, "talk": measures of the two
voices together, "parts": {stage: {name: report}}}. Speech, overlap and turns are found in the dataset's own
WAVs (pipeline.capture.voice_quality), so a download has them too.

`check` means that a person should look before the take is used; the reasons say at what. Files that do not
belong together (other lengths, NaN, another number of weights) are errors.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.annotate import frozen
from pipeline.capture import body_faults, face_quality, voice_quality
from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats import arkit
from pipeline.formats.array_files import read_npy
from pipeline.formats.bvh import load_bvh
from pipeline.formats.voice_file import read_wav
from pipeline.motion.clock import AUDIO_RATE, FPS, sample_of
from pipeline.reading import read_json
from pipeline.signals.resampling import resample

MAX_WAV_SECONDS = 0.1
MAX_MENDED_SHARE = 0.01
"""Share of frames that were dropped or interpolated above which a take is to be looked at."""
MAX_JUMP_CM = 15.0
"""Way of the hips in one frame, 4.5 m/s: faster than anybody moves in a scene."""
MAX_CLIPPED_SHARE = 1e-4
MAX_LEAK_DB = -15.0
"""Level of the other voice that may be left in a voice, against that of its owner.

What the mask leaves of -8 dB of crosstalk is below.
"""
SILENT_DB = -60.0
RATE_TOLERANCE = 1e-3
WARNING_PARTS = ("sync", "body", "fit", "separation", "release_in")
"""Stages whose reports tell the warnings of their run."""


def measure(bvh: Path, face: Path, wav: Path) -> dict:
    """Measures of one performance's files; InputError where they do not belong together or hold NaN."""
    motion = load_bvh(bvh)
    weights = read_npy(face)
    audio, rate = read_wav(wav)
    num_frames = motion.num_frames
    if abs(motion.fps - FPS) > 1e-3:
        raise InputError(f"{bvh}: got {motion.fps:g} fps, need 30; bring it to the dataset's rate")
    shape = (num_frames, len(arkit.NAMES))
    if weights.shape != shape:
        raise InputError(
            f"{face}: got shape {weights.shape}, need {shape}: as many frames as {bvh.name} and the 51 ARKit"
            " weights; cut both alike"
        )
    need = int(sample_of(num_frames, rate))
    if abs(len(audio) - need) > MAX_WAV_SECONDS * rate:
        raise InputError(
            f"{wav}: got {len(audio)} samples, need {need} for {num_frames} frames of 1/30 s; cut both to the"
            " same window"
        )
    for path, values in ((bvh, motion.positions_cm), (bvh, motion.rotations), (face, weights)):
        bad = ~np.isfinite(values).reshape(num_frames, -1).all(1)
        if bad.any():
            raise InputError(
                f"{path}: NaN in {bad.sum()} frames, the first is {int(np.argmax(bad))}; need none, mend the"
                " file"
            )
    hips = motion.positions_cm[:, 0]
    return {
        "frames": num_frames,
        "wav_samples_off": len(audio) - need,
        "hips_jump_cm": float(np.linalg.norm(np.diff(hips, axis=0), axis=1).max(initial=0.0)),
        "weight_min": float(weights.min()),
        "weight_max": float(weights.max()),
        "face_moves": bool(np.ptp(weights, axis=0).max() > 1e-3),
        "level_db": float(10 * np.log10(max(float(np.mean(audio.astype(float) ** 2)), 1e-12))),
        "clipped_share": float(voice_quality.clipped(audio).mean()),
        "frozen": {
            "body": frozen.of_body(motion),
            "face": frozen.of_face(weights, FPS),
            "voice": frozen.of_voice(audio, rate),
        },
        "noise_floor_db": voice_quality.noise_floor_db(audio, rate),
    }


def measure_talk(wavs: list[Path]) -> tuple[dict, list[dict]]:
    """Measures of a take's two voices together, and when and how long each of them speaks."""
    voices = [resample(*read_wav(path)) for path in wavs]
    length = max(map(len, voices)) / AUDIO_RATE
    segments = voice_quality.speech(voices)
    each = [
        {
            "speech_share": voice_quality.seconds(own) / length,
            "speech": [[round(t, 3) for t in segment] for segment in own],
        }
        for own in segments
    ]
    return voice_quality.conversation(segments, length), each


def own_reasons(name: str, found: dict) -> Iterator[str]:
    """What in a performance's measures a person should look at."""
    if found["wav_samples_off"]:
        yield f"{name}: wav is {found['wav_samples_off']:+d} samples off the length of its body"
    if found["hips_jump_cm"] > MAX_JUMP_CM:
        yield f"{name}: hips jump {found['hips_jump_cm']:.1f} cm in one frame"
    if reason := face_quality.range_reason(found["weight_min"], found["weight_max"]):
        yield f"{name}: {reason}"
    for stream, stretches in found["frozen"].items():
        if stretches:
            start, seconds = max(stretches, key=lambda stretch: stretch[1])
            more = f", the longest of {len(stretches)} stretches" if len(stretches) > 1 else ""
            yield f"{name}: the {stream} is frozen for {seconds:.2f} s at {start:.2f} s{more}"
    if not found["face_moves"] and not found["frozen"]["face"]:
        yield f"{name}: the face never moves"
    if found["level_db"] < SILENT_DB:
        yield f"{name}: the voice is silent ({found['level_db']:.0f} dB)"
    if found["clipped_share"] > MAX_CLIPPED_SHARE:
        yield f"{name}: {100 * found['clipped_share']:.2f} % of the voice's samples are clipped"


def part_reasons(parts: dict[str, dict[str, dict]], num_frames: int) -> Iterator[str]:
    """What in the capture stages' reports a person should look at."""
    for report in parts.get("sync", {}).values():
        for performance in report.get("performances", []):
            who, face = f"actor {performance.get('actor')}", performance.get("face", {})
            dropped, frames = face.get("dropped", 0), face.get("frames", 0)
            if dropped > MAX_MENDED_SHARE * max(frames, 1):
                yield f"{who}: the face recorder dropped {dropped} of {frames + dropped} frames"
            rate = face.get("rate")
            if rate and abs(rate / round(rate) - 1) > RATE_TOLERANCE:
                yield f"{who}: the face recorder ran at {rate:.3f} fps, its clock drifts"
    for kind, key in (("body", "nan_rows_interpolated"), ("fit", "nan_frames_interpolated")):
        for name, report in parts.get(kind, {}).items():
            if report.get(key, 0) > MAX_MENDED_SHARE * num_frames:
                yield f"{name}: {report[key]} {kind} frames with NaN were interpolated"
    for name, report in parts.get("body", {}).items():
        if "quality" in report:
            yield from (f"{name}: {reason}" for reason in body_faults.reasons(report["quality"]))
    for name, report in parts.get("fit", {}).items():
        if reason := face_quality.residual_reason(report.get("residual_rms_cm")):
            yield f"{name}: {reason}"
    for report in parts.get("sync_check", {}).values():
        if report.get("swapped"):
            yield "each mouth moves with the other actor's voice: the microphones are swapped"
        clap = report.get("clap_offset_seconds")
        if clap is not None and abs(clap) > report.get("warn_seconds", 0.5 / FPS):
            yield f"the second microphone heard the same clap {1e3 * clap:+.0f} ms after the first"
        for name, found in report.get("performances", {}).items():
            if found.get("verdict") == "off":
                yield f"{name}: the voice is {1e3 * found['lag_seconds']:+.0f} ms against the mouth"
    for name, report in parts.get("separation", {}).items():
        clipped, samples = report.get("clipped_samples", 0), report.get("samples", 0)
        if clipped > MAX_CLIPPED_SHARE * max(samples, 1):
            yield f"{name}: the microphone is clipped in {clipped} samples"
        leak = report.get("leak_after_db")
        if leak is not None and leak > MAX_LEAK_DB:
            yield (
                f"{name}: the other actor is heard in the voice, {-leak:.0f} dB below the own voice of that"
                " actor"
            )


def warnings_of(parts: dict[str, dict[str, dict]], said: Iterable[str]) -> Iterator[str]:
    """Warnings of the stages whose streams these are, but for those that a reason `said` already."""
    said = list(said)
    for kind in WARNING_PARTS:
        for name, report in parts.get(kind, {}).items():
            for text in report.get("warnings", []):
                if not any(text.endswith(reason.partition(": ")[2]) for reason in said):
                    yield text if name in text else f"{name}: {text}"


def read_parts(paths: list[Path]) -> dict[str, dict[str, dict]]:
    """Reports by stage and name; a report's stage is the name of its folder."""
    parts: dict[str, dict[str, dict]] = {}
    for path in sorted(paths):
        report = read_json(path)
        if not isinstance(report, dict):
            raise InputError(
                f"{path}: got {type(report).__name__}, need the JSON object that a stage reports; write it"
                " again"
            )
        parts.setdefault(path.parent.name, {})[path.stem] = report
    return parts


def run(*, bvh: list[Path], face: list[Path], wav: list[Path], parts: list[Path], out: Path) -> None:
    """Check a take's files and write its quality."""
    found = {path.stem: measure(path, *others) for path, *others in zip(bvh, face, wav, strict=True)}
    frames = [measures["frames"] for measures in found.values()]
    if len(set(frames)) != 1:
        raise InputError(
            f"{bvh[1]}: got {frames[-1]} frames, need {frames[0]} as in {bvh[0]}; cut both to the same window"
        )
    reports = read_parts(parts)
    for path, report in ((path, report) for path, report in reports.get("sync", {}).items()):
        if report.get("frames", frames[0]) != frames[0]:
            raise InputError(
                f"{bvh[0]}: got {frames[0]} frames, sync report {path} says {report['frames']}; run the"
                " stages after sync again"
            )
    talk, spoken = measure_talk(wav)
    for measures, own in zip(found.values(), spoken, strict=True):
        measures |= own
    reasons = [reason for name, measures in found.items() for reason in own_reasons(name, measures)] + list(
        part_reasons(reports, frames[0])
    )
    reasons += warnings_of(reports, reasons)
    verdict = "check" if reasons else "good"
    write_json(
        out,
        {
            "take": out.stem,
            "verdict": verdict,
            "reasons": reasons,
            "performances": found,
            "talk": talk,
            "parts": reports,
        },
    )


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument(
        "--bvh", type=Path, nargs=2, required=True, help="bodies of the take's two performances, by actor"
    )
    parser.add_argument("--face", type=Path, nargs=2, required=True, help="their ARKit weights")
    parser.add_argument("--wav", type=Path, nargs=2, required=True, help="their voices")
    parser.add_argument(
        "--parts",
        type=Path,
        nargs="*",
        default=[],
        help="reports of stages, each in a folder named for it: sync/TAKE.json, ...",
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON to write, named for the take")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
