r"""The table of metrics of real test data, trained models, the mean pose and the nearest training clip.

Each of them is a row, and each set of trained models has its own.

    python -m models.evaluate --shards data/shards --generated data/results/generated/trained_models \
        --rigs data/dataset/rigs --out-table table.csv --out-page table.html

In: the test takes of the shards; for each row a folder that models.generate wrote (further samples in
sample-01, ..), and the row's name after --rows; the actors' rigs (a folder of {actor}.npz, or one .npz for
all). Out: a CSV, and a page that also says how each number is defined. Bodies are measured on the joints'
exponential maps of both actors as one row (radians) and on joints in space (models.space), faces on the rig's
vertices (cm). Rows of trained models are checked (models.checks). A number that cannot be computed, because
nothing of the kind was generated, is an empty cell.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models import baselines, checks, face_table, metrics, scores, table_page
from models.asked_actions import asked_actions
from models.data import shards_of, takes_of
from models.generate import RECORD, sample_folder
from models.mouths import Mouths
from models.scores import Rigs, Sample, Source
from models.threads import fixed_threads
from pipeline import config, stage
from pipeline.errors import InputError
from pipeline.formats.array_files import read_npy
from pipeline.formats.bvh import load_bvh
from pipeline.formats.shard_file import Shard, TakeSpan
from pipeline.formats.words import read_phonemes
from pipeline.motion import pose
from pipeline.reading import read_json

THREADS = 2
"""Threads that compute, whatever the machine has: sums of another number differ in their last digits."""

CAPTURED = "captured"
"""What the viewer calls the real motion."""
REAL, MEAN, NEAREST = "real", "mean pose", "nearest training clip"
OTHERS = "training takes"
ROWS = {
    REAL: (
        "the real test takes against themselves: the scale of the diversities; distances are 0 by definition"
    ),
    MEAN: "the train split's mean pose and mean face in every frame",
    NEAREST: (
        "for each window, the training window whose log-mel and actions"
        " (mean and deviation over the window) are nearest"
    ),
    OTHERS: (
        "for the n-th test take the n-th train take as it is: how far real motion is from real motion"
        " that has nothing to do with it"
    ),
}
"""Rows that are always there; those of trained models stand after the first."""
MOST_SAMPLES = 100_000
FACING = tuple(config.Facing.model_fields)
"""Flags of the rule of the facing labels."""


class Table(NamedTuple):
    """Rows by name, notes on how they were computed, mouths by pairs of actors, and notes on faces alone."""

    rows: dict[str, dict]
    notes: list[str]
    mouths: list[dict]
    face_notes: list[str]


def read_generated(folder: Path, shard: Shard, span: TakeSpan) -> Sample:
    """A generated take's body (N, 2, 3 J) with root and motions, and face (N, 2, 51).

    The body is None where a folder has no bodies, the face where it has no faces.
    """
    frames = span.stop_frame - span.start_frame
    body = root = face = motions = None
    if (folder / "bvhs").is_dir():
        motions = []
        for performance in span.performances:
            path = folder / "bvhs" / f"{performance}.bvh"
            motion = load_bvh(path, unit="cm")
            if motion.names != shard.joint_names or motion.num_frames != frames:
                got, need = (len(motion.names), motion.num_frames), (len(shard.joint_names), frames)
                raise InputError(
                    f"{path}: got joints and frames {got}, need those of the shards, {need};"
                    " generate it again"
                )
            motions.append(motion)
        bodies, roots = zip(*map(pose.encode, motions))
        body, root = np.stack(bodies, 1).astype(np.float32), np.stack(roots, 1)
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
        face = np.stack(faces, 1)
    return Sample(body, root, face, motions)


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


def runs_of(path: Path) -> list[str]:
    """Names of the runs that generated.json says sampled a row; none where it does not say."""
    found = read_json(path, kind=dict).get("models")
    return sorted(found) if isinstance(found, dict) else []


def asked_in(path: Path) -> dict[str, list[str]]:
    """What generated.json says both actors were asked to do, by take: none where they did their own."""
    found = read_json(path, kind=dict).get("actions", {})
    kinds = isinstance(found, dict) and all(
        isinstance(each, list) and all(isinstance(value, str) for value in each) for each in found.values()
    )
    if not kinds:
        raise InputError(
            f"{path}: got actions {found!s:.60}, need two values for each take; generate again"
            " (python -m models.generate --shards ...)"
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


def sources_of(
    setting: scores.Setting, shards: list[Shard], folders: dict[str, list[Path]]
) -> dict[str, list[Source]]:
    """What gives the samples of each row, by the row's name."""

    def real(shard: Shard, span: TakeSpan) -> Sample:
        body, root, face = (
            np.asarray(shard[name][span.start_frame : span.stop_frame]) for name in ("body", "root", "face")
        )
        return Sample(body, root, face)

    def mean(shard: Shard, span: TakeSpan) -> Sample:
        frames, start = span.stop_frame - span.start_frame, shard["root"][span.start_frame]
        return Sample(
            baselines.mean_pose(setting.stats, frames),
            baselines.mean_root(setting.stats, start, frames),
            baselines.mean_face(setting.stats, frames),
        )

    def written(folder: Path, record: Path) -> Source:
        asked = asked_in(record)

        def read(shard: Shard, span: TakeSpan) -> Sample:
            found = read_generated(folder, shard, span)
            if span.take not in asked:
                return found
            frames = span.stop_frame - span.start_frame
            labels = asked_actions(asked[span.take], frames, where=f"{record}: actions of {span.take}")
            return replace(found, asked=labels)

        return read

    def taken(source: baselines.Nearest | baselines.Others) -> Source:
        def read(shard: Shard, span: TakeSpan) -> Sample:
            found = source.take(shard, span)
            return Sample(found["body"], found["root"], found["face"])

        return read

    others = baselines.Others(setting.takes, shards)
    nearest = baselines.Nearest(setting.takes, shards, setting.stats, window=setting.options.window_frames)
    return {
        REAL: [real],
        **{
            name: [written(folder, samples[0] / RECORD) for folder in samples]
            for name, samples in folders.items()
        },
        MEAN: [mean],
        NEAREST: [taken(nearest)],
        OTHERS: [taken(others)],
    }


def lip_faces(folder: Path, width: int) -> list[np.ndarray]:
    """ARKit weights (N, width) of all performances of the lip-accurate set, by name."""
    paths = sorted(Path(folder).glob("*.npy"))
    if not paths:
        raise InputError(f"{folder}: no .npy; need the faces of the lip-accurate set (docs/lip_acc.md)")
    faces = []
    for path in paths:
        faces.append(read_npy(path, fix="write it again (snakemake lip_acc)"))
        if faces[-1].ndim != 2 or faces[-1].shape[1] != width:
            raise InputError(
                f"{path}: got shape {faces[-1].shape}, need (N, {width}); write it again (snakemake lip_acc)"
            )
        metrics.need_finite(faces[-1], str(path))
    return faces


def phonemes_of(
    takes: list[tuple[Shard, TakeSpan]], transcripts: Path
) -> dict[str, list[tuple[str, float, float]]]:
    """By performance of the takes, its phonemes (name, start, end) in seconds."""
    names = [name for _, span in takes for name in span.performances]
    return {name: read_phonemes(Path(transcripts) / f"{name}.json") for name in names}


def table(
    shards: Path,
    generated: dict[str, Path],
    rigs: Rigs | None,
    options: config.Evaluate,
    facing: config.Facing | None = None,
    transcripts: Path | None = None,
    lip_set: Path | None = None,
) -> Table:
    """The rows by name, notes on what they were computed on, and every actor's mouth against all actors'.

    `generated` are folders by the names of their rows, `facing` is the rule of the shards' facing labels,
    `transcripts` the folder of the performances' transcripts, None for no closures of lips, `lip_set` that of
    the lip-accurate set's faces.
    Windows have `window_frames`; a take that is shorter is one window of its own length.
    """
    opened, stats = shards_of(shards)
    test = takes_of(opened, "test")
    if not test:
        raise InputError(f"{shards}: no take in the test split; give at least one take split test")
    folders = {name: sample_folders(folder) for name, folder in generated.items()}
    actors = sorted({actor for _, span in test for actor in (span.actor_a, span.actor_b)})
    known = {} if rigs is None else {actor: rigs.of(actor)[0] for actor in actors}
    mouths = Mouths(
        opened, stats, known, [] if lip_set is None else lip_faces(lip_set, len(stats["face"]["std"]))
    )
    phonemes = None if transcripts is None else phonemes_of(test, transcripts)
    setting = scores.Setting(test, stats, rigs, options, facing or config.Facing(), mouths, phonemes)
    sources = sources_of(setting, opened, folders)
    real = scores.count(setting, sources[REAL])
    truth, rows, pairs = scores.Truth(real, mouths), {}, []
    for name in stage.progress(list(sources), label="evaluate"):
        counted = real if name == REAL else scores.count(setting, sources[name])
        rows[name] = scores.row_of(counted, truth, options)
        pairs += [{"method": name} | pair for pair in scores.mouth_pairs(counted, mouths)]
    for name in folders:
        rows[name] |= checks.summary(checks.verdicts(rows[name], rows[MEAN]))
    notes = _notes(setting, rows, folders, opened[0]["body"].shape[-1])
    return Table(rows, notes, pairs, [notes[0], *_notes_on_faces(setting)])


def _notes(
    setting: scores.Setting, rows: dict[str, dict], folders: dict[str, list[Path]], width: int
) -> list[str]:
    """On how much the rows were computed; `width` values are a frame's joints of an actor."""
    options = setting.options
    lengths = [span.stop_frame - span.start_frame for _, span in setting.takes]
    takes = f"{len(lengths)} test take{'s' * (len(lengths) > 1)}, {sum(lengths)} frames at 30 fps"
    windows = f"{rows[REAL]['windows']} windows of {options.window_frames} frames"
    if short := sum(length < options.window_frames for length in lengths):
        windows += f", {short} of them shorter, as long as their takes"
    notes = [
        f"{takes}; {windows}; {_counted(folders)} samples a take.",
        _row_note(setting, width) + f"; {rows[REAL]['num_rows']} real rows.",
        *_pairs_note(options),
        "Below a score stand half-widths of its 95 % intervals, over samples and over takes, where there are"
        " two or more.",
    ]
    few = [
        f"{name} ({row['num_pairs']})"
        for name, row in rows.items()
        if row.get("num_pairs", options.num_pairs) < options.num_pairs
    ]
    if few:
        notes.append(f"Fewer rows than pairs, so all rows were paired once: {', '.join(few)}.")
    return notes + _notes_on_faces(setting)


def _row_note(setting: scores.Setting, width: int) -> str:
    """What a row of bodies holds."""
    whose = "both actors'" if setting.persons == 1 else "one actor's"
    count = 2 // setting.persons * scores.row_width(setting, width)
    return f"A row holds {whose} {count} {scores.ROW_VALUES[setting.options.body_values]}"


def _pairs_note(options: config.Evaluate) -> list[str]:
    """How rows were paired, and which reading of the body metrics is not the code's."""
    own = [f"{name} {value}" for name, value in scores.readings(options).items()]
    notes = (
        [f"{options.num_pairs} pairs asked for Div_g, seed {options.seed}."]
        if scores.reading_of(options).drawn
        else []
    )
    if own:
        notes.append(
            f"The body metrics are read otherwise than the reference code has them: {', '.join(own)}."
        )
    return notes


def _notes_on_faces(setting: scores.Setting) -> list[str]:
    """On what the faces of all rows were measured."""
    options, notes = setting.options, []
    if options.actors:
        notes.append(f"Faces are those of {', '.join(options.actors)} alone, bodies those of everybody.")
    if setting.rigs is None:
        notes.append("No rigs were given, so there are no vertex errors of faces and no closures of lips.")
    else:
        sizes = []
        for actor in sorted(
            {actor for _, span in setting.takes for actor in setting.faces_of(span).values()}
        ):
            rig, areas = setting.rigs.of(actor)
            count = [len(areas[name]) for name in ("lips", "upper_face")]
            sizes.append(f"{actor} {count[0]} and {count[1]} of {len(rig.neutral)}")
        notes.append(
            "Vertex errors are in cm and cm^2 on the actors' rigs, over the regions lips and upper_face:"
            f" {'; '.join(sizes)} vertices."
        )
        if setting.phonemes is None:
            notes.append("No transcripts were given, so no closures of lips are measured.")
    if setting.mouths is not None:
        own = [actor for actor, mouth in setting.mouths.of.items() if mouth.split == "test"]
        if own:
            notes.append(
                f"No train take has {', '.join(own)}: their mouths are held against their own test takes."
            )
    return notes


def _counted(folders: dict[str, list[Path]]) -> str:
    """How many samples a take has, by row where rows differ."""
    counts = {name: len(samples) for name, samples in folders.items()}
    if len(set(counts.values())) == 1:
        return str(next(iter(counts.values())))
    return ", ".join(f"{count} ({name})" for name, count in counts.items())


def run(
    *,
    shards: Path,
    generated: list[Path],
    rows: list[str] | None = None,
    rigs: Path | None,
    out_table: Path,
    out_page: Path,
    options: config.Evaluate,
    facing: config.Facing | None = None,
    transcripts: Path | None = None,
    lip_set: Path | None = None,
    viewer: str | None = None,
    out_faces: Path | None = None,
    trained_on_release: bool = False,
) -> None:
    """Compute the table and write it as CSV and as a page, and that of faces beside the paper's."""
    names = rows or (["trained models"] if len(generated) == 1 else [folder.name for folder in generated])
    if len(names) != len(generated) or len({*names, *ROWS}) < len(names) + len(ROWS):
        raise InputError(
            f"evaluate: got rows {', '.join(names)} for {len(generated)} folders, need a name for each, all"
            f" different, and none of {', '.join(ROWS)}; correct --rows"
        )
    with fixed_threads(THREADS):
        found, notes, pairs, face_notes = table(
            shards,
            dict(zip(names, generated)),
            None if rigs is None else Rigs(rigs),
            options,
            facing,
            transcripts,
            lip_set,
        )
    checked = {name: checks.verdicts(found[name], found[MEAN]) for name in names}
    about = {name: ROWS.get(name, "samples of the trained models for the test takes") for name in found}
    table_page.write_table(out_table, found)
    links = {} if viewer is None else _links(viewer, shards, dict(zip(names, generated)))
    table_page.write_page(out_page, found, notes, about=about, checked=checked, links=links)
    if out_faces is not None:
        runs = {name: runs_of(folder / "generated.json") for name, folder in zip(names, generated)}
        face_table.write(out_faces, found, pairs, runs=runs, notes=face_notes, release=trained_on_release)


def _links(viewer: str, shards: Path, generated: dict[str, Path]) -> dict[str, dict[str, str]]:
    """By row and test take, where the viewer shows them: what was captured, and a row's samples beside it.

    Neither the mean pose nor the nearest clip is a motion in files.
    """
    takes = [span.take for _, span in takes_of(shards_of(shards)[0], "test")]
    shown = {REAL: [CAPTURED]} | {name: [CAPTURED, folder.name] for name, folder in generated.items()}
    return {
        name: {take: table_page.take_link(viewer, take, variants) for take in takes}
        for name, variants in shown.items()
    }


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__, section=config.Evaluate, shared={config.Facing: FACING})
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
    parser.add_argument(
        "--transcripts",
        type=Path,
        help="folder of the test takes' transcripts; without it no closure of lips on p, b and m is measured",
    )
    parser.add_argument(
        "--lip-set",
        type=Path,
        help="folder of the lip-accurate set's ARKit weights, which all mouths are held against as well",
    )
    parser.add_argument(
        "--viewer",
        help="address of the viewer's pages from the page's folder, such as viewer, to link to them",
    )
    parser.add_argument(
        "--out-faces",
        type=Path,
        help="folder for faces.csv and faces.html, the faces beside the paper's, and mouths.csv",
    )
    parser.add_argument(
        "--trained-on-release",
        action="store_true",
        help="the models were trained on the public release, so that faces may be held against the paper's",
    )
    parser.add_argument("--out-table", type=Path, required=True, help="CSV to write")
    parser.add_argument("--out-page", type=Path, required=True, help="HTML page to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
