"""Labels of takes as models are told them: relationship and emotion, an embedding for each label.

In: index.parquet beside the shards. Out: the labels that training knows, sorted, as numbers in that order, -1
for a take without one or with another; and vectors of width C, with a learned one, the null, for what is not
known or not told.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.errors import InputError
from pipeline.formats.shard_file import Shard
from pipeline.formats.shard_index import labels_of
from pipeline.shards.windows import takes_of

UNKNOWN = -1


def train_labels(
    folder: Path, shards: list[Shard], names: Iterable[str], *, need: bool = True
) -> dict[str, dict[str, str]]:
    """By name the label of each take of the shards, "" where it has none.

    InputError where no train take has any, and there is `need` of some.
    """
    takes = [span.take for _, span in takes_of(shards, None)]
    train = {span.take for _, span in takes_of(shards, "train")}
    found = labels_of(folder, takes) if names else {}
    result = {}
    for name in names:
        result[name] = {take: found.get(take, {}).get(name, "") for take in takes}
        if need and not any(label for take, label in result[name].items() if take in train):
            raise InputError(
                f"{folder / 'index.parquet'}: no train take has a label for {name}, and the model is to be"
                f" told it; write the index with the dataset (python -m pipeline.shards.index --dataset), or"
                f" take {name} out of told"
            )
    return result


def known_labels(labels: Mapping[str, Mapping[str, str]], train: Iterable[str]) -> dict[str, list[str]]:
    """By name the labels of the train takes, sorted."""
    train = list(train)
    return {name: sorted({own[take] for take in train} - {""}) for name, own in labels.items()}


def number_of(label: str, known: list[str]) -> int:
    """Place of a label among the known ones, -1 for none and for one that training has not seen."""
    return known.index(label) if label in known else UNKNOWN


class Labels(nn.Module):
    """Embeddings of labels: numbers (B, L), a column for each name of `known`, -> vectors (B, L, C).

    Each name has a table of its labels and, last, of the null that -1 stands for. `std` is the deviation of
    what the tables begin with.
    """

    def __init__(self, known: Mapping[str, list[str]], width: int, *, std: float):
        super().__init__()
        self.tables = nn.ParameterDict(
            {name: nn.Parameter(std * torch.randn(len(labels) + 1, width)) for name, labels in known.items()}
        )

    def forward(self, numbers: Tensor) -> Tensor:
        """-1 is the last row."""
        chosen = zip(self.tables.values(), numbers.unbind(1), strict=True)
        return torch.stack([table[torch.where(own < 0, len(table) - 1, own)] for table, own in chosen], 1)


def label_numbers(
    batch: dict[str, Tensor], names: Iterable[str], untold: dict[str, Tensor], parts: int
) -> tuple[Tensor, ...]:
    """What a network is told of labels: nothing, or numbers (parts B, L); -1 of what is untold (parts B, 1).

    A batch that lacks a label is one of unknown ones.
    """
    columns = []
    for name in names:
        unknown = torch.full_like(batch["actors"][:, 0], UNKNOWN)
        own = batch.get(name, unknown).repeat_interleave(parts)
        columns.append(torch.where(untold[name][:, 0], UNKNOWN, own) if name in untold else own)
    return (torch.stack(columns, 1),) if columns else ()
