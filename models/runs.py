"""A trained model as a folder: model.safetensors (weights) and model.json (all that rebuilds and decodes it).

model.json: format_version, package_version, run (its name), recipe, options (the run's, complete),
feature_names (what it predicts), joint_names and parents of the dataset, actors (known identities, in the
order of their embeddings), stats (mean and std per channel of the train split, as lists), skeletons (one per
actor: offsets_cm, ends_cm by joint number, orders), text_model, speech_encoder (of a model that hears one:
model, layer, windows, SHA-256 of its weights; else null), features (options of the log-mel), fps, hash, given
(model.json of each run that it was given, by name), start (the run whose weights it began with, else null),
labels (of each label of the take that it is told, by name, those that are known), learned_encoder (of a model
with a speech encoder that learned along: model, layer and SHA-256 of the weights that it began with, and its
config.json; else null), rigs (of a model on the actors' rigs what these were, models.heads; else null: the
rigs themselves are not in the folder).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models import recipes
from models.channels import statistics_of
from models.description import FIX, check_options, read_description
from models.recipe import Meta, Model
from models.weights import check_sizes, fit, read_tensors
from pipeline.config import Training
from pipeline.errors import InputError
from pipeline.motion.pose import Skeleton

FORMAT_VERSION = 2


def meta_of(
    options: Training,
    stats: dict,
    joint_names: list[str],
    actors: list[str],
    given: dict[str, dict[str, Any]] | None = None,
    labels: dict[str, list[str]] | None = None,
    encoder: dict[str, Any] | None = None,
    rigs: dict[str, Any] | None = None,
) -> Meta:
    """What a model with these options knows of its train split.

    Of all statistics it keeps those that its streams need.
    """
    own = {
        name: {key: list(stats[name][key]) for key in ("mean", "std")}
        for name in statistics_of(options.streams)
    }
    return Meta(own, list(joint_names), list(actors), given or {}, labels or {}, encoder or {}, rigs)


def build(recipe: str, options: Training, meta: Meta) -> Model:
    """An untrained model; torch's global generator draws its weights."""
    return recipes.load(recipe).Model(options, meta)


def skeleton_json(skeleton: Skeleton) -> dict:
    """What differs between the actors' skeletons, as JSON."""
    ends = {str(j): np.asarray(end).tolist() for j, end in sorted(skeleton.ends_cm.items())}
    return {
        "offsets_cm": np.asarray(skeleton.offsets_cm).tolist(),
        "ends_cm": ends,
        "orders": list(skeleton.orders),
    }


@dataclass(frozen=True)
class Run:
    """A trained model in evaluation mode, with its description."""

    name: str
    model: Model
    description: dict[str, Any]

    @property
    def options(self) -> Any:
        """The options that it was trained with."""
        return self.model.options

    def skeleton(self, actor: str) -> Skeleton:
        """The skeleton that an actor had in the train split."""
        own = self.description["skeletons"][actor]
        ends = {int(j): np.array(end) for j, end in own["ends_cm"].items()}
        return Skeleton(
            list(self.description["joint_names"]),
            np.array(self.description["parents"]),
            np.array(own["offsets_cm"]),
            ends,
            list(own["orders"]),
        )


def rebuild(description: dict[str, Any], where: object) -> Model:
    """The untrained model that a checked description speaks of."""
    recipe = description["recipe"]
    options = check_options(recipes.load(recipe).Options, description["options"], where)
    meta = meta_of(
        options,
        description["stats"],
        description["joint_names"],
        description["actors"],
        description.get("given") or {},
        description.get("labels") or {},
        description.get("learned_encoder") or {},
        description.get("rigs"),
    )
    return build(recipe, options, meta)


def load(folder: Path, *, device: str = "cpu") -> Run:
    """Read a run's folder; InputError where it is missing, of another version, or its weights do not fit."""
    folder = Path(folder)
    where = folder / "model.json"
    if not where.exists():
        raise InputError(f"{folder}: no model.json; train the model first (python -m models.train)")
    description, _ = read_description(where, version=FORMAT_VERSION)
    weights, fix = folder / "model.safetensors", "train the model again"
    with torch.device("meta"):  # sizes without memory: what the file does not have is never asked for
        sketch = rebuild(description, where)
    if sketch.feature_names != description["feature_names"]:
        raise InputError(
            f"{where}: feature_names are not those of {description['recipe']} on its joints; {FIX}"
        )
    check_sizes(sketch, weights, to="model.json", fix=fix)
    model = rebuild(description, where)
    fit(model, read_tensors(weights, fix=fix), weights, to="model.json", fix=fix)
    return Run(str(description["run"]), model.to(device).eval(), description)


def pick_device(name: str) -> str:
    """A torch device by name; `auto` takes a GPU where there is one."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"
