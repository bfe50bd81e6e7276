"""The page with the workflow's rules and what feeds what.

It is made by `snakemake all --rulegraph dot | python -m pipeline.report.dag --out docs/dag.md`.

In: Snakemake's rule graph (DOT) on standard input. Out: a Markdown page with a Mermaid diagram.
"""

import argparse
import re
import sys
from pathlib import Path

from pipeline.files import whole

FOLDED = re.compile(r"^(simulate_take)_.+$")
"""Rules that are one rule written once for each pair of actors."""
INTRODUCTION = """# The rules and what feeds what

A topic of the room [planning](planning.md). The command
`snakemake all --rulegraph dot | python -m pipeline.report.dag --out docs/dag.md` makes this page from the
default configuration. An arrow leads from a rule to one that reads what it writes. Where a longer way leads
there too, the arrow is left out. `simulate_take` is one rule for each pair of actors.

Other inputs have other rules:

- A shoot of your own has neither `simulate_...` nor `accuracy`.
- A download also has no `sync`, `body`, `blendshapes`, `separation` and `dataset`, nor the reports of
  these. It begins with `ingest`, `release_takes`, `release_rig` and, for its lip-accurate set,
  `release_lip`.
- A shoot with a [lip-accurate set](lip_acc.md) has `lip_sync`, `lip_blendshapes` and `lip_separation`
  besides, which `lip_acc` joins.
- `release`, which `all` does not ask for, joins `dataset` and `split` ([release](release.md)).
"""


def edges_of(dot: str) -> set[tuple[str, str]]:
    """Pairs (rule, rule that reads from it) of a rule graph in DOT.

    Folded rules stand under their common name.
    """
    names = {number: FOLDED.sub(r"\1", name) for number, name in re.findall(r'(\d+)\[label = "([^"]+)"', dot)}
    pairs = {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", dot)}
    return {(a, b) for a, b in pairs if a != b}


def reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges of an acyclic graph that no longer path joins already (its transitive reduction)."""
    after: dict[str, set[str]] = {}
    for a, b in edges:
        after.setdefault(a, set()).add(b)

    def reach(start: str) -> set[str]:
        seen, waiting = set(), [start]
        while waiting:
            for name in after.get(waiting.pop(), ()):
                if name not in seen:
                    seen.add(name)
                    waiting.append(name)
        return seen

    beyond = {name: reach(name) for name in after}
    return {(a, b) for a, b in edges if not any(b in beyond.get(via, ()) for via in after[a] - {b})}


def page(dot: str) -> str:
    """The Markdown page of a rule graph in DOT."""
    lines = "\n".join(f"  {a} --> {b}" for a, b in sorted(reduced(edges_of(dot))))
    return f"{INTRODUCTION}\n```mermaid\nflowchart TB\n{lines}\n```\n"


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="Markdown page to write")
    out = parser.parse_args(argv).out
    text = sys.stdin.read()
    if not edges_of(text):
        sys.exit(
            "error: no rule graph on standard input; pipe `snakemake all --rulegraph dot` into this command"
        )
    with whole(out) as temporary:
        temporary.write_text(page(text), encoding="utf-8")


if __name__ == "__main__":
    main()
