"""What the report's pages share: one table in HTML, and how a number of it is shown."""

import html

import numpy as np

STYLE = """body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #222; }
table { border-collapse: collapse; } \
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ccc; text-align: right; }
thead th { position: sticky; top: 0; background: #fff; } tr > :first-child { text-align: left; }
td { white-space: nowrap; font-variant-numeric: tabular-nums; }"""


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
    """A number of a table as a person reads it; other text as it is.

    Four digits, no powers of ten, and what is below 0.0001 as such.
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
