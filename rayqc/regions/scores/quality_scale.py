"""The scale of the score `quality`: distances to log odds.

It comes from the mean and spread of the logarithm of out-of-fold distances, and from where white
noise lies on that scale. No fault is made for it, so that none is favoured.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.regions.scores.base import MOST_ODDS, RawScore

DISTANCE, NOISE_DISTANCE = "distance_N", "noise_N"

NOISE_SHARE = 0.5
"""Faulty images are taken to lie about so far on the way from the usual to white noise."""
LEAST_NATS = 1.5
"""Of quality, that even odds ask for, where white noise is hardly unusual."""
SHRINK_CLASSES = 10.0
"""A class's own mean and spread weigh against the common ones as n against this."""
LEAST_LOG_SPREAD = 0.05
WINSOR = 2.5
NORMAL_QUARTILES = 1.349
"""Between the quartiles of a normal distribution, in standard deviations."""


@dataclass(frozen=True, kw_only=True)
class QualityScale:
    """What is usual for the logarithm of distances, class by class."""

    mean_K: np.ndarray
    spread_K: np.ndarray
    noise: float
    """White noise's, in spreads beyond the mean."""
    noise_share: float = NOISE_SHARE

    def even(self) -> float:
        """Nats of quality at even odds: the logarithm of those halfway to white noise."""
        return float(np.log(max((self.noise_share * self.noise) ** 2 / 2, LEAST_NATS)))

    def log_odds(self, raw: RawScore, label_N: np.ndarray) -> np.ndarray:
        """See `Scale`."""
        beyond_N = _beyond(raw[DISTANCE], self.mean_K[label_N], self.spread_K[label_N])
        return np.minimum(beyond_N**2 / 2 - self.even(), MOST_ODDS)

    def facts(self) -> dict[str, float]:
        """See `Scale`."""
        return {"noise": self.noise}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Scale`."""
        return {"mean_K": self.mean_K, "spread_K": self.spread_K}


def fit_quality_scale(raw: RawScore, label_N: np.ndarray, classes: int) -> QualityScale:
    """The scale, from out-of-fold distances of references under their own labels."""
    log_N = _winsorised(_log(raw[DISTANCE]))
    mean, variance = log_N.mean(), max(float(log_N.var()), LEAST_LOG_SPREAD**2)
    count_K = np.bincount(label_N, minlength=classes)
    sum_K = np.bincount(label_N, log_N, minlength=classes)
    mean_K = (sum_K + SHRINK_CLASSES * mean) / (count_K + SHRINK_CLASSES)
    square_K = np.bincount(label_N, (log_N - mean_K[label_N]) ** 2, minlength=classes)
    spread_K = np.sqrt((square_K + SHRINK_CLASSES * variance) / (count_K + SHRINK_CLASSES))
    noise_N = _beyond(raw[NOISE_DISTANCE], mean_K[label_N], spread_K[label_N])
    return QualityScale(mean_K=mean_K, spread_K=spread_K, noise=float(np.median(noise_N)))


def restore_quality_scale(facts: dict[str, float], arrays: dict[str, np.ndarray]) -> QualityScale:
    """A scale from what `QualityScale.facts` and `arrays` gave."""
    return QualityScale(mean_K=arrays["mean_K"], spread_K=arrays["spread_K"], noise=facts["noise"])


def _beyond(distance_N: np.ndarray, mean_N: np.ndarray, spread_N: np.ndarray) -> np.ndarray:
    """(N,) spreads beyond the usual, 0 for what is nearer than it."""
    return np.asarray(np.maximum((_log(distance_N) - mean_N) / spread_N, 0))


def _winsorised(values_N: np.ndarray) -> np.ndarray:
    """Values beyond 2.5 robust standard deviations of the median set there: one odd reference
    must not widen the scale that the odd ones are found by.
    """
    low, median, high = np.quantile(values_N, [0.25, 0.5, 0.75])
    reach = WINSOR * max((high - low) / NORMAL_QUARTILES, LEAST_LOG_SPREAD)
    return np.asarray(np.clip(values_N, median - reach, median + reach))


def _log(distance_N: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(distance_N + 1e-3))
