"""A piece of a shard as plain files: bodies, faces and voices in the dataset's layout.

    python -m pipeline.shards export shard-000.h5 --take T --frames 0:150 --out DIR

In: a shard, a take of it, and which of its frames. Out: a folder with bvhs/, face_arkit/ and wav/.
"""

import argparse
from pathlib import Path

import numpy as np

from pipeline import ownership
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.formats.bvh import save_bvh
from pipeline.formats.shard_file import Shard
from pipeline.motion.clock import AUDIO_RATE, FPS, sample_of
from pipeline.motion.pose import decode
from pipeline.reading import inside


def frame_range(text: str, num_frames: int, where: str) -> tuple[int, int]:
    """First and one past the last frame of `A:B`; an empty side is that end of the take."""
    first, colon, last = text.partition(":")
    try:
        start, stop = int(first or 0), int(last or num_frames)
    except ValueError:
        start, stop = -1, -1
    if not colon or not 0 <= start < stop <= num_frames:
        raise InputError(
            f"{where}: frames {text!r}, need A:B with 0 <= A < B <= {num_frames}; correct --frames"
        )
    return start, stop


def run(*, file: Path, take: str, frames: str, out: Path) -> None:
    """Write frames of a take in the dataset's layout: bvhs/, face_arkit/ and wav/ (16 kHz, float)."""
    import soundfile

    shard = Shard(file)
    span = shard.find(take)
    start, stop = frame_range(frames, span.stop_frame - span.start_frame, f"{file}, take {take}")
    part = slice(span.start_frame + start, span.start_frame + stop)
    sound = slice(span.start_sample + int(sample_of(start)), span.start_sample + int(sample_of(stop)))
    targets = []
    for performance in span.performances:
        for target in (
            out / "bvhs" / f"{performance}.bvh",
            out / "face_arkit" / f"{performance}.npy",
            out / "wav" / f"{performance}.wav",
        ):
            inside(out, target, what=f"{file}: performance {performance}")
            targets.append(target)
    ownership.take_folder(out, "exported", targets)
    for actor, performance in enumerate(span.performances):
        motion = decode(
            shard["body"][part, actor], shard["root"][part, actor], shard.skeleton(performance), fps=FPS
        )
        save_bvh(out / "bvhs" / f"{performance}.bvh", motion)
        with whole(out / "face_arkit" / f"{performance}.npy") as temporary, open(temporary, "wb") as f:
            np.save(f, np.asarray(shard["face"][part, actor]))
        with whole(out / "wav" / f"{performance}.wav") as temporary:
            soundfile.write(temporary, np.asarray(shard["audio"][sound, actor]), AUDIO_RATE, subtype="FLOAT")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.add_argument("file", type=Path, help="a shard")
    parser.add_argument("--take", required=True, help="take to export")
    parser.add_argument("--frames", default=":", help="frames A:B of the take; default: all")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write bvhs, face_arkit and wav into"
    )
