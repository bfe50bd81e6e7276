"""Statistics of a folder of shards: the moments by which models standardise their channels.

    python -m pipeline.shards.stats --shards shard-*.h5 --out stats.json

In: all shards. Out: stats.json, the moments of the train takes: {"takes", "frames", "body", "relative_root",
"relation", "lower_foot", "closest", "face", "mel", "text": {"mean": [...], "std": [...]}}. All but text are
pooled over both actors, text over the words that train takes say; lower_foot is the height of the lower toes,
closest the least distance on the ground between both hips in a take, cm, one for each take. Standard
deviations are those of the population.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import write_json
from pipeline.formats.shard_file import Shard, TakeSpan, check_alike
from pipeline.motion.legs import lower_foot
from pipeline.motion.pose import partner_seen, relative_root

DERIVED = {"relative_root": 4, "relation": 4, "lower_foot": 1, "closest": 1}
"""Statistics of what is derived of bodies and roots, with as many numbers."""


@dataclass
class Moments:
    """Count, mean and sum of squared deviations of rows, merged block by block in float64.

    Chan, Golub & LeVeque 1983.
    """

    count: int = 0
    mean: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0

    def add(self, rows: np.ndarray) -> None:
        """Take in rows (n, D)."""
        rows = np.asarray(rows, np.float64)
        if len(rows) == 0:
            return
        mean = rows.mean(0)
        total, step = self.count + len(rows), mean - self.mean
        self.squares = self.squares + ((rows - mean) ** 2).sum(0) + step**2 * (self.count * len(rows) / total)
        self.mean = self.mean + step * (len(rows) / total)
        self.count = total

    def as_dict(self, width: int) -> dict[str, list[float]]:
        """Mean and standard deviation as lists; zeros and ones of `width` where nothing was added."""
        if not self.count:
            return {"mean": [0.0] * width, "std": [1.0] * width}
        return {"mean": np.asarray(self.mean).tolist(), "std": np.sqrt(self.squares / self.count).tolist()}


def _rows(shard: Shard, span: TakeSpan) -> dict[str, Callable[[], np.ndarray]]:
    """Of one take, for each statistic, what reads its rows (n, D)."""
    start, stop = span.start_frame, span.stop_frame

    def pooled(name):
        block = shard[name][start:stop]
        return block.reshape(-1, block.shape[-1])

    def roots():
        block = np.asarray(shard["root"][start:stop], float)
        return np.concatenate([relative_root(block[:, actor]) for actor in range(2)])

    def words():
        spoken = np.unique(shard["text_index"][start:stop])
        return shard["text"][spoken[spoken >= 0]]  # h5py and memory maps both take sorted indices

    def seen():
        return partner_seen(np.asarray(shard["root"][start:stop], float)).reshape(-1, 4)

    def feet():
        poses, root = (np.asarray(shard[name][start:stop], float) for name in ("body", "root"))
        skeletons = [shard.skeleton(performance) for performance in span.performances]
        heights = [lower_foot(poses[:, k], root[:, k], own) for k, own in enumerate(skeletons)]
        return np.concatenate(heights)[:, None]

    def closest():
        apart = np.diff(np.asarray(shard["root"][start:stop], float)[..., [0, 2]], axis=1)
        return np.linalg.norm(apart, axis=-1).min(0)[None]

    streams = {name: lambda name=name: pooled(name) for name in ("body", "face", "mel")}
    placed = {"relative_root": roots, "relation": seen, "lower_foot": feet, "closest": closest}
    return streams | placed | {"text": words}


def statistics(shards: list[Shard]) -> dict:
    """The moments of the train takes, one take in memory at a time.

    Raises InputError where no take is in the train split or a value is not finite.
    """
    moments = {name: Moments() for name in ("body", *DERIVED, "face", "mel", "text")}
    widths, takes, frames = {}, 0, 0
    for shard in shards:
        widths = {name: DERIVED.get(name) or shard[name].shape[-1] for name in moments}
        for span in shard.takes:
            if span.split != "train":
                continue
            takes, frames = takes + 1, frames + span.stop_frame - span.start_frame
            for name, read in _rows(shard, span).items():
                rows = read()
                if not np.isfinite(rows).all():
                    raise InputError(
                        f"{shard.path}: take {span.take}: {name} has values that are not finite; build the"
                        " shard again"
                    )
                moments[name].add(rows)
    if not takes:
        raise InputError(
            f"{', '.join(shard.path.name for shard in shards)}: no take in the train split; give at least one"
            " take split train"
        )
    return {"takes": takes, "frames": frames} | {
        name: moment.as_dict(widths[name]) for name, moment in moments.items()
    }


def run(*, shards: list[Path], out: Path) -> None:
    """Write the statistics of the shards."""
    write_json(out, statistics(check_alike([Shard(path) for path in sorted(shards)])))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="all shards")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write: moments of the train takes")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
