"""Figures that are drawn into files, with the same bytes for the same input."""

from pathlib import Path

from pipeline.files import whole


def pyplot():
    """matplotlib.pyplot that draws into files and needs no screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def save(fig, out: Path) -> None:
    """Write a figure as a PNG that names no program and no date, and close it."""
    with whole(out) as temporary:
        fig.savefig(temporary, dpi=100, metadata={"Software": None})
    pyplot().close(fig)
