"""The interface of every encoder's network.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class LatentNetwork(nn.Module, ABC):
    """A network that gives a latent for each image."""

    latent_dim: int
    """D."""

    @abstractmethod
    def latent(self, x_NCHW: Tensor) -> Tensor:
        """Latents of images.

        Args:
            x_NCHW: (N, C, H, W) float pixels in [0, 1].

        Returns:
            (N, D) float.
        """
