"""How well the label's score separates each class from the others, on images it was not fitted on.

Shape suffixes: N images, K classes.
"""

from __future__ import annotations

import numpy as np

from rayqc.regions.joint import Join, RawScores
from rayqc.regions.scores.label import log_odds


def separation(raw: RawScores, join: Join, classes: tuple[str, ...]) -> dict[str, float]:
    """AUROC of each class: its own images against all others, by log odds against that class.

    Args:
        raw: out-of-sample raw scores of N images.
        join: its scale of the label weighs the views.
        classes: K names.

    Returns:
        Class name to AUROC in [0, 1]. A class is left out if none or all of the images are its own.
    """
    log_probability_NK = join.log_probability(raw)
    auroc_by_class = {}
    for k, name in enumerate(classes):
        own_N = raw.label_N == k
        if not own_N.any() or own_N.all():
            continue
        log_odds_N = log_odds(log_probability_NK, np.full(own_N.size, k))
        auroc_by_class[name] = auroc(log_odds_N[own_N], log_odds_N[~own_N])
    return auroc_by_class


def auroc(low_N: np.ndarray, high_N: np.ndarray) -> float:
    """Fraction of pairs in which the value of `high_N` is above that of `low_N`; ties count half.

    Args:
        low_N: (any number,) float.
        high_N: (any number,) float.
    """
    from scipy.stats import rankdata  # noqa: PLC0415  (slow, and only fit needs it)

    rank_N = rankdata(np.concatenate([low_N, high_N]))[low_N.size :]
    pairs_above = rank_N.sum() - high_N.size * (high_N.size + 1) / 2
    return float(pairs_above / low_N.size / high_N.size)
