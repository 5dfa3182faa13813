"""Label and quality on one scale, and what they say together.

Each is turned into log odds: how much likelier is what was seen in a faulty image than in a
genuine one? Its *evidence* against an image is

    log(1 + exp(log odds)),

in nats, never negative, and the evidence of both is their sum. A score that is not struck
adds next to nothing to one that is, where a maximum or a sum of tails would dilute.

The scales come from out-of-fold scores of references: the label's by a logistic regression
that tells own labels from wrong ones (Platt 1999), the quality's from the mean and spread of
its logarithm, and from where white noise lies on that scale. No fault is made for them, so none is
favoured.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.config.base import Statistic
from rayqc.regions.scores.label import log_odds

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
MOST_SLOPE_PENALTY = 1e-3
MOST_ODDS = 300.0
"""Nats; keeps evidence finite and small enough for float32."""


@dataclass(frozen=True, kw_only=True)
class RawScores:
    """What the scores give before they are put on one scale, of N images."""

    log_probability_NK: np.ndarray
    """Of the label's score; not normalised."""
    quality_N: np.ndarray
    """Distances."""
    noise_N: np.ndarray
    """White noise's distances under the same labels, by the same score."""
    label_N: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> RawScores:
        return RawScores(
            log_probability_NK=self.log_probability_NK[rows],
            quality_N=self.quality_N[rows],
            noise_N=self.noise_N[rows],
            label_N=self.label_N[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Odds:
    """Log odds of fault against genuine, by each score, of N images."""

    label_N: np.ndarray
    quality_N: np.ndarray

    def evidence(self, statistic: Statistic) -> np.ndarray:
        """(N,) float64 nats, 0 and more."""
        return combine(np.logaddexp(0, self.label_N), np.logaddexp(0, self.quality_N), statistic)


@dataclass(frozen=True, kw_only=True)
class Join:
    """The scales."""

    slope: float
    offset: float
    mean_K: np.ndarray
    """Of the logarithm of quality distances."""
    spread_K: np.ndarray
    noise: float
    """White noise's, in spreads beyond the mean."""

    def even(self, noise_share: float = NOISE_SHARE) -> float:
        """Nats of quality at even odds: the logarithm of those halfway to white noise."""
        return float(np.log(max((noise_share * self.noise) ** 2 / 2, LEAST_NATS)))

    def odds(self, raw: RawScores, noise_share: float = NOISE_SHARE) -> Odds:
        """Raw scores to log odds."""
        label_N = self.slope * log_odds(raw.log_probability_NK, raw.label_N) + self.offset
        beyond_N = _beyond(raw.quality_N, self.mean_K[raw.label_N], self.spread_K[raw.label_N])
        return Odds(
            label_N=np.clip(label_N, -MOST_ODDS, MOST_ODDS),
            quality_N=np.minimum(beyond_N**2 / 2 - self.even(noise_share), MOST_ODDS),
        )


def combine(label_N: np.ndarray, quality_N: np.ndarray, statistic: Statistic) -> np.ndarray:
    """(N,) evidence by a statistic, from the evidence by label and by quality alone."""
    if statistic == "label":
        return label_N
    if statistic == "quality":
        return quality_N
    return np.asarray(label_N + quality_N)


def fit_join(raw: RawScores) -> Join:
    """The scales, from out-of-fold scores of references under their own labels."""
    classes = raw.log_probability_NK.shape[1]
    slope, offset = _logistic(raw, classes)
    log_N = _winsorised(_log(raw.quality_N))
    mean, variance = log_N.mean(), max(float(log_N.var()), LEAST_LOG_SPREAD**2)
    count_K = np.bincount(raw.label_N, minlength=classes)
    sum_K = np.bincount(raw.label_N, log_N, minlength=classes)
    mean_K = (sum_K + SHRINK_CLASSES * mean) / (count_K + SHRINK_CLASSES)
    square_K = np.bincount(raw.label_N, (log_N - mean_K[raw.label_N]) ** 2, minlength=classes)
    spread_K = np.sqrt((square_K + SHRINK_CLASSES * variance) / (count_K + SHRINK_CLASSES))
    noise_N = _beyond(raw.noise_N, mean_K[raw.label_N], spread_K[raw.label_N])
    return Join(
        slope=slope,
        offset=offset,
        mean_K=mean_K,
        spread_K=spread_K,
        noise=float(np.median(noise_N)),
    )


def _beyond(distance_N: np.ndarray, mean_N: np.ndarray, spread_N: np.ndarray) -> np.ndarray:
    """(N,) spreads beyond the usual, 0 for what is nearer than it."""
    return np.asarray(np.maximum((_log(distance_N) - mean_N) / spread_N, 0))


def _logistic(raw: RawScores, classes: int) -> tuple[float, float]:
    """Slope and offset that tell own labels from each wrong one, both sides weighing alike."""
    if classes < 2:
        return 1.0, 0.0
    from scipy.optimize import minimize  # noqa: PLC0415  (slow, and only fit needs it)

    own_N = log_odds(raw.log_probability_NK, raw.label_N)
    wrong_N = np.concatenate(
        [
            log_odds(raw.log_probability_NK, (raw.label_N + shift) % classes)
            for shift in range(1, min(classes, 10))
        ]
    )

    def loss(parameters: np.ndarray) -> float:
        slope, offset = parameters
        own = np.logaddexp(0, slope * own_N + offset).mean()
        wrong = np.logaddexp(0, -(slope * wrong_N + offset)).mean()
        return float(own + wrong + MOST_SLOPE_PENALTY * slope**2)

    slope, offset = minimize(loss, np.array([1.0, 0.0])).x
    return max(float(slope), 0.0), float(offset)


def _winsorised(values_N: np.ndarray) -> np.ndarray:
    """Values beyond 2.5 robust standard deviations of the median set there: one odd reference
    must not widen the scale that the odd ones are found by.
    """
    low, median, high = np.quantile(values_N, [0.25, 0.5, 0.75])
    reach = WINSOR * max((high - low) / NORMAL_QUARTILES, LEAST_LOG_SPREAD)
    return np.asarray(np.clip(values_N, median - reach, median + reach))


def _log(distance_N: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(distance_N + 1e-3))
