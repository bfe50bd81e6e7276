"""Draws of an item are its own, and a training step waits for no device."""

from collections.abc import Iterable

import pytest
import torch
from helpers.tiny_shards import RUNS
from helpers.tiny_shards import meta as meta_of
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models import data, runs
from models.checkpoints import step_seed
from models.draws import Draws

KINDS = {
    "normal": lambda draws: draws.normal((5, 3)),
    "uniform": lambda draws: draws.uniform(),
    "integers": lambda draws: draws.integers(1000),
}


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_an_item_draws_the_same_in_any_batch(kind, parts):
    draw = KINDS[kind]
    whole = draw(Draws(3, 7, 4, "cpu").split(parts))
    assert len(whole) == 4 * parts
    for i in range(4):
        alone = draw(Draws(3, 7, 1, "cpu", first=i).split(parts))
        assert torch.equal(alone, whole[i * parts : (i + 1) * parts])
    halves = [draw(Draws(3, 7, 2, "cpu", first=first).split(parts)) for first in (0, 2)]
    assert torch.equal(torch.cat(halves), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_items_steps_seeds_and_calls_draw_other_numbers(kind):
    draw = KINDS[kind]
    found = []
    for seed, step in ((0, 0), (0, 1), (1, 0), (2**40, 0)):
        draws = Draws(seed, step, 6, "cpu").split(2)
        found += [*draw(draws), *draw(draws)]
    rows = [tuple(row.flatten().tolist()) for row in found]
    # numbers below 1000 meet by chance; rows of real numbers never do
    assert len(set(rows)) == len(rows) if kind != "integers" else len(set(rows)) > 0.9 * len(rows)


def test_no_item_draws_what_dropout_draws():
    for step in range(3):
        dropout = torch.randn(8, generator=torch.Generator().manual_seed(step_seed(0, step)))
        assert not any(torch.equal(row, dropout) for row in Draws(0, step, 3, "cpu").normal((8,)))


def test_draws_have_their_distributions():
    draws = Draws(0, 0, 50, "cpu").split(40)
    normal, uniform, whole = draws.normal((4,)), draws.uniform(), draws.integers(3)
    assert normal.dtype == uniform.dtype == torch.float32 and whole.dtype == torch.int64
    assert float(normal.mean()) == pytest.approx(0, abs=0.05)
    assert float(normal.std()) == pytest.approx(1, abs=0.05)
    assert 0 <= float(uniform.min()) and float(uniform.max()) < 1
    assert float(uniform.mean()) == pytest.approx(0.5, abs=0.03)
    assert whole.bincount().tolist() == pytest.approx([2000 / 3] * 3, rel=0.15)


@pytest.fixture(params=sorted(RUNS))
def model(request, shards):
    """An untrained model of each built-in run, whose output is not 0."""
    recipe, options = RUNS[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = runs.build(
            recipe, options.model_copy(update={"condition_dropout": 0.5}), meta_of(shards, options)
        )
        torch.nn.init.normal_(model.network.last.weight, std=0.1)
    return model


@pytest.fixture
def windows(shards) -> dict[str, Tensor]:
    """Four windows of all streams."""
    opened, _ = data.shards_of(shards)
    streams = ("body", "root", "mel", "action", "text", "face", "facing")
    found = data.Windows(opened, window=24, stride=4, streams=streams, actors=["001", "002", "003"])
    return data.collate([found[i] for i in (0, 20, 40, 60)])


def test_the_loss_of_an_item_is_the_same_in_any_batch(model, windows):
    with torch.no_grad():
        together = model.loss(windows, Draws(0, 5, 4, "cpu"))["loss"]
        alone = [
            model.loss({name: value[i : i + 1] for name, value in windows.items()}, draws)["loss"]
            for i, draws in enumerate(Draws(0, 5, 1, "cpu", first=i) for i in range(4))
        ]
        moved = model.loss(
            {name: value[:1] for name, value in windows.items()}, Draws(0, 5, 1, "cpu", first=1)
        )
    assert float(together) == pytest.approx(float(torch.stack(alone).mean()), rel=1e-5)
    assert float(moved["loss"]) != pytest.approx(float(alone[0]), rel=1e-5), "the place counts"


class Host(TorchDispatchMode):
    """Notes operations that read or make tensors on the host, or take what no operation has made."""

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()
        self.known = {id(tensor): tensor for tensor in known}
        self.seen: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        told, made = (
            [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
            for tree in ((args, kwargs), result)
        )
        if any(tensor.device.type == "cpu" for tensor in told + made):
            self.seen.append(f"{function} on the host")
        if not all(id(tensor) in self.known for tensor in told):  # torch turns a list into an index unseen
            self.seen.append(f"{function} of what the host has sent")
        self.known |= {id(tensor): tensor for tensor in told + made}
        return result


def on_a_device(draws: Draws) -> Draws:
    """The draws for the device `meta`, which has no values to wait for, so that who asks for one fails."""
    draws.device = torch.device("meta")
    return draws


def test_a_step_neither_waits_for_the_device_nor_sends_it_tables(model, windows):
    model = model.to("meta")
    batch = {name: value.to("meta") for name, value in windows.items()}
    host = Host([*model.parameters(), *model.buffers(), *batch.values()])
    with host:
        loss = model.loss(batch, on_a_device(Draws(0, 0, 4, "cpu")))["loss"]
        host.seen.clear()  # tables are sent to the device at the first step
        loss = model.loss(batch, on_a_device(Draws(0, 1, 4, "cpu")))["loss"]
    assert host.seen == []
    loss.backward()


@pytest.mark.parametrize("fault", ["item", "cpu", "table", "list"])
def test_what_waits_or_sends_tables_is_seen(fault, model, windows, monkeypatch):
    """The test above can fail."""
    faults = {
        "item": lambda x, step: float(step[0]),
        "cpu": lambda x, step: step.cpu(),
        "table": lambda x, step: torch.arange(4).to(x),
        "list": lambda x, step: x[..., [0, 2, 1]],
    }
    forward = model.network.forward

    def faulty(x, step, *told):
        faults[fault](x, step)
        return forward(x, step, *told)

    monkeypatch.setattr(model.network, "forward", faulty)
    with pytest.raises((RuntimeError, NotImplementedError, AssertionError)):
        test_a_step_neither_waits_for_the_device_nor_sends_it_tables(model, windows)
