"""Where a training writes what it measures: log.jsonl, and TensorBoard where that is asked for.

TensorBoard also gets a window that is not learned from, as it was captured and as the weights make it.

log.jsonl depends on options and data alone. How fast a training runs is in TensorBoard and in the progress.
"""

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from models.processes import Processes
from models.recipe import Model
from models.watch import Watched
from pipeline.config import Training
from pipeline.errors import InputError
from pipeline.motion.clock import AUDIO_RATE

FOLDER = "tensorboard"
"""In a run folder."""


class Board:
    """Lines of a training's log, on the first process; others write nothing."""

    def __init__(self, live_log: Path, options: Training, processes: Processes):
        self.live_log, self.options, self.writes = live_log, options, processes.first
        self.writer: Any = None
        self.before: tuple[int, float] | None = None
        self.shown: Any = None
        """The window that is shown, once one was."""
        if options.tensorboard and self.writes:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise InputError(
                    "tensorboard: the package is not installed; pip install 'interact-pipeline[tensorboard]',"
                    " or set tensorboard to false"
                ) from None
            self.writer = SummaryWriter(str(live_log.parent / FOLDER))

    def __enter__(self) -> Self:
        self.file = open(self.live_log, "a", encoding="utf-8") if self.writes else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.file:
            self.file.close()
        if self.writer:
            self.writer.close()

    def write(self, line: dict[str, Any]) -> None:
        """Write a line: its step, and numbers, which may be grouped."""
        if not self.file:
            return
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        if self.writer:
            for name, value in _numbers(line):
                self.writer.add_scalar(name, value, line["step"])
            self._speed(line["step"])

    def preview(self, model: Model, watched: Watched | None, step: int) -> None:
        """Show one window of those that are measured, where TensorBoard is asked for.

        It is drawn as captured and as the weights of this step make it; its voices are heard once. No weights
        depend on it.
        """
        if not (self.writer and watched):
            return
        from models.preview import Preview

        if self.shown is None:
            self.shown = Preview(watched)
            self.writer.add_audio("sample/voices", self.shown.voices()[None], step, AUDIO_RATE)
        for name, figure in self.shown.figures(model.eval(), self.options.seed).items():
            self.writer.add_figure(f"sample/{name}", figure, step)

    def _speed(self, step: int) -> None:
        now = time.monotonic()
        if self.before and step > self.before[0]:
            rate = (step - self.before[0]) * self.options.batch_size / max(now - self.before[1], 1e-9)
            self.writer.add_scalar("windows a second", rate, step)
        if not self.before or step > self.before[0]:
            self.before = step, now


def _numbers(line: dict[str, Any], group: str = "") -> list[tuple[str, float]]:
    """Names and values of a line's numbers, `a/b` where one is in a group."""
    found: list[tuple[str, float]] = []
    for name, value in line.items():
        if isinstance(value, dict):
            found += _numbers(value, f"{group}{name}/")
        elif isinstance(value, int | float) and name != "step":
            found.append((f"{group}{name}", float(value)))
    return found
