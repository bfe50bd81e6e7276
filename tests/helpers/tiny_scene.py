"""Takes to look at: a run with captured and generated motion, heads with shapes, and words."""

import shutil
from pathlib import Path

import numpy as np

from helpers.tiny_dataset import Tiny, make_tiny
from pipeline.files import write_json
from pipeline.formats import arkit
from pipeline.formats.bvh import load_bvh, save_bvh
from pipeline.formats.rig_file import Rig, save_rig
from pipeline.simulate.head import make_head

TAKE = "20260101_001"
PERFORMANCES = ("20260101_001_001", "20260101_002_001")
NUM_FRAMES = 45


def simulated_rig(actor: str = "001", num_vertices: int = 400) -> Rig:
    """A simulated head as a rig."""
    head = make_head(actor, num_vertices)
    return Rig(head.neutral, head.deltas, head.faces)


def make_run(
    root: Path, *, num_frames: int = NUM_FRAMES, samples: int = 2, takes: tuple[str, ...] = (TAKE,)
) -> Tiny:
    """The root of a run with `takes`, and `samples` of generated motion of the first."""
    made = make_tiny(root, dict.fromkeys(takes, num_frames))
    for actor in ("001", "002"):
        save_rig(made.dataset / "rigs" / f"{actor}.npz", simulated_rig(actor))
    row = root / "results" / "generated" / "trained_models"
    rng = np.random.default_rng(1)
    date, scenario = takes[0].split("_")
    for number in range(samples):
        folder = row / f"sample-{number:02}" if number else row
        for actor in ("001", "002"):
            name = f"{date}_{actor}_{scenario}"
            motion = load_bvh(made.dataset / "bvhs" / f"{name}.bvh", unit="cm")
            motion.positions_cm[:, 0, 0] += 10 * (number + 1)
            save_bvh(folder / "bvhs" / f"{name}.bvh", motion)
            (folder / "face_arkit").mkdir(parents=True, exist_ok=True)
            weights = rng.uniform(0, 1, (num_frames, len(arkit.NAMES))).astype(np.float32)
            np.save(folder / "face_arkit" / f"{name}.npy", weights)
    if samples:
        write_json(row / "generated.json", {"num_samples": samples})
    return made


def bare_folder(made: Tiny, folder: Path) -> Path:
    """A folder with nothing but the bodies and faces of a tiny dataset."""
    for part in ("bvhs", "face_arkit"):
        shutil.copytree(made.dataset / part, folder / part)
    return folder
