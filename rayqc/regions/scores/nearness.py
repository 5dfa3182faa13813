"""Score `nearness`: how far an image lies from its class's references in the encoder's space.

An encoder that was trained on other images sees what is shown: parts in another order, two images
in one, things that no class is of. The distance is the mean of those to the three nearest
references of the own class. It is left out for an encoder that was trained on the references: they
would lie nearer than any fresh image does.

Shape suffixes: D latent, K classes, R references.
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


@dataclass(frozen=True, kw_only=True)
class NearnessScore:
    """The references' latents."""

    references: OwnReferences

    def raw(self, candidates: Candidates) -> RawScore:
        """See `FittedScore.raw`. One array: the (N,) float64 distances, in latent units."""
        return {DISTANCE: self.references.distance(candidates.latent_ND, candidates.label_N)}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedScore.arrays`."""
        return {"latent_RD": self.references.value_RD, "label_R": self.references.label_R}


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
    return NearnessScore(
        references=own_references(references.latent_ND, references.label_N, classes)
    )


def restore_nearness(arrays: dict[str, np.ndarray], classes: int, channels: int) -> NearnessScore:
    """A score from what `NearnessScore.arrays` returned; `classes` and `channels` are not used."""
    references = OwnReferences(value_RD=arrays["latent_RD"], label_R=arrays["label_R"])
    return NearnessScore(references=references)


KIND = ScoreKind(
    fit=fit_nearness,
    restore=restore_nearness,
    fit_scale=fit_distance_scale,
    restore_scale=restore_distance_scale,
    measures=FEATURES,
)
