"""Fits of scorers as independent tasks, so that whoever calls can run them side by side.

Shape suffixes: N references, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rayqc.regions.base import Candidates
from rayqc.regions.joint import RawScores
from rayqc.regions.scorer import Scorer, fit_scorer
from rayqc.regions.views.base import LabelSettings
from rayqc.seeds import FOLDS


@dataclass(frozen=True, kw_only=True)
class ScorerTask:
    """Fit a scorer on some references and ask it about others."""

    train: np.ndarray
    asked: np.ndarray
    """Row numbers, none of them in `train`."""


@dataclass(frozen=True, kw_only=True)
class FittedScorer:
    """What a task gave."""

    scorer: Scorer
    raw: RawScores
    """Of the rows asked, in their order."""


RunTasks = Callable[[Sequence[ScorerTask]], list[FittedScorer]]
"""Does tasks, in any order or at once; results in the tasks' order."""


def fit_task(
    task: ScorerTask, references: Candidates, classes: int, settings: LabelSettings, seed: int
) -> FittedScorer:
    """One fit. Equal seeds give equal scorers, whatever else runs."""
    scorer = fit_scorer(references[task.train], classes, settings, seed)
    return FittedScorer(scorer=scorer, raw=scorer(references[task.asked]))


def in_turn(references: Candidates, classes: int, settings: LabelSettings, seed: int) -> RunTasks:
    """Does tasks one after another, here."""
    return lambda tasks: [fit_task(task, references, classes, settings, seed) for task in tasks]


def folds_of(label_N: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """(N,) fold numbers; folds are equal in size and in classes as nearly as can be."""
    rng = np.random.default_rng([seed, FOLDS])
    order = np.concatenate([rng.permutation(np.flatnonzero(label_N == k)) for k in set(label_N)])
    fold_N = np.empty(label_N.size, np.int64)
    fold_N[order] = np.arange(label_N.size) % min(folds, label_N.size)
    return fold_N


def fold_tasks(fold_N: np.ndarray) -> list[ScorerTask]:
    """A task a fold: fitted on the other folds, asked about its own rows."""
    return [
        ScorerTask(train=np.flatnonzero(fold_N != k), asked=np.flatnonzero(fold_N == k))
        for k in range(int(fold_N.max()) + 1)
    ]


def out_of_fold(parts: Sequence[FittedScorer], fold_N: np.ndarray) -> RawScores:
    """What the tasks of `fold_tasks` gave, in the references' order."""
    rows = np.concatenate([np.flatnonzero(fold_N == k) for k in range(len(parts))])
    return RawScores.concatenated([part.raw for part in parts])[np.argsort(rows)]
