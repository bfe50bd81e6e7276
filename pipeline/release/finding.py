"""Findings about files of a folder in the public release's layout.

And what a check of the whole folder remembers.
"""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config import ReleaseIn
from pipeline.errors import InputError


@dataclass(frozen=True)
class Finding:
    """One thing about a file of the folder; `kind` is empty where it is no fault."""

    file: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.kind}: {self.text}" if self.kind else f"note: {self.file}: {self.text}"


@dataclass
class Check:
    """A folder under check, and what the whole of it is needed for.

    Rates and joints that must be those of the others.
    """

    folder: Path
    options: ReleaseIn
    rates: dict[str, int] = field(default_factory=dict)
    joints: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def fault(self, path: Path, kind: str, text: str) -> Finding:
        """A fault of a file."""
        return Finding(str(path.relative_to(self.folder)), kind, text)

    def note(self, path: Path, text: str) -> Finding:
        """Something worth knowing about a file."""
        return Finding(str(path.relative_to(self.folder)), "", text)

    def refused(self, path: Path, kind: str, error: InputError) -> Finding:
        """A fault that a reader has told, less the path."""
        return self.fault(path, kind, str(error).removeprefix(str(path)).lstrip(":, "))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Readers' warnings are told as findings, not twice."""
    log = logging.getLogger("interact")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
