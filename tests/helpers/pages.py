"""README and docs, and the commands in them."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


README = REPOSITORY / "README.md"


PAGES = [README, *sorted((REPOSITORY / "docs").glob("*.md"))]


def code_lines(page: Path) -> list[str]:
    """Lines of a page's code blocks, fenced or indented, continued lines joined, comments cut off."""
    lines, fenced = [], False
    for line in page.read_text().replace("\\\n", " ").splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            lines.append(line.split("  #")[0].strip())
    return lines


def commands(start: str, pages: list[Path]) -> list[tuple[str, str]]:
    """(page, command) of the complete commands that start with `start`.

    Those with ... or [...] only show a form.
    """
    found = [(page.name, line) for page in pages for line in code_lines(page) if line.startswith(start)]
    return [
        (page, line) for page, line in found if "..." not in line and not re.search(r"\[-|\bDIR \[", line)
    ]
