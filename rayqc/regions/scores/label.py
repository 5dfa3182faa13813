"""Does an image look like its own class rather than another's?

A softmax classifier on each of several views of the image, trained on augmented references;
their log-probabilities are averaged.

Shape suffixes: N images, H W C pixels, K classes, F features, V views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rayqc.config.base import View
from rayqc.models.classifier import Classifier, fold
from rayqc.models.features import PatchFeatures, edge_histograms, learn_patches
from rayqc.models.vae import pixels_to_input
from rayqc.regions.base import Candidates
from rayqc.training.augment import random_affine, random_flip
from rayqc.training.classifier import ClassifierSettings, train_classifier
from rayqc.training.softmax import SoftmaxHead, train_softmax

AUGMENTED_ROWS = 2000
MOST_COPIES = 40
NETWORK_WIDTH = 8
NETWORK_SHRINK = 2
NETWORK_LEAST_SIDE = 16
"""Smaller images are not shrunk."""
NETWORK_STEPS = 150
NETWORK_RATE = 1e-2
NETWORK_BATCH = 32
BATCH = 128
"""Images at once: the patches' responses to so many stay in a core's cache."""


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """How the label's score is made; see `config.Regions` for each setting."""

    views: tuple[View, ...] = ("edges", "patches", "network")
    augment: bool = True
    flip: bool = False


@dataclass(frozen=True, kw_only=True)
class LabelScore:
    """Trained classifiers, one a view."""

    classes: int
    heads: dict[str, SoftmaxHead]
    patches: PatchFeatures | None = None
    network: Classifier | None = None

    @torch.inference_mode()
    def log_probability(self, candidates: Candidates) -> np.ndarray:
        """(N, K) mean over views of each class's log-probability; not normalised again."""
        found_NK = np.zeros((len(candidates), self.classes), np.float32)
        if not self.heads and self.network is None:
            return found_NK  # of one class: there is nothing to tell apart
        for start in range(0, len(candidates), BATCH):
            part = candidates[start : start + BATCH]
            # Copies: what comes from Ray or Arrow may not be written to, and torch asks for it.
            x_NCHW = pixels_to_input(torch.tensor(part.images_NHWC))
            latent_ND = torch.tensor(part.latent_ND)
            views = [
                F.log_softmax(head(self._view(name, x_NCHW, latent_ND)), dim=1)
                for name, head in self.heads.items()
            ]
            if self.network is not None:
                views.append(F.log_softmax(self.network(x_NCHW), dim=1))
            found_NK[start : start + BATCH] = torch.stack(views).mean(0).numpy()
        return found_NK

    def _view(self, name: str, x_NCHW: Tensor, latent_ND: Tensor) -> Tensor:
        if name == "edges":
            return edge_histograms(x_NCHW)
        if name == "patches" and self.patches is not None:
            features: Tensor = self.patches(x_NCHW)
            return features
        return latent_ND

    def arrays(self) -> dict[str, np.ndarray]:
        """For `restore_label`."""
        found = {
            f"{name}.{key}": value
            for name, head in self.heads.items()
            for key, value in head.arrays().items()
        }
        for name, module in (("filters", self.patches), ("network", self.network)):
            if module is not None:
                found |= {f"{name}.{key}": t.numpy() for key, t in module.state_dict().items()}
        if self.network is not None:
            found["shrink"] = np.array([self.network.shrink])
        return found


def log_odds(log_probability_NK: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """(N,) float64 log odds of the other classes together against the own one; -inf for K = 1."""
    row_N = np.arange(label_N.size)
    others_NK = log_probability_NK.astype(np.float64)
    own_N = others_NK[row_N, label_N]
    others_NK[row_N, label_N] = -np.inf
    with np.errstate(divide="ignore"):
        top_N = np.where(np.isfinite(others_NK.max(1)), others_NK.max(1), 0)
        rest_N = top_N + np.log(np.exp(others_NK - top_N[:, None]).sum(1))
    return np.asarray(rest_N - own_N)


def fit_label(
    references: Candidates, classes: int, settings: LabelSettings, seed: int
) -> LabelScore:
    """Train a classifier on each view of the references and augmented copies of them.

    The latent is not augmented. Equal seeds give equal scores.
    """
    images_NHWC, label_N = references.images_NHWC, references.label_N
    views = settings.views if classes > 1 else ()
    x_NCHW = pixels_to_input(torch.from_numpy(images_NHWC))
    patches = learn_patches(x_NCHW, seed) if "patches" in views else None
    copies_NCHW = _copies(x_NCHW, settings, seed)
    copied_N = torch.from_numpy(np.tile(label_N, len(copies_NCHW) // len(x_NCHW)))
    heads: dict[str, SoftmaxHead] = {}
    if "edges" in views:
        features_NF = _in_parts(edge_histograms, copies_NCHW)
        heads["edges"] = train_softmax(features_NF, copied_N, classes)
    if patches is not None:
        heads["patches"] = train_softmax(_in_parts(patches, copies_NCHW), copied_N, classes)
    if "latent" in views:
        latent_ND = torch.from_numpy(references.latent_ND)
        heads["latent"] = train_softmax(latent_ND, torch.from_numpy(label_N), classes)
    network = None
    if "network" in views:
        network = fold(_network(images_NHWC, label_N, classes, settings, seed))
    return LabelScore(classes=classes, heads=heads, patches=patches, network=network)


def _in_parts(view: Callable[[Tensor], Tensor], x_NCHW: Tensor) -> Tensor:
    return torch.cat([view(part) for part in torch.split(x_NCHW, BATCH)])


def _copies(x_NCHW: Tensor, settings: LabelSettings, seed: int) -> Tensor:
    """The images, and as many augmented copies of each as keep the whole near 2,000."""
    count = min(MOST_COPIES, AUGMENTED_ROWS // len(x_NCHW))
    rng = torch.Generator().manual_seed(seed)
    found = [x_NCHW]
    for _ in range(count if settings.augment else 0):
        copy_NCHW = random_affine(x_NCHW, rng)
        found.append(random_flip(copy_NCHW, rng) if settings.flip else copy_NCHW)
    return torch.cat(found)


def _network(
    images_NHWC: np.ndarray, label_N: np.ndarray, classes: int, settings: LabelSettings, seed: int
) -> Classifier:
    chosen = ClassifierSettings(
        steps=NETWORK_STEPS,
        batch_size=NETWORK_BATCH,
        learning_rate=NETWORK_RATE,
        width=NETWORK_WIDTH,
        shrink=NETWORK_SHRINK if min(images_NHWC.shape[1:3]) >= NETWORK_LEAST_SIDE else 1,
        augment=settings.augment,
        flip=settings.flip,
        balanced=True,
    )
    return train_classifier(images_NHWC, label_N, classes, chosen, seed)


def restore_label(arrays: dict[str, np.ndarray], classes: int, channels: int) -> LabelScore:
    """A score from what `LabelScore.arrays` gave."""

    def under(name: str) -> dict[str, np.ndarray]:
        prefix = f"{name}."
        return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

    def tensors(name: str) -> dict[str, Tensor]:
        return {key: torch.from_numpy(value.copy()) for key, value in under(name).items()}

    patches = network = None
    if filters := tensors("filters"):
        patches = PatchFeatures(channels)
        patches.load_state_dict(filters)
    if state := tensors("network"):
        network = Classifier(channels, classes, NETWORK_WIDTH, int(arrays["shrink"][0]))
        fold(network).load_state_dict(state)
        network.to(memory_format=torch.channels_last)
    heads = {
        name: SoftmaxHead.restore(under(name))
        for name in ("edges", "patches", "latent")
        if under(name)
    }
    return LabelScore(classes=classes, heads=heads, patches=patches, network=network)
