"""How well each class is told from the others by images that no score has seen.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

import numpy as np

from rayqc.regions.joint import RawScores
from rayqc.regions.scores.label import LOG_PROBABILITY, log_odds
from rayqc.regions.scores.label import NAME as LABEL


def separation(raw: RawScores, classes: tuple[str, ...]) -> dict[str, float]:
    """AUROC a class: are its own images likelier to be of it than the other classes' images?

    Raw scores must be out of sample. Classes without images, and single classes, are left out.
    """
    log_probability_NK = raw.by_score[LABEL][LOG_PROBABILITY]
    auroc_by_class = {}
    for k, name in enumerate(classes):
        own_N = raw.label_N == k
        if not own_N.any() or own_N.all():
            continue
        against_N = log_odds(log_probability_NK, np.full(own_N.size, k))
        auroc_by_class[name] = auroc(against_N[own_N], against_N[~own_N])
    return auroc_by_class


def auroc(low_N: np.ndarray, high_N: np.ndarray) -> float:
    """Chance that one of `high_N` is above one of `low_N`, ties counting half."""
    from scipy.stats import rankdata  # noqa: PLC0415  (slow, and only fit needs it)

    rank = rankdata(np.concatenate([low_N, high_N]))[low_N.size :]
    beaten = rank.sum() - high_N.size * (high_N.size + 1) / 2
    return float(beaten / low_N.size / high_N.size)
