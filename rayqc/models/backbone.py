"""An encoder network made of the small classifier's convolutions.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rayqc.models.classifier import Classifier
from rayqc.models.latent import LatentNetwork


class Backbone(LatentNetwork):
    """Mean and maximum over positions of the classifier's last stage; D is 8 times the width."""

    def __init__(self, channels: int, width: int) -> None:
        """Build the network with random weights.

        Args:
            channels: C of the images.
            width: channels of the first of three stages.
        """
        super().__init__()
        self.features = Classifier(channels, 1, width).features
        self.latent_dim = 2 * 4 * width

    def latent(self, x_NCHW: Tensor) -> Tensor:
        """See `LatentNetwork.latent`."""
        maps_NCHW = self.features(2 * x_NCHW - 1)
        return torch.cat([maps_NCHW.mean((2, 3)), maps_NCHW.amax((2, 3))], dim=1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """The output of `latent`, so that training can call the module."""
        return self.latent(x_NCHW)
