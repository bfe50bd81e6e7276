"""Release in: one performance of a download, brought to the dataset's clock beside it.

In: the streams of both performances of a take, in a download's folders. Out: the performance's body at 30
fps, ARKit weights (N, 51) and voice, of one length throughout the take, and a JSON that tells what was done.
What is right already is not copied: its output is a symbolic link to the file of the download, which is never
written to. The rules are those of pipeline.release.streams; ARKit weights that a download lacks are made of
its ICT weights.
"""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.config import ReleaseIn
from pipeline.errors import InputError
from pipeline.files import give_name, whole
from pipeline.formats import ict
from pipeline.formats.array_files import read_npy
from pipeline.formats.bvh import count_frames, load_bvh, read_header, save_bvh
from pipeline.formats.voice_file import read_wav
from pipeline.motion import upright
from pipeline.motion.clock import FPS, sample_of
from pipeline.motion.motion import Motion
from pipeline.motion.skeleton import keep_joints
from pipeline.reading import plain
from pipeline.release.streams import body_frames, cut_frames, decimation, read_face, wav_frames
from pipeline.run_report import write_report

log = logging.getLogger("interact")


def link(source: Path, target: Path) -> None:
    """Let `target` be a symbolic link to `source`."""
    give_name(target, lambda path: path.symlink_to(source.resolve()))


def face_frames(path: Path) -> int:
    """Frames of a face array, by its header."""
    array = read_npy(path, mapped=True, fix="exclude the take")
    if not array.ndim:
        raise InputError(f"{path}: one number, need a row for each frame; exclude the take")
    return len(array)


def voice_frames(path: Path) -> int:
    """Frames that a voice has the samples of, by its header."""
    import soundfile

    plain(path)
    try:
        about = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(
            f"{path}: cannot be read as WAV ({' '.join(str(error).split())}); exclude the take"
        ) from None
    return wav_frames(about.frames, about.samplerate)


def from_the_hips(motion: Motion) -> Motion:
    """The motion without joints above the hips, such as a root that stands for the stage.

    Their movement goes into the hips.
    """
    found = motion.aliases()
    if found.get("Hips", 0) == 0:
        return motion
    below = {found["Hips"]}
    for j, parent in enumerate(motion.parents):
        if int(parent) in below:
            below.add(j)
    return keep_joints(motion, [name for j, name in enumerate(motion.names) if j in below])


def standing(bvh: list[Path], up: str) -> tuple[Motion, Motion]:
    """The first of two bodies as it is in its file and with y up.

    Where it is in doubt, the other one decides.
    """
    motion = load_bvh(bvh[0], unit="cm")
    bodies = [motion]
    if up == "auto" and upright.in_doubt(motion):
        bodies.append(load_bvh(bvh[1], unit="cm"))
    bodies = upright.stand(bodies, up, wheres=[str(path) for path in bvh[: len(bodies)]], key="release_in.up")
    return motion, bodies[0]


def write_body(motion: Motion, stood: Motion, source: Path, target: Path, step: int, num_frames: int) -> None:
    """The body `stood`, from the hips down, every `step`-th frame, `num_frames` of them, at 30 fps.

    A link to its file where it is `motion`, what the file has.
    """
    body = from_the_hips(stood)
    if (
        body is motion
        and step == 1
        and motion.num_frames == motion.claimed_frames == num_frames
        and motion.fps == FPS
    ):
        link(source, target)
        return
    with whole(target) as temporary:
        save_bvh(temporary, replace(body.frames(slice(0, num_frames * step, step)), fps=float(FPS)))


def write_face(source: Path, target: Path, num_frames: int) -> None:
    """The ARKit weights, of ICT weights where the source holds those."""
    weights = read_face(source)
    if source.parent.name == "face_arkit" and len(weights) == num_frames:
        link(source, target)
        return
    if source.parent.name == "face_ict":
        weights = ict.to_arkit(weights)
    with whole(target) as temporary:
        np.save(temporary, weights[:num_frames].astype(np.float32))


def write_voice(source: Path, target: Path, num_frames: int) -> None:
    """The voice of `num_frames` frames; samples that are no integers of up to 24 bits become such."""
    import soundfile

    audio, rate = read_wav(source)
    size = int(sample_of(num_frames, rate))
    if len(audio) == size:
        link(source, target)
        return
    with whole(target) as temporary:
        subtype = soundfile.info(str(source)).subtype
        soundfile.write(
            temporary,
            np.clip(audio[:size], -1, 1),
            rate,
            subtype=subtype if subtype == "PCM_16" else "PCM_24",
        )


def run(
    *,
    bvh: list[Path],
    face: list[Path],
    wav: list[Path],
    out_bvh: Path,
    out_face: Path,
    out_wav: Path,
    out_report: Path,
    options: ReleaseIn,
) -> None:
    """Write the streams of the first performance, cut to what both have."""
    lengths: dict[str, int] = {}
    steps = []
    for body, weights, voice in zip(bvh, face, wav, strict=True):
        name = body.stem
        steps.append(decimation(options.body_fps or read_header(body)[1], str(body)))
        lengths |= {
            f"body of {name}": body_frames(count_frames(body), steps[-1]),
            f"face of {name}": face_frames(weights),
            f"wav of {name}": voice_frames(voice),
        }
    num_frames = cut_frames(lengths, options.max_trim_seconds, f"take of {bvh[0].stem} and {bvh[1].stem}")
    motion, stood = standing(bvh, options.up)
    write_body(motion, stood, bvh[0], out_bvh, steps[0], num_frames)
    write_face(face[0], out_face, num_frames)
    write_voice(wav[0], out_wav, num_frames)
    own = {
        key.split(" ")[0]: frames - num_frames for key, frames in lengths.items() if key.endswith(bvh[0].stem)
    }
    if any(own.values()):
        log.warning(
            "%s: trimmed to %d frames: %s",
            bvh[0].stem,
            num_frames,
            ", ".join(f"{key} by {n}" for key, n in own.items() if n),
        )
    made = face[0].parent.name == "face_ict"
    value = {
        "performance": bvh[0].stem,
        "frames": num_frames,
        "decimated_by": steps[0],
        "trimmed_frames": own,
        "face_from_ict": made,
    }
    write_report(out_report, value)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=ReleaseIn)
    parser.add_argument(
        "--bvh",
        type=Path,
        nargs=2,
        required=True,
        help="bodies of the performance and of the other one of its take",
    )
    parser.add_argument(
        "--face", type=Path, nargs=2, required=True, help="their weights, from folders face_arkit or face_ict"
    )
    parser.add_argument("--wav", type=Path, nargs=2, required=True, help="their voices")
    for name, what in (
        ("bvh", "body"),
        ("face", "ARKit weights"),
        ("wav", "voice"),
        ("report", "JSON on what was done"),
    ):
        parser.add_argument(f"--out-{name}", type=Path, required=True, help=f"{what} to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
