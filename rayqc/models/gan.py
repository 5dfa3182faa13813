"""A class-conditional GAN of DCGAN's size: generator and discriminator.

Shape suffixes: N images, C H W pixels, Z noise, K classes.

Source: DCGAN (Radford et al. 2015) for the sizes; conditional batch normalisation and a
projection discriminator (Miyato & Koyama 2018) for the classes. Ours: nearest-neighbour upsampling
in place of transposed convolutions, which leave checks; the class stands beside the noise as well;
a dense layer in the discriminator in place of a sum over places; and a gradient penalty in place of
spectral normalisation (docs/generators.md).
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2
"""Of the discriminator's leaky ReLU."""
SEEN = 128
"""Features of a whole image that the discriminator judges by."""


@dataclass(frozen=True, kw_only=True)
class GANShape:
    """All that decides the networks' parameters."""

    size: int
    """Height and width, a multiple of 4."""
    channels: int
    """Of the image."""
    classes: int
    width: int = 16
    """Channels at full resolution; each halving of the side doubles them."""
    noise_dim: int = 64

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return asdict(self)

    @property
    def levels(self) -> int:
        """How often the side is halved: 2 up to 32 pixels, then until 8 to 14 are left."""
        levels, side = 2, self.size // 4
        while side % 2 == 0 and side > 14:
            levels, side = levels + 1, side // 2
        return levels


class Generator(nn.Module):
    """Noise and a class to an image."""

    def __init__(self, shape: GANShape) -> None:
        super().__init__()
        self.shape = shape
        side = shape.size >> shape.levels
        widths = [shape.width << level for level in range(shape.levels, -1, -1)]
        self.grid = (widths[0], side, side)
        self.classes = nn.Embedding(shape.classes, shape.noise_dim)
        self.dense = nn.Linear(2 * shape.noise_dim, widths[0] * side * side)
        self.first = _ClassNorm(widths[0], shape.classes)
        pairs = itertools.pairwise(widths)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs)
        self.norms = nn.ModuleList(_ClassNorm(b, shape.classes) for b in widths[1:])
        self.output = nn.Conv2d(widths[-1], shape.channels, 3, padding=1)

    def forward(self, z_NZ: Tensor, label_N: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1]."""
        both = torch.cat([z_NZ, self.classes(label_N)], dim=1)
        hidden = F.relu(self.first(self.dense(both).reshape(-1, *self.grid), label_N))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            hidden = F.interpolate(hidden, scale_factor=2.0, mode="nearest")
            hidden = F.relu(norm(conv(hidden), label_N))
        return torch.sigmoid(self.output(hidden))


class Discriminator(nn.Module):
    """How real an image looks for its class: a logit."""

    def __init__(self, shape: GANShape) -> None:
        super().__init__()
        widths = [shape.width << level for level in range(shape.levels + 1)]
        self.first = nn.Conv2d(shape.channels, widths[0], 3, padding=1)
        pairs = itertools.pairwise(widths)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairs)
        # Not a sum over places: that sees patches, never the whole, and lets classes collapse.
        self.dense = nn.Linear(widths[-1] * (shape.size >> shape.levels) ** 2, SEEN)
        self.output = nn.Linear(SEEN, 1)
        self.classes = nn.Embedding(shape.classes, SEEN)

    def forward(self, x_NCHW: Tensor, label_N: Tensor) -> Tensor:
        """(N,) logits of pixels in [0, 1]."""
        hidden = F.leaky_relu(self.first(2 * x_NCHW - 1), SLOPE)
        for conv in self.convs:
            hidden = F.leaky_relu(conv(hidden), SLOPE)
        seen = F.leaky_relu(self.dense(hidden.flatten(1)), SLOPE)
        found: Tensor = self.output(seen)[:, 0] + (self.classes(label_N) * seen).sum(1)
        return found


class _ClassNorm(nn.Module):
    """Batch normalisation whose gain and offset are the class's own."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.gain = nn.Embedding(classes, width)
        self.offset = nn.Embedding(classes, width)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.offset.weight)

    def forward(self, x_NCHW: Tensor, label_N: Tensor) -> Tensor:
        gain, offset = self.gain(label_N), self.offset(label_N)
        found: Tensor = self.norm(x_NCHW) * gain[:, :, None, None] + offset[:, :, None, None]
        return found
