"""Heads: the actors' rigs on the device that computes, for models of vertices.

In: a folder of {actor}.npz or one .npz for all, in cm. Out: by ARKit weights, how far vertices are from the
neutral head. All rigs are of one topology: as many vertices and the same faces, so that one network speaks
for all heads.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import InputError
from pipeline.formats.rig_file import Rig, load_rig, rig_path

FIX = "give rigs of one topology (python -m pipeline.rigs transfer carries shapes to an actor's head)"


def faces_digest(rig: Rig) -> str:
    """SHA-256 of a rig's faces, which say what its vertices are."""
    return hashlib.sha256(str(rig.faces.shape).encode() + rig.faces.astype("<i8").tobytes()).hexdigest()


class Heads:
    """Rigs of one topology, read when an actor is first asked for, each file once.

    path: a folder of {actor}.npz or one file; need: `described` of the rigs that a model learned on, which
    these must be like; whose: what a message calls those. It is no part of a model's weights, and a copied
    model has the same.
    """

    def __init__(self, path: Path, need: Mapping[str, Any] | None = None, whose: str = ""):
        self.path, self.whose = Path(path), whose
        self.need = {key: need[key] for key in ("num_vertices", "faces")} if need else None
        self.rigs: list[Rig] = []
        self.place: dict[str, int] = {}
        """Of each known actor the place in `rigs`."""
        self._files: dict[Path, int] = {}
        self._shapes: Tensor | None = None

    def __deepcopy__(self, memo: dict) -> "Heads":
        return self

    def places(self, actors: Iterable[str]) -> list[int]:
        """Places of actors in `rigs`, read where they are new.

        InputError where a rig is missing or is not of the topology of the others.
        """
        wanted = list(actors)
        for actor in dict.fromkeys(wanted):
            if actor in self.place:
                continue
            file = rig_path(self.path, actor)
            if file not in self._files:
                rig = load_rig(file)
                self._check(rig, file)
                self._files[file] = len(self.rigs)
                self.rigs.append(rig)
                self._shapes = None
            self.place[actor] = self._files[file]
        return [self.place[actor] for actor in wanted]

    def _check(self, rig: Rig, file: Path) -> None:
        own = {"num_vertices": len(rig.neutral), "faces": faces_digest(rig)}
        if self.need is None:
            self.need, self.whose = own, f"those of {file.name}"
        for key, what in (("num_vertices", f"{len(rig.neutral)} vertices"), ("faces", "other faces")):
            if own[key] != self.need[key]:
                wanted = f"{self.need[key]}, " * (key == "num_vertices") + self.whose
                raise InputError(f"{file}: has {what}, need {wanted}; {FIX}")

    def offsets(self, weights: Tensor, places: Tensor) -> Tensor:
        """How far vertices are from the neutral (B, T, 3 V), cm, of ARKit weights (B, T, 51).

        places (B,): whose head each is. The shapes of all R rigs lie on the weights' device, (R, 51, 3 V).
        """
        if self._shapes is None or self._shapes.device != weights.device:
            flat = [torch.from_numpy(rig.deltas).flatten(1) for rig in self.rigs]
            self._shapes = torch.stack(flat).to(weights.device)
        with torch.autocast(weights.device.type, enabled=False):
            return torch.bmm(weights.float(), self._shapes[places])

    def described(self, actors: Iterable[str], face: Mapping[str, Any]) -> dict[str, Any]:
        """What model.json says of the rigs of the actors that a model learns from.

        num_vertices; faces and shapes: SHA-256 of the faces and of the actors' deltas; scale_cm: root mean
        square of how far a coordinate is from the neutral, for weights whose moments are `face` ("mean" and
        "std", each (51,)), as if each varied by itself. Where nothing moves it is 1.
        """
        mean, std = np.array(face["mean"], float), np.array(face["std"], float)
        moment = np.outer(mean, mean) + np.diag(std**2)
        shapes, total = hashlib.sha256(), 0.0
        places = self.places(actors)
        for place in places:
            deltas = self.rigs[place].deltas
            shapes.update(deltas.astype("<f4").tobytes())
            flat = deltas.reshape(len(deltas), -1).astype(float)
            total += float(((flat @ flat.T) * moment).sum()) / flat.shape[1]
        assert self.need is not None
        scale = float(f"{np.sqrt(total / len(places)):.6g}")  # rounded: alike on all machines
        return {**self.need, "shapes": shapes.hexdigest(), "scale_cm": scale or 1.0}
