"""What happens as a run of the whole workflow begins and ends.

The Snakefile's onstart, onsuccess and onerror call it.

Nothing here runs for a dry run, a report or a job on a node of a cluster. Light: imported while the Snakefile
is read.
"""

import os
import platform
import sys
import time
from typing import IO, TYPE_CHECKING

from pipeline import ownership
from pipeline.errors import InputError
from pipeline.reading import line_of

if TYPE_CHECKING:
    from pipeline.planning.study import Study

SHOWN = 20
"""Warnings that the end of a run prints; `make status` counts all."""


class Run:
    """One run of the workflow in a root.

    Nobody else runs there meanwhile, and its warnings are shown at its end.
    """

    def __init__(self, study: "Study"):
        self.study, self.started = study, time.time()
        self._lock: IO | None = None

    def begin(self) -> None:
        """Take the root for this run, mark its folders, keep what is known of raw inputs.

        A line and exit code 2 where that fails.
        """
        try:
            self._hold()
            ownership.check(self.study.claim)
            for line in self.study.claim.notes:
                print(f"note: {line}", file=sys.stderr)
            ownership.mark_folders(self.study.claim)
            self.study.inputs.keep()
            self.study.provenance.keep(sys.argv)
        except InputError as error:
            self._stop(str(error))
        except OSError as error:
            self._stop(
                f"{error.filename}: {error.strerror or line_of(error)}; need to write there, set another root"
                " or mend it"
            )

    def end(self) -> None:
        """Mark what the run has made anew, and print its warnings."""
        from pipeline.planning.status import warnings_since

        ownership.mark_folders(self.study.claim)
        found = self.study.cautions + warnings_since(self.study, self.started)
        if found:
            print(f"{len(found)} warnings in this run; make status says in which takes:", file=sys.stderr)
            print("\n".join(f"  {line}" for line in found[:SHOWN]), file=sys.stderr)
            if len(found) > SHOWN:
                print(f"  ... and {len(found) - SHOWN} more, in the logs", file=sys.stderr)

    def _hold(self) -> None:
        """Lock the root until the process ends, however it does; InputError where another run holds it.

        Snakemake's own lock is one of the folder that it is started in: two clones may share a root.
        """
        import fcntl

        path = self.study.claim.root / ".interact" / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = open(path, "a+", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            raise InputError(
                f"config: another run works in root {self.study.root}"
                f" ({self._lock.read(200).strip() or 'of another program'}); wait until it ends, or set"
                " another root"
            ) from None
        except OSError as error:  # a file system without locks
            print(
                f"note: {path}: cannot be locked ({error.strerror}); see to it that no other run works in"
                f" {self.study.root}",
                file=sys.stderr,
            )
        self._lock.truncate(0)
        self._lock.write(
            f"process {os.getpid()} on {platform.node()}, in {os.getcwd()}, since"
            f" {time.strftime('%Y-%m-%d %H:%M')}\n"
        )
        self._lock.flush()

    def _stop(self, line: str) -> None:
        print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
