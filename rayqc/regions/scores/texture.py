"""Score `texture`: how far an image lies from its class's references in the encoder's middle layer.

Half way through a network that was trained elsewhere, the mean of each channel says what surfaces,
colours and edges an image is made of, and not yet what it shows: a negative, another hue and
noise lie far away there, which at the network's end are forgotten. The distance is that of
`nearness`, after each channel is divided by its spread within a class. It is left out for
encoders without a middle layer (`LatentNetwork.middle_dim`).

Shape suffixes: N images, M middle features, K classes, R references.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.regions.base import Candidates
from rayqc.regions.own_references import OwnReferences, own_references
from rayqc.regions.scores.base import FEATURES, RawScore, ScoreKind
from rayqc.regions.scores.distance_scale import (
    DISTANCE,
    fit_distance_scale,
    restore_distance_scale,
)
from rayqc.regions.views.base import ScorerSettings

LEAST_SPREAD = 0.1
"""Added to each channel's spread, as a share of that of all channels together."""


@dataclass(frozen=True, kw_only=True)
class TextureScore:
    """The references' middle features, and the spread that each is measured in."""

    references: OwnReferences
    """Their values are divided by `spread_M`."""
    spread_M: np.ndarray
    """(M,) float32."""

    def raw(self, candidates: Candidates) -> RawScore:
        """See `FittedScore.raw`. One array: the (N,) float64 distances, no unit."""
        if candidates.middle_NM is None:
            raise ValueError("the candidates come without middle features, and the regions ask")
        value_NM = candidates.middle_NM / self.spread_M
        return {DISTANCE: self.references.distance(value_NM, candidates.label_N)}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedScore.arrays`."""
        return {
            "middle_RM": self.references.value_RD,
            "label_R": self.references.label_R,
            "spread_M": self.spread_M,
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
    middle_NM, label_N = references.middle_NM, references.label_N
    if middle_NM is None or settings.seen:
        return None
    count_K = np.maximum(np.bincount(label_N, minlength=classes), 1)
    sum_KM = np.zeros((classes, middle_NM.shape[1]))
    np.add.at(sum_KM, label_N, middle_NM)
    deviation_NM = middle_NM - (sum_KM / count_K[:, None])[label_N]
    spread_M = deviation_NM.std(0) + LEAST_SPREAD * deviation_NM.std()
    # A distance then is in mean deviations, whatever the number of channels.
    spread_M = np.maximum(spread_M * np.sqrt(len(spread_M)), 1e-6).astype(np.float32)
    kept = own_references(middle_NM / spread_M, label_N, classes)
    return TextureScore(references=kept, spread_M=spread_M)


def restore_texture(arrays: dict[str, np.ndarray], classes: int, channels: int) -> TextureScore:
    """A score from what `TextureScore.arrays` returned; `classes` and `channels` are not used."""
    references = OwnReferences(value_RD=arrays["middle_RM"], label_R=arrays["label_R"])
    return TextureScore(references=references, spread_M=arrays["spread_M"])


KIND = ScoreKind(
    fit=fit_texture,
    restore=restore_texture,
    fit_scale=fit_distance_scale,
    restore_scale=restore_distance_scale,
    measures=FEATURES,
)
