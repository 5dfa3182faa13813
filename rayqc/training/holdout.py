"""Which references a network is not trained on."""

from __future__ import annotations

import numpy as np

from rayqc.seeds import HOLDOUT

LEAST_IN_CLASS = 3


def choose_holdout(label_N: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(N,) bool, true for held-out images: `share` of all, taken from the classes in turn.

    A class never falls below two thirds of its images, nor do classes with fewer than 3 give any.
    """
    rng = np.random.default_rng([seed, HOLDOUT])
    held_N = np.zeros(label_N.size, bool)
    queues = []
    for k in np.unique(label_N):
        rows = rng.permutation(np.flatnonzero(label_N == k))
        queues.append(list(rows[: rows.size // LEAST_IN_CLASS]))
    order = list(rng.permutation(len(queues)))
    wanted = round(share * label_N.size)
    while wanted > held_N.sum() and any(queues):
        for k in order:
            if queues[k] and held_N.sum() < wanted:
                held_N[queues[k].pop()] = True
    return held_N
