"""The table of metrics as files: a CSV with all numbers, and a page that says what they are."""

import html
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from models.checks import CHECKS, Verdict
from models.scores import BODIES, COLUMNS, FACES, GESTURES, SPACE
from pipeline.files import whole, write_csv

ERRORS = [name for name in FACES if name.startswith(("LVE", "FDD"))]
"""Columns of faces that compare meshes."""
LIVELINESS = [name for name in FACES if name not in ERRORS]
"""Columns of what faces do."""
GROUPS = {
    "Bodies": list(BODIES),
    "Errors of faces": ERRORS,
    "What faces do": LIVELINESS,
    "Motion through space": [name for name in SPACE if not name.endswith("_W1") and "_median" not in name],
    "Its medians": [name for name in SPACE if "_median" in name],
    "1-Wasserstein distances of its distributions to the real ones, in the same units": [
        name for name in SPACE if name.endswith("_W1")
    ],
    "Gestures and voice": list(GESTURES),
}
"""Tables of the page: their heading and columns."""
COUNTS = ("samples", "windows", "window_frames", "num_rows", "num_pairs", "performances")
"""On how much a row was computed."""
INTERVALS = {"seeds": "samples", "takes": "takes"}
"""Ending of a column of half-widths: over what the interval is."""
UNITS = {
    "_cm2": " (cm²)",
    "_m_min": " (m/min)",
    "_cm_s": " (cm/s)",
    "_deg_s": " (deg/s)",
    "_cm": " (cm)",
    "_deg": " (deg)",
}
"""Endings of columns, and how the page says the unit."""
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; }
body { max-width: 78rem; margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid #ccc; text-align: right; vertical-align: top; }
details a { display: block; font-weight: 400; } summary { font-weight: 400; }
tr > th:first-child { text-align: left; font-weight: 600; white-space: nowrap; }
td small { display: block; color: #666; white-space: nowrap; }
td.fail { background: #fbe3e0; } td.pass { background: #e3f2e3; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem 1.5rem; }
"""


def write_table(path: Path, rows: dict[str, dict]) -> None:
    """The CSV: numbers in full, half-widths of intervals, then what they were computed on.

    Cells are empty where there is no number.
    """
    columns = ["method", *COLUMNS, "checks", "failed", *COUNTS]
    columns += [f"{name}_{ending}" for name in COLUMNS for ending in INTERVALS]
    said = [
        {"method": name}
        | {key: f"{value:.9g}" if isinstance(value, float) else value for key, value in row.items()}
        for name, row in rows.items()
    ]
    write_csv(path, columns, said)


def take_link(viewer: str, take: str, variants: Sequence[str]) -> str:
    """Address of a take's page in the viewer, opened with these variants (docs/view.md, Static pages)."""
    return f"{viewer}/{quote(take)}.html#take={quote(take)}&show={','.join(map(quote, variants))}"


def _method(name: str, links: dict[str, str]) -> str:
    """A row's name, and its takes in the viewer: the name links to the only one, or they are listed below."""
    said = html.escape(name)
    found = {html.escape(take): html.escape(address) for take, address in links.items()}
    if len(found) < 2:
        return next((f'<a href="{address}">{said}</a>' for address in found.values()), said)
    listed = "".join(f'<a href="{address}">{take}</a>' for take, address in found.items())
    return f"{said}<details><summary>{len(found)} takes</summary>{listed}</details>"


def number(value: float | None) -> str:
    return "&ndash;" if value is None else f"{value:.4g}" if abs(value) > 1e-9 else "0"


def cell(row: dict, name: str) -> str:
    """A score with the half-widths of its intervals below."""
    widths = {over: row.get(f"{name}_{ending}") for ending, over in INTERVALS.items()}
    shown = "".join(
        f'<small title="half-width of the 95 % interval over {over}">&plusmn; {width:.2g} {over}</small>'
        for over, width in widths.items()
        if width is not None and width > 1e-9
    )
    return f"<td>{number(row[name])}{shown}</td>"


def title(name: str) -> str:
    """A column's name with its unit in brackets."""
    unit = next((end for end in UNITS if name.endswith(end)), "")
    return html.escape(name.removesuffix(unit).replace("_", " ")) + UNITS.get(unit, "")


def table(head: list[str], rows: dict[str, str], links: dict[str, dict[str, str]] | None = None) -> str:
    """A table of rows by name, the first of `head`; links: of rows by name, addresses of their takes."""
    links = links or {}
    heads = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(
        f"<tr><th>{_method(name, links.get(name, {}))}</th>{cells}</tr>" for name, cells in rows.items()
    )
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def listed(items: dict[str, str]) -> str:
    """Names and what they mean."""
    return "".join(f"<dt>{html.escape(key)}</dt><dd>{html.escape(text)}</dd>" for key, text in items.items())


def write_page(
    path: Path,
    rows: dict[str, dict],
    notes: list[str],
    *,
    about: dict[str, str],
    checked: dict[str, list[Verdict]],
    links: dict[str, dict[str, str]] | None = None,
) -> None:
    """The page: the tables, the checks, what rows and columns are, and what they were computed on.

    about: what each row is; checked: the checks of rows by name; links: by row and take, where it can be
    watched. One file, no script.
    """
    links = links or {}
    tables = "".join(
        f"<h2>{heading}</h2>"
        + table(
            ["method", *map(title, columns)],
            {name: "".join(cell(row, key) for key in columns) for name, row in rows.items()},
            links,
        )
        for heading, columns in GROUPS.items()
    )

    def judged(verdict: Verdict) -> str:
        kind = verdict.said if verdict.holds is not None else ""
        need = html.escape(verdict.need)
        return f'<td class="{kind}">{verdict.said}: {number(verdict.value)}<small>need {need}</small></td>'

    checks = table(
        ["method", *(title(check.score) for check in CHECKS)],
        {name: "".join(judged(verdict) for verdict in found) for name, found in checked.items()},
        links,
    )
    body = f"""{"".join(f"<p>{html.escape(note)}</p>" for note in notes)}
{"<p>A row's name leads to its takes in the viewer, beside what was captured.</p>" if links else ""}
{tables}
<h2>Checks</h2>
<p>What trained models must show at least.</p>
{checks}
<dl>{listed({check.score: check.why for check in CHECKS})}</dl>
<h2>Rows</h2><dl>{listed(about)}</dl>
<h2>Columns</h2><dl>{listed(COLUMNS)}</dl>"""
    write_html(path, "Metrics on the test takes", body)


def write_html(path: Path, heading: str, body: str) -> None:
    """A page of tables with a heading: one file, no script."""
    text = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(heading)}</title>
<style>{STYLE}</style>
<h1>{html.escape(heading)}</h1>
{body}
</html>
"""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
