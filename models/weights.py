"""Weights in safetensors files, written so that they outlive a power cut.

They are read only where they fit the network and are finite.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.reading import plain, reading


def first_not_finite(tensors: dict[str, Tensor]) -> str | None:
    """Name of a tensor that holds NaN or an infinity, None where all numbers are finite."""
    # a sum is finite only where all its terms are, and costs no memory; where it is not, it may have run over
    return next(
        (
            name
            for name, value in tensors.items()
            if not torch.isfinite(value.sum()) and not torch.isfinite(value).all()
        ),
        None,
    )


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors, whole or not at all, on the disk once this returns.

    InputError for numbers that are not finite.
    """
    if name := first_not_finite(tensors):
        raise InputError(
            f"{path}: {name} is not finite, need finite weights; lower learning_rate, and train again"
        )
    with whole(path, durable=True) as temporary:
        save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, temporary)


def read_tensors(path: Path, *, fix: str) -> dict[str, Tensor]:
    """The tensors of a file by name.

    InputError where it is no whole safetensors file, or holds numbers that are not finite.
    """
    plain(path)
    with reading(path, "safetensors file", fix=fix):
        tensors = load_file(path)
        if name := first_not_finite(tensors):
            raise ValueError(f"{name} is not finite")
    return tensors


def check_sizes(network: nn.Module, path: Path, *, to: str, fix: str) -> None:
    """InputError where a file's tensors have not exactly the names and shapes of a network's.

    Only the file's header is read. to: where the network's sizes come from, for errors. The network may lie
    on torch's device meta.
    """
    plain(path)
    with reading(path, "safetensors file", fix=fix), safe_open(path, "pt") as f:
        found = {name: tuple(f.get_slice(name).get_shape()) for name in f.keys()}  # noqa: SIM118  it is no mapping
    _compare(
        found,
        {name: tuple(value.shape) for name, value in network.state_dict().items()},
        path,
        to=to,
        fix=fix,
    )


def _compare(found: dict[str, Any], need: dict[str, Any], path: Path, *, to: str, fix: str) -> None:
    if missing := sorted(need.keys() - found.keys()):
        raise InputError(f"{path}: does not fit {to}: it lacks {missing[0]} ({len(missing)} in all); {fix}")
    if odd := sorted(found.keys() - need.keys()):
        raise InputError(
            f"{path}: does not fit {to}: it has no use for {odd[0]:.80} ({len(odd)} in all); {fix}"
        )
    if wrong := next((name for name in need if found[name] != need[name]), None):
        raise InputError(f"{path}: does not fit {to}: {wrong} is {found[wrong]}, need {need[wrong]}; {fix}")


def fit(network: nn.Module, tensors: dict[str, Tensor], path: Path, *, to: str, fix: str) -> None:
    """Load tensors into a network of exactly those names, shapes and types.

    InputError, with the network as it was, where they are others.
    """
    found, need = (
        {name: (str(value.dtype).removeprefix("torch."), *value.shape) for name, value in state.items()}
        for state in (tensors, network.state_dict())
    )
    _compare(found, need, path, to=to, fix=fix)
    network.load_state_dict(tensors)
