"""Which statistics are usual for a class, and how far an image's are from them.

Shape suffixes: N images, S statistics, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_SPREAD = 0.15
"""Standard deviation whose square is added to every statistic's variance: a statistic that is
constant among a few references (a black corner) may still vary a little in fresh images."""
BEND = 10.0
"""Where deviations are compressed: 10 standard deviations count as about 9, and 100 as 30."""
SHRINK_MEANS = 1.0
"""A class's mean is drawn towards the common mean as if by this many references that lie there."""


@dataclass(frozen=True, kw_only=True)
class UsualStatistics:
    """Mean of each class's statistics, and the spread and covariance that all classes share."""

    mean_KS: np.ndarray
    """(K, S) float64."""
    spread_S: np.ndarray
    """(S,) float64, standard deviation of each statistic within a class, and `LEAST_SPREAD`."""
    precision_SS: np.ndarray
    """(S, S) float64, inverse covariance of deviations divided by `spread_S` and compressed."""

    def distance(self, statistics_NS: np.ndarray, label_N: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of each image's statistics from its own class's mean.

        Args:
            statistics_NS: (N, S) float.
            label_N: (N,) int64, own classes.

        Returns:
            (N,) float64, no unit.
        """
        bent_NS = _bend((statistics_NS - self.mean_KS[label_N]) / self.spread_S)
        square_N = np.einsum("ns,st,nt->n", bent_NS, self.precision_SS, bent_NS, optimize=True)
        return np.asarray(np.sqrt(np.maximum(square_N, 0)))

    def arrays(self) -> dict[str, np.ndarray]:
        """What is an array, by name."""
        return {
            "mean_KS": self.mean_KS,
            "spread_S": self.spread_S,
            "precision_SS": self.precision_SS,
        }


def fit_usual(statistics_NS: np.ndarray, label_N: np.ndarray, classes: int) -> UsualStatistics:
    """Mean statistics of each class, and the Ledoit-Wolf covariance of deviations from them.

    Args:
        statistics_NS: (N, S) float, of references.
        label_N: (N,) int64, own classes.
        classes: K.

    Source: Ledoit & Wolf 2004, by scikit-learn.
    """
    from sklearn.covariance import ledoit_wolf  # noqa: PLC0415  (slow, and only fit needs it)

    statistics_NS = statistics_NS.astype(np.float64)
    common_S = statistics_NS.mean(0)
    count_K = np.bincount(label_N, minlength=classes)
    sum_KS = np.zeros((classes, statistics_NS.shape[1]))
    np.add.at(sum_KS, label_N, statistics_NS)
    mean_KS = (sum_KS + SHRINK_MEANS * common_S) / (count_K + SHRINK_MEANS)[:, None]
    # A reference pulls its class's mean towards itself, so a fresh image deviates more.
    pull_N = np.sqrt((count_K[label_N] + 1) / np.maximum(count_K[label_N] - 1, 1))
    deviation_NS = (statistics_NS - mean_KS[label_N]) * pull_N[:, None]
    spread_S = np.sqrt(deviation_NS.var(0) + LEAST_SPREAD**2)
    precision_SS = np.eye(spread_S.size)  # of one reference nothing is known of deviations
    if deviation_NS.any():
        covariance_SS, _ = ledoit_wolf(_bend(deviation_NS / spread_S), assume_centered=True)
        precision_SS = np.linalg.pinv(covariance_SS)
    return UsualStatistics(mean_KS=mean_KS, spread_S=spread_S, precision_SS=precision_SS)


def _bend(deviation_NS: np.ndarray) -> np.ndarray:
    """(N, S) deviations, large ones compressed; see `BEND`."""
    return np.asarray(BEND * np.arcsinh(deviation_NS / BEND))
