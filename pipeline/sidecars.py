"""Sidecars: a frozen encoder's features of the takes of a shard, in a file of their own beside it, and their moments.

    python -m pipeline.sidecars build --shard shards/shard-000.h5 --features features --stream speech --out shards/speech-HASH/shard-000.h5
    python -m pipeline.sidecars stats --shards shards/shard-*.h5 --sidecars shards/speech-HASH/shard-*.h5 --out shards/speech-HASH/stats.json

In: features/{take}.{stream}.h5 of a shard's takes. Out: one dataset of the stream's name, (N, 2, E) float16 on the shard's own
frames, and attributes that name the encoder; stats.json holds the moments of the train takes and the same names. Another
encoder makes another folder, and the shards stay as they are.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import whole, write_json
from pipeline.shard_file import ALIGNMENT, SIDECAR_VERSION, Shard, spans_json
from pipeline.shard_index import Moments

BLOCK_FRAMES = 4096


def build(*, shard: Path, features: Path, stream: str, out: Path) -> None:
    """Write the sidecar of one shard, one take in memory at a time."""
    import h5py

    opened = Shard(shard)
    described: dict = {}
    layout = {"libver": ("earliest", "v110"), "alignment_threshold": ALIGNMENT, "alignment_interval": ALIGNMENT}
    with whole(out) as temporary, h5py.File(temporary, "w", **layout) as f:
        for span in stage.progress(opened.takes, label=out.name):
            path, frames = features / f"{span.take}.{stream}.h5", span.stop_frame - span.start_frame
            try:
                with h5py.File(path) as source:
                    values, own = source[stream][()], {key: value for key, value in source.attrs.items() if key != "fps"}
            except (OSError, KeyError) as error:
                said = " ".join(str(error).split())
                raise InputError(f"take {span.take}: {path} cannot be read ({said}); write it with python -m pipeline.{stream}") from None
            if values.ndim != 3 or values.shape[:2] != (frames, 2):
                raise InputError(f"{path}: {stream} has shape {values.shape}, need {frames} frames of two actors as in {shard}; write it again")
            if not np.isfinite(values).all():
                raise InputError(f"{path}: {stream} has values that are not finite, need none; write it again")
            if not described:
                described = own | {"width": values.shape[2]}
                f.create_dataset(stream, (opened.takes[-1].stop_frame, 2, values.shape[2]), "f2")
            for key, value in (own | {"width": values.shape[2]}).items():
                if described.get(key) != value:
                    first = opened.takes[0].take
                    raise InputError(
                        f"take {span.take}: {key} of its {stream} is {value}, that of take {first} is {described.get(key)}; write both again"
                    )
            f[stream][span.start_frame : span.stop_frame] = values
        for key, value in described.items():
            f.attrs[key] = value
        f.attrs["sidecar_version"], f.attrs["takes"] = SIDECAR_VERSION, spans_json(opened.takes)


def stats(*, shards: list[Path], sidecars: list[Path], out: Path) -> None:
    """Write the moments of the train takes, both actors pooled, and what the sidecars say of their encoder."""
    if len(shards) != len(sidecars):
        raise InputError(f"{out}: got {len(shards)} shards and {len(sidecars)} sidecars, need one for each; name all of both")
    moments, described, stream = Moments(), None, ""
    for path, beside in zip(sorted(shards), sorted(sidecars), strict=True):
        shard = Shard(path)
        stream = shard.attach(beside)
        own = shard.sidecar_attributes(stream)
        if described not in (None, own):
            raise InputError(f"{beside}: another encoder than that of {sorted(sidecars)[0]}; build both again (python -m pipeline.sidecars build)")
        described = own
        for span in shard.takes:
            for start in range(span.start_frame, span.stop_frame if span.split == "train" else span.start_frame, BLOCK_FRAMES):
                block = np.asarray(shard[stream][start : min(start + BLOCK_FRAMES, span.stop_frame)])
                moments.add(block.reshape(-1, block.shape[-1]))
    if described is None or not moments.count:
        raise InputError(f"{out}: no take in the train split; give at least one take split train")
    write_json(out, {stream: moments.as_dict(described["width"]), "encoder": described})


def main(argv: list[str] | None = None) -> None:
    """Command line: the first word is the command."""
    argv = sys.argv[1:] if argv is None else argv
    name = argv[0] if argv else "--help"
    parser = stage.parser(__doc__)
    parser.prog = f"python -m pipeline.sidecars {name}"
    run: Callable[..., None]
    if name == "build":
        run = build
        parser.add_argument("--shard", type=Path, required=True, help="the shard")
        parser.add_argument("--features", type=Path, required=True, help="the features folder")
        parser.add_argument("--stream", default="speech", help="which features (default: %(default)s)")
        parser.add_argument("--out", type=Path, required=True, help="sidecar to write")
    elif name == "stats":
        run = stats
        parser.add_argument("--shards", type=Path, nargs="+", required=True, help="all shards")
        parser.add_argument("--sidecars", type=Path, nargs="+", required=True, help="the sidecar of each")
        parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    elif name in ("-h", "--help"):
        print(__doc__)
        return
    else:
        sys.exit(f"error: unknown command {name!r}; need build or stats")
    stage.execute(parser, run, argv[1:])


if __name__ == "__main__":
    main()
