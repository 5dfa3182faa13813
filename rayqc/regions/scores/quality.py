"""Is an image made like the references of its class?

The Mahalanobis distance of its plain statistics (`images.statistics`) from the class's mean,
under one covariance for all classes. Distance from the usual, so it looks both ways: too
smooth counts as too rough does.

Shape suffixes: N images, H W C pixels, S statistics, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_SPREAD = 0.15
"""Standard deviation that is added to every statistic's: what is constant among a few
references (a black corner) may still vary a little."""
BEND = 10.0
"""Deviations of so many standard deviations count as about nine, those of 100 as 30."""
SHRINK_MEANS = 1.0
"""A class's mean is drawn to the common mean as by so many further references."""


@dataclass(frozen=True, kw_only=True)
class QualityScore:
    """Each class's usual statistics."""

    mean_KS: np.ndarray
    spread_S: np.ndarray
    precision_SS: np.ndarray

    def distance(self, statistics_NS: np.ndarray, label_N: np.ndarray) -> np.ndarray:
        """(N,) float64 Mahalanobis distances from the own class's mean."""
        bent_NS = _bend((statistics_NS - self.mean_KS[label_N]) / self.spread_S)
        square_N = np.einsum("ns,st,nt->n", bent_NS, self.precision_SS, bent_NS, optimize=True)
        return np.asarray(np.sqrt(np.maximum(square_N, 0)))

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it."""
        return {
            "mean_KS": self.mean_KS,
            "spread_S": self.spread_S,
            "precision_SS": self.precision_SS,
        }


def fit_quality(statistics_NS: np.ndarray, label_N: np.ndarray, classes: int) -> QualityScore:
    """Means a class, and the Ledoit-Wolf covariance of deviations from them.

    Source: Ledoit & Wolf 2004, by scikit-learn.
    """
    from sklearn.covariance import ledoit_wolf  # noqa: PLC0415  (slow, and only fit needs it)

    statistics_NS = statistics_NS.astype(np.float64)
    common_S = statistics_NS.mean(0)
    count_K = np.bincount(label_N, minlength=classes)
    sum_KS = np.zeros((classes, statistics_NS.shape[1]))
    np.add.at(sum_KS, label_N, statistics_NS)
    mean_KS = (sum_KS + SHRINK_MEANS * common_S) / (count_K + SHRINK_MEANS)[:, None]
    # A point has pulled its class's mean towards itself; a fresh one has not, and deviates more.
    pull_N = np.sqrt((count_K[label_N] + 1) / np.maximum(count_K[label_N] - 1, 1))
    deviation_NS = (statistics_NS - mean_KS[label_N]) * pull_N[:, None]
    spread_S = np.sqrt(deviation_NS.var(0) + LEAST_SPREAD**2)
    covariance_SS, _ = ledoit_wolf(_bend(deviation_NS / spread_S), assume_centered=True)
    return QualityScore(
        mean_KS=mean_KS, spread_S=spread_S, precision_SS=np.linalg.pinv(covariance_SS)
    )


def _bend(deviation_NS: np.ndarray) -> np.ndarray:
    return np.asarray(BEND * np.arcsinh(deviation_NS / BEND))
