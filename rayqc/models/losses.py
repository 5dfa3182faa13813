"""The two terms of the VAE's objective (Kingma & Welling 2014).

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Reconstruction = Literal["bce", "mse"]

ACTIVE_KL = 0.1
"""Nats of mean KL above which a latent unit counts as active (ours; Burda et al. 2016 use
the variance of the mean instead)."""


def reconstruction_loss(logits_NCHW: Tensor, x_NCHW: Tensor, kind: Reconstruction) -> Tensor:
    """Reconstruction loss of each image, summed over pixels.

    Args:
        logits_NCHW: (N, C, H, W) float, the reconstruction before the sigmoid.
        x_NCHW: (N, C, H, W) float pixels in [0, 1].
        kind: `bce`, cross-entropy in nats, or `mse`, half the squared error.

    Returns:
        (N,) float.
    """
    if kind == "bce":
        loss = F.binary_cross_entropy_with_logits(logits_NCHW, x_NCHW, reduction="none")
    else:
        loss = 0.5 * (torch.sigmoid(logits_NCHW) - x_NCHW) ** 2
    return loss.flatten(1).sum(1)


def kl_to_standard_normal(mean_ND: Tensor, log_var_ND: Tensor) -> Tensor:
    """KL(N(mean, var) || N(0, 1)) of each latent unit.

    Args:
        mean_ND: (N, D) float.
        log_var_ND: (N, D) float, logarithm of the variance.

    Returns:
        (N, D) float, nats.
    """
    return 0.5 * (mean_ND**2 + log_var_ND.exp() - 1 - log_var_ND)
