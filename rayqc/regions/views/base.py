"""A label view: a classifier of images that looks at one aspect of them.

Shape suffixes: N images, H W C pixels, D latent, K classes, F features, B images of a batch.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rayqc.models.vae import pixels_to_input
from rayqc.storage.artefact import prefixed, under
from rayqc.training.augment import random_affine, random_flip
from rayqc.training.softmax import SoftmaxHead, train_softmax

AUGMENTED_ROWS = 2000
"""Augmented copies of all references together, at most."""
MOST_COPIES = 40
"""Augmented copies of each reference, at most."""
BATCH = 128
"""Images at once: the patches' responses to this many fit in a core's cache."""


@dataclass(frozen=True, kw_only=True)
class ScorerSettings:
    """How scores are made; `config.Regions` describes each setting but `seen`."""

    views: tuple[str, ...] = ("edges", "patches", "network")
    augment: bool = True
    flip: bool = False
    scores: tuple[str, ...] = ()
    """Names of the scores to fit; empty for all that can be fitted."""
    seen: bool = True
    """Was the encoder trained on the references?"""
    learned: Mapping[str, FittedView] = field(default_factory=dict)
    """Views that learned from other images than the references, by name: alike in all scorers."""


@dataclass(frozen=True, kw_only=True)
class ViewBatch:
    """N images as views look at them."""

    x_NCHW: Tensor
    """(N, C, H, W) float32 pixels in [0, 1], in the run's size."""
    latent_ND: Tensor
    """(N, D) float32, the encoder's latents."""
    inner: Mapping[str, Tensor]
    """(N, F) float32 features of the encoder's inner layers, by name."""


@dataclass(frozen=True, kw_only=True)
class ViewTask:
    """The N references that a view is trained on."""

    images_NHWC: np.ndarray
    """(N, H, W, C) uint8."""
    latent_ND: np.ndarray
    """(N, D) float32."""
    inner: Mapping[str, np.ndarray]
    """(N, F) float32 features of the encoder's inner layers, by name."""
    label_N: np.ndarray
    """(N,) int64 in [0, classes)."""
    classes: int
    """K."""
    settings: ScorerSettings
    seed: int

    @functools.cached_property
    def x_NCHW(self) -> Tensor:
        """(N, C, H, W) float32 pixels in [0, 1]."""
        return pixels_to_input(torch.from_numpy(self.images_NHWC))

    @functools.cached_property
    def copies_NCHW(self) -> Tensor:
        """The N images, followed by up to `MOST_COPIES` augmented copies of all of them.

        (N * (copies + 1), C, H, W) float32 pixels in [0, 1]. There are at most `AUGMENTED_ROWS`
        copies in all, and none where the settings turn `augment` off.
        """
        copies = min(MOST_COPIES, AUGMENTED_ROWS // len(self.x_NCHW))
        rng = torch.Generator().manual_seed(self.seed)
        batches = [self.x_NCHW]
        for _ in range(copies if self.settings.augment else 0):
            copy_NCHW = random_affine(self.x_NCHW, rng)
            batches.append(random_flip(copy_NCHW, rng) if self.settings.flip else copy_NCHW)
        return torch.cat(batches)

    @property
    def copied_label_N(self) -> Tensor:
        """int64 labels of `copies_NCHW`, row by row."""
        return torch.from_numpy(np.tile(self.label_N, len(self.copies_NCHW) // len(self.x_NCHW)))

    def train_head(self, features: Callable[[Tensor], Tensor]) -> SoftmaxHead:
        """A linear classifier, trained on features of `copies_NCHW`.

        Args:
            features: function from (N, C, H, W) pixels in [0, 1] to (N, F).
        """
        feature_batches = [features(x_BCHW) for x_BCHW in torch.split(self.copies_NCHW, BATCH)]
        return train_softmax(torch.cat(feature_batches), self.copied_label_N, self.classes)


class FittedView(Protocol):
    """A trained view."""

    def log_probability(self, batch: ViewBatch) -> Tensor:
        """(N, K) float, the log-probability of each class, in nats."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays of the view, by names that no other view uses."""
        ...


@dataclass(frozen=True, kw_only=True)
class HeadView(ABC):
    """A view that is a linear classifier on features."""

    name: str
    """Name of the view; its head's arrays are stored under it."""
    head: SoftmaxHead

    @abstractmethod
    def features(self, batch: ViewBatch) -> Tensor:
        """(N, F) features of images."""

    def log_probability(self, batch: ViewBatch) -> Tensor:
        """See `FittedView.log_probability`."""
        return F.log_softmax(self.head(self.features(batch)), dim=1)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedView.arrays`."""
        return prefixed(self.head.arrays(), self.name)


def restore_head(arrays: dict[str, np.ndarray], name: str) -> SoftmaxHead | None:
    """The linear classifier of one view, from the arrays of all views.

    Args:
        arrays: what the views' `arrays` returned.
        name: of the view.

    Returns:
        The classifier; None where the arrays hold no such view.
    """
    head_arrays = under(arrays, name)
    return SoftmaxHead.restore(head_arrays) if head_arrays else None


@dataclass(frozen=True, kw_only=True)
class ViewKind:
    """How a view is trained, and how it is read back from its arrays."""

    learn: Callable[[ViewTask], FittedView]
    """Trains the view on references."""
    restore: Callable[[dict[str, np.ndarray], int, int], FittedView | None]
    """Takes the arrays of all views, K, and C; returns None where the arrays hold no such view."""
