"""Timings: where the time of a run went, by the rules' own benchmark files.

In: the timings folder. Out: a line per rule: jobs, seconds in all, longest job, largest memory of a job.
"""

from collections import defaultdict
from pathlib import Path

from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import is_number, read_tsv


def read_timings(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Seconds and resident megabytes of every job, by rule; a job too short to be measured has 0 MB."""
    jobs = defaultdict(list)
    for path in sorted(folder.rglob("*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        columns, rows = read_tsv(path)
        if not {"s", "max_rss"} <= set(columns) or not all(is_number(row["s"]) for row in rows):
            raise InputError(f"{path}: no timings of Snakemake (columns s and max_rss); remove it")
        for row in rows:
            jobs[rule].append((float(row["s"]), float(row["max_rss"]) if is_number(row["max_rss"]) else 0.0))
    return dict(jobs)


def run(*, folder: Path) -> None:
    """Print the table, the longest rule first."""
    jobs = read_timings(folder)
    if not jobs:
        raise InputError(f"{folder}: no timings; run the workflow first, or name the folder under its root")
    print(f"{'rule':<24}{'jobs':>6}{'seconds':>10}{'longest':>10}{'MB':>8}")
    for rule, rows in sorted(jobs.items(), key=lambda item: -sum(s for s, _ in item[1])):
        seconds = [s for s, _ in rows]
        print(
            f"{rule:<24}{len(rows):>6}{sum(seconds):>10.1f}{max(seconds):>10.1f}"
            f"{max(m for _, m in rows):>8.0f}"
        )
    every = [s for rows in jobs.values() for s, _ in rows]
    print(f"{'all':<24}{len(every):>6}{sum(every):>10.1f}")


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path("data/timings"),
        help="timings under the root (default: data/timings)",
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
