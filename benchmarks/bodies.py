"""Scores of generated bodies, row by row, and how often they do what they were asked to, action by action.

    python benchmarks/bodies.py data/small --rows "trained models" "one network"
    python benchmarks/bodies.py data/small --rows own=runs/a edited=made/edited

Reads a finished run's shards and generated takes. A row is the name of a row of the config, or NAME=FOLDER of
what models.generate wrote. Printed as Markdown: scores of bodies (models.scores), with half-widths
of 95 % intervals over test takes; then of each action the share of its frames in which the labeller of
actions takes the body for it, of all frames, and of those that are half a second or more from a change of
what is asked: at a change, labels are early or late for captured bodies too.
"""

import argparse
import re
from pathlib import Path

import numpy as np

from models import evaluate, scores
from models.data import shards_of, takes_of
from models.threads import fixed_threads
from pipeline import config
from pipeline.annotate.actions import NAMES, label_actions
from pipeline.formats.shard_file import Shard, TakeSpan
from pipeline.motion import pose
from pipeline.motion.clock import FPS

SCORES = ("FD_g", "FD_k", "spread_body", "accel_body", "actions_agree", "slide_cm_s", "sunk_cm",
          "distance_cm", "distance_W1", "facing_share", "overlap_share", "path_m_min", "turn_deg_s",
          "beat_align", "beat_align_chance")  # fmt: skip
EDGE = FPS // 2
"""Frames on both sides of a change of what is asked."""


def bodies_alone(source: scores.Source) -> scores.Source:
    """A source without its faces."""

    def read(shard: Shard, span: TakeSpan) -> scores.Sample:
        found = source(shard, span)
        return scores.Sample(found.body, found.root, None, found.motions, found.asked)

    return read


def by_action(setting: scores.Setting, sources: list[scores.Source]) -> list[str]:
    """Agreement over all frames, by action, and away from changes."""
    counts, inner = np.zeros((len(NAMES), 2)), np.zeros(2)
    for shard, span in setting.takes:
        for source in sources:
            sample = source(shard, span)
            asked = np.asarray(shard["action"][span.start_frame : span.stop_frame])
            asked = asked if sample.asked is None else sample.asked
            for k, performance in enumerate(span.performances):
                motion = sample.motions[k] if sample.motions else None
                if motion is None:
                    assert sample.body is not None and sample.root is not None
                    motion = pose.decode(sample.body[:, k], sample.root[:, k], shard.skeleton(performance))
                right, own = label_actions(motion) == asked[:, k], asked[:, k]
                near = np.zeros(len(own), bool)
                for change in np.flatnonzero(np.diff(own)) + 1:
                    near[max(change - EDGE, 0) : change + EDGE] = True
                for action in range(len(NAMES)):
                    counts[action] += right[own == action].sum(), (own == action).sum()
                inner += right[~near].sum(), (~near).sum()
    every = [counts.sum(0), *counts, inner]
    return [f"{right / total:.3f} ({int(total)})" if total else "" for right, total in every]


def told(row: dict, score: str) -> str:
    """A score and half the width of its interval over takes."""
    value, half = row.get(score), row.get(f"{score}_takes")
    if value is None:
        return ""
    return f"{value:.3g}" + (f" ± {half:.2g}" if half is not None else "")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of a finished run")
    parser.add_argument("--rows", nargs="+", required=True, help="names of rows, or NAME=FOLDER")
    arguments = parser.parse_args()
    folders = {}
    for word in arguments.rows:
        name, _, folder = word.partition("=")
        own = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
        path = Path(folder) if folder else arguments.data / "results" / "generated" / own
        folders[name] = evaluate.sample_folders(path)
    opened, stats = shards_of(arguments.data / "shards")
    with fixed_threads(evaluate.THREADS):
        setting = scores.Setting(takes_of(opened, "test"), stats, None, config.Evaluate())
        truth, lines = None, []
        print("| row | " + " | ".join(SCORES) + " |\n|" + " --- |" * (1 + len(SCORES)))
        for name, sources in evaluate.sources_of(setting, opened, folders).items():
            alone = [bodies_alone(source) for source in sources]
            counted = scores.count(setting, alone)
            truth = truth or scores.Truth(counted, None)
            row = scores.row_of(counted, truth, setting.options)
            print(f"| {name} | " + " | ".join(told(row, score) for score in SCORES) + " |", flush=True)
            lines.append(f"| {name} | " + " | ".join(by_action(setting, alone)) + " |")
    head = ("row", "all frames", *NAMES, "half a second from changes")
    print("\n| " + " | ".join(head) + " |\n|" + " --- |" * len(head), *lines, sep="\n")


if __name__ == "__main__":
    main()
