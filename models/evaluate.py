r"""The table of metrics of real test data, trained models, the mean pose and the nearest training clip.

Each of them is a row, and each set of trained models has its own.

    python -m models.evaluate --shards data/shards --generated data/results/generated/trained_models \
        --rigs data/dataset/rigs --out-table table.csv --out-page table.html

In: the test takes of the shards; for each row a folder that models.generate wrote (further samples in
sample-01, ..), and the row's name after --rows; the actors' rigs (a folder of {actor}.npz, or one .npz for
all). Out: a CSV, and a page that also says how each number is defined. Bodies are measured on the joints'
exponential maps of both actors as one row (radians), faces on the rig's vertices (cm). A number that cannot
be computed, because nothing of the kind was generated, is an empty cell.
"""

import html
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models import baselines, metrics
from models.data import shards_of, takes_of
from models.generate import sample_folder
from models.threads import fixed_threads
from pipeline import config, stage
from pipeline.errors import InputError
from pipeline.files import whole, write_csv
from pipeline.formats.array_files import read_npy
from pipeline.formats.bvh import load_bvh
from pipeline.formats.rig_file import Rig, load_rig, regions
from pipeline.formats.shard_file import Shard, TakeSpan
from pipeline.motion import pose
from pipeline.reading import read_json

THREADS = 2
"""Threads that compute, whatever the machine has: sums of another number differ in their last digits."""

BODY = ("FD_g", "FD_k", "Div_g", "Div_k", "Div_sample")
COLUMNS = {
    "FD_g": (
        "rad^2. Frechet distance of poses, generated against real:"
        " frames as rows, covariances with ddof 1. Lower is better."
    ),
    "FD_k": (
        "rad^2 per frame^2. The same of differences between successive frames of a window, per frame, not per"
        " second. Lower is better."
    ),
    "Div_g": (
        "rad. Mean L2 distance of random pairs of generated poses, over all windows and samples."
        " Best near the real row."
    ),
    "Div_k": (
        "rad^2. Variance over time of generated poses, mean over channels, windows and samples."
        " Best near the real row."
    ),
    "Div_sample": (
        "rad^2. Variance over the samples of a take, mean over frames and channels."
        " 0 where there is one sample."
    ),
    "LVE_cm2": (
        "cm^2. Largest squared error of a frame's lip vertices, mean over frames, then over performances and"
        " samples. Lower is better."
    ),
    "FDD_cm2": (
        "cm^2. Deviation over time of upper-face vertices' squared distance to the neutral face, real minus"
        " generated. Best near 0."
    ),
}
REAL, MEAN, NEAREST = "real", "mean pose", "nearest training clip"
ROWS = {
    REAL: (
        "the real test takes against themselves: the scale of the diversities; distances are 0 by definition"
    ),
    MEAN: "the train split's mean pose and mean face in every frame",
    NEAREST: (
        "for each window, the training window whose log-mel and actions"
        " (mean and deviation over the window) are nearest"
    ),
}
"""Rows that are always there; those of trained models stand after the first."""
MOST_SAMPLES = 100_000
BLOCK = 1 << 21
"""Most coordinates of a mesh in memory at a time."""


def face_errors(
    predicted: np.ndarray, real: np.ndarray, rig: Rig, areas: dict[str, np.ndarray]
) -> tuple[float, float]:
    """LVE and FDD (cm^2) of a performance's ARKit weights (N, 51) on a rig.

    Only the regions' vertices are built, in blocks.
    """

    def mesh(weights: np.ndarray, vertices: np.ndarray) -> np.ndarray:
        deltas = rig.deltas[:, vertices].reshape(len(rig.deltas), -1).astype(np.float64)
        return rig.neutral[vertices] + (weights @ deltas).reshape(len(weights), -1, 3)

    lips, upper, frames = areas["lips"], areas["upper_face"], len(real)
    predicted, real = np.asarray(predicted, np.float64), np.asarray(real, np.float64)
    lve = fdd = 0.0
    step = max(1, BLOCK // (3 * len(lips)))
    for a in range(0, frames, step):
        made, true = (mesh(weights[a : a + step], lips) for weights in (predicted, real))
        lve += metrics.lip_vertex_error(made, true, np.arange(len(lips))) * len(real[a : a + step]) / frames
    step = max(1, BLOCK // (3 * frames))
    for a in range(0, len(upper), step):
        part = upper[a : a + step]
        made, true = (mesh(weights, part) for weights in (predicted, real))
        fdd += (
            metrics.face_dynamics_deviation(made, true, rig.neutral[part], np.arange(len(part)))
            * len(part)
            / len(upper)
        )
    return lve, fdd


def read_generated(folder: Path, shard: Shard, span: TakeSpan) -> dict[str, np.ndarray | None]:
    """A generated take's body (N, 2, 3 J) and face (N, 2, 51).

    The body is None where a folder has no bodies, the face where it has no faces.
    """
    frames = span.stop_frame - span.start_frame
    result: dict[str, np.ndarray | None] = {"body": None, "face": None}
    if (folder / "bvhs").is_dir():
        bodies = []
        for performance in span.performances:
            path = folder / "bvhs" / f"{performance}.bvh"
            motion = load_bvh(path, unit="cm")
            if motion.names != shard.joint_names or motion.num_frames != frames:
                got, need = (len(motion.names), motion.num_frames), (len(shard.joint_names), frames)
                raise InputError(
                    f"{path}: got joints and frames {got}, need those of the shards, {need};"
                    " generate it again"
                )
            bodies.append(pose.encode(motion)[0])
        result["body"] = np.stack(bodies, 1).astype(np.float32)
    if (folder / "face_arkit").is_dir():
        faces = []
        for performance in span.performances:
            path = folder / "face_arkit" / f"{performance}.npy"
            faces.append(read_npy(path, fix="generate it again (python -m models.generate)"))
            if faces[-1].shape != (frames, shard["face"].shape[-1]):
                raise InputError(
                    f"{path}: got shape {faces[-1].shape}, need {(frames, shard['face'].shape[-1])};"
                    " generate it again"
                )
        result["face"] = np.stack(faces, 1)
    return result


class Rigs:
    """Rigs and their regions by actor, from a folder of {actor}.npz or one file for everybody; read once."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.known: dict[Path, tuple[Rig, dict[str, np.ndarray]]] = {}

    def of(self, actor: str) -> tuple[Rig, dict[str, np.ndarray]]:
        """Rig and regions of an actor."""
        path = self.path / f"{actor}.npz" if self.path.is_dir() else self.path
        if path not in self.known:
            rig = load_rig(path)
            self.known[path] = rig, regions(rig)
        return self.known[path]


def measure(
    takes: list, samples: list[Callable], rigs: Rigs | None, *, window: int, options: config.Evaluate
) -> dict:
    """One row of the table.

    takes: test takes (shard, span); samples: S functions (shard, span) -> {"body", "face"}, as
    `read_generated`. Bodies are cut into whole windows, faces are measured over whole performances.
    """
    generated: list[list[np.ndarray]] = [[] for _ in samples]
    real, faces = [], []
    for shard, span in takes:
        a, b = span.start_frame, span.stop_frame
        starts = range(0, b - a - window + 1, window)
        body, face = (np.asarray(shard[name][a:b]) for name in ("body", "face"))
        real += [body[i : i + window].reshape(window, -1) for i in starts]
        for kept, sample in zip(generated, samples):
            made = sample(shard, span)
            if made["body"] is not None:
                kept += [made["body"][i : i + window].reshape(window, -1) for i in starts]
            if made["face"] is not None and rigs is not None:
                for k, actor in enumerate((span.actor_a, span.actor_b)):
                    faces.append(face_errors(made["face"][:, k], face[:, k], *rigs.of(actor)))
    row = dict.fromkeys(COLUMNS) | {"samples": len(samples), "windows": len(real), "window_frames": window}
    if all(generated):
        rng = np.random.default_rng(options.seed)
        row |= metrics.body_metrics(np.array(generated), np.array(real), rng=rng, num_pairs=options.num_pairs)
    if faces:
        row["LVE_cm2"], row["FDD_cm2"] = (float(value) for value in np.mean(faces, axis=0))
        row["performances"] = len(faces) // len(samples)
    return row


def num_samples(path: Path) -> int:
    """How many samples of a take generated.json says that there are; InputError where it is no such file."""
    found = read_json(path, kind=dict, fix="generate again (python -m models.generate --shards ...)").get(
        "num_samples"
    )
    if type(found) is not int or not 1 <= found <= MOST_SAMPLES:
        raise InputError(
            f"{path}: num_samples is {found!s:.60}, need 1 to {MOST_SAMPLES:,};"
            " generate again (python -m models.generate --shards ...)"
        )
    return found


def sample_folders(folder: Path) -> list[Path]:
    """Folders of the samples that models.generate says it wrote; InputError where there are none."""
    if not ((folder / "bvhs").is_dir() or (folder / "face_arkit").is_dir()):
        raise InputError(
            f"{folder}: no bvhs and no face_arkit;"
            " generate the test takes first (python -m models.generate --shards ...)"
        )
    # not a listing of sample-*: an earlier run may have left more samples there
    return [sample_folder(folder, number) for number in range(num_samples(folder / "generated.json"))]


def table(
    shards: Path, generated: dict[str, Path], rigs: Rigs | None, options: config.Evaluate
) -> tuple[dict[str, dict], list[str]]:
    """The rows by name, and notes on what they were computed on.

    `generated` are folders by the names of their rows.

    The window is `window_frames`, or the shortest test take (the longest train take) where that is shorter.
    """
    opened, stats = shards_of(shards)
    test = takes_of(opened, "test")
    if not test:
        raise InputError(f"{shards}: no take in the test split; give at least one take split test")
    lengths = [span.stop_frame - span.start_frame for _, span in test]
    longest = max(span.stop_frame - span.start_frame for _, span in takes_of(opened, "train"))
    window = min(options.window_frames, min(lengths), longest)
    folders = {name: sample_folders(folder) for name, folder in generated.items()}

    def real(shard, span):
        return {
            name: np.asarray(shard[name][span.start_frame : span.stop_frame]) for name in ("body", "face")
        }

    def mean(_, span):
        frames = span.stop_frame - span.start_frame
        return {"body": baselines.mean_pose(stats, frames), "face": baselines.mean_face(stats, frames)}

    def nearest(shard, span):
        return baselines.nearest_take(shard, span, opened, stats, window=window)

    def written(folder: Path) -> Callable:
        return lambda shard, span: read_generated(folder, shard, span)

    sources: dict[str, list[Callable]] = {
        REAL: [real],
        **{name: [written(folder) for folder in samples] for name, samples in folders.items()},
        MEAN: [mean],
        NEAREST: [nearest],
    }
    names = stage.progress(list(sources), label="evaluate")
    rows = {name: measure(test, sources[name], rigs, window=window, options=options) for name in names}
    takes = f"{len(test)} test takes, {sum(lengths)} frames at 30 fps"
    windows = f"{rows[REAL]['windows']} windows of {window} frames"
    width = 2 * opened[0]["body"].shape[-1]
    notes = [
        f"{takes}; {windows}; {_counted(folders)} samples a take.",
        f"A row holds both actors' {width} joint values; {rows[REAL]['num_rows']} real rows.",
        f"{options.num_pairs} pairs asked for Div_g, seed {options.seed}.",
    ]
    if window < options.window_frames:
        notes.append(
            f"Windows are shorter than the {options.window_frames} frames asked for,"
            " because a take is no longer."
        )
    short = [
        f"{name} ({row['num_pairs']})"
        for name, row in rows.items()
        if row.get("num_pairs", options.num_pairs) < options.num_pairs
    ]
    if short:
        notes.append(f"Fewer rows than pairs, so all rows were paired once: {', '.join(short)}.")
    if rigs is None:
        notes.append("No rigs were given, so there are no face metrics.")
    return rows, notes


def _counted(folders: dict[str, list[Path]]) -> str:
    """How many samples a take has, by row where rows differ."""
    counts = {name: len(samples) for name, samples in folders.items()}
    if len(set(counts.values())) == 1:
        return str(next(iter(counts.values())))
    return ", ".join(f"{count} ({name})" for name, count in counts.items())


def write_table(path: Path, rows: dict[str, dict]) -> None:
    """The CSV: numbers in full, then what they were computed on; empty cells where there is no number."""
    columns = [
        "method",
        *COLUMNS,
        "samples",
        "windows",
        "window_frames",
        "num_rows",
        "num_pairs",
        "performances",
    ]
    said = [
        {"method": name}
        | {key: f"{value:.9g}" if isinstance(value, float) else value for key, value in row.items()}
        for name, row in rows.items()
    ]
    write_csv(path, columns, said)


def _cell(value) -> str:
    return "&ndash;" if value is None else f"{value:.4g}" if abs(value) > 1e-9 else "0"


def write_page(path: Path, rows: dict[str, dict], notes: list[str]) -> None:
    """The page: the table, what its rows and columns are, and what they were computed on.

    One file, no script.
    """
    head = "".join(f"<th>{html.escape(name.replace('_cm2', ' (cm²)'))}</th>" for name in COLUMNS)
    body = "".join(
        f"<tr><th>{html.escape(name)}</th>{''.join(f'<td>{_cell(row[key])}</td>' for key in COLUMNS)}</tr>"
        for name, row in rows.items()
    )

    def listed(items: dict[str, str]) -> str:
        return "".join(
            f"<dt>{html.escape(key)}</dt><dd>{html.escape(text)}</dd>" for key, text in items.items()
        )

    about = {name: ROWS.get(name, "samples of the trained models for the test takes") for name in rows}
    text = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Metrics</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; }}
body {{ max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ padding: .35rem .6rem; border-bottom: 1px solid #ccc; text-align: right; }}
tr > th:first-child {{ text-align: left; font-weight: 600; }}
dt {{ font-weight: 600; }} dd {{ margin: 0 0 .5rem 1.5rem; }}
</style>
<h1>Metrics on the test takes</h1>
<table><thead><tr><th>method</th>{head}</tr></thead><tbody>{body}</tbody></table>
{"".join(f"<p>{html.escape(note)}</p>" for note in notes)}
<h2>Rows</h2><dl>{listed(about)}</dl>
<h2>Columns</h2><dl>{listed(COLUMNS)}</dl>
</html>
"""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def run(
    *,
    shards: Path,
    generated: list[Path],
    rows: list[str] | None = None,
    rigs: Path | None,
    out_table: Path,
    out_page: Path,
    options: config.Evaluate,
) -> None:
    """Compute the table and write it as CSV and as a page."""
    names = rows or (["trained models"] if len(generated) == 1 else [folder.name for folder in generated])
    if len(names) != len(generated) or len({*names, *ROWS}) < len(names) + len(ROWS):
        raise InputError(
            f"evaluate: got rows {', '.join(names)} for {len(generated)} folders, need a name for each, all"
            f" different, and none of {', '.join(ROWS)}; correct --rows"
        )
    with fixed_threads(THREADS):
        found, notes = table(
            shards, dict(zip(names, generated)), None if rigs is None else Rigs(rigs), options
        )
    write_table(out_table, found)
    write_page(out_page, found, notes)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Evaluate)
    parser.add_argument("--shards", type=Path, required=True, help="folder of shards")
    parser.add_argument(
        "--generated",
        type=Path,
        nargs="+",
        required=True,
        help="folders that models.generate wrote for the test takes, one for each row",
    )
    parser.add_argument("--rows", nargs="+", help="names of their rows (default: those of the folders)")
    parser.add_argument(
        "--rigs",
        type=Path,
        help="folder of {actor}.npz, or one .npz for all actors; without it there are no face metrics",
    )
    parser.add_argument("--out-table", type=Path, required=True, help="CSV to write")
    parser.add_argument("--out-page", type=Path, required=True, help="HTML page to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
