"""The report's chart of all face fits: the residual of each performance.

    python -m pipeline.report.residuals --takes takes.tsv --fits FOLDER --out residuals.png

In: takes.tsv and the performances' fit reports (pipeline.capture.blendshapes). Out: one PNG. Residuals are
cm.
"""

from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.figures.figure import pyplot, save
from pipeline.formats.takes import read_takes
from pipeline.reading import read_json

MAX_NAMES = 64
"""More performances than this have no name under their bar."""


def run(*, takes: Path, fits: Path, out: Path) -> None:
    """Draw the residuals of all fits.

    Fits without one (weights that were recorded as such) are counted in the title.
    """
    reports = [read_json(fits / f"{name}.json") for take in read_takes(takes) for name in take.performances]
    fitted = [r for r in reports if "residual_rms_cm" in r]
    plt = pyplot()
    if not fitted:
        fig, ax = plt.subplots(figsize=(7, 1.2))
        ax.text(
            0.5,
            0.5,
            f"All {len(reports)} face streams came as weights: nothing was fitted, so there is no residual.",
            ha="center",
            va="center",
        )
        ax.axis("off")
        save(fig, out)
        return
    fig, ax = plt.subplots(figsize=(max(7.0, min(16.0, 1.5 + 0.3 * len(fitted))), 4.5), layout="constrained")
    x = np.arange(len(fitted))
    ax.bar(
        x,
        [r["residual_rms_cm"] for r in fitted],
        color="#93c5fd",
        label="root mean square over the performance",
    )
    ax.plot(x, [r["residual_max_cm"] for r in fitted], "o", color="#1d4ed8", ms=4, label="largest of a frame")
    ax.set_ylabel("residual (cm a coordinate)")
    ax.set_ylim(bottom=0)
    if len(fitted) <= MAX_NAMES:
        ax.set_xticks(x, [r["performance"] for r in fitted], rotation=90, fontsize=7)
    else:
        ax.set_xlabel("performances, in name order")
    without = len(reports) - len(fitted)
    ax.set_title(
        f"Fit of {len(fitted)} face streams" + (f"; {without} more came as weights" if without else ""),
        fontsize=11,
    )
    fig.legend(loc="outside lower right", ncols=2, fontsize=8, frameon=False)
    save(fig, out)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--takes", type=Path, required=True, help="takes.tsv of the dataset")
    parser.add_argument("--fits", type=Path, required=True, help="folder of the performances' fit JSONs")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
