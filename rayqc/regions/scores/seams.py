"""Score `seams`: are an image's straightest edges like those of its class?

It is the Mahalanobis distance of the statistics of straight edges (`images.seams`), measured at the
image's own size, from those usual for its class. It looks both ways: what is put together of parts
has edges too straight and too sharp, what is blurred or enlarged has none of a photograph's. It is
there where `detail` is.

Shape suffixes: N images, S statistics, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.regions.base import Candidates
from rayqc.regions.scores.base import PIXELS, RawScore, ScoreKind
from rayqc.regions.scores.distance_scale import (
    DISTANCE,
    fit_distance_scale,
    restore_distance_scale,
)
from rayqc.regions.usual import UsualStatistics, fit_usual
from rayqc.regions.views.base import ScorerSettings

NAME = "seams"


@dataclass(frozen=True, kw_only=True)
class SeamsScore:
    """The statistics usual for each class."""

    usual: UsualStatistics

    def raw(self, candidates: Candidates) -> RawScore:
        """See `FittedScore.raw`. One array: the (N,) float64 distances of the images."""
        seams_NS = candidates.own_size.seams_NS
        if seams_NS is None:
            raise ValueError("the candidates come without seams, and the regions ask for them")
        return {DISTANCE: self.usual.distance(seams_NS, candidates.label_N)}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedScore.arrays`."""
        return self.usual.arrays()


def fit_seams(
    references: Candidates, classes: int, settings: ScorerSettings, seed: int
) -> SeamsScore | None:
    """Fit the statistics usual for each class; None where seams were not measured.

    Args:
        references: N labelled images.
        classes: K.
        settings: not used.
        seed: not used.
    """
    seams_NS = references.own_size.seams_NS
    if seams_NS is None:
        return None
    return SeamsScore(usual=fit_usual(seams_NS, references.label_N, classes))


def restore_seams(arrays: dict[str, np.ndarray], classes: int, channels: int) -> SeamsScore:
    """A score from what `SeamsScore.arrays` returned; `classes` and `channels` are not used."""
    return SeamsScore(usual=UsualStatistics(**arrays))


KIND = ScoreKind(
    fit=fit_seams,
    restore=restore_seams,
    fit_scale=fit_distance_scale,
    restore_scale=restore_distance_scale,
    measures=PIXELS,
)
