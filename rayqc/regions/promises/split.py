"""Promise `split`: some references only calibrate; nothing is fitted on them.

Shape suffixes: N references.

Source: Vovk et al. 2005 and Lei et al. 2018 (split conformal).
"""

from __future__ import annotations

import numpy as np

from rayqc.errors import TooFewReferencesError
from rayqc.printable import percentage
from rayqc.regions.conformal import Guarantee, least_scores
from rayqc.regions.joint import fit_join
from rayqc.regions.promises.base import (
    CalibratedFit,
    CalibrationSettings,
    PromiseKind,
    one_scorer,
)
from rayqc.regions.scorer_tasks import RunTasks, ScorerTask, fold_tasks, folds_of, out_of_fold
from rayqc.seeds import CALIBRATION


def fit(
    label_N: np.ndarray, classes: int, settings: CalibrationSettings, seed: int, run: RunTasks
) -> CalibratedFit:
    """See `PromiseKind.fit`. Scorer and scales are fitted on references that do not calibrate."""
    calibrates_N = choose_calibration(label_N, settings.calibration_share, settings.coverage, seed)
    train, asked = np.flatnonzero(~calibrates_N), np.flatnonzero(calibrates_N)
    fold_N = folds_of(label_N[train], settings.folds, seed)
    inner_tasks = [
        ScorerTask(train=train[task.train], asked=train[task.asked]) for task in fold_tasks(fold_N)
    ]
    *fold_fits, final_fit = run([*inner_tasks, ScorerTask(train=train, asked=asked)])
    join = fit_join(out_of_fold(fold_fits, fold_N), classes)
    return CalibratedFit(
        scorers=(final_fit.scorer,),
        joins=(join,),
        calibration=one_scorer(join.odds(final_fit.raw), label_N[asked]),
        raw=final_fit.raw,
        folds=len(fold_fits),
    )


def choose_calibration(label_N: np.ndarray, share: float, coverage: float, seed: int) -> np.ndarray:
    """Draw the references that calibrate, from each class in proportion to its size.

    They are `share` of all references or, where the promise needs more, as many as it needs but at
    most half of all.

    Args:
        label_N: (N,) int64.
        share: fraction in (0, 1).
        coverage: fraction in (0, 1].
        seed: of the draw.

    Returns:
        (N,) bool, true for references that calibrate.
    """
    rng = np.random.default_rng([seed, CALIBRATION])
    calibration_count = _count(label_N.size, share, coverage)
    rank_N = np.empty(label_N.size)
    for k in np.unique(label_N):
        rows = rng.permutation(np.flatnonzero(label_N == k))
        rank_N[rows] = (np.arange(rows.size) + rng.random()) / rows.size
    calibrates_N = np.zeros(label_N.size, bool)
    calibrates_N[np.argsort(rank_N, kind="stable")[:calibration_count]] = True
    return calibrates_N


def _count(references: int, share: float, coverage: float) -> int:
    return max(round(share * references), min(least_scores(coverage), references // 2))


def scores_of(references: int, settings: CalibrationSettings) -> int:
    """See `PromiseKind.scores`."""
    return _count(references, settings.calibration_share, settings.coverage)


def guarantee(scores: int, coverage: float, folds: int) -> Guarantee:
    """See `PromiseKind.guarantee`."""
    least = least_scores(coverage)
    if scores < least:
        raise TooFewReferencesError(
            f"regions.promise: split needs at least {least} calibration scores to promise "
            f"{percentage(coverage)}, found {scores}; give more references, a larger "
            "regions.calibration_share, or set regions.promise to empirical or auto"
        )
    says = (
        "averaged over draws of references, a fresh real image drawn like them, in the same "
        f"class mix, is accepted with probability at least {coverage:.1%}"
    )
    return Guarantee(promise="split", coverage=coverage, scores=scores, bound=coverage, says=says)


KIND = PromiseKind(fit=fit, guarantee=guarantee, scores=scores_of)
