"""Takes for other programs: both actors as GLB or USD, bodies as BVH, faces as CSV, voices as FLAC or WAV.

    python -m pipeline.view.export 20240110_007 --source data --out exported

In: a run, a dataset, a release, or a folder with bvhs/ and, where there are some, face_arkit/, wav/ and
rigs/.
Out: a folder for each take. A file holds one variant, what was captured or one sample of a trained model: all
people on one clock. BVH and WAV are copies of the files as they are; FLAC has the samples of the WAV.
"""

import logging
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pipeline import ownership, stage
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats import audio, live_link
from pipeline.formats.timecode import parse_timecode
from pipeline.reading import inside
from pipeline.view.scene import Person, Scene
from pipeline.view.sources import Source, add_source_flags, open_source

log = logging.getLogger("interact")

Writers = dict[Path, Callable[[Path], None]]
"""Files to write, and what writes each."""


def _copy(source: Path, target: Path) -> None:
    with whole(target) as temporary:
        shutil.copyfile(source, temporary)


def _glb(source: Source, scene: Scene, folder: Path) -> Writers:
    from pipeline.view.glb import write_glb

    return {folder / f"{stem(scene)}.glb": partial(write_glb, scene)}


def _usd(source: Source, scene: Scene, folder: Path) -> Writers:
    from pipeline.view.usd import need_usd_core, write_usd

    need_usd_core()
    voices = _wav(source, scene, folder)
    named = {person.actor: _voice(person) for person in scene.people if person.voice is not None}
    path = folder / f"{stem(scene)}.usdc"
    return voices | {path: partial(write_usd, scene, scene.variants[0].key, voices=named)}


def _bvh(source: Source, scene: Scene, folder: Path) -> Writers:
    streams = next(streams for streams in source.streams if streams.key == scene.variants[0].key)
    found: Writers = {}
    for name, person in zip(source.performances[scene.take], scene.people):
        if body := streams.body(name):
            found[folder / f"{stem(scene)}.{person.actor}.bvh"] = partial(_copy, body)
    return found


def _csv(source: Source, scene: Scene, folder: Path, *, start: str = live_link.START) -> Writers:
    return {
        folder / f"{stem(scene)}.{person.actor}.csv": partial(
            live_link.write_live_link, weights=performance.face, fps=scene.fps, start=start
        )
        for person, performance in zip(scene.people, scene.variants[0].performances)
        if performance.face is not None
    }


def _voice(person: Person) -> str:
    return f"voice.{person.actor}.wav"


def _wav(source: Source, scene: Scene, folder: Path) -> Writers:
    return {
        folder / _voice(person): partial(_copy, person.voice)
        for person in scene.people
        if person.voice is not None
    }


def to_flac(voice: Path, target: Path) -> None:
    """The samples of a voice, a block at a time: 16 bits as such, all others as 24 bits."""
    import soundfile

    stream = audio.open_audio(voice)
    subtype = "PCM_16" if stream.container == "<i2" else "PCM_24"
    with (
        whole(target) as temporary,
        soundfile.SoundFile(temporary, "w", stream.rate, 1, subtype, format="FLAC") as f,
    ):
        for block in audio.blocks(stream):
            if not np.isfinite(block).all():
                raise InputError(f"{voice}: NaN or infinite samples, need numbers; export the voice again")
            f.write(block)


def _flac(source: Source, scene: Scene, folder: Path) -> Writers:
    return {
        folder / f"voice.{person.actor}.flac": partial(to_flac, person.voice)
        for person in scene.people
        if person.voice is not None
    }


FORMATS: dict[str, Callable[[Source, Scene, Path], Writers]] = {
    "glb": _glb,
    "usd": _usd,
    "bvh": _bvh,
    "csv": _csv,
    "flac": _flac,
    "wav": _wav,
}
"""For a scene of one variant, the files of a format and what writes each."""
DEFAULT = ("glb", "flac")


def stem(scene: Scene) -> str:
    """How files of a scene's variant are called: trained_models/sample-01 -> trained_models-sample-01."""
    return scene.variants[0].key.replace("/", "-")


def run(
    *,
    takes: Sequence[str],
    source: Path,
    out: Path,
    formats: Sequence[str],
    variants: Sequence[str] | None,
    generated: Sequence[Path],
    rigs: Path | None,
    timecode: str,
) -> None:
    """Write the takes."""
    parse_timecode(timecode, live_link.COUNTING)
    found = open_source(source, generated=generated, rigs=rigs)
    chosen = list(takes) or found.takes
    for take in chosen:
        found.need_take(take)
    unknown = next((name for name in formats if name not in FORMATS), None)
    if unknown:
        raise InputError(
            f"--formats: got {unknown!r}, need some of {', '.join(FORMATS)}; correct the command"
        )
    writers = FORMATS | {"csv": partial(_csv, start=timecode)}
    for take in stage.progress(chosen, label="export"):
        folder = inside(out, out / take, what=f"{source}: take {take}")
        for key in variants or found.keys(take):
            scene = found.scene(take, [key])
            files: Writers = {}
            for name in dict.fromkeys(formats):
                files |= writers[name](found, scene, folder)
            ownership.take_folder(folder, "exported", list(files))
            for path, write in files.items():
                write(path)
            log.info("%s: %s, %s, %.1f s", folder, take, scene.variants[0].label, scene.seconds)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("takes", nargs="*", metavar="TAKE", help="takes to export; all by default")
    add_source_flags(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write a folder for each take into")
    parser.add_argument(
        "--formats",
        nargs="+",
        default=list(DEFAULT),
        help=f"some of {', '.join(FORMATS)} (default: {' '.join(DEFAULT)})",
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        help="keys of variants, such as captured or trained_models/sample-01; all by default",
    )
    parser.add_argument(
        "--timecode",
        default=live_link.START,
        metavar="HH:MM:SS:FF",
        help=f"of frame 0 in CSV files, frames counted at {live_link.COUNTING} (default: {live_link.START})",
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
