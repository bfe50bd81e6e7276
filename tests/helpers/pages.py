"""README and docs, and the commands and scripts in them."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


README = REPOSITORY / "README.md"


PAGES = [README, *sorted((REPOSITORY / "docs").glob("*.md"))]
ROOMS = sorted({path.parent.name for path in (REPOSITORY / "pipeline").glob("*/__init__.py")} - {"config"})
"""Rooms of pipeline/; the package config belongs to the frame."""
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:python|snakemake|make|pip|source) (?!- )")
FORM = re.compile(r"\.\.\.|<\w+>|\[-|\bDIR \[")
"""What only shows a form."""


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of a page's code blocks, fenced or indented; the language is "" where none is told."""
    found: list[tuple[str, list[str]]] = []
    fenced = indented = False
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            fenced = not fenced
            if fenced:
                found.append((line[3:], []))
        elif fenced:
            found[-1][1].append(line)
        elif line.startswith("    "):
            if not indented:
                found.append(("", []))
            found[-1][1].append(line[4:])
        indented = not fenced and line.startswith("    ")
    return [(language, "".join(f"{line}\n" for line in lines)) for language, lines in found]


def code_lines(text: str) -> list[str]:
    """Lines of a code block: what is continued or stands in quotation marks is one, comments are cut off."""
    lines: list[str] = []
    whole = True
    for line in text.replace("\\\n", " ").splitlines():
        if whole:
            lines.append(line.split("  #")[0].strip())
        else:
            lines[-1] += f"\n{line}"
        whole = not re.match(r"python -c", lines[-1]) or lines[-1].count('"') % 2 == 0
    return lines


def runnable(page: Path) -> list[list[str]]:
    """Commands of each of a page's code blocks; a script in Python is one, which hands it to Python."""
    return [
        [f"python - <<'END'\n{text}END"]
        if language == "python"
        else [line for line in code_lines(text) if COMMAND.match(line)]
        for language, text in blocks(page)
    ]


def in_sentences(page: Path) -> list[str]:
    """Commands that stand in a page's sentences, in order; not the bare names of modules and of `make`'s."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    return [span for span in spans if COMMAND.match(span) and not re.fullmatch(r"python -m \S+", span)]


def commands(start: str, pages: list[Path]) -> list[tuple[str, str]]:
    """(page, command) of the complete commands in code blocks that start with `start`.

    Those with ... or [...] only show a form.
    """
    return [
        (page.name, line)
        for page in pages
        for lines in runnable(page)
        for line in lines
        if line.startswith(start) and not FORM.search(line)
    ]
