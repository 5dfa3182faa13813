"""Score `alteration`: does an image look like an altered one rather than like a reference?

Linear classifiers on the encoder's features tell the references from altered copies of them
(`images.alterations`), as in self-supervised detection of anomalies (Golan & El-Yaniv 2018,
geometric transformations; Li et al. 2021, CutPaste). What was put out of order, together or in
other colours is told by what it shows, in ways that no distance from the references sees. The
classifiers' common log odds are put on the scale of distances, so that how unusual an image is
for its class is measured on references alone, and an alteration that the references went through
themselves, such as turning in pictures from above, decides nothing. It is left out where the
encoder was trained on the references, and where images cannot be encoded.

Shape suffixes: N images, F features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rayqc.regions.base import Candidates
from rayqc.regions.scores.base import FEATURES, RawScore, ScoreKind
from rayqc.regions.scores.distance_scale import (
    DISTANCE,
    fit_distance_scale,
    restore_distance_scale,
)
from rayqc.regions.views.base import ScorerSettings
from rayqc.schema import LATENT
from rayqc.storage.artefact import prefixed, under
from rayqc.training.softmax import SoftmaxHead, train_softmax

NAME = "alteration"
PENALTY = 1e-3
"""Weight of half the squared weights in the loss; ten times less or more told about as much
(docs/tried.md)."""
UNIT = 10.0
"""Nats that log odds are counted in, so that the odds of a genuine image, a millionth and less, lie
far above the least distance that their scale tells apart."""
MOST_LOG_ODDS = 50.0
"""Log odds are cut off there, so that the odds are finite."""


@dataclass(frozen=True, kw_only=True)
class AlterationScore:
    """A classifier of the classes genuine and altered on each of the encoder's features."""

    heads: dict[str, SoftmaxHead]
    """By the features' name."""

    def raw(self, candidates: Candidates) -> RawScore:
        """See `FittedScore.raw`. One array: (N,) float64 odds of altered against genuine."""
        log_odds_N = np.zeros(len(candidates))
        for name, value_NF in _features(candidates).items():
            logits = self.heads[name](torch.tensor(value_NF)).numpy()
            log_odds_N += logits[:, 1] - logits[:, 0]
        return {DISTANCE: np.exp(np.clip(log_odds_N, -MOST_LOG_ODDS, MOST_LOG_ODDS))}

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedScore.arrays`."""
        arrays: dict[str, np.ndarray] = {}
        for name, head in self.heads.items():
            arrays |= prefixed(head.arrays(), name)
        return arrays


def fit_alteration(
    references: Candidates, classes: int, settings: ScorerSettings, seed: int
) -> AlterationScore | None:
    """Train the classifiers; None where there are no altered copies of the references.

    Args:
        references: N labelled images.
        classes: not used: all classes' images are altered in the same ways.
        settings: not used.
        seed: not used.
    """
    if references.altered is None:
        return None
    heads = {}
    for name, genuine_NF in _features(references).items():
        features = np.concatenate([genuine_NF, references.altered.features[name]])
        is_altered = np.arange(len(features)) >= len(genuine_NF)
        head = train_softmax(
            torch.from_numpy(features), torch.from_numpy(is_altered.astype(np.int64)), 2, PENALTY
        )
        heads[name] = SoftmaxHead(weight_FK=head.weight_FK / UNIT, bias_K=head.bias_K / UNIT)
    return AlterationScore(heads=heads)


def restore_alteration(
    arrays: dict[str, np.ndarray], classes: int, channels: int
) -> AlterationScore:
    """A score from what `AlterationScore.arrays` returned; no other argument is used."""
    names = {key.partition(".")[0] for key in arrays}
    return AlterationScore(
        heads={name: SoftmaxHead.restore(under(arrays, name)) for name in sorted(names)}
    )


def _features(candidates: Candidates) -> dict[str, np.ndarray]:
    """Name to (N, F) float32: all that the encoder says of the images."""
    return {LATENT: candidates.latent_ND, **candidates.inner}


KIND = ScoreKind(
    fit=fit_alteration,
    restore=restore_alteration,
    fit_scale=fit_distance_scale,
    restore_scale=restore_distance_scale,
    measures=FEATURES,
)
