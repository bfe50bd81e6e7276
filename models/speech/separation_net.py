"""`lips`: VisualVoice's U-Net, small, told of both microphones and of both actors' mouths.

For one actor the network sees, in each short-time cell at 16 kHz (64 ms windows), the powers of both
microphones and of what is left of the own one after the leak has been subtracted (pipeline.signals.leak),
their ratios, and the power mask of pipeline.signals.mask; and where VisualVoice has the features of its lip
network, the actors' fitted mouth and jaw shapes with their speeds. It gives how much of the leak to subtract
in each cell, and a mask for what is left; before training, all of the leak and no mask. The same weights
serve both actors, each as the owner of its own microphone.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.speech.signals import average, low_band, replace_low_band
from models.speech.unet import UNet
from models.weights import check_sizes, fit, read_tensors
from pipeline.errors import InputError
from pipeline.formats import arkit
from pipeline.motion.clock import AUDIO_RATE
from pipeline.reading import read_json
from pipeline.signals import stft
from pipeline.signals.leak import estimate_response, leak_of
from pipeline.signals.mask import FLOOR, estimate_coupling, frequency_bands, separate_mask

FORMAT_VERSION = 1
RATE = AUDIO_RATE
SIZE = 1024
"""Samples of a short-time window, 64 ms: cells of the mask's own kind (85 ms at 48 kHz is a power of two)."""
HOP = SIZE // 4
NUM_FREQUENCIES = 512
"""Frequencies that the network sees; the one left, 8 kHz, has the leak subtracted and no mask."""
WINDOW_FRAMES = 256
WINDOW = (WINDOW_FRAMES - 5) * HOP
"""Samples that the network sees at once, 4.016 s.

With one window of silence on both sides they are WINDOW_FRAMES.
"""
FPS = 30
NUM_CUES = 2 * len(arkit.MOUTH)
NUM_FEATURES = 8
TINY = 1e-12
SIZES = ("width", "widest", "lip_width")
"""Options that shape the network."""
MOST_WIDTH = 65_536


def lip_cues(weights: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Mouth and jaw shapes about their medians, and their speeds, (NUM_CUES, N) float32.

    At `times` (N,) seconds; speeds are a tenth of a second's.

    `weights` (T, 51) at 30 fps from second 0; outside of them the first and last row go on.
    """
    shapes = np.asarray(weights, np.float64)[:, arkit.MOUTH]
    shapes = shapes - np.median(shapes, 0)
    speeds = np.gradient(shapes, axis=0) * (FPS / 10) if len(shapes) > 1 else np.zeros_like(shapes)
    clock = np.arange(len(shapes)) / FPS
    return np.stack(
        [np.interp(times, clock, column) for column in np.concatenate([shapes, speeds], 1).T]
    ).astype(np.float32)


def cue_times(start: int) -> np.ndarray:
    """Seconds (WINDOW_FRAMES / 2,) at which the lips are asked in a window from sample `start`.

    The middle of each two frames.
    """
    return (start + (2 * np.arange(WINDOW_FRAMES // 2) + 0.5) * HOP - SIZE / 2) / RATE


def window_spectra(signals: np.ndarray) -> np.ndarray:
    """Short-time spectra (..., F, WINDOW_FRAMES) complex64 of signals (..., WINDOW)."""
    flat = [stft.spectra(x, SIZE).T for x in signals.reshape(-1, signals.shape[-1])]
    return np.stack(flat).reshape(*signals.shape[:-1], *flat[0].shape)


def band_coupling(coupling: np.ndarray) -> np.ndarray:
    """Coupling (..., bands) spread over the frequencies (..., F)."""
    return coupling[..., frequency_bands(SIZE // 2 + 1, RATE)].astype(np.float32)


def _smooth(power: Tensor) -> Tensor:
    """Powers (B, K, F, T) averaged over three frames and three frequencies, as pipeline.signals.mask does."""
    return F.avg_pool2d(F.pad(power, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def features(spectra: Tensor, leak: Tensor, coupling: Tensor) -> Tensor:
    """What the network sees (B, NUM_FEATURES, F, T).

    spectra (B, 2, F, T) complex, own microphone first; leak (B, F, T) complex, the other voice in the own
    microphone as pipeline.signals.leak foretells it; coupling (B, 2, F): of the other voice into the own
    microphone, and of the own into the other. The mask among them is the share of what is left that the power
    mask takes for the own voice.
    """
    left = spectra[:, 0] - leak
    power = torch.cat([spectra, left[:, None]], 1).abs().square()
    smooth = _smooth(power) + TINY
    into_own, into_other = coupling[:, 0, :, None], coupling[:, 1, :, None]
    mine = (smooth[:, 0] - into_own * smooth[:, 1]) / (1 - (into_own * into_other).clamp(max=0.5))
    mask = (mine / smooth[:, 2]).clamp(FLOOR, 1.0)
    level = power[:, :2].mean((1, 2, 3), keepdim=True) + TINY
    loud = ((power / level) + 1e-7).log10() / 3
    quiet = 1e-6 * level[:, 0]
    ratio = torch.stack([
        (smooth[:, 0] + quiet) / (into_own * smooth[:, 1] + quiet),
        (smooth[:, 1] + quiet) / (into_other * smooth[:, 0] + quiet),
        (smooth[:, 2] + quiet) / (smooth[:, 0] + quiet),
    ], 1).log10().clamp(-3, 3)  # fmt: skip
    height = torch.linspace(-1, 1, power.shape[2], device=power.device)[None, None, :, None].expand(
        len(power), 1, -1, power.shape[3]
    )
    return torch.cat([loud, ratio, mask[:, None], height], 1)


class LipSeparator(nn.Module):
    """A mask for the first of two microphones; see the module."""

    def __init__(self, *, width: int, widest: int, lip_width: int):
        super().__init__()
        self.lips = nn.Sequential(
            nn.Conv1d(NUM_CUES, lip_width, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(lip_width, lip_width, 5, padding=2),
            nn.ReLU(),
        )
        widths = tuple(min(width * k, widest) for k in (1, 2, 4, 8, 8, 8, 8, 8))
        self.unet = UNet(NUM_FEATURES, width, 2 * lip_width, widths=widths, time_strides=(2, 1))
        self.mix = nn.Sequential(nn.Conv2d(width + NUM_FEATURES, width, 3, padding=1), nn.LeakyReLU(0.2))
        self.last = nn.Conv2d(width, 2, 3, padding=1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, spectra: Tensor, leak: Tensor, coupling: Tensor, cues: Tensor) -> Tensor:
        """The owner's spectra (B, F, T).

        Spectra, leak and coupling as in `features`, cues (B, 2, NUM_CUES, T / 2), the owner's first.
        """
        seen = features(spectra, leak, coupling)[:, :, :NUM_FREQUENCIES]
        motion = torch.cat([self.lips(cues[:, k]) for k in range(2)], 1)[:, :, None]
        found = self.last(self.mix(torch.cat([self.unet(seen, motion), seen], 1)))
        found = F.pad(found, (0, 0, 0, leak.shape[1] - NUM_FREQUENCIES))
        return (1 + found[:, 0]).clamp(0.0, 2.0) * (spectra[:, 0] - (1 + found[:, 1]) * leak)


def load(path: Path) -> LipSeparator:
    """A trained network in evaluation mode, from its model.safetensors and the model.json beside it."""
    path = Path(path)
    described = path.with_name("model.json")
    if not path.is_file() or not described.is_file():
        raise InputError(
            f"separation: no {path} with a model.json beside it; train it (snakemake train_separation), or"
            " name another in separation.weights"
        )
    description = read_json(described, kind=dict, fix="train the network again")
    if description.get("model") != "separation" or description.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{described}: model {description.get('model')!s:.60}, format version"
            f" {description.get('format_version')!s:.20}; need separation, {FORMAT_VERSION}; train the"
            " network again (snakemake train_separation)"
        )
    sizes, fix = description.get("sizes"), "train the network again"
    good = isinstance(sizes, dict) and set(sizes) == set(SIZES)
    if not good or not all(type(value) is int and 1 <= value <= MOST_WIDTH for value in sizes.values()):
        raise InputError(
            f"{described}: sizes are {sizes!s:.80}, need {', '.join(SIZES)} from 1 to {MOST_WIDTH}; {fix}"
        )
    with torch.device("meta"):  # sizes without memory
        check_sizes(LipSeparator(**sizes), path, to="model.json", fix=fix)
    network = LipSeparator(**sizes)
    fit(network, read_tensors(path, fix=fix), path, to="model.json", fix=fix)
    return network.eval()


@torch.inference_mode()
def separate_lips(
    mics: np.ndarray, rate: int, *, network: LipSeparator, weights: list[np.ndarray]
) -> np.ndarray:
    """Voices float32 (2, S) of microphones (2, S) at `rate` Hz and both faces' weights (T, 51).

    Weights are at 30 fps from the same moment.

    Below 8 kHz by the network, in windows of 4 s every 2 s; above by the power mask.
    """
    low = low_band(mics, rate, RATE)
    coupling = torch.from_numpy(band_coupling(np.stack([(c := estimate_coupling(low, RATE)), c[::-1]])))
    responses = [estimate_response(low[[k, 1 - k]], RATE, size=SIZE) for k in range(2)]

    def process(part: np.ndarray, start: int) -> np.ndarray:
        spectra = window_spectra(part)
        leaks = np.stack([leak_of(responses[k], spectra[1 - k]) for k in range(2)])
        cues = np.stack([lip_cues(w, cue_times(start)) for w in weights])
        both, seen = (torch.from_numpy(np.stack([x, x[::-1]])) for x in (spectra, cues))
        return np.stack(
            [
                stft.signal(x.T, SIZE, WINDOW)
                for x in network(both, torch.from_numpy(leaks), coupling, seen).numpy()
            ]
        )

    found = average(process, low, window=WINDOW, hop=WINDOW // 2, taper=True)
    return replace_low_band(separate_mask(mics, rate), rate, found, RATE)
