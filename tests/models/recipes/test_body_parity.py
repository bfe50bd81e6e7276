"""The network, the loss and the sampler of bodies against the public code on the same weights and inputs.

Expected numbers are what simonalexanderson/ListenDenoiseAction at commit 9b0885b gives (models/nn.py,
models/transformer, models/LightningModel.py; CPU; the network in double precision, the rest in single).
Weights and inputs have a closed form: number k of array n is ((7919 k + 104729 n) mod 10007) / 5003 - 1,
between -1 and 1, scaled as `SCALES` says. n counts the public network's trainable parameters in its order,
from 0; the noisy sample is array 1001, what is told 1002, noise 2000 and on. Whole outputs are compared by
their mean product with array 1003.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models import sampling
from models.diffusion import Diffusion, linear_betas
from models.recipes.body import BodyDenoiser

SMALL = {"features": 12, "condition": 5, "channels": 32, "blocks": 4, "heads": 4, "window": 24}
PUBLISHED = {"features": 316, "condition": 160, "channels": 256, "blocks": 20, "heads": 8, "window": 150}
SCALES = {
    "weight": lambda x: x * math.sqrt(3 * len(x) / x.size),
    "bias": lambda x: 0.1 * x,
    "norm": lambda x: 1 + 0.2 * x,
    "offsets": lambda x: 15 * x,
    "amplitudes": lambda x: 0.5 * x,
    "sharpness": lambda x: 5 + 2 * x,
    "floor": lambda x: 1 + 0.5 * x,
}
"""Of a parameter's numbers its values, by the kind of parameter; `floor` is the bias of TISA's score."""


def numbers(shape: tuple[int, ...], n: int) -> np.ndarray:
    """Array n of the closed form."""
    k = np.arange(math.prod(shape))
    return (((7919 * k + 104729 * n) % 10007) / 5003 - 1).reshape(shape)


def tensor(shape: tuple[int, ...], n: int, scale: float = 1.0) -> Tensor:
    return torch.tensor(scale * numbers(shape, n), dtype=torch.float32)


def both(*layers: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weight and bias of layers, one after the other."""
    for layer in layers:
        kind = "norm" if isinstance(layer, nn.LayerNorm) else "weight"
        yield from ((kind, layer.weight), ("bias", layer.bias))


def published_order(network: BodyDenoiser) -> Iterator[tuple[str, Tensor]]:
    """Kind and parameter, in the order of the public network.

    Its `norm_1` follows the feed-forward layers and `norm_2` the attention.
    """
    yield from both(network.first, network.step.first, network.step.second)
    for block in network.blocks:
        yield from both(block.transformer.first)
        for inner in block.transformer.blocks:
            attention, feedforward, score = inner.attention, inner.feedforward, inner.attention.score
            yield "weight", attention.project.weight
            yield from both(attention.out)
            for kind in ("offsets", "amplitudes", "sharpness"):
                yield kind, getattr(score, kind)
            yield "floor", score.bias
            yield from (("weight", feedforward.first.weight), ("weight", feedforward.second.weight))
            yield from both(inner.norms[1], inner.norms[0])
        yield from both(block.transformer.last, block.step, block.condition, block.out)
    yield from both(network.middle, network.last)


def build(size: dict[str, int]) -> BodyDenoiser:
    """The network with the closed form's weights, for generation."""
    network = BodyDenoiser(**size).eval()
    found = list(published_order(network))
    assert len({id(parameter) for _, parameter in found}) == len(list(network.parameters()))
    with torch.no_grad():
        for n, (kind, parameter) in enumerate(found):
            parameter.copy_(torch.tensor(SCALES[kind](numbers(parameter.shape, n))))
    return network


def inputs(size: dict[str, int], batch: int) -> tuple[Tensor, Tensor]:
    """A noisy sample and what is told of it."""
    frames = size["window"]
    x = tensor((batch, frames, size["features"]), 1001, 1.7)
    return x, tensor((batch, frames, size["condition"]), 1002)


def product(values: Tensor) -> float:
    """Mean product of all values with array 1003: it changes if any of them does."""
    return float((values.double() * torch.tensor(numbers(values.shape, 1003))).mean())


@pytest.mark.parametrize(
    "size, want, first, last, spread",
    [
        (
            SMALL,
            -0.012864382617,
            [-0.030640331623, -0.219432256449, 0.133485736798],
            [-0.041893353779, -0.026111603480, 0.201328407850],
            0.138362354578,
        ),
        (
            PUBLISHED,
            0.000140410256,
            [0.127514754522, 0.089388688466, -0.615352427879],
            [0.375899153826, 0.153372594183, -0.448022600525],
            0.491774218282,
        ),
    ],
    ids=["small", "published"],
)
def test_the_network_equals_the_public_one(size, want, first, last, spread):
    """At steps 3 and 120, and where the published number of parameters is."""
    network, (x, told) = build(size), inputs(size, 2)
    with torch.no_grad():
        made = network(x, torch.tensor([3, 120]), told)
    tolerance = 2e-5 * spread
    assert made[0, 0, :3].tolist() == pytest.approx(first, abs=tolerance)
    assert made[1, -1, -3:].tolist() == pytest.approx(last, abs=tolerance)
    assert float(made.std()) == pytest.approx(spread, rel=1e-6)
    assert product(made) == pytest.approx(want, abs=1e-7)


def test_each_residual_block_equals_the_public_one():
    """What blocks hand on and what they skip: one per frame, then convolutions with dilation 1 and 2."""
    network, (x, told) = build(SMALL), inputs(SMALL, 2)
    seen = []
    for block in network.blocks:
        block.register_forward_hook(lambda module, given, output: seen.append(output))
    with torch.no_grad():
        network(x, torch.tensor([3, 120]), told)
    found = [(float(x[0, 5, 7]), float(skip[1, 9, 3])) for x, skip in seen]
    want = [
        (1.963546633720, 0.230069771409),
        (1.247109889984, -0.005740185268),
        (0.867114722729, -0.129878982902),
        (0.510755181313, -0.751078009605),
    ]
    assert np.array(found) == pytest.approx(np.array(want), abs=3e-6)


class ClosedForm:
    """Draws that are the closed form's: steps 3 and 40, and noise from array `n` on."""

    def __init__(self, count: int, n: int):
        self.count, self.n = count, n

    def __len__(self) -> int:
        return self.count

    def integers(self, high: int) -> Tensor:
        return torch.tensor([3, 40])

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        self.n += 1
        return tensor((self.count, *shape), self.n - 1, 1.7)


def test_the_loss_equals_the_public_one():
    network, (clean, told) = build(SMALL), inputs(SMALL, 2)
    engine = Diffusion(linear_betas(150), prediction="noise")
    with torch.no_grad():
        loss = engine.loss(lambda x, step: network(x, step, told), clean, ClosedForm(2, 2101))
    assert float(loss) == pytest.approx(0.9730052947998047, rel=1e-6)


def test_a_sample_equals_the_public_one():
    """All 150 steps. To the noise of standard normal data comes a twentieth of the network's output.

    A network that has learned nothing would let the sample grow without end.
    """
    network, (_, told) = build(SMALL), inputs(SMALL, 1)
    engine = Diffusion(linear_betas(150), prediction="noise")

    def denoise(x: Tensor, step: Tensor) -> Tensor:
        return engine.signal_and_noise(step, x)[1] * x + 0.05 * network(x, step, told)

    draws = ClosedForm(1, 2000)
    made = sampling.ddpm(engine, denoise, draws.normal((24, 12)), draws)
    assert made[0, 0, :4].tolist() == pytest.approx(
        [-0.555227637, 0.405316055, 0.274029583, 0.164267108], abs=1e-5
    )
    assert made[0, -1, -3:].tolist() == pytest.approx([0.124450482, 0.359352946, 0.366476238], abs=1e-5)
    assert float(made.std()) == pytest.approx(0.216331690, rel=1e-5)
    assert product(made) == pytest.approx(-0.035572732534, rel=1e-5)
