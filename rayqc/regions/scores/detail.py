"""Score `detail`: is an image made like those of its class, seen in tiles at its own size?

The same distance as `quality`'s, of each tile's plain statistics from those usual for tiles of the
class. An image's distance is the geometric mean over the half of its tiles that lie nearest to the
usual: noise, softness and the marks of compression are in every tile, while a few odd tiles are
what is shown, which the other scores see. It is left out where the run's images are no larger than
what `quality` sees.

Shape suffixes: N images, T tiles, S statistics, K classes.
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

NAME = "detail"
TINY = 1e-3
"""Added to distances before their logarithm."""


@dataclass(frozen=True, kw_only=True)
class DetailScore:
    """The statistics usual for the tiles of each class."""

    usual: UsualStatistics

    def raw(self, candidates: Candidates) -> RawScore:
        """See `FittedScore.raw`. One array: the (N,) float64 distances of the images."""
        detail_NTS = candidates.own_size.detail_NTS
        if detail_NTS is None:
            raise ValueError("the candidates come without detail, and the regions ask for it")
        count, tiles, statistics = detail_NTS.shape
        flat = detail_NTS.reshape(count * tiles, statistics)
        distance = self.usual.distance(flat, np.repeat(candidates.label_N, tiles))
        ordered_NT = np.sort(np.log(distance + TINY).reshape(count, tiles), axis=1)
        return {DISTANCE: np.exp(ordered_NT[:, : (tiles + 1) // 2].mean(1))}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedScore.arrays`."""
        return self.usual.arrays()


def fit_detail(
    references: Candidates, classes: int, settings: ScorerSettings, seed: int
) -> DetailScore | None:
    """Fit the statistics usual for the tiles of each class; None where there are no tiles.

    Args:
        references: N labelled images.
        classes: K.
        settings: not used.
        seed: not used.
    """
    detail_NTS = references.own_size.detail_NTS
    if detail_NTS is None:
        return None
    count, tiles, statistics = detail_NTS.shape
    flat = detail_NTS.reshape(count * tiles, statistics)
    return DetailScore(usual=fit_usual(flat, np.repeat(references.label_N, tiles), classes))


def restore_detail(arrays: dict[str, np.ndarray], classes: int, channels: int) -> DetailScore:
    """A score from what `DetailScore.arrays` returned; `classes` and `channels` are not used."""
    return DetailScore(usual=UsualStatistics(**arrays))


KIND = ScoreKind(
    fit=fit_detail,
    restore=restore_detail,
    fit_scale=fit_distance_scale,
    restore_scale=restore_distance_scale,
    measures=PIXELS,
)
