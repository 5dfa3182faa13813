"""A linear probe: a softmax classifier on latents, on a training set drawn anew for each seed.

Shape suffixes: N images, D latent.
"""

from __future__ import annotations

import numpy as np
import torch

from rayqc.training.arms import Latents
from rayqc.training.softmax import SoftmaxHead, train_softmax


def resampled(label_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many rows of each class as there are, drawn with replacement (a bootstrap by class).

    Args:
        label_N: (N,) int64.

    Returns:
        (N,) int64 row numbers.
    """
    rows_by_class = [np.zeros(0, np.int64)]
    for k in np.unique(label_N):
        rows = np.flatnonzero(label_N == k)
        rows_by_class.append(rng.choice(rows, rows.size))
    return np.concatenate(rows_by_class)


def train_probe(references: Latents, added: Latents, classes: int, seed: int) -> SoftmaxHead:
    """A probe trained on a bootstrap of references and of added candidates.

    The references that are drawn are a seed's own, whatever is added, so that arms are paired.

    Args:
        references: N labelled latents.
        added: any number of labelled latents.
        classes: K.
        seed: of the draws.
    """
    parts = [
        (part, resampled(part.label_N, np.random.default_rng([seed, number])))
        for number, part in enumerate((references, added))
    ]
    latent_ND = np.concatenate([part.latent_ND[rows] for part, rows in parts])
    label_N = np.concatenate([part.label_N[rows] for part, rows in parts])
    return train_softmax(torch.from_numpy(latent_ND), torch.from_numpy(label_N), classes)


@torch.inference_mode()
def probe_accuracy(head: SoftmaxHead, test: Latents) -> float:
    """Share of test images whose class has the largest logit."""
    found_N = head(torch.from_numpy(test.latent_ND)).argmax(1).numpy()
    return float((found_N == test.label_N).mean())
