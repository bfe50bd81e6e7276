"""The viewer as files for any web server: the page with its list of takes, and what it links to.

In: the take.json of takes that pipeline.view.take wrote into `takes/<take>/` of the same folder. Out:
`index.html` and `web/`. The page fetches `takes/<take>/` from a server; opened from disk, it links to
`<take>.html`.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.reading import read_json
from pipeline.view import page
from pipeline.view.catalogue import address, row_of
from pipeline.view.take_file import FORMAT

log = logging.getLogger("interact")
INDEX = "index.html"


def _write(text: str, out: Path) -> None:
    with whole(out) as temporary:
        temporary.write_text(text, encoding="utf-8")


def run(*, takes: Sequence[Path], out: Path) -> None:
    """Write the page that lists takes."""
    rows = []
    for path in sorted(takes):
        content = read_json(path, kind=dict)
        try:
            good = content["format"] == FORMAT
            rows.append(row_of(content, page=address(content["take"])))
        except (KeyError, TypeError):
            good = False
        if not good:
            raise InputError(
                f"{path}: no take.json of format {FORMAT}; write it again with python -m pipeline.view.take"
            )
    for name in page.FILES:
        if name != INDEX:
            _write(page.web_file(name), out / "web" / name)
    _write(page.app_page(rows), out / INDEX)  # last: what it links to is there
    log.info("%s: %d takes", out / INDEX, len(rows))


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("--takes", type=Path, nargs="+", required=True, help="take.json of each take")
    parser.add_argument("--out", type=Path, required=True, help="folder of the viewer")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
