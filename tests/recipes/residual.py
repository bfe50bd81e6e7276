"""A recipe for tests that is given a trained run: what its faces leave, as a linear map of the facing."""

import torch
from torch import nn

from models import recipe, runs
from models.channels import Moments
from pipeline.config import Training


class Options(Training):
    """What another run's faces leave."""

    @property
    def streams(self) -> tuple[str, ...]:
        """What the model reads of shards."""
        return ("face", "mel", "facing")

    @property
    def makes(self) -> tuple[str, ...]:
        """What its samples hold."""
        return ("face",)


class Model(recipe.Model):
    """The given run, frozen, and one layer that learns."""

    def __init__(self, options, meta):
        super().__init__(options, meta)
        self.face = Moments(meta.stats["face"])
        (described,) = meta.given.values()
        self.base = runs.rebuild(described, "model.json").requires_grad_(False)
        self.feature_names = self.base.feature_names
        self.map = nn.Linear(2, 2 * len(self.face))

    def initialise(self, given):
        """The weights of the given run."""
        (base,) = given.values()
        self.base.load_state_dict(base.state_dict())

    def predict(self, batch):
        """Standardised faces (B, T, 2, 51)."""
        return self.base.predict(batch) + self.map(batch["facing"].float()).unflatten(2, (2, -1))

    def loss(self, batch, draws):
        """Squared error."""
        return {"loss": (self.predict(batch) - self.face.standardise(batch["face"])).square().mean()}

    @torch.no_grad()
    def sample(self, told, draws, options, report=iter):
        """The prediction, alike in all samples."""
        return {"face": self.face.invert(self.predict(told))}
