"""Fits of scorers as independent tasks, which the caller may run in parallel.

Shape suffixes: N references, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rayqc.regions.base import Candidates
from rayqc.regions.joint import RawScores
from rayqc.regions.scorer import Scorer, fit_scorer
from rayqc.regions.views.base import ScorerSettings
from rayqc.seeds import FOLDS


@dataclass(frozen=True, kw_only=True)
class ScorerTask:
    """Fit a scorer on some references and score others with it."""

    train: np.ndarray
    """int64, row numbers of the references to fit on."""
    asked: np.ndarray
    """int64, row numbers of the references to score, none of them in `train`."""


@dataclass(frozen=True, kw_only=True)
class FittedScorer:
    """The result of a `ScorerTask`."""

    scorer: Scorer
    raw: RawScores
    """Raw scores of the rows `asked`, in their order."""


RunTasks = Callable[[Sequence[ScorerTask]], list[FittedScorer]]
"""Runs tasks, in any order or at once; the results are in the tasks' order."""


def fit_task(
    task: ScorerTask, references: Candidates, classes: int, settings: ScorerSettings, seed: int
) -> FittedScorer:
    """Run one task; equal seeds give equal scorers, whatever else runs.

    Args:
        task: row numbers of `references`.
        references: all N of them.
        classes: K.
        settings: how the label's score is made.
        seed: of all draws.
    """
    scorer = fit_scorer(references[task.train], classes, settings, seed)
    return FittedScorer(scorer=scorer, raw=scorer(references[task.asked]))


def in_turn(references: Candidates, classes: int, settings: ScorerSettings, seed: int) -> RunTasks:
    """A `RunTasks` that runs tasks one after another in this process."""
    return lambda tasks: [fit_task(task, references, classes, settings, seed) for task in tasks]


def folds_of(label_N: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold number of each reference; folds differ by at most 1 in size, and little in class mix.

    Args:
        label_N: (N,) int64.
        folds: how many are asked for; N folds where N is less.
        seed: of the draw.

    Returns:
        (N,) int64 in [0, folds).
    """
    rng = np.random.default_rng([seed, FOLDS])
    order = np.concatenate([rng.permutation(np.flatnonzero(label_N == k)) for k in set(label_N)])
    fold_N = np.empty(label_N.size, np.int64)
    fold_N[order] = np.arange(label_N.size) % min(folds, label_N.size)
    return fold_N


def fold_tasks(fold_N: np.ndarray) -> list[ScorerTask]:
    """One task for each fold: fit on the other folds, score the fold's own rows.

    Args:
        fold_N: (N,) int64, see `folds_of`.
    """
    return [
        ScorerTask(train=np.flatnonzero(fold_N != k), asked=np.flatnonzero(fold_N == k))
        for k in range(int(fold_N.max()) + 1)
    ]


def out_of_fold(parts: Sequence[FittedScorer], fold_N: np.ndarray) -> RawScores:
    """Raw scores of all references, in the references' order.

    Args:
        parts: results of `fold_tasks`, in its order.
        fold_N: (N,) int64, see `folds_of`.
    """
    rows = np.concatenate([np.flatnonzero(fold_N == k) for k in range(len(parts))])
    return RawScores.concatenated([fitted.raw for fitted in parts])[np.argsort(rows)]
