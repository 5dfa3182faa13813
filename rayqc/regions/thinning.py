"""Fewer references where there are very many, with some of every class.

Shape suffixes: N references, K classes.
"""

from __future__ import annotations

import numpy as np

from rayqc.seeds import SCORED_REFERENCES

LEAST_OF_A_CLASS = 50
"""References of a class that are kept at least, where as many fit for each class."""


def thinned(label_N: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Rows of all references, or of about `most` of them, drawn in each class by itself.

    Classes keep their shares, but small ones lose nothing that the largest can give instead; each
    keeps one at least.

    Args:
        label_N: (N,) int64, own classes.
        most: rows wanted.
        seed: of the draw.

    Returns:
        (M,) int64 row numbers, rising.
    """
    if label_N.size <= most:
        return np.arange(label_N.size)
    rng = np.random.default_rng([seed, SCORED_REFERENCES])
    names_K, count_K = np.unique(label_N, return_counts=True)
    least_K = np.minimum(count_K, max(1, min(LEAST_OF_A_CLASS, most // (2 * names_K.size))))
    kept_K = _kept(count_K, least_K, most)
    drawn = [
        rng.choice(np.flatnonzero(label_N == name), kept, replace=False)
        for name, kept in zip(names_K, kept_K, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def _kept(count_K: np.ndarray, least_K: np.ndarray, most: int) -> np.ndarray:
    """(K,) counts that are in proportion, at least `least_K`, and together at most `most`."""
    low, high = 0.0, 1.0
    for _ in range(50):
        share = (low + high) / 2
        fits = np.maximum(least_K, (share * count_K).astype(np.int64)).sum() <= most
        low, high = (share, high) if fits else (low, share)
    return np.asarray(np.maximum(least_K, (low * count_K).astype(np.int64)))
