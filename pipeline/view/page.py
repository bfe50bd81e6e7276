"""The page of the viewer: the template in `web/` with its scripts, its styles and what it shows.

Out: HTML that links to `web/` beside it, for a server; or HTML that carries all it needs, for one take,
which opens straight from disk.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.reading import read_text

WEB = Path(__file__).parent / "web"
"""Files that a page which is served links to as `web/<name>`."""
STYLES = ("viewer.css",)
SCRIPTS = (
    "three.js", "dom.js", "files.js", "clock.js", "face.js", "actors.js", "ground.js", "views.js", "stage.js",
    "timeline.js", "panel.js", "takes.js", "keys.js", "app.js",
)  # fmt: skip
"""In the order in which a page runs them."""
LICENCE = "LICENSE-three.txt"
FILES = ("index.html", *STYLES, *SCRIPTS, LICENCE)
"""All that `web/` holds."""


@dataclass(frozen=True)
class Carried:
    """What a page carries of its one take: take.json, the GLB, and the sound where there is some."""

    take_file: dict
    glb: bytes
    audio: bytes | None = None


def web_file(name: str) -> str:
    """The text of a file of `web/`."""
    return read_text(WEB / name)


def app_page(takes: Sequence[dict], carried: Carried | None = None) -> str:
    """The page as HTML.

    takes: the rows of its list, as docs/view.md has them; carried: a take that the page holds itself, with
    all scripts and styles. Without it the page links to `web/` and fetches `takes/<take>/`.
    """
    data = [_json("takes", list(takes))]
    if carried is None:
        styles = "\n".join(f'<link rel="stylesheet" href="web/{name}">' for name in STYLES)
        scripts = "\n".join(f'<script src="web/{name}"></script>' for name in SCRIPTS)
    else:
        styles = "\n".join(f"<style>\n{web_file(name)}</style>" for name in STYLES)
        licence = web_file(LICENCE)
        scripts = f"<!--\n{licence}-->\n" + "\n".join(
            f"<script>\n{_inside_script(web_file(name))}</script>" for name in SCRIPTS
        )
        data.append(_json("take-file", carried.take_file))
        data.append(_base64("glb", carried.glb))
        if carried.audio is not None:
            data.append(_base64("audio", carried.audio))
    page = web_file("index.html")
    for mark, text in (("STYLES", styles), ("DATA", "\n".join(data)), ("SCRIPTS", scripts)):
        before, found, after = page.partition(f"<!--{mark}-->")
        assert found, f"index.html: no place for {mark}"
        page = before + text + after
    return page


def _json(name: str, value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.replace("<", "\\u003c")  # a text of a take must not end the element that carries it
    return f'<script type="application/json" id="{name}">{text}</script>'


def _base64(name: str, data: bytes) -> str:
    return f'<script type="text/plain" id="{name}">{base64.b64encode(data).decode("ascii")}</script>'


def _inside_script(text: str) -> str:
    return text.replace("</script", "<\\/script")
