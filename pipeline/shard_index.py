"""Index and statistics of a folder of shards.

In: all shards. Out: index.parquet, one row per take, and stats.json, the moments of the train takes:
{"takes", "frames", "body", "relative_root", "face", "mel", "text": {"mean": [...], "std": [...]}}. Body, root, face and mel
are pooled over both actors; text over the words that train takes say. Standard deviations are those of the population.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.files import whole, write_json
from pipeline.pose import relative_root
from pipeline.shard_file import Shard


@dataclass
class Moments:
    """Count, mean and sum of squared deviations of rows, merged block by block in float64 (Chan, Golub & LeVeque 1983)."""

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


def _rows(shard: Shard, start: int, stop: int) -> dict[str, Callable[[], np.ndarray]]:
    """Of one take, for each statistic, what reads its rows (n, D)."""

    def pooled(name):
        block = shard[name][start:stop]
        return block.reshape(-1, block.shape[-1])

    def roots():
        block = np.asarray(shard["root"][start:stop], float)
        return np.concatenate([relative_root(block[:, actor]) for actor in range(2)])

    def words():
        spoken = np.unique(shard["text_index"][start:stop])
        return shard["text"][spoken[spoken >= 0]]  # h5py and memory maps both take sorted indices

    streams = {name: (lambda name=name: pooled(name)) for name in ("body", "face", "mel")}
    return streams | {"relative_root": roots, "text": words}


def statistics(shards: list[Shard]) -> dict:
    """The moments of the train takes, one take in memory at a time.

    Raises InputError where no take is in the train split or a value is not finite.
    """
    moments = {name: Moments() for name in ("body", "relative_root", "face", "mel", "text")}
    widths, takes, frames = {}, 0, 0
    for shard in shards:
        widths = {name: 4 if name == "relative_root" else shard[name].shape[-1] for name in moments}
        for span in shard.takes:
            if span.split != "train":
                continue
            takes, frames = takes + 1, frames + span.stop_frame - span.start_frame
            for name, read in _rows(shard, span.start_frame, span.stop_frame).items():
                rows = read()
                if not np.isfinite(rows).all():
                    raise InputError(f"{shard.path}: take {span.take}: {name} has values that are not finite; build the shard again")
                moments[name].add(rows)
    if not takes:
        raise InputError(f"{', '.join(shard.path.name for shard in shards)}: no take in the train split; give at least one take split train")
    return {"takes": takes, "frames": frames} | {name: moment.as_dict(widths[name]) for name, moment in moments.items()}


def run(*, shards: list[Path], index: Path, stats: Path) -> None:
    """Write the index and the statistics of the shards."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened = [Shard(path) for path in sorted(shards)]
    for shard in opened[1:]:
        if shard.joint_names != opened[0].joint_names:
            raise InputError(f"{shard.path}: its joints differ from those of {opened[0].path}; build both from one dataset")
    rows = [{"take": span.take, "shard": shard.path.name} | asdict(span) for shard in opened for span in shard.takes]
    names = [row["take"] for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"take {twice[0]}: it is in more than one shard; build them again from one plan")
    write_json(stats, statistics(opened))
    with whole(index) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary)


def read_index(path: Path) -> list[dict]:
    """Rows of index.parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path).to_pylist()
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())[:120]}); write it with python -m pipeline.shards index") from None
