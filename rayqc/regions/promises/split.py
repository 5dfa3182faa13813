"""Promise `split`: some references calibrate and do nothing else.

Shape suffixes: N references.

Source: Vovk et al. 2005 and Lei et al. 2018 (split conformal).
"""

from __future__ import annotations

import numpy as np

from rayqc.errors import TooFewReferencesError
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
    """The references that do not calibrate fit scorer and scales."""
    calibrates_N = choose_calibration(label_N, settings.calibration_share, settings.coverage, seed)
    train, asked = np.flatnonzero(~calibrates_N), np.flatnonzero(calibrates_N)
    fold_N = folds_of(label_N[train], settings.folds, seed)
    inner = [
        ScorerTask(train=train[task.train], asked=train[task.asked]) for task in fold_tasks(fold_N)
    ]
    *parts, last = run([*inner, ScorerTask(train=train, asked=asked)])
    join = fit_join(out_of_fold(parts, fold_N), classes)
    return CalibratedFit(
        scorers=(last.scorer,),
        joins=(join,),
        calibration=one_scorer(join.odds(last.raw), label_N[asked]),
        raw=last.raw,
        folds=len(parts),
    )


def choose_calibration(label_N: np.ndarray, share: float, coverage: float, seed: int) -> np.ndarray:
    """(N,) bool, true for references that calibrate: `share` of each class, and as many as a
    promise needs while that leaves at least half of the references to be fitted on.
    """
    rng = np.random.default_rng([seed, CALIBRATION])
    wanted = max(round(share * label_N.size), min(least_scores(coverage), label_N.size // 2))
    ranks = np.empty(label_N.size)
    for k in np.unique(label_N):
        rows = rng.permutation(np.flatnonzero(label_N == k))
        ranks[rows] = (np.arange(rows.size) + rng.random()) / rows.size
    calibrates_N = np.zeros(label_N.size, bool)
    calibrates_N[np.argsort(ranks, kind="stable")[:wanted]] = True
    return calibrates_N


def guarantee(scores: int, coverage: float, folds: int) -> Guarantee:
    """See `PromiseKind`."""
    least = least_scores(coverage)
    if scores < least:
        raise TooFewReferencesError(
            f"regions.promise: split needs at least {least} calibration scores to promise "
            f"{coverage:.0%}, found {scores}; give more references, a larger "
            "regions.calibration_share, or set regions.promise to empirical or auto"
        )
    says = (
        "averaged over draws of references, a fresh real image drawn like them, in the same "
        f"class mix, is accepted with probability at least {coverage:.1%}"
    )
    return Guarantee(promise="split", coverage=coverage, scores=scores, bound=coverage, says=says)


KIND = PromiseKind(fit=fit, guarantee=guarantee)
