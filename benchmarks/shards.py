"""How fast training windows come out of shards, with how much memory, and how large shards are.

    pip install webdataset
    python benchmarks/shards.py --hours 1 10 --workers 0 2 4
    python benchmarks/shards.py --run data    # time from dataset to shards, out of a finished run's timings

Makes shards of the release's size (60 joints, 80 mel bands, takes of 60 s, values seeded) with the project's
own builder, and the same numbers as memory-mapped .npy files, one a stream, as shards compressed with gzip in
chunks of a window, and as webdataset tars with a window a sample. Then, in one process after the other, on
warm files:

windows     150 frames of body, root, face and mel at random, by plain slices, repeated in turns: medians and
            ratios to .npy
loader      batches of 32 windows: models.data.loader with 0, 2 and 4 threads, and through torch's DataLoader
            with as many processes the same Dataset (`shards, p`), one over the .npy that does the same work
            item by item, and webdataset with a shuffle buffer of 1,000 windows (it reads in order)
memory      of all processes of a loader after 200 batches, at each number of hours: private memory, and pages
            of the files that are mapped (the system takes those back when it needs them)
size        bytes an hour of two people, and the seconds that the builder takes for it

webdataset is no dependency of the project; without it its rows are left out.
"""

import argparse
import datetime
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.files import write_tsv  # noqa: E402
from pipeline.formats import arkit
from pipeline.formats.shard_file import open_shards  # noqa: E402
from pipeline.formats.tables import TAKE_COLUMNS  # noqa: E402
from pipeline.motion.clock import sample_of  # noqa: E402
from pipeline.motion.joints import RELEASE_JOINTS, RELEASE_PARENTS  # noqa: E402
from pipeline.report.timings import read_timings  # noqa: E402
from pipeline.shards import build as shards  # noqa: E402

TAKE_FRAMES = 1800
TAKES_PER_SHARD = 24
WINDOW, STRIDE, BATCH = 150, 5, 32
STREAMS = ("body", "root", "face", "mel")
TEXT = "shard-000.text.h5"
ANNOTATIONS = (
    "actions",
    "facing",
    "sync_check",
    "quality",
    "features",
    "text",
    "speech",
    "shards_build",
    "shards_index",
    "shards_stats",
)


def write_sources(folder: Path, takes: list[str], rng: np.random.Generator) -> None:
    """The files of takes that a shard is built from: values random, shapes those of the release."""
    import h5py

    names = list(RELEASE_JOINTS)
    parents = [-1 if (parent := RELEASE_PARENTS[name]) is None else names.index(parent) for name in names]
    for part in ("dataset/face_arkit", "annotations/actions", "annotations/facing", "features"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = []
    for take in takes:
        date, scenario = take.split("_")
        with h5py.File(folder / "features" / f"{take}.h5", "w") as f:
            for name, width in (("body", 3 * len(names)), ("root", 4), ("mel", 80)):
                f[name] = rng.standard_normal((TAKE_FRAMES, 2, width), np.float32)
            f["audio"] = 0.1 * rng.standard_normal((int(sample_of(TAKE_FRAMES)), 2), np.float32)
            f.attrs["joint_names"], f.attrs["parents"], f.attrs["mel_fft"], f.attrs["mel_fmax"] = (
                names,
                parents,
                1024,
                8000.0,
            )
            for actor in ("001", "002"):
                group = f.create_group(f"skeletons/{date}_{actor}_{scenario}")
                group["offsets_cm"], group["ends_cm"] = (
                    np.zeros((len(names), 3)),
                    np.full((len(names), 3), np.nan),
                )
                group.attrs["orders"] = ["zxy"] * len(names)
        with h5py.File(folder / "features" / TEXT, "a") as f:
            start, group = np.arange(0.0, TAKE_FRAMES / 30 - 1, 0.4), f.create_group(take)
            group["text"] = rng.standard_normal((2 * len(start), 384), np.float32)
            group["actor"] = np.repeat(np.arange(2, dtype=np.uint8), len(start))
            group["start"], group["end"] = np.tile(start, 2), np.tile(start + 0.3, 2)
            f.attrs["model"], f.attrs["model_sha256"] = "none", "0" * 64
        for actor in ("001", "002"):
            name = f"{date}_{actor}_{scenario}.npy"
            np.save(
                folder / "dataset/face_arkit" / name, rng.random((TAKE_FRAMES, len(arkit.NAMES)), np.float32)
            )
            np.save(folder / "annotations/actions" / name, rng.integers(0, 3, TAKE_FRAMES).astype(np.uint8))
            np.save(folder / "annotations/facing" / name, rng.integers(0, 2, TAKE_FRAMES).astype(np.uint8))
        row = {"take": take, "date": date, "scenario": scenario, "actor_a": "001", "actor_b": "002"}
        rows.append(dict.fromkeys(TAKE_COLUMNS, "") | row)
    write_tsv(folder / "dataset" / "takes.tsv", TAKE_COLUMNS, rows)


def rename_takes(path: Path, date: str) -> None:
    """Give the takes of a shard another date, since no take may be in two shards."""
    import h5py

    with h5py.File(path, "r+") as f:
        table = f["takes"][()]
        table["take"] = [f"{date}_{name.decode().partition('_')[2]}".encode() for name in table["take"]]
        f["takes"][...] = table


def make(folder: Path, hours: float) -> None:
    """Shards (folder/shards), compressed ones (gzip), .npy (npy) and tars (tar) of `hours` of data.

    The builder makes the first shard; the others are copies of it, since the speed of reading does not hang
    on the values.
    """
    takes = [f"20240101_{i + 1:03d}" for i in range(TAKES_PER_SHARD)]
    write_sources(folder, takes, np.random.default_rng(0))
    parts = shards.sources(
        folder / "dataset", folder / "annotations", folder / "features", takes, folder / "features" / TEXT
    )
    num_shards = max(1, round(hours * 3600 * 30 / TAKE_FRAMES / TAKES_PER_SHARD))
    for kind, compression in (("shards", "none"), ("gzip", "gzip")):
        first = folder / kind / "shard-000.h5"
        begin = time.perf_counter()
        shards.build(parts, ["train"] * len(takes), first, compression=compression, chunk_frames=WINDOW)
        spent, hours_built = time.perf_counter() - begin, TAKES_PER_SHARD * TAKE_FRAMES / 30 / 3600
        print(
            f"size     {kind:8}{first.stat().st_size / hours_built / 1e6:8.0f} MB an hour, built in"
            f" {spent / hours_built:.1f} s an hour"
        )
        for i in range(1, num_shards if kind == "shards" else 1):
            shutil.copy(first, folder / kind / f"shard-{i:03d}.h5")
            rename_takes(
                folder / kind / f"shard-{i:03d}.h5",
                f"{datetime.date(2024, 1, 1) + datetime.timedelta(i):%Y%m%d}",
            )
    shutil.rmtree(folder / "features")


def make_others(folder: Path) -> None:
    """The first shards' numbers as .npy and as tars."""
    opened = open_shards(folder / "shards")
    (folder / "npy").mkdir()
    (folder / "tar").mkdir()
    for name in STREAMS:
        whole = np.lib.format.open_memmap(
            folder / "npy" / f"{name}.npy",
            "w+",
            np.float32,
            (sum(len(shard[name]) for shard in opened), *opened[0][name].shape[1:]),
        )
        at = 0
        for shard in opened:
            whole[at : at + len(shard[name])] = shard[name]
            at += len(shard[name])
        del whole
    for number, shard in enumerate(opened):
        with tarfile.open(folder / "tar" / f"{number:03d}.tar", "w") as tar:
            for span in shard.takes:
                for start in range(span.start_frame, span.stop_frame - WINDOW + 1, WINDOW):
                    for name in STREAMS:
                        buffer = io.BytesIO()
                        np.save(buffer, shard[name][start : start + WINDOW])
                        info = tarfile.TarInfo(f"{number:03d}{start:08d}.{name}.npy")
                        info.size = buffer.tell()
                        buffer.seek(0)
                        tar.addfile(info, buffer)


def slices(kind: str, folder: Path):
    """A function that reads a random window: a list of copies of its streams."""
    if kind == "npy":
        maps = [np.load(folder / "npy" / f"{name}.npy", mmap_mode="r") for name in STREAMS]
        total = len(maps[0])

        def read(rng):
            a = int(rng.integers(total - WINDOW))
            return [np.array(part[a : a + WINDOW]) for part in maps]

    else:
        opened = open_shards(folder / kind)

        def read(rng):
            shard = opened[int(rng.integers(len(opened)))]
            span = shard.takes[int(rng.integers(len(shard.takes)))]
            a = int(rng.integers(span.start_frame, span.stop_frame - WINDOW))
            return [np.array(shard[name][a : a + WINDOW]) for name in STREAMS]

    return read


def measure_windows(folder: Path, num_repeats: int) -> None:
    """Windows a second by plain slices, in turns."""
    readers = {
        "shards": slices("shards", folder),
        "npy": slices("npy", folder),
        "gzip": slices("gzip", folder),
    }
    counts = {"shards": 4000, "npy": 4000, "gzip": 200}
    rates: dict[str, list[float]] = {kind: [] for kind in readers}
    for repeat in range(num_repeats + 1):
        for kind, read in readers.items():
            rng = np.random.default_rng(repeat)
            begin = time.perf_counter()
            for _ in range(counts[kind]):
                read(rng)
            if repeat:  # the first round warms the files
                rates[kind].append(counts[kind] / (time.perf_counter() - begin))
    ratio = {kind: np.median(np.array(rates[kind]) / np.array(rates["npy"])) for kind in readers}
    for kind in readers:
        print(f"windows  {kind:8}{np.median(rates[kind]):10.0f} a second   {ratio[kind]:.2f} x .npy")


def npy_windows(folder: Path):
    """A Dataset over the .npy files: the same windows, and the same relative root."""
    from torch.utils.data import Dataset

    from pipeline.motion.pose import relative_root

    class Memmaps(Dataset):
        def __init__(self):
            self.maps = {name: np.load(folder / "npy" / f"{name}.npy", mmap_mode="r") for name in STREAMS}
            per_take = (TAKE_FRAMES - WINDOW) // STRIDE + 1
            self.starts = [
                take + i * STRIDE
                for take in range(0, len(self.maps["body"]), TAKE_FRAMES)
                for i in range(per_take)
            ]

        def __len__(self):
            return len(self.starts)

        def __getitem__(self, i):
            a = self.starts[i]
            item = {name: np.array(self.maps[name][a : a + WINDOW]) for name in STREAMS if name != "root"}
            before = int(a % TAKE_FRAMES > 0)
            root = np.asarray(self.maps["root"][a - before : a + WINDOW], np.float64)
            return item | {
                "relative": (
                    np.stack([relative_root(root[:, k])[before:] for k in range(2)], 1).astype(np.float32)
                )
            }

    return Memmaps()


def tar_loader(folder: Path, workers: int):
    """Batches out of tars, as webdataset's users write it."""
    import webdataset as wds
    from torch.utils.data import DataLoader

    from models.data import collate

    paths = sorted(str(path) for path in (folder / "tar").glob("*.tar"))
    names = [f"{name}.npy" for name in STREAMS]
    read = (
        wds.WebDataset(paths, shardshuffle=False, empty_check=False, workersplitter=wds.split_by_worker)
        .repeat()
        .shuffle(1000, initial=1000)
    )
    samples = read.decode().to_tuple(*names).map(lambda arrays: dict(zip(STREAMS, arrays)))
    return DataLoader(samples.batched(BATCH, collation_fn=collate), batch_size=None, num_workers=workers)


def loader_of(kind: str, folder: Path, num_batches: int, workers: int):
    """Batches of BATCH windows."""
    from torch.utils.data import DataLoader

    from models import data

    if kind == "tar":
        return tar_loader(folder, workers)
    order = {"seed": 0, "first_step": 0, "last_step": num_batches}
    if kind == "npy":
        windows = npy_windows(folder)
    else:
        windows = data.Windows(
            open_shards(folder / "shards"),
            window=WINDOW,
            stride=STRIDE,
            streams=STREAMS,
            actors=["001", "002"],
        )
    if kind == "shards":
        return data.loader(windows, batch_size=BATCH, workers=workers, **order)
    return DataLoader(
        windows,
        batch_sampler=data.Batches(len(windows), BATCH, **order),
        collate_fn=data.collate,
        num_workers=workers,
    )


def child(kind: str, folder: Path, workers: int, num_batches: int) -> None:
    """Read batches; print windows a second, and the memory of this process and its workers in MB.

    The first tenth of the batches is not counted.
    """
    import torch

    torch.set_num_threads(1)
    begin, skipped = 0.0, num_batches // 10
    for i, _ in enumerate(loader_of(kind, folder, num_batches, workers)):
        if i == skipped:
            begin = time.perf_counter()
        if i == num_batches - 2:  # while the workers live
            private, mapped = memory()
        if i == num_batches - 1:
            break
    print((num_batches - 1 - skipped) * BATCH / (time.perf_counter() - begin), private, mapped)


def memory() -> tuple[float, float]:
    """Private memory and mapped pages of files, MB, of this process and its children."""
    listed = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True).stdout.split()
    private = mapped = 0.0
    for pid in ["self", *listed]:
        try:
            fields = dict(
                line.split(":", 1)
                for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                if ":" in line
            )
            private += int(fields["RssAnon"].split()[0]) / 1024
            mapped += int(fields["RssFile"].split()[0]) / 1024
        except (OSError, KeyError):  # pgrep itself, which has ended
            continue
    return private, mapped


def in_a_process(kind: str, folder: Path, workers: int, num_batches: int) -> tuple[float, float, float]:
    """What `child` prints, from a process of its own."""
    command = [sys.executable, __file__, "--child", kind, str(folder), str(workers), str(num_batches)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(result.stderr)
    rate, private, mapped = map(float, result.stdout.split()[-3:])
    return rate, private, mapped


def measure_loaders(folder: Path, workers: list[int], num_repeats: int, num_batches: int) -> None:
    """Windows a second through DataLoaders, in turns."""
    kinds = ["shards", "shards, p", "npy"]
    try:
        import webdataset  # noqa: F401
    except ImportError:
        print("loader   webdataset is not installed: left out")
    else:
        kinds.append("tar")
    for count in workers:
        rates = {kind: [] for kind in kinds}
        for _ in range(num_repeats):
            for kind in kinds:
                rates[kind].append(in_a_process(kind, folder, count, num_batches)[0])
        for kind in kinds:
            ratio = np.median(np.array(rates["shards"]) / np.array(rates[kind]))
            print(
                f"loader   {kind:10}{count} workers{np.median(rates[kind]):10.0f} windows a second   shards"
                f" are {ratio:.2f} x as fast"
            )


def from_run(run: Path) -> None:
    """Seconds from dataset to shards per minute of takes, out of the timings of a finished run."""
    jobs = read_timings(run / "timings")
    minutes = (
        sum(
            span.stop_frame - span.start_frame
            for shard in open_shards(run / "shards")
            for span in shard.takes
        )
        / 30
        / 60
    )
    total = 0.0
    for rule in ANNOTATIONS:
        spent = sum(seconds for seconds, _ in jobs.get(rule, []))
        total += spent
        print(f"to shards  {rule:12}{spent / minutes:8.2f} s a minute")
    speech = sum(seconds for seconds, _ in jobs.get("transcripts", []))
    print(
        f"to shards  {'in all':12}{total / minutes:8.2f} s a minute, {60 * minutes / total:.1f} x real time"
    )
    print(f"to shards  {'transcripts':12}{speech / minutes:8.2f} s a minute more")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--hours",
        type=float,
        nargs="+",
        default=[1, 10],
        help="hours of data; the first is what speeds are measured on",
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2, 4], help="DataLoader workers")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--batches", type=int, default=200, help="batches of a loader")
    parser.add_argument("--run", type=Path, help="root folder of a finished run")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        kind, folder, workers, num_batches = arguments.child
        return child(kind, Path(folder), int(workers), int(num_batches))
    if arguments.run:
        return from_run(arguments.run)
    for number, hours in enumerate(arguments.hours):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make(folder, hours)
            if number == 0:
                make_others(folder)
                measure_windows(folder, arguments.repeats)
                measure_loaders(folder, arguments.workers, arguments.repeats, arguments.batches)
            for count in arguments.workers:
                _, private, mapped = in_a_process("shards", folder, count, arguments.batches)
                print(
                    f"memory   {hours:4g} h  {count} workers  private {private:6.0f} MB  mapped"
                    f" {mapped:6.0f} MB"
                )


if __name__ == "__main__":
    main()
