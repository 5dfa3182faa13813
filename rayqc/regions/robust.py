"""Values clipped near their median, so that a single odd one does not widen their spread.

Shape suffixes: N values.
"""

from __future__ import annotations

import numpy as np

NORMAL_QUARTILES = 1.349
"""Distance between the quartiles of a normal distribution, in standard deviations."""


def winsorised(values_N: np.ndarray, reach: float, least_spread: float = 0.0) -> np.ndarray:
    """The values, clipped to so many robust standard deviations from their median.

    Args:
        values_N: (N,) float.
        reach: standard deviations, by the distance between the quartiles.
        least_spread: smallest standard deviation that is assumed.

    Returns:
        (N,) float.
    """
    low, median, high = np.quantile(values_N, [0.25, 0.5, 0.75])
    most = reach * max((high - low) / NORMAL_QUARTILES, least_spread)
    return np.asarray(np.clip(values_N, median - most, median + most))
