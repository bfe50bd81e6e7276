"""Findings about the streams of a release: bodies, faces and voices, by themselves and beside each other.

One stream is read at a time.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.formats import bvh, ict
from pipeline.formats.takes import is_performance
from pipeline.formats.unlisted import FOLDERS
from pipeline.formats.voice_file import read_wav
from pipeline.listing import files_in
from pipeline.motion import upright
from pipeline.motion.clock import AUDIO_RATE, FPS
from pipeline.motion.motion import Motion
from pipeline.release.finding import Check, Finding
from pipeline.release.streams import body_frames, cut_frames, decimation, read_face, wav_frames

MAX_FACE_RMS = 0.1
"""RMS difference of the two face formats above which they are not of one face, weights being 0 to 1."""


def list_streams(
    check: Check, root: Path, folders: Sequence[str], findings: list[Finding]
) -> dict[str, dict[str, Path]]:
    """Files by folder and performance; files whose name is none are faults."""
    found: dict[str, dict[str, Path]] = {}
    for folder in folders:
        found[folder] = {}
        for path in files_in(root / folder):
            if path.suffix != FOLDERS[folder] or not is_performance(path.stem):
                need = f"<date>_<actor>_<scenario>{FOLDERS[folder]}, date a day of the calendar as YYYYMMDD"
                findings.append(check.fault(path, "name", f"got {path.name!r}, need {need}"))
            else:
                found[folder][path.stem] = path
    return found


def read_body(check: Check, path: Path) -> Iterator[Finding | int]:
    """Findings about a body, and at last its frames at 30 fps where it can be read."""
    try:
        motion = bvh.load_bvh(path, unit="cm")
    except InputError as error:
        yield check.refused(path, "unreadable", error)
        return
    check.joints[str(path.relative_to(check.folder))] = tuple(motion.names)
    if above := motion.names[: motion.aliases().get("Hips", 0)]:
        yield check.note(
            path,
            f"joints above the hips ({', '.join(above)}) are left out, their movement goes into the hips",
        )
    unit, doubt = bvh.judge_unit(motion.names, motion.parents, motion.offsets_cm)
    if doubt:
        yield check.fault(path, "unit", f"got {doubt}, in any unit")
    elif unit != "cm":
        yield check.fault(path, "unit", f"got bones that are a human's in {unit}, need cm")
    yield from _world(check, path, motion)
    bad = ~(np.isfinite(motion.positions_cm).all((1, 2)) & np.isfinite(motion.rotations).all((1, 2)))
    if bad.any():
        yield check.fault(
            path, "nan", f"got NaN in {int(bad.sum())} frames, the first is {int(np.argmax(bad))}, need none"
        )
    if motion.claimed_frames != motion.num_frames:
        yield check.note(
            path,
            f"its header claims {motion.claimed_frames} frames, {motion.num_frames} whole rows follow and are"
            " taken",
        )
    if bvh.first_frame_is_reference(motion):
        yield check.note(
            path,
            "frame 0 is a reference pose, no part of the movement; it is kept, since all streams begin there",
        )
    try:
        step = decimation(check.options.body_fps or motion.fps, str(path))
    except InputError as error:
        yield check.refused(path, "rate", error)
        return
    if step > 1:
        yield check.note(path, f"{step * FPS} fps: every {step}th frame is read")
    yield body_frames(motion.num_frames, step)


def _world(check: Check, path: Path, motion: Motion) -> Iterator[Finding]:
    """Findings about the room in which a body stands: which way is up, and whether left is left."""
    up: str = check.options.up
    if up == "auto":
        try:
            found = upright.judge_up(motion)
        except InputError as error:
            yield check.note(path, str(error))
            return
        up = found.axis
        if found.doubt:
            yield check.note(
                path,
                f"it is not clear which axis is up: {found.doubt} It is taken for y; release_in.up"
                " settles it",
            )
        elif up != "y":
            yield check.fault(path, "up", f"got a body that stands along {up}, need y")
    if upright.is_mirrored(upright.turned(motion, up)):
        yield check.fault(path, "mirrored", "got toes that point backwards, need left and right as they are")


def read_faces(check: Check, paths: dict[str, Path]) -> Iterator[Finding | int]:
    """Findings about a performance's one or two face arrays, and at last their frames."""
    weights = {}
    for folder, path in paths.items():
        try:
            weights[folder] = read_face(path)
        except InputError as error:
            text = str(error)
            yield check.refused(
                path, "nan" if "NaN" in text else "width" if "shape" in text else "unreadable", error
            )
    if len(weights) == 2:
        one, other = weights["face_arkit"], ict.to_arkit(weights["face_ict"])
        path = paths["face_arkit"]
        if len(one) != len(other):
            yield check.fault(path, "faces", f"got {len(one)} frames, need {len(other)} as in face_ict")
        elif len(one) and (rms := float(np.sqrt(np.mean((one - other) ** 2)))) > MAX_FACE_RMS:
            yield check.fault(
                path,
                "faces",
                f"got weights that differ from those of face_ict by {rms:.2f} (RMS), need at most"
                f" {MAX_FACE_RMS}",
            )
    if weights:
        yield min(len(values) for values in weights.values())


def read_voice(check: Check, path: Path) -> Iterator[Finding | int]:
    """Findings about a voice, and at last its frames."""
    try:
        audio, rate = read_wav(path)
    except InputError as error:
        yield check.refused(
            path,
            "channels" if "channels" in str(error) else "nan" if "finite" in str(error) else "unreadable",
            error,
        )
        return
    check.rates[str(path.relative_to(check.folder))] = rate
    if rate < AUDIO_RATE:
        yield check.fault(path, "wav rate", f"got {rate} Hz, need at least {AUDIO_RATE}")
    yield wav_frames(len(audio), rate)


def check_alike(check: Check) -> Iterator[Finding]:
    """Faults of files that are not like the others."""
    for kind, values, what in (("joints", check.joints, "joints"), ("wav rate", check.rates, "Hz")):
        if not values:
            continue
        usual, _ = Counter(values.values()).most_common(1)[0]
        for file, value in values.items():
            if value == usual:
                continue
            got = f"{value} {what}, need {usual}"
            if isinstance(value, tuple) and isinstance(usual, tuple):
                missing, extra = (
                    [name for name in usual if name not in value],
                    [name for name in value if name not in usual],
                )
                odd = [f"without {', '.join(missing[:4])}"] if missing else []
                odd += [f"with {', '.join(extra[:4])}"] if extra else []
                got = (
                    f"{len(value)} joints {' and '.join(odd) or 'in another order'}, need the {len(usual)} of"
                    " the other files"
                )
            yield Finding(file, kind, f"got {got}")


def check_performance(
    check: Check, name: str, files: dict[str, dict[str, Path]], lengths: dict[str, int]
) -> Iterator[Finding]:
    """Findings about a performance's streams; what can be read adds its frames to `lengths`."""
    here = {folder: paths[name] for folder, paths in files.items() if name in paths}
    faces = {folder: path for folder, path in here.items() if folder.startswith("face")}
    need = [folder for folder in ("bvhs", "wav") if folder in files]
    for folder in need:
        if folder not in here:
            yield check.fault(
                _path(check, files, folder, name),
                "missing",
                "got no such file, need one for each performance",
            )
    if not faces:
        yield check.fault(
            _path(check, files, "face_arkit", name),
            "missing",
            "got no such file and none in face_ict, need one of them",
        )
    elif len(faces) == 1 and all(files[folder] for folder in ("face_arkit", "face_ict")):
        lacking = "face_ict" if "face_arkit" in faces else "face_arkit"
        yield check.note(_path(check, files, lacking, name), f"no such file, {next(iter(faces))} has one")
    readers = [("body", read_body(check, here["bvhs"]))] if "bvhs" in here else []
    readers += [("face", read_faces(check, faces))] + (
        [("wav", read_voice(check, here["wav"]))] if "wav" in here else []
    )
    for stream, reader in readers:
        for item in reader:
            if isinstance(item, Finding):
                yield item
            else:
                lengths[f"{stream} of {name}"] = item


def _path(check: Check, files: dict[str, dict[str, Path]], folder: str, name: str) -> Path:
    """Where a file of a performance that is missing would be."""
    root = next((path.parent.parent for paths in files.values() for path in paths.values()), check.folder)
    return root / folder / f"{name}{FOLDERS[folder]}"


def check_lengths(check: Check, where: Path, label: str, lengths: dict[str, int]) -> Iterator[Finding]:
    """A fault where streams that belong together differ too much, a note where they are trimmed."""
    if not lengths:
        return
    try:
        shortest = cut_frames(lengths, check.options.max_trim_seconds, label)
    except InputError as error:
        body, rest = (
            [n for key, n in lengths.items() if key.startswith("body") == is_body]
            for is_body in (True, False)
        )
        ratio = np.median(body) / max(np.median(rest), 1) if body and rest else 1.0
        hint = (
            f" (bodies last {ratio:.2f} times as long as the rest: is the rate in their headers wrong?)"
            if not 0.67 < ratio < 1.5
            else ""
        )
        yield check.fault(where, "length", f"{error}{hint}")
        return
    if trimmed := {name: frames - shortest for name, frames in lengths.items() if frames > shortest}:
        what = ", ".join(f"{name} by {frames}" for name, frames in trimmed.items())
        yield check.note(where, f"{label}: trimmed to {shortest} frames, {what}")
