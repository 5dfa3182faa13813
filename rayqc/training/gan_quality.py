"""How good a generator is: a classifier trained on its samples, asked about real images.

Shape suffixes: N images, F features.

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
MOST_JUDGED = 2000
"""Real images, evenly spaced where there are more."""
BATCH = 100


@torch.no_grad()
def gan_quality(
    generator: Generator, images_NHWC: np.ndarray, label_N: np.ndarray
) -> dict[str, float]:
    """`accuracy` and `loss` (nats) on real images of a classifier trained on samples.

    Args:
        generator: in evaluation mode.
        images_NHWC: real images, best those it was not trained on.
    """
    classes = generator.shape.classes
    made_N = torch.arange(max(SAMPLES, LEAST_A_CLASS * classes)) % classes
    rng = torch.Generator().manual_seed(0)
    parts = [edge_histograms(_samples(generator, part, rng)) for part in torch.split(made_N, BATCH)]
    with torch.enable_grad():
        head = train_softmax(torch.cat(parts), made_N, classes)
    row_N = evenly(len(label_N), MOST_JUDGED)
    asked = torch.split(torch.from_numpy(images_NHWC[row_N]), BATCH)
    logit_NK = head(torch.cat([edge_histograms(pixels_to_input(part)) for part in asked]))
    own_N = torch.from_numpy(label_N[row_N])
    return {
        "accuracy": float((logit_NK.argmax(1) == own_N).float().mean()),
        "loss": float(F.cross_entropy(logit_NK, own_N)),
    }


def _samples(generator: Generator, label_N: Tensor, rng: torch.Generator) -> Tensor:
    device = next(generator.parameters()).device
    z_NZ = torch.randn(len(label_N), generator.shape.noise_dim, generator=rng)
    found: Tensor = generator(z_NZ.to(device), label_N.to(device)).cpu()
    return found
