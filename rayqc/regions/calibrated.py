"""The calibrated region: label and quality joined into one evidence, calibrated once.

Shape suffixes: N images, H W C pixels, D latent, K classes, M calibration scores, J scorers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rayqc.config.base import Statistic
from rayqc.images.statistics import image_statistics, told_apart
from rayqc.regions.base import Candidates, Rejudged, Stored, Verdicts, best_other, score_of
from rayqc.regions.conformal import (
    Guarantee,
    count_larger,
    least_p_value,
    p_values,
    threshold,
)
from rayqc.regions.joint import Join, Odds, RawScores, combine
from rayqc.regions.scores.label import LabelScore, LabelSettings, fit_label, restore_label
from rayqc.regions.scores.quality import QualityScore, fit_quality

KIND = "calibrated"
STATISTICS: tuple[Statistic, ...] = ("label", "quality", "joint")
NOISE_IMAGES = 8


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """Both scores, fitted on some references."""

    label: LabelScore
    quality: QualityScore
    levels: np.ndarray
    """(2,) uint8, see `images.statistics.told_apart`."""
    noise_K: np.ndarray
    """White noise's quality under each label."""

    def __call__(self, candidates: Candidates) -> RawScores:
        """Raw scores of images under their own labels."""
        return RawScores(
            log_probability_NK=self.label.log_probability(candidates),
            quality_N=self.quality.distance(
                _told(candidates.images_NHWC, self.levels), candidates.label_N
            ),
            noise_N=self.noise_K[candidates.label_N],
            label_N=candidates.label_N,
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """For `restore_scorer`."""
        parts = {"label": self.label.arrays(), "quality": self.quality.arrays()}
        found = {f"{name}.{k}": v for name, part in parts.items() for k, v in part.items()}
        return found | {"levels": self.levels, "noise_K": self.noise_K}


def fit_scorer(references: Candidates, classes: int, settings: LabelSettings, seed: int) -> Scorer:
    """Fit both scores on references."""
    levels = told_apart(references.images_NHWC)
    statistics_NS = _told(references.images_NHWC, levels)
    quality = fit_quality(statistics_NS, references.label_N, classes)
    shape = (NOISE_IMAGES, *references.images_NHWC.shape[1:])
    noise_NHWC = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    noise_NS = _told(noise_NHWC, levels)
    return Scorer(
        label=fit_label(references, classes, settings, seed),
        quality=quality,
        levels=levels,
        noise_K=np.array(
            [
                np.median(quality.distance(noise_NS, np.full(NOISE_IMAGES, k)))
                for k in range(classes)
            ]
        ),
    )


def _told(images_NHWC: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(N, S) statistics of images without what is not told apart in them."""
    if levels[0] > 0 or levels[1] < 255:
        images_NHWC = np.clip(images_NHWC, *levels)
    return image_statistics(images_NHWC)


def restore_scorer(arrays: dict[str, np.ndarray], classes: int, channels: int) -> Scorer:
    """A scorer from its arrays."""
    label = under(arrays, "label")
    return Scorer(
        label=restore_label(label, classes, channels),
        quality=QualityScore(**under(arrays, "quality")),
        levels=arrays["levels"],
        noise_K=arrays["noise_K"],
    )


def under(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with `name.`, without it."""
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Log odds of M genuine images that their scorer has not seen."""

    odds: Odds
    label_M: np.ndarray
    scorer_M: np.ndarray
    """Which scorer gave them, for CV+; all zero else."""


@dataclass(frozen=True, kw_only=True)
class CalibratedRegions:
    """One scorer (CV+: one a fold), its scales, and the scores it is calibrated by."""

    classes: tuple[str, ...]
    channels: int
    scorers: tuple[Scorer, ...]
    joins: tuple[Join, ...]
    calibration: Calibration
    guarantee: Guarantee
    folds: int
    encoder_digest: str
    kind: str = KIND

    def judge(self, candidates: Candidates, statistic: Statistic) -> Verdicts:
        """See `Regions`. With CV+ the evidence shown is the mean over scorers."""
        return self.judge_each(candidates, (statistic,))[0]

    def judge_each(self, candidates: Candidates, statistics: Sequence[Statistic]) -> list[Verdicts]:
        """Verdicts by several statistics; the images are scored once."""
        raws = [scorer(candidates) for scorer in self.scorers]
        odds = [join.odds(raw) for join, raw in zip(self.joins, raws, strict=True)]
        return [self.judge_odds(odds, raws, statistic) for statistic in statistics]

    def judge_odds(self, odds: list[Odds], raws: list[RawScores], statistic: Statistic) -> Verdicts:
        """Verdicts from what each scorer gave, on its scale and raw."""
        label_N = np.mean([found.evidence("label") for found in odds], axis=0)
        quality_N = np.mean([found.evidence("quality") for found in odds], axis=0)
        joint_JN = np.stack([found.evidence(statistic) for found in odds])
        p_value_N = self._p_values(joint_JN, statistic)
        log_probability_NK = np.mean([raw.log_probability_NK for raw in raws], axis=0)
        return Verdicts(
            score_N=self._scores(joint_JN, p_value_N, statistic),
            decided_by_N=_decided_by(label_N, quality_N, statistic),
            nearest_N=best_other(-log_probability_NK, raws[0].label_N),
            p_value_N=p_value_N.astype(np.float32),
            label_evidence_N=label_N.astype(np.float32),
            quality_evidence_N=quality_N.astype(np.float32),
        )

    def threshold(self, statistic: Statistic, coverage: float | None = None) -> float:
        """Evidence on the boundary, in nats."""
        level = self.guarantee.coverage if coverage is None else coverage
        return threshold(self.calibration.odds.evidence(statistic), level)

    def rejudge(self, stored: Stored, coverage: float) -> Rejudged:
        """See `Regions`. With CV+ the stored p-values are all there is: the statistic stays."""
        label_N = stored.label_evidence_N.astype(np.float64)
        quality_N = stored.quality_evidence_N.astype(np.float64)
        score_N = np.empty(label_N.size, np.float32)
        p_value_N = stored.p_value_N.copy()
        decided_by_N = np.empty(label_N.size, object)
        for statistic in STATISTICS:
            rows = np.flatnonzero(stored.statistic_N == statistic)
            decided_by_N[rows] = _decided_by(label_N[rows], quality_N[rows], statistic)
            if len(self.scorers) > 1:
                least = least_p_value(self.guarantee.scores, coverage)
                score_N[rows] = score_of(np.full(rows.size, least), p_value_N[rows])
                continue
            evidence_N = combine(label_N[rows], quality_N[rows], statistic)
            score_N[rows] = score_of(evidence_N, np.asarray(self.threshold(statistic, coverage)))
            held_M = self.calibration.odds.evidence(statistic)
            p_value_N[rows] = p_values(evidence_N, held_M)
        return Rejudged(score_N=score_N, decided_by_N=decided_by_N, p_value_N=p_value_N)

    def _p_values(self, evidence_JN: np.ndarray, statistic: Statistic) -> np.ndarray:
        """Of each image; with CV+ each calibration score is compared by its own scorer."""
        held_M = self.calibration.odds.evidence(statistic)
        if len(self.scorers) == 1:
            return p_values(evidence_JN[0], held_M)
        larger_N = np.zeros(evidence_JN.shape[1])
        for scorer, evidence_N in enumerate(evidence_JN):
            larger_N += count_larger(evidence_N, held_M[self.calibration.scorer_M == scorer])
        return np.asarray((1 + larger_N) / (held_M.size + 1))

    def _scores(
        self, evidence_JN: np.ndarray, p_value_N: np.ndarray, statistic: Statistic
    ) -> np.ndarray:
        if len(self.scorers) == 1:
            return score_of(evidence_JN[0], np.asarray(self.threshold(statistic)))
        least = least_p_value(self.guarantee.scores, self.guarantee.coverage)
        return score_of(np.full(p_value_N.size, least), p_value_N)

    def facts(self) -> dict[str, Any]:
        """See `Regions`."""
        return {
            "classes": list(self.classes),
            "channels": self.channels,
            "guarantee": asdict(self.guarantee),
            "folds": self.folds,
            "scorers": len(self.scorers),
            "encoder_digest": self.encoder_digest,
            "joins": [
                {"slope": join.slope, "offset": join.offset, "noise": join.noise}
                for join in self.joins
            ],
            "thresholds": {name: self.threshold(name) for name in STATISTICS},
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Regions`."""
        found = {
            "calibration.label_odds_M": self.calibration.odds.label_N,
            "calibration.quality_odds_M": self.calibration.odds.quality_N,
            "calibration.label_M": self.calibration.label_M,
            "calibration.scorer_M": self.calibration.scorer_M,
        }
        for number, (scorer, join) in enumerate(zip(self.scorers, self.joins, strict=True)):
            found |= {f"scorer{number}.{k}": v for k, v in scorer.arrays().items()}
            found[f"join{number}.mean_K"] = join.mean_K
            found[f"join{number}.spread_K"] = join.spread_K
        return found

    @staticmethod
    def restore(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> CalibratedRegions:
        """Regions from what `facts` and `arrays` gave."""
        classes = tuple(facts["classes"])
        held = under(arrays, "calibration")
        return CalibratedRegions(
            classes=classes,
            channels=facts["channels"],
            scorers=tuple(
                restore_scorer(under(arrays, f"scorer{number}"), len(classes), facts["channels"])
                for number in range(facts["scorers"])
            ),
            joins=tuple(
                Join(
                    slope=scale["slope"],
                    offset=scale["offset"],
                    noise=scale["noise"],
                    mean_K=arrays[f"join{number}.mean_K"],
                    spread_K=arrays[f"join{number}.spread_K"],
                )
                for number, scale in enumerate(facts["joins"])
            ),
            calibration=Calibration(
                odds=Odds(label_N=held["label_odds_M"], quality_N=held["quality_odds_M"]),
                label_M=held["label_M"],
                scorer_M=held["scorer_M"],
            ),
            guarantee=Guarantee(**facts["guarantee"]),
            folds=facts["folds"],
            encoder_digest=facts["encoder_digest"],
        )


def _decided_by(label_N: np.ndarray, quality_N: np.ndarray, statistic: Statistic) -> np.ndarray:
    """(N,) str, the score that weighs most of those in force."""
    if statistic != "joint":
        return np.full(label_N.size, statistic)
    return np.where(quality_N > label_N, "quality", "label")
