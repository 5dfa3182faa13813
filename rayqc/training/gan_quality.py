"""The quality of a generator: how well a classifier trained on its samples labels real images.

Shape suffixes: N images, B images of a batch, Z noise, F features, K classes.

Source: the classification accuracy score (Ravuri & Vinyals 2019). Ours: a linear classifier on
edge histograms, which takes a second, and its cross-entropy beside the accuracy.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rayqc.models.features import edge_histograms
from rayqc.models.gan import Generator
from rayqc.models.vae import pixels_to_input
from rayqc.training.softmax import train_softmax
from rayqc.units import evenly

SAMPLES = 2000
LEAST_A_CLASS = 10
"""Samples of each class at least; many classes need more than `SAMPLES` in all."""
MOST_JUDGED = 2000
"""Real images at most; a larger set is sampled evenly."""
BATCH = 100


@torch.no_grad()
def gan_quality(
    generator: Generator, images_NHWC: np.ndarray, label_N: np.ndarray
) -> dict[str, float]:
    """`accuracy` and `loss` (nats) on real images of a classifier trained on samples.

    Args:
        generator: in evaluation mode.
        images_NHWC: (N, H, W, C) uint8 real images, preferably held out of its training.
        label_N: (N,) int64.
    """
    classes = generator.shape.classes
    sample_label_N = torch.arange(max(SAMPLES, LEAST_A_CLASS * classes)) % classes
    rng = torch.Generator().manual_seed(0)
    features = [
        edge_histograms(_samples(generator, label_B, rng))
        for label_B in torch.split(sample_label_N, BATCH)
    ]
    with torch.enable_grad():
        head = train_softmax(torch.cat(features), sample_label_N, classes)
    row_N = evenly(len(label_N), MOST_JUDGED)
    pixel_batches = torch.split(torch.from_numpy(images_NHWC[row_N]), BATCH)
    logit_NK = head(torch.cat([edge_histograms(pixels_to_input(batch)) for batch in pixel_batches]))
    real_label_N = torch.from_numpy(label_N[row_N])
    return {
        "accuracy": float((logit_NK.argmax(1) == real_label_N).float().mean()),
        "loss": float(F.cross_entropy(logit_NK, real_label_N)),
    }


def _samples(generator: Generator, label_N: Tensor, rng: torch.Generator) -> Tensor:
    device = next(generator.parameters()).device
    z_NZ = torch.randn(len(label_N), generator.shape.noise_dim, generator=rng)
    sample_NCHW: Tensor = generator(z_NZ.to(device), label_N.to(device)).cpu()
    return sample_NCHW
