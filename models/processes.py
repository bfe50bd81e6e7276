"""Processes that train one model together: as many as torchrun, or srun with torchrun's variables, starts.

    torchrun --nproc-per-node 2 -m models.train face --shards data/shards --out data/runs/face

Each process takes its share of every batch, and gradients are averaged over all (DDP of torch). The first
process writes. Alone, a process is the first of one.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.draws import Draws
from models.recipe import Model
from pipeline.errors import InputError

log = logging.getLogger("interact")
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
"""Of the environment, which torchrun sets in each process."""


@dataclass(frozen=True)
class Processes:
    """The place of this process, `rank`, among `count` that train together; `local` on this machine."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            torch.distributed.barrier()

    def share(self, batch_size: int) -> slice:
        """Which items of a batch this process computes; InputError where a batch cannot be shared evenly."""
        if batch_size % self.count:
            raise InputError(
                f"batch_size: got {batch_size} windows for {self.count} processes, need a multiple of"
                f" {self.count}; change one of them"
            )
        own = batch_size // self.count
        return slice(self.rank * own, (self.rank + 1) * own)

    def mean(self, told: dict[str, Tensor]) -> dict[str, float]:
        """Means over all processes of scalars that each has, by their names."""
        values = torch.stack([value.detach().float().reshape(()) for value in told.values()])
        if self.count > 1:
            torch.distributed.all_reduce(values)
            values = values / self.count
        return dict(zip(told, values.tolist()))

    def any(self, own: bool) -> bool:
        """Whether it is so in any of the processes, which all ask at the same time."""
        if self.count == 1:
            return own
        on_gpu = torch.distributed.get_backend() == "nccl"
        found = torch.tensor(int(own), device=f"cuda:{self.local}" if on_gpu else "cpu")
        torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MAX)
        return bool(found.item())

    def device(self, name: str) -> str:
        """The device of this process: of several GPUs, each process on a machine takes its own."""
        return f"cuda:{self.local}" if self.count > 1 and name == "cuda" else name


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun has started beside this one, if it has, and leave them at the end.

    They talk by NCCL where `device` is a GPU, by gloo elsewhere.
    """
    if any(name not in os.environ for name in VARIABLES) or os.environ["WORLD_SIZE"] == "1":
        yield Processes()
        return
    own = Processes(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(own.local)
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        if not own.first:
            log.setLevel(logging.ERROR)  # the first says it for all
        yield own
    finally:
        torch.distributed.destroy_process_group()


class Loss(nn.Module):
    """A model's loss as a module's forward, which is what DDP asks for."""

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, batch: dict[str, Tensor], draws: Draws) -> dict[str, Tensor]:
        """`Model.loss`."""
        return self.model.loss(batch, draws)


def shared_loss(model: Model, processes: Processes) -> nn.Module:
    """What a step calls for its loss: with several processes, gradients are averaged over them."""
    loss = Loss(model)
    if processes.count == 1:
        return loss
    device = model.device
    # a null that no item of a batch has been told is no part of its loss
    return nn.parallel.DistributedDataParallel(
        loss, device_ids=[device.index] if device.type == "cuda" else None, find_unused_parameters=True
    )
