"""A small convolutional classifier, trained from scratch in each arm.

Three stages of two 3x3 convolutions with batch normalisation and GELU, each halving
the side, then mean and maximum over places and a linear layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Classifier(nn.Module):
    """(N, C, H, W) pixels in [0, 1] to (N, K) logits; any side of 8 pixels or more.

    Images are averaged over squares of `shrink` pixels first, which leave 8 or more a side.
    """

    def __init__(self, channels: int, classes: int, width: int, shrink: int = 1) -> None:
        super().__init__()
        self.shrink = shrink
        stages: list[nn.Module] = []
        fan_in = channels
        for fan_out in (width, 2 * width, 4 * width):
            stages += [_conv(fan_in, fan_out), _conv(fan_out, fan_out), nn.MaxPool2d(2)]
            fan_in = fan_out
        self.features = nn.Sequential(*stages)
        self.head = nn.Linear(2 * fan_in, classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits; inputs are centred to [-1, 1] here."""
        if self.shrink > 1:
            x_NCHW = F.avg_pool2d(x_NCHW, self.shrink)
        features = self.features(2 * x_NCHW - 1)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        logits: Tensor = self.head(pooled)
        return logits


def fold(model: Classifier) -> Classifier:
    """The model itself, for evaluation only: its batch norms folded into its convolutions."""
    model.eval()
    for block in model.features:
        if isinstance(block, nn.Sequential):
            convolution, norm = block[0], block[1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[0], block[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return model


def _conv(fan_in: int, fan_out: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False), nn.BatchNorm2d(fan_out), nn.GELU()
    )
