"""Layers and networks against the constants and parameter counts of the published code."""

import pytest
import torch

from models import layers
from models.recipes.body import BodyDenoiser
from models.recipes.face import FaceDenoiser


def count(network) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize("features, condition, want", [(61, 11, 71_116_861), (316, 160, 72_010_556)])
def test_body_network_has_the_published_number_of_parameters(features, condition, want):
    with torch.device("meta"):
        assert count(BodyDenoiser(features, condition)) == want


@pytest.mark.parametrize("latent", [False, True])
def test_face_network_has_the_published_number_of_parameters(latent):
    """Whether noise is on weights or on their encoding."""
    with torch.device("meta"):
        assert count(FaceDenoiser(51, 768, 7, styles="own", facing="none", latent=latent)) == 4_260_915


def test_tisa_slopes():
    want = [7.3682723, 5.0044069, 3.3989096, 2.3084824, 1.5678824, 1.0648795, 0.72324836, 0.49121818]
    assert layers.tisa_slopes(8, 5, 75).tolist() == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("prefix", [0, 2, 3, 4, 6])
def test_temporal_bias(prefix):
    """The closed form, behind any number of prefix tokens: constants of the public code, and each cell."""
    bias = layers.temporal_bias(4, 300, 30, prefix=prefix)
    assert bias.shape == (4, 300, prefix + 300) and not bias[..., :prefix].any()
    for (head, query, key), want in {
        (0, 0, 29): 0, (0, 0, 30): 0, (0, 0, 31): -0.25, (0, 31, 0): -0.25, (2, 100, 250): -0.0625,
    }.items():  # fmt: skip
        assert float(bias[head, query, prefix + key]) == want
    whole = bias[..., prefix:]
    for head, slope in enumerate((1 / 4, 1 / 16, 1 / 64, 1 / 256)):
        for query in (0, 1, 29, 30, 59, 150, 299):
            past = [-slope * ((query - key) // 30) for key in range(query + 1)]
            future = [-slope * ((key - query - 1) // 30) for key in range(query + 1, 300)]
            assert whole[head, query].tolist() == past + future


def test_tisa_score_depends_on_distance_only_and_equals_its_formula():
    torch.manual_seed(0)
    score = layers.TisaScore(2, max_view=20).eval()
    with torch.no_grad():
        got = score(9)
        a, o, s, b, m = (
            value.double()
            for value in (score.amplitudes, score.offsets, score.sharpness, score.bias, score.slopes)
        )
        query, key, head = 7, 2, 1
        kernels = a[:, head].abs() * torch.sigmoid(
            a[:, head].sign() * (query - key - o[:, head]) / s[:, head]
        )
        want = (kernels.sum() + 1e-8 + b[head].abs()).log() - abs(query - key) * m[head]
    assert float(got[head, query, key]) == pytest.approx(float(want), rel=1e-5)
    assert torch.allclose(got[:, 1:, 1:], got[:, :-1, :-1])
    assert torch.equal(score(5), got[:, :5, :5])


def test_periodic_encoding_repeats():
    table = layers.periodic_encoding(70, 16, 30)
    assert torch.equal(table[:40], table[30:])
    assert torch.equal(layers.periodic_encoding(10, 16, 30, start=25), table[25:35])
    assert not torch.equal(table[0], table[1])


def test_cross_attention_sees_its_own_frame_only():
    torch.manual_seed(0)
    layer = layers.BiasedDecoderLayer(16, 4, 32, period=5).eval()
    x, memory, prefix = torch.randn(1, 8, 16), torch.randn(1, 8, 16), torch.randn(1, 3, 16)
    changed = memory.clone()
    changed[0, 5] += 1
    with torch.no_grad():
        difference = (layer(x, memory, prefix) - layer(x, changed, prefix)).abs().amax(-1)[0]
    assert difference[5] > 1e-3
    assert (difference[[0, 1, 2, 3, 4, 6, 7]] < 1e-6).all()


def reference_of(linear_in: torch.nn.Linear, linear_out: torch.nn.Linear) -> torch.nn.MultiheadAttention:
    """torch's own attention with a layer's weights."""
    reference = torch.nn.MultiheadAttention(16, 4, batch_first=True).eval()
    reference.in_proj_weight.data, reference.in_proj_bias.data = linear_in.weight.data, linear_in.bias.data
    reference.out_proj.weight.data, reference.out_proj.bias.data = (
        linear_out.weight.data,
        linear_out.bias.data,
    )
    return reference


@pytest.mark.parametrize("length", [1, 2, 3, 6])
def test_self_attention_equals_the_biased_form(length):
    """Queries are frames, keys are prefix tokens and frames, with the bias as a mask of floats."""
    torch.manual_seed(2)
    layer = layers.BiasedDecoderLayer(16, 4, 32, period=5).eval()
    x, prefix = torch.randn(2, 17, 16), torch.randn(2, length, 16)
    tokens = torch.cat([prefix, x], 1)
    mask = layers.temporal_bias(4, 17, 5, prefix=length).repeat(2, 1, 1)
    with torch.no_grad():
        reference = reference_of(layer.self_in, layer.self_out)
        want = reference(x, tokens, tokens, attn_mask=mask, need_weights=False)[0]
        assert torch.allclose(layer._self_attention(x, prefix), want, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 3, 6])
def test_cross_attention_equals_the_masked_form(length):
    torch.manual_seed(1)
    layer = layers.BiasedDecoderLayer(16, 4, 32, period=5).eval()
    x, memory, prefix = torch.randn(2, 6, 16), torch.randn(2, 6, 16), torch.randn(2, length, 16)
    reference = reference_of(layer.cross_in, layer.cross_out)
    hidden = torch.cat([torch.zeros(6, length, dtype=bool), ~torch.eye(6, dtype=bool)], 1)
    tokens = torch.cat([prefix, memory], 1)
    with torch.no_grad():
        want = reference(x, tokens, tokens, attn_mask=hidden, need_weights=False)[0]
        assert torch.allclose(layer._cross_attention(x, memory, prefix), want, atol=1e-5)


def test_face_network_hears_what_it_is_told():
    torch.manual_seed(0)
    network = FaceDenoiser(51, 20, 3, dim=32, feedforward=32).eval()
    torch.nn.init.normal_(network.last.weight)
    x, step, audio = torch.randn(1, 12, 51), torch.tensor([5]), torch.randn(1, 12, 20)
    one, other = torch.eye(3)[:1], torch.eye(3)[1:2]
    facing = torch.ones(1, 12, 2)
    with torch.no_grad():
        base = network(x, step, audio, one, other, facing)
        for changed in (
            (x, step + 1, audio, one, other, facing),
            (x, step, audio + 1, one, other, facing),
            (x, step, audio, other, other, facing),
            (x, step, audio, one, one, facing),
            (x, step, audio, one, other, 1 - facing),
        ):
            assert not torch.allclose(network(*changed), base, atol=1e-4)


def test_body_network_starts_at_zero_and_takes_any_length():
    network = BodyDenoiser(10, 4, channels=16, blocks=3, heads=2, window=20).eval()
    with torch.no_grad():
        for frames in (7, 40):
            assert torch.allclose(
                network(torch.randn(2, frames, 10), torch.tensor([0, 9]), torch.randn(2, frames, 4)),
                network.last.bias.expand(2, frames, 10),
            )


@pytest.mark.parametrize("missing", ["partner", "facing"])
def test_the_face_network_must_be_told_what_it_was_built_for(missing):
    network = FaceDenoiser(51, 20, 3, dim=32, feedforward=32)
    told = {
        "audio": torch.zeros(2, 8, 20),
        "style": torch.zeros(2, 3),
        "partner": torch.zeros(2, 3),
        "facing": torch.zeros(2, 8, 2),
    }
    x, step = torch.zeros(2, 8, 51), torch.zeros(2, dtype=torch.long)
    assert network(x, step, **told).shape == x.shape
    with pytest.raises(ValueError, match=f"give {missing}"):
        network(x, step, **{key: value for key, value in told.items() if key != missing})


TABLES = {
    "temporal_bias": lambda: layers.temporal_bias(2, 40, 30, prefix=3),
    "periodic_encoding": lambda: layers.periodic_encoding(40, 16, 30),
    "distances": lambda: layers._distances(40, torch.device("cpu"), torch.float32),
    "sinusoid": lambda: layers._sinusoid_frequencies(8, torch.device("cpu")),
    "step": lambda: layers._step_frequencies(torch.device("cpu")),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_made_once(name):
    table = TABLES[name]()
    before = table.clone()
    assert TABLES[name]() is table and not table.requires_grad
    with torch.device("meta"):  # where sizes are looked at without memory
        assert TABLES[name]() is table
    assert torch.equal(table, before)


def test_tables_are_kept_by_type_and_few_of_them():
    one = layers.temporal_bias(2, 40, 30, dtype=torch.bfloat16)
    assert one.dtype == torch.bfloat16 and layers.temporal_bias(2, 40, 30).dtype == torch.float32
    for frames in range(50, 50 + 3 * layers.KEPT_TABLES):
        layers.temporal_bias(2, frames, 30)
        layers.periodic_encoding(frames, 16, 30)
        layers._distances(frames, torch.device("cpu"), torch.float32)
    assert layers.temporal_bias.cache_info().currsize == layers.KEPT_BIASES
    for table in (layers.periodic_encoding, layers._distances):
        assert table.cache_info().currsize <= layers.KEPT_TABLES


def test_a_prefix_is_not_biased():
    bias = layers.temporal_bias(2, 40, 30, prefix=3)
    assert bias.shape == (2, 40, 43) and not bias[..., :3].any()
    assert torch.equal(bias[..., 3:], layers.temporal_bias(2, 40, 30))


def test_networks_that_share_tables_learn_and_leave_them_as_they_are():
    torch.manual_seed(0)
    x, step, audio = torch.randn(2, 12, 51), torch.tensor([5, 9]), torch.randn(2, 12, 20)
    told = audio, torch.eye(3)[:2], torch.eye(3)[1:], torch.ones(2, 12, 2)
    networks = [FaceDenoiser(51, 20, 3, dim=32, feedforward=32, dropout=0.0) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    for _ in range(3):
        for network in networks:
            network.zero_grad()
            network(x, step, *told).square().sum().backward()
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter -= 1e-3 * parameter.grad
    assert all(torch.equal(a, b) for a, b in zip(*(network.parameters() for network in networks)))
    names = "".join(networks[0].state_dict())
    assert "bias_table" not in names and not list(networks[0].buffers())
