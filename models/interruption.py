"""A training that is asked to stop writes its checkpoint first.

SIGTERM comes from `scancel`, at a time limit, before a preemption and from `kill`; SIGUSR1 from
`sbatch --signal=USR1@120`, so long before the time limit. The step that runs is finished, its checkpoint is
written, and the process ends with one line and exit code 75 ("try again", EX_TEMPFAIL of sysexits.h). The
same command goes on from there. A second signal changes nothing: who cannot wait sends SIGKILL, and the
checkpoint before counts.

In a job of Slurm the process waits to be killed, up to WAIT_SECONDS: to Slurm, a job that ends by itself has
failed, and only one that it had to end is queued again after a preemption.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from models.processes import Processes

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
AGAIN = 75
"""Exit code of a training that was stopped and goes on when it is run again."""
WAIT_SECONDS = 600
"""How long a job of Slurm that got SIGTERM waits for its end at most.

Slurm kills after `KillWait`, 30 s by default, or after the `GraceTime` of a partition whose jobs are
preempted, which may be minutes.
"""
AGREE_EVERY = 10
"""Steps after which several processes tell each other whether one of them has been asked to stop."""


class Interruption:
    """Whether a signal has asked this process to stop, and which."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def asked(self, step: int, processes: Processes) -> bool:
        """Whether to stop after this step. Several processes stop after the same one."""
        if processes.count == 1:
            return self.signal is not None
        return step % AGREE_EVERY == 0 and processes.any(self.signal is not None)

    def stop(self, step: int, last_step: int, processes: Processes) -> NoReturn:
        """End the process, whose checkpoint is written, with one line of the first process."""
        if processes.first:
            name = signal.Signals(self.signal).name if self.signal else "a signal to another process"
            print(
                f"stopped by {name} after step {step} of {last_step}, whose checkpoint is written; run it"
                " again, and it goes on from there",
                file=sys.stderr,
                flush=True,
            )
        if self.signal == signal.SIGTERM and "SLURM_JOB_ID" in os.environ:
            time.sleep(WAIT_SECONDS)
        raise SystemExit(AGAIN)


@contextmanager
def heard_signals() -> Iterator[Interruption]:
    """Take note of signals that ask to stop, where they would end the process; only a main thread can."""
    found = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return

    def note(number: int, _: object) -> None:
        found.signal = found.signal or number

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
