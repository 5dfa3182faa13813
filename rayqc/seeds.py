"""Numbers of random streams: joined with a seed, they give each draw of a run its own stream.

A stream's number decides results, and never changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

CLASSIFIER_BATCHES = 1
"""Which images a step of a classifier's training sees."""
HOLDOUT = 2
"""Which references a network is not trained on."""
POOL_DRAW = 3
"""Which images of a large pool the classifier stage holds in memory; with the shard's number."""
RANDOM_ARM = 4
"""Which images the arm `random` takes."""
FOLDS = 5
"""Which fold a reference is in."""
CALIBRATION = 6
"""Which references calibrate under the promise `split`."""
EVALUATED_POOL = 7
"""References and candidates of a draw of `rayqc evaluate`; with draw and references a class."""
SCORED_REFERENCES = 8
"""Which references scores are fitted on where there are more than `regions.most_references`."""
CONTRASTIVE_BATCHES = 9
"""Which references a step of contrastive training sees."""
TABLE3 = 10
"""References, pools and arms of a draw of Table 3; with draw and references a class."""

ALTERATIONS = 11
"""How a reference is altered; with the reference's number and the alteration's."""


def chance_of(ids: Iterable[str]) -> np.ndarray:
    """A number of each id: as good as random, and always the same.

    Returns:
        (N,) uint64.
    """
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, np.uint64)


def order_by_chance(id_N: np.ndarray, chance_N: np.ndarray) -> np.ndarray:
    """Rows in an order as good as random, which depends on their ids alone.

    Args:
        id_N: (N,) str; they decide where chances are equal.
        chance_N: (N,) uint64, what `chance_of` gives of them.

    Returns:
        (N,) int64.
    """
    order_N = np.argsort(chance_N)
    if (np.diff(chance_N[order_N]) == 0).any():
        order_N = np.lexsort((id_N.astype(str), chance_N))
    return order_N
