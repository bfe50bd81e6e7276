"""`visualvoice`: the paper's separation (Gao and Grauman 2021).

One microphone and the video of a face at a time.

    python -m models.speech.visualvoice convert FOLDER --out FOLDER

A lip network (ShuffleNetV2 and a temporal convolutional network) reads 64 crops of the mouth at 25 fps, a
ResNet-18 a picture of the face, and a U-Net turns the spectrogram of 2.55 s at 16 kHz into a complex mask.
Layers carry the names of the published weights: facial_best.pth, lipreading_best.pth, unet_best.pth, and
vocal_best.pth, which only training needs. Those are pickles; `convert` reads them with torch's restricted
unpickler, which knows tensors and no code, and writes .safetensors, and those alone are read here. Both
published forms fit: one speaker (the U-Net is told of one face), and two (told of both, the owner's first; it
has four outputs).
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.speech.signals import average, low_band, replace_low_band
from models.speech.unet import UNet
from models.weights import read_tensors
from pipeline import stage
from pipeline.errors import InputError
from pipeline.files import whole
from pipeline.reading import plain, reading
from pipeline.signals.mask import separate_mask

log = logging.getLogger("interact")
RATE, WINDOW, NUM_FRAMES, FPS = 16_000, 40_800, 64, 25
FFT, FRAME, HOP = 512, 400, 160
MASK_LIMIT, RMS, SMALLEST_RMS = 5.0, 0.07, 1e-4
GREY_MEAN, GREY_STD, CROP = 0.421, 0.165, 88
COLOUR_MEAN, COLOUR_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LIP_CHANNELS, FACE_CHANNELS = 512, 128
NAMES = ("lipreading", "facial", "unet", "vocal")


def _convolution(
    inputs: int, outputs: int, size: int, stride: int = 1, *, groups: int = 1
) -> list[nn.Module]:
    """A convolution without bias and its batch norm."""
    return [
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's unit: half of the channels pass, or both halves are halved in size.

    Then channels are shuffled.
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        half = outputs // 2
        self.stride = stride
        into = inputs if stride == 2 else half
        if stride == 2:
            self.banch1 = nn.Sequential(
                *_convolution(into, into, 3, 2, groups=into), *_convolution(into, half, 1), nn.ReLU()
            )
        deep = [
            *_convolution(into, half, 1),
            nn.ReLU(),
            *_convolution(half, half, 3, stride, groups=half),
            *_convolution(half, half, 1),
            nn.ReLU(),
        ]
        self.banch2 = nn.Sequential(*deep)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        passed, worked = (x, x) if self.stride == 2 else x.chunk(2, 1)
        x = torch.cat([self.banch1(passed) if self.stride == 2 else passed, self.banch2(worked)], 1)
        return x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


class Chomp(nn.Module):
    """Cut the padding of a dilated convolution off both ends."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size // 2

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T + 2 size) -> (B, C, T)."""
        return x[..., self.size : -self.size]


class TemporalBlock(nn.Module):
    """Two dilated convolutions over three frames, and a residual.

    Layers stand in `net` too, as in the published weights.
    """

    def __init__(self, inputs: int, outputs: int, dilation: int):
        super().__init__()
        padding = 2 * dilation
        self.conv1 = nn.Conv1d(inputs, outputs, 3, padding=padding, dilation=dilation)
        self.batchnorm1, self.relu1 = nn.BatchNorm1d(outputs), nn.PReLU(outputs)
        self.conv2 = nn.Conv1d(outputs, outputs, 3, padding=padding, dilation=dilation)
        self.batchnorm2, self.relu2 = nn.BatchNorm1d(outputs), nn.PReLU(outputs)
        first = (self.conv1, self.batchnorm1, Chomp(padding), self.relu1, nn.Dropout(0.2))
        self.net = nn.Sequential(
            *first, self.conv2, self.batchnorm2, Chomp(padding), self.relu2, nn.Dropout(0.2)
        )
        self.downsample = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.relu = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C', T)."""
        return self.relu(self.net(x) + self.downsample(x))


class TemporalNetwork(nn.Module):
    """Four temporal blocks, (B, 1024, T) -> (B, 512, T).

    `tcn_output` is of the lip reader that this was: in the weights, not used.
    """

    def __init__(self):
        super().__init__()
        blocks = [TemporalBlock(1024 if i == 0 else LIP_CHANNELS, LIP_CHANNELS, 2**i) for i in range(4)]
        self.tcn_trunk = nn.ModuleDict({"network": nn.Sequential(*blocks)})
        self.tcn_output = nn.Linear(LIP_CHANNELS, 500)

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks."""
        return self.tcn_trunk["network"](x)


class LipNetwork(nn.Module):
    """Mouths (B, 1, T, 88, 88) -> (B, 512, 1, T)."""

    def __init__(self):
        super().__init__()
        front = nn.Conv3d(1, 24, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False)
        self.frontend3D = nn.Sequential(
            front, nn.BatchNorm3d(24), nn.PReLU(24), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        )
        units, channels = [], 24
        for outputs, count in ((116, 4), (232, 8), (464, 4)):
            units += [
                ShuffleUnit(channels if i == 0 else outputs, outputs, 2 if i == 0 else 1)
                for i in range(count)
            ]
            channels = outputs
        self.trunk = nn.Sequential(
            nn.Sequential(*units), nn.Sequential(*_convolution(464, 1024, 1), nn.ReLU()), nn.AvgPool2d(3)
        )
        self.tcn = TemporalNetwork()

    def forward(self, x: Tensor) -> Tensor:
        """Run each frame through the trunk, then all of them through the temporal network."""
        x = self.frontend3D(x)
        frames = self.trunk(x.transpose(1, 2).flatten(0, 1)).flatten(1)
        return self.tcn(frames.unflatten(0, (len(x), -1)).transpose(1, 2))[:, :, None]


class ResidualBlock(nn.Module):
    """ResNet's basic block."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = _convolution(inputs, outputs, 3, stride)
        self.conv2, self.bn2 = _convolution(outputs, outputs, 3)
        self.downsample = (
            nn.Sequential(*_convolution(inputs, outputs, 1, stride)) if stride == 2 else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class AttributeNetwork(nn.Module):
    """ResNet-18 of a picture (3 channels) or of a complex spectrogram (2) -> (B, 128, 1, 1).

    Its first layer has two names.
    """

    def __init__(self, inputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, 64, 7, 2, 3, bias=False)
        stages, channels = [], 64
        for i, outputs in enumerate((64, 128, 256, 512)):
            stages.append(
                nn.Sequential(
                    ResidualBlock(channels, outputs, 2 if i else 1), ResidualBlock(outputs, outputs, 1)
                )
            )
            channels = outputs
        self.feature_extraction = nn.Sequential(
            self.conv1, nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *stages
        )
        self.fc = nn.Linear(512, FACE_CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 128, 1, 1)."""
        return self.fc(self.feature_extraction(x).amax((2, 3)))[:, :, None, None]


@dataclass(frozen=True)
class Networks:
    """The networks of the method, in evaluation mode.

    `vocal` is there where its weights are, and only training asks it.
    """

    lipreading: LipNetwork
    facial: AttributeNetwork
    unet: UNet
    vocal: AttributeNetwork | None
    num_speakers: int


def build(num_speakers: int, *, vocal: bool = True) -> Networks:
    """Untrained networks for one speaker or two."""
    unet = UNet(2, 2 * num_speakers, num_speakers * (LIP_CHANNELS + FACE_CHANNELS))
    found = Networks(
        LipNetwork(), AttributeNetwork(3), unet, AttributeNetwork(2) if vocal else None, num_speakers
    )
    for network in (found.lipreading, found.facial, found.unet, found.vocal):
        if network is not None:
            network.eval()
    return found


def load(folder: Path) -> Networks:
    """The networks by the files that `convert` wrote; InputError where one is missing or does not fit."""
    folder = Path(folder)
    paths = {name: folder / f"{name}_best.safetensors" for name in NAMES}
    missing = [path.name for name, path in paths.items() if name != "vocal" and not path.is_file()]
    if missing:
        raise InputError(
            f"separation: {folder} lacks {', '.join(missing)}; put VisualVoice's facial_best.pth,"
            " lipreading_best.pth and unet_best.pth into a folder and run python -m"
            f" models.speech.visualvoice convert <that folder> --out {folder}"
        )
    states = {
        name: read_tensors(path, fix="convert the weights again") if path.is_file() else {}
        for name, path in paths.items()
    }
    last = states["unet"].get("audionet_upconvlayer8.0.weight", torch.zeros(1, 2))
    networks = build(2 if last.shape[1:2] == (4,) else 1, vocal=bool(states["vocal"]))
    for name in NAMES:
        network = getattr(networks, name)
        if network is not None:
            fit(network, states[name], paths[name])
    return networks


def fit(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load weights strictly: every name and shape.

    And the same values under both names of a layer that has two.
    """
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"{path}: other weights than VisualVoice's ({' '.join(str(error).split())[:200]}); check the file"
        ) from None
    own = network.state_dict()
    differ = [name for name, value in state.items() if not torch.equal(own[name], value)]
    if differ:
        raise InputError(
            f"{path}: {differ[0]} differs from the same layer under its other name; check the file"
        )


def spectrogram(x: Tensor) -> Tensor:
    """Complex spectrogram (B, 257, 256) of (B, 40800) samples."""
    return torch.stft(x, FFT, HOP, FRAME, torch.hann_window(FRAME), center=True, return_complex=True)


def waveform(spectra: Tensor) -> Tensor:
    """Samples (B, 40800) of a spectrogram."""
    return torch.istft(spectra, FFT, HOP, FRAME, torch.hann_window(FRAME), center=True, length=WINDOW)


def mouth_input(data: np.ndarray) -> Tensor:
    """Network input (1, 1, T, 88, 88) of crops (T, 96, 96) uint8."""
    edge = (data.shape[-1] - CROP) // 2
    x = torch.from_numpy(data[:, edge : edge + CROP, edge : edge + CROP].astype(np.float32) / 255)
    return ((x - GREY_MEAN) / GREY_STD)[None, None]


def face_input(picture: np.ndarray) -> Tensor:
    """Network input (1, 3, 224, 224) of a picture (224, 224, 3) uint8."""
    x = (picture.astype(np.float32) / 255 - np.array(COLOUR_MEAN, np.float32)) / np.array(
        COLOUR_STD, np.float32
    )
    return torch.from_numpy(x.transpose(2, 0, 1).copy())[None]


def mouth_window(data: np.ndarray, start: int, num_samples: int) -> np.ndarray:
    """The 64 mouth frames of the window that begins at sample `start`.

    The last window takes the last ones, a short video repeats its end.
    """
    first = len(data) - NUM_FRAMES if start + WINDOW >= num_samples else round(start / RATE * FPS)
    return data[
        np.clip(
            np.arange(first, first + NUM_FRAMES) if len(data) > NUM_FRAMES else np.arange(NUM_FRAMES),
            0,
            len(data) - 1,
        )
    ]


def apply_mask(spectra: Tensor, mask: Tensor) -> Tensor:
    """Spectra (B, 257, 256) times complex masks (B, 2, 256, 256).

    The highest frequency has none and stays.
    """
    mask = (MASK_LIMIT * mask.tanh()).clamp(-MASK_LIMIT, MASK_LIMIT)
    return torch.cat(
        [spectra[:, :-1] * torch.complex(mask[:, 0].contiguous(), mask[:, 1].contiguous()), spectra[:, -1:]],
        1,
    )


def separate_window(
    networks: Networks, x: np.ndarray, mouths: list[np.ndarray], attributes: list[Tensor]
) -> np.ndarray:
    """The owner's voice (40800,) in one microphone's window.

    Mouths (64, 96, 96) and attributes of the owner, then of the other.
    """
    scale = max(SMALLEST_RMS, float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))) / RMS
    spectra = spectrogram(torch.from_numpy(x / np.float32(scale))[None])
    told = [
        part
        for mouth, face in zip(mouths, attributes, strict=True)
        for part in (face.expand(-1, -1, 1, NUM_FRAMES), networks.lipreading(mouth_input(mouth)))
    ]
    mask = networks.unet(torch.view_as_real(spectra).permute(0, 3, 1, 2)[:, :, :-1], torch.cat(told, 1))
    return waveform(apply_mask(spectra, mask[:, :2]))[0].numpy() * np.float32(scale)


@torch.inference_mode()
def separate_visualvoice(
    mics: np.ndarray,
    rate: int,
    *,
    networks: Networks,
    mouths: list[np.ndarray],
    faces: list[np.ndarray],
    hop_seconds: float,
) -> np.ndarray:
    """Voices float32 (2, S) of microphones (2, S) at `rate` Hz, each out of its own microphone.

    mouths (T, 96, 96) uint8 at 25 fps from the microphones' first sample on, faces (224, 224, 3) uint8, one
    of each actor. The network works below 8 kHz, in windows of 2.55 s every `hop_seconds`; above, the power
    mask of both microphones.
    """
    low = low_band(mics, rate, RATE)
    attributes = [networks.facial(face_input(face)) for face in faces]
    seen = networks.num_speakers

    def process(part: np.ndarray, start: int) -> np.ndarray:
        windows = [mouth_window(data, start, low.shape[1]) for data in mouths]
        orders = ([0, 1], [1, 0])
        return np.stack(
            [
                separate_window(
                    networks, part[o[0]], [windows[k] for k in o[:seen]], [attributes[k] for k in o[:seen]]
                )
                for o in orders
            ]
        )

    found = average(process, low, window=WINDOW, hop=max(1, round(hop_seconds * RATE)), taper=False)
    return replace_low_band(separate_mask(mics, rate), rate, found, RATE)


def convert(folder: Path, out: Path) -> None:
    """Write the published .pth files of a folder as .safetensors, after they have been fitted strictly."""
    from safetensors.torch import save_file

    paths = {name: Path(folder) / f"{name}_best.pth" for name in NAMES}
    missing = [path.name for name, path in paths.items() if name != "vocal" and not path.is_file()]
    if missing:
        raise InputError(
            f"{folder}: no {', '.join(missing)}; put VisualVoice's published files there (facial, lipreading,"
            " unet, vocal _best.pth)"
        )
    states = {}
    for name, path in paths.items():
        if path.is_file():
            plain(path)
            with reading(path, "file of plain tensors", fix="get the published one"):
                states[name] = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(states[name], dict) or not all(
                isinstance(value, Tensor) for value in states[name].values()
            ):
                raise InputError(f"{path}: not a table of tensors, need a state dict; get the published one")
    last = states["unet"].get("audionet_upconvlayer8.0.weight", torch.zeros(1, 2))
    networks = build(2 if last.shape[1:2] == (4,) else 1)
    for name, state in states.items():
        fit(getattr(networks, name), state, paths[name])
        with whole(Path(out) / f"{name}_best.safetensors") as temporary:
            save_file(
                {key: value.clone().contiguous() for key, value in state.items()}, temporary
            )  # clones: a layer may have two names
        log.info("%s: %d tensors", Path(out) / f"{name}_best.safetensors", len(state))


def run(*, command: str, folder: Path, out: Path) -> None:
    """The command line's work; `convert` is the only command."""
    convert(folder, out)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = stage.parser(__doc__)
    parser.add_argument(
        "command", choices=["convert"], help="write VisualVoice's published weights as .safetensors"
    )
    parser.add_argument("folder", type=Path, help="folder of the published .pth files")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write; name it in separation.checkpoints"
    )
    stage.execute(parser, run, argv)


if __name__ == "__main__":
    main()
