"""Score `nearness`: how far an image lies from its class's references in the encoder's space.

An encoder that was trained on other images sees what is shown: parts in another order, two images
in one, things that no class is of. The distance is the mean of those to the three nearest
references of the own class. It is left out for an encoder that was trained on the references: they
would lie nearer than any fresh image does.

Shape suffixes: N images, D latent, K classes, R references.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.regions.base import Candidates
from rayqc.regions.scores.base import RawScore, ScoreKind
from rayqc.regions.scores.distance_scale import (
    DISTANCE,
    fit_distance_scale,
    restore_distance_scale,
)
from rayqc.regions.views.base import ScorerSettings
from rayqc.units import evenly

NEAREST = 3
MOST_OF_A_CLASS = 200
"""References of a class that are searched; more are thinned evenly."""


@dataclass(frozen=True, kw_only=True)
class NearnessScore:
    """The references' latents."""

    latent_RD: np.ndarray
    """(R, D) float32."""
    label_R: np.ndarray
    """(R,) int64, own classes."""

    def raw(self, candidates: Candidates) -> RawScore:
        """See `FittedScore.raw`. One array: the (N,) float64 distances, in latent units.

        Where a class has no reference, the nearest of all references are taken.
        """
        distance_N = np.zeros(len(candidates))
        for k in np.unique(candidates.label_N):
            rows = candidates.label_N == k
            own_RD = self.latent_RD[self.label_R == k]
            distance_N[rows] = _mean_nearest(
                candidates.latent_ND[rows], own_RD if len(own_RD) else self.latent_RD
            )
        return {DISTANCE: distance_N}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedScore.arrays`."""
        return {"latent_RD": self.latent_RD, "label_R": self.label_R}


def _mean_nearest(latent_ND: np.ndarray, latent_RD: np.ndarray) -> np.ndarray:
    """(N,) float64, mean distance to the nearest references."""
    from scipy.spatial.distance import cdist  # noqa: PLC0415  (slow, and spheres do not need it)

    distance_NR = cdist(latent_ND, latent_RD)
    nearest = min(NEAREST, len(latent_RD))
    return np.asarray(np.partition(distance_NR, nearest - 1, axis=1)[:, :nearest].mean(1))


def fit_nearness(
    references: Candidates, classes: int, settings: ScorerSettings, seed: int
) -> NearnessScore | None:
    """Keep the references' latents; None where the encoder was trained on the references.

    Args:
        references: N labelled images.
        classes: K.
        settings: say whether the encoder was trained on them.
        seed: not used.
    """
    if settings.seen:
        return None
    rows_by_class = [np.flatnonzero(references.label_N == k) for k in range(classes)]
    keep = np.concatenate([rows[evenly(rows.size, MOST_OF_A_CLASS)] for rows in rows_by_class])
    return NearnessScore(
        latent_RD=references.latent_ND[keep].astype(np.float32), label_R=references.label_N[keep]
    )


def restore_nearness(arrays: dict[str, np.ndarray], classes: int, channels: int) -> NearnessScore:
    """A score from what `NearnessScore.arrays` returned; `classes` and `channels` are not used."""
    return NearnessScore(**arrays)


KIND = ScoreKind(
    fit=fit_nearness,
    restore=restore_nearness,
    fit_scale=fit_distance_scale,
    restore_scale=restore_distance_scale,
)
