"""The scorer: all scores, fitted on the same references.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rayqc.kinds import SCORES
from rayqc.regions.base import Candidates
from rayqc.regions.joint import RawScores
from rayqc.regions.scores.base import FittedScore, ScoreKind
from rayqc.regions.views.base import ScorerSettings
from rayqc.storage.artefact import prefixed, under


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """All scores, each fitted on the same references."""

    scores: dict[str, FittedScore]
    """By name."""

    def __call__(self, candidates: Candidates) -> RawScores:
        """Raw values of N images by each score, under the images' own labels."""
        by_score = {name: score.raw(candidates) for name, score in self.scores.items()}
        return RawScores(by_score=by_score, label_N=candidates.label_N)

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays of all scores, for `restore_scorer`."""
        arrays: dict[str, np.ndarray] = {}
        for name, score in self.scores.items():
            arrays |= prefixed(score.arrays(), name)
        return arrays


def fit_scorer(references: Candidates, classes: int, settings: ScorerSettings, seed: int) -> Scorer:
    """Fit every score that `settings` ask for; equal seeds give equal scorers.

    Args:
        references: N labelled images.
        classes: K.
        settings: which scores are fitted, and how.
        seed: of all draws.
    """
    kinds: dict[str, ScoreKind] = dict(SCORES.items())
    fitted = {
        name: kind.fit(references, classes, settings, seed)
        for name, kind in kinds.items()
        if not settings.scores or name in settings.scores
    }
    return Scorer(scores={name: score for name, score in fitted.items() if score is not None})


def restore_scorer(
    scores: Sequence[str], arrays: dict[str, np.ndarray], classes: int, channels: int
) -> Scorer:
    """A scorer from what `Scorer.arrays` returned.

    Args:
        scores: names of its scores.
        arrays: of all of these scores.
        classes: K.
        channels: C of the images.
    """
    kinds: dict[str, ScoreKind] = {name: SCORES[name] for name in scores}
    return Scorer(
        scores={
            name: kind.restore(under(arrays, name), classes, channels)
            for name, kind in kinds.items()
        }
    )
