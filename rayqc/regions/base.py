"""What regions are: one per class, fitted on references, asked about candidates.

Shape suffixes: N images, H W C pixels, D latent, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from rayqc.config.base import Statistic
from rayqc.verdicts import ACCEPTED, REJECTED

DECIMALS = 5
"""Scores are rounded to so many, so that an image equal to a reference on the boundary is
accepted although the encoder's last digits depend on its place in the batch."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Images to be judged, and what the encoder makes of them."""

    images_NHWC: np.ndarray
    """uint8, in the encoder's shape."""
    latent_ND: np.ndarray
    """float32."""
    label_N: np.ndarray
    """int64, own labels, in the references' classes."""

    def __getitem__(self, rows: Any) -> Candidates:
        return Candidates(
            images_NHWC=self.images_NHWC[rows],
            latent_ND=self.latent_ND[rows],
            label_N=self.label_N[rows],
        )

    def __len__(self) -> int:
        return int(self.label_N.size)


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What regions say of N candidates. Columns that a region does not have are None."""

    score_N: np.ndarray
    """float32, 1 on the boundary, accepted when <= 1."""
    decided_by_N: np.ndarray
    """str, name of the score that weighed most."""
    nearest_N: np.ndarray
    """int64, the other class whose region suits the candidate best; -1 where there is none."""
    p_value_N: np.ndarray | None = None
    """float32, share of genuine images that look at least as strange; see `conformal`."""
    evidence: dict[str, np.ndarray] = field(default_factory=dict)
    """(N,) float32 nats by each score; see `joint`."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What the filter wrote of N images that it judged."""

    label_N: np.ndarray
    statistic_N: np.ndarray
    """str, what each was judged by, or is to be."""
    distance_N: np.ndarray
    evidence: dict[str, np.ndarray]
    """(N,) float32 nats by each score; NaN where nothing was written."""
    p_value_N: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Rejudged:
    """New verdicts on stored images."""

    score_N: np.ndarray
    decided_by_N: np.ndarray
    p_value_N: np.ndarray | None = None


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

    def judge(self, candidates: Candidates, statistic: Statistic) -> Verdicts:
        """Scores of candidates; a region of one statistic only takes no notice of which."""
        ...

    def rejudge(self, stored: Stored, coverage: float) -> Rejudged:
        """Verdicts at another coverage, or by another statistic, from what was stored."""
        ...

    def facts(self) -> dict[str, Any]:
        """All of it that is not an array, as plain JSON."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it that is an array."""
        ...


@dataclass(frozen=True, kw_only=True)
class RegionKind:
    """How regions of a kind are fitted, and how they come back from their files."""

    sphere: str
    """The kind of sphere that is fitted to each class: the region itself, or told beside it."""
    calibrated: bool
    """Are scorers fitted and calibrated as well?"""
    restore: Callable[[dict[str, Any], dict[str, np.ndarray]], Regions]
    """Takes what `facts` and `arrays` gave."""


def verdicts_of(score_N: np.ndarray, decided_by_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) str each: accepted or rejected, and why."""
    inside_N = score_N <= 1
    reason_N = np.full(score_N.size, "inside_region", object)
    for name in set(decided_by_N[~inside_N].tolist()):
        reason_N[~inside_N & (decided_by_N == name)] = f"{name}_outside_region"
    return np.array([REJECTED, ACCEPTED], object)[inside_N.astype(np.int64)], reason_N


def best_other(cost_NK: np.ndarray, label_N: np.ndarray) -> np.ndarray:
    """(N,) the class of least cost but for the own one; -1 where there is but one class."""
    if cost_NK.shape[1] < 2:
        return np.full(label_N.size, -1)
    others_NK = cost_NK.astype(np.float64)
    others_NK[np.arange(label_N.size), label_N] = np.inf
    return np.asarray(others_NK.argmin(1))


def score_of(distance_N: np.ndarray, radius_N: np.ndarray) -> np.ndarray:
    """Distance / radius, rounded. A radius of 0 (one reference) takes its own point only."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_N = np.divide(distance_N, radius_N)
    ratio_N = np.where((radius_N == 0) & (distance_N == 0), 1.0, ratio_N)
    return np.round(ratio_N, DECIMALS).astype(np.float32)
