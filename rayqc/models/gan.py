"""A class-conditional GAN of DCGAN's size: generator and discriminator.

Shape suffixes: N images, C H W pixels, Z noise, K classes.

Source: DCGAN (Radford et al. 2015) for the sizes; conditional batch normalisation and a
projection discriminator (Miyato & Koyama 2018) for the classes. Ours: nearest-neighbour upsampling
in place of transposed convolutions, which leave checkerboard patterns; a class embedding beside the
noise as well; a dense layer in the discriminator in place of a sum over positions; and a gradient
penalty in place of spectral normalisation (docs/generators.md).
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2
"""Slope of the discriminator's leaky ReLU below 0."""
SEEN = 128
"""Number of features of a whole image that the discriminator computes its logit from."""


@dataclass(frozen=True, kw_only=True)
class GANShape:
    """The sizes that decide the networks' parameters."""

    size: int
    """Height and width in pixels, a multiple of 4."""
    channels: int
    """C of the images."""
    classes: int
    """K."""
    width: int = 16
    """Channels at full resolution; each halving of the side doubles them."""
    noise_dim: int = 64
    """Z."""

    def as_dict(self) -> dict[str, int]:
        """All fields, for JSON."""
        return asdict(self)

    @property
    def levels(self) -> int:
        """How often the side is halved: 2 up to 32 pixels, then until 8 to 14 are left."""
        levels, side = 2, self.size // 4
        while side % 2 == 0 and side > 14:
            levels, side = levels + 1, side // 2
        return levels


class Generator(nn.Module):
    """A network from noise and a class to an image."""

    def __init__(self, shape: GANShape) -> None:
        super().__init__()
        self.shape = shape
        side = shape.size >> shape.levels
        widths = [shape.width << level for level in range(shape.levels, -1, -1)]
        self.grid = (widths[0], side, side)
        self.classes = nn.Embedding(shape.classes, shape.noise_dim)
        self.dense = nn.Linear(2 * shape.noise_dim, widths[0] * side * side)
        self.first = _ClassNorm(widths[0], shape.classes)
        fans = itertools.pairwise(widths)
        self.convs = nn.ModuleList(
            nn.Conv2d(fan_in, fan_out, 3, padding=1) for fan_in, fan_out in fans
        )
        self.norms = nn.ModuleList(_ClassNorm(width, shape.classes) for width in widths[1:])
        self.output = nn.Conv2d(widths[-1], shape.channels, 3, padding=1)

    def forward(self, z_NZ: Tensor, label_N: Tensor) -> Tensor:
        """Images of given classes.

        Args:
            z_NZ: (N, Z) float, standard normal noise.
            label_N: (N,) int64, classes.

        Returns:
            (N, C, H, W) float pixels in [0, 1].
        """
        input_N2Z = torch.cat([z_NZ, self.classes(label_N)], dim=1)
        hidden = F.relu(self.first(self.dense(input_N2Z).reshape(-1, *self.grid), label_N))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            hidden = F.interpolate(hidden, scale_factor=2.0, mode="nearest")
            hidden = F.relu(norm(conv(hidden), label_N))
        return torch.sigmoid(self.output(hidden))


class Discriminator(nn.Module):
    """A network from an image and its class to a logit, larger for an image that looks real."""

    def __init__(self, shape: GANShape) -> None:
        super().__init__()
        widths = [shape.width << level for level in range(shape.levels + 1)]
        self.first = nn.Conv2d(shape.channels, widths[0], 3, padding=1)
        fans = itertools.pairwise(widths)
        self.convs = nn.ModuleList(
            nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1) for fan_in, fan_out in fans
        )
        # A sum over positions would judge patches and never the whole, and lets classes collapse.
        self.dense = nn.Linear(widths[-1] * (shape.size >> shape.levels) ** 2, SEEN)
        self.output = nn.Linear(SEEN, 1)
        self.classes = nn.Embedding(shape.classes, SEEN)

    def forward(self, x_NCHW: Tensor, label_N: Tensor) -> Tensor:
        """Logits of images under given classes.

        Args:
            x_NCHW: (N, C, H, W) float pixels in [0, 1].
            label_N: (N,) int64, classes.

        Returns:
            (N,) float.
        """
        hidden = F.leaky_relu(self.first(2 * x_NCHW - 1), SLOPE)
        for conv in self.convs:
            hidden = F.leaky_relu(conv(hidden), SLOPE)
        features = F.leaky_relu(self.dense(hidden.flatten(1)), SLOPE)
        logit_N: Tensor = self.output(features)[:, 0] + (self.classes(label_N) * features).sum(1)
        return logit_N


class _ClassNorm(nn.Module):
    """Batch normalisation with a gain and an offset for each class."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.gain = nn.Embedding(classes, width)
        self.offset = nn.Embedding(classes, width)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.offset.weight)

    def forward(self, x_NCHW: Tensor, label_N: Tensor) -> Tensor:
        gain, offset = self.gain(label_N), self.offset(label_N)
        normed_NCHW: Tensor = self.norm(x_NCHW) * gain[:, :, None, None] + offset[:, :, None, None]
        return normed_NCHW
