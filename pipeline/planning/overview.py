"""The page on which the report opens: what the run was of, what came out, and where in the report to look.

In: the study that Snakemake has planned, and what its root holds. Out: text in reStructuredText, which the
Snakefile hands to workflow/report/workflow.rst. What a root does not hold has no line; nothing here stops a
report.
"""

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.planning.study import Study

DATASET = ("subjects", "performances", "joints", "hours", "words", "relationships", "emotions")
METRICS = ("FD_g", "FD_k", "spread_body", "accel_body", "LVE_cm2", "spread_face", "accel_face", "path_m_min")
ACCURACY = (
    "sync_last_ms",
    "body_error_cm",
    "face_weight_rms",
    "si_sdr_db",
    "action_accuracy",
    "facing_accuracy",
    "word_error",
    "contact_recall",
)
MOST = 12
"""Takes that are named; of more, their number is told."""


def plain(text: object) -> str:
    """Text without a meaning in reStructuredText, in one line."""
    return "".join(f"\\{c}" if c in "\\`*_|[]<>:" else c for c in " ".join(str(text).split()))


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, newline="", encoding="utf-8") as f:
            return list(csv.DictReader(f))
    except (OSError, ValueError, csv.Error):
        return []


def _number(text: str | None) -> str:
    try:
        value = float(text or "")
    except ValueError:
        return "-"
    return "0" if value == 0 else f"{value:.4g}" if abs(value) >= 1e-4 else "0.0000"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [head, *rows]:
        lines += [f"   {'*' if i == 0 else ' '} - {plain(cell)}" for i, cell in enumerate(row)]
    return "\n".join(lines)


def takes_text(root: Path, takes: list[str]) -> str:
    """How many takes there are, and which of them a person should look at."""
    verdicts: dict[str, list[str]] = {}
    for take in takes:
        try:
            found = json.loads(
                (root / "annotations" / "quality" / f"{take}.json").read_text(encoding="utf-8")
            )
            if found["verdict"] == "check":
                verdicts[take] = [str(reason) for reason in found["reasons"]]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            continue
    lines = [f"- {len(takes)} takes, {len(verdicts)} of them to be looked at"]
    lines += [
        f"- {plain(take)}: {plain('; '.join(reasons))}" for take, reasons in list(verdicts.items())[:MOST]
    ]
    if len(verdicts) > MOST:
        lines.append(f"- and {len(verdicts) - MOST} more")
    return "\n".join(lines)


def overview(study: "Study") -> str:
    """Sections of the page, those of which there is anything to say."""
    root = Path(study.root)
    found = {"Takes": takes_text(root, sorted(study.takes))}
    if row := next(iter(_rows(root / "results" / "dataset_row.csv")), None):
        keys = [key for key in DATASET if row.get(key)]
        found["Dataset"] = table(keys, [[row[key] for key in keys]])
    if rows := _rows(root / "results" / "table.csv"):
        cells = [[row.get("method") or "-", *(_number(row.get(key)) for key in METRICS)] for row in rows]
        found["Metrics on the held-out takes"] = table(["method", *METRICS], cells)
    means = {
        row.get("measure"): row.get("value")
        for row in _rows(root / "results" / "accuracy.csv")
        if row.get("take") == "mean"
    }
    if kept := [key for key in ACCURACY if key in means]:
        found["Accuracy against the truth"] = table(kept, [[_number(means[key]) for key in kept]])
    return "\n\n".join(f"{heading}\n{'-' * len(heading)}\n\n{text}" for heading, text in found.items())
