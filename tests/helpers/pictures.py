"""What tests ask of a picture that was drawn."""

from pathlib import Path


def height_of(path: Path) -> int:
    """Rows of pixels of a PNG."""
    import matplotlib.image

    return matplotlib.image.imread(path).shape[0]
