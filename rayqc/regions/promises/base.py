"""What a promise is: how references are shared out, and what may be said of fresh images.

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
from rayqc.regions.views.base import LabelSettings


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """How regions are calibrated; see `config.Regions` for each setting."""

    coverage: float
    promise: str
    folds: int
    calibration_share: float
    label: LabelSettings


@dataclass(frozen=True, kw_only=True)
class CalibratedFit:
    """Scorers, their scales, and the scores they are calibrated by."""

    scorers: tuple[Scorer, ...]
    joins: tuple[Join, ...]
    calibration: Calibration
    raw: RawScores
    """Out-of-sample scores of references."""
    folds: int


@dataclass(frozen=True, kw_only=True)
class PromiseKind:
    """How a promise is kept, and its words."""

    fit: Callable[[np.ndarray, int, CalibrationSettings, int, RunTasks], CalibratedFit]
    """Takes the references' labels (N,), the number of classes, settings, a seed, and what does
    tasks."""
    guarantee: Callable[[int, float, int], Guarantee]
    """Takes the number of calibration scores, the coverage asked for, and the number of folds.

    Raises:
        TooFewReferencesError: too few scores to promise anything.
    """


def guarantee(promise: str, scores: int, coverage: float, folds: int) -> Guarantee:
    """A promise in numbers and words; raises as `PromiseKind.guarantee`."""
    kind: PromiseKind = PROMISES[promise]
    return kind.guarantee(scores, coverage, folds)


def one_scorer(odds: Odds, label_M: np.ndarray) -> Calibration:
    """Calibration scores that are all compared with one scorer's."""
    return Calibration(odds=odds, label_M=label_M, scorer_M=np.zeros(label_M.size, np.int64))
