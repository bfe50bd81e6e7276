"""What `models.train` and `models.generate` ask of a recipe: the base of its `Model`.

A recipe is a file models/recipes/<name>.py with two classes.

`Options(pipeline.config.Training)`: the run's options, each a flag of `models.train` and a key under `runs:
<run>:` in the config. Beside them two things that planning asks: `streams`, what the model reads of shards
(`models.data.read`), and `makes`, what its samples hold.

`Model(models.recipe.Model)`: the network. A batch is a dict of tensors: the streams (B, T, 2, ...), and
`actors` (B, 2), the place of each actor in `meta.actors`, -1 for one whom training has not seen; of a model
that is told labels of the take, `relationship` or `emotion` (B,), the place of each in `meta.labels`, -1 for
one that is unknown; of a model on the actors' rigs, `rigs` (B, 2), the place of each in `Model.heads`.
Whatever the model needs at generation is a parameter, a buffer, or follows from
`options` and `meta`: both are kept beside the weights. Rigs alone come from outside.

What samples hold, by name: `face` (B, T, 2, 51) ARKit weights; `body` (B, T, 2, 3 J) radians with `relative`
(B, T, 2, 4), the relative root, and perhaps `relation` (B, T, 2, 4), where each sees the partner. Any other
name is a part that later runs of the same row are told: `lower`, the standardised lower bodies of recipe
body.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from models.draws import Draws
from models.heads import Heads
from pipeline.config import Generate
from pipeline.motion.pose import Skeleton

FINAL = ("face", "body", "relative")
"""What of a sample is written; `body` and `relative` come together, and perhaps `relation` with them."""


@dataclass(frozen=True)
class Meta:
    """What a model knows of its train split.

    stats: mean and std of each stream's channels, as stats.json; joint_names: J names; actors: the known
    identities; given: model.json of each run that the model is given, by the run's name; labels: of each
    label of the take that the model is told, by name, those that are known; encoder: what describes a speech
    encoder that learns along (models.learned_encoder); empty where none does; rigs: of a model on the actors'
    rigs, what these were (models.heads.Heads.described), else None.
    """

    stats: dict[str, dict[str, list[float]]]
    joint_names: list[str]
    actors: list[str]
    given: dict[str, dict[str, Any]] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)
    encoder: dict[str, Any] = field(default_factory=dict)
    rigs: dict[str, Any] | None = None


class Model(nn.Module):
    """A recipe's network. It is built the same way for training and for generation."""

    feature_names: list[str]
    """Names of what the network predicts."""
    by_windows = False
    """Whether `sample` asks for what it is told window by window: then that of a long take stays on disk."""
    swapped: tuple[str, ...] = ()
    """What names of the weights begin with that models.swap takes from a fine-tuned run; none: no swap."""
    heads: Heads | None = None
    """The actors' rigs, set before training and sampling where `options.on_rigs`; no part of the weights."""

    def __init__(self, options: Any, meta: Meta):
        super().__init__()
        self.options, self.meta = options, meta

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    def prepare(self, skeletons: dict[str, Skeleton]) -> None:
        """Take from the actors' skeletons what training needs of them; called before each training."""

    def initialise(self, given: dict[str, "Model"]) -> None:
        """Take up weights of the runs that the model is given, before a training that begins afresh.

        It is called once, and not where all weights are those of the run that this one starts from. Whatever
        is not to learn is frozen in `__init__`, by requires_grad_(False), so that a resumed training knows it
        too.
        """

    def loss(self, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """`loss`, which training lowers, and scalars that are logged beside it.

        All that is random comes from `draws`, which has a row per item of the batch. Nothing here may wait
        for the device.
        """
        raise NotImplementedError

    def held_out(
        self, pairs: Iterable[tuple[dict[str, Tensor], dict[str, Tensor]]], seed: int
    ) -> dict[str, Any]:
        """What windows that are not learned from tell: `loss`, by which weights are compared, and more.

        pairs: such windows, each batch with as many windows of other takes; all that is random comes from
        `seed`.
        """
        losses, first = [], 0
        for batch, _ in pairs:
            count = len(batch["actors"])
            with torch.no_grad():
                told = self.loss(batch, Draws(seed, 0, count, batch["actors"].device, first=first))
            losses.append((float(told["loss"]), count))
            first += count
        return {"loss": sum(loss * count for loss, count in losses) / first}

    def groups(self) -> list[dict[str, Any]]:
        """Parameters that learn, as groups of the optimiser.

        `rate` multiplies the learning rate of a group.
        """
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def optimiser(self, groups: list[dict[str, Any]], rate: float) -> torch.optim.Optimizer:
        """The optimiser of the groups: Adam, with decoupled decay of the weights where there is some.

        On a GPU it is fused.
        """
        fused = self.device.type == "cuda" or None
        if decay := self.options.weight_decay:
            return torch.optim.AdamW(groups, lr=rate, weight_decay=decay, fused=fused)
        return torch.optim.Adam(groups, lr=rate, fused=fused)

    def compiled(self) -> list[nn.Module]:
        """Modules that torch.compile is applied to where the options ask for it."""
        return [self]

    def after_step(self) -> None:
        """Called after each step of the optimiser: codebooks by moving average, and the like."""

    def sample(
        self, told: dict[str, Tensor], draws: Draws, options: Generate, report: Callable = iter
    ) -> dict[str, Tensor]:
        """A sample of what the model makes.

        told: a batch of whole takes, with what earlier runs of the row have made. No weights depend on this:
        an edit in it trains nothing again.
        """
        raise NotImplementedError

    def preview(self, batch: dict[str, Tensor], draws: Draws, options: Generate) -> dict[str, Tensor]:
        """A sample of windows to look at while training, by the names of `FINAL`; no weights depend on it.

        batch: the windows as training reads them. Their real motion stands for what other runs of a row make.
        Here nothing is made by a model that needs some of that.
        """
        if getattr(self.options, "needs", ()):
            return {}
        told = {name: value for name, value in batch.items() if name not in FINAL}
        return self.sample(told, draws, options)
