"""Score `quality`: are an image's contrast, sharpness and spectrum like those of its class?

It is the Mahalanobis distance of the plain statistics (`images.statistics`) of the image in the
run's size from its class's mean, under one covariance for all classes. Deviations count in both
directions: too smooth as well as too rough.

Shape suffixes: N images, H W C pixels, S statistics, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.images.statistics import image_statistics, told_apart
from rayqc.regions.base import Candidates
from rayqc.regions.scores.base import PIXELS, RawScore, ScoreKind
from rayqc.regions.scores.distance_scale import (
    DISTANCE,
    fit_distance_scale,
    restore_distance_scale,
)
from rayqc.regions.usual import UsualStatistics, fit_usual
from rayqc.regions.views.base import ScorerSettings

LEVELS = "levels"
"""Name of the array of levels, beside those of the usual statistics."""


@dataclass(frozen=True, kw_only=True)
class QualityScore:
    """The statistics usual for each class."""

    usual: UsualStatistics
    levels: np.ndarray
    """(2,) uint8, the pixel values that images are clipped to; see `images.statistics`."""

    def raw(self, candidates: Candidates) -> RawScore:
        """See `FittedScore.raw`. One array: the (N,) float64 distances of the images."""
        statistics_NS = clipped_statistics(candidates.images_NHWC, self.levels)
        return {DISTANCE: self.usual.distance(statistics_NS, candidates.label_N)}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedScore.arrays`."""
        return {**self.usual.arrays(), LEVELS: self.levels}


def fit_quality(
    references: Candidates, classes: int, settings: ScorerSettings, seed: int
) -> QualityScore:
    """Fit each class's usual statistics.

    Args:
        references: N labelled images.
        classes: K.
        settings: not used.
        seed: not used.
    """
    levels = told_apart(references.images_NHWC)
    statistics_NS = clipped_statistics(references.images_NHWC, levels)
    usual = fit_usual(statistics_NS, references.label_N, classes)
    return QualityScore(usual=usual, levels=levels)


def restore_quality(arrays: dict[str, np.ndarray], classes: int, channels: int) -> QualityScore:
    """A score from what `QualityScore.arrays` returned; `classes` and `channels` are not used."""
    usual = {name: array for name, array in arrays.items() if name != LEVELS}
    return QualityScore(usual=UsualStatistics(**usual), levels=arrays[LEVELS])


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


KIND = ScoreKind(
    fit=fit_quality,
    restore=restore_quality,
    fit_scale=fit_distance_scale,
    restore_scale=restore_distance_scale,
    measures=PIXELS,
)
