"""How long a step of the paper's face takes, its speech encoder frozen or trained, beside a plain loop.

    python benchmarks/train_face.py data                              # the root of a run, for its shards
    python benchmarks/train_face.py data --batch-sizes 1 16 64 --precisions float32 bfloat16 --steps 40

The face of config/paper.yaml, at full size, on windows of the project's shards. Its speech encoder is a
wav2vec2-base that is drawn at random in a temporary folder: weights do not change how long a step takes.
`frozen` reads features of that encoder which are made beforehand, `trained` hears windows of the voices.

Printed, as Markdown: device, parameters that learn, median seconds of a step after the first ones, seconds of
an epoch of the paper (6,000 windows of one person), memory, and how the engine's step compares with the plain
one's at the same batch (steps.py).
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import steps
import torch

from models import runs
from models.data import actors_of, attach_speech, shards_of
from models.recipe import Meta
from pipeline.config import Speech
from pipeline.shards import speech, speech_stats

SEGMENTS = 6000
"""Windows of one person in an epoch of the paper."""


def draw_encoder(folder: Path) -> None:
    """A wav2vec2-base with drawn weights, as its library saves it."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(0)
    Wav2Vec2Model(Wav2Vec2Config()).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"do_normalize": True, "sampling_rate": 16_000})
    )


def prepare(folder: Path, *, project: Path, frozen: bool) -> None:
    """The encoder, and its features for all shards with their moments where they are asked for."""
    draw_encoder(folder / "encoder")
    if not frozen:
        return
    out, paths = folder / "features", sorted((project / "shards").glob("shard-*.h5"))
    for path in paths:
        speech.run(shard=path, out=out / path.name, options=Speech(model=str(folder / "encoder")))
    speech_stats.run(shards=paths, sidecars=[out / path.name for path in paths], out=out / "stats.json")


def build(project: Path, folder: Path, changes: dict[str, Any]) -> tuple[str, Any, list, Meta]:
    """Recipe, options, shards, and what the face knows of them."""
    options = steps.paper("face").model_copy(update=changes)
    shards, stats = shards_of(project / "shards")
    described = None
    if options.trains_encoder:
        from models.learned_encoder import describe

        described = describe(str(folder / "encoder"), "last")
    else:
        stats |= attach_speech(shards, folder / "features")
    meta = runs.meta_of(options, stats, shards[0].joint_names, actors_of(shards), encoder=described)
    return "face", options, shards, meta


def main() -> None:
    """Command line."""
    parser = steps.parser(__doc__)
    kinds = ("frozen", "trained")
    parser.add_argument("--encoders", nargs="+", choices=kinds, default=list(kinds))
    parser.set_defaults(batch_sizes=[1])
    given = parser.parse_args()
    steps.run(
        given,
        build,
        {kind: {"encoder": kind} for kind in given.encoders},
        what="encoder",
        epoch_windows=SEGMENTS // 2,
        prepare=partial(prepare, project=given.project, frozen="frozen" in given.encoders),
    )


if __name__ == "__main__":
    main()
