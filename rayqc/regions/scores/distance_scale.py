"""The scale of scores that are a distance from what is usual: distances to log odds.

It is fitted on the mean and spread of the logarithm of out-of-fold distances. No faulty images are
made to fit it, so that no kind of fault is favoured. The tail is that of Student's t: a few
references say little about how rare large distances are, and a pool that is made unlike the
references all over would otherwise drown what the other scores say of its images.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.regions.robust import winsorised
from rayqc.regions.scores.base import MOST_ODDS, RawScore

DISTANCE = "distance_N"

EVEN_NATS = 2.5
"""Nats of surprise at even odds: a distance that one genuine image in twelve exceeds."""
DOUBLED_NATS = 1.5
"""More nats at even odds for each doubling of the terms that are distances: with more of them a
genuine image lies far by one or another more often, one in 55 by each of two."""
FREEDOM = 4
"""Degrees of freedom of the tail."""
SHRINK_CLASSES = 10.0
"""Weight of the common mean and spread, against n for those of a class with n references."""
LEAST_LOG_SPREAD = 0.05
"""Smallest spread of the logarithm of distances."""
WINSOR = 2.5
"""Robust standard deviations from the median beyond which values are clipped."""


@dataclass(frozen=True, kw_only=True)
class DistanceScale:
    """Mean and spread of the logarithm of distances in each class."""

    mean_K: np.ndarray
    """(K,) float64, no unit."""
    spread_K: np.ndarray
    """(K,) float64, no unit."""
    even: float = EVEN_NATS
    """Nats."""

    def log_odds(self, raw: RawScore, label_N: np.ndarray) -> np.ndarray:
        """See `Scale.log_odds`: the surprise -log P(a genuine image lies farther), less `even`."""
        from scipy.special import stdtr  # noqa: PLC0415  (slow, and spheres do not need it)

        z_N = (_log(raw[DISTANCE]) - self.mean_K[label_N]) / self.spread_K[label_N]
        surprise_N = -np.log(stdtr(FREEDOM, -z_N))
        return np.asarray(np.minimum(surprise_N - self.even, MOST_ODDS))

    def facts(self) -> dict[str, float]:
        """See `Scale.facts`."""
        return {"even": self.even}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Scale.arrays`."""
        return {"mean_K": self.mean_K, "spread_K": self.spread_K}


def even_nats(distances: int) -> float:
    """Nats of surprise at even odds, where so many terms of the joint evidence are distances."""
    return EVEN_NATS + DOUBLED_NATS * float(np.log2(distances))


def fit_distance_scale(
    raw: RawScore, label_N: np.ndarray, classes: int, distances: int = 1
) -> DistanceScale:
    """Fit the scale.

    Args:
        raw: out-of-fold distances of N references under their own labels.
        label_N: (N,) int64, own classes.
        classes: K.
        distances: terms of the joint evidence that are distances.
    """
    # An unusual reference would widen the spread, and unusual images no longer stand out.
    log_N = winsorised(_log(raw[DISTANCE]), WINSOR, LEAST_LOG_SPREAD)
    mean, variance = log_N.mean(), max(float(log_N.var()), LEAST_LOG_SPREAD**2)
    count_K = np.bincount(label_N, minlength=classes)
    sum_K = np.bincount(label_N, log_N, minlength=classes)
    mean_K = (sum_K + SHRINK_CLASSES * mean) / (count_K + SHRINK_CLASSES)
    square_K = np.bincount(label_N, (log_N - mean_K[label_N]) ** 2, minlength=classes)
    spread_K = np.sqrt((square_K + SHRINK_CLASSES * variance) / (count_K + SHRINK_CLASSES))
    return DistanceScale(mean_K=mean_K, spread_K=spread_K, even=even_nats(distances))


def restore_distance_scale(facts: dict[str, float], arrays: dict[str, np.ndarray]) -> DistanceScale:
    """A scale from what `DistanceScale.facts` and `DistanceScale.arrays` returned."""
    return DistanceScale(mean_K=arrays["mean_K"], spread_K=arrays["spread_K"], even=facts["even"])


def _log(distance_N: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(distance_N + 1e-3))
