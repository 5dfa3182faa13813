"""The calibrated region: all scores joined into one evidence, calibrated once.

Shape suffixes: N images, H W C pixels, D latent, K classes, M calibration scores, J scorers,
S scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from rayqc.config.base import JOINT, Statistic
from rayqc.errors import ConfigError
from rayqc.images.detail import Detail
from rayqc.kinds import SCORES
from rayqc.regions.base import (
    Candidates,
    RegionKind,
    Rejudged,
    Stored,
    Verdicts,
    best_other,
    score_of,
)
from rayqc.regions.conformal import (
    Guarantee,
    count_larger,
    least_p_value,
    p_values,
    tail_threshold,
    threshold,
)
from rayqc.regions.joint import Join, Odds, RawScores, combine, restore_join
from rayqc.regions.scorer import Scorer, restore_scorer
from rayqc.storage.artefact import Facts, prefixed, under

NAME = "calibrated"
ODDS = "{}_odds_M"
"""Name of the array that holds the calibration scores of a score."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Log odds of M references, each from a scorer that was not fitted on it."""

    odds: Odds
    """Nats, by each score."""
    label_M: np.ndarray
    """(M,) int64, the references' own classes."""
    scorer_M: np.ndarray
    """(M,) int64, number of the scorer that each is compared with: its fold with CV+, else 0."""


@dataclass(frozen=True, kw_only=True)
class CalibratedRegions:
    """One scorer (with CV+ one for each fold), its scales, and the scores that calibrate it."""

    classes: tuple[str, ...]
    channels: int
    """C of the images."""
    scorers: tuple[Scorer, ...]
    """J of them."""
    joins: tuple[Join, ...]
    """The scales of each scorer, in the scorers' order."""
    calibration: Calibration
    guarantee: Guarantee
    folds: int
    encoder_digest: str
    detail: Detail | None = None
    """How candidates are looked at at their own size; None where no score does."""
    kind: str = NAME

    def judge(self, candidates: Candidates, statistic: Statistic) -> Verdicts:
        """See `Regions.judge`. With CV+ the evidence returned is the mean over scorers.

        Raises:
            ConfigError: these regions have no such statistic.
        """
        return self.judge_each(candidates, (statistic,))[0]

    def judge_each(self, candidates: Candidates, statistics: Sequence[Statistic]) -> list[Verdicts]:
        """Verdicts by each of several statistics; the images are scored once.

        Raises:
            ConfigError: these regions have no such statistic.
        """
        raws = [scorer(candidates) for scorer in self.scorers]
        odds = [join.odds(raw) for join, raw in zip(self.joins, raws, strict=True)]
        return [self.judge_odds(odds, raws, statistic) for statistic in statistics]

    def judge_odds(self, odds: list[Odds], raws: list[RawScores], statistic: Statistic) -> Verdicts:
        """Verdicts from the log odds and the raw scores of each scorer.

        Args:
            odds: J of them, each of the same N images.
            raws: J of them, each of the same N images.
            statistic: the evidence to judge by.

        Raises:
            ConfigError: these regions have no such statistic.
        """
        evidence = {
            name: np.mean([scorer_odds.evidence(name) for scorer_odds in odds], axis=0)
            for name in self.scores
        }
        self.refuse_unknown(statistic)
        evidence_JN = np.stack([scorer_odds.evidence(statistic) for scorer_odds in odds])
        p_value_N = self._p_values(evidence_JN, statistic)
        return Verdicts(
            score_N=self._scores(evidence_JN, p_value_N, statistic),
            decided_by_N=_decided_by(evidence, statistic),
            nearest_N=self._nearest(raws),
            p_value_N=p_value_N.astype(np.float32),
            evidence={name: value_N.astype(np.float32) for name, value_N in evidence.items()},
        )

    def _nearest(self, raws: list[RawScores]) -> np.ndarray:
        """(N,) int64, the class that suits each image best by label, its own left out."""
        by_scorer = [join.log_probability(raw) for join, raw in zip(self.joins, raws, strict=True)]
        log_probability_NK = np.mean(by_scorer, axis=0)
        return best_other(-log_probability_NK, raws[0].label_N)

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores whose evidence is joined."""
        return tuple(self.calibration.odds.by_score)

    def threshold(self, statistic: Statistic, coverage: float | None = None) -> float:
        """Evidence on the boundary, in nats, at the fitted coverage or at another."""
        level = self.guarantee.coverage if coverage is None else coverage
        of_level = tail_threshold if self.guarantee.tail else threshold
        return of_level(self.calibration.odds.evidence(statistic), level)

    def rejudge(self, stored: Stored, coverage: float) -> Rejudged:
        """See `Regions.rejudge`.

        With CV+ the scores come from the stored p-values, so the statistic cannot change: the
        evidence of each scorer alone was not stored.
        """
        evidence = {name: stored.evidence[name].astype(np.float64) for name in self.scores}
        score_N = np.empty(stored.label_N.size, np.float32)
        p_value_N = stored.p_value_N.copy()
        decided_by_N = np.empty(stored.label_N.size, object)
        for statistic in set(stored.statistic_N.tolist()):
            self.refuse_unknown(statistic)
            rows = np.flatnonzero(stored.statistic_N == statistic)
            row_evidence = {name: value_N[rows] for name, value_N in evidence.items()}
            decided_by_N[rows] = _decided_by(row_evidence, statistic)
            if len(self.scorers) > 1:
                boundary_p = least_p_value(self.guarantee.scores, coverage)
                score_N[rows] = score_of(np.full(rows.size, boundary_p), p_value_N[rows])
                continue
            evidence_N = combine(row_evidence, statistic)
            score_N[rows] = score_of(evidence_N, np.asarray(self.threshold(statistic, coverage)))
            evidence_M = self.calibration.odds.evidence(statistic)
            p_value_N[rows] = p_values(evidence_N, evidence_M)
        return Rejudged(score_N=score_N, decided_by_N=decided_by_N, p_value_N=p_value_N)

    def refuse_unknown(self, statistic: Statistic) -> None:
        """Refuse a statistic that these regions have not.

        Raises:
            ConfigError: there is no score of this name.
        """
        if statistic not in (*self.scores, JOINT):
            raise ConfigError(
                f"these regions have no score {statistic!r}, only {', '.join(self.scores)} and "
                f"{JOINT}; detail and seams need references larger than image.size, nearness an "
                "encoder that was trained elsewhere, alteration one that is no column, texture one "
                "of timm (docs/regions.md); regions of before a score was there: rayqc fit --redo"
            )

    def _p_values(self, evidence_JN: np.ndarray, statistic: Statistic) -> np.ndarray:
        """(N,) p-values; with CV+ each calibration score is compared with its own scorer's."""
        evidence_M = self.calibration.odds.evidence(statistic)
        if len(self.scorers) == 1:
            return p_values(evidence_JN[0], evidence_M)
        larger_N = np.zeros(evidence_JN.shape[1])
        for number, evidence_N in enumerate(evidence_JN):
            larger_N += count_larger(evidence_N, evidence_M[self.calibration.scorer_M == number])
        return np.asarray((1 + larger_N) / (evidence_M.size + 1))

    def _scores(
        self, evidence_JN: np.ndarray, p_value_N: np.ndarray, statistic: Statistic
    ) -> np.ndarray:
        if len(self.scorers) == 1:
            return score_of(evidence_JN[0], np.asarray(self.threshold(statistic)))
        boundary_p = least_p_value(self.guarantee.scores, self.guarantee.coverage)
        return score_of(np.full(p_value_N.size, boundary_p), p_value_N)

    def facts(self) -> Facts:
        """See `Regions`."""
        return {
            "classes": list(self.classes),
            "channels": self.channels,
            "guarantee": asdict(self.guarantee),
            "folds": self.folds,
            "scorers": len(self.scorers),
            "encoder_digest": self.encoder_digest,
            "detail": None if self.detail is None else self.detail.facts(),
            "joins": [join.facts() for join in self.joins],
            "thresholds": {name: self.threshold(name) for name in (*self.scores, JOINT)},
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Regions`."""
        odds = {
            ODDS.format(name): odds_M for name, odds_M in self.calibration.odds.by_score.items()
        }
        arrays = prefixed(
            {
                **odds,
                "label_M": self.calibration.label_M,
                "scorer_M": self.calibration.scorer_M,
            },
            "calibration",
        )
        for number, (scorer, join) in enumerate(zip(self.scorers, self.joins, strict=True)):
            arrays |= prefixed(scorer.arrays(), f"scorer{number}")
            arrays |= prefixed(join.arrays(), f"join{number}")
        return arrays

    @staticmethod
    def restore(facts: Facts, arrays: dict[str, np.ndarray]) -> CalibratedRegions:
        """Regions from what `facts` and `arrays` returned."""
        classes, channels = tuple(facts["classes"]), facts["channels"]
        calibration = under(arrays, "calibration")
        scores = [name for name in SCORES.names if ODDS.format(name) in calibration]
        return CalibratedRegions(
            classes=classes,
            channels=channels,
            scorers=tuple(
                restore_scorer(scores, under(arrays, f"scorer{number}"), len(classes), channels)
                for number in range(facts["scorers"])
            ),
            joins=tuple(
                restore_join(scores, join_facts, under(arrays, f"join{number}"))
                for number, join_facts in enumerate(facts["joins"])
            ),
            calibration=Calibration(
                odds=Odds(by_score={name: calibration[ODDS.format(name)] for name in scores}),
                label_M=calibration["label_M"],
                scorer_M=calibration["scorer_M"],
            ),
            guarantee=Guarantee(**facts["guarantee"]),
            folds=facts["folds"],
            encoder_digest=facts["encoder_digest"],
            detail=None if facts["detail"] is None else Detail.restore(facts["detail"]),
        )


def _decided_by(evidence: Mapping[str, np.ndarray], statistic: Statistic) -> np.ndarray:
    """(N,) str, the score of most evidence that the statistic counts; of equal ones the first."""
    evidence_SN = np.stack(list(evidence.values()))
    if statistic != JOINT:
        return np.full(evidence_SN.shape[1], statistic)
    return np.asarray(np.array(list(evidence))[evidence_SN.argmax(0)])


KIND = RegionKind(
    sphere="sphere",
    calibrated=True,
    restore=CalibratedRegions.restore,
)
