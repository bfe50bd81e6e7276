"""The lip-accurate set of the simulated shoot: one actor reads passages alone, and the truth about it.

In: how many passages and a seed. Out, under --out: lip_acc/ with the table of the set, face meshes and
microphones (docs/lip_acc.md); under --truth: lip_acc/ with the weights and the dry voice of each, and
truth.json with words and phonemes by performance. A passage is the same however many come after it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import config, stage
from pipeline.files import write_json
from pipeline.simulate import passages, recording
from pipeline.simulate.dialogue import Turn
from pipeline.simulate.recording import FACE_RATE
from pipeline.simulate.speech import RATE, speak
from pipeline.simulate.take import MARGINS_S, FaceRecorder, dry_voice, record_face, spoken

PAUSE_S = (0.35, 0.8)
"""Between two sentences of a passage."""
MOOD = "Calmness"
ALONE_CM = 100.0
"""Distance to a partner who is silent, which the room's sound is drawn for."""


def read_out(row: dict[str, str], begin: float, rng: np.random.Generator) -> list[Turn]:
    """The sentences of a row, one after the other from `begin` seconds of day on, on whole samples."""
    turns, at = [], begin
    texts = passages.sentences_of(row["sentence"])
    for utterance in speak(texts, row["actor"], int(rng.integers(1, 2**31))):
        at = round(at * RATE) / RATE
        turns.append(Turn(0, at, utterance))
        at += utterance.seconds + rng.uniform(*PAUSE_S)
    return turns


def record(row: dict[str, str], *, out: Path, truth: Path, seed: int, options: config.Simulate) -> dict:
    """Write the recordings of a row, and what is true of it; words and phonemes are returned."""
    name = f"{row['date']}_{row['actor']}_{row['scenario']}"
    rng = np.random.default_rng([seed, int(row["date"]), int(row["scenario"])])
    time_rng, talk_rng, mic_rng, face_rng, mesh_rng = rng.spawn(5)
    begin = passages.seconds_of_reading(row) + time_rng.uniform(5, 15)
    turns = read_out(row, begin, talk_rng)
    end = turns[-1].start + turns[-1].utterance.seconds
    early, late = time_rng.uniform(*MARGINS_S, 2), time_rng.uniform(*MARGINS_S, 2)
    face = recording.on_clock(begin - early[0], FACE_RATE)
    audio = round((begin - early[1]) * RATE) / RATE
    sizes = [
        int((end + late[i] - at) * rate) + 1
        for i, (at, rate) in enumerate([(face, FACE_RATE), (audio, RATE)])
    ]
    voice = dry_voice(turns, audio, sizes[1], 1.0)
    mic, clean = recording.microphone(
        voice, np.zeros_like(voice), 0, distance_cm=ALONE_CM,
        crosstalk_db=options.crosstalk_db, noise_db=options.noise_db, rng=mic_rng,
    )  # fmt: skip
    recording.write_bwf(out / f"{name}.wav", mic, audio, date=row["date"])
    recording.write_bwf(truth / f"{name}.wav", clean, audio, date=row["date"])
    recorder = FaceRecorder(face, sizes[0], 0.0, face_rng, mesh_rng)
    record_face(recorder, turns, row["actor"], MOOD, out / f"{name}.mesh.h5", truth / name, options)
    words, said, phonemes = spoken(turns)
    return {"words": words, "said": said, "phonemes": phonemes}


def run(*, out: Path, truth: Path, seed: int, options: config.Simulate) -> None:
    """Write the recordings of all passages and the folder of the truth."""
    found: dict[str, Any] = {}
    rows = passages.plan_lips(options.lip_passages, seed)
    for row in stage.progress(rows, label="lip_acc"):
        name = f"{row['date']}_{row['actor']}_{row['scenario']}"
        found[name] = record(row, out=out / "lip_acc", truth=truth / "lip_acc", seed=seed, options=options)
    write_json(truth / "lip_acc" / "truth.json", found)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Simulate)
    parser.add_argument("--out", type=Path, required=True, help="folder of the shoot")
    parser.add_argument("--truth", type=Path, required=True, help="folder of the truth")
    parser.add_argument("--seed", type=int, default=0, help="seed of the shoot (default: 0)")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
