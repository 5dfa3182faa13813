"""What regions are: one per class, fitted on references, asked about candidates.

Shape suffixes: N images, D latent, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

DECIMALS = 5
"""Scores are rounded to so many, so that an image equal to a reference on the boundary is
accepted although the encoder's last digits depend on its place in the batch."""


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What regions say of N candidates."""

    score_N: np.ndarray
    """float32, 1 on the boundary, accepted when <= 1; NaN where the latent is not finite."""
    distance_N: np.ndarray
    """float32, latent units."""
    radius_N: np.ndarray
    """float32, latent units, of the candidate's own class."""
    nearest_K: np.ndarray
    """int64, the class whose region suits the candidate best, its own included."""
    decided_by: str
    """Name of the score that decides."""


class Regions(Protocol):
    """One region a class."""

    @property
    def kind(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; a label is an index into them."""
        ...

    def judge(self, latent_ND: np.ndarray, label_N: np.ndarray) -> Verdicts:
        """Scores of candidates with these latents and own labels (in `classes`)."""
        ...


def score_of(distance_N: np.ndarray, radius_N: np.ndarray) -> np.ndarray:
    """Distance / radius, rounded. A radius of 0 (one reference) takes its own point only."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_N = np.divide(distance_N, radius_N)
    ratio_N = np.where((radius_N == 0) & (distance_N == 0), 1.0, ratio_N)
    return np.round(ratio_N, DECIMALS).astype(np.float32)
