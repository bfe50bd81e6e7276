"""The report's picture of the trainings: loss by step of each run.

    python -m pipeline.report.losses --runs data/runs/face data/runs/body_lower --out losses.png

In: run folders, of which the log.jsonl is read. Out: one PNG.
"""

import json
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.figures.figure import pyplot, save

MOST_IN_A_LINE = 3
"""Runs beside each other."""


def losses_of(path: Path) -> np.ndarray:
    """Steps and losses (2, N) of a training's log.jsonl; other lines than those of a step are passed over."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        steps = [(line["step"], line["loss"]) for line in lines if "step" in line]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; train this model first") from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: not lines of JSON with step and loss ({error}); train this model again"
        ) from None
    if not steps:
        raise InputError(f"{path}: no step in it, need at least one; train this model again")
    return np.array(steps, float).T


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean of `values` (N,) over the last `width` of them, over fewer at the beginning; (N,)."""
    total = np.cumsum(values)
    count = np.minimum(np.arange(1, len(values) + 1), width)
    return (total - np.concatenate([np.zeros(min(width, len(values))), total[:-width]])) / count


def plain_log(value: float, _) -> str:
    """The label of a tick on a logarithmic axis: 1, 2, 4 and 6 of every decade."""
    lead = round(value / 10.0 ** np.floor(np.log10(value) + 1e-9))
    return f"{value:g}" if lead in (1, 2, 4, 6) else ""


def run(*, runs: list[Path], out: Path) -> None:
    """Draw the losses of the trainings, each step and their running mean."""
    curves = [losses_of(folder / "log.jsonl") for folder in runs]
    plt = pyplot()
    across = min(len(runs), MOST_IN_A_LINE)
    down = -(-len(runs) // across)
    fig, grid = plt.subplots(
        down, across, figsize=(14 * across / MOST_IN_A_LINE, 4 * down), layout="constrained", squeeze=False
    )
    for ax in grid.flat[len(runs) :]:
        ax.remove()
    for ax, folder, (steps, loss) in zip(grid.flat, runs, curves):
        width = max(1, len(loss) // 20)
        ax.plot(steps, loss, color="#cbd5e1", lw=0.8, label="each step")
        ax.plot(steps, running_mean(loss, width), color="#1d4ed8", lw=1.5, label=f"mean of the last {width}")
        if (loss > 0).all():
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter(plain_log)  # the default writes formulas
            ax.yaxis.set_minor_formatter(plain_log if loss.max() < 100 * loss.min() else "")
        ax.set_title(folder.name, fontsize=11)
        ax.set_xlabel("step")
        ax.grid(True, which="both", color="#eeeeee", lw=0.6)
        ax.legend(fontsize=8, frameon=False)
    for ax in grid[:, 0]:
        ax.set_ylabel("training loss")
    save(fig, out)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
