"""How well p, b and m are found, and how well captured lips close on them.

    python benchmarks/plosives.py data
    python benchmarks/plosives.py data --rigs shoot/rigs

Reads dataset, transcripts and rigs of a run's folder, and the truth where the shoot is simulated. Instants
are the middles of p, b and m. `found` is the share of true instants with one of the transcript within 50 ms,
`invented` the share of the transcript's that no true one is near. `closed` and `false` are the table's
plosives_closed and plosives_false (models.lips) of captured faces: at the transcripts' phonemes, at the true
ones, and at those of the actor's next performance, which no face can know. Also each actor's range of gaps
between the lips (cm, percentiles) and the gap below which they are shut.
"""

import argparse
from pathlib import Path

import numpy as np

from models import lips
from pipeline.formats.rig_file import load_rig
from pipeline.formats.words import read_phonemes
from pipeline.reading import read_json
from pipeline.report.accuracy import phoneme_kind

Said = list[tuple[str, float, float]]


def true_phonemes(data: Path, performance: str) -> Said:
    """True phonemes of a performance in seconds from frame 0; "P" for each p, b and m."""
    date, actor, scenario = performance.split("_")
    record = read_json(data / "truth" / f"{date}_{scenario}" / "truth.json")
    start = read_json(data / "annotations" / "sync" / f"{date}_{scenario}.json")["start_seconds"]
    return [
        ("P" if phoneme_kind(p["phoneme"]) == "lips" else "-", p["start"] - start, p["end"] - start)
        for p in record["phonemes"][actor]
        if p["start"] >= start
    ]


def instants(said: Said, seconds: float) -> np.ndarray:
    """Middles (n,) of p, b and m within the take."""
    middles = np.array([(start + end) / 2 for name, start, end in said if name in lips.BILABIALS])
    return middles[middles < seconds]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of a finished run of the simulated shoot")
    parser.add_argument(
        "--rigs", type=Path, help="folder of {actor}.npz (default: the dataset's, or the shoot's)"
    )
    arguments = parser.parse_args()
    data = arguments.data
    folder = data / "annotations" / "transcripts"
    names = sorted(
        path.stem
        for path in (data / "dataset" / "face_arkit").glob("*.npy")
        if (folder / path.with_suffix(".json").name).exists()
    )
    actors = sorted({name.split("_")[1] for name in names})
    places = [arguments.rigs] if arguments.rigs else [data / "dataset" / "rigs", data / "shoot" / "rigs"]
    rigs = next(path for path in places if path.is_dir())
    gaps = {actor: lips.gap_of(load_rig(rigs / f"{actor}.npz")) for actor in actors}
    widths = {
        name: gaps[name.split("_")[1]].of(np.load(data / "dataset" / "face_arkit" / f"{name}.npy"))
        for name in names
    }
    shut = {}
    for actor in actors:
        own = [name for name in names if name.split("_")[1] == actor]
        below = lips.shut_below(np.concatenate([widths[name] for name in own]))
        shut |= {name: widths[name] <= below for name in own}
        spread = np.percentile(np.concatenate([widths[name] for name in own]), [2, 10, 50, 90, 98])
        print(f"{actor}: gaps {' '.join(f'{gap:.2f}' for gap in spread)} cm, shut below {below:.2f} cm")
    heard = {name: read_phonemes(folder / f"{name}.json") for name in names}
    simulated = (data / "truth").is_dir()
    true = {name: true_phonemes(data, name) for name in names} if simulated else {}
    after = {}
    for actor in actors:
        own = [name for name in names if name.split("_")[1] == actor]
        after |= {name: heard[other] for name, other in zip(own, own[1:] + own[:1])}
    said = {"transcripts": heard, "next performance": after}
    if simulated:
        said["truth"] = true
        print_found(true, heard, {name: len(shut[name]) / lips.FPS for name in names})
    for what, phonemes in said.items():
        counts = [lips.closures(shut[name], phonemes[name]) for name in names]
        total = [sum(values) for values in zip(*((c.instants, c.closed, c.frames, c.shut) for c in counts))]
        print(f"{what}: closed {total[1] / total[0]:.1%} of {total[0]}, false {total[3] / total[2]:.1%}")


def print_found(true: dict[str, Said], heard: dict[str, Said], lengths: dict[str, float]) -> None:
    """Say how well true instants are found."""
    errors, invented = [], []
    for name, seconds in lengths.items():
        one, other = instants(true[name], seconds), instants(heard[name], seconds)
        apart = np.abs(one[:, None] - other[None])
        errors += apart.min(1, initial=np.inf).tolist()
        invented += (apart.min(0, initial=np.inf) > lips.TOLERANCE_SECONDS).tolist()
    near = np.array(errors)[np.array(errors) <= lips.TOLERANCE_SECONDS]
    print(f"{len(lengths)} performances, {len(errors)} true instants")
    print(
        f"found {len(near) / len(errors):.1%}, error {1e3 * np.median(near):.0f} ms median,"
        f" {1e3 * np.percentile(near, 90):.0f} ms 90th percentile; invented {np.mean(invented):.1%}"
    )


if __name__ == "__main__":
    main()
