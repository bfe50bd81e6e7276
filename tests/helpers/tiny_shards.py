"""Tiny shards whose motion follows the voices, and the options of tiny models.

So there is something to learn.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models import runs
from models.data import actors_of, shards_of
from models.recipe import Meta
from models.recipes import body, face
from pipeline.config import Training
from pipeline.formats import arkit
from pipeline.formats.shard_file import FORMAT_VERSION
from pipeline.motion.clock import sample_of
from pipeline.shards import index as shard_index

BONES = {
    "Hips": (None, (0, 0, 0)), "Spine": ("Hips", (0, 12, 0)), "Head": ("Spine", (0, 40, 0)),
    "LeftArm": ("Spine", (15, 35, 0)), "RightArm": ("Spine", (-15, 35, 0)),
    "LeftUpLeg": ("Hips", (9, 0, 0)), "LeftLeg": ("LeftUpLeg", (0, -42, 0)),
    "LeftFoot": ("LeftLeg", (0, -41, 0)),
    "RightUpLeg": ("Hips", (-9, 0, 0)), "RightLeg": ("RightUpLeg", (0, -42, 0)),
    "RightFoot": ("RightLeg", (0, -41, 0)),
}  # fmt: skip
JOINTS = list(BONES)
FOLDERS = ("dataset/face_arkit", "annotations/actions", "annotations/facing")
NUM_MELS, TEXT_WIDTH = 8, 6
TAKES = {
    "20240101_001": ("001", "002", "train", 150),
    "20240101_002": ("001", "003", "train", 170),
    "20240101_003": ("002", "003", "train", 130),
    "20240101_004": ("001", "002", "test", 100),
    "20240101_005": ("002", "004", "test", 90),
}
"""Actor 004 is in no train take."""
TINY = {
    "steps": 30,
    "batch_size": 2,
    "window_frames": 24,
    "stride_frames": 4,
    "checkpoint_steps": 10,
    "warmup_steps": 5,
    "device": "cpu",
}
FACE = face.Options(**TINY, dropout=0, audio="mel", dim=32, feedforward=48, sample_steps=4)
LOWER = body.Options(**TINY, channels=16, blocks=2, heads=2, sample_steps=4)
UPPER = LOWER.model_copy(update={"joints": "upper"})
RUNS: dict[str, tuple[str, Training]] = {
    "face": ("face", FACE),
    "body_lower": ("body", LOWER),
    "body_upper": ("body", UPPER),
}
"""Recipe and options of the tiny runs by name."""


def meta(shards: Path, options: Training) -> Meta:
    """What a model with these options knows of the train split of shards."""
    opened, stats = shards_of(shards)
    return runs.meta_of(options, stats, opened[0].joint_names, actors_of(opened))


def voice(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """A smooth random log-mel (N, NUM_MELS)."""
    noise = rng.standard_normal((num_frames + 8, NUM_MELS))
    return (np.stack([noise[i : i + num_frames] for i in range(9)]).mean(0) * 6 - 5).astype(np.float32)


def streams(rng: np.random.Generator, num_frames: int) -> dict[str, np.ndarray]:
    """All streams of a take; face, joints and walking follow the mel linearly, the same way for everybody."""
    mel = np.stack([voice(rng, num_frames) for _ in range(2)], 1)
    fixed = np.random.default_rng(99)
    face = 0.3 + (mel + 5) @ fixed.normal(0, 0.04, (NUM_MELS, 51))
    body = 0.2 + (mel + 5) @ fixed.normal(0, 0.05, (NUM_MELS, 3 * len(JOINTS)))
    body[..., -1] = 0.25  # a constant channel
    body[..., 1:3] = 0  # hips only bend forward: their heading is the root's
    root = np.zeros((num_frames, 2, 4))
    root[..., 0], root[..., 2] = np.cumsum(mel[..., 0] + 5, 0) * 0.2, np.cumsum(mel[..., 1] + 5, 0) * 0.2
    root[:, 1, 0] += 150
    root[..., 1] = 90 + 0.1 * mel[..., 2]
    root[..., 3] = np.array([np.pi / 2, -np.pi / 2]) + np.cumsum(mel[..., 3] + 5, 0) * 0.01
    words = np.full((num_frames, 2), -1)
    for k in range(2):
        for i, start in enumerate(range(5, num_frames - 8, 12)):
            words[start : start + 6, k] = 20 * k + i % 20
    return {
        "body": body,
        "root": root,
        "face": face,
        "mel": mel,
        "action": rng.integers(0, 3, (num_frames, 2)),
        "facing": rng.integers(0, 2, (num_frames, 2)),
        "text_index": words,
        "text": rng.standard_normal((40, TEXT_WIDTH)),
        "audio": rng.normal(0, 0.1, (int(sample_of(num_frames)), 2)),
    }


def offsets() -> np.ndarray:
    """Offsets of the joints (J, 3), cm."""
    return np.array([BONES[name][1] for name in JOINTS], float)


def source_names(takes: dict[str, tuple], path: Path) -> list[str]:
    """Files that a shard of these takes would have been built from."""
    names = [f"features/{path.stem}.text.h5", *(f"features/{take}.h5" for take in takes)]
    for take, (a, b, *_) in takes.items():
        date, scenario = take.split("_")
        names += [f"{kind}/{date}_{actor}_{scenario}.npy" for kind in FOLDERS for actor in (a, b)]
    return names


def write_shard(path: Path, takes: dict[str, tuple], seed: int = 0) -> None:
    """One shard of synthetic takes, in the format of pipeline.formats.shard_file."""
    import h5py

    rng = np.random.default_rng(seed)
    parts = {take: streams(rng, row[3]) for take, row in takes.items()}
    types = {"action": "u1", "facing": "u1", "text_index": "i4"}
    table, frame, sample, word = [], 0, 0, 0
    with h5py.File(path, "w", libver=("earliest", "v110")) as f:
        for take, (a, b, split, num_frames) in takes.items():
            part = parts[take]
            part["text_index"][part["text_index"] >= 0] += word
            table.append((take, a, b, split, frame, frame + num_frames, sample, sample + len(part["audio"])))
            frame, sample, word = frame + num_frames, sample + len(part["audio"]), word + len(part["text"])
            date, scenario = take.split("_")
            for actor in (a, b):
                group = f.create_group(f"skeletons/{date}_{actor}_{scenario}")
                group["offsets_cm"] = offsets() * (1 + 0.02 * int(actor))
                ends = np.full((len(JOINTS), 3), np.nan)
                ends[JOINTS.index("Head")] = 0, 18, 0
                group["ends_cm"] = ends
                group.attrs["orders"] = ["zxy"] * len(JOINTS)
        for name in next(iter(parts.values())):
            f[name] = np.concatenate([part[name] for part in parts.values()]).astype(types.get(name, "f4"))
        text = [h5py.string_dtype("utf-8", n) for n in (16, 8, 8, 8)]
        names = ["take", "actor_a", "actor_b", "split"]
        numbers = ["start_frame", "stop_frame", "start_sample", "stop_sample"]
        dtype = np.dtype([*zip(names, text), *((name, "i8") for name in numbers)])
        f["takes"] = np.array(
            [tuple(v.encode() if isinstance(v, str) else v for v in row) for row in table], dtype
        )
        named = [
            (name, hashlib.sha256(f"{seed} {name}".encode()).hexdigest())
            for name in source_names(takes, path)
        ]
        f["sources"] = np.array(
            [(name.encode(), digest.encode()) for name, digest in named], [("file", "S64"), ("sha256", "S64")]
        )
        parents = [-1 if BONES[name][0] is None else JOINTS.index(BONES[name][0]) for name in JOINTS]
        attributes = {
            "format_version": FORMAT_VERSION,
            "fps": 30,
            "joint_names": JOINTS,
            "parents": parents,
            "arkit_names": list(arkit.NAMES),
            "feature_names": "{}",
            "units": "{}",
            "source_sha256": str(seed),
            "package_version": "0",
            "text_model": "package",
        }
        for key, value in attributes.items():
            f.attrs[key] = value


@dataclass
class Trained:
    """Folders of tiny shards and of the three models trained on them."""

    shards: Path
    runs: Path


def make_shards(folder: Path) -> Path:
    """A folder of two shards with index and statistics."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(TAKES)
    for number, chosen in enumerate((names[:2], names[2:])):
        write_shard(folder / f"shard-{number:03d}.h5", {take: TAKES[take] for take in chosen}, seed=number)
    shard_index.run(
        shards=sorted(folder.glob("shard-*.h5")), index=folder / "index.parquet", stats=folder / "stats.json"
    )
    return folder
