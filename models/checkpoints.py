"""How the state of a training reaches a checkpoint folder and comes back: safetensors and JSON, no pickle.

A checkpoint is step-<step>.safetensors (model, its moving average, the weights that did best, and optimiser)
and a record of it: step, file, its SHA-256, what the optimiser keeps (names of tensors in the file, and
numbers), step and loss of the best weights, and the log up to there. The record of
the newest stands in state.json, that of the one before in previous.json, and no other checkpoint is kept.
Files are on the disk before a record names them. Where the newest is damaged, training goes on from the one
before, which gives the same weights in the end.
"""

import copy
import json
import logging
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.weights import fit, read_tensors, write_tensors
from pipeline.errors import InputError
from pipeline.files import sha256, whole, write_json
from pipeline.reading import parse_json, plain, read_json

log = logging.getLogger("interact")
NEWEST, PREVIOUS = "state.json", "previous.json"
FIX = "remove it"
MEASURED = "held_out"
"""Key of the lines of a log that tell what was measured on takes that are not learned from."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has been read and found whole."""

    record: dict[str, Any]
    model: dict[str, Tensor]
    optimiser: dict[str, dict[str, Any]]
    """What the optimiser keeps of a parameter, by the parameter's name."""
    average: dict[str, Tensor]
    """Averaged weights, where the training averages."""
    best: dict[str, Tensor]
    """The weights that did best, once some were measured."""


def read_record(path: Path) -> dict[str, Any]:
    """A record, checked: step, name of the file, its SHA-256, and the log's lines.

    InputError names what is wrong.
    """
    record = read_json(path, kind=dict, fix=FIX)
    kinds = {"step": int, "file": str, "sha256": str, "optimiser": dict, "log": list}
    for key, kind in kinds.items():
        if type(record.get(key)) is not kind:
            raise InputError(f"{path}: {key} is {record.get(key)!r:.60}, need {kind.__name__}; {FIX}")
    if record["step"] < 1 or record["file"] != file_name(record["step"]):
        raise InputError(
            f"{path}: step {record['step']!s:.20} and file {record['file']!r:.60}, need a step of 1 or more"
            f" and its file; {FIX}"
        )
    if not re.fullmatch("[0-9a-f]{64}", record["sha256"]):
        raise InputError(f"{path}: sha256 is {record['sha256']!r:.60}, need 64 hexadecimal digits; {FIX}")
    kept = record["optimiser"]
    if not (
        isinstance(kept.get("tensors"), list)
        and isinstance(kept.get("numbers"), dict)
        and all(isinstance(value, int | float) and math.isfinite(value) for value in kept["numbers"].values())
    ):
        raise InputError(f"{path}: optimiser is {str(kept)!r:.60}, need names of tensors, and numbers; {FIX}")
    best = record.get("best")
    if best is not None and not (
        isinstance(best, dict)
        and type(best.get("step")) is int
        and isinstance(best.get("loss"), float)
        and math.isfinite(best["loss"])
    ):
        raise InputError(f"{path}: best is {best!r:.60}, need a step and a loss; {FIX}")
    for line in record["log"]:
        if not isinstance(line, str) or (loss_of(line, path) is None and MEASURED not in line):
            raise InputError(f"{path}: log has {line!r:.60}, need lines with a loss; {FIX}")
    return record


def file_name(step: int) -> str:
    """Name of the file of a step's checkpoint."""
    return f"step-{step:08d}.safetensors"


WRITTEN = ("config.yaml", "model.json", "model.safetensors", "last.safetensors", "CARD.md")
"""Files of a run folder, which a training replaces, ..."""
PROOFS = ("checkpoints", "log.jsonl")
"""... and what says that a training wrote them."""


class State:
    """Model and optimiser at a step, and how they reach a checkpoint folder and come back.

    `kept` is the model whose weights are measured and written in the end: the moving average of the model's,
    with `average` above 0 (Polyak and Juditsky 1992), else the model itself. `best` are step and loss of the
    kept weights that did best so far (`keep_best`), None where nothing was compared.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        optimiser: torch.optim.Optimizer,
        folder: Path,
        *,
        last_step: int,
        average: float = 0.0,
    ):
        self.network, self.optimiser, self.folder = network, optimiser, folder
        self.last_step, self.step, self.average = last_step, 0, average
        self.kept = copy.deepcopy(network).requires_grad_(False).eval() if average else network
        self.best: dict[str, Any] | None = None
        self._best_weights: dict[str, Tensor] = {}
        self._record: dict[str, Any] | None = None
        """Of the checkpoint that was last written or taken up."""

    def begin(self) -> None:
        """Take the weights that training begins with for their own average."""
        if self.average:
            self.kept.load_state_dict(self.network.state_dict())

    def advance(self) -> None:
        """Count a step of the optimiser, and average.

        The decay grows from the first step on, so that the weights of the beginning are soon forgotten.
        """
        if self.average:
            decay = min(self.average, (1 + self.step) / (10 + self.step))
            own = [value.detach() for value in self.kept.parameters()]
            new = [value.detach() for value in self.network.parameters()]
            torch._foreach_lerp_(own, new, 1 - decay)
            for buffer, value in zip(self.kept.buffers(), self.network.buffers(), strict=True):
                buffer.copy_(value)
        self.step += 1

    def keep_best(self, loss: float) -> bool:
        """Keep the weights as they are now if their loss is the least so far; whether it is."""
        if self.best is not None and loss >= self.best["loss"]:
            return False
        self.best = {"step": self.step, "loss": loss}
        self._best_weights = {name: value.clone() for name, value in self.kept.state_dict().items()}
        return True

    def finish(self) -> None:
        """Give the model the weights to write: the best ones, or the kept ones where none were compared."""
        self.network.load_state_dict(self._best_weights or self.kept.state_dict())

    def save(self, live_log: Path) -> None:
        """Write the checkpoint of the current step, keep the one before, and drop older ones.

        What the optimiser keeps of a parameter, and what it keeps nothing of, is written as it is: frozen
        parameters have no state, and optimisers differ. InputError where weights are not finite.
        """
        tensors = {f"model.{name}": value for name, value in self.network.state_dict().items()}
        kept_tensors: dict[str, Tensor] = {}
        numbers: dict[str, float | int | bool] = {}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    kept_tensors[f"{key}.{name}"] = value
                elif isinstance(value, int | float):
                    numbers[f"{key}.{name}"] = value
                elif value is not None:
                    raise TypeError(
                        f"{type(self.optimiser).__name__} keeps a {type(value).__name__} as {key} of {name}"
                    )
        if self.average:
            tensors |= {f"average.{name}": value for name, value in self.kept.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self._best_weights.items()}
        path = self.folder / file_name(self.step)
        write_tensors(path, tensors | {f"optimiser.{key}": value for key, value in kept_tensors.items()})
        if self._record:
            write_json(self.folder / PREVIOUS, self._record, durable=True)
        kept = {path.name, self._record["file"] if self._record else None}
        self._record = {
            "step": self.step,
            "file": path.name,
            "sha256": sha256(path),
            "optimiser": {"tensors": sorted(kept_tensors), "numbers": numbers},
            "best": self.best,
            "log": live_log.read_text(encoding="utf-8").splitlines(),
        }
        write_json(self.folder / NEWEST, self._record, durable=True)
        for old in sorted(self.folder.glob("step-*.safetensors")):
            if old.name not in kept:
                old.unlink()

    def _read(self, name: str) -> Checkpoint:
        """The checkpoint of a record; InputError where either is damaged or not of this network."""
        record = read_record(self.folder / name)
        if record["step"] > self.last_step:
            raise InputError(
                f"{self.folder / name}: step is {record['step']!s:.20}, need at most {self.last_step}; {FIX}"
            )
        path = self.folder / record["file"]
        plain(path)
        if sha256(path) != record["sha256"]:
            raise InputError(f"{path}: its SHA-256 is not the one in {name}, the file is damaged; {FIX}")
        groups: dict[str, dict[str, Tensor]] = {
            name: {} for name in ("model", "average", "best", "optimiser")
        }
        for key, value in read_tensors(path, fix=FIX).items():
            group, _, own = key.partition(".")
            groups.setdefault(group, {})[own] = value
        known = dict(self.network.named_parameters())
        kept: dict[str, dict[str, Any]] = {}
        entries = groups["optimiser"]
        if sorted(entries) != record["optimiser"]["tensors"]:
            raise InputError(f"{path}: has not what the optimiser keeps by {name}; {FIX}")
        for entry, value in (entries | record["optimiser"]["numbers"]).items():
            key, _, parameter = entry.partition(".")
            fits = parameter in known and (
                not isinstance(value, Tensor) or value.shape in (known[parameter].shape, ())
            )
            if not fits:
                raise InputError(f"{path}: its {entry:.120} is of no parameter of the model; {FIX}")
            kept.setdefault(parameter, {})[key] = value
        if bool(groups["average"]) != bool(self.average) or bool(groups["best"]) != bool(record.get("best")):
            raise InputError(f"{path}: has not the averaged or best weights of {name}; {FIX}")
        return Checkpoint(record, groups["model"], kept, groups["average"], groups["best"])

    def _newest_whole(self) -> Checkpoint | None:
        """The newest checkpoint, or the one before where that is damaged, with a warning.

        None where there is none.

        InputError where what there is, is damaged.
        """
        faults = []
        for name in (NEWEST, PREVIOUS):
            try:
                found = self._read(name)
                where = self.folder / found.record["file"]
                # the model's own last: that is what training goes on from
                for weights in (found.best, found.average, found.model):
                    if weights:
                        fit(self.network, weights, where, to="the network", fix=FIX)
            except InputError as error:
                faults.append(str(error).removesuffix(f"; {FIX}"))
                continue
            if faults:
                log.warning(
                    "%s; training goes on from the checkpoint before, of step %d",
                    faults[0],
                    found.record["step"],
                )
            return found
        if not any((self.folder / name).exists() for name in (NEWEST, PREVIOUS)):
            return None
        before = (
            f", nor is the one before ({faults[1]})"
            if (self.folder / PREVIOUS).exists()
            else ", and there is none before it"
        )
        raise InputError(
            f"{faults[0]}: the checkpoint is of no use{before};"
            f" remove the folder {self.folder}, and training begins afresh"
        )

    def restore(self, live_log: Path | None) -> None:
        """Take up the newest checkpoint that is whole, if there is one, and its log where one is named."""
        lines: list[str] = []
        if found := self._newest_whole():
            self._record, self.step, lines = found.record, found.record["step"], found.record["log"]
            if best := found.record.get("best"):  # in the order of keep_best, which the log shows
                self.best = {key: best[key] for key in ("step", "loss")}
            self._best_weights = found.best
            if self.average:
                self.kept.load_state_dict(found.average)
            for name, parameter in self.network.named_parameters():
                kept = found.optimiser.get(name, {})
                # counts of steps stay on the CPU, where the optimisers of torch keep them unless fused
                fused = any(group.get("fused") for group in self.optimiser.param_groups)
                self.optimiser.state[parameter] = {
                    key: (
                        value.to(parameter.device)
                        if isinstance(value, Tensor) and (value.ndim or fused)
                        else value
                    )
                    for key, value in kept.items()
                }
                if not kept:
                    del self.optimiser.state[parameter]
        if live_log is None:
            return
        with whole(live_log) as temporary:
            temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def step_seed(seed: int, step: int, first: int = 0) -> int:
    """Seed of everything that is drawn in a step, so that a step does not depend on the draws before it.

    first: the place in the batch of the first item that is computed, where a batch is computed in parts.
    """
    # four numbers, for three are those of an item (models.draws)
    return int(
        np.random.SeedSequence([seed, step, *((first, 1) if first else ())]).generate_state(1, np.uint64)[0]
        >> 1
    )


def loss_of(line: str, where: Path) -> float | None:
    """The loss in a line of a log, None in a line without one.

    InputError for a line that is no object of JSON, or a loss that is no number.
    """
    value = parse_json(line, where, kind=dict).get("loss")
    if value is not None and not (isinstance(value, float) and math.isfinite(value)):
        raise InputError(f"{where}: a loss is {value!r:.60}, need a number; {FIX}")
    return value


def losses(live_log: Path) -> tuple[float, float]:
    """Mean loss of the first and of the last tenth of the logged steps; InputError where none is logged."""
    lines = live_log.read_text(encoding="utf-8").splitlines()
    values = [value for line in lines if (value := loss_of(line, live_log)) is not None]
    if not values:
        raise InputError(f"{live_log}: no step is logged; remove the checkpoints beside it, and train again")
    tenth = max(1, len(values) // 10)
    return float(np.mean(values[:tenth])), float(np.mean(values[-tenth:]))


def summary(first: float, last: float, measured: dict | None = None, best: dict | None = None) -> str:
    """The log's last line; `measured` is the held-out error of the weights that are kept."""
    line = {"summary": f"loss {first:.4f} -> {last:.4f}", "first_tenth": first, "last_tenth": last}
    return json.dumps(line | {MEASURED: measured, "best": best}) + "\n"
