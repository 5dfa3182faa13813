"""The interface of every encoder's network.

Shape suffixes: N images, C H W pixels, D latent, M middle features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class LatentNetwork(nn.Module, ABC):
    """A network that gives a latent for each image."""

    latent_dim: int
    """D."""
    computes: bool = True
    """False for one that gives no latents, since they come with the images."""
    middle_dim: int = 0
    """M, middle features that `latent_and_middle` gives as well; 0 where there are none."""

    @abstractmethod
    def latent(self, x_NCHW: Tensor) -> Tensor:
        """Latents of images.

        Args:
            x_NCHW: (N, C, H, W) float pixels in [0, 1].

        Returns:
            (N, D) float.
        """

    def latent_and_middle(self, x_NCHW: Tensor) -> Tensor:
        """Latents of images and, beside them, the features of a middle layer.

        Args:
            x_NCHW: as for `latent`.

        Returns:
            (N, D + M) float.
        """
        return self.latent(x_NCHW)

    def for_inference(self) -> LatentNetwork:
        """What gives the same latents, and may do so sooner; it is neither trained nor saved."""
        return self
