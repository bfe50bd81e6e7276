"""The viewer's server: the page, and the files of each take, which are made when they are asked for.

In: a source and the names of its takes. Out: HTTP on the loopback address. A path is looked up among those
that there are, so none leads elsewhere. What is made lies in a temporary folder of bounded size, whose takes
that were not looked at for longest go first.
"""

import errno
import logging
import os
import shutil
import sys
import threading
import traceback
import urllib.parse
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from pathlib import Path

from pipeline.errors import InputError
from pipeline.ids import is_id
from pipeline.reading import line_of
from pipeline.view import page
from pipeline.view.catalogue import Catalogue
from pipeline.view.sources import missing_take
from pipeline.view.take import write_files
from pipeline.view.take_file import AUDIO, GLB, TAKE_FILE

log = logging.getLogger("interact")

ADDRESS = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What a browser on this machine calls the server, also through a forwarded port.

Any other name is one that a page elsewhere had led here.
"""
MOST_BYTES = 512 << 20
"""Bytes of the takes that are kept."""
LONGEST_PATH = 2048
IDLE_SECONDS = 60
"""How long a connection may say nothing."""
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".glb": "model/gltf-binary",
    ".flac": "audio/flac",
}
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src data:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""Of every answer. The page loads its own scripts and styles, and plays sound that it holds."""


@dataclass(frozen=True)
class _Made:
    """The files of a take, or why there are none; `stamp` is what they were made of."""

    stamp: tuple
    folder: Path
    num_bytes: int = 0
    error: str = ""


class Shelf:
    """Takes made on demand into a folder, each once at a time, at most `most_bytes` of them and the last."""

    def __init__(self, catalogue: Catalogue, folder: Path, *, most_bytes: int = MOST_BYTES):
        self.catalogue, self.folder, self.most_bytes = catalogue, folder, most_bytes
        self._made: OrderedDict[str, _Made] = OrderedDict()
        self._lock, self._making, self._count = threading.Lock(), threading.Lock(), 0

    def file(self, take: str, name: str) -> BufferedReader:
        """A file of a take, opened; InputError where the take cannot be shown, or has no such file."""
        stamp = self._stamp(take)
        found = self._open(take, name, stamp)
        if found is None:
            with self._making:  # one at a time: a take takes gigabytes while it is made
                found = self._open(take, name, stamp)
                if found is None:
                    self._make(take, stamp)
                    found = self._open(take, name, stamp)
        assert found is not None
        return found

    def _open(self, take: str, name: str, stamp: tuple) -> BufferedReader | None:
        with self._lock:
            made = self._made.get(take)
            if made is None or made.stamp != stamp:
                return None
            self._made.move_to_end(take)
            if made.error:
                raise InputError(made.error)
            path = made.folder / name
            if not path.exists():
                raise FileNotFoundError(name)
            return open(path, "rb")  # it can be read to its end after its name is gone

    def _make(self, take: str, stamp: tuple) -> None:
        self._count += 1
        folder = self.folder / str(self._count)  # no name of a take
        try:
            write_files(self.catalogue, take, folder)
            made = _Made(stamp, folder, sum(path.stat().st_size for path in folder.iterdir()))
        except InputError as error:
            log.warning("%s: %s", take, error)
            shutil.rmtree(folder, ignore_errors=True)
            made = _Made(stamp, folder, error=str(error))
        with self._lock:
            gone = [old] if (old := self._made.pop(take, None)) else []
            self._made[take] = made
            total = sum(other.num_bytes for other in self._made.values())
            while total > self.most_bytes and len(self._made) > 1:
                _, oldest = self._made.popitem(last=False)
                total -= oldest.num_bytes
                gone.append(oldest)
        for old in gone:
            shutil.rmtree(old.folder, ignore_errors=True)

    def _stamp(self, take: str) -> tuple:
        """What the files of a take are made of: they are made anew once that has changed."""
        return tuple(_mark(path) for path in self.catalogue.files(take))


def _mark(path: Path) -> tuple[str, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return str(path), 0, 0
    return str(path), found.st_mtime_ns, found.st_size


class Server(ThreadingHTTPServer):
    """The viewer of a source's takes at a port of the loopback address, 0 for any that is free."""

    daemon_threads = True

    def __init__(self, shelf: Shelf, takes: list[str], port: int):
        self.shelf, self.takes = shelf, frozenset(takes)
        self.page = page.app_page([shelf.catalogue.row(take) for take in takes]).encode()
        try:
            super().__init__((ADDRESS, port), Handler)
        except OverflowError:
            raise InputError(f"--port: got {port}, need 0 to 65535; correct it") from None
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            what = (
                "is in use, by another viewer perhaps" if error.errno == errno.EADDRINUSE else "is reserved"
            )
            raise InputError(f"--port: {port} {what}; give another one, or 0 for one that is free") from None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self.server_address[1]}/"

    def handle_error(self, request, client_address) -> None:
        """Nothing to say where a browser went away; the traceback of what is our own fault."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            log.error("%s", traceback.format_exc())


class Handler(BaseHTTPRequestHandler):
    """One request: GET or HEAD of the page, of a file of `web/`, or of a file of a take."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "interact", ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        """Answer."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer without the content."""
        self._answer()

    def _answer(self) -> None:
        host = self.headers.get("Host", "").lower()
        name, _, port = host.rpartition(":")
        if (name if port.isdigit() else host) not in NAMES:
            self._say(HTTPStatus.FORBIDDEN, f"this viewer is at {self.server.url} only")
            return
        parts = self._parts()
        try:
            match parts:
                case [""]:
                    self._send(self.server.page, ".html")
                case ["web", file] if file in page.FILES and file != "index.html":
                    self._send(page.web_file(file).encode(), Path(file).suffix)
                case ["takes", take, file] if take in self.server.takes and file in (TAKE_FILE, GLB, AUDIO):
                    with self.server.shelf.file(take, file) as f:
                        self._send(f, Path(file).suffix)
                case ["takes", take, file] if file == TAKE_FILE and is_id(take, "take"):
                    self._say(HTTPStatus.NOT_FOUND, missing_take(take, sorted(self.server.takes)))
                case _:
                    self._say(HTTPStatus.NOT_FOUND, "nothing is here")
        except FileNotFoundError:
            self._say(HTTPStatus.NOT_FOUND, "this take has no such file")
        except InputError as error:
            self._say(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # the net under all requests: the page says it, the terminal says where
            log.error("%s", traceback.format_exc())
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {line_of(error)}")

    def _parts(self) -> list[str]:
        """The names in the path of the request; none where it is no path of ours."""
        path = self.path.partition("?")[0]
        if len(path) > LONGEST_PATH or not path.startswith("/"):
            return []
        try:
            return [urllib.parse.unquote(part, errors="strict") for part in path[1:].split("/")]
        except UnicodeDecodeError:
            return []

    def _say(self, status: HTTPStatus, line: str) -> None:
        self._send(f"{line}\n".encode(errors="replace"), ".txt", status)

    def _send(self, content: bytes | BufferedReader, suffix: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        length = len(content) if isinstance(content, bytes) else os.fstat(content.fileno()).st_size
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": KINDS[suffix], "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(content, bytes):
            self.wfile.write(content)
        else:
            shutil.copyfileobj(content, self.wfile)

    def log_message(self, format: str, *args) -> None:
        """No line for each request."""
