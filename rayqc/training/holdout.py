"""Which reference images are held out of a network's training."""

from __future__ import annotations

import numpy as np

from rayqc.seeds import HOLDOUT

LEAST_IN_CLASS = 3


def choose_holdout(label_N: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(N,) bool, true for held-out images, which are taken from the classes in turn.

    A class gives at most a third of its images, and a class of fewer than 3 gives none, so fewer
    than `share` may be held out.

    Args:
        label_N: (N,) int64.
        share: fraction of all images to hold out.
    """
    rng = np.random.default_rng([seed, HOLDOUT])
    held_N = np.zeros(label_N.size, bool)
    queues = []
    for k in np.unique(label_N):
        rows = rng.permutation(np.flatnonzero(label_N == k))
        queues.append(list(rows[: rows.size // LEAST_IN_CLASS]))
    order = list(rng.permutation(len(queues)))
    holdout_count = round(share * label_N.size)
    while holdout_count > held_N.sum() and any(queues):
        for k in order:
            if queues[k] and held_N.sum() < holdout_count:
                held_N[queues[k].pop()] = True
    return held_N
