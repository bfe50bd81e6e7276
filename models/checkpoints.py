"""How the state of a training reaches a checkpoint folder and comes back: safetensors and JSON, no pickle."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from pipeline.files import whole, write_json
from pipeline.reading import read_json


class State:
    """Network and Adam at a step, and how they reach a checkpoint folder and come back."""

    def __init__(self, network: torch.nn.Module, optimiser: torch.optim.Adam, folder: Path):
        self.network, self.optimiser, self.folder, self.step = network, optimiser, folder, 0

    def save(self, live_log: Path) -> None:
        """Write the checkpoint of the current step, then drop older ones; state.json names the one that counts."""
        tensors = {f"model.{name}": value for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            for key in ("exp_avg", "exp_avg_sq"):
                tensors[f"adam.{key}.{name}"] = self.optimiser.state[parameter][key]
        path = self.folder / f"step-{self.step:08d}.safetensors"
        with whole(path) as temporary:
            save_file({name: value.contiguous() for name, value in tensors.items()}, temporary)
        write_json(self.folder / "state.json", {"step": self.step, "file": path.name, "log": live_log.read_text().splitlines()})
        for old in sorted(self.folder.glob("step-*.safetensors")):
            if old != path:
                old.unlink()

    def restore(self, live_log: Path) -> None:
        """Take up the checkpoint, if there is one, and its log."""
        lines = []
        if (self.folder / "state.json").exists():
            state = read_json(self.folder / "state.json")
            tensors = load_file(self.folder / state["file"])
            self.network.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
            self.step, lines = state["step"], state["log"]
            for name, parameter in self.network.named_parameters():
                moments = {key: tensors[f"adam.{key}.{name}"].to(parameter.device) for key in ("exp_avg", "exp_avg_sq")}
                self.optimiser.state[parameter] = {"step": torch.tensor(float(self.step))} | moments
        with whole(live_log) as temporary:
            temporary.write_text("".join(line + "\n" for line in lines))


def step_seed(seed: int, step: int) -> int:
    """Seed of everything that is drawn in a step, so that a step does not depend on the draws before it."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


def losses(live_log: Path) -> tuple[float, float]:
    """Mean loss of the first and of the last tenth of the logged steps."""
    values = [line["loss"] for line in map(json.loads, live_log.read_text().splitlines()) if "loss" in line]
    tenth = max(1, len(values) // 10)
    return float(np.mean(values[:tenth])), float(np.mean(values[-tenth:]))
