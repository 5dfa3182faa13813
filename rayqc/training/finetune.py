"""A pretrained network whose later half is trained on, with a linear head on its latents.

Shape suffixes: N images, C H W pixels, K classes.
"""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn

from rayqc.models.latent import LatentNetwork
from rayqc.training.softmax import SoftmaxHead

FROZEN_SHARE = 0.5
"""Of the network's tensors of parameters, the first in their order, which follows its depth."""


class Finetuned(nn.Module):
    """Logits from a network's latents; its first half is frozen, and so are its batch statistics.

    With a few images a class those would be estimated anew from too few.
    """

    def __init__(self, network: LatentNetwork, head: SoftmaxHead) -> None:
        """Take the network, which is changed by training, and a head that tells classes already."""
        super().__init__()
        self.network = network
        self.weight_FK = nn.Parameter(head.weight_FK.clone())
        self.bias_K = nn.Parameter(head.bias_K.clone())
        tensors = list(network.parameters())
        for number, tensor in enumerate(tensors):
            tensor.requires_grad_(number >= FROZEN_SHARE * len(tensors))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, K) logits of (N, C, H, W) float pixels in [0, 1]."""
        return self.network.latent(x_NCHW) @ self.weight_FK + self.bias_K

    def train(self, mode: bool = True) -> Self:
        """The network stays in evaluation mode."""
        super().train(mode)
        self.network.eval()
        return self
