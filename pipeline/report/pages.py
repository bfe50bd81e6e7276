"""Report: the pictures and pages that `snakemake --report report.html` holds beside the results themselves.

    python -m pipeline.report.take --sync S.json --microphones A.wav B.wav --voices A.wav B.wav --actions A.npy B.npy ... --out TAKE.png
    python -m pipeline.report.body --bvh A.bvh B.bvh --reports A.json B.json --out TAKE.png
    python -m pipeline.report.face --face A.mesh.h5 B.mesh.h5 --rig A.npz B.npz --reports A.json B.json --out TAKE.png
    python -m pipeline.report.sync --takes takes.tsv --sync FOLDER --out sync.csv --out-page sync.html
    python -m pipeline.report.residuals --takes takes.tsv --fits FOLDER --out residuals.png
    python -m pipeline.report.losses --runs RUNS --out losses.png
    python -m pipeline.report.accuracy_page --table accuracy.csv --out accuracy.html

In: what capture, annotation and training have written. Out: PNG, CSV and HTML; the same input gives the same
bytes. Times are seconds, residuals cm. A picture shows what a file says and leaves out what it does not.
"""

import csv
import html
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline import stage
from pipeline.errors import InputError
from pipeline.figures.figure import pyplot, save
from pipeline.files import whole, write_csv
from pipeline.formats.sync_file import kinds_of
from pipeline.formats.takes import read_takes
from pipeline.reading import open_text, read_json
from pipeline.report import body as report_body
from pipeline.report import face as report_face
from pipeline.report import take as report_take

MODELS = ("face", "body_lower", "body_upper")
SYNC_COLUMNS = (
    "take actor stream start_seconds end_seconds rate drift_ppm jitter_ms residual_ms frames dropped"
    " duplicates longest_gap_ms before_ms after_ms source"
).split()
MAX_NAMES = 64
"""More performances than this have no name under their bar."""
STYLE = """body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #222; }
table { border-collapse: collapse; } th, td { padding: .25rem .6rem; border-bottom: 1px solid #ccc; text-align: right; }
thead th { position: sticky; top: 0; background: #fff; } tr > :first-child { text-align: left; }
td { white-space: nowrap; font-variant-numeric: tabular-nums; }"""


def sync_rows(take: dict) -> list[dict]:
    """Rows of SYNC_COLUMNS, one for each actor and stream, of a take's sync JSON.

    Starts and ends are seconds since midnight; before_ms and after_ms is how much of a stream lies outside
    the common window, which for audio ends with the span of the last frame and for the others with its
    instant. Drift, jitter and lost frames are known of streams that stamp their frames; the cells of others
    are empty.
    """
    first = take["start_seconds"]
    rows = []
    for performance in take["performances"]:
        for name in kinds_of(performance):
            stream = performance[name]
            last = first + (take["frames"] - (name != "audio")) / take["fps"]
            gap = stream.get("longest_gap")
            cells = {
                "take": take["take"], "actor": performance["actor"], "stream": name,
                "start_seconds": f"{stream['start']:.4f}", "end_seconds": f"{stream['end']:.4f}", "rate": f"{stream['rate']:.6g}",
                "drift_ppm": "" if stream["drift_ppm"] is None else f"{stream['drift_ppm']:+.1f}",
                "jitter_ms": "" if stream["jitter_ms"] is None else f"{stream['jitter_ms']:.3f}",
                "residual_ms": "" if stream["residual_ms"] is None else f"{stream['residual_ms']:.3f}",
                "frames": stream.get("frames", stream.get("samples")), "dropped": stream.get("dropped", ""),
                "duplicates": stream.get("duplicates", ""),
                "longest_gap_ms": "" if gap is None else f"{1000 * gap:.1f}",
                "before_ms": f"{1000 * (first - stream['start']):.1f}", "after_ms": f"{1000 * (stream['end'] - last):.1f}",
                "source": stream["source"],
            }  # fmt: skip
            rows.append({key: str(value) for key, value in cells.items()})
    return rows


def page(title: str, columns: list[str], rows: list[dict[str, str]]) -> str:
    """An HTML page with one table."""
    head = "".join(f"<th>{html.escape(column.replace('_', ' '))}</th>" for column in columns)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(row[column])}</td>" for column in columns) + "</tr>"
        for row in rows
    )
    return (
        '<!doctype html>\n<html lang="en"><meta'
        f' charset="utf-8"><title>{html.escape(title)}</title>\n<style>\n{STYLE}\n</style>\n'
        f"<h1>{html.escape(title)}</h1>\n<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>\n</html>\n"
    )


def shown(value: str) -> str:
    """A number of a table as a person reads it: four digits, no powers of ten, and what is below 0.0001 as
    such; other text as it is.
    """
    try:
        number = float(value)
    except ValueError:
        return value
    if not np.isfinite(number) or number == 0:
        return f"{number:g}"
    if abs(number) < 1e-4:
        return "< 0.0001" if number > 0 else "> -0.0001"
    return (
        f"{number:.0f}"
        if abs(number) >= 1000
        else np.format_float_positional(number, 4, fractional=False, trim="-")
    )


def by_performance(rows: list[dict[str, str]]) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a table with a row for each take and actor, from rows of take, actor, measure,
    value.

    Measures keep the order in which they first appear; one that a row lacks is an empty cell.
    """
    measures = list(dict.fromkeys(row["measure"] for row in rows))
    wide: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        key = (row["take"], row["actor"])
        wide.setdefault(key, {"take": key[0], "actor": key[1], **dict.fromkeys(measures, "")})[
            row["measure"]
        ] = shown(row["value"])
    return ["take", "actor", *measures], list(wide.values())


def losses_of(path: Path) -> np.ndarray:
    """Steps and losses (2, N) of a training's log.jsonl; other lines than those of a step are passed over."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        steps = [(line["step"], line["loss"]) for line in lines if "step" in line]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; train this model first") from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: not lines of JSON with step and loss ({error}); train this model again"
        ) from None
    if not steps:
        raise InputError(f"{path}: no step in it, need at least one; train this model again")
    return np.array(steps, float).T


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean of `values` (N,) over the last `width` of them, over fewer at the beginning; (N,)."""
    total = np.cumsum(values)
    count = np.minimum(np.arange(1, len(values) + 1), width)
    return (total - np.concatenate([np.zeros(min(width, len(values))), total[:-width]])) / count


def run_sync(*, takes: Path, sync: Path, out: Path, out_page: Path) -> None:
    """Write the table of all streams as CSV and as a page."""
    rows = [row for take in read_takes(takes) for row in sync_rows(read_json(sync / f"{take.name}.json"))]
    write_csv(out, SYNC_COLUMNS, rows)
    with whole(out_page) as temporary:
        temporary.write_text(page("Sync of all streams", SYNC_COLUMNS, rows), encoding="utf-8")


def run_accuracy(*, table: Path, out: Path) -> None:
    """Write the accuracy table as a page with a row for each performance and one for the means."""
    with open_text(table, "CSV", fix="make it with pipeline.report.accuracy") as f:
        rows = list(csv.DictReader(f))
    if not rows or not {"take", "actor", "measure", "value"} <= set(rows[0]):
        raise InputError(
            f"{table}: need rows with the columns take, actor, measure, value; make it with"
            " pipeline.report.accuracy"
        )
    with whole(out) as temporary:
        temporary.write_text(page("Accuracy against the truth", *by_performance(rows)), encoding="utf-8")


def run_residuals(*, takes: Path, fits: Path, out: Path) -> None:
    """Draw the residuals of all fits.

    Fits without one (weights that were recorded as such) are counted in the title.
    """
    reports = [read_json(fits / f"{name}.json") for take in read_takes(takes) for name in take.performances]
    fitted = [r for r in reports if "residual_rms_cm" in r]
    plt = pyplot()
    if not fitted:
        fig, ax = plt.subplots(figsize=(7, 1.2))
        ax.text(
            0.5,
            0.5,
            f"All {len(reports)} face streams came as weights: nothing was fitted, so there is no residual.",
            ha="center",
            va="center",
        )
        ax.axis("off")
        save(fig, out)
        return
    fig, ax = plt.subplots(figsize=(max(7.0, min(16.0, 1.5 + 0.3 * len(fitted))), 4.5), layout="constrained")
    x = np.arange(len(fitted))
    ax.bar(
        x,
        [r["residual_rms_cm"] for r in fitted],
        color="#93c5fd",
        label="root mean square over the performance",
    )
    ax.plot(x, [r["residual_max_cm"] for r in fitted], "o", color="#1d4ed8", ms=4, label="largest of a frame")
    ax.set_ylabel("residual (cm a coordinate)")
    ax.set_ylim(bottom=0)
    if len(fitted) <= MAX_NAMES:
        ax.set_xticks(x, [r["performance"] for r in fitted], rotation=90, fontsize=7)
    else:
        ax.set_xlabel("performances, in name order")
    without = len(reports) - len(fitted)
    ax.set_title(
        f"Fit of {len(fitted)} face streams" + (f"; {without} more came as weights" if without else ""),
        fontsize=11,
    )
    fig.legend(loc="outside lower right", ncols=2, fontsize=8, frameon=False)
    save(fig, out)


def plain_log(value: float, _) -> str:
    """The label of a tick on a logarithmic axis: 1, 2, 4 and 6 of every decade."""
    lead = round(value / 10.0 ** np.floor(np.log10(value) + 1e-9))
    return f"{value:g}" if lead in (1, 2, 4, 6) else ""


def run_losses(*, runs: Path, out: Path) -> None:
    """Draw the losses of the three trainings, each step and their running mean."""
    curves = [losses_of(runs / model / "log.jsonl") for model in MODELS]
    plt = pyplot()
    fig, axes = plt.subplots(1, len(MODELS), figsize=(14, 4), layout="constrained")
    for ax, model, (steps, loss) in zip(axes, MODELS, curves, strict=True):
        width = max(1, len(loss) // 20)
        ax.plot(steps, loss, color="#cbd5e1", lw=0.8, label="each step")
        ax.plot(steps, running_mean(loss, width), color="#1d4ed8", lw=1.5, label=f"mean of the last {width}")
        if (loss > 0).all():
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter(plain_log)  # the default writes formulas
            ax.yaxis.set_minor_formatter(plain_log if loss.max() < 100 * loss.min() else "")
        ax.set_title(model, fontsize=11)
        ax.set_xlabel("step")
        ax.grid(True, which="both", color="#eeeeee", lw=0.6)
        ax.legend(fontsize=8, frameon=False)
    axes[0].set_ylabel("training loss")
    save(fig, out)


def main(argv: list[str] | None = None) -> None:
    """Command line: the first word says what to make."""
    argv = sys.argv[1:] if argv is None else list(argv)
    name = argv[0] if argv else "--help"
    parser = stage.parser(__doc__)
    run: Callable
    if name == "take":
        run = report_take.run
        report_take.add_arguments(parser)
    elif name == "body":
        run = report_body.run
        report_body.add_arguments(parser)
    elif name == "face":
        run = report_face.run
        report_face.add_arguments(parser)
    elif name == "sync":
        run = run_sync
        parser.add_argument("--takes", type=Path, required=True, help="takes.tsv of the dataset")
        parser.add_argument("--sync", type=Path, required=True, help="folder of the takes' sync JSONs")
        parser.add_argument("--out-page", type=Path, required=True, help="HTML page to write")
    elif name == "residuals":
        run = run_residuals
        parser.add_argument("--takes", type=Path, required=True, help="takes.tsv of the dataset")
        parser.add_argument("--fits", type=Path, required=True, help="folder of the performances' fit JSONs")
    elif name == "losses":
        run = run_losses
        parser.add_argument("--runs", type=Path, required=True, help="folder of the three runs")
    elif name == "accuracy":
        run = run_accuracy
        parser.add_argument("--table", type=Path, required=True, help="accuracy.csv")
    elif name in ("-h", "--help"):
        print(__doc__)
        return
    else:
        sys.exit(
            f"error: unknown command {name!r}; need take, body, face, sync, residuals, losses or accuracy"
        )
    parser.prog += f" {name}"
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    stage.execute(parser, run, argv[1:])


if __name__ == "__main__":
    main()
