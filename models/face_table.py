"""The faces of the table beside those of the paper, and every actor's mouth against all actors'.

In: rows of the table, the runs that each was sampled by, and mouths by pairs of actors (models.scores). Out:
faces.csv, faces.html and mouths.csv.
"""

import html
import itertools
from pathlib import Path

from models.scores import FACES
from models.table_page import ERRORS, INTERVALS, LIVELINESS, cell, listed, number, table, title, write_html
from pipeline.files import write_csv

PAPER: dict[str, str] = {
    "faceformer_vertices": "FaceFormer (Vertex)",
    "faceformer": "FaceFormer (Blendshape)",
    "face": "Ours (Base)",
    "swap_face": "Ours (Fine-tuned)",
}
"""Methods of the paper's table of faces (table 7), by the name of the run that is its counterpart."""
PRINTED: dict[str, tuple[float | None, float | None]] = dict.fromkeys(PAPER.values(), (None, None))
"""LVE and FDD that the paper prints for each; None: not known, since its text without pictures lacks them."""
COMPARABLE = {
    False: "no: the models were not trained on the release",
    True: "in order only, if the download is the paper's release: the paper states no mesh, unit or regions",
}
"""By whether the models were trained on the release, how far figures may be held against the paper's."""
MOUTHS = ["method", "actor", "of", "frames", "mouth_FD", "nearer_own"]


def counterparts(runs: dict[str, list[str]]) -> dict[str, str]:
    """By row, the paper's method whose counterpart sampled it; rows of other runs are not in it."""
    return {
        row: PAPER[found[0]]
        for row, names in runs.items()
        if len(found := [n for n in names if n in PAPER]) == 1
    }


def claims(rows: dict[str, dict], known: dict[str, str]) -> list[tuple[str, str]]:
    """What the paper's text says of its table, and whether it holds here: yes, no, or what is lacking."""
    of = {method: rows[row] for row, method in known.items() if rows[row]["LVE_cm2"] is not None}
    vertex, blendshape, base, tuned = PAPER.values()

    def judged(needed: list[str], holds) -> str:
        lacking = [method for method in needed if method not in of]
        if {base, tuned} & {*lacking} or {vertex, blendshape} <= {*lacking}:
            return "not measured: no row of " + ", ".join(lacking)
        said = "yes" if holds([method for method in needed if method in of]) else "no"
        return said + (f" (without {', '.join(lacking)})" if lacking else "")

    def lowest(methods: list[str]) -> bool:
        return min(methods, key=lambda method: of[method]["LVE_cm2"]) == tuned

    def livelier(methods: list[str]) -> bool:
        size = {method: abs(of[method]["FDD_cm2"]) for method in methods}
        return max(size[base], size[tuned]) < min(size[name] for name in size if name not in (base, tuned))

    every = list(PAPER.values())
    return [
        ("The fine-tuned model has the lowest LVE.", judged(every, lowest)),
        ("Both models are nearer to the real upper face (FDD) than FaceFormer.", judged(every, livelier)),
    ]


def face_rows(rows: dict[str, dict], runs: dict[str, list[str]], *, release: bool) -> list[dict]:
    """Rows of faces.csv: those of the table that have faces, then methods of the paper without a row."""
    known = counterparts(runs)
    result: list[dict] = []
    for name, row in rows.items():
        if all(row[score] is None for score in FACES):
            continue
        method = known.get(name)
        result.append({"method": name} | _paper(method, release) | {key: row.get(key) for key in _columns()})
    lacking = [method for method in PAPER.values() if method not in known.values()]
    return result + [{"method": ""} | _paper(method, release) for method in lacking]


def _paper(method: str | None, release: bool) -> dict:
    """The paper's part of a row."""
    if method is None:
        return {}
    lve, fdd = PRINTED[method]
    return {"paper": method, "paper_LVE": lve, "paper_FDD": fdd, "comparable": COMPARABLE[release]}


def _columns() -> list[str]:
    """Columns of faces.csv that are the table's."""
    ends = [f"{name}_{ending}" for name, ending in itertools.product(FACES, INTERVALS)]
    return ["samples", "performances", *FACES, *ends]


def _in_full(row: dict) -> dict:
    """A row of a CSV with all digits of its numbers."""
    return {key: f"{value:.9g}" if isinstance(value, float) else value for key, value in row.items()}


def write(
    out: Path,
    rows: dict[str, dict],
    mouths: list[dict],
    *,
    runs: dict[str, list[str]],
    notes: list[str],
    release: bool,
) -> None:
    """Write faces.csv, faces.html and mouths.csv into the folder `out`.

    rows: of the table by name; runs: by row of trained models, the names of its runs; notes: on what it was
    computed; release: whether the models were trained on the public release.
    """
    faces = face_rows(rows, runs, release=release)
    columns = ["method", "paper", "paper_LVE", "paper_FDD", "comparable", *_columns()]
    write_csv(out / "faces.csv", columns, [_in_full(row) for row in faces])
    write_csv(out / "mouths.csv", MOUTHS, [_in_full(pair) for pair in mouths])
    known = counterparts(runs)
    write_html(
        out / "faces.html", "Faces on the test takes", _body(rows, known, faces, mouths, notes, release)
    )


def _body(
    rows: dict[str, dict],
    known: dict[str, str],
    faces: list[dict],
    mouths: list[dict],
    notes: list[str],
    release: bool,
) -> str:
    """The page below its heading."""

    def printed(row: dict) -> str:
        return "".join(
            f"<td>{number(row[key]) if row.get(key) is not None else '&ndash;'}</td>"
            for key in ("paper_LVE", "paper_FDD")
        )

    def told(row: dict, scores: list[str]) -> str:
        return "".join(cell({name: None} | row, name) for name in scores)

    beside = table(
        ["method", "in the paper", "LVE, paper", "FDD, paper", *map(title, ERRORS)],
        {
            row["method"] or row["paper"]: (
                f"<td>{html.escape(row.get('paper', '')) if row['method'] else 'no row here'}</td>"
                f"{printed(row)}{told(row, ERRORS)}"
            )
            for row in faces
        },
    )
    lively = table(
        ["method", *map(title, LIVELINESS)],
        {row["method"]: told(row, LIVELINESS) for row in faces if row["method"]},
    )
    held = table(
        ["what the paper says of its table", "here"],
        {claim: f"<td>{html.escape(said)}</td>" for claim, said in claims(rows, known)},
    )
    return f"""{"".join(f"<p>{html.escape(note)}</p>" for note in notes)}
<p>Below a score stand half-widths of its 95 % intervals, over samples and over takes.</p>
<h2>Errors, beside the paper's table of faces</h2>
<p>Comparable: {html.escape(COMPARABLE[release])}. Empty cells of the paper are figures that are not
known here (PRINTED in models/face_table.py).</p>
{beside}
{held}
<h2>What faces do</h2>
{lively}
<h2>Whose mouth it is</h2>
<p>Rows: actors of the test takes. Columns: whose captured mouth shapes they are held against, the
lip-accurate set's too where there is one. Upper number:
Frechet distance of the mouth shapes; the smallest of a row is shaded, and should be the actor's own. Lower
number: share of frames that are nearer to the own mean shape than to the column's.</p>
{_mouths(mouths)}
<h2>Columns</h2><dl>{listed(FACES)}</dl>"""


def _mouths(mouths: list[dict]) -> str:
    """A table for each method of its actors against all actors."""
    tables = []
    for method, pairs in itertools.groupby(mouths, key=lambda pair: pair["method"]):
        lines, others = {}, []
        for actor, own in itertools.groupby(pairs, key=lambda pair: pair["actor"]):
            cells = list(own)
            others = [pair["of"] for pair in cells]
            nearest = min(pair["mouth_FD"] for pair in cells)
            lines[actor] = "".join(
                f'<td class="{"pass" if pair["of"] == actor else "fail"}">' * (pair["mouth_FD"] == nearest)
                + "<td>" * (pair["mouth_FD"] != nearest)
                + number(pair["mouth_FD"])
                + (f"<small>{pair['nearer_own']:.0%}</small>" if pair["nearer_own"] is not None else "")
                + "</td>"
                for pair in cells
            )
        tables.append(f"<h3>{html.escape(method)}</h3>" + table(["actor", *map(html.escape, others)], lines))
    return "".join(tables)
