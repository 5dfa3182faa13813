"""Promise `cv+`: a scorer without each fold, and all of them are asked about every candidate.

Shape suffixes: N references, M calibration scores.

Source: Barber, Candes, Ramdas & Tibshirani 2021, theorem 4.
"""

from __future__ import annotations

import numpy as np

from rayqc.regions.calibrated import Calibration
from rayqc.regions.conformal import Guarantee, cv_plus_bound
from rayqc.regions.joint import Odds, RawScores, fit_join
from rayqc.regions.promises.base import CalibratedFit, CalibrationSettings, PromiseKind
from rayqc.regions.scorer_tasks import RunTasks, ScorerTask, fold_tasks, folds_of, out_of_fold


def fit(
    label_N: np.ndarray, classes: int, settings: CalibrationSettings, seed: int, run: RunTasks
) -> CalibratedFit:
    """A scorer without each fold, scaled by scorers without that fold and one more."""
    fold_N = folds_of(label_N, settings.folds, seed)
    count = int(fold_N.max()) + 1
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    outer = fold_tasks(fold_N)
    inner = [
        ScorerTask(
            train=np.flatnonzero((fold_N != a) & (fold_N != b)),
            asked=np.concatenate([np.flatnonzero(fold_N == a), np.flatnonzero(fold_N == b)]),
        )
        for a, b in pairs
    ]
    fitted = run([*outer, *inner])
    without_two = dict(zip(pairs, fitted[count:], strict=True))
    joins, odds, labels = [], [], []
    for k in range(count):
        raws = []
        for j in range(count):
            if j != k:
                raw = without_two[min(j, k), max(j, k)].raw
                first = int((fold_N == min(j, k)).sum())
                rows = np.arange(raw.label_N.size)
                raws.append(raw[rows < first] if j < k else raw[rows >= first])
        joins.append(fit_join(RawScores.concatenated(raws), classes))
        odds.append(joins[k].odds(fitted[k].raw))
        labels.append(fitted[k].raw.label_N)
    calibration = Calibration(
        odds=Odds.concatenated(odds),
        label_M=np.concatenate(labels),
        scorer_M=np.repeat(np.arange(count), [part.size for part in labels]),
    )
    return CalibratedFit(
        scorers=tuple(part.scorer for part in fitted[:count]),
        joins=tuple(joins),
        calibration=calibration,
        raw=out_of_fold(fitted[:count], fold_N),
        folds=count,
    )


def guarantee(scores: int, coverage: float, folds: int) -> Guarantee:
    """See `PromiseKind`."""
    bound = cv_plus_bound(scores, folds, coverage)
    says = (
        "averaged over draws of references, a fresh real image drawn like them is accepted "
        f"with probability at least {bound:.1%} (and usually near {coverage:.0%})"
    )
    return Guarantee(promise="cv+", coverage=coverage, scores=scores, bound=bound, says=says)


KIND = PromiseKind(fit=fit, guarantee=guarantee)
