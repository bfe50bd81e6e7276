"""Tiny files of the names that commands of the README and the docs use."""

import re
from pathlib import Path

import numpy as np
import soundfile

from helpers.live_link import live_link_csv, ramp
from helpers.mixtures import mixture
from helpers.tiny_shoot import AUDIO_RATE, make_rig, write_mesh
from pipeline.formats.timecode import format_timecode

RECORDINGS = Path(__file__).parents[1] / "recordings"


def make_examples(folder: Path) -> Path:
    """Write every file that examples on one stage alone name into a folder; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    recording = (RECORDINGS / "cmu_01_03.bvh").read_text()
    head, rows = recording.split("MOTION")
    lines = rows.strip().splitlines()
    short = f"{head}MOTION\nFrames: 90\n{lines[1]}\n" + "\n".join(lines[2:92]) + "\n"
    for name in ("A", "B"):
        (folder / f"{name}.bvh").write_text(short)
    (folder / "walk.bvh").write_text(re.sub(r"(ROOT|JOINT) ", r"\1 mixamorig:", short))
    mics = mixture(1.5)[0]
    for name, mic in (("A", mics[0]), ("B", mics[1]), ("recorder", mics.T)):
        soundfile.write(folder / f"{name}.wav", mic, AUDIO_RATE, subtype="PCM_16")
    codes = [format_timecode(40_000 + k / 60, 60) for k in range(150)]
    live_link_csv(folder / "take.csv", codes, ramp(150))
    rng = np.random.default_rng(0)
    neutral, deltas = make_rig(folder / "rig.npz", rng)
    vertices = (neutral + np.tensordot(rng.uniform(0, 1, (12, len(deltas))), deltas, 1)).astype(np.float32)
    write_mesh(folder / "take.mesh.h5", vertices, codes[:12])
    (folder / "frames").mkdir()
    for k, frame in enumerate(vertices):
        (folder / "frames" / f"{k:03}.obj").write_text(
            "".join(f"v {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in frame) + "f 1 2 3\n"
        )
    return folder
