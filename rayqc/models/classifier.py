"""A small convolutional classifier, trained from scratch in each arm.

It has three stages, each of two 3x3 convolutions with batch normalisation and GELU and a halving of
the side. The mean and the maximum over positions then enter a linear layer.

Shape suffixes: N images, C H W pixels, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Classifier(nn.Module):
    """A network from images, of any side from 8 pixels, to one logit for each class."""

    def __init__(self, channels: int, classes: int, width: int, shrink: int = 1) -> None:
        """Build the network with random weights.

        Args:
            channels: C.
            classes: K.
            width: channels of the first stage; the next two have 2 and 4 times as many.
            shrink: images are first averaged over squares of this many pixels a side, and must have
                8 pixels a side or more after that.
        """
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
        """(N, K) logits of (N, C, H, W) pixels in [0, 1], which are scaled to [-1, 1] here."""
        if self.shrink > 1:
            x_NCHW = F.avg_pool2d(x_NCHW, self.shrink)
        features = self.features(2 * x_NCHW - 1)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        logits: Tensor = self.head(pooled)
        return logits


def fold(model: Classifier) -> Classifier:
    """Fold a classifier's batch norms into its convolutions, in place, for evaluation only.

    Returns:
        The same object, in evaluation mode.
    """
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
