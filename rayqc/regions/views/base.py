"""What a label view is: a classifier of images that looks at one thing in them.

Shape suffixes: N images, H W C pixels, D latent, K classes, F features.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
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
MOST_COPIES = 40
BATCH = 128
"""Images at once: the patches' responses to so many stay in a core's cache."""


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """How the label's score is made; see `config.Regions` for each setting."""

    views: tuple[str, ...] = ("edges", "patches", "network")
    augment: bool = True
    flip: bool = False


@dataclass(frozen=True, kw_only=True)
class ViewTask:
    """References that a view is learned from."""

    images_NHWC: np.ndarray
    """uint8."""
    latent_ND: np.ndarray
    """float32."""
    label_N: np.ndarray
    """int64."""
    classes: int
    settings: LabelSettings
    seed: int

    @functools.cached_property
    def x_NCHW(self) -> Tensor:
        """Pixels in [0, 1]."""
        return pixels_to_input(torch.from_numpy(self.images_NHWC))

    @functools.cached_property
    def copies_NCHW(self) -> Tensor:
        """The images, and as many augmented copies of each as keep the whole near 2,000."""
        count = min(MOST_COPIES, AUGMENTED_ROWS // len(self.x_NCHW))
        rng = torch.Generator().manual_seed(self.seed)
        parts = [self.x_NCHW]
        for _ in range(count if self.settings.augment else 0):
            copy_NCHW = random_affine(self.x_NCHW, rng)
            parts.append(random_flip(copy_NCHW, rng) if self.settings.flip else copy_NCHW)
        return torch.cat(parts)

    @property
    def copied_label_N(self) -> Tensor:
        """Labels of the copies."""
        return torch.from_numpy(np.tile(self.label_N, len(self.copies_NCHW) // len(self.x_NCHW)))

    def train_head(self, features: Callable[[Tensor], Tensor]) -> SoftmaxHead:
        """A linear classifier on features of the copies.

        Args:
            features: (N, C, H, W) pixels in [0, 1] to (N, F).
        """
        parts = [features(part) for part in torch.split(self.copies_NCHW, BATCH)]
        return train_softmax(torch.cat(parts), self.copied_label_N, self.classes)


class FittedView(Protocol):
    """A view that has learned the classes."""

    def log_probability(self, x_NCHW: Tensor, latent_ND: Tensor) -> Tensor:
        """(N, K) log-probability of each class.

        Args:
            x_NCHW: pixels in [0, 1].
            latent_ND: the encoder's latents of the same images.
        """
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, by names that begin with the view's own."""
        ...


@dataclass(frozen=True, kw_only=True)
class HeadView(ABC):
    """A view that is a linear classifier on features."""

    name: str
    head: SoftmaxHead

    @abstractmethod
    def features(self, x_NCHW: Tensor, latent_ND: Tensor) -> Tensor:
        """(N, F)."""

    def log_probability(self, x_NCHW: Tensor, latent_ND: Tensor) -> Tensor:
        """See `FittedView`."""
        return F.log_softmax(self.head(self.features(x_NCHW, latent_ND)), dim=1)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedView`."""
        return prefixed(self.head.arrays(), self.name)


def restore_head(arrays: dict[str, np.ndarray], name: str) -> SoftmaxHead | None:
    """The linear classifier of a view of this name; None where the arrays hold none."""
    own = under(arrays, name)
    return SoftmaxHead.restore(own) if own else None


@dataclass(frozen=True, kw_only=True)
class ViewKind:
    """How a view learns, and how it comes back from its arrays."""

    learn: Callable[[ViewTask], FittedView]
    restore: Callable[[dict[str, np.ndarray], int, int], FittedView | None]
    """Takes the arrays of all views, the number of classes, and the images' channels; None where
    this view is not among them."""
