"""VisualVoice's audio U-Net.

A spectrogram goes down to (almost) one frequency, meets what is seen, and comes up as a mask.

Two strided convolutions, six double convolutions with max-pooling over frequency, and as many layers up with
skips. Names of layers are those of the published weights; widths, time strides and the layers at the ends are
free.
"""

import torch
from torch import Tensor, nn

PUBLISHED_WIDTHS = (64, 128, 256, 512, 512, 512, 512, 512)


def _strided(inputs: int, outputs: int, time_stride: int) -> nn.Sequential:
    kernel = (4, 4 if time_stride == 2 else 3)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, (2, time_stride), 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
    )


def _transposed(inputs: int, outputs: int, time_stride: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, (4, 4 if time_stride == 2 else 3), (2, time_stride), 1)


class DoubleConvolution(nn.Module):
    """Two 3 x 3 convolutions, each with batch norm and leaky ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        layers = [
            (nn.Conv2d(width, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))
            for width in (inputs, outputs)
        ]
        self.conv = nn.Sequential(*(layer for group in layers for layer in group))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, C', F, T)."""
        return self.conv(x)


class UpConvolution(nn.Module):
    """Twice as many frequencies, then a 3 x 3 convolution with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        up = nn.Upsample(scale_factor=(2.0, 1.0))
        self.up = nn.Sequential(
            up, nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) -> (B, C', 2 F, T)."""
        return self.up(x)


class UNet(nn.Module):
    """(B, inputs, F, T) and what is seen -> (B, outputs, F, T), no activation at the end.

    What is seen is (B, visual, 1, T / product of time_strides).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        visual: int,
        *,
        widths: tuple[int, ...] = PUBLISHED_WIDTHS,
        time_strides: tuple[int, int] = (2, 2),
    ):
        super().__init__()
        w = widths
        self.audionet_convlayer1 = _strided(inputs, w[0], time_strides[0])
        self.audionet_convlayer2 = _strided(w[0], w[1], time_strides[1])
        for i in range(2, 8):
            self.add_module(f"audionet_convlayer{i + 1}", DoubleConvolution(w[i - 1], w[i]))
        self.frequency_pool = nn.MaxPool2d((2, 1))
        # a layer up gives the width of the layer down two above it, whose skip it will meet
        into, out = visual + w[7], (w[6], w[5], w[4], w[3], w[2], w[1])
        for i, (skip, width) in enumerate(zip(w[6:0:-1], out, strict=True)):
            self.add_module(f"audionet_upconvlayer{i + 1}", UpConvolution(into, width))
            into = width + skip
        seventh = _transposed(into, w[0], time_strides[1])
        self.audionet_upconvlayer7 = nn.Sequential(seventh, nn.BatchNorm2d(w[0]), nn.ReLU())
        self.audionet_upconvlayer8 = nn.Sequential(_transposed(2 * w[0], outputs, time_strides[0]))

    def forward(self, x: Tensor, visual: Tensor) -> Tensor:
        """Run down, join what is seen with the lowest layer, run up."""
        skips = []
        for i in range(1, 9):
            x = getattr(self, f"audionet_convlayer{i}")(x)
            if i > 2:
                x = self.frequency_pool(x)
            skips.append(x)
        x = torch.cat([visual.expand(-1, -1, x.shape[2], -1), skips.pop()], 1)
        for i in range(1, 9):
            x = getattr(self, f"audionet_upconvlayer{i}")(x)
            if skips:
                x = torch.cat([x, skips.pop()], 1)
        return x
