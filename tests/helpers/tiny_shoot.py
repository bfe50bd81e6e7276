"""A tiny shoot with known truth: two actors, random rigs, straight-line motion, modulated noise for voices.

Everything moves at constant speed, so that the truth at any time is exact: hips along a line, every joint
about a fixed axis, every face weight along a ramp.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from pipeline.files import write_json, write_tsv
from pipeline.formats import arkit
from pipeline.formats.bvh import save_bvh
from pipeline.formats.tables import ACTOR_COLUMNS, LIP_COLUMNS, TAKE_COLUMNS
from pipeline.formats.timecode import format_timecode
from pipeline.motion import rotations
from pipeline.motion.motion import Motion

ACTORS = ("001", "002")
AUDIO_RATE = 48_000
BODY_RATE = 120
FACE_RATE = 30
LEAK_DB = -15.0
NUM_VERTICES = 120
START = 36_000.0
"""About when a take starts, seconds since midnight."""
BONES = {
    "Hips": (None, (0, 0, 0)), "Spine": ("Hips", (0, 12, 0)),
    "Neck": ("Spine", (0, 40, 0)), "Head": ("Neck", (0, 10, 0)),
    "LeftArm": ("Spine", (18, 36, 0)), "LeftForeArm": ("LeftArm", (28, 0, 0)),
    "RightArm": ("Spine", (-18, 36, 0)), "RightForeArm": ("RightArm", (-28, 0, 0)),
    "LeftUpLeg": ("Hips", (9, 0, 0)), "LeftLeg": ("LeftUpLeg", (0, -42, 0)),
    "LeftFoot": ("LeftLeg", (0, -41, 0)), "LeftToeBase": ("LeftFoot", (0, -7, 13)),
    "RightUpLeg": ("Hips", (-9, 0, 0)), "RightLeg": ("RightUpLeg", (0, -42, 0)),
    "RightFoot": ("RightLeg", (0, -41, 0)), "RightToeBase": ("RightFoot", (0, -7, 13)),
}  # fmt: skip
ORDERS = ("zxy", "zyx", "xyz", "yxz", "xzy", "yzx")


@dataclass(frozen=True)
class Truth:
    """One performance.

    Start of each stream (seconds since midnight), motion and weights as values at START and speeds.
    """

    start: dict[str, float]
    hips: np.ndarray  # (2, 3) cm and cm/s
    turns: np.ndarray  # (2, J, 3) exponential maps at START, and the fixed-axis turn per second that follows
    ramps: np.ndarray  # (2, 51) weights and weights per second
    voice: np.ndarray  # (S,) from start["audio"] on

    def hips_at(self, times: np.ndarray) -> np.ndarray:
        """(T, 3) cm."""
        return self.hips[0] + self.hips[1] * (times[:, None] - START)

    def rotations_at(self, times: np.ndarray) -> np.ndarray:
        """(T, J, 4) local."""
        moved = rotations.from_expmap(self.turns[1] * (times[:, None, None] - START))
        return rotations.multiply(np.broadcast_to(rotations.from_expmap(self.turns[0]), moved.shape), moved)

    def weights_at(self, times: np.ndarray) -> np.ndarray:
        """(T, 51)."""
        return self.ramps[0] + self.ramps[1] * (times[:, None] - START)


def write_bwf(path: Path, x: np.ndarray, rate: int, start_seconds: float) -> None:
    """A 24-bit mono Broadcast Wave whose TimeReference is `start_seconds`."""
    pcm = (
        np.round(np.clip(x, -1, 1) * (2**23 - 1)).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    )
    bext = struct.pack(
        "<256s32s32s10s8sQH", b"tiny", b"", b"", b"2026-01-01", b"10:00:00", round(start_seconds * rate), 1
    ).ljust(602, b"\0")
    chunks = [(b"bext", bext), (b"fmt ", struct.pack("<HHIIHH", 1, 1, rate, 3 * rate, 3, 24)), (b"data", pcm)]
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)


def write_mesh(
    path: Path, vertices: np.ndarray, codes: list[str], *, rate: float = 60.0, units: str = "cm"
) -> None:
    """A face stream: vertices (N, V, 3) and a timecode for each frame."""
    with h5py.File(path, "w") as f:
        f["vertices"] = vertices.astype(np.float32)
        f["timecode"] = [code.encode() for code in codes]
        f.attrs.update(timecode_rate=rate, units=units, topology="tiny")


def make_rig(path: Path, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Write a rig of random points and shapes; neutral (V, 3) and deltas (51, V, 3)."""
    neutral, deltas = (
        rng.normal(0, 5, (NUM_VERTICES, 3)).astype(np.float32),
        rng.normal(0, 0.5, (51, NUM_VERTICES, 3)).astype(np.float32),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        neutral=neutral,
        names=np.array(arkit.NAMES),
        deltas=deltas,
        faces=np.arange(NUM_VERTICES).reshape(-1, 4),
    )
    return neutral, deltas


def modulated_noise(rng: np.random.Generator, num_samples: int, *, phase: float) -> np.ndarray:
    """A voice-like signal (S,): noise that comes and goes about once a second.

    In turn with one of the opposite phase.
    """
    t = np.arange(num_samples) / AUDIO_RATE
    loud = np.clip(np.sin(2 * np.pi * (0.8 * t + phase)), 0, 1) ** 0.5
    return 0.1 * loud * np.convolve(rng.normal(0, 1, num_samples), np.ones(4) / 2, "same")


def make_motion(truth: Truth, times: np.ndarray) -> Motion:
    """The body of a performance at `times`, each joint with a rotation order of its own."""
    names = list(BONES)
    parents = np.array([-1 if parent is None else names.index(parent) for parent, _ in BONES.values()])
    offsets = np.array([offset for _, offset in BONES.values()], float)
    positions = np.repeat(offsets[None], len(times), 0)
    positions[:, 0] = truth.hips_at(times)
    orders = [ORDERS[j % len(ORDERS)] for j in range(len(names))]
    ends = {names.index("Head"): np.array([0.0, 18.0, 0.0])}
    return Motion(names, parents, offsets, BODY_RATE, positions, truth.rotations_at(times), ends, orders)


def _truth(rng: np.random.Generator, k: int, seconds: float) -> Truth:
    start = {
        "body": START + rng.integers(0, 40) / BODY_RATE,
        "face": START + rng.integers(0, 300) / 1000,
        "audio": START + rng.integers(0, 9600) / AUDIO_RATE,
    }
    hips = np.array([[-80 + 160 * k, 90, 0], rng.uniform(-15, 15, 3) * [1, 0.1, 1]])
    turns = np.stack([rng.normal(0, 0.1, (len(BONES), 3)), rng.normal(0, 0.3 / seconds, (len(BONES), 3))])
    turns[:, 0] *= 0.5
    first, last = rng.uniform(0, 1, (2, 51))
    voice = modulated_noise(rng, round((seconds + 0.5) * AUDIO_RATE), phase=0.5 * k)
    return Truth(start, hips, turns, np.stack([first, (last - first) / (seconds + 1)]), voice)


def write_face(path: Path, truth: Truth, rig: tuple[np.ndarray, np.ndarray], seconds: float) -> None:
    """The face stream of a performance by its rig's neutral and deltas; it lost one frame."""
    times = np.delete(truth.start["face"] + np.arange(round((seconds + 0.5) * FACE_RATE)) / FACE_RATE, 40)
    neutral, deltas = rig
    write_mesh(
        path,
        neutral + np.tensordot(truth.weights_at(times), deltas, 1),
        [format_timecode(time, 60, digits=6) for time in times],
    )


def make_shoot(folder: Path, *, num_takes: int = 2, seconds: float = 3.0) -> dict[str, Truth]:
    """Write a shoot whose streams share about `seconds`; the truth by performance.

    Each face stream lost one frame.
    """
    folder, rng, truths, rows = Path(folder), np.random.default_rng(0), {}, []
    rigs = {actor: make_rig(folder / "rigs" / f"{actor}.npz", rng) for actor in ACTORS}
    write_tsv(
        folder / "actors.tsv",
        ACTOR_COLUMNS,
        [{"actor": "001", "gender": "male"}, {"actor": "002", "gender": "female"}],
    )
    for number in range(1, num_takes + 1):
        take, pair, body = f"20260101_{number:03d}", [], {}
        (folder / take).mkdir()
        for k, actor in enumerate(ACTORS):
            name = f"20260101_{actor}_{number:03d}"
            truth = truths[name] = _truth(rng, k, seconds)
            pair.append(truth)
            body[actor] = {"start": format_timecode(truth.start["body"], BODY_RATE), "rate": BODY_RATE}
            save_bvh(
                folder / take / f"{name}.bvh",
                make_motion(
                    truth, truth.start["body"] + np.arange(round((seconds + 0.5) * BODY_RATE)) / BODY_RATE
                ),
            )
            write_face(folder / take / f"{name}.mesh.h5", truth, rigs[actor], seconds)
        for k, actor in enumerate(ACTORS):
            mine, other = pair[k], pair[1 - k]
            shift = round((mine.start["audio"] - other.start["audio"]) * AUDIO_RATE)
            heard = np.roll(other.voice, -shift) * 10 ** (LEAK_DB / 20)
            write_bwf(
                folder / take / f"20260101_{actor}_{number:03d}.wav",
                mine.voice + heard,
                AUDIO_RATE,
                mine.start["audio"],
            )
        write_json(folder / take / "timecode.json", {"body": body})
        row = {
            "take": take,
            "date": "20260101",
            "scenario": f"{number:03d}",
            "actor_a": "001",
            "actor_b": "002",
        }
        labels = {
            "relationship": ("Friends", "Siblings")[number % 2],
            "emotion": ("Joy", "Anger")[number % 2],
            "character_setup": "Café",
            "scenario_design": f"scene {number}",
        }
        rows.append(dict.fromkeys(TAKE_COLUMNS, "") | row | labels)
    write_tsv(folder / "takes.tsv", TAKE_COLUMNS, rows)
    return truths


def make_lip_acc(folder: Path, *, seconds: float = 2.0) -> dict[str, Truth]:
    """Add a lip-accurate set to a shoot: actor 003 reads sentences 1 and 3; the truth by performance.

    The streams of the first carry their timecode, the start of the second's voice is in its timecode.json.
    Sentence 4 is excluded and has no files.
    """
    folder, rng, truths = Path(folder), np.random.default_rng(3), {}
    rig = make_rig(folder / "rigs" / "003.npz", rng)
    with open(folder / "actors.tsv", "a") as f:
        f.write("003\tmale\n")
    (folder / "lip_acc").mkdir()
    for scenario in ("1", "3"):
        stem = folder / "lip_acc" / f"20260102_003_{scenario}"
        truth = truths[stem.name] = _truth(rng, 0, seconds)
        write_face(Path(f"{stem}.mesh.h5"), truth, rig, seconds)
        write_bwf(Path(f"{stem}.wav"), truth.voice, AUDIO_RATE, truth.start["audio"])
    content = Path(f"{stem}.wav").read_bytes()
    Path(f"{stem}.wav").write_bytes(content.replace(b"bext", b"junk", 1))
    write_json(
        Path(f"{stem}.timecode.json"),
        {"audio": {"003": {"start": format_timecode(truth.start["audio"], 30, digits=6)}}},
    )
    row = {"date": "20260102", "actor": "003"}
    rows = [
        ("1", "She had your dark suit.", ""),
        ("4", "Bagpipes and bongos.", "yes"),
        ("3", "Don’t ask me to carry an oily rag.", "no"),
    ]
    cells = [
        row | {"scenario": scenario, "sentence": sentence, "exclude": exclude, "reason": ""}
        for scenario, sentence, exclude in rows
    ]
    write_tsv(folder / "lip_acc" / "lip_acc.tsv", LIP_COLUMNS, cells)
    return truths


def capture(shoot: Path, root: Path) -> Path:
    """Run the capture half on a shoot: root/dataset and root/annotations; returns root."""
    from pipeline import config
    from pipeline.capture import blendshapes, body, dataset, separation, sync
    from pipeline.formats.takes import shoot_takes

    data, notes = root / "dataset", root / "annotations"
    for take in shoot_takes(shoot):
        raw = [shoot / take.name / name for name in take.performances]
        wav = [path.with_suffix(".wav") for path in raw]
        synced = notes / "sync" / f"{take.name}.json"
        streams = {
            "bvh": [path.with_suffix(".bvh") for path in raw],
            "face": [path.with_suffix(".mesh.h5") for path in raw],
            "wav": wav,
        }
        sync.run(
            timecode=shoot / take.name / "timecode.json",
            actors=list(take.actors),
            **streams,
            out=synced,
            options=config.Sync(),
        )
        for k, name in enumerate(take.performances):
            common = {"sync": synced, "performance": name}
            body.run(
                bvh=streams["bvh"][k],
                **common,
                out=data / "bvhs" / f"{name}.bvh",
                out_report=notes / "body" / f"{name}.json",
                options=config.Body(),
            )
            rig = shoot / "rigs" / f"{take.actors[k]}.npz"
            out = {"out": data / "face_arkit" / f"{name}.npy", "out_report": notes / "fit" / f"{name}.json"}
            blendshapes.run(face=streams["face"][k], rig=rig, **common, **out, options=config.Blendshapes())
        voices = {
            "out": [data / "wav" / f"{n}.wav" for n in take.performances],
            "out_report": [notes / "separation" / f"{n}.json" for n in take.performances],
        }
        separation.run(
            wav=wav, sync=synced, performance=list(take.performances), **voices, options=config.Separation()
        )
    dataset.run(shoot=shoot, sync=notes / "sync", out=data)
    return root


def make_tables(folder, *rows):
    """A shoot of tables alone: what a dry run reads of it before it looks for streams."""
    full = []
    for i, row in enumerate(rows):
        take = (
            dict.fromkeys(TAKE_COLUMNS, "")
            | {"date": f"2026010{i + 1}", "scenario": "001", "actor_a": "001", "actor_b": "002"}
            | row
        )
        full.append(take | {"take": f"{take['date']}_{take['scenario']}"})
    write_tsv(folder / "takes.tsv", TAKE_COLUMNS, full)
    write_tsv(
        folder / "actors.tsv",
        ACTOR_COLUMNS,
        [{"actor": actor, "gender": "female"} for actor in ("001", "002")],
    )
