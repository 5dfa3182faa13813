"""Score `quality`: are an image's contrast, sharpness and spectrum like those of its class?

It is the Mahalanobis distance of the image's plain statistics (`images.statistics`) from its
class's mean, under one covariance for all classes. Deviations count in both directions: too smooth
as well as too rough. The scale is in `quality_scale`.

Shape suffixes: N images, H W C pixels, S statistics, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.images.statistics import image_statistics, told_apart
from rayqc.regions.base import Candidates
from rayqc.regions.scores.base import RawScore, ScoreKind
from rayqc.regions.scores.quality_scale import (
    DISTANCE,
    NOISE_DISTANCE,
    fit_quality_scale,
    restore_quality_scale,
)
from rayqc.regions.views.base import LabelSettings
from rayqc.storage.artefact import prefixed, under

NAME = "quality"
NOISE_IMAGES = 8
"""Images of white noise whose median distance is taken."""
LEAST_SPREAD = 0.15
"""Standard deviation whose square is added to every statistic's variance: a statistic that is
constant among a few references (a black corner) may still vary a little in fresh images."""
BEND = 10.0
"""Where deviations are compressed: 10 standard deviations count as about 9, and 100 as 30."""
SHRINK_MEANS = 1.0
"""A class's mean is drawn towards the common mean as if by this many references that lie there."""


@dataclass(frozen=True, kw_only=True)
class UsualStatistics:
    """Mean of each class's statistics, and the spread and covariance that all classes share."""

    mean_KS: np.ndarray
    """(K, S) float64."""
    spread_S: np.ndarray
    """(S,) float64, standard deviation of each statistic within a class, and `LEAST_SPREAD`."""
    precision_SS: np.ndarray
    """(S, S) float64, inverse covariance of deviations divided by `spread_S` and compressed."""

    def distance(self, statistics_NS: np.ndarray, label_N: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of each image's statistics from its own class's mean.

        Args:
            statistics_NS: (N, S) float.
            label_N: (N,) int64, own classes.

        Returns:
            (N,) float64, no unit.
        """
        bent_NS = _bend((statistics_NS - self.mean_KS[label_N]) / self.spread_S)
        square_N = np.einsum("ns,st,nt->n", bent_NS, self.precision_SS, bent_NS, optimize=True)
        return np.asarray(np.sqrt(np.maximum(square_N, 0)))


@dataclass(frozen=True, kw_only=True)
class QualityScore:
    """The statistics usual for each class, and the distance of white noise from them."""

    usual: UsualStatistics
    levels: np.ndarray
    """(2,) uint8, the pixel values that images are clipped to; see `images.statistics`."""
    noise_K: np.ndarray
    """(K,) float64, white noise's distance under each label."""

    def raw(self, candidates: Candidates) -> RawScore:
        """See `FittedScore.raw`. Two (N,) float64 arrays: the images' distances, and white noise's
        under the same labels.
        """
        label_N = candidates.label_N
        statistics_NS = clipped_statistics(candidates.images_NHWC, self.levels)
        return {
            DISTANCE: self.usual.distance(statistics_NS, label_N),
            NOISE_DISTANCE: self.noise_K[label_N],
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedScore.arrays`."""
        usual = {
            "mean_KS": self.usual.mean_KS,
            "spread_S": self.usual.spread_S,
            "precision_SS": self.usual.precision_SS,
        }
        return {**prefixed(usual, NAME), "levels": self.levels, "noise_K": self.noise_K}


def fit_quality(
    references: Candidates, classes: int, settings: LabelSettings, seed: int
) -> QualityScore:
    """Fit each class's usual statistics, and measure the distance of white noise from them.

    Args:
        references: N labelled images.
        classes: K.
        settings: not used.
        seed: of the white noise.
    """
    levels = told_apart(references.images_NHWC)
    statistics_NS = clipped_statistics(references.images_NHWC, levels)
    usual = fit_usual(statistics_NS, references.label_N, classes)
    shape = (NOISE_IMAGES, *references.images_NHWC.shape[1:])
    noise_NHWC = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    noise_NS = clipped_statistics(noise_NHWC, levels)
    noise_K = [
        np.median(usual.distance(noise_NS, np.full(NOISE_IMAGES, k))) for k in range(classes)
    ]
    return QualityScore(usual=usual, levels=levels, noise_K=np.array(noise_K))


def restore_quality(arrays: dict[str, np.ndarray], classes: int, channels: int) -> QualityScore:
    """A score from what `QualityScore.arrays` returned; `classes` and `channels` are not used."""
    return QualityScore(
        usual=UsualStatistics(**under(arrays, NAME)),
        levels=arrays["levels"],
        noise_K=arrays["noise_K"],
    )


def clipped_statistics(images_NHWC: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Statistics of images after their pixels are clipped to the levels between which differences
    count.

    Args:
        images_NHWC: (N, H, W, C) uint8.
        levels: (2,) uint8, lowest and highest.

    Returns:
        (N, S) float32.
    """
    if levels[0] > 0 or levels[1] < 255:
        images_NHWC = np.clip(images_NHWC, *levels)
    return image_statistics(images_NHWC)


def fit_usual(statistics_NS: np.ndarray, label_N: np.ndarray, classes: int) -> UsualStatistics:
    """Mean statistics of each class, and the Ledoit-Wolf covariance of deviations from them.

    Args:
        statistics_NS: (N, S) float, of references.
        label_N: (N,) int64, own classes.
        classes: K.

    Source: Ledoit & Wolf 2004, by scikit-learn.
    """
    from sklearn.covariance import ledoit_wolf  # noqa: PLC0415  (slow, and only fit needs it)

    statistics_NS = statistics_NS.astype(np.float64)
    common_S = statistics_NS.mean(0)
    count_K = np.bincount(label_N, minlength=classes)
    sum_KS = np.zeros((classes, statistics_NS.shape[1]))
    np.add.at(sum_KS, label_N, statistics_NS)
    mean_KS = (sum_KS + SHRINK_MEANS * common_S) / (count_K + SHRINK_MEANS)[:, None]
    # A reference pulls its class's mean towards itself, so a fresh image deviates more.
    pull_N = np.sqrt((count_K[label_N] + 1) / np.maximum(count_K[label_N] - 1, 1))
    deviation_NS = (statistics_NS - mean_KS[label_N]) * pull_N[:, None]
    spread_S = np.sqrt(deviation_NS.var(0) + LEAST_SPREAD**2)
    covariance_SS, _ = ledoit_wolf(_bend(deviation_NS / spread_S), assume_centered=True)
    return UsualStatistics(
        mean_KS=mean_KS, spread_S=spread_S, precision_SS=np.linalg.pinv(covariance_SS)
    )


def _bend(deviation_NS: np.ndarray) -> np.ndarray:
    """(N, S) deviations, large ones compressed; see `BEND`."""
    return np.asarray(BEND * np.arcsinh(deviation_NS / BEND))


KIND = ScoreKind(
    fit=fit_quality,
    restore=restore_quality,
    fit_scale=fit_quality_scale,
    restore_scale=restore_quality_scale,
)
