"""Train a backbone on the reference images: on their labels, or on augmented views of them.

Shape suffixes: N images, H W C pixels, D latent.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rayqc.models.backbone import Backbone
from rayqc.models.vae import pixels_to_input
from rayqc.seeds import CONTRASTIVE_BATCHES
from rayqc.training.augment import random_affine, random_flip
from rayqc.training.classifier import ClassifierSettings, train_classifier

TEMPERATURE = 0.2
"""Cosine similarities are divided by it before the softmax."""
PROJECTED = 64
"""Dimensions of a view after the projection head, which is dropped after training."""


def train_supervised(
    images_NHWC: np.ndarray,
    label_N: np.ndarray,
    classes: int,
    settings: ClassifierSettings,
    seed: int,
    device: str = "cpu",
) -> Backbone:
    """The convolutions of a classifier trained on the reference images.

    Args:
        images_NHWC: (N, H, W, C) uint8.
        label_N: (N,) int64 in [0, classes).

    Returns:
        A backbone on the CPU, in evaluation mode.
    """
    classifier = train_classifier(images_NHWC, label_N, classes, settings, seed, device)
    backbone = Backbone(images_NHWC.shape[3], settings.width)
    backbone.features.load_state_dict(classifier.features.state_dict())
    return backbone.eval()


def train_contrastive(
    images_NHWC: np.ndarray, settings: ClassifierSettings, seed: int, device: str = "cpu"
) -> Backbone:
    """A backbone trained so that views of one image have nearer latents than views of two images.

    Args:
        images_NHWC: (N, H, W, C) uint8.

    Returns:
        A backbone on the CPU, in evaluation mode.

    Source: SimCLR (Chen et al. 2020), with affine views; labels are not used.
    """
    torch.manual_seed(seed)
    backbone = Backbone(images_NHWC.shape[3], settings.width).to(device)
    head = nn.Sequential(
        nn.Linear(backbone.latent_dim, backbone.latent_dim),
        nn.GELU(),
        nn.Linear(backbone.latent_dim, PROJECTED),
    ).to(device)
    parameters = [*backbone.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=1e-4)
    batch_rng = np.random.default_rng([seed, CONTRASTIVE_BATCHES])
    view_rng = torch.Generator().manual_seed(seed)
    batch_size = min(settings.batch_size, len(images_NHWC))
    backbone.train()
    for _ in range(settings.steps):
        rows = batch_rng.choice(len(images_NHWC), batch_size, replace=False)
        x_NCHW = pixels_to_input(torch.from_numpy(images_NHWC[rows]).to(device))
        views = [random_affine(x_NCHW, view_rng) for _ in range(2)]
        if settings.flip:
            views = [random_flip(view, view_rng) for view in views]
        z_ND = F.normalize(head(backbone(torch.cat(views))), dim=1)
        similarity_NN = z_ND @ z_ND.T / TEMPERATURE
        similarity_NN = similarity_NN.masked_fill(
            torch.eye(len(similarity_NN), dtype=torch.bool, device=z_ND.device), -1e9
        )
        partner_N = torch.arange(2 * batch_size, device=z_ND.device).roll(batch_size)
        loss = F.cross_entropy(similarity_NN, partner_N)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return backbone.cpu().eval()
