"""What a stage reports of its run as JSON: its own measures, and the warnings of that run.

`quality` names the warnings.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.files import write_json

log = logging.getLogger("interact")


class _Kept(logging.Handler):
    """Keeps the text of warnings."""

    def __init__(self, kept: list[str]):
        super().__init__(logging.WARNING)
        self.kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(" ".join(record.getMessage().split()))


@contextlib.contextmanager
def warnings_kept() -> Iterator[list[str]]:
    """The list into which every warning goes that is logged inside the `with`, in order."""
    kept: list[str] = []
    handler = _Kept(kept)
    log.addHandler(handler)
    try:
        yield kept
    finally:
        log.removeHandler(handler)


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write a stage's report and, as `warnings`, what the innermost `warnings_kept` has kept so far.

    None outside of one.
    """
    kept = next((handler.kept for handler in reversed(log.handlers) if isinstance(handler, _Kept)), [])
    write_json(path, report | {"warnings": list(kept)})
