"""Promise `empirical`: nothing is promised; the scorer is fitted on all references.

Shape suffixes: N references.
"""

from __future__ import annotations

import numpy as np

from rayqc.regions.conformal import FEW_SCORES, Guarantee
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
    """See `PromiseKind.fit`. Out-of-fold scores calibrate; a scorer of all references judges."""
    fold_N = folds_of(label_N, settings.folds, seed)
    final_task = ScorerTask(train=np.arange(label_N.size), asked=np.zeros(0, np.int64))
    *fold_fits, final_fit = run([*fold_tasks(fold_N), final_task])
    raw = out_of_fold(fold_fits, fold_N)
    # Each fold's log odds come from scales fitted on the other folds' scores, never on its own.
    odds = [
        fit_join(raw[fold_N != k], classes).odds(raw[fold_N == k]) for k in range(fold_N.max() + 1)
    ]
    order_N = np.argsort(fold_N, kind="stable")
    return CalibratedFit(
        scorers=(final_fit.scorer,),
        joins=(fit_join(raw, classes),),
        calibration=one_scorer(Odds.concatenated(odds), label_N[order_N]),
        raw=raw,
        folds=len(fold_fits),
    )


def guarantee(scores: int, coverage: float, folds: int) -> Guarantee:
    """See `PromiseKind.guarantee`."""
    tail = scores < FEW_SCORES
    says = (
        "no promise: the score is refitted on all references and its threshold is that of "
        "out-of-fold scores; what is measured on test images is all that is known"
    )
    if tail:
        says += f" (with {scores} scores, fewer than {FEW_SCORES}, a tail is fitted to them)"
    return Guarantee(
        promise="empirical", coverage=coverage, scores=scores, bound=None, says=says, tail=tail
    )


KIND = PromiseKind(fit=fit, guarantee=guarantee)
