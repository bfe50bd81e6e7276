"""What a training learns, and what its samples are worth, beside a training as the paper's bases do it.

    python benchmarks/training.py PROJECT --out DIR [--variants before now ...] [--seeds 0 1]

PROJECT is the root of a finished run (`make run`: data). For each variant and seed the runs face, body_lower
and body_upper are trained on its shards, the test takes are sampled with their own voices and with another
take's, and both are scored by the table of metrics. Printed, as Markdown: error on held-out windows by noise
level, beside the same with another take's conditions, the best linear shrinkage and the mean; then the table.
A variant that is in DIR already is not trained again.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
BASES: dict[str, dict[str, Any]] = {
    "face": {"schedule": "scaled_linear", "steps": 1200},
    "body": {"schedule": "linear", "steps": 500, "velocity-weight": 0, "text-channels": 0, "text-dropout": 0,
             "swap": "false"},
}  # fmt: skip
"""Options of each recipe that the paper's bases have, at the default's sizes."""
BOTH = {"skip": "none", "untold": "mean", "condition-dropout": 0, "min-std": 0.0001, "min-scale": 0,
        "average": 0, "validation-share": 0}  # fmt: skip
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "before": {recipe: own | BOTH for recipe, own in BASES.items()},
    "now": {"face": {}, "body": {}},
    "schedule of the bases": {"face": {"schedule": "scaled_linear"}, "body": {"schedule": "linear"}},
    "no smoothing": {"face": {"skip": "none"}, "body": {"skip": "none"}},
    "output not smoothed": {"face": {}, "body": {"smooth-output": "false"}},
    "whole words": {"face": {}, "body": {"text-channels": 0, "text-dropout": 0}},
    "nothing dropped": {
        "face": {"condition-dropout": 0},
        "body": {"condition-dropout": 0, "text-dropout": 0},
    },
    "not swapped": {"face": {}, "body": {"swap": "false"}},
    "mirrored too": {"face": {}, "body": {"mirror": "true"}},
    "last weights": {recipe: {"average": 0, "validation-share": 0} for recipe in BASES},
    "no velocity": {"face": {"velocity-weight": 0}, "body": {"velocity-weight": 0}},
}
"""Options that differ from the default's, by recipe."""
RUNS = {
    "face": ("face", {}),
    "body_lower": ("body", {"joints": "lower"}),
    "body_upper": ("body", {"joints": "upper"}),
}
SCORES = ("FD_g", "FD_k", "spread_body", "accel_body", "LVE_mean_cm2", "LVE_cm2", "spread_face", "accel_face",
          "path_W1", "distance_W1", "slide_cm_s", "checks")  # fmt: skip


def call(module: str, *arguments: Any) -> None:
    """A command of ours, which must succeed."""
    subprocess.run([sys.executable, "-m", module, *map(str, arguments)], check=True, cwd=REPOSITORY)


def flags(options: dict[str, Any]) -> list[str]:
    """Options as flags."""
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def made(project: Path, out: Path, variant: str, seed: int, common: dict[str, Any]) -> float:
    """Train, sample and score a variant; the seconds that it took."""
    begin = time.monotonic()
    shards = project / "shards"
    for run, (recipe, own) in RUNS.items():
        options = common | own | VARIANTS[variant][recipe] | {"seed": seed}
        call("models.train", recipe, "--shards", shards, "--out", out / "runs" / run, *flags(options))
    for voices in ("own", "another"):
        call("models.generate", "--runs", out / "runs", "--shards", shards, "--out", out / voices,
             "--num-samples", 5, "--seed", seed, "--voices", voices)  # fmt: skip
    call("models.evaluate", "--shards", shards, "--rigs", project / "dataset" / "rigs", "--generated",
         out / "own", out / "another", "--rows", "own voices", "another's voices",
         "--out-table", out / "table.csv", "--out-page", out / "table.html")  # fmt: skip
    return time.monotonic() - begin


def number(text: str) -> str:
    """A cell in four digits."""
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=["before", "now"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--option", nargs="*", default=[], metavar="NAME=VALUE", help="of all trainings")
    given = parser.parse_args()
    common = dict(text.split("=", 1) for text in given.option)
    held, scored, times = [], [], []
    for variant in given.variants:
        for seed in given.seeds:
            out = (given.out / f"{variant.replace(' ', '_')}-{seed}").resolve()
            if not (out / "table.csv").exists():
                times.append((variant, seed, made(given.project.resolve(), out, variant, seed, common)))
            for run in RUNS:
                lines = (out / "runs" / run / "log.jsonl").read_text(encoding="utf-8").splitlines()
                for level, error in json.loads(lines[-1])["held_out"]["levels"].items():
                    cells = [f"{error[name]:.3f}" for name in ("model", "other", "shrinkage", "mean")]
                    held.append([variant, str(seed), run, level, *cells])
            with open(out / "table.csv", encoding="utf-8", newline="") as f:
                rows = {row["method"]: row for row in csv.DictReader(f)}
            for name, row in rows.items():
                own = name.endswith("voices")
                if own or (variant, seed) == (given.variants[0], given.seeds[0]):
                    title = f"{variant}, {name}" if own else name
                    scored.append([title, str(seed) if own else "", *(number(row[key]) for key in SCORES)])
    for head, table in (
        (["variant", "seed", "run", "alpha-bar", "model", "another take's", "shrinkage", "mean"], held),
        (["row", "seed", *SCORES], scored),
    ):
        print("\n| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
        for cells in table:
            print("| " + " | ".join(cells) + " |")
    for variant, seed, seconds in times:
        print(f"\n{variant}, seed {seed}: {seconds:.0f} s")


if __name__ == "__main__":
    main()
