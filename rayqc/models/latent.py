"""The interface of every encoder's network.

Shape suffixes: N images, C H W pixels, D latent, F features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor, nn

MIDDLE = "middle"
"""Inner features of a layer half way through a network: the mean of each channel."""
PLACES = "places"
"""Inner features of a layer some three quarters through it: each channel's mean at nine places."""


class LatentNetwork(nn.Module, ABC):
    """A network that gives a latent for each image."""

    latent_dim: int
    """D."""
    computes: bool = True
    """False for one that gives no latents, since they come with the images."""
    inner_dims: Mapping[str, int] = MappingProxyType({})
    """Features of inner layers that `latent_and_inner` gives as well: names, and how many each."""

    @abstractmethod
    def latent(self, x_NCHW: Tensor) -> Tensor:
        """Latents of images.

        Args:
            x_NCHW: (N, C, H, W) float pixels in [0, 1].

        Returns:
            (N, D) float.
        """

    def latent_and_inner(self, x_NCHW: Tensor) -> Tensor:
        """Latents of images and, beside them, features of inner layers, in `inner_dims`' order.

        Args:
            x_NCHW: as for `latent`.

        Returns:
            (N, F) float; F is D and the sum of `inner_dims`.
        """
        return self.latent(x_NCHW)

    def for_inference(self) -> LatentNetwork:
        """What gives the same latents, and may do so sooner; it is neither trained nor saved."""
        return self
