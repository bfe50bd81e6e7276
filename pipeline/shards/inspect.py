"""What is in a shard: its tree, attributes and takes, and a picture of one take.

    python -m pipeline.shards inspect shard-000.h5 [--take T] [--plot a.png]

In: a shard; sidecars and the index are told where they lie beside it. Out: lines of text, a PNG if asked for.
"""

import argparse
from pathlib import Path

import numpy as np

from pipeline.formats.array_files import open_hdf5
from pipeline.formats.shard_file import (
    Shard,
    TakeSpan,
)
from pipeline.formats.shard_index import LABELS, read_index


def run(*, file: Path, take: str | None, plot: Path | None) -> None:
    """Print a shard's tree, attributes and takes; `plot` writes a picture of one take."""
    import h5py

    shard = Shard(file)
    with open_hdf5(file, need="shard") as f:
        for name, item in f.items():
            if isinstance(item, h5py.Dataset):
                stored = f"{item.compression} in chunks {item.chunks}" if item.chunks else "uncompressed"
                kind, size = (
                    "table" if item.dtype.names else str(item.dtype),
                    item.id.get_storage_size() / 1e6,
                )
                print(f"{name:12} {str(item.shape):20} {kind:10} {size:9.2f} MB  {stored}")
            else:
                print(
                    f"{name:12} {len(item)} groups:"
                    f" {', '.join(list(item)[:4])}{', ...' if len(item) > 4 else ''}"
                )
    for beside in sorted(shard.path.parent.glob(f"*-*/{shard.path.name}")):
        stream = shard.attach(beside)
        said = ", ".join(f"{key} {value}" for key, value in sorted(shard.sidecar_attributes(stream).items()))
        print(f"{beside.parent.name}/{beside.name}: sidecar with {stream} {shard[stream].shape}, {said}")
    for name, value in sorted(shard.attributes.items()):
        text = str(value if isinstance(value, (str, int, float)) else np.asarray(value).tolist())
        print(f"@{name}: {text if len(text) <= 120 else text[:117] + '...'}")
    index = shard.path.parent / "index.parquet"
    labels = {row["take"]: row for row in read_index(index)} if index.exists() else {}
    for span in shard.takes:
        seconds = (span.stop_frame - span.start_frame) / shard.fps
        where = f"frames {span.start_frame}:{span.stop_frame}  samples {span.start_sample}:{span.stop_sample}"
        said = ", ".join(str(labels.get(span.take, {}).get(name) or "no " + name) for name in LABELS)
        print(
            f"{span.take}  {span.actor_a} {span.actor_b}  {span.split:5}  {seconds:6.1f} s  {where}  {said}"
        )
    if plot:
        _plot(shard, shard.find(take) if take else shard.takes[0], plot)


def _plot(shard: Shard, span: TakeSpan, path: Path) -> None:
    """A picture of a take: mel, mouth, height of the hips, action, facing and words of both actors."""
    from pipeline.figures.figure import pyplot, save

    part = slice(span.start_frame, span.stop_frame)
    seconds = np.arange(span.stop_frame - span.start_frame) / shard.fps
    figure = pyplot().figure(figsize=(14, 10), layout="constrained")
    axes = figure.subplots(6, 2, sharex=True)
    jaw = shard.arkit_names.index("jawOpen")
    for actor, performance in enumerate(span.performances):
        mel = shard["mel"][part, actor]
        axes[0, actor].imshow(mel.T, origin="lower", aspect="auto", extent=(0, seconds[-1], 0, mel.shape[1]))
        lines = {
            "jawOpen": shard["face"][part, actor, jaw],
            "hips y, cm": shard["root"][part, actor, 1],
            "action": shard["action"][part, actor],
            "facing": shard["facing"][part, actor],
            "word": shard["text_index"][part, actor] >= 0,
        }
        for axis, (label, values) in zip(axes[1:, actor], lines.items(), strict=True):
            axis.plot(
                seconds,
                values,
                drawstyle="steps-post" if label in ("action", "facing", "word") else "default",
                linewidth=0.8,
            )
            axis.set_ylabel(label)
        axes[0, actor].set_title(performance)
        axes[0, actor].set_ylabel("mel band")
        axes[3, actor].set_yticks([0, 1, 2], ["sit", "walk", "stand"])
        axes[5, actor].set_xlabel("seconds")
    save(figure, path)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.add_argument("file", type=Path, help="a shard")
    parser.add_argument("--take", help="take to plot; default: the first")
    parser.add_argument("--plot", type=Path, help="PNG to write")
