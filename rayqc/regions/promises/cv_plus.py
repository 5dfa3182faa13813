"""Promise `cv+`: for each fold a scorer fitted without it; all of them score every candidate.

Shape suffixes: N references, M calibration scores.

Source: Barber, Candes, Ramdas & Tibshirani 2021, theorem 4.
"""

from __future__ import annotations

import numpy as np

from rayqc.errors import TooFewReferencesError
from rayqc.printable import percentage
from rayqc.regions.calibrated import Calibration
from rayqc.regions.conformal import Guarantee, cv_plus_bound, least_scores
from rayqc.regions.joint import Odds, RawScores, fit_join
from rayqc.regions.promises.base import CalibratedFit, CalibrationSettings, PromiseKind
from rayqc.regions.scorer_tasks import RunTasks, ScorerTask, fold_tasks, folds_of, out_of_fold

LEAST_FOLDS = 3


def fit(
    label_N: np.ndarray, classes: int, settings: CalibrationSettings, seed: int, run: RunTasks
) -> CalibratedFit:
    """See `PromiseKind.fit`. For each fold, a scorer is fitted without it.

    The scales of fold k's scorer are fitted on scores of the other folds; fold j is scored by a
    scorer fitted without j and k. So no image is scored by a scorer that was fitted on it.
    """
    fold_N = folds_of(label_N, settings.folds, seed)
    count = int(fold_N.max()) + 1
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    tasks_without_fold = fold_tasks(fold_N)
    tasks_without_pair = [
        ScorerTask(
            train=np.flatnonzero((fold_N != a) & (fold_N != b)),
            asked=np.concatenate([np.flatnonzero(fold_N == a), np.flatnonzero(fold_N == b)]),
        )
        for a, b in pairs
    ]
    fits = run([*tasks_without_fold, *tasks_without_pair])
    fit_without_pair = dict(zip(pairs, fits[count:], strict=True))
    joins, odds_by_fold, label_by_fold = [], [], []
    for k in range(count):
        raw_by_fold = []
        for j in range(count):
            if j != k:
                raw = fit_without_pair[min(j, k), max(j, k)].raw
                first_size = int((fold_N == min(j, k)).sum())
                rows = np.arange(raw.label_N.size)
                raw_by_fold.append(raw[rows < first_size] if j < k else raw[rows >= first_size])
        joins.append(fit_join(RawScores.concatenated(raw_by_fold), classes))
        odds_by_fold.append(joins[k].odds(fits[k].raw))
        label_by_fold.append(fits[k].raw.label_N)
    calibration = Calibration(
        odds=Odds.concatenated(odds_by_fold),
        label_M=np.concatenate(label_by_fold),
        scorer_M=np.repeat(np.arange(count), [fold_label_N.size for fold_label_N in label_by_fold]),
    )
    return CalibratedFit(
        scorers=tuple(fold_fit.scorer for fold_fit in fits[:count]),
        joins=tuple(joins),
        calibration=calibration,
        raw=out_of_fold(fits[:count], fold_N),
        folds=count,
    )


def guarantee(scores: int, coverage: float, folds: int) -> Guarantee:
    """See `PromiseKind.guarantee`.

    With two folds the scales would be fitted on no reference; with few scores the rank that the
    theorem speaks of is beyond them.
    """
    least = least_scores(coverage)
    if folds < LEAST_FOLDS or scores < least:
        raise TooFewReferencesError(
            f"regions.promise: cv+ needs at least {LEAST_FOLDS} folds, and {least} references to "
            f"promise anything at {percentage(coverage)}; found {folds} folds and {scores} "
            "references; give more references, or set regions.promise to empirical or auto"
        )
    bound = cv_plus_bound(scores, folds, coverage)
    says = (
        "averaged over draws of references, a fresh real image drawn like them is accepted "
        f"with probability at least {bound:.1%} (and usually near {percentage(coverage)})"
    )
    return Guarantee(promise="cv+", coverage=coverage, scores=scores, bound=bound, says=says)


KIND = PromiseKind(fit=fit, guarantee=guarantee)
