"""One shard: features, faces, labels and words of its takes, end to end in one HDF5 file.

    python -m pipeline.shards.build --dataset D --annotations A --features F --takes T... --out shard-000.h5

In: the folders dataset, annotations and features, and which takes, in order. Out: the shard. What stands in
it: pipeline/formats/shard_file.py and docs/shards.md.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import pipeline
from pipeline import stage
from pipeline.config import Shards
from pipeline.errors import InputError
from pipeline.files import sha256, whole
from pipeline.formats import arkit
from pipeline.formats.array_files import open_hdf5, read_npy
from pipeline.formats.shard_file import ALIGNMENT, FORMAT_VERSION, STREAMS, TAKE_FIELDS, UNITS, text_frames
from pipeline.formats.split_file import read_split
from pipeline.formats.takes import Take, dataset_takes
from pipeline.motion.clock import AUDIO_RATE, FPS, sample_of

MAX_LATE_SECONDS = 0.1
"""How much later than a take's streams a word may begin, by rounding."""


Header = tuple[dict[str, Any], dict[str, tuple], tuple[int, int, int]]
"""Of a take: attributes, shape of a row by dataset, and how many frames, samples and words."""


class Part(Protocol):
    """What `build` asks of a take, wherever its rows come from."""

    @property
    def take(self) -> Take:
        """Its name and who acts in it."""

    @property
    def named(self) -> dict[str, Path]:
        """Files that its rows are made of, by the names under which a shard lists them."""

    def header(self) -> Header:
        """What a shard says of the take beside its rows."""

    def load(self) -> dict[str, np.ndarray]:
        """Every dataset of the take, `text_index` counted from its own first word."""

    def copy_skeletons(self, group: Any) -> None:
        """Write the skeletons of both performances into the shard's group of them."""


@dataclass(frozen=True)
class Sources:
    """Files that one take's part of a shard is made of.

    Two of each but features, and text, which is of all takes of the shard.
    """

    take: Take
    features: Path
    text: Path
    faces: list[Path]
    actions: list[Path]
    facing: list[Path]

    @property
    def files(self) -> list[Path]:
        """All of them, in a fixed order."""
        return list(self.named.values())

    @property
    def named(self) -> dict[str, Path]:
        """All of them by the name under which a shard lists them, in a fixed order.

        A name is `<half>/<folder of the file in it>`.
        """
        result = {f"features/{path.name}": path for path in (self.features, self.text)}
        result |= {f"dataset/face_arkit/{path.name}": path for path in self.faces}
        return result | {
            f"annotations/{path.parent.name}/{path.name}": path for path in (*self.actions, *self.facing)
        }

    def header(self) -> Header:
        """What a shard says of the take beside its rows."""
        with _features(self.features) as f, _features(self.text) as g:
            if self.take.name not in g:
                raise InputError(
                    f"{self.text}: no words of take {self.take.name}; write it for all takes of the shard"
                    " (python -m pipeline.shards.text)"
                )
            words = g[self.take.name]
            attributes = {"joint_names": list(f.attrs["joint_names"]), "parents": f.attrs["parents"].tolist()}
            attributes |= {"mel_fft": int(f.attrs["mel_fft"]), "mel_fmax": float(f.attrs["mel_fmax"])}
            attributes |= {"text_model": g.attrs["model"], "text_model_sha256": g.attrs["model_sha256"]}
            rows = {
                name: h[name].shape[1:]
                for h, names in ((f, ("body", "root", "mel", "audio")), (words, ("text",)))
                for name in names
            }
            return attributes, rows, (f["body"].shape[0], f["audio"].shape[0], words["text"].shape[0])

    def load(self) -> dict[str, np.ndarray]:
        """Every dataset of the take, `text_index` counted from its own first word."""
        return _load_take(self)

    def copy_skeletons(self, group: Any) -> None:
        """Write the skeletons of both performances into the shard's group of them."""
        with _features(self.features) as source:
            for performance in self.take.performances:
                if f"skeletons/{performance}" not in source:
                    raise InputError(
                        f"{self.features}: no skeleton of {performance}; write it again with the"
                        " performances in actor order"
                    )
                source.copy(f"skeletons/{performance}", group, performance)


def sources(dataset: Path, annotations: Path, features: Path, takes: list[str], text: Path) -> list[Sources]:
    """The files of each take, in the order given; text: a file among the features.

    InputError names a take or a file that is missing.
    """
    known = {take.name: take for take in dataset_takes(dataset)}
    result = []
    for name in takes:
        if name not in known:
            raise InputError(f"take {name}: not among the takes of {dataset}; check the name")
        performances = known[name].performances
        folders = (dataset / "face_arkit", annotations / "actions", annotations / "facing")
        paths = [[folder / f"{performance}.npy" for performance in performances] for folder in folders]
        result.append(Sources(known[name], features / f"{name}.h5", text, *paths))
        for path in result[-1].files:
            if not path.exists():
                raise InputError(f"take {name}: {path} is missing; run the stage that writes it")
    return result


def _features(path: Path):
    """A file of features, opened for reading; InputError where it is no whole HDF5 file."""
    return open_hdf5(path, fix="remove it and run the stage that writes it")


def _column(paths: list[Path], num_frames: int, width: tuple[int, ...]) -> np.ndarray:
    """The two actors' arrays of a stream as (N, 2, ...).

    InputError for another shape or values that are not finite.
    """
    arrays = []
    for path in paths:
        array = read_npy(path)
        if array.shape != (num_frames, *width):
            raise InputError(
                f"{path}: got shape {array.shape}, need {(num_frames, *width)} as in the body; write it again"
            )
        arrays.append(array)
    return np.stack(arrays, 1)


def _labels(paths: list[Path], num_frames: int, *, count: int) -> np.ndarray:
    """Labels (N, 2) of the two actors; InputError for values that are none of the `count` labels."""
    labels = _column(paths, num_frames, ())
    wrong = ~np.isin(labels, np.arange(count))
    if wrong.any():
        frame, actor = (int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"{paths[actor]}: label {labels[frame, actor]!s:.40} at frame {frame}, need whole numbers from 0"
            f" to {count - 1}; write it again"
        )
    return labels


def _load_take(source: Sources) -> dict[str, np.ndarray]:
    """Every dataset of one take, `text_index` counted from the take's own first word."""
    with _features(source.features) as f:
        result = {name: f[name][()] for name in ("body", "root", "mel", "audio")}
    num_frames = len(result["body"])
    with _features(source.text) as f:
        words = f[source.take.name]
        late = words["start"][()].max(initial=0.0)
        if late > num_frames / FPS + MAX_LATE_SECONDS:
            raise InputError(
                f"{source.text}: take {source.take.name} has a word at {late:.2f} s, its streams end at"
                f" {num_frames / FPS:.2f} s; mend the transcript and write the words again"
            )
        result["text"] = words["text"][()]
        result["text_index"] = text_frames(
            words["actor"][()], words["start"][()], words["end"][()], num_frames
        )
    result["face"] = _column(source.faces, num_frames, (len(arkit.NAMES),))
    result["action"] = _labels(source.actions, num_frames, count=3)
    result["facing"] = _labels(source.facing, num_frames, count=2)
    if len(result["audio"]) != sample_of(num_frames):
        raise InputError(
            f"{source.features}: {len(result['audio'])} samples, need {sample_of(num_frames)} for"
            f" {num_frames} frames; write it again"
        )
    for name, array in result.items():
        bad = ~np.isfinite(array).all(
            tuple(range(1, array.ndim))
        )  # a take in which nobody says a word has no rows of text
        if bad.any():
            raise InputError(
                f"take {source.take.name}: {name} has {bad.sum()} rows with NaN, the first is"
                f" {int(np.argmax(bad))}; mend the input"
            )
    return result


def _header(parts: Sequence[Part]) -> tuple[dict, dict[str, tuple], list[tuple[int, int, int]]]:
    """Root attributes, shape of a row by dataset, and frames, samples and words of each take.

    All takes must agree.
    """
    attributes: dict[str, Any] = {}
    rows: dict[str, tuple] = {}
    sizes = []
    for part in parts:
        own, shapes, size = part.header()
        sizes.append(size)
        if attributes and (own, shapes) != (attributes, rows):
            what = next(key for key, value in (own | shapes).items() if value != (attributes | rows)[key])
            first = parts[0].take.name
            raise InputError(
                f"take {part.take.name}: {what} differs from that of take {first}; write the features of both"
                " with the same options"
            )
        attributes, rows = own, shapes
    rows |= {"face": (2, len(arkit.NAMES)), "action": (2,), "facing": (2,), "text_index": (2,)}
    names = {
        "body": [f"{joint}_{axis}" for joint in attributes["joint_names"] for axis in "xyz"],
        "root": ["x", "y", "z", "heading"],
        "face": list(arkit.NAMES),
        "mel": [f"mel_{i}" for i in range(rows["mel"][-1])],
    }
    attributes |= {
        "format_version": FORMAT_VERSION,
        "fps": FPS,
        "audio_rate": AUDIO_RATE,
        "arkit_names": list(arkit.NAMES),
        "units": json.dumps(UNITS),
        "feature_names": json.dumps(names),
        "package_version": pipeline.__version__,
    }
    return attributes, rows, sizes


def _source_table(parts: Sequence[Part]) -> np.ndarray:
    """The table `sources`: every input file by name, with its SHA-256."""
    named = {name: path for part in parts for name, path in part.named.items()}
    rows = [(name.encode(), sha256(path).encode()) for name, path in named.items()]
    return np.array(rows, dtype=[("file", f"S{max(len(name) for name, _ in rows)}"), ("sha256", "S64")])


def _take_table(parts: Sequence[Part], splits: list[str], sizes: list[tuple[int, int, int]]) -> np.ndarray:
    """The table `takes`, text as fixed-length UTF-8."""
    import h5py

    ends = np.cumsum([[0, 0]] + [size[:2] for size in sizes], axis=0)
    table = []
    for i, (part, split) in enumerate(zip(parts, splits, strict=True)):
        span = (ends[i, 0], ends[i + 1, 0], ends[i, 1], ends[i + 1, 1])
        table.append((part.take.name, *part.take.actors, split, *map(int, span)))
    texts: list[list[Any]] = [
        [value.encode() if isinstance(value, str) else value for value in row] for row in table
    ]
    widths = [max(1, *(len(row[i]) for row in texts)) if i < 4 else 0 for i in range(len(TAKE_FIELDS))]
    dtype = np.dtype(
        [
            (name, h5py.string_dtype("utf-8", width) if width else "<i8")
            for name, width in zip(TAKE_FIELDS, widths, strict=True)
        ]
    )
    return np.array([tuple(row) for row in texts], dtype)


def build(
    parts: Sequence[Part], splits: list[str], out: Path, *, compression: str = "none", chunk_frames: int = 150
) -> None:
    """Write one shard, take by take, so that one take is in memory at a time.

    compression `none` stores each dataset in one piece, which readers map into memory; `gzip` in chunks of
    `chunk_frames` frames. The same input gives the same bytes.
    """
    import h5py

    attributes, rows, sizes = _header(parts)
    files = _source_table(parts)
    attributes["source_sha256"] = hashlib.sha256(b"".join(files["sha256"])).hexdigest()
    num_frames, num_samples, num_words = (sum(size[i] for size in sizes) for i in range(3))
    lengths = dict.fromkeys(STREAMS, num_frames) | {"text": num_words, "audio": num_samples}
    chunk = dict.fromkeys(STREAMS, chunk_frames) | {
        "text": chunk_frames,
        "audio": int(sample_of(chunk_frames)),
    }
    layout = {
        "libver": ("earliest", "v110"),
        "alignment_threshold": ALIGNMENT,
        "alignment_interval": ALIGNMENT,
    }
    with whole(out) as temporary, h5py.File(temporary, "w", **layout) as f:
        for key, value in sorted(attributes.items()):
            f.attrs[key] = value
        for name, length in lengths.items():
            shape = (length, *rows[name])
            packed = {
                "chunks": (min(chunk[name], length), *rows[name]),
                "compression": "gzip",
                "compression_opts": 4,
                "shuffle": True,
            }
            f.create_dataset(
                name, shape, STREAMS.get(name, "f4"), **(packed if compression == "gzip" and length else {})
            )
        at = dict.fromkeys(lengths, 0)
        for part in stage.progress(parts, label=out.name):
            arrays = part.load()
            arrays["text_index"][arrays["text_index"] >= 0] += at["text"]
            for name, array in arrays.items():
                f[name][at[name] : at[name] + len(array)] = array
                at[name] += len(array)
            part.copy_skeletons(f.require_group("skeletons"))
        f["takes"], f["sources"] = _take_table(parts, splits, sizes), files


def run(
    *,
    dataset: Path,
    annotations: Path,
    features: Path,
    takes: list[str],
    splits: list[str] | None,
    out: Path,
    options: Shards,
    text: Path | None = None,
) -> None:
    """Build one shard of the named takes.

    Splits default to those of annotations/split.tsv, text to {shard}.text.h5 among the features.
    """
    if splits is None:
        table = read_split(annotations / "split.tsv")
        splits = [table.get(take, "") for take in takes]
    if len(splits) != len(takes) or not set(splits) <= {"train", "test"}:
        raise InputError(
            f"{out}: splits {' '.join(splits) or 'none'} for {len(takes)} takes; need train or test for each,"
            " in the order of --takes"
        )
    if len(set(takes)) < len(takes):
        raise InputError(
            f"{out}: a take stands twice in --takes {' '.join(takes):.200}, need each once; correct the"
            " command"
        )
    parts = sources(dataset, annotations, features, takes, text or features / f"{out.stem}.text.h5")
    build(parts, splits, out, compression=options.compression, chunk_frames=options.chunk_frames)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=Shards)
    for folder in ("dataset", "annotations", "features"):
        parser.add_argument(f"--{folder}", type=Path, required=True, help=f"the {folder} folder")
    parser.add_argument(
        "--text",
        type=Path,
        help="words of the takes; default: <name of the shard>.text.h5 among the features",
    )
    parser.add_argument("--takes", nargs="+", required=True, help="takes of this shard, in order")
    parser.add_argument(
        "--splits",
        nargs="+",
        help="train or test of each take, in order; default: split.tsv among the annotations",
    )
    parser.add_argument("--out", type=Path, required=True, help="shard to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
