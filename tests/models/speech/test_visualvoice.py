"""VisualVoice's networks hold the published weights, and its windows give a signal back."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.speech import visualvoice as vv
from models.speech.signals import resample
from pipeline.errors import InputError


@pytest.fixture(scope="module")
def networks():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return vv.build(2)


@pytest.fixture(scope="module")
def published(tmp_path_factory, networks):
    """A folder of .pth files as they are published, and the converted ones."""
    folder, out = tmp_path_factory.mktemp("pth"), tmp_path_factory.mktemp("converted")
    for name in vv.NAMES:
        torch.save(getattr(networks, name).state_dict(), folder / f"{name}_best.pth")
    vv.main(["convert", str(folder), "--out", str(out)])
    return folder, out


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_networks_have_the_published_sizes_and_keys(networks):
    assert (
        parameters(networks.facial) == 11_242_176
        and parameters(networks.vocal) == 11_239_040
        and parameters(networks.lipreading) == 9_136_480
    )
    assert parameters(vv.build(1).unet) == 46_135_682
    assert {name: len(getattr(networks, name).state_dict()) for name in vv.NAMES} == {
        "lipreading": 473,
        "facial": 123,
        "unet": 149,
        "vocal": 123,
    }
    lips, face, unet = (
        networks.lipreading.state_dict(),
        networks.facial.state_dict(),
        networks.unet.state_dict(),
    )
    for key in (
        "frontend3D.2.weight", "trunk.0.15.banch2.6.running_var", "trunk.0.0.banch1.3.weight",
        "trunk.1.1.bias", "tcn.tcn_output.weight", "tcn.tcn_trunk.network.3.relu2.weight",
        "tcn.tcn_trunk.network.3.net.8.weight", "tcn.tcn_trunk.network.0.downsample.weight",
    ):  # fmt: skip
        assert key in lips
    assert {
        "conv1.weight",
        "feature_extraction.0.weight",
        "feature_extraction.7.0.downsample.1.weight",
        "fc.weight",
    } <= set(face)
    assert unet["audionet_convlayer1.0.weight"].shape == (64, 2, 4, 4) and unet[
        "audionet_upconvlayer8.0.weight"
    ].shape == (128, 4, 4, 4)
    assert {
        "audionet_convlayer8.conv.4.running_mean",
        "audionet_upconvlayer6.up.2.weight",
        "audionet_upconvlayer7.1.bias",
    } <= set(unet)


def test_shapes_are_those_of_the_description(networks):
    with torch.inference_mode():
        assert networks.lipreading(torch.zeros(1, 1, 64, 88, 88)).shape == (1, 512, 1, 64)
        assert networks.facial(torch.zeros(1, 3, 224, 224)).shape == (1, 128, 1, 1)
        assert networks.vocal(torch.zeros(1, 2, 257, 256)).shape == (1, 128, 1, 1)
        assert networks.unet(torch.zeros(1, 2, 256, 256), torch.zeros(1, 1280, 1, 64)).shape == (
            1,
            4,
            256,
            256,
        )
    assert vv.spectrogram(torch.zeros(1, vv.WINDOW)).shape == (1, 257, 256)


def test_converted_weights_load_strictly_and_are_the_same(networks, published):
    loaded = vv.load(published[1])
    assert loaded.num_speakers == 2
    for name in vv.NAMES:
        found, expected = (getattr(one, name).state_dict() for one in (loaded, networks))
        assert found.keys() == expected.keys() and all(
            torch.equal(found[key], expected[key]) for key in expected
        )


def copied(published, tmp_path, without=()):
    for path in published[1].iterdir():
        if path.name not in without:
            (tmp_path / path.name).symlink_to(path)
    return tmp_path


def test_weights_without_the_vocal_network_will_do(published, tmp_path):
    assert vv.load(copied(published, tmp_path, ["vocal_best.safetensors"])).vocal is None


def test_a_missing_checkpoint_is_one_line_that_says_what_to_put_where(published, tmp_path):
    with pytest.raises(
        InputError,
        match=(
            r"lacks unet_best.safetensors; put VisualVoice's .*unet_best.pth .*models.speech.visualvoice"
            r" convert"
        ),
    ):
        vv.load(copied(published, tmp_path, ["unet_best.safetensors"]))


@pytest.mark.parametrize(
    ("spoil", "needle"),
    [
        (lambda state: state.pop("fc.bias"), "other weights"),
        (lambda state: state.update(more=torch.zeros(1)), "other weights"),
        (lambda state: state.update({"fc.weight": torch.zeros(128, 511)}), "other weights"),
        (
            lambda state: state.update({"conv1.weight": torch.ones_like(state["conv1.weight"])}),
            "under its other name",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(networks, published, tmp_path, spoil, needle):
    folder = copied(published, tmp_path, ["facial_best.safetensors"])
    state = {key: value.clone() for key, value in networks.facial.state_dict().items()}
    spoil(state)
    save_file(state, folder / "facial_best.safetensors")
    with pytest.raises(InputError, match=needle):
        vv.load(folder)


class Harmful:
    def __reduce__(self):
        return print, ("code of a pickle has run",)


def test_a_pickle_with_code_is_refused_and_not_run(published, tmp_path, capsys):
    folder = tmp_path / "pth"
    folder.mkdir()
    for path in published[0].iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "unet_best.pth").unlink()
    torch.save({"x": Harmful()}, folder / "unet_best.pth")
    with pytest.raises(SystemExit) as stopped:
        vv.main(["convert", str(folder), "--out", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert (
        stopped.value.code == 2
        and "unet_best.pth: not a readable file of plain tensors" in said.err
        and "\x1b" not in said.err
        and not (tmp_path / "out").exists()
    )
    assert "code of a pickle has run" not in said.out


def test_the_mask_multiplies_complex_numbers_and_leaves_the_highest_frequency():
    rng = torch.Generator().manual_seed(0)
    spectra = torch.complex(*(torch.randn(1, 257, 256, generator=rng) for _ in range(2)))
    wanted = torch.complex(*(torch.rand(1, 256, 256, generator=rng) * 4 - 2 for _ in range(2)))
    mask = torch.atanh(torch.stack([wanted.real, wanted.imag], 1) / 5)
    found = vv.apply_mask(spectra, mask)
    assert torch.allclose(found[:, :-1], spectra[:, :-1] * wanted, atol=1e-4) and torch.equal(
        found[:, -1], spectra[:, -1]
    )


def test_mouth_frames_follow_the_window():
    data = np.arange(200)[:, None, None]
    seconds = 8
    first = [
        int(vv.mouth_window(data, round(at * vv.RATE), seconds * vv.RATE)[0, 0, 0]) for at in (0, 1.275, 2.55)
    ]
    assert first == [0, 32, 64]
    assert vv.mouth_window(data, seconds * vv.RATE - vv.WINDOW, seconds * vv.RATE)[:, 0, 0].tolist() == list(
        range(136, 200)
    )
    assert vv.mouth_window(data[:10], 0, vv.WINDOW)[:, 0, 0].tolist() == [*range(10), *[9] * 54]


def identity(networks):
    """Networks whose mask is 1 in every cell."""

    def unet(x, told):
        mask = torch.atanh(torch.tensor([1.0, 0, 1, 0]) / 5)
        return mask[None, :, None, None].expand(-1, -1, 256, 256)

    return vv.Networks(
        lambda x: torch.zeros(1, 512, 1, 64), lambda x: torch.zeros(1, 128, 1, 1), unet, None, 2
    )


@pytest.mark.parametrize("num_samples", [48_000, 3 * 48_000, 5 * 48_000 + 17])
def test_windows_with_an_identity_mask_give_the_low_band_back(networks, num_samples):
    rng = np.random.default_rng(0)
    # sounds below 4 kHz: where the bands meet, filters are no steps
    signals = resample(rng.normal(0, 0.1, (2, num_samples // 6 + 1)), 8000, 48_000, num_samples)
    mouths, faces = [np.zeros((70, 96, 96), np.uint8)] * 2, [np.zeros((224, 224, 3), np.uint8)] * 2
    low = vv.low_band(signals, 48_000, vv.RATE)
    found = vv.average(lambda part, start: part, low, window=vv.WINDOW, hop=20_400, taper=False)
    assert np.abs(found - low).max() < 1e-6
    voices = vv.separate_visualvoice(
        signals, 48_000, networks=identity(networks), mouths=mouths, faces=faces, hop_seconds=1.275
    )
    assert voices.shape == signals.shape and voices.dtype == np.float32
    assert np.abs(vv.low_band(voices, 48_000, vv.RATE) - low)[:, 2000:-2000].max() < 2e-3


def test_the_network_hears_every_window_at_the_same_level_and_each_owner_comes_first():
    heard, told = [], []

    def unet(x, visual):
        heard.append(float(x.square().sum()))
        told.append(float(visual[0, 0, 0, 0]))
        return torch.zeros(1, 4, 256, 256)

    networks = vv.Networks(
        lambda x: torch.zeros(1, 512, 1, 64),
        lambda x: x.mean((1, 2, 3), keepdim=True).expand(-1, 128, 1, 1),
        unet,
        None,
        2,
    )
    noise = np.random.default_rng(0).normal(0, 1, (1, vv.WINDOW * 3)).astype(np.float32)
    signals = np.concatenate([0.01 * noise, 0.5 * noise])
    faces = [np.full((224, 224, 3), value, np.uint8) for value in (10, 200)]
    vv.separate_visualvoice(
        signals,
        48_000,
        networks=networks,
        mouths=[np.zeros((70, 96, 96), np.uint8)] * 2,
        faces=faces,
        hop_seconds=2.55,
    )
    assert heard[0] == pytest.approx(heard[1], rel=1e-3)
    assert told[0] < told[1]
