"""Whether a folder of shards is whole and agrees with its index, its statistics and what it was built from.

    python -m pipeline.shards validate DIR [--dataset D ...]

Out: a line per fault, and exit code 1 where there is one.
"""

import argparse
import contextlib
import sys
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.files import sha256
from pipeline.formats.array_files import open_hdf5, read_npy
from pipeline.formats.shard_file import (
    STREAMS,
    Shard,
    TakeSpan,
    files_of,
    read_stats,
    shard_paths,
    text_frames,
)
from pipeline.formats.shard_index import LABELS, read_index
from pipeline.formats.split_file import read_split
from pipeline.formats.takes import dataset_takes
from pipeline.ids import ABSENT
from pipeline.reading import reading
from pipeline.shards import speech_stats
from pipeline.shards.index import row_of
from pipeline.shards.plan import read_plan
from pipeline.shards.stats import statistics

BLOCK_FRAMES = 4096
HALVES = ("dataset", "annotations", "features")
"""Folders that shards are built from, by the names of their arguments.

Those of a run lie beside its shards.
"""


def _value_faults(shard: Shard) -> list[str]:
    """Faults of the arrays, read in blocks, and of skeletons.

    Values that are not finite or out of range, and skeletons that lack or do not fit.
    """
    faults = []
    ranges = {"action": (0, 2), "facing": (0, 1), "text_index": (-1, shard.stream("text").shape[0] - 1)}
    for name in [*STREAMS, "text", "audio"]:
        data = shard[name]
        wrong = []
        for i in range(0, data.shape[0], BLOCK_FRAMES):
            block = data[i : i + BLOCK_FRAMES]
            low, high = ranges.get(name, (-np.inf, np.inf))
            bad = ~(np.isfinite(block) & (block >= low) & (block <= high)).reshape(len(block), -1).all(1)
            wrong.extend((i + np.flatnonzero(bad)).tolist())
        if wrong:
            faults.append(
                f"{name} has {len(wrong)} rows with NaN or values out of range, the first is row {wrong[0]}"
            )
    for span in shard.takes:
        for performance in span.performances:
            try:
                shard.skeleton(performance)
            except InputError as error:
                faults.append(f"take {span.take}: {error}")
    return faults


def _sidecar_faults(shard: Shard) -> list[str]:
    """Faults of the sidecars beside a shard: unreadable, another shard's, values that are not finite."""
    faults = []
    for path in sorted(shard.path.parent.glob(f"*-*/{shard.path.name}")):
        try:
            data = shard[shard.attach(path)]
        except InputError as error:
            faults.append(str(error))
            continue
        wrong = [
            i for i in range(0, len(data), BLOCK_FRAMES) if not np.isfinite(data[i : i + BLOCK_FRAMES]).all()
        ]
        if wrong:
            faults.append(
                f"{path}: values that are not finite after row {wrong[0]}; write it again (python -m"
                " pipeline.shards.speech)"
            )
    return faults


def _source_faults(shard: Shard, halves: dict[str, Path]) -> list[str]:
    """Sources of a shard that have changed or gone since, and takes of other rows.

    Such rows are not those of unchanged sources.

    halves: the folders that are there to compare with. Labels, faces and features are compared row by row, so
    that two actors that changed places show.
    """
    try:
        listed = shard.sources
    except InputError as error:
        return [f"it does not list its sources: {error}"]
    faults, changed = [], set()
    for name, digest in listed.items():
        half, _, rest = name.partition("/")
        if half not in halves:
            continue
        path = halves[half] / rest
        if not path.is_file():
            faults.append(f"source {path} is missing")
        elif sha256(path) != digest:
            faults.append(f"source {path} has changed since; build the shard again")
        else:
            continue
        changed.add(name)
    for span in shard.takes:
        for stream, pair in _take_sources(span, halves).items():
            if all(name in listed and name not in changed for name in pair):
                faults += _row_faults(shard, span, stream, pair)
    return faults


def _take_sources(span: TakeSpan, halves: dict[str, Path]) -> dict[str, dict[str, Path]]:
    """By stream, the two sources of a take's rows by listed name, or the one that holds both actors.

    None of a reading, half of whose rows come from no file.
    """
    if span.actor_a == ABSENT:
        return {}
    found = {
        stream: files_of(span, stream)
        for stream in ("face", "action", "facing", "body", "root", "mel", "audio")
    }
    return {
        stream: {name: halves[name.partition("/")[0]] / name.partition("/")[2] for name in names}
        for stream, names in found.items() if names[0].partition("/")[0] in halves
    }  # fmt: skip


def _row_faults(shard: Shard, span: TakeSpan, stream: str, pair: dict[str, Path]) -> list[str]:
    """A line where a take's rows of a stream are not those of its source.

    Other values, or the two actors changed.
    """
    start, stop = (
        (span.start_sample, span.stop_sample) if stream == "audio" else (span.start_frame, span.stop_frame)
    )
    paths, step = list(pair.values()), BLOCK_FRAMES * (500 if stream == "audio" else 1)
    with contextlib.ExitStack() as stack:
        if len(paths) == 2:
            columns = [read_npy(path, mapped=True) for path in paths]
        else:
            source = stack.enter_context(open_hdf5(paths[0]))[stream]
            columns = [source] * 2
        if any(len(column) != stop - start for column in columns):
            return [f"take {span.take}: {stream} has {stop - start} rows, {paths[0]} has {len(columns[0])}"]
        same, crossed = True, True
        for i in range(0, stop - start, step):
            block = shard[stream][start + i : min(start + i + step, stop)]
            part = slice(i, i + len(block))
            need = (
                [column[part] for column in columns]
                if len(paths) == 2
                else list(np.moveaxis(columns[0][part], 1, 0))
            )
            same &= all(np.array_equal(block[:, k], need[k]) for k in range(2))
            crossed &= all(np.array_equal(block[:, k], need[1 - k]) for k in range(2))
    if same:
        return []
    what = "has the two actors in the wrong order" if crossed else "is not that of its sources"
    return [f"take {span.take}: {stream} {what}; build the shard again"]


def _dataset_faults(dataset: Path, folder: Path, shards: list[Shard]) -> list[str]:
    """Takes of the dataset that no shard holds, and what its table says of one otherwise.

    Otherwise than the shard or the index.
    """
    held = {span.take: (shard, span) for shard in shards for span in shard.takes}
    try:
        takes = dataset_takes(dataset)
    except InputError as error:
        return [str(error)]
    faults = [
        f"take {take.name} of {dataset} is in no readable shard" for take in takes if take.name not in held
    ]
    with contextlib.suppress(InputError):  # said elsewhere
        listed = {take.name: take for take in takes}
        for row in read_index(folder / "index.parquet"):
            take = listed.get(row["take"])
            for label in LABELS:
                if take and row.get(label) != take.row[label]:
                    faults.append(
                        f"{folder / 'index.parquet'}: take {row['take']}: {label} is {row.get(label)!r:.80},"
                        f" {dataset} says {take.row[label]!r:.80}; write it again (python -m"
                        " pipeline.shards.index)"
                    )
    for take in takes:
        if take.name not in held:
            continue
        shard, span = held[take.name]
        if (span.actor_a, span.actor_b) != take.actors:
            said = f"actors are {span.actor_a} {span.actor_b}, {dataset} says {' '.join(take.actors)}"
            faults.append(f"{shard.path}: take {take.name}: {said}; build the shard again")
        if take.row["split"] not in ("", span.split):
            faults.append(
                f"{shard.path}: take {take.name}: split is {span.split}, {dataset} says {take.row['split']};"
                " build the shard again"
            )
    return faults


def _split_faults(path: Path, shards: list[Shard]) -> list[str]:
    """Takes that a shard has in another split than split.tsv, or that it does not know.

    None where there is no such file.
    """
    if not path.exists():
        return []
    try:
        sides = read_split(path)
    except InputError as error:
        return [str(error)]
    return [
        f"{shard.path}: take {span.take}: split is {span.split},"
        f" {path} says {sides.get(span.take, 'nothing')}; build the shard again"
        for shard in shards
        for span in shard.takes
        if sides.get(span.take) != span.split
    ]


def _plan_faults(path: Path, shards: list[Shard]) -> list[str]:
    """Takes that lie in another shard than the plan beside the shards says; none where there is no plan."""
    try:
        planned = {
            take: f"shard-{number:03d}.h5" for number, group in enumerate(read_plan(path)) for take in group
        }
    except InputError as error:
        return [str(error)]
    return [
        f"{shard.path}: take {span.take} is of {planned.get(span.take, 'no shard')} in {path};"
        " build the shards by their plan"
        for shard in shards
        for span in shard.takes
        if planned and planned.get(span.take) != shard.path.name
    ]


def _text_faults(shard: Shard, features: Path) -> list[str]:
    """Takes whose words are not those of the shard's file of words, or lie at other frames."""
    faults, first = [], 0
    for name in (name for name in shard.sources if name.endswith(".text.h5")):
        with open_hdf5(features / name.partition("/")[2]) as f:
            for span in shard.takes:
                words = f[span.take]
                actor, start, end = (words[key][()] for key in ("actor", "start", "end"))
                need, count = (
                    text_frames(actor, start, end, span.stop_frame - span.start_frame),
                    len(words["text"]),
                )
                got = np.asarray(shard["text_index"][span.start_frame : span.stop_frame])
                same = np.array_equal(np.where(need < 0, -1, need + first), got)
                if not (same and np.array_equal(shard["text"][first : first + count], words["text"][()])):
                    faults.append(f"take {span.take}: text is not that of its sources; build the shard again")
                first += count
    return faults


def validate(folder: Path, **halves: Path | None) -> list[str]:
    """Faults of a folder of shards with its index and statistics, a line each; none is an empty list.

    halves: the folders `dataset`, `annotations`, `features` that the shards were built from. What is not
    given is looked for beside `folder`; what is not there is not compared.
    """
    known = {
        name: path
        for name in HALVES
        if (path := halves.get(name) or Path(folder).absolute().parent / name).is_dir()
    }
    faults, shards = [], []
    for path in shard_paths(folder):
        try:
            shard = Shard(path)
            with reading(path, "shard", fix="build it again (python -m pipeline.shards.build)"):
                found = _value_faults(shard) + _source_faults(shard, known)
                if "features" in known and not found:
                    found = _text_faults(shard, known["features"])
        except InputError as error:
            faults.append(str(error))
        else:
            faults += [f"{path}: {fault}" for fault in found]
            shards.append(shard)
            faults += _sidecar_faults(shard)
    unread = bool(faults)
    # the lip-accurate set is in no table of takes, and has neither split, plan nor index
    if any(span.actor_a != ABSENT for shard in shards for span in shard.takes) or not shards:
        if "dataset" in known:
            faults += _dataset_faults(known["dataset"], Path(folder), shards)
        if "annotations" in known:
            faults += _split_faults(known["annotations"] / "split.tsv", shards)
        faults += _plan_faults(Path(folder) / "plan.json", shards) + _index_faults(Path(folder), shards)
    return faults + ([] if unread else _stats_faults(Path(folder), shards) + _speech_faults(Path(folder)))


def _index_faults(folder: Path, shards: list[Shard]) -> list[str]:
    """Differences between index.parquet and the shards' own tables."""
    try:
        listed = {row["take"]: row for row in read_index(folder / "index.parquet")}
    except InputError as error:
        return [str(error)]
    own = {span.take: row_of(shard, span, None) for shard in shards for span in shard.takes}
    path = folder / "index.parquet"
    faults = [
        f"{path}: take {take} of {listed[take]['shard']} is in no readable shard"
        for take in sorted(listed.keys() - own.keys())
    ]
    faults += [
        f"{path}: take {take} of {own[take]['shard']} is not listed"
        for take in sorted(own.keys() - listed.keys())
    ]
    for take in sorted(listed.keys() & own.keys()):
        keys = [key for key, value in own[take].items() if listed[take].get(key) != value]
        if keys:
            faults.append(
                f"{path}: take {take}: {keys[0]} is {listed[take].get(keys[0])!r}, the shard says"
                f" {own[take][keys[0]]!r}"
            )
    return faults


def _stats_faults(folder: Path, shards: list[Shard]) -> list[str]:
    """Differences between stats.json and the moments of the train takes, computed again."""
    path = folder / "stats.json"
    try:
        given, need = read_stats(path), statistics(shards)
    except InputError as error:
        return [str(error)]
    return _moment_faults(path, given, need, "pipeline.shards.stats")


def _moment_faults(path: Path, given: dict, need: dict, command: str) -> list[str]:
    """Differences between statistics as they stand in a file and as they are.

    What a sidecar says of its encoder is one text.
    """
    faults = []
    for name, value in need.items():
        if not isinstance(value, dict) or name == "encoder":
            if given.get(name) != value:
                faults.append(
                    f"{path}: {name} is {given.get(name)!s:.80}, need {value!s:.80}; write it again (python"
                    f" -m {command})"
                )
            continue
        own = given.get(name)
        for moment, numbers in value.items():
            found = np.asarray(own.get(moment, []) if isinstance(own, dict) else [], float)
            if found.shape != np.shape(numbers) or not np.allclose(found, numbers, rtol=1e-6, atol=1e-9):
                faults.append(
                    f"{path}: {moment} of {name} is not that of the train takes; write it again (python -m"
                    f" {command})"
                )
    return faults


def _speech_faults(folder: Path) -> list[str]:
    """Differences between the stats.json of sidecars and the moments of the train takes.

    None where a folder has no such file.
    """
    faults = []
    for path in sorted(folder.glob("*-*/stats.json")):
        pairs = [
            (shard, path.with_name(shard.name))
            for shard in shard_paths(folder)
            if path.with_name(shard.name).exists()
        ]
        try:
            given, need = (
                read_stats(path),
                speech_stats.statistics([shard for shard, _ in pairs], [beside for _, beside in pairs], path),
            )
        except InputError as error:
            faults.append(str(error))
        else:
            faults += _moment_faults(path, given, need, "pipeline.shards.speech_stats")
    return faults


def run(*, folder: Path, dataset: Path | None, annotations: Path | None, features: Path | None) -> None:
    """Print a line per fault and exit with 1 where there is one."""
    given = {"dataset": dataset, "annotations": annotations, "features": features}
    for name, path in given.items():
        if path and not path.is_dir():
            raise InputError(f"{path}: no such folder; correct --{name}")
    faults = validate(folder, **given)
    for fault in faults:
        print(fault)
    if faults:
        sys.exit(1)
    print(f"{folder}: {len(shard_paths(folder))} shards, no fault")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.add_argument("folder", type=Path, help="folder of shards with index.parquet and stats.json")
    for half in HALVES:
        parser.add_argument(
            f"--{half}",
            type=Path,
            help=(
                f"the {half} folder that the shards were built from; default: that beside them, if it is"
                " there"
            ),
        )
