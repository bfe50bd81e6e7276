"""A stand-in of the Hugging Face hub on this machine, with what huggingface_hub asks of it.

Large files are sent by a second server, as the hub does it, with a signature in their address. A test may let
either send what the list does not say, stop in the middle, or answer with a fault.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

LARGE = (".wav", ".npy", ".bvh", ".safetensors", ".bin")
"""Files of which the list has a SHA-256."""
PAGE = 7
"""Files on a page of the list."""


@dataclass(frozen=True)
class Asked:
    """A request: of which server, of what, from which byte, and with which Authorization."""

    server: str
    path: str
    begin: int
    authorization: str


@dataclass
class Hub:
    """Repositories by address, `datasets/owner/name` or `owner/name`: commits, each with its files.

    sent: other content than the list says, by name. cut: bytes after which the connection ends, once. stall:
    bytes after which nothing more comes. status: answer to everything, with an error code of the hub's.
    """

    commits: dict[str, dict[str, Mapping[str, bytes]]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    listed: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    stall: dict[str, int] = field(default_factory=dict)
    status: tuple[int, str] | None = None
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    store: str = ""
    going_on: threading.Event = field(default_factory=threading.Event)

    def add(self, repo: str, commit: str, files: Mapping[str, bytes]) -> None:
        """A commit of a repository, which its branch main is then at."""
        self.commits.setdefault(repo, {})[commit] = files
        self.branches[repo] = commit

    def contents(self) -> list[Asked]:
        """Requests for the content of files."""
        return [asked for asked in self.asked if "/resolve/" in asked.path or asked.server == "store"]


def files_in(folder: Path) -> dict[str, bytes]:
    """Files of a folder by name, as a repository has them."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def entry(name: str, content: bytes) -> dict:
    """A file in a list."""
    git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    found = {"type": "file", "path": name, "size": len(content), "oid": git}
    if name.endswith(LARGE):
        found["lfs"] = {
            "oid": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "pointerSize": 130,
        }
    return found


def _handler(hub: Hub, server: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_) -> None:
            pass

        def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            first = int(begin[1]) if begin else 0
            hub.asked.append(Asked(server, parts.path, first, self.headers.get("Authorization", "")))
            if hub.status:
                return self.answer(hub.status[0], X_Error_Code=hub.status[1])
            if server == "store":
                repo, commit, name = parse_qs(parts.query)["of"][0].split("@", 2)
                return self.send_file(name, hub.commits[repo][commit][name], first)
            if api := re.fullmatch(
                r"/api/(models|datasets)/([^/]+/[^/]+)/(revision|tree)/([^/]+)", parts.path
            ):
                kind, repo, what, revision = api.groups()
                repo = f"datasets/{repo}" if kind == "datasets" else repo
            elif file := re.fullmatch(r"/((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)", parts.path):
                repo, revision, what = file[1], file[2], "file"
            else:
                return self.answer(404)
            commit = hub.branches[repo] if unquote(revision) == "main" else unquote(revision)
            if repo not in hub.commits:
                return self.answer(404, X_Error_Code="RepoNotFound")
            if commit not in hub.commits[repo]:
                return self.answer(404, X_Error_Code="RevisionNotFound")
            files = hub.commits[repo][commit]
            if what == "revision":
                return self.answer(200, json.dumps({"id": repo, "sha": commit}).encode())
            if what == "tree":
                return self.send_list(repo, commit, files, int(parse_qs(parts.query).get("page", "0")[0]))
            name = unquote(file[3])
            if name not in files:
                return self.answer(404, X_Error_Code="EntryNotFound")
            if name.endswith(LARGE):
                place = f"{hub.store}/{hashlib.sha256(name.encode()).hexdigest()}"
                signed = f"?of={quote(f'{repo}@{commit}@{name}')}&signature=verysecret"
                return self.answer(302, Location=place + signed, X_Repo_Commit=commit)
            return self.send_file(name, files[name], first)

        def send_list(self, repo: str, commit: str, files: Mapping[str, bytes], page: int) -> None:
            entries = [entry(name, content) for name, content in (files | hub.listed).items()]
            entries.append({"type": "directory", "path": "folder", "oid": "0" * 40, "size": 0})
            headers = {}
            if (page + 1) * PAGE < len(entries):
                api = f"api/{repo}" if repo.startswith("datasets/") else f"api/models/{repo}"
                headers["Link"] = f'<{hub.url}/{api}/tree/{commit}?page={page + 1}>; rel="next"'
            self.answer(200, json.dumps(entries[page * PAGE : (page + 1) * PAGE]).encode(), **headers)

        def send_file(self, name: str, content: bytes, first: int) -> None:
            content = hub.sent.get(name, content)
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            if name in hub.cut:
                self.wfile.write(content[first : hub.cut.pop(name)])
                self.close_connection = True
            elif name in hub.stall:
                self.wfile.write(content[first : hub.stall[name]])
                self.wfile.flush()
                hub.going_on.wait(60)
                self.close_connection = True
            else:
                self.wfile.write(content[first:])

    return Handler


@contextmanager
def served() -> Iterator[Hub]:
    """A hub that answers while the context lasts."""
    hub = Hub()
    servers = {name: ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub, name)) for name in ("hub", "store")}
    for server in servers.values():
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{servers['hub'].server_port}"
    hub.store = f"http://localhost:{servers['store'].server_port}"
    try:
        yield hub
    finally:
        hub.going_on.set()
        for server in servers.values():
            server.shutdown()
            server.server_close()
