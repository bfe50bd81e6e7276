"""A made-up download of the public release, with short streams and no recording of anybody.

It has the release's names, tables and shapes.

Bodies have the release's 60 joints, faces come in both formats, voices are modulated noise. The first takes
may be of the simulated shoot, with its movements, faces and voices. The tables are those of the release: no
takes.tsv, dataset.json, rigs.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from pipeline.formats import ict, obj
from pipeline.formats.bvh import save_bvh
from pipeline.motion import rotations
from pipeline.motion.clock import FPS, sample_of
from pipeline.motion.motion import Motion
from pipeline.simulate.figure import ORDER, Figure
from pipeline.simulate.plan import EMOTIONS, RELATIONSHIPS

GENDERS = {
    "001": "male",
    "002": "female",
    "003": "male",
    "005": "female",
    "006": "male",
    "007": "female",
    "008": "male",
}
PAIRS = [
    ("001", "002"),
    ("003", "005"),
    ("006", "007"),
    ("002", "008"),
    ("001", "005"),
    ("003", "007"),
    ("005", "008"),
]
"""Pairs of the sessions, a session a day; one man and one woman each."""
TAKES_PER_SESSION = 10
AUDIO_RATE = 48_000
READER = "006"
"""Who reads the sentences of the lip-accurate set."""


@dataclass(frozen=True)
class Streams:
    """One performance: body, ICT weights (N, 55) float32, voice (S,)."""

    motion: Motion
    weights: np.ndarray
    voice: np.ndarray


def plan(num_takes: int) -> list[tuple[str, str, tuple[str, str]]]:
    """Date, scenario and actors of each take."""
    sessions = [(f"202311{day:02d}", PAIRS[day % len(PAIRS)]) for day in range(1, 31)]
    takes = []
    for i in range(num_takes):
        date, pair = sessions[i // TAKES_PER_SESSION]
        takes.append((date, f"{i + 1:03d}", pair))
    return takes


def made_up(actor: str, seconds: float, fps: int, rng: np.random.Generator) -> Streams:
    """A body that sways on the spot, a face and a voice of noise."""
    figure = Figure("001")
    scale = 0.85 + 0.02 * int(actor)
    size, joints = round(seconds * fps), len(figure.names)
    t = np.arange(size) / fps
    positions = np.repeat(scale * figure.offsets_cm[None], size, 0)
    positions[:, 0] = np.stack(
        [
            60 * np.sin(0.5 * t + rng.uniform(0, 6)),
            np.full(size, scale * 98.0),
            60 * np.cos(0.4 * t + rng.uniform(0, 6)),
        ],
        1,
    )
    sway = rng.normal(0, 0.08, (joints, 3)) * np.sin(t[:, None, None] * rng.uniform(1, 3, (joints, 1)))
    ends = {joint: scale * end for joint, end in figure.ends_cm.items()}
    local = rotations.from_expmap(sway)
    motion = Motion(
        figure.names, figure.parents, scale * figure.offsets_cm, fps, positions, local, ends, [ORDER] * joints
    )
    frames = np.arange(round(seconds * FPS)) / FPS
    arkit = 0.5 + 0.4 * np.sin(frames[:, None] * rng.uniform(1, 9, 51) + rng.uniform(0, 6, 51))
    samples = np.arange(int(sample_of(len(frames), AUDIO_RATE)))
    loud = np.clip(np.sin(2 * np.pi * (0.8 * samples / AUDIO_RATE + rng.uniform())), 0, 1)
    return Streams(motion, ict.to_ict(arkit.astype(np.float32)), 0.1 * loud * rng.normal(0, 1, len(samples)))


def simulated(number: int, seconds: float, fps: int) -> list[Streams]:
    """Both performances of a take of the simulated shoot, cut to `seconds`."""
    from pipeline.config import Simulate
    from pipeline.simulate import take
    from pipeline.simulate.face import evaluate_face, plan_face
    from pipeline.simulate.plan import plan_takes
    from pipeline.simulate.recording import BODY_RATE

    row = plan_takes(number, 0)[-1]
    scene = take.play(row, seed=0, options=Simulate(seconds=max(seconds, 8.0)))
    begin = scene.streams.window[0]
    size = round(seconds * FPS)
    result = []
    for k in range(2):
        start = round((begin - scene.streams.start[k]["body"]) * BODY_RATE)
        motion = scene.motions[k].frames(slice(start, start + 4 * size, BODY_RATE // fps))
        plan_of_face = plan_face(scene.turns[k], row["emotion"], begin, begin + seconds, scene.face_rngs[k])
        weights = evaluate_face(plan_of_face, begin + np.arange(size) / FPS)
        voice = take.dry_voice(
            scene.turns[k], begin, int(sample_of(size, AUDIO_RATE)) + 10 * AUDIO_RATE, 1.0
        )[: int(sample_of(size, AUDIO_RATE))]
        result.append(Streams(replace(motion, fps=fps), ict.to_ict(weights.astype(np.float32)), voice))
    return result


def write_tables(folder: Path, takes: list[tuple[str, str, tuple[str, str]]]) -> None:
    """scenarios.db and actors.db."""
    connection = sqlite3.connect(folder / "scenarios.db")
    with connection:
        connection.executescript(
            """CREATE TABLE relationships(id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE emotions(id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE scenarios(id INTEGER PRIMARY KEY, relationship_id INTEGER,
                primary_emotion_id INTEGER, character_setup TEXT, scenario TEXT);"""
        )
        connection.executemany("INSERT INTO relationships VALUES (?, ?)", enumerate(RELATIONSHIPS, 1))
        connection.executemany("INSERT INTO emotions VALUES (?, ?)", enumerate(EMOTIONS, 1))
        rows = [
            (int(scenario), i % len(RELATIONSHIPS) + 1, i % len(EMOTIONS) + 1, "a setup", f"scene {scenario}")
            for i, (_, scenario, _) in enumerate(takes)
        ]
        connection.executemany("INSERT INTO scenarios VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()
    connection = sqlite3.connect(folder / "actors.db")
    with connection:
        connection.executescript(
            "CREATE TABLE actors(actor_id TEXT PRIMARY KEY, gender TEXT); CREATE TABLE sessions(date TEXT,"
            " male_id TEXT, female_id TEXT);"
        )
        connection.executemany("INSERT INTO actors VALUES (?, ?)", GENDERS.items())
        sessions = sorted(
            {(date, *sorted(pair, key=lambda actor: GENDERS[actor] == "female")) for date, _, pair in takes}
        )
        connection.executemany("INSERT INTO sessions VALUES (?, ?, ?)", sessions)
    connection.close()


def write_faces(folder: Path, name: str, weights: np.ndarray) -> None:
    """face_ict and face_arkit of a performance."""
    for kind, values in (("face_ict", weights), ("face_arkit", ict.to_arkit(weights))):
        np.save(folder / kind / f"{name}.npy", values.astype(np.float32))


def write_lip_acc(folder: Path, rng: np.random.Generator, *, num_sentences: int = 3) -> None:
    """The lip-accurate set: one actor reads sentences."""
    for kind in ("face_ict", "face_arkit", "wav"):
        (folder / kind).mkdir(parents=True)
    for number in range(1, num_sentences + 1):
        streams = made_up(READER, 1.0, FPS, rng)
        name = f"20231201_{READER}_{number}"
        write_faces(folder, name, streams.weights)
        soundfile.write(folder / "wav" / f"{name}.wav", streams.voice, AUDIO_RATE, subtype="PCM_24")
    (folder / "lip_acc_sentences.txt").write_text(
        "".join(f"Sentence {number}.\n" for number in range(1, num_sentences + 1))
    )


def heads(neutral: np.ndarray | None) -> Iterator[tuple[str, np.ndarray]]:
    """Each actor's neutral head (V, 3) in cm in the topology of the ICT kit.

    A cloud of points where no kit's neutral is given.
    """
    if neutral is None:
        t = np.linspace(0, np.pi, ict.NUM_VERTICES)
        neutral = 10 * np.stack([np.sin(t) * np.cos(99 * t), 1.3 * np.cos(t), np.sin(t) * np.sin(99 * t)], 1)
    for i, actor in enumerate(GENDERS):
        yield actor, neutral * (1 + 0.02 * i)


def make_release(
    folder: Path,
    *,
    num_takes: int = 241,
    seconds: float = 2.0,
    fps: int = FPS,
    num_simulated: int = 0,
    neutral: np.ndarray | None = None,
) -> list[str]:
    """Write a made-up download; the names of its takes.

    `fps`: rate of the bodies; `neutral`: head of the kit for templates.
    """
    folder, rng, takes = Path(folder), np.random.default_rng(0), plan(num_takes)
    for kind in ("bvhs", "face_arkit", "face_ict", "wav", "face_ict_templates"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    write_tables(folder, takes)
    for i, (date, scenario, pair) in enumerate(takes):
        both = (
            simulated(i + 1, seconds, fps)
            if i < num_simulated
            else [made_up(actor, seconds, fps, rng) for actor in pair]
        )
        for actor, streams in zip(pair, both, strict=True):
            name = f"{date}_{actor}_{scenario}"
            save_bvh(folder / "bvhs" / f"{name}.bvh", streams.motion)
            write_faces(folder, name, streams.weights)
            soundfile.write(folder / "wav" / f"{name}.wav", streams.voice, AUDIO_RATE, subtype="PCM_24")
    for actor, vertices in heads(neutral):
        obj.write_obj(folder / "face_ict_templates" / f"{actor}.obj", vertices, np.array([[0, 1, 2, 3]]))
    write_lip_acc(folder / "lip_acc", rng)
    return [f"{date}_{scenario}" for date, scenario, _ in takes]
