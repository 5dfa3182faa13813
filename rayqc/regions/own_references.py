"""How far values lie from those of the nearest references of their own class.

Shape suffixes: N images, D values, K classes, R references.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rayqc.units import evenly

NEAREST = 3
MOST_OF_A_CLASS = 200
"""References of a class that are searched; more are thinned evenly."""


@dataclass(frozen=True, kw_only=True)
class OwnReferences:
    """The references' values and labels."""

    value_RD: np.ndarray
    """(R, D) float32."""
    label_R: np.ndarray
    """(R,) int64, own classes."""

    def distance(self, value_ND: np.ndarray, label_N: np.ndarray) -> np.ndarray:
        """Mean distance to the `NEAREST` nearest references of the own class.

        Where a class has no reference, all references are taken: the nearest of so many are nearer
        than any of its own would be.

        Args:
            value_ND: (N, D) float.
            label_N: (N,) int64, own classes.

        Returns:
            (N,) float64, in units of the values.
        """
        distance_N = np.zeros(label_N.size)
        for k in np.unique(label_N):
            rows = label_N == k
            own_RD = self.value_RD[self.label_R == k]
            distance_N[rows] = (
                _mean_nearest(value_ND[rows], own_RD, NEAREST)
                if len(own_RD)
                else _mean_nearest(value_ND[rows], self.value_RD, len(self.value_RD))
            )
        return distance_N


def own_references(value_ND: np.ndarray, label_N: np.ndarray, classes: int) -> OwnReferences:
    """References to measure distances from, at most `MOST_OF_A_CLASS` of each class.

    Args:
        value_ND: (N, D) float.
        label_N: (N,) int64, own classes.
        classes: K.
    """
    rows_by_class = [np.flatnonzero(label_N == k) for k in range(classes)]
    keep = np.concatenate([rows[evenly(rows.size, MOST_OF_A_CLASS)] for rows in rows_by_class])
    return OwnReferences(value_RD=value_ND[keep].astype(np.float32), label_R=label_N[keep])


def _mean_nearest(value_ND: np.ndarray, value_RD: np.ndarray, most: int) -> np.ndarray:
    """(N,) float64, mean distance to so many of the nearest references, or to all."""
    from scipy.spatial.distance import cdist  # noqa: PLC0415  (slow, and spheres do not need it)

    distance_NR = cdist(value_ND, value_RD)
    nearest = min(most, len(value_RD))
    return np.asarray(np.partition(distance_NR, nearest - 1, axis=1)[:, :nearest].mean(1))
