"""All scores on one scale, and what they say together.

Each score's scale turns what it gave into log odds (`scores.base`). Its *evidence* against an image
is

    log(1 + exp(log odds)),

in nats, never negative, and the joint evidence is the sum over scores. A score that is not struck
adds next to nothing to one that is, where a maximum or a sum of tails would dilute.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rayqc.config.base import JOINT, Statistic
from rayqc.kinds import SCORES
from rayqc.regions.scores.base import RawScore, Scale, ScoreKind

STATISTICS: tuple[Statistic, ...] = (*SCORES.names, JOINT)


@dataclass(frozen=True, kw_only=True)
class RawScores:
    """What the scores give before they are put on one scale, of N images."""

    by_score: dict[str, RawScore]
    label_N: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> RawScores:
        by_score = {
            name: {key: value[rows] for key, value in raw.items()}
            for name, raw in self.by_score.items()
        }
        return RawScores(by_score=by_score, label_N=self.label_N[rows])

    @staticmethod
    def concatenated(parts: Sequence[RawScores]) -> RawScores:
        """The images of all parts, one part after another."""
        return RawScores(
            by_score={
                name: {
                    key: np.concatenate([part.by_score[name][key] for part in parts]) for key in raw
                }
                for name, raw in parts[0].by_score.items()
            },
            label_N=np.concatenate([part.label_N for part in parts]),
        )


@dataclass(frozen=True, kw_only=True)
class Odds:
    """Log odds of fault against genuine, by each score, of N images."""

    by_score: dict[str, np.ndarray]

    def evidence(self, statistic: Statistic) -> np.ndarray:
        """(N,) float64 nats, 0 and more."""
        by_score = {name: np.logaddexp(0, odds_N) for name, odds_N in self.by_score.items()}
        return combine(by_score, statistic)

    @staticmethod
    def concatenated(parts: Sequence[Odds]) -> Odds:
        """The images of all parts, one part after another."""
        return Odds(
            by_score={
                name: np.concatenate([part.by_score[name] for part in parts])
                for name in parts[0].by_score
            }
        )


@dataclass(frozen=True, kw_only=True)
class Join:
    """The scale of each score."""

    scales: dict[str, Scale]

    def odds(self, raw: RawScores) -> Odds:
        """Raw scores to log odds."""
        return Odds(
            by_score={
                name: scale.log_odds(raw.by_score[name], raw.label_N)
                for name, scale in self.scales.items()
            }
        )

    def facts(self) -> dict[str, float]:
        """All of it that is not an array, as plain JSON."""
        return {k: v for scale in self.scales.values() for k, v in scale.facts().items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it that is an array."""
        return {k: v for scale in self.scales.values() for k, v in scale.arrays().items()}


def combine(evidence: Mapping[str, np.ndarray], statistic: Statistic) -> np.ndarray:
    """(N,) evidence by a statistic, from the evidence by each score alone."""
    if statistic != JOINT:
        return evidence[statistic]
    return np.asarray(functools.reduce(operator.add, evidence.values()))


def fit_join(raw: RawScores, classes: int) -> Join:
    """The scales, from out-of-fold scores of references under their own labels."""
    kinds: dict[str, ScoreKind] = {name: SCORES[name] for name in raw.by_score}
    return Join(
        scales={
            name: kind.fit_scale(raw.by_score[name], raw.label_N, classes)
            for name, kind in kinds.items()
        }
    )


def restore_join(
    scores: Sequence[str], facts: dict[str, float], arrays: dict[str, np.ndarray]
) -> Join:
    """The scales of these scores, from what `Join.facts` and `arrays` gave."""
    kinds: dict[str, ScoreKind] = {name: SCORES[name] for name in scores}
    return Join(scales={name: kind.restore_scale(facts, arrays) for name, kind in kinds.items()})
