"""Where and of what a root's files were made, for the case that Snakemake does not know.

Snakemake keeps what it knows of files (options, code and inputs that made them) in the folder that it is
started in, by the spelling of their paths. For a root that was copied or moved, is run from another clone, or
is spelled otherwise it knows nothing, compares times alone, and would take files of other options or older
recordings for up to date. The root therefore remembers with what it was last run. Where nothing has changed
since, it is used as it is; else the run is refused, unless Snakemake is told to make all anew or to take the
files as they are.

Light: this module is imported while the Snakefile is read.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.files import whole, write_json
from pipeline.reading import read_json, read_text

SETTLES = {"--forceall", "-F"}
"""Flags of Snakemake after which it knows all files of a root.

--touch alone passes over those that it takes for up to date.
"""
SHOWN = 4
RECORDS = Path(".snakemake", "interact.name")
"""Names Snakemake's records in this folder, by when they were begun."""


def place(root: str) -> str:
    """What Snakemake's records of a root hang on.

    Themselves, by a name that lies among them, and the spelling of the root.

    For a root beyond the folder that Snakemake is started in, that folder too: records that were copied with
    it may be older than the root.
    """
    name = read_text(RECORDS) if RECORDS.is_file() else ""
    here = os.path.realpath(".") if root.startswith(("/", "..")) else ""
    return hashlib.sha256("\0".join((name, here, root)).encode()).hexdigest()[:32] if name else ""


def different(before: Any, now: Any, name: str = "") -> list[str]:
    """Names of the values in which two nested dicts differ, such as `separation.method`, in order."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [
            found
            for key in keys
            for found in different(before.get(key), now.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if before == now else [name]


class Provenance:
    """The record of a root, and what the files there would be made of now.

    `options` of the config and a digest of the `code`.
    """

    def __init__(self, root: str, options: dict[str, Any], code: str):
        self.root, self._path = root, Path(root, ".interact", "made.json")
        self._now = {"place": place(root), "options": options, "code": code}
        try:
            self._before = read_json(self._path, kind=dict) if self._path.is_file() else {}
        except (
            InputError
        ):  # a record that is no more readable says nothing, as in a root from before there were records
            self._before = {}
        self.elsewhere = bool(self._before) and self._before.get("place") != self._now["place"]
        """Whether the root was last run elsewhere, so that Snakemake knows nothing of its files here."""

    def check(self, changed_inputs: Sequence[str], arguments: Sequence[str]) -> None:
        """InputError where the root's files were made elsewhere and of something else.

        Unless the command's `arguments` settle that.
        """
        if not self.elsewhere or SETTLES & set(arguments):
            return
        changed = different(self._before.get("options"), self._now["options"]) + list(changed_inputs)
        if self._before.get("code") != self._now["code"]:
            changed.append("the code")
        if changed:
            more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
            raise InputError(
                f"config: root {self.root} was last run from another folder, under another path or with"
                f" another .snakemake, and since then changed: {', '.join(changed[:SHOWN])}{more}; Snakemake,"
                " which has no record of these files here, would not see it: set a new root, make all anew"
                " (snakemake --forceall), or take the files as they are (snakemake --forceall --touch)"
            )

    def keep(self, arguments: Sequence[str]) -> None:
        """Write the record as a run begins.

        A root from elsewhere stays one until Snakemake knows all of its files.
        """
        if self.elsewhere and not SETTLES & set(arguments):
            return
        if not RECORDS.is_file():
            with whole(RECORDS) as partial:
                partial.write_text(f"{time.time_ns()}-{os.getpid()}", encoding="utf-8")
        self._now["place"] = place(self.root)
        if self._now != self._before:
            write_json(self._path, self._now)
