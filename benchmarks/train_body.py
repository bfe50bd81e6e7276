"""How long a step of the paper's bodies takes, beside a plain loop.

    python benchmarks/train_body.py data --batch-sizes 2             # the root of a run, for its shards
    python benchmarks/train_body.py data --precisions float32 bfloat16 --compile --steps 40

Bodies of config/paper.yaml, at full size (20 blocks of 256 channels), on windows of 150 frames of the
project's shards: lower and upper bodies, and one network for all joints. Printed, as Markdown: device,
parameters that learn, median seconds of a step after the first ones, seconds of an epoch of the paper (about
14,000 steps of 32 windows), memory, and how the engine's step compares with the plain one's at the same batch
(steps.py).
"""

from pathlib import Path
from typing import Any

import steps

from models import runs
from models.data import actors_of, shards_of
from models.recipe import Meta

EPOCH_WINDOWS = 14_000 * 32
"""Windows of two people in an epoch of the paper."""
KINDS = ("lower", "upper", "all")


def build(project: Path, folder: Path, changes: dict[str, Any]) -> tuple[str, Any, list, Meta]:
    """Recipe, options, shards, and what bodies know of them."""
    options = steps.paper("body_lower").model_copy(update=changes)
    shards, stats = shards_of(project / "shards")
    meta = runs.meta_of(options, stats, shards[0].joint_names, actors_of(shards))
    return "body", options, shards, meta


def main() -> None:
    """Command line."""
    parser = steps.parser(__doc__)
    parser.add_argument("--joints", nargs="+", choices=KINDS, default=list(KINDS))
    parser.set_defaults(batch_sizes=[32])
    given = parser.parse_args()
    variants = {kind: {"joints": kind} for kind in given.joints}
    steps.run(given, build, variants, what="joints", epoch_windows=EPOCH_WINDOWS)


if __name__ == "__main__":
    main()
