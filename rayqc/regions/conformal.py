"""What a threshold on scores of genuine images promises of fresh ones, in numbers.

Shape suffixes: N images, M calibration scores.

Sources: Vovk et al. 2005 and Lei et al. 2018 (split conformal); Barber, Candes, Ramdas &
Tibshirani 2021, theorem 4 (CV+).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SAME = 1e-5
"""Relative difference below which two scores are equal: scores are stored as float32."""


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What is promised, and on what it stands."""

    promise: str
    coverage: float
    """The level asked for."""
    scores: int
    """Calibration scores."""
    bound: float | None
    """Coverage that is promised; None promises nothing."""
    says: str
    """In words."""


def least_scores(coverage: float) -> int:
    """Calibration scores without which no finite threshold promises the coverage; 19 at 95%."""
    return math.ceil(coverage / (1 - coverage) - 1e-9) if coverage < 1 else 10**9


def rank_of(scores: int, coverage: float) -> int:
    """Which of the sorted scores (from 1) is the threshold; more than `scores` if none is."""
    return math.ceil((scores + 1) * coverage - 1e-9)


def threshold(evidence_M: np.ndarray, coverage: float) -> float:
    """The rank-th smallest score, or the largest where the rank is beyond it."""
    rank = min(rank_of(evidence_M.size, coverage), evidence_M.size)
    return float(np.sort(evidence_M)[rank - 1])


def least_p_value(scores: int, coverage: float) -> float:
    """The p-value on the threshold: what has at least this one is accepted."""
    rank = min(rank_of(scores, coverage), scores)
    return (scores - rank + 2) / (scores + 1)


def p_values(evidence_N: np.ndarray, evidence_M: np.ndarray) -> np.ndarray:
    """(N,) (1 + scores at least as large) / (M + 1)."""
    return np.asarray((1 + count_larger(evidence_N, evidence_M)) / (evidence_M.size + 1))


def count_larger(evidence_N: np.ndarray, evidence_M: np.ndarray) -> np.ndarray:
    """(N,) how many of M scores are at least as large, or less by no more than rounding."""
    lowered_N = evidence_N - SAME * np.abs(evidence_N)
    return np.asarray(evidence_M.size - np.searchsorted(np.sort(evidence_M), lowered_N))


def cv_plus_bound(scores: int, folds: int, coverage: float) -> float:
    """Coverage that CV+ promises: 1 - 2 alpha less a term that vanishes as scores grow."""
    alpha = 1 - coverage
    small = min(2 * (1 - 1 / folds) / (scores / folds + 1), (1 - folds / scores) / (folds + 1))
    return max(0.0, 1 - 2 * alpha - small)
