"""An image tower that was trained elsewhere, behind the mean and spread its weights expect.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from rayqc.encoders.base import MadeEncoder, Shape
from rayqc.encoders.folded import folded
from rayqc.images.look import ImageShape
from rayqc.models.latent import LatentNetwork


class Tower(LatentNetwork):
    """A network of normalised pixels to latents."""

    def __init__(self, network: nn.Module, shape: Shape) -> None:
        """Take a network that gives (N, ...), and encode one blank image to learn D.

        Args:
            network: of (N, 3, `size`, `size`) normalised pixels.
            shape: has `size`, and `mean` and `spread` of each RGB channel's pixels in [0, 1].
        """
        super().__init__()
        self.network = network.eval()
        self.size: int = shape["size"]
        self.mean_C: Tensor
        self.spread_C: Tensor
        self.register_buffer("mean_C", torch.tensor(shape["mean"]), persistent=False)
        self.register_buffer("spread_C", torch.tensor(shape["spread"]), persistent=False)
        with torch.inference_mode():
            blank = torch.zeros(1, 3, shape["size"], shape["size"])
            self.latent_dim = int(self.latent(blank).shape[1])

    def latent(self, x_NCHW: Tensor) -> Tensor:
        """See `LatentNetwork.latent`."""
        mean, spread = (values.view(1, 3, 1, 1) for values in (self.mean_C, self.spread_C))
        output: Tensor = self.network((x_NCHW - mean) / spread)
        return output.flatten(1)

    def for_inference(self) -> LatentNetwork:
        """See `LatentNetwork.for_inference`."""
        return folded(self, self.size)


def made_tower(network: nn.Module, shape: Shape) -> MadeEncoder:
    """An encoder that is not yet written to disk."""
    tower = Tower(network, shape)
    return MadeEncoder(network=tower, shape=shape, record={"latent_dim": tower.latent_dim})


def input_of(shape: Shape) -> ImageShape:
    """How images are brought to a tower: the square in the middle, as its weights ask."""
    interpolation: Literal["bilinear", "bicubic"] = shape["interpolation"]
    return ImageShape(
        size=shape["size"],
        channels=3,
        kept_share=shape["kept_share"],
        interpolation=interpolation,
    )
