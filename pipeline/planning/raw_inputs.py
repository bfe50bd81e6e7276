"""What is known of the files that come from outside.

Whether one has changed since it was last seen, whatever its time says.

Snakemake compares times, so a recording that is replaced by an older one passes for unchanged. Every raw
input therefore has a stamp, which is a parameter of the rules that read it: its size and time when it was
first seen with this content. The stamp stays as long as size and time do. Where they differ, the content
decides: small files are compared with what was kept of them, streams with what `sync` recorded.

Light: this module is imported while the Snakefile is read.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.files import fingerprint, sha256, write_json
from pipeline.reading import read_json

STREAMS = (".bvh", ".wav", ".h5", ".csv", ".npy")
"""Endings of takes' streams; other files are small, and their content is kept."""
SMALL_BYTES = 64 << 20

Recorded = Callable[[str], str | None]
"""What a stage recorded of the stream that it read at a path, `sha256:...` or `fingerprint:...`.

None where none did.
"""


def content_of(path: str, like: str = "sha256:") -> str:
    """The content of a file, told in the way of `like`."""
    kind = like.partition(":")[0]
    return f"{kind}:{(fingerprint if kind == 'fingerprint' else sha256)(Path(path))}"


class RawInputs:
    """Stamps of raw inputs, and the record under root that keeps them from one run to the next."""

    def __init__(
        self, path: Path, recorded: Recorded, folders: Mapping[str, str], *, elsewhere: bool = False
    ):
        """Files in `folders` (by a name of the config) are known by their path in it, wherever it lies.

        With `elsewhere`, they may be copies.
        """
        self.path, self._recorded, self._folders = path, recorded, folders
        self._compared = ("size", "mtime_ns") if elsewhere else ("size", "mtime_ns", "ctime_ns")
        try:
            kept = read_json(path, kind=dict) if path.exists() else {}
        except (
            InputError
        ):  # a record that is no more readable: files count by size and time again, as in a new root
            kept = {}
        self._kept: dict[str, dict[str, Any]] = {
            key: value for key, value in kept.items() if isinstance(value, dict)
        }
        self._seen: dict[str, dict[str, Any]] = {}

    def stamp(self, path: str) -> str | None:
        """What tells this content of a file from another; None where the file is not there."""
        key = self._key(path)
        if key not in self._seen:
            try:
                status = os.stat(path)
            except OSError:
                return None
            self._seen[key] = self._look(path, status)
        return self._seen[key]["stamp"]

    def changed(self) -> list[str]:
        """Files of the record that have another content than it says.

        One that is no more there is left out.
        """
        paths = {key: self._path(key) for key in self._kept}
        return [
            paths[key]
            for key, kept in sorted(self._kept.items())
            if self.stamp(paths[key]) not in (None, kept.get("stamp"))
        ]

    def _key(self, path: str) -> str:
        """A file's name in the record: by the folder that it lies in, so that a folder may move."""
        return next(
            (
                f"{name}:{path[len(folder) + 1 :]}"
                for name, folder in self._folders.items()
                if path.startswith(f"{folder}/")
            ),
            path,
        )

    def _path(self, key: str) -> str:
        name, colon, rest = key.partition(":")
        return f"{self._folders[name]}/{rest}" if colon and name in self._folders else key

    def _look(self, path: str, status: os.stat_result) -> dict[str, Any]:
        """What is known of a file: times and size, its stamp, and where it was asked for its content."""
        now = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}
        new = now | {"stamp": f"{status.st_size}-{status.st_mtime_ns}", "content": None}
        kept = self._kept.get(self._key(path))
        if kept is None or kept.get("size") != status.st_size or "stamp" not in kept:
            return new
        if all(kept.get(key) == now[key] for key in self._compared):
            return kept
        before = kept.get("content") or self._recorded(path)
        if before is None:  # nothing to compare with: a new time is another file, a new name or owner is not
            return kept | now if kept.get("mtime_ns") == status.st_mtime_ns else new
        content = content_of(path, before)
        return now | {
            "stamp": kept["stamp"] if content == before else new["stamp"],
            "content": content if kept.get("content") else None,
        }

    def keep(self) -> None:
        """Write the record; files that were not asked for stay in it."""
        for key, seen in self._seen.items():
            if seen["content"] is None and not key.endswith(STREAMS) and seen["size"] <= SMALL_BYTES:
                seen["content"] = content_of(self._path(key))
        record = self._kept | self._seen
        if record != self._kept:
            write_json(self.path, record)
            self._kept = record
