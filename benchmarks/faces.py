"""Scores of generated faces, row by row, and how rows differ on the same takes.

    python benchmarks/faces.py data/small --rows "trained models" FaceFormer --against "trained models"
    python benchmarks/faces.py data/small --rows own=runs/a another=made/another --actors 005

Reads a finished run's shards, rigs, transcripts, lip-accurate set and generated takes. A row is the name of a
row of the config, or NAME=FOLDER of what models.generate wrote. Printed as Markdown: the table's scores of
faces (models.scores) with half-widths of 95 % intervals over test takes, then for each row its scores minus
those of the row --against. A take is hard or easy for all rows, so the interval of a difference (the same
jackknife, of the difference) is narrower than those of the two rows say.
"""

import argparse
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from models import evaluate, scores
from models.data import shards_of, takes_of
from models.mouths import Mouths
from models.tally import jackknife_half_width, merged
from models.threads import fixed_threads
from pipeline import config

SCORES = ("LVE_cm2", "LVE_mean_cm2", "FDD_cm2", "spread_face", "accel_face", "jaw_voice", "blinks_min",
          "upper_face", "plosives_closed", "plosives_false", "mouth_FD", "mouth_own")  # fmt: skip

Scored = dict[str, list[float | None]]
"""By score: of all takes, then with each part of the takes left out."""


def scored(data: Path, rows: dict[str, Path], options: config.Evaluate) -> dict[str, Scored]:
    """Scores of the real takes, of the rows and of the baselines."""
    opened, stats = shards_of(data / "shards")
    test = takes_of(opened, "test")
    rigs = scores.Rigs(data / "dataset" / "rigs")
    actors = sorted({actor for _, span in test for actor in (span.actor_a, span.actor_b)})
    lip_set = data / "dataset" / "lip_acc" / "face_arkit"
    mouths = Mouths(
        opened,
        stats,
        {actor: rigs.of(actor)[0] for actor in actors},
        evaluate.lip_faces(lip_set, len(stats["face"]["std"])) if lip_set.is_dir() else [],
    )
    phonemes = evaluate.phonemes_of(test, data / "annotations" / "transcripts")
    setting = scores.Setting(test, stats, rigs, options, mouths=mouths, phonemes=phonemes)
    folders = {name: evaluate.sample_folders(folder) for name, folder in rows.items()}
    result, truth = {}, None
    for name, samples in evaluate.sources_of(setting, opened, folders).items():
        counted = scores.count(setting, [faces_alone(source) for source in samples])
        truth = truth or scores.Truth(counted, mouths)
        parts = counted.by_part
        left_out = [
            merged(part for i, part in enumerate(parts) if i != left)
            for left in range(len(parts) if len(parts) > 1 else 0)
        ]
        each = [
            scores.score(made, real, mouths=mouths)
            for made, real in zip([merged(parts), *left_out], [truth.whole, *truth.without], strict=True)
        ]
        result[name] = {score: [one[score] for one in each] for score in SCORES}
    return result


def faces_alone(source: scores.Source) -> scores.Source:
    """A source without its bodies, which take long to measure."""
    return lambda shard, span: replace(source(shard, span), body=None, root=None, motions=None)


def told(values: list[float | None]) -> str:
    """A score, or a difference, and half the width of its interval over takes."""
    numbers = np.array([value for value in values if value is not None])
    if len(numbers) < len(values):
        return ""
    width = jackknife_half_width(list(numbers[1:])) if len(numbers) > 2 else None
    return f"{numbers[0]:.3g}" + (f" ± {width:.2g}" if width is not None else "")


def minus(one: list[float | None], other: list[float | None]) -> list[float | None]:
    """The difference, where both are known."""
    return [None if a is None or b is None else a - b for a, b in zip(one, other, strict=True)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of a finished run")
    parser.add_argument("--rows", nargs="+", required=True, help="names of rows, or NAME=FOLDER")
    parser.add_argument("--against", nargs="*", default=[], help="rows that others are held against")
    parser.add_argument(
        "--actors", nargs="*", default=[], help="actors whose faces are measured (default: all)"
    )
    arguments = parser.parse_args()
    rows = {}
    for word in arguments.rows:
        name, _, folder = word.partition("=")
        own = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
        rows[name] = Path(folder) if folder else arguments.data / "results" / "generated" / own
    options = config.Evaluate(actors=tuple(arguments.actors))
    with fixed_threads(evaluate.THREADS):
        found = scored(arguments.data, rows, options)
    print("| row | " + " | ".join(SCORES) + " |\n|" + " --- |" * (1 + len(SCORES)))
    for name, row in found.items():
        print(f"| {name} | " + " | ".join(told(row[score]) for score in SCORES) + " |")
    for base in arguments.against:
        for name, row in found.items():
            if name != base:
                differences = [told(minus(row[score], found[base][score])) for score in SCORES]
                print(f"| {name} minus {base} | " + " | ".join(differences) + " |")


if __name__ == "__main__":
    main()
