"""Score `texture`: how far an image lies from its class's references in the encoder's middle layer.

Half way through a network that was trained elsewhere, the mean of each channel says what surfaces,
colours and edges an image is made of, and not yet what it shows: a negative, another hue and
noise lie far away there, which at the network's end are forgotten. The distance is that of
`nearness`, where directions in which images of a class differ much count little. It is left out
for encoders that show no inner layer (`LatentNetwork.inner_dims`).

Shape suffixes: N images, M middle features, K classes, R references.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.models.latent import MIDDLE
from rayqc.regions.base import Candidates
from rayqc.regions.own_references import OwnReferences, own_references
from rayqc.regions.scores.base import FEATURES, RawScore, ScoreKind
from rayqc.regions.scores.distance_scale import (
    DISTANCE,
    fit_distance_scale,
    restore_distance_scale,
)
from rayqc.regions.views.base import ScorerSettings
from rayqc.training.discriminant import class_means

LEAST_SPREAD = 0.02
"""Added to each channel's spread, as a share of that of all channels together."""


@dataclass(frozen=True, kw_only=True)
class TextureScore:
    """The references' middle features, and the spread that each is measured in."""

    references: OwnReferences
    """Their values are multiplied by `whitening_MM`."""
    whitening_MM: np.ndarray
    """(M, M) float32."""

    def raw(self, candidates: Candidates) -> RawScore:
        """See `FittedScore.raw`. One array: the (N,) float64 distances, no unit."""
        if MIDDLE not in candidates.inner:
            raise ValueError("the candidates come without middle features, and the regions ask")
        value_NM = candidates.inner[MIDDLE] @ self.whitening_MM
        return {DISTANCE: self.references.distance(value_NM, candidates.label_N)}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedScore.arrays`."""
        return {
            "middle_RM": self.references.value_RD,
            "label_R": self.references.label_R,
            "whitening_MM": self.whitening_MM,
        }


def fit_texture(
    references: Candidates, classes: int, settings: ScorerSettings, seed: int
) -> TextureScore | None:
    """Keep the references' middle features; None where the encoder gives none.

    Args:
        references: N labelled images.
        classes: K.
        settings: say whether the encoder was trained on them: then there is no such score, either.
        seed: not used.
    """
    if MIDDLE not in references.inner or settings.seen:
        return None
    middle_NM, label_N = references.inner[MIDDLE], references.label_N
    whitening_MM = _whitening(middle_NM, label_N, classes)
    kept = own_references(middle_NM @ whitening_MM, label_N, classes)
    return TextureScore(references=kept, whitening_MM=whitening_MM)


def _whitening(value_NM: np.ndarray, label_N: np.ndarray, classes: int) -> np.ndarray:
    """(M, M) float32: values times it have a spread of about 1 / sqrt(M) in every direction.

    That is their spread within a class, by the Ledoit-Wolf covariance (2004, by scikit-learn) of
    each channel's deviations in units of its own spread. A distance then is in mean deviations,
    whatever the number of channels.
    """
    from sklearn.covariance import ledoit_wolf  # noqa: PLC0415  (slow, and only fit needs it)

    deviation_NM = value_NM - class_means(value_NM, label_N, classes)[label_N]
    spread_M = np.maximum(deviation_NM.std(0) + LEAST_SPREAD * deviation_NM.std(), 1e-6)
    covariance_MM, _ = ledoit_wolf(deviation_NM / spread_M, assume_centered=True)
    variance_M, direction_MM = np.linalg.eigh(covariance_MM)
    # Of one image a class there are no deviations, and so no directions of more or less spread.
    length_M = np.sqrt(np.maximum(variance_M, 1e-12)) if deviation_NM.any() else 1.0
    whitening_MM = direction_MM / length_M / np.sqrt(spread_M.size)
    return np.asarray(whitening_MM / spread_M[:, None], np.float32)


def restore_texture(arrays: dict[str, np.ndarray], classes: int, channels: int) -> TextureScore:
    """A score from what `TextureScore.arrays` returned; `classes` and `channels` are not used."""
    references = OwnReferences(value_RD=arrays["middle_RM"], label_R=arrays["label_R"])
    return TextureScore(references=references, whitening_MM=arrays["whitening_MM"])


KIND = ScoreKind(
    fit=fit_texture,
    restore=restore_texture,
    fit_scale=fit_distance_scale,
    restore_scale=restore_distance_scale,
    measures=FEATURES,
)
