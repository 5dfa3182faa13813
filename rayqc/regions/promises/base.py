"""A promise: which references fit and which calibrate, and the coverage that this guarantees.

Shape suffixes: N references, M calibration scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rayqc.kinds import PROMISES
from rayqc.regions.calibrated import Calibration
from rayqc.regions.conformal import Guarantee
from rayqc.regions.joint import Join, Odds, RawScores
from rayqc.regions.scorer import Scorer
from rayqc.regions.scorer_tasks import RunTasks
from rayqc.regions.views.base import ScorerSettings


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """How regions are calibrated; `config.Regions` describes each setting."""

    coverage: float
    promise: str
    folds: int
    calibration_share: float
    scorer: ScorerSettings


@dataclass(frozen=True, kw_only=True)
class CalibratedFit:
    """Scorers, their scales, and the scores that calibrate them."""

    scorers: tuple[Scorer, ...]
    """The scorers that judge candidates: one, or with CV+ one for each fold."""
    joins: tuple[Join, ...]
    """The scales of each scorer, in the scorers' order."""
    calibration: Calibration
    raw: RawScores
    """Out-of-sample raw scores of references, to measure `separation` on."""
    folds: int
    """Number of folds that were used."""


@dataclass(frozen=True, kw_only=True)
class PromiseKind:
    """How regions are fitted under a promise, and what the promise says."""

    fit: Callable[[np.ndarray, int, CalibrationSettings, int, RunTasks], CalibratedFit]
    """Takes the references' labels (N,) int64, K, settings, a seed, and what runs scorer tasks."""
    guarantee: Callable[[int, float, int], Guarantee]
    """Takes the number of calibration scores M, the coverage asked for, and the number of folds.

    Raises:
        TooFewReferencesError: too few scores, or folds, to promise anything.
    """
    scores: Callable[[int, CalibrationSettings], int] = lambda references, settings: references
    """How many scores calibrate, of so many references."""


def guarantee(promise: str, scores: int, coverage: float, folds: int) -> Guarantee:
    """A promise in numbers and words.

    Args:
        promise: name of its kind.
        scores: number of calibration scores M.
        coverage: the coverage asked for, a fraction in (0, 1].
        folds: number of folds.

    Raises:
        TooFewReferencesError: too few scores, or folds, to promise anything.
    """
    kind: PromiseKind = PROMISES[promise]
    return kind.guarantee(scores, coverage, folds)


def one_scorer(odds: Odds, label_M: np.ndarray) -> Calibration:
    """A calibration whose scores are all compared with the same scorer's, number 0.

    Args:
        odds: of M references.
        label_M: (M,) int64, their own classes.
    """
    return Calibration(odds=odds, label_M=label_M, scorer_M=np.zeros(label_M.size, np.int64))
