"""All scores on one scale, and their sum.

Each score's scale turns its raw values into log odds (`scores.base`). The score's *evidence*
against an image is

    log(1 + odds),

in nats, never negative. Scores that measure the same thing are one term of the joint evidence: two
sizes of an image, or two depths of a network, are not two witnesses. A term is

    log(1 + sum of the odds of its scores),

and the joint evidence is the sum over terms. What finds nothing unusual adds almost nothing to the
evidence of the others, which a maximum or a sum of tail probabilities would dilute.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from rayqc.config.base import JOINT, Statistic
from rayqc.kinds import SCORES
from rayqc.regions.scores.base import RawScore, Scale, ScoreKind
from rayqc.regions.scores.label import NAME as LABEL
from rayqc.regions.scores.label import LabelScale
from rayqc.storage.artefact import prefixed, under


@dataclass(frozen=True, kw_only=True)
class RawScores:
    """Raw values of N images by each score, before they are put on one scale."""

    by_score: dict[str, RawScore]
    """By name of the score."""
    label_N: np.ndarray
    """(N,) int64, the classes that the images were scored under."""

    def __getitem__(self, rows: np.ndarray) -> RawScores:
        by_score = {
            name: {key: value[rows] for key, value in raw.items()}
            for name, raw in self.by_score.items()
        }
        return RawScores(by_score=by_score, label_N=self.label_N[rows])

    @staticmethod
    def concatenated(parts: Sequence[RawScores]) -> RawScores:
        """The images of all `parts`, in the order of the parts."""
        return RawScores(
            by_score={
                name: {
                    key: np.concatenate([scores.by_score[name][key] for scores in parts])
                    for key in raw
                }
                for name, raw in parts[0].by_score.items()
            },
            label_N=np.concatenate([scores.label_N for scores in parts]),
        )


@dataclass(frozen=True, kw_only=True)
class Odds:
    """Log odds of faulty against genuine, of N images by each score."""

    by_score: dict[str, np.ndarray]
    """Name of a score to (N,) float64 nats."""

    def evidence(self, statistic: Statistic) -> np.ndarray:
        """(N,) float64 evidence by a statistic, in nats, 0 and more."""
        by_score = {name: np.logaddexp(0, odds_N) for name, odds_N in self.by_score.items()}
        return combine(by_score, statistic)

    @staticmethod
    def concatenated(parts: Sequence[Odds]) -> Odds:
        """The images of all `parts`, in the order of the parts."""
        return Odds(
            by_score={
                name: np.concatenate([odds.by_score[name] for odds in parts])
                for name in parts[0].by_score
            }
        )


@dataclass(frozen=True, kw_only=True)
class Join:
    """The scale of each score."""

    scales: dict[str, Scale]
    """By name of the score."""

    def odds(self, raw: RawScores) -> Odds:
        """Log odds of N images from their raw scores."""
        return Odds(
            by_score={
                name: scale.log_odds(raw.by_score[name], raw.label_N)
                for name, scale in self.scales.items()
            }
        )

    def log_probability(self, raw: RawScores) -> np.ndarray:
        """(N, K) float64, each class's log-probability by the label's weighted views, in nats."""
        label = cast("LabelScale", self.scales[LABEL])
        return label.weighted(raw.by_score[LABEL])

    def facts(self) -> dict[str, dict[str, float]]:
        """What is not an array, as plain JSON, by score."""
        return {name: scale.facts() for name, scale in self.scales.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """What is an array, by score and name."""
        arrays: dict[str, np.ndarray] = {}
        for name, scale in self.scales.items():
            arrays |= prefixed(scale.arrays(), name)
        return arrays


def combine(evidence: Mapping[str, np.ndarray], statistic: Statistic) -> np.ndarray:
    """Evidence by a statistic, from the evidence by each score alone.

    Args:
        evidence: name of a score to (N,) float, nats.
        statistic: a score's name, or `joint` for all together.

    Returns:
        (N,) float, nats.
    """
    if statistic != JOINT:
        return evidence[statistic]
    terms: dict[str, list[np.ndarray]] = {}
    for name, evidence_N in evidence.items():
        kind: ScoreKind = SCORES[name]
        terms.setdefault(kind.measures or name, []).append(evidence_N)
    return np.asarray(functools.reduce(operator.add, map(_term, terms.values())))


def _term(evidence: Sequence[np.ndarray]) -> np.ndarray:
    """(N,) float, nats: the evidence of scores that measure the same."""
    if len(evidence) == 1:
        return evidence[0]
    return np.asarray(np.log1p(np.expm1(np.stack(evidence)).sum(0)))


def fit_join(raw: RawScores, classes: int) -> Join:
    """The scale of each score.

    Args:
        raw: out-of-fold raw scores of references under their own labels.
        classes: K.
    """
    kinds: dict[str, ScoreKind] = {name: SCORES[name] for name in raw.by_score}
    distances = {kind.measures or name for name, kind in kinds.items() if name != LABEL}
    return Join(
        scales={
            name: kind.fit_scale(raw.by_score[name], raw.label_N, classes, max(len(distances), 1))
            for name, kind in kinds.items()
        }
    )


def restore_join(
    scores: Sequence[str], facts: dict[str, dict[str, float]], arrays: dict[str, np.ndarray]
) -> Join:
    """The scales of these scores, from what `Join.facts` and `Join.arrays` returned."""
    kinds: dict[str, ScoreKind] = {name: SCORES[name] for name in scores}
    return Join(
        scales={
            name: kind.restore_scale(facts[name], under(arrays, name))
            for name, kind in kinds.items()
        }
    )
