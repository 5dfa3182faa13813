"""Classifiers that today's protocol chooses from, by cross-validation on the references alone.

Shape suffixes: N images, R references, D latent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from rayqc.config.table3 import NetworkProbe, SmallNetwork
from rayqc.experiments.accuracy import training_of
from rayqc.experiments.table3.looks import Look
from rayqc.models.vae import pixels_to_input
from rayqc.regions.base import Candidates
from rayqc.training.arms import Images, Latents
from rayqc.training.augment import random_affine, random_flip
from rayqc.training.classifier import ClassifierSettings, accuracy, train_classifier
from rayqc.training.probe import probe_accuracy, train_probe


class Classifier(Protocol):
    """A way to make a classifier, bound to the references of a draw."""

    @property
    def name(self) -> str:
        """As it stands in the tables."""

    def accuracy(
        self, rows_R: np.ndarray, added: Candidates, tested: Candidates, seed: int
    ) -> float:
        """Share of the tested images that are told right after one training.

        Args:
            rows_R: row numbers of the references to train on.
            added: candidates to train on beside them.
            tested: of the same look as the references.
            seed: of the training.
        """


@dataclass(frozen=True, kw_only=True)
class FromScratch:
    """A small network, trained on pixels from its first layer."""

    references: Candidates
    classes: int
    settings: ClassifierSettings

    @property
    def name(self) -> str:
        """As it stands in the tables."""
        return f"network of width {self.settings.width}, {self.settings.steps} steps"

    def accuracy(
        self, rows_R: np.ndarray, added: Candidates, tested: Candidates, seed: int
    ) -> float:
        """See `Classifier.accuracy`."""
        own = self.references[rows_R]
        images_NHWC = np.concatenate([own.images_NHWC, added.images_NHWC])
        label_N = np.concatenate([own.label_N, added.label_N])
        model = train_classifier(images_NHWC, label_N, self.classes, self.settings, seed)
        return accuracy(model, tested.images_NHWC, tested.label_N)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A linear probe on latents."""

    references: Candidates
    copies: list[Candidates]
    """Augmented copies of all references, in their order."""
    classes: int
    name: str = "probe on the pretrained network"

    def accuracy(
        self, rows_R: np.ndarray, added: Candidates, tested: Candidates, seed: int
    ) -> float:
        """See `Classifier.accuracy`."""
        own = [part[rows_R] for part in (self.references, *self.copies)]
        references = Latents(
            latent_ND=np.concatenate([part.latent_ND for part in own]),
            label_N=np.concatenate([part.label_N for part in own]),
        )
        head = train_probe(references, _latents(added), self.classes, seed)
        return probe_accuracy(head, _latents(tested))


def _latents(candidates: Candidates) -> Latents:
    return Latents(latent_ND=candidates.latent_ND, label_N=candidates.label_N)


def from_scratch(
    references: Candidates, classes: int, wanted: SmallNetwork, today: bool
) -> FromScratch:
    """A small network by one of the protocols.

    Args:
        today: augment while training, and balance batches over classes.
    """
    channels = references.images_NHWC.shape[3]
    settings = training_of(wanted.steps, wanted.width, channels, augmented=today)
    return FromScratch(references=references, classes=classes, settings=settings)


def probe(
    references: Candidates, classes: int, look: Look, wanted: NetworkProbe, seed: int
) -> Probe:
    """A probe on the latents that `look` gives, with augmented copies of the references."""
    rng = torch.Generator().manual_seed(seed)
    count = min(wanted.copies, wanted.most // len(references) - 1)
    copies = [look.see(_copy(references, rng)) for _ in range(count)]
    return Probe(references=references, copies=copies, classes=classes)


def _copy(references: Candidates, rng: torch.Generator) -> Images:
    x_NCHW = random_affine(pixels_to_input(torch.from_numpy(references.images_NHWC)), rng)
    if references.images_NHWC.shape[3] > 1:
        x_NCHW = random_flip(x_NCHW, rng)
    pixels = (255 * x_NCHW).clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return Images(images_NHWC=pixels.contiguous().numpy(), label_N=references.label_N)


def cross_validate(classifier: Classifier, references: Candidates, folds: int, seed: int) -> float:
    """Mean accuracy on the references left out, fold by fold; at most one fold a reference."""
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415  (slow)

    fewest = int(np.bincount(references.label_N).min())
    splits = StratifiedKFold(min(folds, fewest), shuffle=True, random_state=seed)
    nothing = references[:0]
    found = [
        classifier.accuracy(rows_R, nothing, references[held_R], seed)
        for rows_R, held_R in splits.split(references.label_N, references.label_N)
    ]
    return float(np.mean(found))
