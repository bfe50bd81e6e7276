"""Trainings that are killed."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline import stage

WRITES = ("tempfile.mkstemp", "os.chmod", "os.rename", "os.remove")
"""What is done to files while a checkpoint is written, by the names of Python's audit events."""


class Killed(BaseException):
    """Stands for a kill signal."""


def kill_after(monkeypatch, steps: int) -> None:
    """Let the next training end as a kill would end it, after so many steps."""
    whole = stage.progress

    def killed(items, **told):
        for i, item in enumerate(whole(items, **told)):
            if i == steps:
                raise Killed
            yield item

    monkeypatch.setattr(stage, "progress", killed)


def die_at_write(write: int, train: Callable[[], object]) -> int:
    """Train in a process that signal 9 ends before the given write of the first checkpoint it saves.

    Where that checkpoint has fewer writes, the process ends once it is saved. write: from 0; the training
    computes with one thread, for no other outlives a fork. Returns the exit status, -9 for a kill.
    """
    from models.checkpoints import State

    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        signal.alarm(60)
        save, left = State.save, -1

        def watched(event: str, _: tuple) -> None:
            nonlocal left
            if left >= 0 and event in WRITES:
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        def saving(state: State, live_log: Path) -> None:
            nonlocal left
            left = write
            save(state, live_log)
            os._exit(0)

        State.save = saving
        sys.addaudithook(watched)
        train()
    finally:
        os._exit(1)
