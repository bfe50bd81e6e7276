"""The report's picture of the trainings: loss of each run by step, and error on takes not learned from.

    python -m pipeline.report.losses --runs data/runs/face data/runs/body_lower --out losses.png

In: run folders, of which the log.jsonl is read. Out: one PNG.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.figures.figure import pyplot, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_IN_A_LINE = 3
"""Runs beside each other."""
MEASURED = "held_out"
"""Key of the lines that tell what was measured on takes that are not learned from, ..."""
ERRORS = ("model", "other", "shrinkage", "mean")
"""... and what they tell, by level of the noise."""
COLORS = ("#1d4ed8", "#c2410c", "#15803d", "#7e22ce", "#0e7490")
"""Of noise levels."""


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a training's log.jsonl; InputError where there is none, or it holds something else."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; train this model first") from None
    except ValueError as error:
        raise InputError(f"{path}: not lines of JSON ({error}); train this model again") from None
    if not all(isinstance(line, dict) for line in lines):
        raise InputError(f"{path}: a line is no object; train this model again")
    return lines


def losses_of(path: Path) -> np.ndarray:
    """Steps and losses (2, N) of a training's log.jsonl; other lines than those of a step are passed over."""
    lines = [line for line in lines_of(path) if "step" in line and MEASURED not in line]
    if not lines:
        raise InputError(f"{path}: no step in it, need at least one; train this model again")
    try:
        return np.array([(line["step"], line["loss"]) for line in lines], float).T
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: not lines of JSON with step and loss ({error}); train this model again"
        ) from None


def held_out_of(path: Path) -> dict[str, np.ndarray]:
    """By noise level, steps and errors (5, N): model, another take's conditions, shrinkage, mean.

    Empty where nothing was measured, or a model has no noise levels.
    """
    found: dict[str, list[list[float]]] = {}
    for line in lines_of(path):
        try:
            for level, error in ((line.get(MEASURED) or {}).get("levels") or {}).items():
                if "step" in line:
                    found.setdefault(level, []).append([line["step"], *(error[name] for name in ERRORS)])
        except (AttributeError, TypeError, KeyError) as error:
            raise InputError(
                f"{path}: held_out has no levels with {', '.join(ERRORS)} ({error!r}); train this model again"
            ) from None
    return {level: np.array(rows, float).T for level, rows in found.items()}


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean of `values` (N,) over the last `width` of them, over fewer at the beginning; (N,)."""
    total = np.cumsum(values)
    count = np.minimum(np.arange(1, len(values) + 1), width)
    return (total - np.concatenate([np.zeros(min(width, len(values))), total[:-width]])) / count


def plain_log(value: float, _) -> str:
    """The label of a tick on a logarithmic axis: 1, 2, 4 and 6 of every decade."""
    lead = round(value / 10.0 ** np.floor(np.log10(value) + 1e-9))
    return f"{value:g}" if lead in (1, 2, 4, 6) else ""


def draw_losses(ax: "Axes", name: str, curve: np.ndarray) -> None:
    """Each step's loss and their running mean."""
    steps, loss = curve
    width = max(1, len(loss) // 20)
    ax.plot(steps, loss, color="#cbd5e1", lw=0.8, label="each step")
    ax.plot(steps, running_mean(loss, width), color="#1d4ed8", lw=1.5, label=f"mean of the last {width}")
    _logarithmic(ax, loss)
    ax.set_title(name, fontsize=11)
    ax.set_xlabel("step")
    ax.legend(fontsize=8, frameon=False)


def draw_held_out(ax: "Axes", levels: dict[str, np.ndarray]) -> None:
    """Error on held-out windows by noise level, beside what the input alone and another take tell."""
    every = np.concatenate([rows[1:].ravel() for rows in levels.values()])
    for (level, (steps, model, other, shrinkage, _)), color in zip(levels.items(), COLORS):
        ax.plot(steps, model, color=color, lw=1.5, marker="o", ms=3, label=f"alpha-bar {level}")
        ax.plot(steps, other, color=color, lw=1.0, ls=":")
        ax.plot(steps, shrinkage, color=color, lw=1.0, ls="--")
    steps, *_, mean = next(iter(levels.values()))
    ax.plot(steps, mean, color="#666666", lw=1.0)
    for style, told in ((":", "another take's conditions"), ("--", "best shrinkage"), ("-", "the mean")):
        ax.plot([], [], color="#666666", lw=1.0, ls=style, label=told)
    _logarithmic(ax, every)
    ax.set_title("takes not learned from", fontsize=10)
    ax.set_xlabel("step")
    ax.legend(fontsize=7, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.15))


def _logarithmic(ax: "Axes", values: np.ndarray) -> None:
    if (values > 0).all():
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(plain_log)  # the default writes formulas
        ax.yaxis.set_minor_formatter(plain_log if values.max() < 100 * values.min() else "")
    ax.grid(True, which="both", color="#eeeeee", lw=0.6)


def run(*, runs: list[Path], out: Path) -> None:
    """Draw the losses of the trainings, and below each what it does on takes that it does not learn from."""
    curves = [losses_of(folder / "log.jsonl") for folder in runs]
    measured = [held_out_of(folder / "log.jsonl") for folder in runs]
    plt = pyplot()
    across = min(len(runs), MOST_IN_A_LINE)
    rows = 2 if any(measured) else 1
    down = -(-len(runs) // across)
    lines = rows * down if any(measured[across * (down - 1) :]) else rows * (down - 1) + 1
    size = 14 * across / MOST_IN_A_LINE, 4 * lines
    fig, grid = plt.subplots(lines, across, figsize=size, layout="constrained", squeeze=False)
    drawn = []
    for number, (folder, curve, levels) in enumerate(zip(runs, curves, measured)):
        row, column = divmod(number, across)
        ax = grid[rows * row, column]
        drawn.append(ax)
        draw_losses(ax, folder.name, curve)
        if not column:
            ax.set_ylabel("training loss")
        if levels:
            ax = grid[rows * row + 1, column]
            drawn.append(ax)
            draw_held_out(ax, levels)
            if not column:
                ax.set_ylabel("mean squared error, standardised")
    for ax in {*grid.flat} - {*drawn}:
        ax.remove()
    save(fig, out)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run folders")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
