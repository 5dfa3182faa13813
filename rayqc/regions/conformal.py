"""What a threshold, set on scores of genuine images, promises about fresh genuine images.

Shape suffixes: N images, M calibration scores.

With few scores the rank that the coverage asks for is that of the largest, or nearly: one odd
reference sets it. Where nothing is promised, a tail is fitted to all of them instead
(`tail_threshold`).

Sources: Vovk et al. 2005 and Lei et al. 2018 (split conformal); Barber, Candes, Ramdas &
Tibshirani 2021, theorem 4 (CV+).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rayqc.regions.robust import winsorised

FEW_SCORES = 100
"""With fewer calibration scores than this, a tail is fitted where nothing is promised."""
TAIL_FLOOR = 0.01
"""Nats added to evidence before its logarithm: differences below it say nothing."""
TAIL_WINSOR = 4.0
"""Robust standard deviations from the median beyond which logarithms are clipped."""
SAME = 1e-5
"""Scores that differ by less than this fraction count as equal, as they are stored as float32."""


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """The coverage that is promised, and the calibration scores that the promise rests on."""

    promise: str
    """Name of the promise's kind."""
    coverage: float
    """The coverage asked for, a fraction in (0, 1]."""
    scores: int
    """Number of calibration scores."""
    bound: float | None
    """The coverage promised, a fraction; None where nothing is promised."""
    says: str
    """The promise in words."""
    tail: bool = False
    """Is the threshold that of a tail fitted to the scores, and not one of the scores?"""


def least_scores(coverage: float) -> int:
    """Fewest calibration scores with which a finite threshold promises the coverage.

    Args:
        coverage: fraction in (0, 1].

    Returns:
        A count: 19 at 0.95; at 1, where no number is enough, 10^9.
    """
    return math.ceil(coverage / (1 - coverage) - 1e-9) if coverage < 1 else 10**9


def rank_of(scores: int, coverage: float) -> int:
    """Rank of the threshold among the sorted calibration scores, counted from 1.

    Args:
        scores: number of calibration scores.
        coverage: fraction in (0, 1].

    Returns:
        The rank; greater than `scores` where no score is large enough to keep the promise.
    """
    return math.ceil((scores + 1) * coverage - 1e-9)


def threshold(evidence_M: np.ndarray, coverage: float) -> float:
    """The calibration score whose rank is `rank_of`, or the largest where that rank is beyond it.

    Args:
        evidence_M: (M,) float, nats, M >= 1.
        coverage: fraction in (0, 1].

    Returns:
        Evidence in nats.
    """
    rank = min(rank_of(evidence_M.size, coverage), evidence_M.size)
    return float(np.sort(evidence_M)[rank - 1])


def tail_threshold(evidence_M: np.ndarray, coverage: float) -> float:
    """The evidence below which the next score falls with a probability, by a fitted tail.

    The logarithms of the scores are taken for draws from one normal distribution, whose mean and
    spread are as uncertain as M scores leave them (Student's t). It is at most the largest score.

    Args:
        evidence_M: (M,) float, nats, M >= 2.
        coverage: fraction in (0, 1].

    Returns:
        Evidence in nats.

    Source: Guttman 1970, the prediction interval of a normal sample.
    """
    from scipy.special import stdtrit  # noqa: PLC0415  (slow, and spheres do not need it)

    largest = float(evidence_M.max())
    if coverage >= 1:  # before SciPy 1.14 `stdtrit` is no number there
        return largest
    log_M = winsorised(np.log(evidence_M + TAIL_FLOOR), TAIL_WINSOR)
    reach_of_next = stdtrit(log_M.size - 1, coverage) * np.sqrt(1 + 1 / log_M.size)
    found = log_M.mean() + reach_of_next * log_M.std(ddof=1)
    if found > np.log(largest + TAIL_FLOOR):
        return largest
    return max(0.0, float(np.exp(found) - TAIL_FLOOR))


def least_p_value(scores: int, coverage: float) -> float:
    """Smallest p-value of an accepted image: the p-value of one exactly on the threshold.

    Args:
        scores: number of calibration scores.
        coverage: fraction in (0, 1].
    """
    rank = min(rank_of(scores, coverage), scores)
    return (scores - rank + 2) / (scores + 1)


def p_values(evidence_N: np.ndarray, evidence_M: np.ndarray) -> np.ndarray:
    """Conformal p-values: (1 + number of calibration scores at least as large) / (M + 1).

    Args:
        evidence_N: (N,) float, nats, of the images.
        evidence_M: (M,) float, nats, of the calibration scores.

    Returns:
        (N,) float64 in (0, 1].
    """
    return np.asarray((1 + count_larger(evidence_N, evidence_M)) / (evidence_M.size + 1))


def count_larger(evidence_N: np.ndarray, evidence_M: np.ndarray) -> np.ndarray:
    """How many calibration scores are at least as large as each image's, up to rounding (`SAME`).

    Args:
        evidence_N: (N,) float, nats, of the images.
        evidence_M: (M,) float, nats, of the calibration scores.

    Returns:
        (N,) int64.
    """
    lowered_N = evidence_N - SAME * np.abs(evidence_N)
    return np.asarray(evidence_M.size - np.searchsorted(np.sort(evidence_M), lowered_N))


def cv_plus_bound(scores: int, folds: int, coverage: float) -> float:
    """Coverage that CV+ promises: 1 - 2 alpha minus a term that vanishes as scores grow.

    Args:
        scores: number of calibration scores.
        folds: number of folds.
        coverage: 1 - alpha, a fraction in (0, 1].

    Returns:
        A fraction in [0, 1].

    Source: Barber, Candes, Ramdas & Tibshirani 2021, theorem 4.
    """
    alpha = 1 - coverage
    fold_term = min(2 * (1 - 1 / folds) / (scores / folds + 1), (1 - folds / scores) / (folds + 1))
    return max(0.0, 1 - 2 * alpha - fold_term)
