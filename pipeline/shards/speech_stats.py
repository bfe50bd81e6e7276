"""Statistics of a folder of sidecars: the moments by which models standardise a frozen encoder's features.

    python -m pipeline.shards.speech_stats --shards shards/shard-*.h5 \\
        --sidecars shards/speech-HASH/shard-*.h5 --out shards/speech-HASH/stats.json

In: all shards, and the sidecar of each (pipeline.shards.speech writes them): one dataset of the stream's
name, (N, 2, E) float16 on the shard's own frames, and attributes that name the encoder. Out: stats.json, the
moments of the train takes and the same names. Another encoder makes another folder, and the shards stay as
they are.
"""

from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats.shard_file import Shard
from pipeline.shards.stats import Moments

BLOCK_FRAMES = 4096


def statistics(shards: list[Path], sidecars: list[Path], out: Path) -> dict:
    """The moments of the train takes, both actors pooled, and what the sidecars say of their encoder.

    `out` is the file that a message names.
    """
    if len(shards) != len(sidecars):
        raise InputError(
            f"{out}: got {len(shards)} shards and {len(sidecars)} sidecars, need one for each; name all of"
            " both"
        )
    moments, described, stream = Moments(), None, ""
    for path, beside in zip(sorted(shards), sorted(sidecars), strict=True):
        shard = Shard(path)
        stream = shard.attach(beside)
        own = shard.sidecar_attributes(stream)
        if described not in (None, own):
            raise InputError(
                f"{beside}: another encoder than that of {sorted(sidecars)[0]}; write both again (python -m"
                " pipeline.shards.speech)"
            )
        described = own
        for span in shard.takes:
            for start in range(
                span.start_frame, span.stop_frame if span.split == "train" else span.start_frame, BLOCK_FRAMES
            ):
                block = np.asarray(shard[stream][start : min(start + BLOCK_FRAMES, span.stop_frame)])
                moments.add(block.reshape(-1, block.shape[-1]))
    if described is None or not moments.count:
        raise InputError(f"{out}: no take in the train split; give at least one take split train")
    return {stream: moments.as_dict(described["width"]), "encoder": described}


def run(*, shards: list[Path], sidecars: list[Path], out: Path) -> None:
    """Write the statistics of the sidecars."""
    write_json(out, statistics(shards, sidecars, out))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--sidecars", type=Path, nargs="+", required=True, help="the sidecar of each")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
