"""Label view `pool`: linear classifiers that learned from images and labels of the pool itself.

Where most labels of a pool are right, its many images say what a class looks like better than few
references do (confident learning; Northcutt, Jiang & Chuang 2021). Every image is judged by a
classifier that learned from the other folds alone; only how hard they learn is chosen on all. Its
fold comes from its pixels, so that copies are in one fold. No reference is among the images learned
from, so the references measure what the view is worth as they do for any other, and where a pool's
labels are wrong it has no say.

Shape suffixes: N images, C H W pixels, D latent, F features, K classes.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rayqc.models.features import edge_histograms
from rayqc.models.vae import pixels_to_input
from rayqc.regions.base import Candidates
from rayqc.regions.views.base import BATCH, FittedView, ViewBatch, ViewKind, ViewTask
from rayqc.regions.views.edges import NAME as EDGES
from rayqc.regions.views.latent import NAME as LATENT
from rayqc.storage.artefact import prefixed, under
from rayqc.training.softmax import SoftmaxHead, train_softmax

NAME = "pool"
FOLDS = 5
PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""Weights of half the squared weights that are tried. The more of a pool's labels are wrong, the
larger is the best."""


@dataclass(frozen=True, kw_only=True)
class PoolView:
    """A linear classifier for each fold, on latents or on edge histograms."""

    looks_at: str
    """`latent` or `edges`."""
    heads: tuple[SoftmaxHead, ...]
    """In the folds' order; each learned from all folds but its own."""

    def log_probability(self, batch: ViewBatch) -> Tensor:
        """See `FittedView.log_probability`."""
        features_NF = batch.latent_ND if self.looks_at == LATENT else edge_histograms(batch.x_NCHW)
        fold_N = folds_of_pixels(batch.x_NCHW, len(self.heads))
        return out_of_fold(self.heads, features_NF, fold_N)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedView.arrays`."""
        arrays: dict[str, np.ndarray] = {}
        for fold, head in enumerate(self.heads):
            arrays |= prefixed(head.arrays(), f"{NAME}.{self.looks_at}.{fold}")
        return arrays


def out_of_fold(heads: Sequence[SoftmaxHead], features_NF: Tensor, fold_N: Tensor) -> Tensor:
    """(N, K) log-probabilities, nats: of each image by the head that has not learned from it."""
    found_NK = torch.zeros(len(features_NF), len(heads[0].bias_K))
    for fold, head in enumerate(heads):
        rows = fold_N == fold
        found_NK[rows] = F.log_softmax(head(features_NF[rows]), dim=1)
    return found_NK


def folds_of_pixels(x_NCHW: Tensor, folds: int) -> Tensor:
    """(N,) int64 in [0, folds): a checksum of each image's pixels, which are in [0, 1]."""
    pixels_NCHW = (x_NCHW * 255).round().to(torch.uint8).numpy()
    return torch.tensor([zlib.crc32(image.tobytes()) % folds for image in pixels_NCHW])


def learn_from_pool(images: Candidates, classes: int, looks_at: str) -> PoolView:
    """Train the classifiers of all folds, with the penalty that tells the pool's labels best.

    Args:
        images: N of the pool, under the pool's own labels.
        classes: K.
        looks_at: `latent` or `edges`.
    """
    batches = torch.split(pixels_to_input(torch.tensor(images.images_NHWC)), BATCH)
    fold_N = torch.cat([folds_of_pixels(x_NCHW, FOLDS) for x_NCHW in batches])
    label_N = torch.tensor(images.label_N)
    features_NF = (
        torch.tensor(images.latent_ND)
        if looks_at == LATENT
        else torch.cat([edge_histograms(x_NCHW) for x_NCHW in batches])
    )

    def trained(penalty: float) -> tuple[SoftmaxHead, ...]:
        return tuple(
            train_softmax(features_NF[rest_N], label_N[rest_N], classes, penalty)
            for rest_N in (fold_N != fold for fold in range(FOLDS))
        )

    def loss(heads: tuple[SoftmaxHead, ...]) -> float:
        return float(F.nll_loss(out_of_fold(heads, features_NF, fold_N), label_N))

    return PoolView(looks_at=looks_at, heads=min(map(trained, PENALTIES), key=loss))


def learn(task: ViewTask) -> FittedView:
    """See `ViewKind.learn`."""
    raise ValueError(f"the view {NAME} learns from the pool, and no images of it were given")


def restore(arrays: dict[str, np.ndarray], classes: int, channels: int) -> PoolView | None:
    """See `ViewKind.restore`."""
    for looks_at in (LATENT, EDGES):
        by_fold = under(under(arrays, NAME), looks_at)
        if by_fold:
            heads = (SoftmaxHead.restore(under(by_fold, str(fold))) for fold in range(FOLDS))
            return PoolView(looks_at=looks_at, heads=tuple(heads))
    return None


KIND = ViewKind(learn=learn, restore=restore)
