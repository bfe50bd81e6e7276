"""A recipe for tests: ARKit weights of both actors as a linear map of both voices."""

import torch
from pydantic import Field
from torch import nn

from models import recipe
from models.channels import Moments
from pipeline.config import Training


class Options(Training):
    """Faces as a linear map of the log-mel."""

    bias: bool = Field(default=True, description="a constant for each channel")

    @property
    def streams(self) -> tuple[str, ...]:
        """What the model reads of shards."""
        return ("face", "mel")

    @property
    def makes(self) -> tuple[str, ...]:
        """What its samples hold."""
        return ("face",)


class Model(recipe.Model):
    """One linear layer."""

    def __init__(self, options, meta):
        super().__init__(options, meta)
        self.face, self.mel = Moments(meta.stats["face"]), Moments(meta.stats["mel"])
        self.feature_names = [f"{actor}.{i}" for actor in "ab" for i in range(len(self.face))]
        self.map = nn.Linear(2 * len(self.mel), 2 * len(self.face), bias=options.bias)

    def predict(self, batch):
        """Standardised faces (B, T, 2, 51)."""
        heard = self.mel.standardise(batch["mel"]).flatten(2)
        return self.map(heard).unflatten(2, (2, -1))

    def loss(self, batch, draws):
        """Squared error, and that of actor a beside it."""
        error = (self.predict(batch) - self.face.standardise(batch["face"])).square()
        return {"loss": error.mean(), "loss_a": error[:, :, 0].mean()}

    def optimiser(self, groups, rate):
        """Plain gradient descent keeps nothing beside the weights."""
        return torch.optim.SGD(groups, lr=rate)

    @torch.no_grad()
    def sample(self, told, draws, options, report=iter):
        """The prediction, alike in all samples."""
        return {"face": self.face.invert(self.predict(told))}
