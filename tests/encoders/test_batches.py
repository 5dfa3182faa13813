"""Batches of an encoder: of a size that suits the images, and padded, with the same latents."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rayqc.encoders.batches import LatentEncoder
from rayqc.models.batches import MOST_PIXELS
from rayqc.models.latent import LatentNetwork


class Means(LatentNetwork):
    """Mean of each quarter; keeps the sizes of the batches it was given."""

    latent_dim = 12

    def __init__(self):
        super().__init__()
        self.sizes = []

    def latent(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x_NCHW))
        return F.adaptive_avg_pool2d(x_NCHW, 2).flatten(1)


@pytest.mark.parametrize(
    ("side", "expected"), [(28, 128), (64, 128), (90, 128), (92, 64), (224, 16), (1100, 1)]
)
def test_large_images_go_in_smaller_batches(side, expected, rng):
    network = Means()
    count = min(2 * expected + 1, 140)
    images = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    latent = LatentEncoder(network, 128).encode(images)
    assert set(network.sizes) == {expected}
    assert expected == 128 or expected * side * side <= max(MOST_PIXELS, side * side)
    quarters = images.reshape(count, 2, side // 2, 2, side // 2, 3).mean((2, 4))
    np.testing.assert_allclose(
        latent, quarters.transpose(0, 3, 1, 2).reshape(count, 12) / 255, atol=1e-4
    )
