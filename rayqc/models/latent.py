"""What an encoder's network is.

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
        """(N, D) of float pixels (N, C, H, W) in [0, 1]."""
