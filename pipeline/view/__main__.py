"""The viewer in the browser: takes with bodies, faces, voices and labels, captured and generated.

    python -m pipeline.view 20240110_007 --source data

In: a run, a dataset, a release, or a folder with bvhs/. Out: a page at the loopback address, which opens in
the browser, until Ctrl-C. All takes are listed, or those that are named, and the first of these is opened. A
take's files are made when it is opened, into a temporary folder.
"""

import logging
import os
import signal
import sys
import tempfile
import urllib.parse
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from pipeline import stage
from pipeline.view.catalogue import Catalogue
from pipeline.view.server import Server, Shelf
from pipeline.view.sources import add_source_flags, open_source

log = logging.getLogger("interact")
PORT = 8430


def _has_screen() -> bool:
    """Whether a browser could show itself: on a machine without screen it would be one in the terminal."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _stop(*_) -> None:
    raise KeyboardInterrupt


def run(
    *,
    takes: Sequence[str],
    source: Path,
    generated: Sequence[Path],
    rigs: Path | None,
    port: int,
    no_open: bool,
) -> None:
    """Serve takes until Ctrl-C."""
    found = open_source(source, generated=generated, rigs=rigs)
    for take in takes:
        found.need_take(take)
    with tempfile.TemporaryDirectory(prefix="interact-view-", ignore_cleanup_errors=True) as folder:
        server = Server(Shelf(Catalogue(found), Path(folder)), sorted(set(takes)) or found.takes, port)
        signal.signal(signal.SIGTERM, _stop)
        url = server.url + (f"#take={urllib.parse.quote(takes[0])}" if takes else "")
        print(f"{len(server.takes)} takes of {source} at {url} until Ctrl-C", flush=True)
        try:
            with server:
                if not no_open and _has_screen():
                    webbrowser.open(url)
                server.serve_forever()
        except KeyboardInterrupt:
            pass


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument("takes", nargs="*", metavar="TAKE", help="takes to list; all by default")
    add_source_flags(parser)
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"port, 0 for one that is free (default: {PORT})"
    )
    parser.add_argument("--no-open", action="store_true", help="open no browser")
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
