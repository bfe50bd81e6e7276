"""Release rig: an actor's rig for a download on the ICT kit's head.

Such a download carries neutral heads but no shapes.

In: a rig (.npz) in the kit's topology and the actor's neutral head (OBJ). Out: the rig with that neutral:
shapes move the actor's head as they move the kit's. A head in metres or millimetres is brought to the rig's
cm.
"""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.formats.obj import read_vertices
from pipeline.formats.rig_file import load_rig, regions, save_rig

log = logging.getLogger("interact")
UNITS_CM = {"cm": 1.0, "m": 100.0, "mm": 0.1}
SIZES = (0.67, 1.5)
"""Size of a head as a share of the kit's."""


def to_cm(vertices: np.ndarray, neutral: np.ndarray, path: Path) -> np.ndarray:
    """Vertices (V, 3) of a head in cm, its unit judged by the neutral (V, 3) of the kit.

    InputError where no unit makes it a head.
    """
    size = float(np.linalg.norm(np.ptp(vertices, axis=0)) / np.linalg.norm(np.ptp(neutral, axis=0)))
    unit = min(UNITS_CM, key=lambda name: abs(np.log(max(size, 1e-12) * UNITS_CM[name])))
    if not SIZES[0] <= size * UNITS_CM[unit] <= SIZES[1]:
        raise InputError(
            f"{path}: got a head {size:.3g} times as large as the rig's, need {SIZES[0]} to {SIZES[1]} in cm,"
            " m or mm; check both files"
        )
    if unit != "cm":
        log.warning("%s: its size says that its unit is %s, not cm", path, unit)
    return vertices * UNITS_CM[unit]


def run(*, rig: Path, template: Path, out: Path) -> None:
    """Write the rig with the template as its neutral."""
    kit = load_rig(rig)
    vertices, _ = read_vertices(template)
    if len(vertices) != len(kit.neutral):
        raise InputError(
            f"{template}: got {len(vertices)} vertices, need the {len(kit.neutral)} of {rig}; set rig to one"
            " in the templates' topology"
        )
    # the kit's regions, so that all actors are measured on the same vertices
    save_rig(out, replace(kit, neutral=to_cm(vertices, kit.neutral, template), stored_regions=regions(kit)))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--rig", type=Path, required=True, help="rig (.npz) in the ICT kit's topology")
    parser.add_argument("--template", type=Path, required=True, help="the actor's neutral head (.obj)")
    parser.add_argument("--out", type=Path, required=True, help="rig (.npz) to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
