"""The report's table of all streams, as CSV and as a page: start, end, rate, drift and lost frames.

    python -m pipeline.report.sync --takes takes.tsv --sync FOLDER --out sync.csv --out-page sync.html

In: takes.tsv and the takes' sync JSONs. Out: a CSV and an HTML page of the same rows, one for each take,
actor and stream. Starts and ends are seconds since midnight.
"""

from pathlib import Path

from pipeline import stage
from pipeline.files import whole, write_csv
from pipeline.formats.sync_file import kinds_of
from pipeline.formats.takes import read_takes
from pipeline.reading import read_json
from pipeline.report.page import page

SYNC_COLUMNS = (
    "take actor stream start_seconds end_seconds rate drift_ppm jitter_ms residual_ms frames dropped"
    " duplicates longest_gap_ms before_ms after_ms source"
).split()


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
                "take": take["take"],
                "actor": performance["actor"],
                "stream": name,
                "start_seconds": f"{stream['start']:.4f}",
                "end_seconds": f"{stream['end']:.4f}",
                "rate": f"{stream['rate']:.6g}",
                "drift_ppm": "" if stream["drift_ppm"] is None else f"{stream['drift_ppm']:+.1f}",
                "jitter_ms": "" if stream["jitter_ms"] is None else f"{stream['jitter_ms']:.3f}",
                "residual_ms": "" if stream["residual_ms"] is None else f"{stream['residual_ms']:.3f}",
                "frames": stream.get("frames", stream.get("samples")),
                "dropped": stream.get("dropped", ""),
                "duplicates": stream.get("duplicates", ""),
                "longest_gap_ms": "" if gap is None else f"{1000 * gap:.1f}",
                "before_ms": f"{1000 * (first - stream['start']):.1f}",
                "after_ms": f"{1000 * (stream['end'] - last):.1f}",
                "source": stream["source"],
            }
            rows.append({key: str(value) for key, value in cells.items()})
    return rows


def run(*, takes: Path, sync: Path, out: Path, out_page: Path) -> None:
    """Write the table of all streams as CSV and as a page."""
    rows = [row for take in read_takes(takes) for row in sync_rows(read_json(sync / f"{take.name}.json"))]
    write_csv(out, SYNC_COLUMNS, rows)
    with whole(out_page) as temporary:
        temporary.write_text(page("Sync of all streams", SYNC_COLUMNS, rows), encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--takes", type=Path, required=True, help="takes.tsv of the dataset")
    parser.add_argument("--sync", type=Path, required=True, help="folder of the takes' sync JSONs")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--out-page", type=Path, required=True, help="HTML page to write")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
