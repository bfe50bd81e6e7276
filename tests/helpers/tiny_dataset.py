"""A tiny dataset with its annotations, in the layout of the real one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.files import write_json, write_tsv
from pipeline.formats.bvh import save_bvh
from pipeline.formats.tables import TAKE_COLUMNS
from pipeline.motion import rotations
from pipeline.motion.clock import FPS, sample_of
from pipeline.motion.motion import Motion

BONES = {
    "Hips": (None, (0, 0, 0)), "Spine": ("Hips", (0, 12, 0)),
    "Neck": ("Spine", (0, 40, 0)), "Head": ("Neck", (0, 10, 0)),
    "LeftUpLeg": ("Hips", (9, 0, 0)), "LeftLeg": ("LeftUpLeg", (0, -42, 0)),
    "LeftFoot": ("LeftLeg", (0, -41, 0)), "LeftToeBase": ("LeftFoot", (0, -7, 13)),
    "RightUpLeg": ("Hips", (-9, 0, 0)), "RightLeg": ("RightUpLeg", (0, -42, 0)),
    "RightFoot": ("RightLeg", (0, -41, 0)), "RightToeBase": ("RightFoot", (0, -7, 13)),
}  # fmt: skip
STANDING_CM = 90.0


def body(num_frames: int, *, fps: float = FPS, scale: float = 1.0) -> Motion:
    """A standing body with x to its left, y up, z forward, at the origin."""
    names = list(BONES)
    parents = np.array([-1 if BONES[name][0] is None else names.index(BONES[name][0]) for name in names])
    offsets = scale * np.array([BONES[name][1] for name in names], float)
    positions = np.repeat(offsets[None], num_frames, 0)
    positions[:, 0, 1] = scale * STANDING_CM
    local = np.zeros((num_frames, len(names), 4))
    local[..., 3] = 1
    ends = {names.index("Head"): np.array([0, 18.0 * scale, 0])}
    return Motion(names, parents, offsets, fps, positions, local, ends, ["zxy"] * len(names))


@dataclass
class Tiny:
    """Folders of a tiny dataset, its takes and their lengths in frames."""

    dataset: Path
    annotations: Path
    features: Path
    takes: dict[str, int]

    @property
    def text(self) -> Path:
        """The words of all takes, where they have been embedded."""
        return self.features / "tiny.text.h5"


def _performance(root: Path, name: str, num_frames: int, rng: np.random.Generator, scale: float) -> None:
    import soundfile

    motion = body(num_frames, scale=scale)
    motion.positions_cm[:, 0] += np.cumsum(rng.normal(0, 1, (num_frames, 3)), 0)
    turn = rotations.about("y", np.cumsum(rng.normal(0, 0.05, num_frames)))
    motion.rotations[:] = rotations.from_expmap(rng.normal(0, 0.2, (num_frames, len(motion.names), 3)))
    motion.rotations[:, 0] = rotations.multiply(turn, motion.rotations[:, 0])
    save_bvh(root / "dataset" / "bvhs" / f"{name}.bvh", motion)
    for folder in ("dataset/face_arkit", "dataset/wav", "annotations/actions", "annotations/facing"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    np.save(
        root / "dataset" / "face_arkit" / f"{name}.npy",
        rng.uniform(0, 1, (num_frames, 51)).astype(np.float32),
    )
    voice = rng.normal(0, 0.1, int(sample_of(num_frames, 48_000))).clip(-1, 1)
    soundfile.write(root / "dataset" / "wav" / f"{name}.wav", voice, 48_000, subtype="PCM_24")
    np.save(root / "annotations" / "actions" / f"{name}.npy", rng.integers(0, 3, num_frames).astype(np.uint8))
    np.save(root / "annotations" / "facing" / f"{name}.npy", rng.integers(0, 2, num_frames).astype(np.uint8))
    times = np.sort(rng.uniform(0, num_frames / FPS - 0.2, 3))
    words = [
        {"word": word, "start": float(t), "end": float(t) + 0.15, "confidence": 0.9}
        for word, t in zip(("Well,", "hello", "there."), times, strict=True)
    ]
    write_json(root / "annotations" / "transcripts" / f"{name}.json", {"words": words})


def make_tiny(root: Path, takes: dict[str, int], splits: dict[str, str] | None = None) -> Tiny:
    """Write a dataset and annotations of takes `<date>_<scenario>` -> frames, and no features.

    Each take has two actors.
    """
    rng = np.random.default_rng(0)
    rows = []
    for take, num_frames in takes.items():
        date, scenario = take.split("_")
        for actor, scale in (("001", 1.0), ("002", 0.9)):
            _performance(root, f"{date}_{actor}_{scenario}", num_frames, rng, scale)
        rows.append(
            dict.fromkeys(TAKE_COLUMNS, "")
            | {
                "take": take,
                "date": date,
                "scenario": scenario,
                "actor_a": "001",
                "actor_b": "002",
                "relationship": "Friends",
                "emotion": "Joy é",
            }
        )
    write_tsv(root / "dataset" / "takes.tsv", TAKE_COLUMNS, rows)
    return Tiny(root / "dataset", root / "annotations", root / "features", takes)


def quality_arguments(root: Path, num_frames: int) -> dict:
    """The arguments of `quality.run` for one clean take of two actors, without reports."""
    made = make_tiny(root, {"20260101_001": num_frames})
    kinds = {"bvh": ("bvhs", "bvh"), "face": ("face_arkit", "npy"), "wav": ("wav", "wav")}
    files = {
        kind: [made.dataset / folder / f"20260101_{actor}_001.{ending}" for actor in ("001", "002")]
        for kind, (folder, ending) in kinds.items()
    }
    return files | {"parts": [], "out": root / "quality" / "20260101_001.json"}
