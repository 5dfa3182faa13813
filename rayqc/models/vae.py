"""The paper's variational autoencoder (Halmuratov & Vesely, Tables 1 and 2).

Shape suffixes: N images, C H W pixels, D latent.

At width 1, for images of 28x28x1, the layers and their parameter counts are those of the tables:

    encoder   conv 3x3 /2, 512         5,120      decoder   dense 7*7*1024      5,067,776
              conv 3x3 /2, 1024    4,719,616                transposed 3x3 /2, 1024  9,438,208
              dense 400           20,070,800                transposed 3x3 /2, 512   4,719,104
              z_mean, z_log_var     40,100 each             conv 3x3, C (4,609 at C = 1)

Table 2 lacks the output layer; the last line is ours, the smallest layer that fits. ReLU between
layers, a sigmoid at the end, and one pixel of padding on each side are ours too: the paper names
none of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rayqc.errors import ConfigError
from rayqc.models.latent import LatentNetwork


@dataclass(frozen=True, kw_only=True)
class VAEShape:
    """The sizes that decide the network's parameters.

    Raises:
        ConfigError: `size` is no multiple of 4.
    """

    size: int
    """Height and width in pixels, a multiple of 4."""
    channels: int
    """C of the images."""
    width: float = 1.0
    """Factor on the paper's 512, 1024 and 400 units; 1 is the paper's network."""
    latent_dim: int = 100
    """D."""

    def __post_init__(self) -> None:
        if self.size < 4 or self.size % 4:
            raise ConfigError(f"image size must be a multiple of 4, found {self.size}")

    def scaled(self, units: int) -> int:
        """The paper's number of units times `width`, rounded, at least 1."""
        return max(1, round(units * self.width))

    def as_dict(self) -> dict[str, float]:
        """All fields, for JSON."""
        return asdict(self)


class VAE(LatentNetwork):
    """Encoder to the mean and log-variance of a Gaussian, decoder back to pixels in [0, 1]."""

    def __init__(self, shape: VAEShape) -> None:
        super().__init__()
        self.shape = shape
        self.latent_dim = shape.latent_dim
        first, second, hidden = shape.scaled(512), shape.scaled(1024), shape.scaled(400)
        side = shape.size // 4
        self.grid = (second, side, side)
        flat = second * side * side
        self.encoder = nn.ModuleDict(
            {
                "conv1": nn.Conv2d(shape.channels, first, 3, stride=2, padding=1),
                "conv2": nn.Conv2d(first, second, 3, stride=2, padding=1),
                "dense": nn.Linear(flat, hidden),
                "z_mean": nn.Linear(hidden, shape.latent_dim),
                "z_log_var": nn.Linear(hidden, shape.latent_dim),
            }
        )
        self.decoder = nn.ModuleDict(
            {
                "dense": nn.Linear(shape.latent_dim, flat),
                "deconv1": _doubling(second, second),
                "deconv2": _doubling(second, first),
                "output": nn.Conv2d(first, shape.channels, 3, padding=1),
            }
        )

    def latent(self, x_NCHW: Tensor) -> Tensor:
        """See `LatentNetwork.latent`. The latent is the mean, never a sample."""
        return self.encode(x_NCHW)[0]

    def encode(self, x_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the Gaussian of each image.

        Args:
            x_NCHW: (N, C, H, W) float pixels in [0, 1].

        Returns:
            (N, D) float each.
        """
        hidden = F.relu(self.encoder["conv1"](x_NCHW))
        hidden = F.relu(self.encoder["conv2"](hidden))
        hidden = F.relu(self.encoder["dense"](hidden.flatten(1)))
        return self.encoder["z_mean"](hidden), self.encoder["z_log_var"](hidden)

    def decode_logits(self, z_ND: Tensor) -> Tensor:
        """(N, C, H, W) float pixels before the sigmoid, from (N, D) float latents."""
        hidden = F.relu(self.decoder["dense"](z_ND)).reshape(-1, *self.grid)
        hidden = F.relu(self.decoder["deconv1"](hidden))
        hidden = F.relu(self.decoder["deconv2"](hidden))
        logits: Tensor = self.decoder["output"](hidden)
        return logits

    def forward(self, x_NCHW: Tensor, noise_ND: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The reconstruction from mean + exp(log_var / 2) * noise.

        Args:
            x_NCHW: (N, C, H, W) float pixels in [0, 1].
            noise_ND: (N, D) float, standard normal.

        Returns:
            Logits of the reconstruction (N, C, H, W); mean and log-variance (N, D) each.
        """
        mean_ND, log_var_ND = self.encode(x_NCHW)
        z_ND = mean_ND + torch.exp(0.5 * log_var_ND) * noise_ND
        return self.decode_logits(z_ND), mean_ND, log_var_ND


def pixels_to_input(images_NHWC: Tensor) -> Tensor:
    """Pixels as networks take them: uint8 (N, H, W, C) to float32 (N, C, H, W) in [0, 1]."""
    return images_NHWC.permute(0, 3, 1, 2).float() / 255


def _doubling(fan_in: int, fan_out: int) -> nn.ConvTranspose2d:
    """A transposed convolution that doubles height and width."""
    return nn.ConvTranspose2d(fan_in, fan_out, 3, stride=2, padding=1, output_padding=1)
