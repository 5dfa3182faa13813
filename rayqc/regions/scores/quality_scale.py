"""The scale of the score `quality`: distances to log odds.

It is fitted on the mean and spread of the logarithm of out-of-fold distances, and on where white
noise lies relative to them. No faulty images are made to fit it, so that no kind of fault is
favoured.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.regions.scores.base import MOST_ODDS, RawScore

DISTANCE, NOISE_DISTANCE = "distance_N", "noise_N"

NOISE_SHARE = 0.5
"""Faulty images are assumed to lie at about this fraction of the way from usual to white noise."""
LEAST_NATS = 1.5
"""Least value of z^2 / 2 in `QualityScale.even`; it applies where white noise is hardly unusual."""
SHRINK_CLASSES = 10.0
"""Weight of the common mean and spread, against n for those of a class with n references."""
LEAST_LOG_SPREAD = 0.05
"""Smallest spread of the logarithm of distances."""
WINSOR = 2.5
"""Robust standard deviations from the median beyond which values are clipped."""
NORMAL_QUARTILES = 1.349
"""Distance between the quartiles of a normal distribution, in standard deviations."""


@dataclass(frozen=True, kw_only=True)
class QualityScale:
    """Mean and spread of the logarithm of distances in each class, and where white noise lies."""

    mean_K: np.ndarray
    """(K,) float64, no unit."""
    spread_K: np.ndarray
    """(K,) float64, no unit."""
    noise: float
    """White noise's log distance in spreads above the class's mean, the median over references."""
    noise_share: float = NOISE_SHARE

    def even(self) -> float:
        """Nats of quality at even odds: log(z^2 / 2), where z is `noise_share` times `noise`.

        z^2 / 2 is taken as at least `LEAST_NATS`.
        """
        return float(np.log(max((self.noise_share * self.noise) ** 2 / 2, LEAST_NATS)))

    def log_odds(self, raw: RawScore, label_N: np.ndarray) -> np.ndarray:
        """See `Scale.log_odds`."""
        z_N = _spreads_above(raw[DISTANCE], self.mean_K[label_N], self.spread_K[label_N])
        return np.minimum(z_N**2 / 2 - self.even(), MOST_ODDS)

    def facts(self) -> dict[str, float]:
        """See `Scale.facts`."""
        return {"noise": self.noise}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Scale.arrays`."""
        return {"mean_K": self.mean_K, "spread_K": self.spread_K}


def fit_quality_scale(raw: RawScore, label_N: np.ndarray, classes: int) -> QualityScale:
    """Fit the scale.

    Args:
        raw: out-of-fold distances of N references under their own labels, and white noise's.
        label_N: (N,) int64, own classes.
        classes: K.
    """
    log_N = _winsorised(_log(raw[DISTANCE]))
    mean, variance = log_N.mean(), max(float(log_N.var()), LEAST_LOG_SPREAD**2)
    count_K = np.bincount(label_N, minlength=classes)
    sum_K = np.bincount(label_N, log_N, minlength=classes)
    mean_K = (sum_K + SHRINK_CLASSES * mean) / (count_K + SHRINK_CLASSES)
    square_K = np.bincount(label_N, (log_N - mean_K[label_N]) ** 2, minlength=classes)
    spread_K = np.sqrt((square_K + SHRINK_CLASSES * variance) / (count_K + SHRINK_CLASSES))
    noise_N = _spreads_above(raw[NOISE_DISTANCE], mean_K[label_N], spread_K[label_N])
    return QualityScale(mean_K=mean_K, spread_K=spread_K, noise=float(np.median(noise_N)))


def restore_quality_scale(facts: dict[str, float], arrays: dict[str, np.ndarray]) -> QualityScale:
    """A scale from what `QualityScale.facts` and `QualityScale.arrays` returned."""
    return QualityScale(mean_K=arrays["mean_K"], spread_K=arrays["spread_K"], noise=facts["noise"])


def _spreads_above(distance_N: np.ndarray, mean_N: np.ndarray, spread_N: np.ndarray) -> np.ndarray:
    """(N,) log distance in spreads above the mean; 0 where it is below the mean."""
    return np.asarray(np.maximum((_log(distance_N) - mean_N) / spread_N, 0))


def _winsorised(values_N: np.ndarray) -> np.ndarray:
    """(N,) values clipped to 2.5 robust standard deviations from the median.

    A single unusual reference would otherwise widen the spread, and unusual images would no longer
    stand out.
    """
    low, median, high = np.quantile(values_N, [0.25, 0.5, 0.75])
    reach = WINSOR * max((high - low) / NORMAL_QUARTILES, LEAST_LOG_SPREAD)
    return np.asarray(np.clip(values_N, median - reach, median + reach))


def _log(distance_N: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(distance_N + 1e-3))
