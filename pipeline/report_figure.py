"""Figures that are drawn into files, with the same bytes for the same input."""

from pathlib import Path

from pipeline.errors import InputError
from pipeline.files import whole


def pyplot():
    """matplotlib.pyplot that draws into files and needs no screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def need_png(path: Path) -> None:
    """InputError where a picture is not to become a PNG."""
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: got a picture {path.suffix or 'without suffix'}, need .png; correct its name")


def save(fig, out: Path) -> None:
    """Write a figure as a PNG that names no program and no date, and close it."""
    with whole(out) as temporary:
        fig.savefig(temporary, dpi=100, metadata={"Software": None})
    pyplot().close(fig)
