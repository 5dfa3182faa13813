"""Way `herding`: greedily, the set that is to its class what the candidates are, with less chance.

A random subset misses parts of its class and repeats others. Each next candidate is the one whose
mean similarity to all candidates is largest, less its mean similarity to those chosen so far: the
set's mean in the kernel's feature space comes to that of all candidates faster than a random
set's does. The kernel is Gaussian; its width is the median distance between candidates. A step
costs N D.

Source: Chen, Welling & Smola, Super-samples from kernel herding, UAI 2010 (arXiv 1203.3472).

Shape suffixes: N candidates, D directions, W places, B candidates of a block.
"""

from __future__ import annotations

import numpy as np

from rayqc.selection.base import Choice, SelectionKind

MOST_PLACES = 2048
"""Candidates, drawn at random, that stand for all of them in the mean similarity."""
BLOCK = 8192
ROUNDING = 1e-6
"""Share of the largest squared length below which a squared distance is rounding alone."""


def choose(choice: Choice) -> np.ndarray:
    """See `SelectionKind.choose`."""
    candidate_ND = choice.candidate_ND
    squared_N = np.square(candidate_ND).sum(1)
    drawn = np.random.default_rng(choice.seed).permutation(len(candidate_ND))[:MOST_PLACES]
    places_WD, squared_W = candidate_ND[drawn], squared_N[drawn]

    def away(rows: slice | np.ndarray, from_WD: np.ndarray, from_W: np.ndarray) -> np.ndarray:
        """(B, W) squared distances."""
        products_BW = candidate_ND[rows] @ from_WD.T
        squared_BW = squared_N[rows][:, None] - 2 * products_BW + from_W
        return np.asarray(np.maximum(squared_BW, 0))  # of copies it is rounding, and below 0 too

    width = _width(away(drawn, places_WD, squared_W), ROUNDING * float(squared_N.max()))
    similar_N = np.concatenate(
        [
            np.exp(-away(slice(start, start + BLOCK), places_WD, squared_W) / width).mean(1)
            for start in range(0, len(candidate_ND), BLOCK)
        ]
    )
    of_chosen_N = np.zeros(len(candidate_ND))
    left_N = np.ones(len(candidate_ND), bool)
    rows = np.empty(choice.wanted, np.int64)
    for number in range(choice.wanted):
        gain_N = similar_N - of_chosen_N / (number + 1)
        row = int(np.where(left_N, gain_N, -np.inf).argmax())
        rows[number], left_N[row] = row, False
        one = slice(row, row + 1)
        away_N = away(slice(None), candidate_ND[one], squared_N[one])[:, 0]
        of_chosen_N += np.exp(-away_N / width)
    return rows


def _width(squared_WW: np.ndarray, rounding: float) -> float:
    """The median squared distance; where most candidates are copies, that of those which differ."""
    median = float(np.median(squared_WW))
    if median > rounding:
        return median
    differ = squared_WW[squared_WW > rounding]
    return float(np.median(differ)) if differ.size else 1.0


KIND = SelectionKind(choose=choose)
