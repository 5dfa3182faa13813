"""Promise `empirical`: none. All references fit the scorer that judges candidates.

Shape suffixes: N references.
"""

from __future__ import annotations

import numpy as np

from rayqc.regions.conformal import Guarantee, least_scores
from rayqc.regions.joint import Odds, fit_join
from rayqc.regions.promises.base import (
    CalibratedFit,
    CalibrationSettings,
    PromiseKind,
    one_scorer,
)
from rayqc.regions.scorer_tasks import RunTasks, ScorerTask, fold_tasks, folds_of, out_of_fold


def fit(
    label_N: np.ndarray, classes: int, settings: CalibrationSettings, seed: int, run: RunTasks
) -> CalibratedFit:
    """Out-of-fold scores for the threshold, a scorer of all references for the candidates."""
    fold_N = folds_of(label_N, settings.folds, seed)
    whole = ScorerTask(train=np.arange(label_N.size), asked=np.zeros(0, np.int64))
    *parts, last = run([*fold_tasks(fold_N), whole])
    raw = out_of_fold(parts, fold_N)
    # A fold's scores are scaled by what the other folds say: no scale has seen what it scales.
    odds = [
        fit_join(raw[fold_N != k], classes).odds(raw[fold_N == k]) for k in range(fold_N.max() + 1)
    ]
    order_N = np.argsort(fold_N, kind="stable")
    return CalibratedFit(
        scorers=(last.scorer,),
        joins=(fit_join(raw, classes),),
        calibration=one_scorer(Odds.concatenated(odds), label_N[order_N]),
        raw=raw,
        folds=len(parts),
    )


def guarantee(scores: int, coverage: float, folds: int) -> Guarantee:
    """See `PromiseKind`."""
    least = least_scores(coverage)
    says = (
        "no promise: the score is refitted on all references and its threshold is that of "
        "out-of-fold scores; what is measured on test images is all that is known"
    )
    if scores < least:
        says += f" (with {scores} scores, fewer than {least}, the threshold is the largest)"
    return Guarantee(promise="empirical", coverage=coverage, scores=scores, bound=None, says=says)


KIND = PromiseKind(fit=fit, guarantee=guarantee)
