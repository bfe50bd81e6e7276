"""What a training is measured on while it learns: takes that it does not learn from.

Test takes tell how well it does, and choose nothing. Some train takes can be left out of the learning
(`validation_share`): the weights that do best on those are the ones that are kept, so that no test take has a
say in it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from models.checkpoints import MEASURED, State
from models.data import Windows, collate
from models.recipe import Model
from pipeline.formats.shard_file import Shard, TakeSpan

MOST_WINDOWS = 24
"""Windows that are measured, spread over all."""
BATCH = 8


def left_out(takes: list[tuple[Shard, TakeSpan]], share: float, seed: int) -> list[str]:
    """Names of the train takes that validate: `share` of them, rounded, drawn by the seed.

    None is taken whose actor acts in no other take that is learned from, nor the last one.
    """
    number = round(share * len(takes))
    result: list[str] = []
    for place in np.random.default_rng([seed, len(takes)]).permutation(len(takes)):
        _, span = takes[place]
        others = [other for _, other in takes if other.take not in (span.take, *result)]
        known = {actor for other in others for actor in (other.actor_a, other.actor_b)}
        if len(result) < number and {span.actor_a, span.actor_b} <= known:
            result.append(span.take)
    return sorted(result)


class Watched:
    """Windows that are measured, each with a window of another take beside it.

    windows: of the takes that are measured; others: windows to look for another take in, where the first are
    of one take only.
    """

    def __init__(self, windows: Windows, others: Windows):
        several = len({span.take for _, span in windows.takes if _long(span, windows)}) > 1
        self.windows, self.others = windows, windows if several else others
        self.numbers = _spread(len(windows))
        elsewhere = _spread(len(self.others), 4 * MOST_WINDOWS)
        ends = self.others.places.ends
        firsts = sorted({0, *(int(end) for end in ends[:-1])} - {int(ends[-1])})
        self.partners = []
        for k, number in enumerate(self.numbers):
            own = windows.places[number][1].take
            # a take with few windows may have none among those that are spread over all
            for numbers in (elsewhere, firsts):
                found = [other for other in numbers if self.others.places[other][1].take != own]
                if found:
                    break
            self.partners.append(found[(k * len(found)) // len(self.numbers)])

    def pairs(self, device: str) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
        """Batches of the windows, and of those of other takes."""
        for first in range(0, len(self.numbers), BATCH):
            chosen = slice(first, first + BATCH)
            own, other = (
                {name: value.to(device) for name, value in collate(windows.batch(numbers[chosen])).items()}
                for windows, numbers in ((self.windows, self.numbers), (self.others, self.partners))
            )
            yield own, other


@dataclass(frozen=True)
class Watch:
    """What is measured while a training goes on: test takes, and train takes that it does not learn from."""

    test: Watched | None
    validation: Watched | None
    seed: int
    device: str

    def measure(self, state: State) -> dict[str, Any] | None:
        """A line of the log: the error on held-out windows of the weights that would be kept now.

        The best on the validation takes so far are kept. None where there is nothing to measure.
        """
        kept = state.kept.eval()
        assert isinstance(kept, Model)
        found = {
            name: kept.held_out(watched.pairs(self.device), self.seed)
            for name, watched in (("test", self.test), ("validation", self.validation))
            if watched
        }
        if not found:
            return None
        line: dict[str, Any] = {"step": state.step, MEASURED: found.get("test")}
        if "validation" in found:
            loss = found["validation"]["loss"]
            if math.isfinite(loss):
                line |= {"validation": loss, "best": state.keep_best(loss)}
        return line


def _long(span: TakeSpan, windows: Windows) -> bool:
    return span.stop_frame - span.start_frame >= windows.window


def _spread(count: int, most: int = MOST_WINDOWS) -> list[int]:
    """At most `most` numbers below `count`, evenly spread."""
    number = min(count, most)
    return [(2 * k + 1) * count // (2 * number) for k in range(number)]
