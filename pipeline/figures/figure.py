"""Figures that are drawn into files, with the same bytes for the same input."""

from pathlib import Path

from pipeline.errors import InputError
from pipeline.files import whole

DPI = 100


def pyplot():
    """matplotlib.pyplot that draws into files, needs no screen, and shows text as it is.

    A dollar sign starts no formula.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["text.parse_math"] = False
    import matplotlib.pyplot as plt

    return plt


def need_png(path: Path) -> None:
    """InputError where a picture is not to become a PNG."""
    if path.suffix.lower() != ".png":
        raise InputError(
            f"{path}: got a picture {path.suffix or 'without suffix'}, need .png; correct its name"
        )


def save(fig, out: Path) -> None:
    """Write a figure as a PNG that names no program and no date, and close it."""
    with whole(out) as temporary:
        fig.savefig(temporary, dpi=DPI, metadata={"Software": None})
    pyplot().close(fig)
