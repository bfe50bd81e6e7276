"""What goes wrong in a training: a loss that is no number, a batch that is too large for the memory."""

import gc
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.data import Batches, Windows
from pipeline.config import Training
from pipeline.errors import InputError

MOST_NAMED = 4
"""Windows of a batch that a message names."""


def need_finite(
    losses: list[Tensor], step: int, windows: Windows, options: Training, share: slice, label: str
) -> None:
    """InputError that names step and windows of the first of the last `losses` that is not finite.

    step: how many are done, the last of the losses with it; share: of each batch, what this process computes.
    """
    values = torch.stack(losses).tolist()
    for done, value in enumerate(values, step - len(values)):
        if not math.isfinite(value):
            [numbers] = Batches(
                len(windows), options.batch_size, seed=options.seed, first_step=done, last_step=done + 1
            )
            named = [windows.name(number) for number in numbers[share]]
            more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
            raise InputError(
                f"train {label}: the loss is {value} at step {done + 1}, of {', '.join(named[:MOST_NAMED])}"
                f"{more}; need a finite one: lower learning_rate ({options.learning_rate:g}), or look at the"
                " data (python -m pipeline.shards validate)"
            )


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, or the machine, had no room left."""
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)


def what_fits(
    work: Callable[..., object], model: nn.Module, num_windows: int, options: Training, label: str
) -> str:
    """The message for a batch that does not fit, with the number of windows that does.

    work: computes the gradients of the batch in `pieces`; it is tried with ever more of them.
    """
    pieces = options.pieces
    while pieces < num_windows:
        pieces = next(n for n in range(pieces + 1, num_windows + 1) if num_windows % n == 0)
        model.zero_grad(set_to_none=True)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            work(pieces=pieces)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            continue
        fits = num_windows // pieces
        return (
            f"train {label}: the memory is too small for {num_windows // options.pieces} windows at once,"
            f" {fits} fit: set pieces to {pieces}, which learns the same in parts, or lower batch_size"
        )
    return (
        f"train {label}: the memory is too small for one window of {options.window_frames} frames; lower"
        " window_frames or the sizes of the network, or take another device"
    )
