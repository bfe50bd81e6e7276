"""Rigs: ARKit's 51 shapes on an actor's head, imported, listed, checked, drawn and carried to other heads.

    python -m pipeline.rigs import SOURCE --out actor.npz [--unit cm|m|mm] [--neutral FILE] [--mesh NAME] \\
        [--missing zero]
    python -m pipeline.rigs list actor.npz                  a row per shape, and the sizes of mesh and regions
    python -m pipeline.rigs check actor.npz ...             exit 1 and a line per fault
    python -m pipeline.rigs draw actor.npz --out rig.png    neutral, regions and every shape
    python -m pipeline.rigs transfer GENERIC.npz --neutral actor.obj --out actor.npz --method copy|transfer

SOURCE is a folder of OBJ files (ICT FaceKit as it is downloaded is one), a .glb or .gltf, or an .npz with
neutral, names, deltas and faces. Rigs are the .npz of pipeline/formats/rig_file.py, in cm; docs/rigs.md has
the formats and the names of shapes.
"""

import argparse
from pathlib import Path

from pipeline import stage
from pipeline.formats.faces import UNITS_CM
from pipeline.rigs import rig


def import_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `import`."""
    parser.add_argument("source", type=Path, help="folder of OBJ files, .glb, .gltf or .npz")
    parser.add_argument("--out", type=Path, required=True, help="rig to write (.npz)")
    parser.add_argument(
        "--unit",
        choices=UNITS_CM,
        help="unit of the source; default: m for glTF, else the one that makes a head",
    )
    parser.add_argument(
        "--neutral",
        type=Path,
        help="neutral of a folder of OBJ files; default: the file that is named like one",
    )
    parser.add_argument(
        "--mesh",
        help="the one mesh or node of a glTF to take; default: all that have morph targets, joined",
    )
    parser.add_argument(
        "--missing",
        choices=("error", "zero"),
        default="error",
        help="zero: shapes that are not there do not move",
    )


def list_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `list`."""
    parser.add_argument("file", type=Path, help="a rig")


def check_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `check`."""
    parser.add_argument("files", type=Path, nargs="+", help="rigs")


def draw_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `draw`."""
    parser.add_argument("file", type=Path, help="a rig")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")


def transfer_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of `transfer`."""
    parser.add_argument("generic", type=Path, help="rig whose shapes are given")
    parser.add_argument(
        "--neutral",
        type=Path,
        required=True,
        help="the actor's neutral in the rig's topology, .obj or .npz",
    )
    parser.add_argument("--out", type=Path, required=True, help="rig to write (.npz)")
    parser.add_argument(
        "--method",
        choices=("copy", "transfer"),
        default="transfer",
        help="copy: deltas as they are; transfer: fitted to the face",
    )
    parser.add_argument(
        "--unit", choices=UNITS_CM, help="unit of the neutral; default: the one that makes a head"
    )


COMMANDS: dict[str, stage.Command] = {
    "import": (rig.run_import, import_flags),
    "list": (rig.run_list, list_flags),
    "check": (rig.run_check, check_flags),
    "draw": (rig.run_draw, draw_flags),
    "transfer": (rig.run_transfer, transfer_flags),
}


def main(argv: list[str] | None = None) -> None:
    """Command line: the first word is the command."""
    stage.execute_one_of(COMMANDS, argv, doc=__doc__, called="pipeline.rigs")


if __name__ == "__main__":
    main()
